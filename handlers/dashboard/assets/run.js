// Keeps a run's page up to date: its state by one stream of events, its log by another. Everything from outside is put
// into the page as text; only the server's own rendering of the state comes as markup.

const run = document.getElementById("run");
const panel = document.getElementById("panel");
const box = document.getElementById("log");
const byId = (id) => document.getElementById(id);

// Streams. The browser comes back by itself after a break, and tells the last id it saw. Where it gives up, as it does
// when a proxy answers for a server that is just starting, the stream is opened anew from that id.
const broken = new Set();

function troubled(name, is) {
  if (is) broken.add(name);
  else broken.delete(name);
  setTimeout(() => { byId("lost").hidden = broken.size === 0; }, is ? 700 : 0);
}

function listen(name, url, handlers) {
  let source, timer;
  let id = "";
  let wait = 1000;
  const open = () => {
    source = new EventSource(id ? url + (url.includes("?") ? "&" : "?") + "from=" + id : url);
    for (const [type, handler] of Object.entries(handlers)) {
      source.addEventListener(type, (e) => {
        if (e.lastEventId) id = e.lastEventId;
        handler(e.data);
      });
    }
    source.onopen = () => {
      wait = 1000;
      troubled(name, false);
    };
    source.onerror = () => {
      troubled(name, true);
      if (source.readyState !== EventSource.CLOSED) return;
      timer = setTimeout(open, wait);
      wait = Math.min(2 * wait, 30000);
    };
  };
  open();
  return {
    close() {
      clearTimeout(timer);
      source.close();
      troubled(name, false);
    },
    open,
  };
}

// The log.
const lines = new Lines(box, shownChanged);
const log = { query: "", stream: null, over: false };

function showLog(query, name) {
  if (query === log.query || !query) return;
  log.stream?.close();
  log.query = query;
  log.over = false;
  lines.clear();
  byId("log-name").textContent = "Log of " + name;
  const url = panel.dataset.run + "/log/" + query;
  byId("raw").href = url;
  byId("save").href = url + "?save";
  byId("raw").hidden = byId("save").hidden = false;
  fromAddress();
  log.stream = listen("log", lines.goal ? url + "?line=" + lines.goal : url, {
    start: (line) => lines.begin(Number(line)),
    log: (text) => lines.add(text),
    gone: (words) => lines.say(words),
    end: () => {
      log.over = true;
      log.stream.close();
      lines.finish();
    },
  });
  if (document.hidden) log.stream.close(); // it is opened when someone looks
  markChosen();
  shownChanged();
}

function shownChanged() {
  const n = lines.last;
  const words = [];
  if (log.query && !log.over) words.push("live");
  if (n > 0) words.push(n.toLocaleString("en") + (n === 1 ? " line" : " lines"));
  else if (log.query) words.push(log.over ? "nothing was printed" : "nothing printed yet");
  else words.push("nothing runs yet");
  byId("log-state").textContent = words.join(", ");
  byId("log-state").classList.toggle("busy", Boolean(log.query) && !log.over);
  const link = current();
  byId("first-error").hidden = !(lines.firstError && link && link.classList.contains("bad"));
  const down = byId("down");
  down.hidden = lines.following;
  down.textContent = lines.unseen ? lines.unseen.toLocaleString("en") + (lines.unseen === 1 ? " new line" : " new lines") : "To the end";
}

// fromAddress marks the lines that the address names: #L120 or #L120-L140.
function fromAddress() {
  const m = /^#L(\d{1,9})(?:-L(\d{1,9}))?$/.exec(location.hash);
  if (!m) {
    lines.mark(0);
    return;
  }
  const from = Number(m[1]);
  lines.mark(from, Math.max(from, Number(m[2] || from)));
  lines.show(from);
}

// Which log: the chosen one, else the one that the server thinks people want.
let chosen = "chosen" in panel.dataset || /^#L\d/.test(location.hash);

const links = () => [...run.querySelectorAll("a[data-log]")];
const current = () => links().find((a) => a.dataset.log === log.query);

function markChosen() {
  for (const a of links()) {
    if (a.dataset.log === log.query) a.setAttribute("aria-current", "true");
    else a.removeAttribute("aria-current");
  }
}

function showAuto() {
  const query = run.querySelector(".title").dataset.auto;
  if (query && (!chosen || !log.query)) showLog(query, query.split("/")[0]);
}

run.addEventListener("click", (e) => {
  const link = e.target.closest("a[data-log]");
  if (!link || e.ctrlKey || e.metaKey || e.shiftKey || e.button) return;
  e.preventDefault();
  chosen = true;
  history.replaceState(null, "", link.getAttribute("href").replace(/#.*/, ""));
  showLog(link.dataset.log, link.dataset.name);
  const stacked = panel.getBoundingClientRect().left < run.getBoundingClientRect().right - 1;
  if (stacked) panel.scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
});

addEventListener("hashchange", fromAddress);
byId("down").addEventListener("click", () => lines.follow());
byId("first-error").addEventListener("click", () => {
  lines.mark(lines.firstError, lines.firstError);
  lines.show(lines.firstError);
});
byId("wrap").addEventListener("click", () => {
  const on = box.classList.toggle("wrap");
  byId("wrap").setAttribute("aria-pressed", on);
  if (lines.following) lines.toEnd();
});

// The state.
const hidden = document.createElement("template");
let seen = "";

function follow() {
  return listen("state", run.dataset.state, {
    now: (ms) => { clock.ahead = Number(ms) - Date.now(); },
    state: (markup) => {
      if (markup === seen) return; // after a break the same may come again
      seen = markup;
      hidden.innerHTML = markup;
      morph(run, hidden.content);
      tick();
      const title = run.querySelector(".title").dataset;
      document.title = title.title;
      byId("tab").href = title.tab;
      showAuto();
      markChosen();
      shownChanged();
    },
  });
}

document.documentElement.classList.add("scripted");
if (box.dataset.log) showLog(box.dataset.log, box.dataset.log.split("/")[0]);
else lines.clear();
shownChanged();
const state = follow();

// A browser opens few connections to one server. A tab that nobody sees gives its log's back, and comes back later.
document.addEventListener("visibilitychange", () => {
  if (!log.query || log.over) return;
  log.stream.close();
  if (!document.hidden) log.stream.open();
});
