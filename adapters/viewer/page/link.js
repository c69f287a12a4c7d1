// The connection to the server. Every message is acknowledged; a picture only once it is on the screen,
// so that the server never sends more than this page can show.

const ARRAYS = { uint8: Uint8Array, uint16: Uint16Array, int16: Int16Array, float32: Float32Array };

/** Take a binary message apart; planes are views into it, at full bit depth. */
function parse(buffer) {
  const size = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size)));
  const start = 4 + size;
  header.planes = new Map(header.planes.map((plane) => {
    const [height, width] = plane.shape;
    const data = new ARRAYS[plane.type](buffer, start + plane.offset, height * width);
    return [plane.stream, { ...plane, data, height, width, fullHeight: plane.full[0], fullWidth: plane.full[1] }];
  }));
  return header;
}

export class Link {
  /**
   * @param {{report: (report: object) => void, picture: (picture: object) => Promise<void>,
   *   answer: (answer: object) => void, state: (connected: boolean, reason: string) => void}} on
   */
  constructor(on) {
    this.on = on;
    this.wanted = null;
    this.pause = 500;
    this.open();
  }

  /** Say which pictures are wanted from now on. */
  want(wanted) {
    const text = JSON.stringify({ type: "want", ...wanted });
    if (text === this.wanted) return;
    this.wanted = text;
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(text);
  }

  /** Ask something of the run; the answer comes as a message of its own. */
  ask(request) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ type: "ask", request }));
  }

  open() {
    this.socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => {
      this.pause = 500;
      this.on.state(true, "");
      if (this.wanted) this.socket.send(this.wanted);
    };
    this.socket.onmessage = (event) => this.receive(event.data, this.socket);
    this.socket.onclose = (event) => {
      this.on.state(false, event.reason);
      setTimeout(() => this.open(), this.pause);
      this.pause = Math.min(5000, this.pause * 2);
    };
  }

  async receive(data, socket) {
    const arrived = performance.now();
    const message = typeof data === "string" ? JSON.parse(data) : parse(data);
    try {
      if (message.type === "report") this.on.report(message);
      else if (message.type === "answer") this.on.answer(message);
      else await this.on.picture(message);
    } finally {
      // A fault in showing one picture must not keep the next one away.
      const ack = { type: "ack", number: message.number, busy_ms: performance.now() - arrived };
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(ack));
    }
  }
}
