// The kiosk page: receives pictures and sound of a face and shows them on one clock.
import { Overlay } from './debug.js';
import { glance } from './ground.js';
import { Meter } from './meter.js';
import { Player } from './player.js';
import { behave } from './screen.js';
import { readSettings } from './settings.js';
import { Stage } from './stage.js';
import { Still } from './still.js';
import { connect } from './stream.js';

const LOST = 800;  // ms without a picture from which on the still is shown,
const GONE = 300;  // and without a connection
const GLANCE = 1000;  // ms between two looks at the picture's colours

// Figures for tests and for ?debug=1.
const counters = {
  connected: false, connections: 0, state: '', epoch: -1, index: -1, heard: -1,
  pictures: 0, sounds: 0, drawn: 0, skipped: 0, stale: 0, late: 0, moved: 0,
  scheduled: 0, buffered: 0, skew: 0, latency: 0, fps: 0, audio: '', calm: 0,
  still: false,  // is a calm picture of this face known?
  since: 0,  // when the living face was last back, ms since 1970
};
const stage = new Stage(document.getElementById('stage'));
const still = new Still();
let send = () => {};
const meter = new Meter((report) => send(report));
const player = new Player(counters, meter);
window.llia = counters;
window.llia.output = player.output;

const settle = () => readSettings().then((settings) => stage.settle(settings));
settle();
still.recall(glance).then((known) => known && stage.ground.follow(still.coarse));

let newest = null;  // stamp of the newest picture
let first = false;  // is the next picture the first of its connection?
connect({
  onOpen(sender) {
    send = sender;
    first = true;
    counters.connected = true;
    counters.connections += 1;
    meter.forget();
    player.restart();
    if (counters.connections > 1) settle();
  },
  onClose() {
    counters.connected = false;
  },
  onItem(item) {
    if (item.picture) {
      // A display begins with the last picture it has: where the face is gone, that is known.
      const known = first && item.stamp === newest;
      first = false;
      if (known) return;
      newest = item.stamp;
    }
    player.take(item);
  },
});

behave();
const hint = document.getElementById('hint');
let tapped = false;  // if there is no sound even so, it is for want of a device: no use to ask again
// Which of these counts as a gesture differs by browser, and between mouse and finger.
for (const gesture of ['pointerdown', 'pointerup', 'mousedown', 'click', 'touchend', 'keydown']) {
  addEventListener(gesture, () => {
    tapped = true;
    player.wake();
  });
}

const asked = new URLSearchParams(location.search).get('debug') === '1';
const overlay = asked ? new Overlay(document.getElementById('debug'), counters) : null;

const shown = [];
let glanced = -Infinity;
let seen = performance.now();  // when the last living picture was drawn

function draw() {
  requestAnimationFrame(draw);
  const asks = player.silent() && !tapped;
  if (hint.hidden === asks) hint.hidden = !asks;
  const frame = player.due();
  const now = performance.now();
  if (frame !== null) show(frame, now);
  else if (now - seen > (counters.connected ? LOST : GONE)) stage.rest(still.picture());
  stage.draw(now);
  counters.calm = stage.calm;
  counters.still = still.picture() !== null;
  if (overlay !== null) overlay.update(now);
}

function show(frame, now) {
  if (counters.drawn === 0 || now - seen > LOST) counters.since = Date.now();
  seen = now;
  stage.show(frame.bitmap);
  still.count(frame);
  if (now - glanced > GLANCE) {
    glanced = now;
    const coarse = glance(frame.bitmap);
    stage.ground.follow(coarse);
    still.offer(frame, coarse);
  }
  meter.show(frame, player.heardAt(frame.index));
  if (overlay !== null) overlay.add(frame, now);
  shown.push(now);
  while (shown[0] < now - 1000) shown.shift();
  counters.fps = shown.length;
  counters.drawn += 1;
  counters.index = frame.index;
  counters.state = frame.state;
  counters.latency = Math.round(Date.now() - frame.stamp * 1000);
}

requestAnimationFrame(draw);
