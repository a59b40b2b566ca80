// All conversations: whom one talks to, what was said last, what is unread.
import {h, put} from "../dom.js";
import {t, brief} from "../texts.js";
import {byName} from "../store.js";

export class List {
  constructor(store, name) {
    this.store = store;
    this.name = name;
    this.filter = h("input", {type: "search", placeholder: t("find.talk"), "aria-label": t("find.talk"), oninput: () => this.draw()});
    this.names = h("nav", {class: "names", "aria-label": t("talks")});
    this.node = h("aside", {}, h("header", {}, h("h1", {}, t("tab.chat")), this.filter), this.names);
    this.#draw = () => { this.due ??= requestAnimationFrame(() => { this.due = undefined; this.draw(); }); };
    for (const type of ["talks", "contacts", "row"]) store.addEventListener(type, this.#draw);
    this.draw();
  }

  #draw;

  close() { for (const type of ["talks", "contacts", "row"]) this.store.removeEventListener(type, this.#draw); }

  draw() {
    const wanted = this.filter.value.trim().toLowerCase();
    const names = new Set([...this.store.contacts.keys(), ...[...this.store.talks.values()].filter(each => each.rows.length).map(each => each.name)]);
    names.delete(this.store.me.user);
    const all = [...names].filter(name => name.includes(wanted)).map(name => this.#entry(name)).sort((a, b) => b.at - a.at || byName(a.name, b.name));
    const parts = ["robot", "people"].map(part => [part, all.filter(each => (each.kind === "robot") === (part === "robot"))]).filter(([, list]) => list.length);
    put(this.names, parts.map(([part, list]) => [h("h2", {}, t(`talks.${part}`)), h("ul", {}, list.map(each => h("li", {}, this.#link(each))))]),
      !all.length && h("p", {class: "empty small"}, t(wanted ? "find.none" : this.store.met ? "talks.none" : "loading")));
  }

  #entry(name) {
    const talk = this.store.talk(name), last = talk.rows.findLast(each => each.row || each.sender === this.store.me.user) ?? talk.rows.at(-1);
    return {name, talk, last, kind: this.store.kind(name), at: last?.at ?? 0, contact: this.store.contacts.get(name)};
  }

  #link({name, talk, last, kind, contact}) {
    const says = last ? (last.sender === this.store.me.user ? t("you", {text: last.body}) : last.body) : contact?.about ?? "";
    return h("a", {class: talk.unread ? "talk unread" : "talk", href: `#/chat/${name}`, "aria-current": name === this.name && "true"},
      face(name, kind, contact), h("b", {}, name),
      h("span", {class: "side"}, last && h("time", {}, brief(last.at)), talk.unread > 0 && h("span", {class: "badge", "aria-label": t("unread", {n: talk.unread})}, talk.unread > 99 ? "99+" : talk.unread)),
      h("small", {dir: "auto"}, says.split("\n", 1)[0].slice(0, 100)));
  }
}

export function face(name, kind, contact) {
  const mark = contact?.state === "latched" ? "bad" : contact?.online ? "good" : "";
  return h("span", {class: "face", "data-kind": kind, "data-how": kind === "group" ? "none" : mark, "aria-hidden": "true"}, name[0]);
}

export function presence(contact) {
  if (!contact) return "";
  if (contact.kind === "group") return t("group");
  if (contact.kind === "robot") return t(`robot.${contact.state}`, {}, contact.state) + (contact.holder ? ` · ${t("held", {name: contact.holder})}` : "");
  return t(contact.online ? "online" : "offline");
}
