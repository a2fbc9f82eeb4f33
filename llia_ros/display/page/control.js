// The control page: every control is a command to the display node, every lamp a fact from it.
import { Chart } from './chart.js';
import { Choices } from './choices.js';
import { Gallery, upload } from './gallery.js';
import { Keys } from './keys.js';
import { Link } from './link.js';
import { fillMapping } from './mapping.js';
import { notice } from './notices.js';
import { Pad } from './pad.js';
import { Setting } from './setting.js';
import { View } from './view.js';

const SETTLE = 120;  // ms that the slider rests before its value is told
const STATES = { '': 'Automatic', speaking: 'Speaking', listening: 'Listening', idle: 'Idle' };
const FIRST_STAGES = ['latency', 'generation', 'denoise', 'decode'];
const TIMBRES = { '': 'standard', f: 'female', m: 'male' };
const id = (name) => document.getElementById(name);
const upper = (word) => word.charAt(0).toUpperCase() + word.slice(1);

let mostLetters = 0;
const facts = {};
const link = new Link({
  onHello: welcome,
  onFacts: (news) => { Object.assign(facts, news); show(news); },
  onRefused: (line) => notice(line, true),
  onClose: () => { facts.avatar = false; },
});

/** Carry out a command; what goes wrong is said, and what went well where `quiet` is false. */
async function ask(command, values, quiet = true) {
  try {
    const line = await link.ask(command, values);
    if (!quiet) notice(upper(line));
    return true;
  } catch (error) {
    notice(upper(error.message), true);
    return false;
  }
}

// ---- the controls

const expressions = new Choices(id('expressions'), sendExpression);
const intensity = id('intensity');
let settling = 0;  // the timer that runs while the slider moves
let held = false;
intensity.addEventListener('pointerdown', () => { held = true; });
for (const end of ['pointerup', 'pointercancel']) addEventListener(end, () => { held = false; });
intensity.addEventListener('input', () => {
  showIntensity();
  clearTimeout(settling);
  settling = setTimeout(sendExpression, SETTLE);
});

function sendExpression() {
  clearTimeout(settling);
  settling = 0;
  const name = expressions.chosen ?? 'neutral';
  expression.change(ask('expression', { name, intensity: Number(intensity.value) }));
}

const expression = new Setting((line) => {
  const [name, amount] = line?.split(':') ?? [null];
  expressions.show(name);
  if (amount !== undefined && !held && settling === 0) {
    intensity.value = amount;
    showIntensity();
  }
});

function showIntensity() {
  id('intensitytext').textContent = `${Math.round(100 * intensity.value)} %`;
}

const override = new Setting((state) => overrides.show(state));
const overrides = new Choices(id('overrides'), (state) => override.change(ask('override', { state })));
overrides.fill(Object.entries(STATES));

const interrupt = () => ask('interrupt');
id('interrupt').onclick = interrupt;

const pad = new Pad(id('pad'), (x, y, z) => {
  const straight = y === 0 && z === 0;
  id('gazetext').textContent = straight ? 'straight ahead' : `${y} m right, ${z} m up, at 1 m`;
  ask('look_at', { x, y, z });
});
id('freely').onclick = async () => {
  if (await ask('look_freely')) id('gazetext').textContent = 'by itself';
};

const portrait = new Setting((name) => gallery.choices.show(name));
const gallery = new Gallery(
  { group: id('gallery'), missing: id('nogallery'), drop: id('drop'), input: id('file') },
  {
    onChoice: (name) => portrait.change(ask('portrait', { name })),
    async onUpload(file) {
      try {
        notice(upper(await upload(file)));
      } catch (error) {
        notice(upper(error.message), true);
      }
    },
    onMistake: (line) => notice(line, true),
  },
);

async function say() {
  const text = id('text').value.trim();
  if (text === '') return;
  id('speak').disabled = true;
  const values = { text, voice: id('voice').value, variant: id('variant').value };
  if (await ask('speak', values, false)) id('text').select();
  id('speak').disabled = false;
}

id('say').addEventListener('submit', (event) => {
  event.preventDefault();
  say();
});
id('text').addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  say();
});

// ---- the view, the chart

const view = new View(id('face'), (line) => {
  id('offline').textContent = line;
  id('offline').hidden = line === '';
});
const sound = id('sound');
sound.onclick = () => {
  const wanted = sound.getAttribute('aria-pressed') !== 'true';
  sound.setAttribute('aria-pressed', String(wanted));
  view.hear(wanted);
};

const chart = new Chart(id('chart'));
const stage = id('stage');
let picked = false;  // by a person; until then the first of the list is shown
stage.onchange = () => {
  picked = true;
  chart.choose(stage.value);
  showFigures();
};

function showStages() {
  const known = [...stage.options].map((option) => option.value);
  const found = chart.stages();
  if (found.length === known.length && found.every((name) => known.includes(name))) return;
  const rank = (name) => (FIRST_STAGES.includes(name) ? FIRST_STAGES.indexOf(name) : 99);
  const before = stage.value;
  stage.replaceChildren(...found
    .sort((a, b) => rank(a) - rank(b) || a.localeCompare(b))
    .map((name) => new Option(name.replaceAll('_', ' '), name)));
  if (picked && found.includes(before)) stage.value = before;
  id('stages').hidden = found.length === 0;
  chart.choose(stage.value);
}

function showFigures() {
  const now = facts.figures ?? { stages: {} };
  const [p50, p95] = now.stages[stage.value] ?? [null, null];
  const ms = (value) => (value === null ? '–' : `${Math.round(value)} ms`);
  id('p50').textContent = ms(p50);
  id('p95').textContent = ms(p95);
  id('fps').textContent = now.fps ?? '–';
  id('late').textContent = now.late ?? '–';
  id('engine').textContent = now.model ? `Model ${now.model} on ${now.backend}, epoch ${now.epoch}` : '';
}

// ---- what the display tells

function welcome(hello) {
  expressions.fill(hello.expressions.map((name) => [name, upper(name)]));
  id('voice').replaceChildren(...hello.voices.map(([name, title]) => new Option(title, name)));
  id('variant').replaceChildren(...hello.variants.map((name) => (
    new Option(`${TIMBRES[name.charAt(0)]} ${name.slice(1)}`.trim(), name))));
  mostLetters = hello['most letters'];
  id('text').maxLength = mostLetters;
  const missing = hello['speech missing'];
  id('nospeech').textContent = missing && `${upper(missing)}.`;
  id('nospeech').hidden = !missing;
  for (const control of ['text', 'voice', 'variant', 'speak']) id(control).disabled = Boolean(missing);
  fillMapping(id('mapping'), hello.mapping, (done) => (
    done ? notice('Copied') : notice('This browser does not let a page copy: select the line', true)));
  chart.begin(hello.history);
  showStages();
}

const shows = {
  state(state) { if (facts.avatar) id('statename').textContent = state; },
  playing(playing) { id('playing').hidden = !playing; },
  user(on) { lamp(id('user'), on); },
  robot(on) { lamp(id('robot'), on); },
  level(level) {
    id('level').value = level ?? -60;
    id('leveltext').textContent = level === null ? 'no sound' : `${level} dB`;
  },
  gallery(names) { gallery.hang(names); },
  gallery_missing(reason) { gallery.tellMissing(reason && `${upper(reason)}.`); },
  portrait(name) { portrait.tell(name); },
  override(state) { override.tell(state); },
  expression(line) { expression.tell(line); },
  trouble(line) {
    id('trouble').textContent = `Avatar: ${line}`;
    id('trouble').hidden = line === '';
  },
  dropped([, line]) { notice(`Avatar dropped ${line}`, true); },
  avatar(there) { id('statename').textContent = there ? facts.state ?? '–' : 'no avatar yet'; },
  figures(figures) {
    chart.add(figures);
    showStages();
    showFigures();
  },
};

function show(news) {
  for (const [fact, value] of Object.entries(news)) shows[fact]?.(value);
}

function lamp(element, on) {
  element.dataset.on = String(on);
  element.querySelector('.unseen').textContent = on ? ' is speaking' : ' is silent';
}

// ---- the keyboard

const keys = new Keys([
  [['Escape'], 'interrupt', interrupt],
  [['a'], 'state: automatic', () => overrides.choose('')],
  [['s'], 'state: speaking', () => overrides.choose('speaking')],
  [['l'], 'state: listening', () => overrides.choose('listening')],
  [['i'], 'state: idle', () => overrides.choose('idle')],
  [['1', '2', '3', '4', '5', '6', '7', '8'], 'expression, as they stand on the page',
    (key) => expressions.choose([...expressions.buttons.keys()][Number(key) - 1])],
  [['-', '+'], 'less and more of the expression', (key) => {
    intensity.value = Number(intensity.value) + (key === '+' ? .1 : -.1);
    intensity.dispatchEvent(new Event('input'));
  }],
  [['p', 'n'], 'portrait before, next portrait', (key) => gallery.step(key === 'n' ? 1 : -1)],
  [['u'], 'upload a portrait', () => id('file').click()],
  [['g'], 'to the pad: then arrow keys, Home for straight ahead', () => id('pad').focus()],
  [['f'], 'look around freely', () => id('freely').click()],
  [['t'], 'to the text: Enter speaks, Esc leaves it and interrupts', () => id('text').focus()],
  [['m'], 'hear the face here', () => sound.click()],
  [['h'], 'the lines for a terminal', () => { id('byhand').open = !id('byhand').open; }],
  [['?'], 'these keys', () => { id('keys').open = true; id('keys').scrollIntoView(); }],
], () => id('shortcuts').checked);
keys.list(id('keylist'));
showIntensity();
// For tests.
window.llia = { facts, get drawn() { return view.drawn; }, get gain() { return view.player.output.gain.value; } };
