// The gateway itself: who may use it, from where, and how the page looks.
import {h, put, ask, download, toast} from "./dom.js";
import {t, duration, moment, size} from "./texts.js";
import {post} from "./login.js";
import {rights} from "./rights.js";
import {applyTheme} from "./theme.js";

const ROLES = ["viewer", "operator", "admin"];
const THEMES = ["auto", "light", "dark"];
const REPORT_MS = 5000;
const LITTLE_BYTES = 100_000_000; // free on the disk: what is said may soon not be kept

export function system(store) {
  const people = h("div"), sessions = h("div"), gateway = h("article", {class: "card"}, h("h2", {}, t("gateway")), h("p", {class: "muted"}, t("loading"))), log = audit(store), rules = store.can("admin") && rights(store);
  const node = h("section", {class: "page"}, h("h1", {}, t("tab.system")), h("div", {class: "cards"}, me(store), look(), store.can("inspect") && gateway, store.can("admin") && diagnosis()),
    h("section", {"aria-label": t("sessions")}, h("div", {class: "titled"}, h("h2", {}, t("sessions")), h("p", {class: "muted small"}, t("sessions.text"))), sessions),
    store.can("admin") && h("section", {"aria-label": t("people")}, h("h2", {}, t("people")), people, add(store)), rules && rules.node, store.can("admin") && log.node);
  const draw = () => { if (store.can("admin")) put(people, users(store)); };
  store.addEventListener("contacts", draw);
  draw();
  listSessions(sessions);
  const report = () => { if (store.can("inspect") && !document.hidden) showReport(store, gateway); };
  const timer = setInterval(report, REPORT_MS), ready = () => { report(); log.load(); if (rules) rules.load(); };
  store.addEventListener("ready", ready);
  if (store.link.state === "open") ready();
  return {node, close() { clearInterval(timer); store.removeEventListener("contacts", draw); store.removeEventListener("ready", ready); }};
}

function me(store) {
  return h("article", {class: "card"}, h("h2", {}, store.me.user), h("p", {class: "muted"}, t(`role.${store.me.role}`)),
    h("div", {class: "row"}, h("button", {type: "button", onclick: ownPassword}, t("password.own")), h("button", {type: "button", onclick: async () => { await post("/logout", {}).catch(() => {}); window.dispatchEvent(new Event("logout")); }}, t("logout"))));
}

function look() {
  const chosen = localStorage.getItem("theme") ?? "auto";
  return h("article", {class: "card"}, h("h2", {}, t("look")), h("div", {class: "field"}, h("label", {for: "theme"}, t("theme")),
    h("select", {id: "theme", onchange: event => { localStorage.setItem("theme", event.target.value); applyTheme(); }}, THEMES.map(each => h("option", {value: each, selected: each === chosen}, t(`theme.${each}`))))));
}

async function showReport(store, box) {
  try {
    const found = await store.link.ask("system");
    const facts = {
      version: `${found.version} · Python ${found.python}`, up: duration(found.uptime_s), memory: size(found.memory_bytes), store: size(found.store_bytes),
      disk: h("span", {class: found.disk_free_bytes < LITTLE_BYTES && "little"}, t("disk.free", {free: size(found.disk_free_bytes), all: size(found.disk_bytes)})), broker: found.broker ? `${found.broker.host}:${found.broker.port}${found.broker.tls ? " TLS" : ""}` : t("broker.none"), sessions: found.sessions.length,
    };
    put(box, h("h2", {}, t("gateway")), h("dl", {class: "facts"}, Object.entries(facts).map(([key, value]) => [h("dt", {}, t(`gateway.${key}`)), h("dd", {}, value)])));
  } catch (problem) { put(box, h("h2", {}, t("gateway")), h("p", {class: "error"}, problem.message)); }
}

function diagnosis() {
  const button = h("button", {type: "button", onclick: async () => {
    button.disabled = true;
    put(button, t("diagnosis.making"));
    try {
      const reply = await fetch("/diagnosis");
      if (!reply.ok) throw new Error((await reply.json()).reason);
      const [, name] = /filename="([^"]+)"/.exec(reply.headers.get("content-disposition"));
      download(name, "application/zip", await reply.blob());
    } catch (problem) { toast(problem.message, "bad"); }
    put(button, t("diagnosis.get"));
    button.disabled = false;
  }}, t("diagnosis.get"));
  return h("article", {class: "card"}, h("h2", {}, t("diagnosis")), h("p", {class: "muted small"}, t("diagnosis.text")), h("div", {class: "row"}, button));
}

// Who did what, the newest first, as far back as one asks for.
function audit(store) {
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

async function ownPassword() {
  const [old, fresh] = ["current-password", "new-password"].map(kind => h("input", {id: `own-${kind}`, type: "password", required: true, minlength: kind === "new-password" ? "8" : null, autocomplete: kind}));
  const field = h("div", {class: "page-part"}, [["password.old", old], ["person.password.new", fresh]].map(([key, input]) => h("div", {class: "field"}, h("label", {for: input.id}, t(key)), input)));
  if (!await ask({title: t("password.own"), yes: t("save"), no: t("cancel"), field})) return;
  try {
    await post("/password", {password: old.value, new: fresh.value});
    toast(t("password.changed"));
  } catch (problem) { toast(problem.message, "bad"); }
}

async function listSessions(box) {
  try {
    const {sessions} = await (await fetch("/sessions")).json();
    put(box, h("div", {class: "table", tabindex: "0", role: "group", "aria-label": t("sessions")}, h("table", {}, h("thead", {}, h("tr", {}, ["agent", "address", "since", "end"].map(each => h("th", {scope: "col"}, t(`session.${each}`))))),
      h("tbody", {}, sessions.map(each => h("tr", {}, h("td", {}, browser(each.agent)), h("td", {}, each.address), h("td", {}, moment(each.since)),
        h("td", {}, each.own ? t("session.own") : h("button", {type: "button", onclick: async () => { await post("/sessions/end", {name: each.name}); listSessions(box); }}, t("session.close")))))))));
  } catch { put(box, h("p", {class: "error"}, t("line.waiting"))); }
}

const browser = agent => /(Firefox|Edg|Chrome|Safari)\/[\d]+/.exec(agent ?? "")?.[0].replace("/", " ") ?? agent ?? "";

function users(store) {
  const all = [...store.contacts.values()].filter(each => each.kind === "user").sort((a, b) => a.address.localeCompare(b.address));
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

function add(store) {
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
