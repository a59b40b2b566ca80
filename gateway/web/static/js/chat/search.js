// Search in what was said, as far back as the gateway keeps it.
import {h, icon, put} from "../dom.js";
import {t, brief} from "../texts.js";
import {past} from "../store.js";

const PAUSE_MS = 200;
const FOUND = 50;

export class Search {
  #n = 0;

  constructor(store, name, found, closed) {
    this.store = store;
    this.name = name;
    this.found = found;
    this.input = h("input", {type: "search", placeholder: t("search.in", {name}), "aria-label": t("search.in", {name}), oninput: () => { clearTimeout(this.timer); this.timer = setTimeout(() => this.#ask(), PAUSE_MS); }});
    this.bar = h("div", {class: "search", role: "search", onkeydown: event => { if (event.key === "Escape") closed(); }}, h("h1", {class: "quiet"}, name), this.input, h("button", {class: "bare", type: "button", "aria-label": t("close"), onclick: closed}, icon("close")));
    this.hits = h("div", {class: "hits", tabindex: "-1", "aria-live": "polite"}, h("p", {class: "empty"}, t("search.type")));
  }

  async #ask() {
    const text = this.input.value.trim(), number = ++this.#n;
    if (!text) return put(this.hits, h("p", {class: "empty"}, t("search.type")));
    let shown;
    try {
      const {entries} = await this.store.link.ask("history", {other: this.name, text, limit: FOUND});
      shown = entries.length ? h("ol", {}, entries.reverse().map(entry => this.#hit(past(entry), text))) : h("p", {class: "empty"}, t("search.none", {text}));
    } catch (problem) {
      shown = h("p", {class: "error"}, problem.message);
    }
    if (number === this.#n) put(this.hits, shown);
  }

  #hit(entry, text) {
    return h("li", {}, h("button", {type: "button", onclick: () => this.found(entry.row)}, h("span", {class: "small muted"}, `${entry.sender} · ${brief(entry.at)}`), h("span", {}, marked(entry.body.slice(0, 300), text))));
  }
}

function marked(body, text) {
  const words = text.split(/\s+/).filter(Boolean).map(word => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return body.split(new RegExp(`(${words.join("|")})`, "i")).map((part, index) => index % 2 ? h("mark", {}, part) : part);
}
