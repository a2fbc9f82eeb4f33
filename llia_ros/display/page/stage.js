// The screen: the picture as large as it fits, its border carried on into the dark.

const DARKEST = 'rgb(0 0 0 / 72%)';
const EDGE = 4;  // columns or rows of the picture that are drawn out,
const COARSE = 16;  // made that coarse along the edge: its grain would be drawn out to stripes

const REST = 500;  // ms for which the bars beside a picture stay: they are dear and hardly change

export class Stage {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext('2d', { alpha: false });
    this.small = document.createElement('canvas').getContext('2d', { alpha: false });
    this.small.canvas.width = this.small.canvas.height = COARSE;
    this.small.imageSmoothingQuality = 'high';
    this.last = null;
    this.resize();
    addEventListener('resize', () => this.resize());
  }

  /** Draw a picture; it is kept for redrawing until the next one comes. */
  show(bitmap) {
    if (this.last !== null && this.last !== bitmap) this.last.close();
    this.last = bitmap;
    this.draw();
  }

  resize() {
    this.canvas.width = Math.round(innerWidth * devicePixelRatio);
    this.canvas.height = Math.round(innerHeight * devicePixelRatio);
    // Plain scaling: a browser without a graphics card takes a third of a core for a finer one.
    this.context.imageSmoothingQuality = 'low';
    this.barred = -Infinity;
    this.context.fillStyle = '#0b0d10';
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    if (this.last !== null) this.draw();
  }

  draw() {
    const { width, height } = this.canvas;
    const picture = this.last;
    const scale = Math.min(width / picture.width, height / picture.height);
    const w = Math.round(picture.width * scale);
    const h = Math.round(picture.height * scale);
    const x = Math.floor((width - w) / 2);
    const y = Math.floor((height - h) / 2);
    const right = width - x - w;
    const below = height - y - h;
    const far = [picture.width - EDGE, picture.height - EDGE];
    const c = this.context;
    c.drawImage(picture, x, y, w, h);
    const now = performance.now();
    if (now - this.barred < REST) return;
    this.barred = now;
    if (x > 0) {
      this.drawOut([0, 0, EDGE, picture.height], 0, y, x, h);
      this.drawOut([far[0], 0, EDGE, picture.height], x + w, y, right, h);
      this.darken([x, 0, 0, 0], 0, y, x, h);
      this.darken([x + w, 0, width, 0], x + w, y, right, h);
    }
    if (y > 0) {
      this.drawOut([0, 0, picture.width, EDGE], x, 0, w, y);
      this.drawOut([0, far[1], picture.width, EDGE], x, y + h, w, below);
      this.darken([0, y, 0, 0], x, 0, w, y);
      this.darken([0, y + h, 0, height], x, y + h, w, below);
    }
  }

  /** Fill a bar with an edge of the picture, made coarse on the way. */
  drawOut(edge, x, y, w, h) {
    this.small.drawImage(this.last, ...edge, 0, 0, COARSE, COARSE);
    this.context.drawImage(this.small.canvas, 1, 1, COARSE - 2, COARSE - 2, x, y, w, h);
  }

  /** Shade a bar from the picture's side (first point) to the screen's edge (second point). */
  darken([fromX, fromY, toX, toY], x, y, w, h) {
    const gradient = this.context.createLinearGradient(fromX, fromY, toX, toY);
    gradient.addColorStop(0, 'rgb(0 0 0 / 0%)');
    gradient.addColorStop(1, DARKEST);
    this.context.fillStyle = gradient;
    this.context.fillRect(x, y, w, h);
  }
}
