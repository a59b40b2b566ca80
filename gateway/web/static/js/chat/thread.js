// The messages of one conversation.
import {h, icon, put} from "../dom.js";
import {t, day} from "../texts.js";
import {row} from "./row.js";

const IN_DOCUMENT = 400;
const MORE = 100; // messages, each time that one comes near the end of those that are shown
const FEW = 20; // of more that come within a frame, all is drawn anew
const FAR = 1000; // messages a request, on the way to one that was searched
const NEAR_PX = 120;
const TOGETHER_S = 180;

export class Thread {
  #shown = new Map();
  #busy = false;
  #unreadFrom;
  #from = 0; // of those that are in the document, …
  #to = Infinity; // … and behind them: all that come

  constructor(store, name) {
    this.store = store;
    this.talk = store.talk(name);
    this.talk.open = true;
    this.list = h("ol");
    this.node = h("div", {class: "log", role: "log", "aria-label": t("messages", {name}), tabindex: "0", onscroll: () => this.#scrolled()}, this.list);
    this.jump = h("button", {class: "jump", type: "button", hidden: true, onclick: () => this.bottom()}, icon("down"), t("newest"));
    this.#unreadFrom = this.talk.unread ? this.talk.read : null;
    this.#from = Math.max(0, this.talk.rows.length - IN_DOCUMENT);
    this.#rows = ({detail}) => {
      if (detail.name && detail.name !== name) return;
      this.#news.push(detail.row);
      this.#due ??= requestAnimationFrame(() => this.#show());
    };
    this.#row = ({detail}) => { if (detail.name === name) this.#redraw(detail.row); };
    this.sized = new ResizeObserver(() => { if (this.stuck) this.node.scrollTop = this.node.scrollHeight; });
    this.sized.observe(this.node);
    this.#ready = () => this.#begin();
    for (const [type, act] of this.#heard) store.addEventListener(type, act);
  }

  #rows; #row; #ready; #due;
  #news = []; // what came since the last frame: messages at the end; none for anything else
  stuck = true;

  get #heard() { return [["rows", this.#rows], ["row", this.#row], ["ready", this.#ready]]; }

  close() {
    this.talk.open = false;
    cancelAnimationFrame(this.#due);
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
    if (this.#to < this.talk.rows.length) this.#window(this.talk.rows.length - IN_DOCUMENT, Infinity);
    this.node.scrollTop = this.node.scrollHeight;
    this.jump.hidden = true;
  }

  // Go to a message of the past, however far up it is.
  async go(number) {
    const place = () => this.talk.rows.findIndex(each => each.row === number);
    while (place() < 0 && this.talk.older && await this.#older(FAR));
    await new Promise(requestAnimationFrame); // what came with them is drawn
    if (place() < 0) return;
    this.#window(place() - IN_DOCUMENT / 2, place() + IN_DOCUMENT / 2);
    this.stuck = false;
    const item = this.list.querySelector(`[data-row="${number}"]`);
    item?.scrollIntoView({block: "center"});
    item?.classList.add("found");
    setTimeout(() => item?.classList.remove("found"), 2500);
  }

  #window(from, to) {
    this.#from = Math.max(0, from);
    this.#to = to < this.talk.rows.length ? to : Infinity;
    this.draw();
  }

  // What one reads stays where it is, whatever comes above.
  draw() {
    const atEnd = this.isAtEnd && this.#to === Infinity;
    const edge = this.node.getBoundingClientRect().top;
    const [read, seen] = [...this.#shown].find(([, {item}]) => item.getBoundingClientRect().bottom > edge) ?? [];
    const before = seen?.item.getBoundingClientRect().top;
    this.#shown.clear();
    const items = [];
    const rows = this.talk.rows.slice(this.#from, this.#to);
    rows.forEach((entry, index) => items.push(...this.#items(entry, rows[index - 1])));
    if (!rows.length) items.push(h("li", {class: "empty"}, icon("chat"), h("h2", {}, t("chat.empty", {name: this.talk.name})), h("p", {}, t(this.store.kind(this.talk.name) === "robot" ? "chat.empty.robot" : "chat.empty.person"))));
    put(this.list, items);
    const now = this.#shown.get(read)?.item;
    if (atEnd || !now) this.node.scrollTop = this.node.scrollHeight;
    else this.node.scrollTop += now.getBoundingClientRect().top - before;
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
    const item = row(this.store, entry, {first, answered: this.#isAnswered(entry)});
    this.#shown.set(entry, {item, first});
    return item;
  }

  #show() {
    const news = this.#news.splice(0), rows = this.talk.rows, first = !this.list.querySelector(".said");
    this.#due = undefined;
    if (this.#busy) return;
    const follow = first || this.stuck || news.some(each => each?.sender === this.store.me.user);
    if (first || news.length > FEW || news.some(each => !each)) this.draw();
    else if (this.#to === Infinity) this.#append(news);
    if (follow && rows.length - this.#from > IN_DOCUMENT + MORE) { this.store.trim(this.talk); this.#window(rows.length - IN_DOCUMENT, Infinity); }
    if (follow) this.bottom();
    else this.jump.hidden = false;
  }

  #append(news) {
    const rows = this.talk.rows;
    for (const entry of news) {
      this.list.append(...this.#items(entry, rows[rows.lastIndexOf(entry) - 1]));
      const asked = entry.refid && rows.findLast(each => each.id === entry.refid);
      if (asked) this.#redraw(asked);
    }
  }

  #redraw(entry) {
    const known = this.#shown.get(entry);
    if (!known) return;
    const atEnd = this.isAtEnd && this.#to === Infinity, item = row(this.store, entry, {first: known.first, answered: this.#isAnswered(entry)});
    if (known.item.contains(document.activeElement)) item.tabIndex = -1;
    known.item.replaceWith(item);
    known.item = item;
    if (atEnd) this.bottom();
  }

  // The answer says what went wrong, too: once is enough.
  #isAnswered(entry) { return entry.detail && entry.id && this.talk.rows.some(each => each.refid === entry.id); }

  #scrolled() {
    this.stuck = this.isAtEnd && this.#to === Infinity;
    this.jump.hidden = this.stuck;
    if (this.isAtEnd && this.#to < Infinity) this.#window(this.#to - IN_DOCUMENT, this.#to + MORE);
    else if (this.node.scrollTop < NEAR_PX * 2) this.#up();
  }

  #up() {
    if (this.#from > 0) return this.#window(this.#from - MORE, Math.min(this.#to, this.#from + IN_DOCUMENT));
    if (this.talk.older) this.#older();
  }

  // Whether they came.
  async #older(limit) {
    if (this.#busy) return false;
    this.#busy = true;
    const before = this.talk.rows.length;
    try {
      await this.store.older(this.talk.name, limit);
      const more = this.talk.rows.length - before;
      this.#window(this.#from, Math.min(this.#to, IN_DOCUMENT) + more);
      return true;
    } catch { return false; } finally { this.#busy = false; } // offline: the next scroll asks again
  }
}
