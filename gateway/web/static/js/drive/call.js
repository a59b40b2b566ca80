// A call: the robot is this page's as long as it lasts, and set-points flow as long as somebody holds.

const EVERY_MS = 50;
const QUIET_EVERY_MS = 120;
const QUIET_MS = 20000;

export class Call extends EventTarget {
  id = "";
  #timer = 0;
  #opening = null;

  constructor(store, live, robot, control) {
    super();
    Object.assign(this, {store, live, robot, control});
    this.changed = ({detail}) => { if (detail.call === this.id && detail.state === "ended") this.#over(detail.reason); };
    this.down = () => { if (this.id) this.#over("line"); };
    store.addEventListener("call", this.changed);
    live.addEventListener("down", this.down);
  }

  // Ask for the robot.
  async open() {
    if (this.id) return;
    this.#opening ??= this.store.link.ask("call", {to: this.robot, control: this.control}).then(({call}) => call).finally(() => { this.#opening = null; });
    this.id = await this.#opening;
    this.dispatchEvent(new Event("change"));
  }

  // `values` tells what to send, each time anew.
  steer(values) {
    clearInterval(this.#timer);
    const put = () => { if (this.id) this.live.set(this.id, values()); };
    put();
    this.#timer = setInterval(put, EVERY_MS);
  }

  // Nobody holds: it stands, and stays this page's for a while.
  rest(values) {
    clearInterval(this.#timer);
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
    clearInterval(this.#timer);
    if (this.id) this.store.link.say("hang up", {call: this.id});
    this.#over("");
  }

  close() {
    this.end();
    this.store.removeEventListener("call", this.changed);
    this.live.removeEventListener("down", this.down);
  }

  #over(reason) {
    clearInterval(this.#timer);
    const was = this.id;
    this.id = "";
    if (was) this.dispatchEvent(new CustomEvent("change", {detail: reason}));
  }
}
