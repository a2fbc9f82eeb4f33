// The live view of the face: the kiosk page's stream and player, silent until asked.
import { Player } from './player.js';
import { connect } from './stream.js';

export class View {
  /** `tell` gets what keeps the view from being live, or an empty line. */
  constructor(canvas, tell) {
    const context = canvas.getContext('2d', { alpha: false });
    this.counters = { pictures: 0, sounds: 0, skipped: 0, stale: 0, late: 0, moved: 0, scheduled: 0 };
    // The kiosk page measures what is seen and heard; this view would only blur its figures.
    this.player = new Player(this.counters, { cut() {} });
    this.player.output.gain.value = 0;
    this.drawn = 0;
    this.waiting = false;
    connect({
      onOpen: () => {
        this.player.restart();
        tell('Waiting for the face.');
        this.waiting = true;
      },
      onClose: () => tell('No connection to the display. Trying again.'),
      onItem: (item) => this.player.take(item),
    });
    const draw = () => {
      requestAnimationFrame(draw);
      const frame = this.player.due();
      if (frame === null) return;
      context.drawImage(frame.bitmap, 0, 0, canvas.width, canvas.height);
      frame.bitmap.close();
      this.drawn += 1;
      if (this.waiting) tell('');
      this.waiting = false;
    };
    requestAnimationFrame(draw);
  }

  /** Let the voice be heard here; from a gesture, or browsers refuse. */
  hear(wanted) {
    this.player.output.gain.value = wanted ? 1 : 0;
    this.player.wake();
  }
}
