// The WebSocket: messages into items, and a new connection whenever the old one ends.

const STATE_BYTES = 16;
const HEADER = 24 + STATE_BYTES;
const RETRY = 500;  // ms
const SILENCE = 10000;  // ms without a message: the network may be gone without a word

/** Undo Item.packed of display/server.py. */
export function unpack(buffer) {
  const view = new DataView(buffer);
  return {
    picture: view.getUint8(0) === 1,
    epoch: view.getUint32(4, true),
    index: Number(view.getBigInt64(8, true)),
    stamp: view.getFloat64(16, true),
    state: new TextDecoder().decode(new Uint8Array(buffer, 24, STATE_BYTES)).replace(/\0+$/, ''),
    data: buffer.slice(HEADER),
  };
}

/** Keep a stream open for ever; `onOpen` gets what sends a text. */
export function connect({ onOpen, onClose, onItem }) {
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
  const socket = new WebSocket(`${scheme}://${location.host}/stream`);
  socket.binaryType = 'arraybuffer';
  let watch = 0;
  const expectMore = () => {
    clearTimeout(watch);
    watch = setTimeout(() => socket.close(), SILENCE);
  };
  socket.onopen = () => {
    expectMore();
    onOpen((text) => socket.readyState === WebSocket.OPEN && socket.send(text));
  };
  socket.onmessage = (event) => {
    expectMore();
    onItem(unpack(event.data));
  };
  socket.onclose = () => {
    clearTimeout(watch);
    onClose();
    setTimeout(() => connect({ onOpen, onClose, onItem }), RETRY);
  };
}
