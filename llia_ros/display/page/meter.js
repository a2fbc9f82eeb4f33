// The page's own measurements: when each frame was drawn and heard, told to the display.
//
// A report is JSON: {frames: [[index, epoch, stamp, arrived, decoded, drawn, heard], ...],
// cuts: [[epoch, drawn, heard], ...]}. `stamp` is the frame's own, in seconds; `arrived` and so on
// are ms after it, null where nothing was to be heard. A cut is the end of what an epoch before
// `epoch` showed and played: its last picture and its last sound, in seconds.

const FRAMES = 10;  // a report, so that there are 2.5 a second
const MOST_FRAMES = 20;
const MOST_CUTS = 4;
const DRIFT = 5;  // ms that the two clocks may part

export class Meter {
  constructor(tell) {
    this.tell = tell;
    this.offset = Date.now() - performance.now();
    this.forget();
  }

  /** A new connection: what was measured before it says nothing. */
  forget() {
    this.frames = [];
    this.cuts = [];
    this.drawn = null;
  }

  /** ms of performance.now as seconds of the clock that stamps are from. */
  wall(milliseconds) {
    return (milliseconds + this.offset) / 1000;
  }

  /** A frame is on the screen; `heard`: performance.now when its sound leaves, or null. */
  show(frame, heard) {
    const now = performance.now();
    const after = (moment) => (
      moment === null ? null : Number((1000 * (this.wall(moment) - frame.stamp)).toFixed(2)));
    this.drawn = now;
    this.frames.push([
      frame.index, frame.epoch, frame.stamp,
      after(frame.arrived), after(frame.decoded), after(now), after(heard),
    ]);
    if (this.frames.length >= FRAMES) this.report();
  }

  /** `epoch` begins: nothing older is drawn; `heard`: when the last older sound leaves, or null. */
  cut(epoch, heard) {
    if (this.drawn === null) return;
    const seconds = (moment) => (moment === null ? null : Number(this.wall(moment).toFixed(5)));
    this.cuts.push([epoch, seconds(this.drawn), seconds(heard)]);
    this.drawn = null;
  }

  report() {
    this.tell(JSON.stringify({
      frames: this.frames.slice(-MOST_FRAMES), cuts: this.cuts.slice(-MOST_CUTS),
    }));
    this.frames = [];
    this.cuts = [];
    const offset = Date.now() - performance.now();
    if (Math.abs(offset - this.offset) > DRIFT) this.offset = offset;
  }
}
