// Times. The server writes them as exact UTC; here they become "3 minutes ago", and what runs is counted up.
"use strict";

const clock = {
  ahead: 0, // how far the server's clock is ahead of the browser's, in milliseconds
  now() { return Date.now() + this.ahead; },
};

// span says a time in milliseconds as the server does: 0.4s, 12s, 2m 14s, 1h 3m.
function span(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return s + "s";
  if (s < 3600) return Math.floor(s / 60) + "m " + (s % 60) + "s";
  return Math.floor(s / 3600) + "h " + Math.floor((s % 3600) / 60) + "m";
}

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

function ago(ms) {
  const s = Math.max(0, ms / 1000);
  if (s < 45) return "just now";
  if (s < 45 * 60) return relative.format(-Math.max(1, Math.round(s / 60)), "minute");
  if (s < 22 * 3600) return relative.format(-Math.max(1, Math.round(s / 3600)), "hour");
  return relative.format(-Math.max(1, Math.round(s / 86400)), "day");
}

function tick() {
  for (const t of document.querySelectorAll("time[data-ago], time[data-since]")) {
    const passed = clock.now() - Date.parse(t.dateTime);
    const words = "since" in t.dataset ? span(passed) : ago(passed);
    if (t.textContent !== words) t.textContent = words;
  }
}

tick();
setInterval(tick, 1000);
