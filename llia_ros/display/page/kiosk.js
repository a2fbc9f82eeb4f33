// The kiosk page: receives pictures and sound of a face and shows them on one clock.
import { Meter } from './meter.js';
import { Player } from './player.js';
import { Stage } from './stage.js';
import { connect } from './stream.js';

// Figures for tests and for ?debug=1.
const counters = {
  connected: false, connections: 0, state: '', epoch: -1, index: -1, heard: -1,
  pictures: 0, sounds: 0, drawn: 0, skipped: 0, stale: 0, late: 0, moved: 0,
  scheduled: 0, buffered: 0, skew: 0, latency: 0, fps: 0, audio: '',
};
const stage = new Stage(document.getElementById('stage'));
let send = () => {};
const meter = new Meter((report) => send(report));
const player = new Player(counters, meter);
window.llia = counters;
window.llia.output = player.output;

connect({
  onOpen(sender) {
    send = sender;
    counters.connected = true;
    counters.connections += 1;
    meter.forget();
    player.restart();
  },
  onClose() {
    counters.connected = false;
  },
  onItem(item) {
    player.take(item);
  },
});

const hint = document.getElementById('hint');
for (const gesture of ['pointerdown', 'keydown']) {
  addEventListener(gesture, () => player.wake());
}

const debug = document.getElementById('debug');
debug.hidden = new URLSearchParams(location.search).get('debug') !== '1';

const shown = [];

function draw() {
  requestAnimationFrame(draw);
  if (hint.hidden === player.silent()) hint.hidden = !hint.hidden;
  const frame = player.due();
  if (frame === null) return;
  stage.show(frame.bitmap);
  meter.show(frame, player.heardAt(frame.index));
  shown.push(performance.now());
  while (shown[0] < performance.now() - 1000) shown.shift();
  counters.fps = shown.length;
  counters.drawn += 1;
  counters.index = frame.index;
  counters.state = frame.state;
  counters.latency = Math.round(Date.now() - frame.stamp * 1000);
  if (!debug.hidden) debug.textContent = describe();
}

function describe() {
  const c = counters;
  return [
    `state    ${c.state}`,
    `fps      ${c.fps}`,
    `latency  ${c.latency} ms`,
    `epoch    ${c.epoch}`,
    `frame    ${c.index} (sound ${c.heard}, skew ${c.skew})`,
    `sound    ${c.audio}, ${Math.round(c.buffered * 1000)} ms ahead, moved ${c.moved}`,
    `left out ${c.skipped} skipped, ${c.stale} stale, ${c.late} late`,
  ].join('\n');
}

requestAnimationFrame(draw);
