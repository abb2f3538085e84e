export const escape = (text) =>
  text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);

export function rank(players) {
  const sorted = [...players].sort((a, b) => b.points - a.points || a.name.localeCompare(b.name));
  let place = 0;
  return sorted.map((p, i) => {
    if (i === 0 || p.points < sorted[i - 1].points) place = i + 1;
    return { ...p, place };
  });
}

export const page = (players) =>
  `<!doctype html><title>Board</title><ol>${rank(players)
    .map((p) => `<li value="${p.place}">${escape(p.name)}: ${p.points}`)
    .join("")}</ol>\n`;
