// The connection to the gateway: it comes back by itself, and asks for what was missed.
import {t} from "./texts.js";

const BACK_OFF_MS = [150, 400, 1000, 2500, 5000];
const ANSWER_MS = 12000;
const HELLO_MS = 8000;
const LOGIN_AGAIN = 4401;

// Not what the gateway says: it could not be asked.
const away = key => Object.assign(new Error(t(key)), {away: true});

export class Link extends EventTarget {
  #socket = null;
  #tries = 0;
  #again = 0;
  #n = 0;
  #asked = new Map();
  #ended = false;
  state = "waiting";

  // `hello` makes the first message of each connection; it names the newest row that is known.
  constructor(hello) {
    super();
    this.hello = hello;
    addEventListener("online", () => this.hurry());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.hurry(); });
    // What the stop button says goes this way too.
    addEventListener("stop", ({detail}) => this.say("stop", {robot: detail}));
    this.#open();
  }

  // Ask the gateway; what it replies, or an Error with the reason in words.
  ask(op, fields = {}) {
    const n = ++this.#n;
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => this.#settle(n, "reject", away("line.silent")), ANSWER_MS);
      this.#asked.set(n, {resolve, reject, late});
      if (!this.say("ask", {n, request: {op, ...fields}})) this.#settle(n, "reject", away("line.none"));
    });
  }

  // Say something; whether it could be put on the line.
  say(op, fields = {}) {
    if (this.#socket?.readyState !== WebSocket.OPEN || (this.state !== "open" && op !== "hello" && op !== "stop")) return false;
    this.#socket.send(JSON.stringify({op, ...fields}));
    return true;
  }

  // Try at once: the machine woke up, or the network is back.
  hurry() {
    if (this.#ended || this.#socket?.readyState <= WebSocket.OPEN) return;
    this.#tries = 0;
    this.#open();
  }

  // For good: nobody is logged in here any more.
  end() {
    this.#ended = true;
    clearTimeout(this.#again);
    this.#socket?.close();
  }

  #open() {
    clearTimeout(this.#again);
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
    this.#socket = socket;
    const late = setTimeout(() => socket.close(), HELLO_MS);
    socket.onopen = () => this.say("hello", this.hello());
    socket.onmessage = ({data}) => {
      const heard = JSON.parse(data);
      if (heard.type === "welcome") { clearTimeout(late); this.#tries = 0; this.page = heard.page; }
      this.#take(heard);
    };
    socket.onclose = ({code}) => {
      clearTimeout(late);
      if (socket !== this.#socket) return;
      for (const n of [...this.#asked.keys()]) this.#settle(n, "reject", away("line.none"));
      this.state = "waiting";
      this.#tell("state", "waiting");
      if (code === LOGIN_AGAIN) { this.#ended = true; this.#tell("left"); }
      if (!this.#ended) this.#again = setTimeout(() => this.#open(), this.#pause());
    };
  }

  #pause() {
    const most = BACK_OFF_MS[Math.min(this.#tries++, BACK_OFF_MS.length - 1)];
    return most * (0.75 + Math.random() / 2);
  }

  #take(heard) {
    if (heard.type === "answer") return this.#settle(heard.n, "resolve", heard.value);
    if (heard.type === "refused" && heard.n) return this.#settle(heard.n, "reject", new Error(heard.reason));
    const begun = heard.type === "welcome";
    if (begun) this.state = "open";
    this.#tell(heard.type, heard);
    if (begun) this.#tell("state", "open");
  }

  #settle(n, how, value) {
    const asked = this.#asked.get(n);
    if (!asked) return;
    this.#asked.delete(n);
    clearTimeout(asked.late);
    asked[how](value);
  }

  #tell(type, detail) { this.dispatchEvent(new CustomEvent(type, {detail})); }
}
