// A group of buttons of which one is chosen, with the keys of a radio group.

const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

export class Choices {
  /** `onChoice(value)` is called for what a person chooses, not for what `show` shows. */
  constructor(group, onChoice) {
    this.group = group;
    this.onChoice = onChoice;
    this.chosen = null;
    this.buttons = new Map();
    group.addEventListener('keydown', (event) => this.step(event));
  }

  /** Fill the group anew: [value, what the button holds] pairs. */
  fill(entries) {
    this.buttons.clear();
    for (const [value, ...content] of entries) {
      const button = document.createElement('button');
      button.type = 'button';
      button.dataset.value = value;
      button.setAttribute('role', 'radio');
      button.append(...content);
      button.onclick = () => this.choose(value);
      this.buttons.set(value, button);
    }
    this.group.replaceChildren(...this.buttons.values());
    this.show(this.chosen);
  }

  choose(value) {
    if (!this.buttons.has(value)) return;
    this.show(value);
    this.onChoice(value);
  }

  /** Mark a value; null, or one that is no choice, marks none. */
  show(value) {
    this.chosen = value;
    let first = !this.buttons.has(value);
    for (const [own, button] of this.buttons) {
      button.setAttribute('aria-checked', String(own === value));
      button.tabIndex = own === value || first ? 0 : -1;
      first = false;
    }
  }

  step(event) {
    const step = STEPS[event.key];
    if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
    const all = [...this.buttons.keys()];
    const at = [...this.buttons.values()].indexOf(document.activeElement);
    if (at < 0) return;
    event.preventDefault();
    event.stopPropagation();
    const value = all[(at + step + all.length) % all.length];
    this.buttons.get(value).focus();
    this.choose(value);
  }
}
