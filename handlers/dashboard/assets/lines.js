// The lines of a log. They come in pieces of any size, and are put into the page in blocks that the browser lays out only
// when they are near the window, a little in each frame, so that a hundred thousand lines stay usable.

const blockLines = 200; // lines in a block, as in log.css
const mostLines = 120000; // lines in the page; beyond, the earliest make room while the end is followed
const mostShown = 10000; // characters of one line
const trouble = /(?:^|[^\w/.-])(?:error|errors|fatal|panic|failed|failure|FAIL|exception|traceback)(?:[^\w/-]|$)/i;
const noTrouble = /\b(?:0|no) (?:errors?|failures?|failed)\b/i;

// A line that begins a group of lines, as GitHub, Buildkite and the phases of a buildspec have it, and one that ends it. What go test and diff print
// begins with the same dashes and is none.
const groupStart = /^(?:::group::|##\[group\])(.*)$|^(---|\+\+\+) (?!(?:FAIL|PASS|SKIP|BENCH):|[ab]\/|\/dev\/null)(.+)$|^\[Container\] \S+ \S+ Entering phase ([A-Z_]+)$/;
const groupEnd = /^(?:::endgroup::|##\[endgroup\])/;
const phaseEnd = /^\[Container\] \S+ \S+ Phase complete: [A-Z_]+ State: /; // stays to be seen

class Lines {
  constructor(box, changed) {
    this.box = box;
    this.changed = changed; // called after lines came, or following began or ended
    this.clear();
    box.addEventListener("scroll", () => this.scrolled(), { passive: true });
    box.addEventListener("click", (e) => this.clicked(e));
    // A block gets its true height when it comes near, and that must not push the end out of the window.
    this.heights = new ResizeObserver(() => { if (this.following) this.toEnd(); });
    this.heights.observe(box);
  }

  clear() {
    this.box.textContent = "";
    for (const block of this.blocks || []) this.heights.unobserve(block.el);
    this.blocks = []; // {el, first, count}
    this.aside = document.createDocumentFragment(); // blocks that are not in the page yet
    this.shown = 0; // when blocks were put into the page last
    this.queue = []; // pieces that came, not yet shown
    this.first = 1; // number of the first line in the page
    this.last = 0; // number of the last line
    this.firstError = 0;
    this.unseen = 0; // lines that came since following ended
    this.following = true;
    this.box.classList.add("following");
    this.top = 0;
    this.pen = new Pen();
    this.open = null; // the line whose end has not come
    this.marked = null; // {from, to} of the address
    this.goal = 0; // the line to scroll to as soon as it is there
    this.note = null;
    this.folds = []; // {el, head, from, to, kind, bad, touched}
    this.fold = null; // the group that is open
    this.epoch = (this.epoch || 0) + 1;
  }

  // begin says that the first line to come has this number.
  begin(line) {
    this.first = line;
    this.last = line - 1;
    if (line > 1) this.noteEarlier();
  }

  add(text) {
    if (!text) return;
    this.queue.push(text);
    this.wake();
  }

  // finish ends the line that is open, if any.
  finish() {
    this.queue.push(null);
    this.wake();
  }

  wake() {
    if (this.queue.length === 0 || this.awake === this.epoch) return;
    const epoch = (this.awake = this.epoch);
    requestAnimationFrame(() => {
      this.awake = 0;
      if (epoch === this.epoch) this.drain();
    });
  }

  // drain shows what came, for a part of a frame.
  drain() {
    // Much at once, as of a log that is complete, is worth longer frames: each has its price.
    const until = performance.now() + (this.queue.length > 1 || this.queue[0]?.length > 100000 ? 35 : 12);
    const before = this.last;
    while (this.queue.length > 0 && performance.now() < until) {
      const piece = this.queue.shift();
      if (piece === null) {
        if (this.open) this.endLine();
        continue;
      }
      let at = 0;
      for (let n = 0; ; n++) {
        const end = piece.indexOf("\n", at);
        if (end < 0) break;
        this.extend(piece.slice(at, end));
        this.endLine();
        at = end + 1;
        if (n % 100 === 99 && performance.now() > until) break;
      }
      const rest = piece.slice(at);
      if (rest.includes("\n")) this.queue.unshift(rest);
      else if (rest) this.extend(rest, true);
    }
    if (!this.following) this.unseen += this.last - before;
    // While much is still to come, the page is laid out now and then only.
    if (this.queue.length === 0 || performance.now() - this.shown > 250) {
      for (const el of this.aside.children) this.heights.observe(el);
      this.box.append(this.aside);
      this.shown = performance.now();
    } else {
      this.wake();
      return;
    }
    this.makeRoom();
    if (this.following) this.toEnd();
    else if (this.goal && this.goal <= this.last) this.show(this.goal);
    this.changed();
    this.wake();
  }

  // extend adds text to the open line. A vertical tab stands for a carriage return: what is written after it, as by a
  // progress bar, takes the place of what stands there.
  extend(text, draw) {
    const line = (this.open ||= { el: null, text: "", more: 0, back: false });
    if (line.back || text.includes("\v")) {
      const seen = text.replace(/\v+$/, "");
      const at = seen.lastIndexOf("\v");
      if (seen && (at >= 0 || line.back)) {
        for (const m of (line.text + seen.slice(0, at + 1)).matchAll(escapes)) if (m[2] === "m") this.pen.change(m[1]);
        line.text = "";
        line.more = 0;
      }
      line.back = seen.length < text.length || (line.back && !seen);
      text = seen.slice(at + 1);
    }
    const room = mostShown - line.text.length;
    line.text += text.slice(0, room);
    line.more += Math.max(0, text.length - room);
    if (draw) this.draw(line, Object.assign(new Pen(), this.pen));
  }

  draw(line, pen) {
    line.el ||= this.newRow();
    const bare = write(line.el, line.text, pen);
    if (line.more > 0) {
      const more = document.createElement("i");
      more.textContent = " … and " + line.more.toLocaleString("en") + " characters more: see Raw";
      line.el.append(more);
    }
    return bare;
  }

  endLine() {
    const line = this.open || { el: null, text: "", more: 0, back: false };
    const bare = this.draw(line, this.pen);
    this.open = null;
    const bad = trouble.test(bare) && !noTrouble.test(bare);
    if (!this.firstError && bad) this.firstError = this.last;
    this.group(this.row(this.last), bare, bad);
  }

  // group takes a whole line as the beginning, a part or the end of a group.
  group(row, bare, bad) {
    const start = groupStart.exec(bare);
    if (start) {
      this.endGroup(this.last - 1);
      const el = document.createElement("details");
      const title = document.createElement("summary");
      title.textContent = (start[1] ?? start[3] ?? start[4]).trim() || "group";
      el.className = "fold";
      el.open = true; // while it is written
      el.append(title);
      row.replaceChildren(el);
      const f = { el, head: this.last, from: this.last + 1, to: 0, kind: start[2] || "", bad: false, touched: false };
      title.addEventListener("click", () => (f.touched = true));
      el.addEventListener("toggle", () => this.showFold(f));
      this.folds.push(f);
      this.fold = f;
    } else if (this.fold) {
      this.fold.bad ||= bad;
      if (phaseEnd.test(bare)) this.endGroup(this.last - 1);
      if (this.fold && groupEnd.test(bare) && !this.fold.kind) {
        row.classList.add("folded");
        this.endGroup(this.last);
      }
    }
  }

  // endGroup closes a group whose last line this is, unless something went wrong in it or someone has opened it.
  endGroup(to) {
    const f = this.fold;
    if (!f) return;
    this.fold = null;
    f.to = to;
    if (!f.bad && !f.touched && f.kind !== "+++") {
      f.el.open = false;
      this.showFold(f);
    }
  }

  // showFold shows or hides the lines of a group.
  showFold(f) {
    for (let n = Math.max(f.from, this.first); n <= (f.to || this.last); n++) {
      const row = this.row(n);
      if (row && !(n === f.to && groupEnd.test(row.textContent))) row.classList.toggle("folded", !f.el.open);
    }
  }

  unfold(n) {
    for (const f of this.folds) {
      if (f.el.open || n < f.from || n > (f.to || this.last)) continue;
      f.el.open = true;
      this.showFold(f);
    }
  }

  newRow() {
    let block = this.blocks[this.blocks.length - 1];
    if (!block || block.count === blockLines) {
      block = { el: document.createElement("div"), first: this.last + 1, count: 0 };
      block.el.className = "block";
      this.blocks.push(block);
      this.aside.append(block.el);
    }
    const row = document.createElement("div");
    row.dataset.n = ++this.last;
    if (this.marked && this.last >= this.marked.from && this.last <= this.marked.to) row.className = "marked";
    if (this.fold && !this.fold.el.open) row.classList.add("folded");
    block.el.append(row);
    block.count++;
    if (block.count === blockLines) block.el.classList.add("full");
    return row;
  }

  // row finds the element of a line.
  row(n) {
    const block = this.blocks[Math.floor((n - this.first) / blockLines)];
    return block && n >= this.first ? block.el.children[n - block.first] : undefined;
  }

  makeRoom() {
    if (!this.following || this.last - this.first < mostLines + 10 * blockLines) return;
    while (this.last - this.first >= mostLines) {
      const gone = this.blocks.shift().el;
      this.heights.unobserve(gone);
      gone.remove();
      this.first += blockLines;
    }
    this.folds = this.folds.filter((f) => {
      if (f.head >= this.first) return true;
      f.el.open = true; // nobody could open it any more
      this.showFold(f);
      return false;
    });
    this.noteEarlier();
  }

  // say puts a word of the page's own above the lines.
  say(words) {
    if (!this.note) {
      this.note = document.createElement("p");
      this.note.className = "note";
      this.box.prepend(this.note);
    }
    this.note.textContent = words;
  }

  noteEarlier() {
    this.say("The first " + (this.first - 1).toLocaleString("en") + " lines are not shown here: see Raw.");
  }

  // Following the end: it stops when the person scrolls up, and goes on when they come to the end again.
  toEnd() {
    this.box.scrollTop = this.box.scrollHeight;
    this.top = this.box.scrollTop;
  }

  follow() {
    this.following = true;
    this.box.classList.add("following");
    this.goal = this.unseen = 0;
    this.toEnd();
    this.changed();
  }

  pause() {
    if (!this.following) return;
    this.following = false;
    this.box.classList.remove("following");
    this.unseen = 0;
    this.changed();
  }

  scrolled() {
    const moved = this.box.scrollTop - this.top; // nothing when the script itself has scrolled
    const atEnd = this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < 24;
    this.top = this.box.scrollTop;
    if (this.following && moved < -4 && !atEnd) this.pause();
    else if (!this.following && moved > 0 && atEnd && !this.goal) this.follow();
  }

  // show brings a line to the middle of the log.
  show(n) {
    this.pause();
    this.unfold(n);
    const row = this.row(n);
    if (!row?.isConnected) {
      this.goal = n;
      return;
    }
    this.goal = 0;
    const settle = (frames) => {
      this.box.scrollTop += row.getBoundingClientRect().top - this.box.getBoundingClientRect().top - this.box.clientHeight / 3;
      this.top = this.box.scrollTop;
      // The blocks around it get their true height in the next frames; unless the person scrolls on, it stays in its place.
      if (frames > 0) requestAnimationFrame(() => { if (this.box.scrollTop === this.top && row.isConnected) settle(frames - 1); });
    };
    settle(3);
  }

  mark(from, to) {
    for (const row of this.box.querySelectorAll(".marked")) row.classList.remove("marked");
    this.marked = from ? { from, to } : null;
    for (let n = from; n && n <= Math.min(to, this.last); n++) this.row(n)?.classList.add("marked");
  }

  // clicked takes a click on a line's number as the wish for a link to it; with Shift, to all lines from the marked one.
  clicked(e) {
    const row = e.target.closest("[data-n]");
    if (!row || e.clientX - row.getBoundingClientRect().left > parseFloat(getComputedStyle(row).paddingLeft)) return;
    const n = Number(row.dataset.n);
    const from = e.shiftKey && this.marked ? this.marked.from : n;
    this.pause();
    this.mark(Math.min(from, n), Math.max(from, n));
    this.changed();
    history.replaceState(null, "", this.address());
  }

  address() {
    if (!this.marked) return "#";
    const { from, to } = this.marked;
    return from === to ? "#L" + from : "#L" + from + "-L" + to;
  }
}
