// The pad: where on it a finger is, there the face looks.

const REACH = 0.577;  // m at one metre: tan 30 degrees, as far aside as the eyes go
const PACE = 100;  // ms between two points that are told
const STEP = 0.1;  // of an arrow key, of half the pad

export class Pad {
  /** `onPoint(x, y, z)`: a point in the frame `face`, metres. */
  constructor(pad, onPoint) {
    this.pad = pad;
    this.gaze = pad.querySelector('#gaze');
    this.onPoint = onPoint;
    this.at = [0, 0];
    this.toldAt = -Infinity;
    this.later = 0;
    pad.addEventListener('pointerdown', (event) => {
      pad.setPointerCapture(event.pointerId);
      pad.classList.add('held');
      this.follow(event);
    });
    pad.addEventListener('pointermove', (event) => {
      if (pad.hasPointerCapture(event.pointerId)) this.follow(event);
    });
    for (const end of ['pointerup', 'pointercancel']) {
      pad.addEventListener(end, () => this.release());
    }
    pad.addEventListener('keydown', (event) => this.step(event));
    pad.addEventListener('blur', () => { if (this.at.some(Boolean)) this.release(); });
  }

  follow(event) {
    const box = this.pad.getBoundingClientRect();
    this.move(
      2 * (event.clientX - box.left) / box.width - 1,
      1 - 2 * (event.clientY - box.top) / box.height,
    );
  }

  step(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const step = steps[event.key];
    if (event.key === 'Home') this.release();
    if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    this.move(this.at[0] + STEP * step[0], this.at[1] + STEP * step[1]);
  }

  release() {
    this.pad.classList.remove('held');
    this.move(0, 0);
  }

  /** Right and up, -1 .. 1. */
  move(right, up) {
    this.at = [right, up].map((value) => Math.max(-1, Math.min(1, value)));
    this.show();
    clearTimeout(this.later);
    const wait = this.toldAt + PACE - performance.now();
    if (wait <= 0) this.tell();
    else this.later = setTimeout(() => this.tell(), wait);
  }

  tell() {
    this.toldAt = performance.now();
    // The face's left, where y grows, is the viewer's right.
    this.onPoint(1, ...this.at.map((value) => Number((REACH * value).toFixed(3))));
  }

  show() {
    this.gaze.style.left = `${50 + 50 * this.at[0]}%`;
    this.gaze.style.top = `${50 - 50 * this.at[1]}%`;
  }
}
