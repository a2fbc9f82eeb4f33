// The screen: the picture as large as wished, turned as wished, on its own ground; and the change
// between the living picture and a calm still.
import { Ground } from './ground.js';

const DARK = '#0b0d10';  // before there is any picture
const FEATHER = 0.03;  // of the picture, that its edge takes to become the ground
const TO_REST = 700;  // ms
const TO_LIFE = 250;  // ms
const BREATH = 7000;  // ms
const DEPTH = 0.012;  // by which a breath makes the still larger
const BREATHING = 50;  // ms between two pictures of it

export class Stage {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext('2d', { alpha: false });
    this.ground = new Ground();
    this.settings = { fit: 'contain', rotate: 0 };
    this.living = null;
    this.still = null;
    this.calm = 0;  // 0: the living picture is seen, 1: the still
    this.resting = false;
    this.drawn = 0;
    this.breathless = matchMedia('(prefers-reduced-motion: reduce)');
    this.resize();
    addEventListener('resize', () => this.resize());
  }

  /** Change how the picture lies on the screen. */
  settle(settings) {
    this.settings = settings;
    document.documentElement.dataset.rotate = settings.rotate;
    this.resize();
  }

  /** A living picture, kept until the next one comes. */
  show(bitmap) {
    if (this.living !== null) this.living.close();
    this.living = bitmap;
    this.resting = false;
    this.stale = true;
  }

  /** No living picture came: ease to a still (canvas or bitmap), or null if there is none. */
  rest(still) {
    if (this.resting || still === null) return;
    [this.still, this.resting, this.since] = [still, true, performance.now()];
  }

  resize() {
    this.canvas.width = Math.round(innerWidth * devicePixelRatio);
    this.canvas.height = Math.round(innerHeight * devicePixelRatio);
    // Plain scaling: a browser without a graphics card takes a third of a core for a finer one.
    this.context.imageSmoothingQuality = 'low';
    this.context.fillStyle = DARK;
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    this.strips = null;
    this.stale = true;
  }

  /** Bring the screen up to date, on every animation frame. */
  draw(now) {
    const passed = now - this.drawn;
    const changes = this.resting ? this.calm < 1 : this.calm > 0;
    const breathes = this.resting && !this.breathless.matches && passed > BREATHING;
    if (this.living === null && this.still === null) return;
    if (!(this.stale || changes || breathes)) return;
    this.drawn = now;
    this.stale = false;
    const step = Math.min(passed, BREATHING) / (this.resting ? TO_REST : -TO_LIFE);
    this.calm = this.living === null ? 1 : Math.max(0, Math.min(1, this.calm + step));
    const coloured = this.ground.step(now) || this.strips === null;
    const c = this.context;
    const { width, height } = this.canvas;
    const lying = this.settings.rotate % 180 !== 0;
    c.setTransform(1, 0, 0, 1, width / 2, height / 2);
    c.rotate(this.settings.rotate * Math.PI / 180);
    if (lying) c.translate(-height / 2, -width / 2);
    else c.translate(-width / 2, -height / 2);
    this.paint(...(lying ? [height, width] : [width, height]), now, coloured);
  }

  paint(width, height, now, coloured) {
    const c = this.context;
    const place = this.place(width, height);
    if (coloured && this.ground.colours !== null) {
      this.ground.paint(c, width, height, place);
      this.strips = this.ground.strips(place, Math.round(FEATHER * place.w));
    }
    // Slow at both ends of the change.
    const alpha = this.calm * this.calm * (3 - 2 * this.calm);
    if (alpha < 1) c.drawImage(this.living, place.x, place.y, place.w, place.h);
    if (alpha > 0) this.breathe(place, alpha, now - this.since);
    for (const { canvas, x, y } of this.strips ?? []) c.drawImage(canvas, x, y);
  }

  /** Where the picture lies on a screen. */
  place(width, height) {
    const picture = this.living ?? this.still;
    const choose = this.settings.fit === 'cover' ? Math.max : Math.min;
    const scale = choose(width / picture.width, height / picture.height);
    const [w, h] = [Math.round(picture.width * scale), Math.round(picture.height * scale)];
    return { x: Math.floor((width - w) / 2), y: Math.floor((height - h) / 2), w, h };
  }

  /** Draw the still, which breathes very slowly: that is a face, and no broken screen. */
  breathe({ x, y, w, h }, alpha, age) {
    const c = this.context;
    const breath = this.breathless.matches ? 0 : (1 - Math.cos(2 * Math.PI * age / BREATH)) / 2;
    const [dx, dy] = [w * DEPTH * breath / 2, h * DEPTH * breath / 2];
    c.save();
    c.beginPath();
    c.rect(x, y, w, h);
    c.clip();
    c.globalAlpha = alpha;
    c.drawImage(this.still, x - dx, y - dy, w + 2 * dx, h + 2 * dy);
    c.restore();
  }
}
