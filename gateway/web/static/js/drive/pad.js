// A pad to hold and move, by finger, mouse or keys. Whoever lets go has stopped.
import {h} from "../dom.js";

const KEYS = {ArrowUp: [0, 1], ArrowDown: [0, -1], ArrowLeft: [-1, 0], ArrowRight: [1, 0], w: [0, 1], s: [0, -1], a: [-1, 0], d: [1, 0]};

export class Pad extends EventTarget {
  x = 0;
  y = 0;
  held = false;
  #keys = new Set();
  #pointer = null;

  constructor(label, axes) {
    super();
    this.axes = axes;
    this.knob = h("i");
    this.node = h("div", {class: axes === 1 ? "pad line" : "pad", role: "application", tabindex: "0", "aria-label": label, "aria-roledescription": "joystick",
      onpointerdown: event => this.#down(event), onpointermove: event => this.#move(event), onkeydown: event => this.#key(event, true), onkeyup: event => this.#key(event, false),
      onpointerup: event => this.#up(event), onpointercancel: () => this.release(), onlostpointercapture: event => this.#up(event), onblur: () => this.release(), oncontextmenu: event => event.preventDefault()}, this.knob);
  }

  disable(off) {
    this.node.setAttribute("aria-disabled", String(off));
    if (off) this.release();
  }

  release() {
    this.#keys.clear();
    this.#pointer = null;
    this.#put(0, 0);
    if (!this.held) return;
    this.held = false;
    delete this.node.dataset.on;
    this.dispatchEvent(new Event("release"));
  }

  #hold() {
    if (this.held) return;
    this.held = true;
    this.node.dataset.on = "";
    this.dispatchEvent(new Event("hold"));
  }

  #down(event) {
    if (this.node.getAttribute("aria-disabled") === "true" || event.button !== 0) return;
    event.preventDefault();
    this.node.focus({preventScroll: true});
    this.#pointer = event.pointerId;
    this.node.setPointerCapture(event.pointerId);
    this.#at(event);
    this.#hold();
  }

  #move(event) { if (this.held && event.pointerId === this.#pointer) this.#at(event); }

  #up(event) { if (event.pointerId === this.#pointer) this.release(); }

  #at(event) {
    const box = this.node.getBoundingClientRect();
    let x = (event.clientX - box.left) / box.width * 2 - 1, y = 1 - (event.clientY - box.top) / box.height * 2;
    const far = Math.hypot(x, y);
    if (this.axes === 2 && far > 1) { x /= far; y /= far; }
    this.#put(Math.max(-1, Math.min(1, x)), this.axes === 1 ? 0 : Math.max(-1, Math.min(1, y)));
  }

  #key(event, down) {
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (!KEYS[name] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    if (down && this.node.getAttribute("aria-disabled") === "true") return;
    if (down) this.#keys.add(name); else this.#keys.delete(name);
    if (!this.#keys.size) return this.release();
    const [x, y] = [...this.#keys].reduce(([x, y], key) => [x + KEYS[key][0], y + KEYS[key][1]], [0, 0]);
    this.#put(Math.sign(x), this.axes === 1 ? 0 : Math.sign(y));
    this.#hold();
  }

  #put(x, y) {
    this.x = x;
    this.y = y;
    this.knob.style.transform = `translate(${x * (this.axes === 1 ? 260 : 110)}%, ${-y * 110}%)`;
    this.dispatchEvent(new Event("move"));
  }
}
