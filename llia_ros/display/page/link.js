// The control page's socket: commands out and their answers, facts in; it comes back by itself.

const RETRY = 800;  // ms
const GIVE_UP = 25000;  // ms without an answer

export class Link {
  constructor({ onHello, onFacts, onRefused, onClose }) {
    Object.assign(this, { onHello, onFacts, onRefused, onClose });
    this.ticket = 0;
    this.asked = new Map();
    this.open();
  }

  open() {
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    this.socket = new WebSocket(`${scheme}://${location.host}/control/socket`);
    this.socket.onmessage = (event) => this.take(JSON.parse(event.data));
    this.socket.onclose = () => {
      for (const { reject } of this.asked.values()) reject(new Error('The connection was lost.'));
      this.asked.clear();
      this.onClose();
      setTimeout(() => this.open(), RETRY);
    };
  }

  take(message) {
    if (message.hello) this.onHello(message.hello);
    if (message.facts) this.onFacts(message.facts);
    if (message.refused) this.onRefused(message.refused);
    if (!message.answer) return;
    const { ticket, done, line } = message.answer;
    const waiting = this.asked.get(ticket);
    this.asked.delete(ticket);
    if (done) waiting?.resolve(line);
    else waiting?.reject(new Error(line));
  }

  /** Ask for a command of display/commands.py; resolves to the answer's line. */
  ask(command, values = {}) {
    if (this.socket.readyState !== WebSocket.OPEN) {
      return Promise.reject(new Error('There is no connection to the display.'));
    }
    this.ticket += 1;
    const ticket = this.ticket;
    this.socket.send(JSON.stringify({ do: command, ticket, ...values }));
    return new Promise((resolve, reject) => {
      this.asked.set(ticket, { resolve, reject });
      setTimeout(() => {
        if (this.asked.delete(ticket)) reject(new Error(`No answer to ${command}.`));
      }, GIVE_UP);
    });
  }
}
