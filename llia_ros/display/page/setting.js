// A setting that is changed here and elsewhere: what is told while a change of ours is on its way
// is older than that, and has to wait.

const LAG = 1000;  // ms by which the telling may come after the answer

export class Setting {
  /** `show(value)` shows what holds now; null where nobody has told it yet. */
  constructor(show) {
    this.show = show;
    this.told = null;
    this.changes = 0;
  }

  tell(value) {
    this.told = value;
    if (this.changes === 0) this.show(value);
  }

  /** What the page shows already stands until it is answered; then what holds is shown. */
  async change(answered) {
    this.changes += 1;
    await answered;
    await new Promise((done) => { setTimeout(done, LAG); });
    this.changes -= 1;
    if (this.changes === 0) this.show(this.told);
  }
}
