// The gateway itself: who may use it, from where, and how the page looks.
import {h, put, download, toast} from "./dom.js";
import {get, post} from "./http.js";
import {t, duration, size} from "./texts.js";
import {rights} from "./rights.js";
import {audit} from "./system/audit.js";
import {add, users} from "./system/people.js";
import {listSessions, ownPassword} from "./system/sessions.js";
import {applyTheme} from "./theme.js";

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
  const report = () => { if (store.can("inspect") && !document.hidden) showReport(store, gateway); };
  const timer = setInterval(report, REPORT_MS), ready = () => { listSessions(sessions); report(); log.load(); if (rules) rules.load(); };
  store.addEventListener("ready", ready);
  if (store.link.state === "open") ready();
  return {node, close() { clearInterval(timer); store.removeEventListener("contacts", draw); store.removeEventListener("ready", ready); }};
}

function me(store) {
  return h("article", {class: "card"}, h("h2", {}, store.me.user), h("p", {class: "muted"}, t(`role.${store.me.role}`)),
    h("div", {class: "row"}, h("button", {type: "button", onclick: ownPassword}, t("password.own")), h("button", {type: "button", onclick: logOut}, t("logout"))));
}

async function logOut() {
  try {
    await post("/logout", {});
    window.dispatchEvent(new Event("logout"));
  } catch (problem) { toast(problem.message, "bad"); }
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
      const reply = await get("/diagnosis");
      if (!reply.ok) throw new Error((await reply.json()).reason);
      const [, name] = /filename="([^"]+)"/.exec(reply.headers.get("content-disposition"));
      download(name, "application/zip", await reply.blob());
    } catch (problem) { toast(problem.message, "bad"); }
    put(button, t("diagnosis.get"));
    button.disabled = false;
  }}, t("diagnosis.get"));
  return h("article", {class: "card"}, h("h2", {}, t("diagnosis")), h("p", {class: "muted small"}, t("diagnosis.text")), h("div", {class: "row"}, button));
}
