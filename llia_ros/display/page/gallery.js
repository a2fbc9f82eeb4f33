// The portraits: those of the model to choose from, and a picture of one's own.
import { Choices } from './choices.js';

const KINDS = ['image/png', 'image/jpeg', 'image/webp'];

export class Gallery {
  /** `onChoice(name)` for one of the model's; `onUpload(file)` for a picture. */
  constructor({ group, missing, drop, input }, { onChoice, onUpload, onMistake }) {
    this.missing = missing;
    this.choices = new Choices(group, onChoice);
    const take = (files) => {
      if (files.length === 0) return;
      if (files.length > 1) onMistake('Give one picture at a time.');
      else if (!KINDS.includes(files[0].type)) onMistake('A portrait is a PNG, JPEG or WebP picture.');
      else onUpload(files[0]);
    };
    input.addEventListener('change', () => {
      take(input.files);
      input.value = '';
    });
    // Anywhere on the page: a picture that misses would otherwise take the page's place.
    addEventListener('dragover', (event) => {
      event.preventDefault();
      drop.classList.add('over');
    });
    addEventListener('dragleave', (event) => {
      if (event.relatedTarget === null) drop.classList.remove('over');
    });
    addEventListener('drop', (event) => {
      event.preventDefault();
      drop.classList.remove('over');
      take(event.dataTransfer.files);
    });
  }

  hang(names) {
    this.choices.fill(names.map((name) => {
      const picture = new Image(96, 96);
      picture.src = `/portraits/${encodeURIComponent(name)}`;
      picture.alt = '';
      return [name, picture, name];
    }));
  }

  tellMissing(reason) {
    this.missing.textContent = reason;
    this.missing.hidden = reason === '';
  }

  /** The next or the one before. */
  step(by) {
    const names = [...this.choices.buttons.keys()];
    if (names.length === 0) return;
    const at = names.indexOf(this.choices.chosen);
    this.choices.choose(names[(Math.max(at, 0) + by + names.length) % names.length]);
  }
}

/** Send a picture; resolves to the answer's line. */
export async function upload(file) {
  const answer = await fetch('/control/portrait', {
    method: 'POST', body: file, headers: { 'Content-Type': file.type },
  });
  const line = (await answer.text()).trim();
  if (!answer.ok) throw new Error(line);
  return line;
}
