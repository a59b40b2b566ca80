// Who did what, the newest first, as far back as one asks for.
import {h, put, toast} from "../dom.js";
import {t, moment} from "../texts.js";

export function audit(store) {
  const rows = h("tbody"), more = h("button", {type: "button", hidden: true, onclick: () => load(first)}, t("audit.more"));
  const filter = h("input", {type: "search", placeholder: t("audit.find"), "aria-label": t("audit.find"), oninput: () => { clearTimeout(timer); timer = setTimeout(() => load(), 250); }});
  let first = null, timer = 0;
  async function load(before = null) {
    try {
      const {lines, more: older} = await store.link.ask("audit", {before, text: filter.value.trim()});
      const shown = lines.reverse().map(each => h("tr", {}, h("td", {}, moment(each.at)), h("td", {}, each.who), h("td", {}, each.what), h("td", {}, each.target), h("td", {}, each.result)));
      if (before === null) put(rows, shown);
      else rows.append(...shown);
      first = lines.at(-1)?.seq ?? first;
      more.hidden = !older;
    } catch (problem) { toast(problem.message, "bad"); }
  }
  const node = h("section", {"aria-label": t("audit")}, h("div", {class: "titled"}, h("h2", {}, t("audit")), h("p", {class: "muted small"}, t("audit.text"))), filter,
    h("div", {class: "table lines-table", tabindex: "0", role: "group", "aria-label": t("audit")}, h("table", {}, h("thead", {}, h("tr", {}, ["at", "who", "what", "target", "result"].map(each => h("th", {scope: "col"}, t(`audit.${each}`))))), rows)), more);
  return {node, load: () => { if (store.can("admin")) load(); }};
}
