// The WebSocket: messages into items, and a new connection whenever the old one ends or falls
// silent, for a network may be gone without a word.

const STATE_BYTES = 16;
const HEADER = 24 + STATE_BYTES;
const PICTURE = 1;
const ALIVE = 3;  // what a display sends that has nothing to show
const CUT = 4;  // everything older than its epoch is over
const SILENCE = 1500;  // ms, three of these
const GRACE = 250;  // ms in which a page that was busy itself may find what has come meanwhile
const OPENING = 4000;  // ms
const RETRY = 100;  // ms, more with every failure, as a display starts within a second or two
const MORE = 50;
const RAREST = 1000;

/** Undo Item.packed of the display. */
export function unpack(buffer) {
  const view = new DataView(buffer);
  const kind = view.getUint8(0);
  return {
    alive: kind === ALIVE,
    picture: kind === PICTURE,
    cut: kind === CUT,
    epoch: view.getUint32(4, true),
    index: Number(view.getBigInt64(8, true)),
    stamp: view.getFloat64(16, true),
    state: new TextDecoder().decode(new Uint8Array(buffer, 24, STATE_BYTES)).replace(/\0+$/, ''),
    data: buffer.slice(HEADER),
  };
}

/** Keep a stream open for ever; `onOpen` gets what sends a text. */
export function connect({ onOpen, onClose, onItem }) {
  let failures = 0;
  const open = () => {
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    const socket = new WebSocket(`${scheme}://${location.host}/stream`);
    socket.binaryType = 'arraybuffer';
    let watch = 0;
    const end = () => {
      clearTimeout(watch);
      // Where the network is gone a socket takes a minute to close: nobody waits for it.
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
      onClose();
      setTimeout(open, Math.min(RETRY + MORE * failures, RAREST));
      failures += 1;
    };
    const expect = (milliseconds) => {
      clearTimeout(watch);
      watch = setTimeout(() => { watch = setTimeout(end, GRACE); }, milliseconds);
    };
    expect(OPENING);
    socket.onclose = end;
    socket.onopen = () => {
      expect(SILENCE);
      onOpen((text) => socket.readyState === WebSocket.OPEN && socket.send(text));
    };
    socket.onmessage = (event) => {
      failures = 0;
      expect(SILENCE);
      const item = unpack(event.data);
      if (!item.alive) onItem(item);
    };
  };
  open();
}
