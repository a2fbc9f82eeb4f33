// A screen that people touch, and no web page: nothing is marked, zoomed or dragged, no menu opens,
// the mouse's arrow leaves, and the screen stays on.

const ARROW = 3000;  // ms that the arrow stays after it was moved

/** Make the window behave as a screen. */
export function behave() {
  for (const kind of ['contextmenu', 'selectstart', 'dragstart', 'gesturestart']) {
    addEventListener(kind, (event) => event.preventDefault());
  }
  // Pinched on a touch pad, a page is zoomed by a wheel with ctrl.
  addEventListener('wheel', (event) => event.preventDefault(), { passive: false });
  const { classList } = document.documentElement;
  let leave = 0;
  const arrow = () => {
    classList.add('arrow');
    clearTimeout(leave);
    leave = setTimeout(() => classList.remove('arrow'), ARROW);
  };
  for (const kind of ['pointermove', 'pointerdown']) addEventListener(kind, arrow);
  arrow();
  addEventListener('dblclick', () => {
    if (document.fullscreenElement !== null) document.exitFullscreen();
    else document.documentElement.requestFullscreen?.().catch(() => {});
  });
  stayAwake();
  // A lock ends whenever the page is not to be seen.
  document.addEventListener('visibilitychange', stayAwake);
}

function stayAwake() {
  if (document.visibilityState === 'visible') {
    navigator.wakeLock?.request('screen').catch(() => {});  // refused on a low battery
  }
}
