// Driving: hold the pad and the robot moves; let go, hide the page or lose the network, and it stops.
import {h, icon, put, toast} from "../dom.js";
import {t} from "../texts.js";
import {Live} from "../live.js";
import {chip, pick} from "../robot/panel.js";
import {Call} from "./call.js";
import {Pad} from "./pad.js";

export function drive(store, [name, control]) {
  if (!name) return pick(store, "drive", each => each.controls?.length > 0);
  return new Drive(store, name, control);
}

const AWAY = ["blur", "pagehide", "freeze"];
const isNumber = arg => arg.type === "int" || arg.type === "float";
const round = value => Number(value.toFixed(2));

class Drive {
  constructor(store, name, control) {
    Object.assign(this, {store, robot: name, chosen: control});
    this.live = new Live(store.link, name);
    this.box = h("div", {class: "drive"});
    this.head = h("header", {class: "head"});
    this.node = h("section", {class: "page"}, this.head, this.box);
    this.values = new Map();
    this.live.addEventListener("watching", ({detail}) => this.#read(detail.past));
    this.live.addEventListener("values", ({detail}) => this.#read(detail.series));
    this.draw = () => this.#draw();
    this.hidden = () => { if (document.hidden) this.#letGo(); };
    this.decided = ({detail}) => { if (detail.to === name) this.#decided(detail); };
    store.addEventListener("contacts", this.draw);
    store.link.addEventListener("state", this.draw);
    store.addEventListener("decided", this.decided);
    document.addEventListener("visibilitychange", this.hidden);
    this.away = () => this.#letGo();
    for (const type of AWAY) addEventListener(type, this.away);
    this.#draw();
  }

  close() {
    this.store.removeEventListener("contacts", this.draw);
    this.store.link.removeEventListener("state", this.draw);
    this.store.removeEventListener("decided", this.decided);
    document.removeEventListener("visibilitychange", this.hidden);
    for (const type of AWAY) removeEventListener(type, this.away);
    this.call?.close();
    this.live.close();
  }

  get contact() { return this.store.contacts.get(this.robot); }

  #draw() {
    const contact = this.contact, controls = contact?.controls ?? [];
    const control = controls.find(each => each.name === this.chosen) ?? controls[0];
    put(this.head, h("h1", {}, t("drive.title", {name: this.robot})), contact && chip(contact), h("a", {class: "button", href: `#/robot/${this.robot}`}, icon("robot"), t("panel")), h("a", {class: "button", href: `#/chat/${this.robot}`}, icon("chat"), t("tab.chat")));
    if (!control) {
      this.pad?.disable(true);
      return this.control || put(this.box, this.store.met ? h("div", {class: "empty"}, icon("drive"), h("h2", {}, t("drive.none")), h("p", {}, t("drive.none.text"))) : h("p", {class: "empty"}, t("loading")));
    }
    if (JSON.stringify(control) !== JSON.stringify(this.control)) this.#build(control, controls);
    this.#state();
  }

  #build(control, controls) {
    this.call?.close();
    this.control = control;
    const args = (control.args ?? []).filter(isNumber);
    const named = [args.find(each => each.name === "x"), args.find(each => each.name === "y")];
    this.axes = named[0] && named[1] ? named : args.slice(0, 2);
    this.rest = args.filter(each => !this.axes.includes(each));
    this.call = new Call(this.store, this.live, this.robot, control.name);
    this.call.addEventListener("change", ({detail}) => this.#changed(detail));
    this.pad = new Pad(t("pad", {name: this.robot}), this.axes.length);
    this.pad.addEventListener("hold", () => this.#hold());
    this.pad.addEventListener("release", () => this.call.id && this.call.rest(this.#zero()));
    this.pad.addEventListener("move", () => this.#say());
    this.speed = h("input", {id: "speed", type: "range", min: "10", max: "100", step: "5", value: sessionStorage.getItem("speed") ?? "50", oninput: () => { sessionStorage.setItem("speed", this.speed.value); this.#say(); }});
    this.percent = h("output", {class: "num", for: "speed"});
    this.now = h("div", {class: "readout"});
    this.holder = h("div", {class: "holder", role: "status"});
    this.rolls = h("p", {class: "small"});
    this.readouts = h("div");
    this.extra = this.rest.map(arg => ({arg, input: h("input", {id: `set-${arg.name}`, type: "range", min: arg.min ?? -100, max: arg.max ?? 100, step: "any", value: arg.default ?? 0})}));
    put(this.box,
      h("article", {class: "card pad-box", "aria-label": t("drive.title", {name: this.robot})}, this.holder, controls.length > 1 && this.#choice(controls), this.pad.node,
        h("p", {class: "muted small"}, t("pad.help")), this.rolls, h("div", {class: "field"}, h("label", {for: "speed"}, t("speed"), " ", this.percent), this.speed),
        this.extra.map(({arg, input}) => h("div", {class: "field"}, h("label", {for: input.id}, `${arg.name} ${arg.unit ?? ""}`), input))),
      h("article", {class: "card"}, h("h2", {}, t("control")), this.now, h("h2", {}, t("values")), this.readouts));
    this.#say();
  }

  #choice(controls) {
    return h("div", {class: "field"}, h("label", {for: "which"}, t("control.which")), h("select", {id: "which", onchange: event => { location.hash = `#/drive/${this.robot}/${event.target.value}`; }}, controls.map(each => h("option", {value: each.name, selected: each.name === this.control.name}, each.name))));
  }

  // From the middle to the edge of what the robot declares, and no further than the slider allows.
  #set() {
    const part = Number(this.speed.value) / 100;
    const at = [this.pad.x, this.pad.y];
    const moved = this.axes.map((arg, index) => [arg, scale(arg, at[index] * part)]);
    return [...moved, ...this.extra.map(({arg, input}) => [arg, Number(input.value)])].map(([arg, value]) => `${arg.name}=${arg.type === "int" ? Math.round(value) : round(value)}`).join(" ");
  }

  #zero() { return [...this.axes.map(arg => [arg, scale(arg, 0)]), ...this.extra.map(({arg, input}) => [arg, Number(input.value)])].map(([arg, value]) => `${arg.name}=${round(value)}`).join(" "); }

  #say() {
    put(this.percent, `${this.speed.value} %`);
    const at = [this.pad.x, this.pad.y], part = Number(this.speed.value) / 100;
    put(this.now, h("span", {class: "muted"}, t("set.point")), h("b", {}, this.axes.map((arg, index) => `${arg.name} ${Math.round(scale(arg, at[index] * part) * 10) / 10} ${arg.unit ?? ""}`).join(", ")));
    this.call.moved();
  }

  async #hold() {
    try {
      await this.call.open();
      if (this.pad.held) this.call.steer(() => this.#set());
      else this.call.rest(this.#zero());
    } catch (problem) {
      this.pad.release();
      toast(problem.message, "bad");
      this.#state(problem.message);
    }
  }

  #letGo() {
    this.pad?.release();
    this.call?.end();
  }

  #changed(reason) {
    if (reason) { this.pad.release(); toast(t(reason === "line" ? "drive.line" : "drive.over", {reason}), "bad"); }
    this.#state();
  }

  #state(problem = "") {
    const contact = this.contact, mine = Boolean(this.call.id), other = contact?.holder && contact.holder !== this.store.me.user ? contact.holder : "";
    const may = this.store.may(this.robot, "drive"), away = this.store.link.state !== "open";
    this.pad.disable(!may || contact?.state !== "ready" || (!mine && (away || Boolean(other))));
    const far = contact?.details?.["rolls on"];
    this.rolls.hidden = !far;
    put(this.rolls, far && t("rolls.on", {far}));
    this.holder.dataset.how = mine ? "mine" : other ? "other" : "free";
    const words = mine ? "holder.mine" : away ? "line.none" : !may ? "holder.viewer" : contact?.state === "latched" ? "holder.latched" : contact?.state !== "ready" ? "holder.offline" : other ? "holder.other" : "holder.free";
    put(this.holder, h("div", {}, h("b", {}, mine ? t("you.are") : other || t("nobody")), h("p", {class: "small"}, t(words, {name: other, robot: this.robot}))), problem && h("p", {class: "error"}, problem),
      mine && h("button", {type: "button", onclick: () => this.#letGo()}, t("give.back")),
      other && may && !mine && h("div", {class: "row"}, h("button", {type: "button", class: "main", onclick: () => this.#askFor(other)}, t("ask.for", {name: other})), h("button", {type: "button", onclick: () => this.#take()}, t("take.over"))));
  }

  async #askFor(other) {
    try {
      await this.store.link.ask("ask call", {to: this.robot});
      toast(t("asked.for", {name: other}));
    } catch (problem) { toast(problem.message, "bad"); }
  }

  #decided(detail) {
    if (detail.by !== this.store.me.user) return this.#letGo();
    toast(t(detail.granted ? "granted" : "not.granted", {name: this.robot, reason: detail.reason}), detail.granted ? "" : "bad");
    if (detail.granted) this.call.open().then(() => this.call.rest(this.#zero())).catch(problem => toast(problem.message, "bad"));
  }

  #take() { this.store.say(this.robot, "take over"); toast(t("taking", {name: this.robot})); }

  #read(series) {
    for (const [name, samples] of Object.entries(series)) if (!name.startsWith("link.") && typeof samples.at(-1)?.[1] === "number") this.values.set(name, samples.at(-1)[1]);
    const units = new Map((this.contact?.series ?? []).map(each => [each.name, each.unit ?? ""]));
    if (this.readouts) put(this.readouts, [...this.values].map(([name, value]) => h("p", {class: "readout"}, h("span", {class: "muted"}, name), h("b", {}, `${round(value)} ${units.get(name) ?? ""}`))));
  }
}

// -1 … 1 to the declared range; nothing is the middle of it, or zero if that lies within.
function scale(arg, part) {
  const min = arg.min ?? -100, max = arg.max ?? 100, middle = min <= 0 && max >= 0 ? 0 : (min + max) / 2;
  return part < 0 ? middle + (middle - min) * part : middle + (max - middle) * part;
}
