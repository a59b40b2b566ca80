// The modules that each message passes, in their order, and how they are.
import {h, icon, put} from "./dom.js";
import {t} from "./texts.js";
import {settings, trial} from "./settings.js";

const EVERY_MS = 2000;
const COUNTS = ["passed", "consumed", "replaced", "refused", "failed", "rested", "slow"];
const HOW = {running: "good", resting: "warn", failed: "bad"};

export function chain(store) {
  const list = h("ol", {class: "chain"}, h("li", {class: "empty"}, t("loading"))), problem = h("p", {class: "error"});
  const node = h("section", {class: "page"}, h("header", {class: "head"}, h("h1", {}, t("tab.chain")), h("a", {class: "button", href: "#/why/"}, t("why.last"))),
    h("p", {class: "muted"}, t("chain.text")), problem, list);
  if (!store.can("inspect")) return {node: put(node, node.firstChild, h("div", {class: "empty"}, icon("chain"), h("h2", {}, t("chain.hidden"))))};

  const onTrial = h("div", {class: "page-part"}), forms = new Map();
  node.insertBefore(onTrial, list);
  const changed = pending => put(onTrial, trial(store, pending, over));
  const over = note => {
    put(onTrial, note && h("p", {class: "muted"}, note));
    put(list); // the forms are made anew
    forms.clear();
    draw();
  };
  const form = name => forms.get(name) ?? forms.set(name, settings(store, name, changed)).get(name);

  async function draw() {
    try {
      const {modules: all} = await store.link.ask("modules");
      put(problem);
      if (all.length) update(list, all.map(item), all.map(each => form(each.name)));
      else put(list, h("li", {class: "empty"}, icon("chain"), h("h2", {}, t("chain.none"))));
    } catch (error) { put(problem, error.message); }
  }

  const timer = setInterval(() => { if (!document.hidden) draw(); }, EVERY_MS);
  store.link.addEventListener("welcome", draw);
  draw();
  return {node, close() { clearInterval(timer); store.link.removeEventListener("welcome", draw); }};
}

// What is typed into a form just now is left alone: only what is above it is new.
function update(list, items, forms) {
  const same = list.children.length === items.length && items.every((each, index) => list.children[index].dataset.name === each.dataset.name);
  if (!same) {
    items.forEach((each, index) => each.querySelector(".card").append(forms[index]));
    return put(list, items);
  }
  return items.forEach((each, index) => list.children[index].querySelector(".report").replaceWith(each.querySelector(".report")));
}

function item(module) {
  return h("li", {"data-name": `${module.position} ${module.name}`}, h("span", {class: "place", "aria-hidden": "true"}, module.position || "–"),
    h("article", {class: "card", "aria-label": module.name}, h("div", {class: "page-part report"},
      h("header", {class: "report-head"}, h("h2", {}, module.name, " ", h("small", {class: "muted"}, module.version)), h("span", {class: "chip", "data-how": HOW[module.condition] ?? "warn"}, module.condition),
        module.description && h("p", {class: "muted small"}, module.description)),
      h("p", {class: "counts"}, COUNTS.filter(name => module[name] > 0 || name === "passed").map(name => h("span", {}, h("b", {}, module[name]), ` ${t(`count.${name}`)}`)),
        module.p99_ms > 0 && h("span", {}, h("b", {}, `${module.p50_ms.toPrecision(2)} / ${module.p99_ms.toPrecision(2)}`), ` ${t("count.ms")}`),
        h("span", {class: "muted"}, t(`on_fail.${module.on_fail}`))),
      module.last_error && h("p", {class: "error"}, module.last_error))));
}
