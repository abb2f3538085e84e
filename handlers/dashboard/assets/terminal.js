// What programs print for a terminal becomes text and colours. Nothing else is understood: links, titles and movements of
// the cursor are left out, and what could not be seen is made visible. Text becomes nodes of text, never markup.

// One escape of ECMA-48: colours and other controls, strings such as links and titles, and the rest.
const escapes = /\u001b(?:\[([0-?]*)[ -/]*([@-~])|[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\)|[ -/]*[0-~])/g;

// Controls, and the marks that turn the direction of the text around them.
const unseen = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
const allUnseen = new RegExp(unseen.source, "g");

function visible(c) {
  const code = c.charCodeAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  if (code === 0x7f) return "\u2421";
  return "\u27e8U+" + code.toString(16).toUpperCase().padStart(4, "0") + "\u27e9";
}

// shade finds the readable colour that is nearest to any colour: 1 to 6, as terminals count them; 0 is none.
function shade(r, g, b) {
  const high = Math.max(r, g, b);
  if (high - Math.min(r, g, b) < 40) return 0;
  const on = (v) => (v > high * 0.6 ? 1 : 0);
  return (on(r) | (on(g) << 1) | (on(b) << 2)) % 7;
}

function paletteShade(n) {
  if (n < 16) return n % 8 === 7 ? 0 : n % 8;
  if (n > 231) return 0;
  const level = (v) => (v ? 55 + v * 40 : 0);
  n -= 16;
  return shade(level(Math.floor(n / 36)), level(Math.floor(n / 6) % 6), level(n % 6));
}

// Pen is how the text that follows is to look. It lasts over lines, as on a terminal.
class Pen {
  colour = 0;
  bold = false;
  dim = false;
  under = false;

  plain() { return !this.colour && !this.bold && !this.dim && !this.under; }

  names() {
    return [this.colour && "c" + this.colour, this.bold && "b", this.dim && "d", this.under && "u"].filter(Boolean).join(" ");
  }

  // change follows the numbers of one "select graphic rendition".
  change(codes) {
    const all = codes.split(/[;:]/).map(Number);
    for (let i = 0; i < all.length; i++) {
      const n = all[i];
      if (n === 0) Object.assign(this, new Pen());
      else if (n === 1) this.bold = true;
      else if (n === 2) this.dim = true;
      else if (n === 4) this.under = true;
      else if (n === 22) this.bold = this.dim = false;
      else if (n === 24) this.under = false;
      else if (n === 39) this.colour = 0;
      else if (n >= 30 && n <= 37) this.colour = paletteShade(n - 30);
      else if (n >= 90 && n <= 97) this.colour = paletteShade(n - 90);
      else if (n === 38 || n === 48) {
        const found = all[i + 1] === 5 ? paletteShade(all[i + 2]) : shade(all[i + 2], all[i + 3], all[i + 4]);
        if (n === 38) this.colour = found;
        i += all[i + 1] === 5 ? 2 : 4;
      }
    }
  }
}

// write puts a line into an element, and returns its bare text.
function write(el, line, pen) {
  if (pen.plain() && !unseen.test(line)) {
    el.textContent = line;
    return line;
  }
  let bare = "";
  const put = (text) => {
    if (!text) return;
    text = text.replace(allUnseen, visible);
    bare += text;
    if (pen.plain()) {
      el.append(text);
      return;
    }
    const span = document.createElement("span");
    span.className = pen.names();
    span.textContent = text;
    el.append(span);
  };
  el.textContent = "";
  let from = 0;
  for (const m of line.matchAll(escapes)) {
    put(line.slice(from, m.index));
    from = m.index + m[0].length;
    if (m[2] === "m") pen.change(m[1]);
  }
  put(line.slice(from));
  return bare;
}
