// The view of conversations: the list, and the one that is open.
import {h, icon, put} from "../dom.js";
import {t} from "../texts.js";
import {List, face, presence} from "./list.js";
import {Thread} from "./thread.js";
import {Composer} from "./composer.js";
import {Search} from "./search.js";

const SEEN_MS = 100;

export function chat(store, [name]) {
  const list = new List(store, name);
  const open = name ? new Talk(store, name) : null;
  const node = h("div", {class: "chat", "data-open": open && ""}, list.node, open?.node ?? h("section", {class: "thread"}, h("span"), h("div", {class: "empty"}, icon("chat"), h("h2", {}, t("chat.choose")), h("p", {}, t("chat.choose.text")))));
  return {
    node,
    shown: () => open?.shown(),
    shows: other => other === name,
    close: () => { list.close(); open?.close(); },
  };
}

class Talk {
  constructor(store, name) {
    this.store = store;
    this.name = name;
    this.thread = new Thread(store, name);
    this.composer = new Composer(store, name, to => { location.hash = `#/chat/${to}`; });
    this.header = h("header");
    this.node = h("section", {class: "thread", "aria-label": name}, this.header, this.thread.node, this.composer.node, this.thread.jump);
    this.on = {heard: () => this.#seen(), contacts: () => this.#head(), typing: ({detail}) => { if (detail.name === name) this.#typing(); }, rows: ({detail}) => { if (!detail.name || detail.name === name) { this.#seen(); this.#typing(); } }};
    for (const [type, act] of Object.entries(this.on)) store.addEventListener(type, act);
    this.visible = () => this.#seen();
    document.addEventListener("visibilitychange", this.visible);
    this.#head();
  }

  shown() {
    this.thread.shown().then(() => this.#seen());
    if (matchMedia("(hover: hover)").matches) this.composer.focus();
  }

  close() {
    if (this.due) this.#mark();
    for (const [type, act] of Object.entries(this.on)) this.store.removeEventListener(type, act);
    document.removeEventListener("visibilitychange", this.visible);
    this.thread.close();
    this.composer.close();
  }

  #head() {
    if (this.search) return;
    const contact = this.store.contacts.get(this.name), isRobot = contact?.kind === "robot";
    put(this.header, h("a", {class: "button bare back", href: "#/chat", "aria-label": t("back")}, icon("back")), face(this.name, this.store.kind(this.name), contact),
      h("div", {class: "who"}, h("h1", {}, this.name), h("p", {}, presence(contact))),
      isRobot && h("a", {class: "button bare", href: `#/robot/${this.name}`, "aria-label": t("panel.open", {name: this.name}), title: t("tab.robot")}, icon("robot")),
      isRobot && contact.controls?.length > 0 && h("a", {class: "button bare", href: `#/drive/${this.name}`, "aria-label": t("drive.open", {name: this.name}), title: t("tab.drive")}, icon("drive")),
      h("button", {class: "bare", type: "button", "aria-label": t("search"), title: t("search"), onclick: () => this.#find()}, icon("search")));
  }

  #find() {
    const close = () => { this.search.hits.remove(); this.search = null; this.#head(); };
    this.search = new Search(this.store, this.name, row => { close(); this.thread.go(row); }, close);
    put(this.header, this.search.bar);
    this.node.append(this.search.hits);
    this.search.input.focus();
  }

  #typing() { this.composer.typing([...this.store.talk(this.name).typing.keys()]); }

  // Of many that come at once, one word is enough.
  #seen() { this.due ??= setTimeout(() => this.#mark(), SEEN_MS); }

  #mark() {
    this.due = clearTimeout(this.due);
    if (!document.hidden && this.node.isConnected) this.store.mark(this.name);
  }
}
