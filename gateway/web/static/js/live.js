// Live values, on a socket of their own: set-points go out, telemetry comes in.

const BACK_OFF_MS = 500;
const FULL_BYTES = 4096;

export class Live extends EventTarget {
  #socket = null;
  #again = 0;
  #closed = false;
  #robot;

  // Watches one robot's values as long as it is open.
  constructor(link, robot) {
    super();
    this.link = link;
    this.#robot = robot;
    this.welcome = ({detail}) => this.#open(detail.page);
    this.again = ({detail}) => { if (detail === "open" && this.#socket?.readyState > WebSocket.OPEN) this.#open(link.page); };
    link.addEventListener("welcome", this.welcome);
    link.addEventListener("state", this.again);
    if (link.page) this.#open(link.page);
  }

  get isOpen() { return this.#socket?.readyState === WebSocket.OPEN; }

  // The newest one counts: one that can't leave at once is left out.
  set(call, values) {
    if (!this.isOpen || this.#socket.bufferedAmount > FULL_BYTES) return false;
    this.#socket.send(JSON.stringify({op: "set", call, values}));
    return true;
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#again);
    this.link.removeEventListener("welcome", this.welcome);
    this.link.removeEventListener("state", this.again);
    this.#socket?.close();
  }

  #open(page) {
    clearTimeout(this.#again);
    if (this.#socket) this.#socket.onclose = null;
    this.#socket?.close();
    const socket = this.#socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
    socket.onopen = () => socket.send(JSON.stringify({op: "hello", page, robot: this.#robot}));
    socket.onmessage = ({data}) => { const heard = JSON.parse(data); this.dispatchEvent(new CustomEvent(heard.type, {detail: heard})); };
    socket.onclose = () => {
      this.dispatchEvent(new CustomEvent("down"));
      if (!this.#closed && this.link.state === "open") this.#again = setTimeout(() => this.#open(this.link.page), BACK_OFF_MS);
    };
  }
}
