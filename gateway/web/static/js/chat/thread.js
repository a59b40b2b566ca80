// The messages of one conversation.
import {h, icon, put} from "../dom.js";
import {t, day} from "../texts.js";
import {row} from "./row.js";

const IN_DOCUMENT = 400;
const NEAR_PX = 120;
const TOGETHER_S = 180;

export class Thread {
  #shown = new Map();
  #busy = false;
  #unreadFrom;
  #from = 0;

  constructor(store, name) {
    this.store = store;
    this.talk = store.talk(name);
    this.list = h("ol");
    this.node = h("div", {class: "log", role: "log", "aria-label": t("messages", {name}), tabindex: "0", onscroll: () => this.#scrolled()}, this.list);
    this.jump = h("button", {class: "jump", type: "button", hidden: true, onclick: () => this.bottom()}, icon("down"), t("newest"));
    this.#unreadFrom = this.talk.unread ? this.talk.read : null;
    this.#from = Math.max(0, this.talk.rows.length - IN_DOCUMENT);
    this.#rows = ({detail}) => { if (!detail.name || detail.name === name) detail.row ? this.#append(detail.row) : this.draw(); };
    this.#row = ({detail}) => { if (detail.name === name) this.#redraw(detail.row); };
    this.sized = new ResizeObserver(() => { if (this.stuck) this.node.scrollTop = this.node.scrollHeight; });
    this.sized.observe(this.node);
    this.#ready = () => this.#begin();
    for (const [type, act] of this.#heard) store.addEventListener(type, act);
  }

  #rows; #row; #ready;
  stuck = true;

  get #heard() { return [["rows", this.#rows], ["row", this.#row], ["ready", this.#ready]]; }

  close() {
    this.sized.disconnect();
    for (const [type, act] of this.#heard) this.store.removeEventListener(type, act);
  }

  async shown() {
    this.draw();
    this.bottom();
    await this.#begin();
  }

  async #begin() {
    if (this.talk.fetched) return;
    await this.#older();
    this.bottom();
  }

  get isAtEnd() { return this.node.scrollHeight - this.node.scrollTop - this.node.clientHeight < NEAR_PX; }

  bottom() {
    this.stuck = true;
    this.node.scrollTop = this.node.scrollHeight;
    this.jump.hidden = true;
  }

  // Go to a message of the past, however far up it is.
  async go(number) {
    for (let page = 0; page < 40 && !this.talk.rows.some(each => each.row === number) && this.talk.older; page++) await this.#older(true);
    this.#from = 0;
    this.draw();
    const item = this.list.querySelector(`[data-row="${number}"]`);
    item?.scrollIntoView({block: "center"});
    item?.classList.add("found");
    setTimeout(() => item?.classList.remove("found"), 2500);
  }

  draw() {
    const atEnd = this.isAtEnd, fromEnd = this.node.scrollHeight - this.node.scrollTop;
    this.#shown.clear();
    const items = [];
    const rows = this.talk.rows.slice(this.#from);
    rows.forEach((entry, index) => items.push(...this.#items(entry, rows[index - 1])));
    if (!rows.length) items.push(h("li", {class: "empty"}, icon("chat"), h("h2", {}, t("chat.empty", {name: this.talk.name})), h("p", {}, t(this.store.kind(this.talk.name) === "robot" ? "chat.empty.robot" : "chat.empty.person"))));
    put(this.list, items);
    this.node.scrollTop = atEnd ? this.node.scrollHeight : this.node.scrollHeight - fromEnd;
  }

  #items(entry, before) {
    const items = [];
    if (!before || day(before.at) !== day(entry.at)) items.push(h("li", {class: "day"}, day(entry.at)));
    if (this.#unreadFrom !== null && entry.row > this.#unreadFrom && (before?.row ?? 0) <= this.#unreadFrom && entry.sender !== this.store.me.user) {
      items.push(h("li", {class: "new"}, t("new")));
    }
    const item = this.#make(entry, before);
    items.push(item);
    return items;
  }

  #make(entry, before) {
    const first = !before || before.sender !== entry.sender || entry.at - before.at > TOGETHER_S;
    const answered = entry.id && this.talk.rows.some(each => each.refid === entry.id);
    const item = row(this.store, entry, {first, answered});
    this.#shown.set(entry, {item, first});
    return item;
  }

  #append(entry) {
    const atEnd = this.isAtEnd, rows = this.talk.rows;
    if (!this.list.querySelector(".said")) return void (this.draw(), this.bottom());
    this.list.append(...this.#items(entry, rows[rows.length - 2]));
    if (entry.refid) { const asked = rows.findLast(each => each.id === entry.refid); if (asked) this.#redraw(asked); }
    if (atEnd && rows.length - this.#from > IN_DOCUMENT + 100) { this.#from = rows.length - IN_DOCUMENT; this.draw(); }
    if (atEnd || entry.sender === this.store.me.user) this.bottom();
    else this.jump.hidden = false;
  }

  #redraw(entry) {
    const known = this.#shown.get(entry);
    if (!known) return;
    const atEnd = this.isAtEnd, answered = entry.id && this.talk.rows.some(each => each.refid === entry.id);
    const item = row(this.store, entry, {first: known.first, answered});
    if (known.item.contains(document.activeElement)) item.tabIndex = -1;
    known.item.replaceWith(item);
    known.item = item;
    if (atEnd) this.bottom();
  }

  #scrolled() {
    this.stuck = this.isAtEnd;
    if (this.stuck) this.jump.hidden = true;
    if (this.node.scrollTop < NEAR_PX * 2) this.#up();
  }

  #up() {
    if (this.#from > 0) { this.#from = Math.max(0, this.#from - 100); return this.draw(); }
    if (this.talk.older) this.#older();
  }

  async #older(all = false) {
    if (this.#busy) return;
    this.#busy = true;
    try {
      await this.store.older(this.talk.name);
    } catch { /* offline: the next scroll asks again */ } finally { this.#busy = false; }
    if (all) this.#from = 0;
  }
}
