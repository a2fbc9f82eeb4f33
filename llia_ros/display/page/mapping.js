// The table of what does the same by hand, each line to be copied.

/** Fill a table's body with [control, command] pairs; `onCopy(done)` after a try. */
export function fillMapping(body, mapping, onCopy) {
  body.replaceChildren(...mapping.map(([control, command]) => {
    const row = document.createElement('tr');
    const code = document.createElement('code');
    code.textContent = command;
    const copy = document.createElement('button');
    copy.type = 'button';
    copy.textContent = 'Copy';
    copy.setAttribute('aria-label', `Copy the line for ${control}`);
    copy.onclick = async () => onCopy(await copied(code));
    for (const content of [control, code, copy]) {
      const cell = document.createElement('td');
      cell.append(content);
      row.append(cell);
    }
    return row;
  }));
}

async function copied(code) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    return true;
  } catch {
    // Pages that come unencrypted from another machine have no clipboard, but the older way.
    getSelection().selectAllChildren(code);
    return document.execCommand('copy');
  }
}
