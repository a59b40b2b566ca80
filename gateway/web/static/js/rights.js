// Who may what with which robot: the rules, which an admin tries before they are kept.
import {h, put, ask, toast} from "./dom.js";
import {t} from "./texts.js";
import {field, trial, marked} from "./settings.js";

const COLUMNS = ["who", "robots", "may", "limits"];
const KEYS = ["users", "roles", "robots", "may", "commands", "limits"];
const ROLES = ["viewer", "operator"];

export function rights(store) {
  const pending = h("div", {class: "page-part"}), body = h("div", {class: "page-part"});
  const node = h("section", {"aria-label": t("rights")}, h("div", {class: "titled"}, h("h2", {}, t("rights")), h("p", {class: "muted small"}, t("rights.text"))), pending, body);

  async function load() {
    try {
      const found = await store.link.ask("rights");
      put(pending, trial(store, found.pending, gone => { put(pending); if (gone) toast(gone); load(); }));
      put(body, what(found), found.rules.length ? table(found) : h("p", {class: "muted"}, t("rights.none")), h("div", {class: "row"}, h("button", {type: "button", onclick: () => edit(found, null)}, t("rights.add"))), editor);
    } catch (problem) { put(body, h("p", {class: "error"}, problem.message)); }
  }

  const editor = h("div");

  // Whether it could be tried; if not, `say` tells why.
  async function change(name, values, seen, say) {
    try {
      await store.link.ask("change rights", {name, values, seen});
      put(editor);
      await load();
      pending.scrollIntoView({block: "nearest"});
    } catch (problem) {
      say(problem.message);
      load(); // somebody else may have changed them
    }
  }

  function what(found) {
    const choice = h("select", {id: "rights-roles", onchange: () => change("", {roles: choice.value}, null, reason => toast(reason, "bad"))},
      ["yes", "no"].map(each => h("option", {value: each, selected: each === (found.roles ? "yes" : "no")}, t(`rights.roles.${each}`))));
    return h("div", {class: "field"}, h("label", {for: "rights-roles"}, t("rights.roles")), choice, h("small", {}, t(`rights.roles.text.${choice.value}`)));
  }

  function table(found) {
    return h("div", {class: "table", tabindex: "0", role: "group", "aria-label": t("rights")}, h("table", {class: "stacked"}, h("thead", {}, h("tr", {}, ["name", ...COLUMNS, "change"].map(each => h("th", {scope: "col"}, t(`rights.${each}`))))),
      h("tbody", {}, found.rules.map(rule => h("tr", {}, h("th", {scope: "row", title: rule.where}, rule.name), columns(rule).map((each, at) => h("td", {"data-name": t(`rights.${COLUMNS[at]}`)}, each)),
        h("td", {}, h("div", {class: "row"}, h("button", {type: "button", onclick: () => edit(found, rule)}, t("rights.edit")), h("button", {type: "button", onclick: () => remove(rule)}, t("rights.remove")))))))));
  }

  async function remove(rule) {
    if (await ask({title: t("rights.remove.title", {name: rule.name}), text: t("rights.remove.text"), yes: t("rights.remove"), no: t("cancel"), danger: true})) change(rule.name, null, given(rule), reason => toast(reason, "bad"));
  }

  function edit(found, rule) {
    const name = h("input", {id: "rule-name", value: rule?.name ?? "", required: true, pattern: "[a-z0-9][a-z0-9_\\-]{0,31}", title: t("login.address"), autocapitalize: "none", autocomplete: "off", disabled: Boolean(rule)});
    const words = {roles: ROLES, may: found.rights}, settings = [...rule?.settings ?? found.blank].sort((a, b) => KEYS.indexOf(a.key) - KEYS.indexOf(b.key));
    const fields = settings.map(each => words[each.key] ? boxes(each, words[each.key]) : field("rule", each));
    const problem = h("p", {class: "error", role: "alert"});
    put(editor, h("form", {class: "card", "aria-label": t(rule ? "rights.edit.title" : "rights.add", {name: rule?.name}), onsubmit: event => {
      event.preventDefault();
      const values = Object.fromEntries(fields.map(each => each.changed()).filter(Boolean));
      if (!rule && found.rules.some(each => each.name === name.value)) return put(problem, t("rights.taken", {name: name.value}));
      if (!Object.keys(values).length) return put(problem, t("settings.same"));
      change(name.value, values, rule ? given(rule) : {}, reason => put(problem, reason));
    }}, h("h3", {}, t(rule ? "rights.edit.title" : "rights.add", {name: rule?.name})), problem,
    h("div", {class: "cards"}, h("div", {class: "field"}, h("label", {for: "rule-name"}, t("rights.name")), name), fields.map(each => each.node)),
    h("div", {class: "row"}, h("button", {class: "main"}, t("rights.try")), h("button", {type: "button", onclick: () => put(editor)}, t("cancel")))));
    editor.scrollIntoView({block: "nearest"});
    (rule ? fields[0].node.querySelector("input") : name).focus();
  }

  return {node, load};
}

// What the file says of it, as it is seen here: if that is otherwise by now, nothing is changed.
const given = ({settings}) => Object.fromEntries(settings.filter(each => each.given).map(each => [each.key, each.value ?? ""]));

function columns({settings}) {
  const of = key => settings.find(each => each.key === key)?.value ?? "";
  const both = (...keys) => keys.map(of).filter(Boolean).join(", ");
  const limits = of("limits") && h("span", {}, of("limits").split(/(?<=,) */).map(each => [h("span", {class: "whole"}, each), " "]));
  return [both("users", "roles"), of("robots"), both("may", "commands"), limits];
}

// A key that takes a list of few words, as boxes.
function boxes(setting, words) {
  const before = new Set((setting.value ?? "").split(",").map(each => each.trim()).filter(Boolean));
  const all = words.map(each => h("input", {type: "checkbox", value: each, checked: before.has(each)}));
  return {
    node: h("fieldset", {class: `field boxes${words.length > 4 ? " many" : ""}`}, h("legend", {}, setting.key), h("div", {class: "row"}, all.map((box, at) => h("label", {}, box, words[at]))), h("small", {}, marked(setting.help))),
    changed() {
      const chosen = all.filter(each => each.checked).map(each => each.value);
      if (chosen.length === before.size && chosen.every(each => before.has(each))) return null;
      return [setting.key, chosen.join(", ") || null];
    },
  };
}
