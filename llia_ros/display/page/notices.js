// Lines that come up, are read out, and go.

const STAY = 5000;  // ms
const MOST = 3;

/** Show a line; `bad` for what went wrong. The same line is not shown twice at once. */
export function notice(line, bad = false) {
  const log = document.getElementById('notices');
  for (const shown of log.children) if (shown.textContent === line) shown.remove();
  const p = document.createElement('p');
  p.textContent = line;
  p.classList.toggle('bad', bad);
  log.append(p);
  while (log.children.length > MOST) log.firstChild.remove();
  setTimeout(() => p.remove(), STAY);
}
