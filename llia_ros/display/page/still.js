// What is shown while no pictures come: the latest calm picture of this very face.
//
// Calm is a picture of a face that has not spoken for a while and looks as it mostly does, so that
// it is not kept with eyes that happen to be shut. One is kept in the browser as well, for a page
// that is opened before the face is there.

const SILENT = 12;  // pictures that are no longer of somebody who speaks, half a second
const MEMORY = 0.3;  // share of the newest picture in what the face mostly looks like
const USUAL = 1.3;  // times the usual distance from that
const REFUSED = 3;  // in turn: the face itself has changed
const OTHER_FACE = 14;  // of 255, from the still to a picture of another portrait
const KEY = 'llia still';

const distance = (one, other) => (
  one.reduce((sum, value, i) => sum + Math.abs(value - other[i]), 0) / one.length);

export class Still {
  constructor() {
    this.copy = document.createElement('canvas').getContext('2d');
    this.silent = 0;
    this.coarse = null;  // of the picture that is kept
    this.kept = null;  // of the one that the browser keeps
    this.last = null;  // of the last living picture
    this.mean = null;
    this.usual = 0;
    this.refused = 0;
  }

  /** Every picture that is drawn. */
  count(frame) {
    this.silent = frame.state === 'speaking' ? 0 : this.silent + 1;
  }

  /** A picture with its coarse copy, now and then. */
  offer(frame, coarse) {
    this.last = coarse;
    if (this.silent < SILENT || !this.typical(coarse)) return;
    const { canvas } = this.copy;
    const { width, height } = frame.bitmap;
    if (canvas.width !== width || canvas.height !== height) {
      [canvas.width, canvas.height] = [width, height];
    }
    this.copy.drawImage(frame.bitmap, 0, 0);
    this.coarse = coarse;
    if (this.kept === null || distance(this.kept, coarse) > OTHER_FACE) this.keep(frame.data);
  }

  typical(coarse) {
    if (this.mean === null || this.refused >= REFUSED) {
      [this.mean, this.usual, this.refused] = [Array.from(coarse), 0, 0];
      return true;
    }
    const far = distance(coarse, this.mean);
    const typical = far <= USUAL * this.usual + 0.5;
    this.refused = typical ? 0 : this.refused + 1;
    this.usual += MEMORY * (far - this.usual);
    this.mean = this.mean.map((value, i) => value + MEMORY * (coarse[i] - value));
    return typical;
  }

  /** The still as a canvas; null if none is known of the face that was last seen. */
  picture() {
    if (this.coarse === null) return null;
    if (this.last !== null && distance(this.last, this.coarse) > OTHER_FACE) return null;
    return this.copy.canvas;
  }

  keep(jpeg) {
    this.kept = this.coarse;
    try {
      const bytes = new Uint8Array(jpeg);
      localStorage.setItem(KEY, btoa(Array.from(bytes, (b) => String.fromCharCode(b)).join('')));
    } catch {
      // A browser that keeps nothing has no still before the first picture: that is all.
    }
  }

  /** Take up the still that the browser keeps; tells whether there was one. */
  async recall(glance) {
    try {
      const text = atob(localStorage.getItem(KEY) ?? '');
      if (text === '') return false;
      const data = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
      const bitmap = await createImageBitmap(new Blob([data], { type: 'image/jpeg' }));
      if (this.coarse !== null) return false;
      const { canvas } = this.copy;
      [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
      this.copy.drawImage(bitmap, 0, 0);
      this.coarse = this.kept = glance(bitmap);
      return true;
    } catch {
      return false;
    }
  }
}
