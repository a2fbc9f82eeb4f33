// ?debug=1: state, pictures a second, epoch, and where a frame spends its time, as bars.

const EVERY = 250;  // ms
const LATEST = 25;  // frames that a bar is the median of
const FULL = 300;  // ms, a bar from side to side
const STAGES = ['transport', 'decoding', 'waiting', 'total'];

const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];

export class Overlay {
  constructor(element, counters) {
    this.counters = counters;
    this.text = element.appendChild(document.createElement('pre'));
    this.bars = STAGES.map((name) => {
      const row = element.appendChild(document.createElement('div'));
      row.className = 'row';
      const [label, bar, value] = ['span', 'i', 'b'].map(
        (kind) => row.appendChild(document.createElement(kind)));
      label.textContent = name;
      return { bar, value, spent: [] };
    });
    this.updated = 0;
    element.hidden = false;
  }

  /** A frame is drawn at `now`, ms of performance.now. */
  add(frame, now) {
    const sent = 1000 * frame.stamp - (Date.now() - performance.now());
    const spent = [
      frame.arrived - sent, frame.decoded - frame.arrived, now - frame.decoded, now - sent,
    ];
    this.bars.forEach((bar, i) => {
      bar.spent.push(spent[i]);
      if (bar.spent.length > LATEST) bar.spent.shift();
    });
  }

  update(now) {
    if (now - this.updated < EVERY) return;
    this.updated = now;
    const c = this.counters;
    this.text.textContent = [
      `state    ${c.calm > 0 ? 'no pictures: calm still' : c.state}`,
      `fps      ${c.calm > 0 ? 0 : c.fps}`,
      `epoch    ${c.epoch}`,
      `frame    ${c.index} (sound ${c.heard}, skew ${c.skew})`,
      `sound    ${c.audio}, ${Math.round(c.buffered * 1000)} ms ahead, moved ${c.moved}`,
      `left out ${c.skipped} skipped, ${c.stale} stale, ${c.late} late`,
      `stream   ${c.connected ? 'open' : 'lost'}, ${c.connections} connections`,
      'latency',
    ].join('\n');
    for (const { bar, value, spent } of this.bars) {
      if (spent.length === 0) continue;
      const milliseconds = median(spent);
      bar.style.width = `${Math.max(0, Math.min(1, milliseconds / FULL)) * 12}em`;
      value.textContent = `${Math.round(milliseconds)} ms`;
    }
  }
}
