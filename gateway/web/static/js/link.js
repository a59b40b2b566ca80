// The connection to the gateway: it comes back by itself, and asks for what was missed.
import {t} from "./texts.js";

const BACK_OFF_MS = [150, 400, 1000, 2500, 5000];
const ANSWER_MS = 12000;
const HELLO_MS = 8000;
const LOOK_MS = 1500;
const SILENT_MS = 4000;
const GIVE_UP_MS = 20000; // then the line itself may be dead, of which nobody tells
const LOGIN_AGAIN = 4401;
const ANYWAY = new Set(["hello", "stop", "ping"]); // said to a gateway that does not answer, too

// Not what the gateway says: it could not be asked.
const away = key => Object.assign(new Error(t(key)), {away: true});

export class Link extends EventTarget {
  #socket = null;
  #tries = 0;
  #again = 0;
  #n = 0;
  #asked = new Map();
  #ended = false;
  #heard = 0;
  #looked = 0;
  #greeted = false;
  #beat = 0;
  state = "waiting"; // "open"; "silent": nothing comes from the gateway, whether there is a line or not

  // `hello` makes the first message of each connection; it names the newest row that is known.
  constructor(hello) {
    super();
    this.hello = hello;
    addEventListener("online", () => this.hurry());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) { this.hurry(); this.#look(); } });
    // What the stop button says goes this way too.
    addEventListener("stop", ({detail}) => this.say("stop", {robot: detail}));
    this.#beat = setInterval(() => this.#look(), LOOK_MS);
    this.#open();
  }

  // Ask the gateway; what it replies, or an Error with the reason in words.
  ask(op, fields = {}) {
    const n = ++this.#n;
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => this.#settle(n, "reject", away("line.silence")), ANSWER_MS);
      this.#asked.set(n, {resolve, reject, late});
      if (!this.say("ask", {n, request: {op, ...fields}})) this.#settle(n, "reject", away(this.state === "silent" ? "line.silence" : "line.none"));
    });
  }

  // Say something; whether it could be put on the line.
  say(op, fields = {}) {
    if (this.#socket?.readyState !== WebSocket.OPEN || (this.state !== "open" && !ANYWAY.has(op))) return false;
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
    clearInterval(this.#beat);
    this.#socket?.close();
  }

  // That a socket is open says nothing of the gateway behind it: it is asked itself, again and again.
  #look() {
    const now = Date.now(), slept = now - this.#looked > SILENT_MS;
    if (document.hidden || this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#looked = now;
    if (slept) this.#heard = now;
    if (now - this.#heard > GIVE_UP_MS) this.#drop();
    else if (now - this.#heard > SILENT_MS) this.#turn("silent");
    if (this.#greeted) this.say("ping");
  }

  #open() {
    clearTimeout(this.#again);
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
    this.#socket = socket;
    this.#greeted = false;
    const late = setTimeout(() => { if (socket === this.#socket) this.#drop(); }, HELLO_MS);
    socket.onopen = () => { this.#heard = Date.now(); this.say("hello", this.hello()); };
    socket.onmessage = ({data}) => {
      const heard = JSON.parse(data);
      if (heard.type === "welcome") { clearTimeout(late); this.#tries = 0; this.page = heard.page; this.#greeted = true; }
      this.#take(heard);
    };
    socket.onclose = ({code}) => {
      clearTimeout(late);
      if (socket === this.#socket) this.#closed(code);
    };
  }

  #closed(code) {
    for (const n of [...this.#asked.keys()]) this.#settle(n, "reject", away("line.none"));
    if (this.#ended) return;
    if (this.state !== "silent") this.#turn("waiting");
    if (code === LOGIN_AGAIN) { this.#ended = true; this.#tell("left"); }
    else this.#again = setTimeout(() => this.#open(), this.#pause());
  }

  // Without waiting for the other end, which may not be there.
  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    socket.close();
    this.#closed();
  }

  #turn(state) {
    if (state === this.state) return;
    this.state = state;
    this.#tell("state", state);
  }

  #pause() {
    const most = BACK_OFF_MS[Math.min(this.#tries++, BACK_OFF_MS.length - 1)];
    return most * (0.75 + Math.random() / 2);
  }

  #take(heard) {
    if (heard.type !== "refused") this.#heard = Date.now();
    if (heard.type === "answer") return this.#settle(heard.n, "resolve", heard.value);
    if (heard.type === "refused" && heard.n) return this.#settle(heard.n, "reject", new Error(heard.reason));
    const was = this.state;
    if (this.#greeted && heard.type !== "refused") this.state = "open";
    this.#tell(heard.type, heard);
    if (this.state !== was) this.#tell("state", this.state);
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
