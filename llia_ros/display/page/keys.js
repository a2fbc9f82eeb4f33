// Keyboard shortcuts: single keys, wherever no text is typed, and a list of them.

const TYPED = 'input:not([type="range"], [type="checkbox"], [type="file"]), textarea, select';

export class Keys {
  /** `shortcuts`: [keys, what they do, action(key)]; `enabled()` tells whether they are wanted. */
  constructor(shortcuts, enabled) {
    this.shortcuts = shortcuts;
    addEventListener('keydown', (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
      const typing = event.target.matches?.(TYPED);
      if (event.key === 'Escape' && typing) event.target.blur();
      if (typing && event.key !== 'Escape') return;
      if (!enabled() && event.key !== 'Escape') return;
      const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      const found = this.shortcuts.find(([keys]) => keys.includes(key));
      if (!found) return;
      event.preventDefault();
      found[2](key);
    });
  }

  list(dl) {
    dl.replaceChildren(...this.shortcuts.map(([keys, meaning]) => {
      const row = document.createElement('div');
      const term = document.createElement('dt');
      const shown = keys.length > 2 ? [keys[0], '–', keys[keys.length - 1]] : keys;
      term.append(...shown.map((key) => {
        if (key === '–') return ' – ';
        const kbd = document.createElement('kbd');
        kbd.textContent = key === 'Escape' ? 'Esc' : key.toUpperCase();
        return kbd;
      }));
      const text = document.createElement('dd');
      text.textContent = meaning;
      row.append(term, text);
      return row;
    }));
  }
}
