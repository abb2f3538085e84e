// morph makes what is below one element like what is below another, and leaves alone what is the same: so focus, open
// details, selected text and running animations outlive an update.
function morph(old, fresh) {
  const same = (a, b) => a.nodeName === b.nodeName && (a.nodeType !== 1 || a.dataset.key === b.dataset.key);
  let at = old.firstChild;
  for (const want of [...fresh.childNodes]) {
    let match = at;
    if (want.nodeType === 1 && want.dataset.key) while (match && !same(match, want)) match = match.nextSibling;
    if (!match || !same(match, want)) {
      old.insertBefore(want, at);
      continue;
    }
    while (at !== match) {
      const gone = at;
      at = at.nextSibling;
      gone.remove();
    }
    at = at.nextSibling;
    if (match.nodeType !== 1) {
      if (match.data !== want.data) match.data = want.data;
      continue;
    }
    for (const { name } of [...match.attributes]) {
      if (!want.hasAttribute(name) && !(name === "open" && match.nodeName === "DETAILS")) match.removeAttribute(name);
    }
    for (const { name, value } of want.attributes) if (match.getAttribute(name) !== value) match.setAttribute(name, value);
    morph(match, want);
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}
