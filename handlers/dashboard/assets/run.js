// Keeps a run's page up to date: its state by one stream of events, its log by another. Everything from outside is put
// into the page as text; only the server's own rendering of the state comes as markup.
"use strict";

const run = document.getElementById("run");
const out = document.getElementById("log");
const lost = document.getElementById("lost");
const follow = document.getElementById("follow");
const broken = new Set();

function listen(url, name, handlers) {
  const source = new EventSource(url);
  for (const [type, handler] of Object.entries(handlers)) source.addEventListener(type, handler);
  source.onopen = () => { broken.delete(name); lost.hidden = broken.size === 0; };
  source.onerror = () => { broken.add(name); lost.hidden = false; };
  return source;
}

function close(source, name) {
  source.close();
  broken.delete(name);
  lost.hidden = broken.size === 0;
}

// The log: bytes arrive in blocks; the browser resumes at the last event id, which is an offset.
let logSource = null;
let shown = "";
let rest = "";
let style = { c: "", b: "" };

function showLog(url, name) {
  if (url === shown) return;
  if (logSource) close(logSource, "log");
  shown = url;
  rest = "";
  style = { c: "", b: "" };
  out.textContent = "";
  document.getElementById("log-name").textContent = "Log of " + name;
  document.getElementById("raw").href = url;
  logSource = listen(url, "log", {
    block: (e) => append(e.data + "\n"),
    tail: (e) => append(e.data),
    end: () => close(logSource, "log"),
  });
  mark();
}

function append(text) {
  const stick = follow.checked;
  const part = document.createDocumentFragment();
  text = rest + text;
  rest = "";
  const escape = text.lastIndexOf("\u001b");
  if (escape >= 0 && text.length - escape < 32 && !/[@-~]/.test(text.slice(escape + 2))) {
    rest = text.slice(escape);
    text = text.slice(0, escape);
  }
  // Of the terminal's words, colours and bold are understood; the others are left out.
  for (const piece of text.split(/(\u001b\[[0-9;?]*[ -/]*[@-~]|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)|\u001b[@-Z\\-_])/)) {
    const colour = /^\u001b\[([0-9;]*)m$/.exec(piece);
    if (colour) {
      for (const code of (colour[1] || "0").split(";").map(Number)) {
        if (code === 0) style = { c: "", b: "" };
        else if (code === 1) style.b = "b";
        else if (code === 22) style.b = "";
        else if (code === 39) style.c = "";
        else if ((code >= 31 && code <= 36) || (code >= 91 && code <= 96)) style.c = "c" + (code % 10);
      }
    } else if (piece && piece[0] !== "\u001b") {
      const clean = piece.replace(/[\u0000-\u0008\u000b-\u001f\u007f\u202a-\u202e\u2066-\u2069]/g, "");
      if (style.c || style.b) {
        const span = document.createElement("span");
        span.className = (style.c + " " + style.b).trim();
        span.textContent = clean;
        part.append(span);
      } else {
        part.append(clean);
      }
    }
  }
  out.append(part);
  if (stick) out.scrollTop = out.scrollHeight;
}

out.addEventListener("scroll", () => {
  follow.checked = out.scrollHeight - out.scrollTop - out.clientHeight < 40;
});
document.getElementById("wrap").addEventListener("change", (e) => out.classList.toggle("wrap", e.target.checked));

run.addEventListener("click", (e) => {
  const link = e.target.closest("a.step-link");
  if (!link || e.ctrlKey || e.metaKey || e.shiftKey) return;
  e.preventDefault();
  chosen = true;
  showLog(link.getAttribute("href"), link.dataset.name);
});

function mark() {
  for (const link of run.querySelectorAll("a.step-link")) link.classList.toggle("shown", link.getAttribute("href") === shown);
}

// Unless the person has chosen a step, the log follows the step that runs.
let chosen = false;
if (out.dataset.log) showLog(out.dataset.log, document.getElementById("log-name").textContent.replace("Log of ", ""));

const stateSource = listen(run.dataset.state, "state", {
  state: (e) => {
    const open = [...run.querySelectorAll("details")].map((d) => d.open);
    run.innerHTML = e.data;
    run.querySelectorAll("details").forEach((d, i) => { d.open = open[i] || false; });
    const running = [...run.querySelectorAll(".step")].find((s) => s.querySelector(".state.busy") && s.querySelector("a.step-link"));
    if (!chosen && running) showLog(running.querySelector("a.step-link").getAttribute("href"), running.querySelector("a.step-link").dataset.name);
    if (!shown) {
      const first = run.querySelector("a.step-link");
      if (first) showLog(first.getAttribute("href"), first.dataset.name);
    }
    mark();
  },
});
