// One clock for sound and picture: the frame's index on the timeline of Web Audio.
//
// Sound blocks are scheduled on the AudioContext's timeline by their index; the picture drawn is
// the one whose sound is just leaving the loudspeaker. Where the browser keeps the context
// suspended until somebody taps, the same timeline runs on performance.now and pictures play
// silently.

const RATE = 16000;
const FRAME = 0.04;  // s
const LEAD = 0.04;  // s from the arrival of a block to its sound: what the network may be late
const CUSHION = 0.02;  // s that the latest block of a window should have been early
const WORTHWHILE = 0.005;  // s; less is not worth a move
const FADE = 0.004;  // s in which a voice that is cut off fades: without, it clicks
const EARLY = 0.008;  // s, half of what the screen takes: so lips are as often before as after
const WINDOW = 50;  // blocks, two seconds
const SUDDEN = 0.5;  // s; a frame that far ahead belongs to a sender that jumped
const MOST_PICTURES = 25;
const MOST_DECODING = 4;

export class Player {
  constructor(counters, meter) {
    this.counters = counters;
    this.meter = meter;
    this.context = newContext();
    this.output = this.context.createGain();
    this.output.connect(this.context.destination);
    this.context.onstatechange = () => this.forget();
    this.sources = new Set();
    this.pictures = new Map();
    this.decoding = 0;
    this.advanced = { time: -1, at: 0 };
    this.restart();
  }

  /** Forget everything but the picture on the screen: a new connection counts anew. */
  restart() {
    this.epoch = -1;
    this.forget();
  }

  /** Stop all sound and drop all pictures that are still to come. */
  forget() {
    this.fade();
    for (const frame of this.pictures.values()) frame.bitmap.close();
    this.pictures.clear();
    this.origin = null;  // time at which frame 0 starts, on the clock of now()
    this.shown = -Infinity;
    this.ended = null;  // where the last sound that was scheduled ends, on the context's clock
    this.soundAt = -Infinity;
    this.resetSlack();
  }

  /** Let what plays fall silent, and nothing of it begin any more. */
  fade() {
    const now = this.context.currentTime;
    for (const source of this.sources) source.stop(now + 4 * FADE);
    this.sources.clear();
    this.voice?.gain.setTargetAtTime(0, now, FADE);
    this.voice = this.context.createGain();
    this.voice.connect(this.output);
  }

  wake() {
    if (this.context.state !== 'running') this.context.resume();
  }

  /** Is there sound that the browser does not let us play? */
  silent() {
    this.counters.audio = this.context.state;
    return this.counters.sounds > 0 && this.context.state !== 'running';
  }

  /** Seconds on the clock that leads: the loudspeaker's if it runs, else the browser's. */
  now() {
    const wall = performance.now() / 1000;
    if (this.context.state !== 'running') return wall;
    const time = this.context.currentTime;
    if (time !== this.advanced.time) this.advanced = { time, at: wall };
    return time;
  }

  /** Does the sound device move? One that was pulled out reports 'running' and stands still. */
  stuck() {
    return this.context.state === 'running' && performance.now() / 1000 - this.advanced.at > 1;
  }

  take(item) {
    if (item.epoch < this.epoch) {
      this.counters.stale += 1;
      return;
    }
    if (item.epoch > this.epoch) {
      if (this.epoch >= 0) this.meter.cut(item.epoch, this.silentAt());
      this.forget();
      this.epoch = item.epoch;
      this.counters.epoch = item.epoch;
    }
    if (item.picture) this.takePicture(item);
    else if (!item.cut) this.takeSound(item);
  }

  /** performance.now when what has that time on the context's clock leaves the loudspeaker. */
  leavesAt(time) {
    const { contextTime, performanceTime } = this.context.getOutputTimestamp();
    if (performanceTime > 0) return performanceTime + 1000 * (time - contextTime);
    return performance.now() + 1000 * (time + this.latency() - this.context.currentTime);
  }

  /** performance.now when a frame's sound leaves the loudspeaker; null where none is played. */
  heardAt(index) {
    if (this.context.state !== 'running' || this.ended === null) return null;
    return this.leavesAt(this.origin + index * FRAME);
  }

  /** performance.now when the last sound leaves if everything is stopped now, or null. */
  silentAt() {
    if (this.context.state !== 'running' || this.ended === null) return null;
    return this.leavesAt(Math.min(this.context.currentTime, this.ended));
  }

  /** Seconds from the context to the loudspeaker. */
  latency() {
    return this.context.outputLatency || this.context.baseLatency || 0;
  }

  takeSound(item) {
    this.counters.sounds += 1;
    this.soundAt = performance.now() / 1000;
    const samples = new Int16Array(item.data);
    this.place(item.index, samples.every((sample) => Math.abs(sample) < 50));
    if (this.context.state === 'running') this.schedule(item.index, samples);
  }

  schedule(index, samples) {
    const time = Math.round((this.origin + index * FRAME) * RATE) / RATE;
    if (time < this.context.currentTime || samples.length === 0) return;
    const buffer = this.context.createBuffer(1, samples.length, RATE);
    buffer.copyToChannel(Float32Array.from(samples, (sample) => sample / 32768), 0);
    const source = this.context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.voice);
    source.onended = () => this.sources.delete(source);
    this.sources.add(source);
    source.start(time);
    this.ended = time + buffer.duration;
    this.counters.scheduled += 1;
  }

  async takePicture(item) {
    this.counters.pictures += 1;
    const arrived = performance.now();
    // A still picture is a valid source, too: without sound the pictures themselves set the pace.
    if (performance.now() / 1000 - this.soundAt > SUDDEN) this.place(item.index, true);
    if (this.decoding >= MOST_DECODING) {
      this.counters.skipped += 1;
      return;
    }
    this.decoding += 1;
    let bitmap;
    try {
      bitmap = await createImageBitmap(new Blob([item.data], { type: 'image/jpeg' }));
    } catch {
      this.counters.skipped += 1;
      return;
    } finally {
      this.decoding -= 1;
    }
    if (item.epoch !== this.epoch || item.index <= this.shown) {
      this.counters[item.epoch !== this.epoch ? 'stale' : 'late'] += 1;
      bitmap.close();
      return;
    }
    this.pictures.get(item.index)?.bitmap.close();
    this.pictures.set(item.index, { ...item, bitmap, arrived, decoded: performance.now() });
    if (this.pictures.size > MOST_PICTURES) this.drop(Math.min(...this.pictures.keys()));
  }

  /** Fit the timeline to a frame that arrives now; it may move back only in silence. */
  place(index, quiet) {
    const now = this.now();
    if (this.origin === null) this.origin = now + LEAD - index * FRAME;
    let slack = this.origin + index * FRAME - now;
    if (slack < 0.005 || slack > SUDDEN) {
      this.move(LEAD - slack);
      this.resetSlack();
      slack = LEAD;
    }
    this.counters.buffered = slack;
    this.leastSlack = Math.min(this.leastSlack, slack);
    this.blocks += 1;
    if (this.blocks < WINDOW || !quiet) return;
    if (this.leastSlack > CUSHION + WORTHWHILE) this.move(CUSHION - this.leastSlack);
    this.resetSlack();
  }

  move(seconds) {
    this.origin += seconds;
    this.counters.moved += 1;
  }

  resetSlack() {
    this.leastSlack = Infinity;
    this.blocks = 0;
  }

  /** The picture to draw now, or null where the one on the screen is still right. */
  due() {
    if (this.origin === null) return null;
    const latency = this.context.state === 'running' ? this.latency() : 0;
    const now = this.now();
    let heard = Math.floor((now + EARLY - latency - this.origin) / FRAME);
    if (this.stuck()) heard = Infinity;
    this.counters.heard = heard;
    this.counters.skew = Math.max(0, Math.min(heard - this.shown, 999));
    let best = null;
    for (const index of this.pictures.keys()) {
      if (index <= heard && (best === null || index > best)) best = index;
    }
    if (best === null) return null;
    const frame = this.pictures.get(best);
    this.pictures.delete(best);
    for (const index of [...this.pictures.keys()]) if (index < best) this.drop(index);
    this.shown = best;
    this.counters.skew = Math.min(heard - best, 999);
    return frame;
  }

  drop(index) {
    this.pictures.get(index).bitmap.close();
    this.pictures.delete(index);
    this.counters.skipped += 1;
  }
}

function newContext() {
  try {
    // At the sound's own rate blocks join without resampling, sample by sample.
    return new AudioContext({ sampleRate: RATE, latencyHint: 'interactive' });
  } catch {
    return new AudioContext();
  }
}
