// Where messages are typed: what may follow is offered, by keyboard and by finger.
import {h, icon, put, toast} from "../dom.js";
import {t} from "../texts.js";
import {Outbox} from "../outbox.js";
import {completions, addressed} from "./completion.js";

const TYPING_EVERY_MS = 3000;

export class Composer {
  #found = [];
  #at = -1;
  #asked = 0;
  #told = 0;
  #said = [];
  #back = 0;

  constructor(store, name, said) {
    this.store = store;
    this.name = name;
    this.said = said;
    this.key = `draft:${store.me.user}:${name}`;
    this.input = h("textarea", {id: "say", rows: "1", dir: "auto", placeholder: t("say.to", {name}), "aria-label": t("say.to", {name}), "aria-autocomplete": "list", "aria-controls": "choices", "aria-haspopup": "listbox",
      autocapitalize: "none", autocomplete: "off", spellcheck: "false", enterkeyhint: "send",
      oninput: () => this.#typed(), onkeydown: event => this.#key(event), onblur: () => setTimeout(() => this.#hide(), 150),
      value: sessionStorage.getItem(this.key) ?? ""});
    this.list = h("ul", {id: "choices", class: "choices", role: "listbox", tabindex: "-1", "aria-label": t("choices"), hidden: true});
    this.count = h("p", {class: "quiet", "aria-live": "polite"});
    this.hush = h("p", {class: "hush", "aria-live": "polite"});
    this.node = h("div", {class: "composer"}, this.hush, this.list, this.count,
      h("form", {onsubmit: event => { event.preventDefault(); this.#send(); }}, this.input, h("button", {class: "main", "aria-label": t("send")}, icon("send"))));
  }

  close() { clearTimeout(this.timer); }

  focus() { this.input.focus({preventScroll: true}); this.#grow(); }

  typing(names) { put(this.hush, names.length ? t("typing", {n: names.length, names: names.join(", ")}) : ""); }

  #send() {
    const {to, body} = addressed(this.store, this.name, this.input.value.trim());
    if (!body) return;
    const unfit = Outbox.unfit({to, body});
    if (unfit) { toast(unfit, "bad"); return; }
    this.store.say(to, body);
    this.#said.push(this.input.value.trim());
    this.#back = 0;
    this.#put("");
    this.#hide();
    if (to !== this.name) this.said(to);
  }

  #put(text) {
    this.input.value = text;
    sessionStorage.setItem(this.key, text);
    this.#grow();
  }

  #grow() {
    this.input.style.height = "auto";
    this.input.style.height = `${this.input.scrollHeight}px`;
  }

  #typed() {
    sessionStorage.setItem(this.key, this.input.value);
    this.#grow();
    this.#offer();
    const contact = this.store.contacts.get(this.name), listens = contact?.online && (contact.kind === "user" || contact.kind === "group");
    if (this.input.value && listens && Date.now() - this.#told > TYPING_EVERY_MS) {
      this.#told = Date.now();
      this.store.link.say("typing", {to: this.name});
    }
  }

  async #offer() {
    const number = ++this.#asked, line = this.input.value.slice(0, this.input.selectionStart);
    const found = await completions(this.store, this.name, line);
    if (number !== this.#asked) return;
    this.#found = found;
    this.#at = -1;
    put(this.list, found.map((each, index) => h("li", {role: "option", id: `choice-${index}`, "aria-selected": "false", onpointerdown: event => { event.preventDefault(); this.#take(index); }}, h("b", {}, each.shown), each.hint && h("span", {}, each.hint))));
    this.list.hidden = !found.length;
    put(this.count, found.length ? t("choices.n", {n: found.length}) : "");
    this.input.removeAttribute("aria-activedescendant");
  }

  #choose(index) {
    const items = this.list.children;
    items[this.#at]?.setAttribute("aria-selected", "false");
    this.#at = (index + items.length) % items.length;
    const item = items[this.#at];
    item.setAttribute("aria-selected", "true");
    item.scrollIntoView({block: "nearest"});
    this.input.setAttribute("aria-activedescendant", item.id);
  }

  #take(index) {
    const {text, from} = this.#found[index];
    const before = this.input.value.slice(0, from) + text, after = this.input.value.slice(this.input.selectionStart);
    this.#put(before + after);
    this.input.setSelectionRange(before.length, before.length);
    this.input.focus();
    this.#offer();
  }

  #hide() {
    this.#asked += 1;
    this.list.hidden = true;
    this.#at = -1;
    put(this.count);
    this.input.removeAttribute("aria-activedescendant");
  }

  #key(event) {
    if (event.isComposing) return;
    const open = !this.list.hidden;
    const acts = {
      ArrowDown: () => open && this.#choose(this.#at + 1),
      ArrowUp: () => open ? this.#choose(this.#at < 0 ? -1 : this.#at - 1) : this.#recall(),
      Tab: () => open && !event.shiftKey && this.#take(Math.max(this.#at, 0)),
      Escape: () => open && this.#hide(),
      Enter: () => !event.shiftKey && (open && this.#at >= 0 ? this.#take(this.#at) : this.#send()),
    };
    const done = acts[event.key]?.();
    if (done !== false && done !== null && acts[event.key]) event.preventDefault();
  }

  // What was said last comes back into an empty line.
  #recall() {
    if ((this.input.value && !this.#back) || this.#back >= this.#said.length) return false;
    this.#back += 1;
    this.#put(this.#said[this.#said.length - this.#back]);
  }
}
