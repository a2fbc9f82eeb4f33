// The ground around the picture: the colours of the portrait's own border, fading into the dark.

export const COARSE = 16;  // pixels a side of the copy that colours are measured on

const NOTICED = 8;  // of 255: less is the picture's own noise, and no other ground
const EASING = 400;  // ms in which two thirds of a change are made
const DARKEST = 'rgb(0 0 0 / 50%)';
const THIRDS = [[0, 3], [6, 10], [13, 16]];  // rows at the picture's top, middle and bottom

const copy = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
copy.canvas.width = copy.canvas.height = COARSE;
copy.imageSmoothingQuality = 'high';

/** A coarse copy of a picture: RGBA of COARSE x COARSE pixels. */
export function glance(picture) {
  copy.drawImage(picture, 0, 0, COARSE, COARSE);
  return copy.getImageData(0, 0, COARSE, COARSE).data;
}

export class Ground {
  constructor() {
    this.colours = null;  // RGB of the left side, top to bottom, of the right, above, below
    this.goal = null;
    this.stepped = 0;
  }

  /** Take the colours of a picture's coarse copy, where they are others than before. */
  follow(coarse) {
    const seen = measure(coarse);
    this.colours ??= seen;
    const far = (value, i) => Math.abs(value - this.goal[i]) > NOTICED;
    if (this.goal === null || seen.some(far)) this.goal = seen;
  }

  /** Go on towards them; tells whether anything has changed. */
  step(now) {
    const passed = Math.min(100, now - this.stepped);
    this.stepped = now;
    if (this.goal === null) return false;
    const share = 1 - Math.exp(-passed / EASING);
    let changed = false;
    this.colours = this.colours.map((value, i) => {
      const left = this.goal[i] - value;
      if (left === 0) return value;
      changed = true;
      return Math.abs(left) < 0.5 ? this.goal[i] : value + share * left;
    });
    return changed;
  }

  css(place) {
    const [r, g, b] = this.colours.slice(3 * place, 3 * place + 3).map(Math.round);
    return `rgb(${r} ${g} ${b})`;
  }

  /** What a side of the picture, 0 left or 1 right, is painted with from y over h. */
  side(context, side, y, h) {
    const gradient = context.createLinearGradient(0, y, 0, y + h);
    [0.1, 0.5, 0.9].forEach((at, k) => gradient.addColorStop(at, this.css(3 * side + k)));
    return gradient;
  }

  /** Fill what a picture leaves of a screen: the picture's place is {x, y, w, h}. */
  paint(context, width, height, { x, y, w, h }) {
    const bar = (colour, left, top, wide, tall, from, to) => {
      context.fillStyle = colour;
      context.fillRect(left, top, wide, tall);
      const shade = context.createLinearGradient(...from, ...to);
      shade.addColorStop(0, 'rgb(0 0 0 / 0%)');
      shade.addColorStop(1, DARKEST);
      context.fillStyle = shade;
      context.fillRect(left, top, wide, tall);
    };
    const [right, below] = [x + w, y + h];
    if (x > 0) {
      bar(this.side(context, 0, y, h), 0, 0, x, height, [x, 0], [0, 0]);
      const rest = width - right;
      bar(this.side(context, 1, y, h), right, 0, rest, height, [right, 0], [width, 0]);
    }
    if (y > 0) {
      bar(this.css(6), 0, 0, width, y, [0, y], [0, 0]);
      bar(this.css(7), 0, below, width, height - below, [0, below], [0, height]);
    }
  }

  /** Strips that lead from the ground into the picture, where it does not fill the screen. */
  strips({ x, y, w, h }, depth) {
    const strip = (colour, left, top, wide, tall, from, to) => {
      const c = document.createElement('canvas').getContext('2d');
      [c.canvas.width, c.canvas.height] = [wide, tall];
      c.fillStyle = colour(c);
      c.fillRect(0, 0, wide, tall);
      const fade = c.createLinearGradient(...from, ...to);
      fade.addColorStop(0, '#000');
      fade.addColorStop(1, 'rgb(0 0 0 / 0%)');
      c.globalCompositeOperation = 'destination-in';
      c.fillStyle = fade;
      c.fillRect(0, 0, wide, tall);
      return { canvas: c.canvas, x: left, y: top };
    };
    const strips = [];
    if (x > 0) {
      strips.push(strip((c) => this.side(c, 0, 0, h), x, y, depth, h, [0, 0], [depth, 0]));
      const inner = x + w - depth;
      strips.push(strip((c) => this.side(c, 1, 0, h), inner, y, depth, h, [depth, 0], [0, 0]));
    }
    if (y > 0) {
      strips.push(strip(() => this.css(6), x, y, w, depth, [0, 0], [0, depth]));
      strips.push(strip(() => this.css(7), x, y + h - depth, w, depth, [0, depth], [0, 0]));
    }
    return strips;
  }
}

function measure(coarse) {
  const last = COARSE - 1;
  const median = (pixels) => [0, 1, 2].map((channel) => {
    const values = pixels.map(([x, y]) => coarse[4 * (COARSE * y + x) + channel]);
    return values.sort((a, b) => a - b)[values.length >> 1];
  });
  const rows = ([from, to]) => Array.from({ length: to - from }, (_, i) => from + i);
  const along = rows([0, COARSE]);
  return [
    ...[0, last].flatMap((x) => THIRDS.map((third) => rows(third).map((y) => [x, y]))),
    along.map((x) => [x, 0]),
    along.map((x) => [x, last]),
  ].flatMap(median);
}
