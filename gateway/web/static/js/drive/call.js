// A call: the robot is this page's as long as it lasts, and set-points flow as long as somebody holds.

const EVERY_MS = 50;
const SOON_MS = 25; // 40 a second at most: a user may have 50
const QUIET_EVERY_MS = 120;
const QUIET_MS = 20000;

export class Call extends EventTarget {
  id = "";
  #timer = 0;
  #sent = 0;
  #put = null;
  #opening = null;

  constructor(store, live, robot, control) {
    super();
    Object.assign(this, {store, live, robot, control});
    this.changed = ({detail}) => { if (detail.call === this.id && detail.state === "ended") this.#over(detail.reason); };
    this.down = () => { if (this.id) this.#over("line"); };
    this.silent = ({detail}) => { if (detail === "silent") this.down(); };
    store.addEventListener("call", this.changed);
    live.addEventListener("down", this.down);
    store.link.addEventListener("state", this.silent);
  }

  // Ask for the robot.
  async open() {
    if (this.id) return;
    this.#opening ??= this.store.link.ask("call", {to: this.robot, control: this.control}).then(({call}) => call).finally(() => { this.#opening = null; });
    this.id = await this.#opening;
    this.dispatchEvent(new Event("change"));
  }

  // `values` tells what to send, each time anew: on and on, and soon after `moved`.
  steer(values) {
    this.#halt();
    this.#put = () => {
      this.#timer = setTimeout(this.#put, EVERY_MS);
      this.#sent = performance.now();
      if (this.id) this.live.set(this.id, values());
    };
    this.#put();
  }

  // What is to be sent has changed.
  moved() {
    if (!this.#put) return;
    clearTimeout(this.#timer);
    const wait = this.#sent + SOON_MS - performance.now();
    if (wait > 0) this.#timer = setTimeout(this.#put, wait);
    else this.#put();
  }

  // Nobody holds: it stands, and stays this page's for a while.
  rest(values) {
    this.#halt();
    const until = Date.now() + QUIET_MS;
    const put = () => {
      if (Date.now() > until) this.end();
      else if (this.id) this.live.set(this.id, values);
    };
    put();
    this.#timer = setInterval(put, QUIET_EVERY_MS);
  }

  // Give the robot back.
  end() {
    this.#halt();
    if (this.id) this.store.link.say("hang up", {call: this.id});
    this.#over("");
  }

  close() {
    this.end();
    this.store.removeEventListener("call", this.changed);
    this.live.removeEventListener("down", this.down);
    this.store.link.removeEventListener("state", this.silent);
  }

  #halt() {
    clearInterval(this.#timer); // of a timeout too
    this.#put = null;
  }

  #over(reason) {
    this.#halt();
    const was = this.id;
    this.id = "";
    if (was) this.dispatchEvent(new CustomEvent("change", {detail: reason}));
  }
}
