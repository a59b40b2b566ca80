// Who may use the gateway, and as what.
import {h, ask, toast} from "../dom.js";
import {t} from "../texts.js";
import {byName} from "../store.js";

const ROLES = ["viewer", "operator", "admin"];

export function users(store) {
  const all = [...store.contacts.values()].filter(each => each.kind === "user").sort((a, b) => byName(a.address, b.address));
  return h("div", {class: "table", tabindex: "0", role: "group", "aria-label": t("people")}, h("table", {}, h("thead", {}, h("tr", {}, ["name", "role", "here", "change"].map(each => h("th", {scope: "col"}, t(`person.${each}`))))),
    h("tbody", {}, all.map(each => h("tr", {}, h("th", {scope: "row"}, each.address), h("td", {}, role(store, each)), h("td", {}, t(each.online ? "online" : "offline")),
      h("td", {}, h("div", {class: "row"}, h("button", {type: "button", onclick: () => password(store, each.address)}, t("person.password")), each.address !== store.me.user && h("button", {type: "button", onclick: () => remove(store, each.address)}, t("person.remove")))))))));
}

function role(store, {address, about}) {
  return h("select", {"aria-label": t("person.role.of", {name: address}), disabled: address === store.me.user, onchange: event => change(store, {action: "role", address, role: event.target.value})}, ROLES.map(each => h("option", {value: each, selected: each === about}, t(`role.${each}`))));
}

async function change(store, fields) {
  try {
    const changed = await store.link.ask("user", fields);
    toast(t("person.changed", {name: fields.address}));
    await store.refresh();
    return changed;
  } catch (problem) { toast(problem.message, "bad"); }
  return null;
}

async function remove(store, address) {
  if (await ask({title: t("person.remove.title", {name: address}), text: t("person.remove.text"), yes: t("person.remove"), no: t("cancel"), danger: true})) await change(store, {action: "remove", address});
}

export function add(store) {
  const name = h("input", {id: "new-name", required: true, pattern: "[a-z0-9][a-z0-9_\\-]{0,31}", autocapitalize: "none", autocomplete: "off", title: t("login.address")});
  const secret = h("input", {id: "new-password", type: "password", required: true, minlength: "8", autocomplete: "new-password"});
  const rights = h("select", {id: "new-role"}, ROLES.map(each => h("option", {value: each, selected: each === "operator"}, t(`role.${each}`))));
  return h("form", {class: "card", onsubmit: async event => {
    event.preventDefault();
    const form = event.target;
    if (await change(store, {action: "add", address: name.value, role: rights.value}) && await change(store, {action: "passwd", address: name.value, password: secret.value})) form.reset();
  }}, h("h3", {}, t("person.add")), h("div", {class: "cards"}, [["login.user", name], ["person.password", secret], ["person.role", rights]].map(([key, input]) => h("div", {class: "field"}, h("label", {for: input.id}, t(key)), input))), h("div", {class: "row"}, h("button", {class: "main"}, t("person.add"))));
}

async function password(store, address) {
  const input = h("input", {id: "change-password", type: "password", required: true, minlength: "8", autocomplete: "new-password"});
  const field = h("div", {class: "field"}, h("label", {for: "change-password"}, t("person.password.new")), input);
  const sure = await ask({title: t("person.password.of", {name: address}), yes: t("save"), no: t("cancel"), field});
  if (sure) await change(store, {action: "passwd", address, password: input.value});
}
