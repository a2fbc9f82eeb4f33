// How the picture lies on the screen: as the display says (its parameters), or as the address says
// (?fit=cover&rotate=90), which wins.

const FITS = ['contain', 'cover'];
const TURNS = ['0', '90', '180', '270'];

/** {fit, rotate} of now; the display is asked again at every call. */
export async function readSettings() {
  const asked = new URLSearchParams(location.search);
  const said = await fetch('settings.json', { cache: 'no-store' })
    .then((answer) => (answer.ok ? answer.json() : {}))
    .catch(() => ({}));
  const one = (name, choices) => (
    [asked.get(name), String(said[name]), choices[0]].find((value) => choices.includes(value)));
  return { fit: one('fit', FITS), rotate: Number(one('rotate', TURNS)) };
}
