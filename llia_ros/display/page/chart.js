// Latency over time: p50 and p95 of a stage, and a mark for every second with late frames.

const SPAN = [60, 300];  // s, the shortest and the longest
const LEFT = 54;  // px
const BELOW = 22;
const COLOURS = { p50: '#6fb7d6', p95: '#e0b45c', late: '#e0796b', line: '#2a333c', text: '#93a1ae' };
const FONT = '12px system-ui, "DejaVu Sans", sans-serif';

export class Chart {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext('2d');
    this.points = [];
    this.stage = '';
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  begin(points) {
    this.points = points.slice();
    this.draw();
  }

  add(point) {
    this.points.push(point);
    while (this.points[0].time < point.time - SPAN[1]) this.points.shift();
    this.draw();
  }

  /** Stages that were ever measured within the span. */
  stages() {
    return [...new Set(this.points.flatMap((point) => Object.keys(point.stages)))];
  }

  choose(stage) {
    this.stage = stage;
    this.draw();
  }

  draw() {
    const { canvas, context: c } = this;
    const width = canvas.clientWidth;
    const height = canvas.clientHeight;
    canvas.width = Math.round(width * devicePixelRatio);
    canvas.height = Math.round(height * devicePixelRatio);
    c.scale(devicePixelRatio, devicePixelRatio);
    c.font = FONT;
    const bottom = height - BELOW;
    const measured = this.points.filter((point) => point.stages[this.stage]);
    const most = Math.max(1, ...measured.map((point) => point.stages[this.stage][1]));
    const step = nice(most / 3);
    const top = step * Math.ceil(most * 1.05 / step);
    const y = (value) => bottom - (bottom - 8) * value / top;
    const end = this.points.length ? this.points[this.points.length - 1].time : 0;
    const age = this.points.length ? end - this.points[0].time : 0;
    const span = Math.max(SPAN[0], Math.min(SPAN[1], age));
    const x = (time) => width - 6 - (width - LEFT - 6) * (end - time) / span;

    c.strokeStyle = COLOURS.line;
    c.fillStyle = COLOURS.text;
    c.lineWidth = 1;
    c.textAlign = 'right';
    c.textBaseline = 'middle';
    if (measured.length === 0) {
      c.textAlign = 'center';
      c.fillText('Nothing measured yet. Let the face speak.', width / 2, height / 2);
      return;
    }
    for (let value = 0; value <= top + step / 2; value += step) {
      rule(c, LEFT, y(value), width, y(value));
      c.fillText(value === 0 ? 'ms' : String(Number(value.toPrecision(3))), LEFT - 8, y(value));
    }
    c.textAlign = 'center';
    const mark = span > 150 ? 60 : 20;
    for (let ago = mark; ago < span; ago += mark) {
      const text = mark === 60 ? `${ago / 60} min ago` : `${ago} s ago`;
      c.fillText(text, x(end - ago), bottom + 13);
    }
    c.textAlign = 'right';
    c.fillText('now', width - 6, bottom + 13);
    c.fillStyle = COLOURS.late;
    this.points.forEach((point, k) => {
      if (k > 0 && point.late > this.points[k - 1].late) c.fillRect(x(point.time) - 1, bottom - 7, 2, 7);
    });
    this.trace(measured, x, (point) => y(point.stages[this.stage][1]), COLOURS.p95);
    this.trace(measured, x, (point) => y(point.stages[this.stage][0]), COLOURS.p50);
  }

  trace(points, x, y, colour) {
    const c = this.context;
    c.strokeStyle = colour;
    c.lineWidth = 2;
    c.lineJoin = 'round';
    c.beginPath();
    let last = -Infinity;
    for (const point of points) {
      // A gap where the avatar was silent for long, or gone.
      if (point.time - last > 5) c.moveTo(x(point.time) - 1, y(point));
      c.lineTo(x(point.time), y(point));
      last = point.time;
    }
    c.stroke();
  }
}

function rule(c, x1, y1, x2, y2) {
  c.beginPath();
  c.moveTo(x1, Math.round(y1) + .5);
  c.lineTo(x2, Math.round(y2) + .5);
  c.stroke();
}

/** The next larger of 1, 2, 5 times a power of ten. */
function nice(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= value * .999);
}
