// Which view is on, and what is around all of them.
import "./stop.js";
import {h, icon, put, toast, ask} from "./dom.js";
import {t} from "./texts.js";
import {Link} from "./link.js";
import {Store} from "./store.js";
import {login} from "./login.js";
import {keepShell} from "./offline.js";
import {chat} from "./chat/chat.js";
import {applyTheme} from "./theme.js";

const main = document.getElementById("main");
const VIEWS = {chat};
const OTHERS = ["robot", "drive", "boards", "chain", "why", "system"];
// On a slow line one can talk while the others still come.
const others = import("./views.js").then(found => Object.assign(VIEWS, found));
const TABS = ["chat", "robot", "drive", "boards", "chain", "system"];
const STOP_MS = 5000;
const FEW = 2; // stopped robots that are shown one by one: more must not fill the page
let store = null, view = null, stopped = 0;

function start(me) {
  localStorage.setItem("me", JSON.stringify(me));
  const link = new Link(() => ({after: store?.cursor ?? 0}));
  store = new Store(link, me);
  link.addEventListener("state", ({detail}) => { line(detail); showLatched(); });
  link.addEventListener("left", () => leave(t("login.again")));
  link.addEventListener("welcome", ({detail}) => { if (detail.user !== me.user) restart(); });
  store.addEventListener("contacts", showLatched);
  store.addEventListener("talks", badge);
  store.addEventListener("heard", ({detail}) => notify(detail));
  store.addEventListener("asked", ({detail}) => handOver(detail));
  window.addEventListener("hashchange", go);
  document.body.dataset.view = "on";
  put(document.getElementById("nav"), h("ul", {}, TABS.map(name => h("li", {}, h("a", {href: `#/${name}`, "data-tab": name}, icon(name), h("span", {}, t(`tab.${name}`)))))));
  document.getElementById("nav").setAttribute("aria-label", t("views"));
  line(link.state);
  go();
}

function go() {
  const [name, ...path] = route();
  const chosen = OTHERS.includes(name) ? name : "chat";
  if (!VIEWS[chosen]) return wait(chosen, path);
  if (view?.move?.(chosen, path)) return mark(chosen, path);
  close();
  view = VIEWS[chosen](store, path);
  view.name = chosen;
  put(main, view.node);
  main.scrollTop = 0;
  mark(chosen, path);
  view.shown?.();
}

// The view is on its way; by then another one may be asked for.
function wait(name, path) {
  close();
  put(main, h("p", {class: "empty", role: "status"}, t("loading")));
  mark(name, path);
  others.then(() => { if (store && !view) go(); }, () => { if (store && !view) put(main, missing()); });
}

function missing() {
  return h("div", {class: "empty"}, h("p", {}, t("view.missing")), h("button", {type: "button", onclick: () => location.reload()}, t("load.again")));
}

function close() {
  view?.close?.();
  view = null;
}

// `#/chat/rover`, in parts.
function route() {
  try {
    return decodeURIComponent(location.hash).replace(/^#\/?/, "").split("/");
  } catch { return [""]; } // somebody typed half an escape
}

function mark(name, path) {
  const tab = name === "why" ? "chain" : name;
  for (const each of document.querySelectorAll("#nav a")) {
    if (each.dataset.tab === tab) each.setAttribute("aria-current", "page");
    else each.removeAttribute("aria-current");
  }
  document.title = [path[0], t(`tab.${tab}`), "boardtalk"].filter(Boolean).join(" · ");
  const one = document.getElementById("stop-one"), known = store.contacts.get(path[0])?.kind === "robot";
  one.hidden = !known;
  one.dataset.robot = known ? path[0] : "";
  one.textContent = known ? t("stop.one", {name: path[0]}) : "";
}

function line(state) {
  const box = document.getElementById("line");
  box.dataset.state = state;
  box.textContent = t(`line.${state}`);
}

// A robot that was stopped stays so until somebody says that it may move: all views show it, and that nobody answers.
function showLatched() {
  const latched = store.robots().filter(each => each.state === "latched");
  const names = latched.map(each => each.address), all = store.robots().every(each => !each.online || each.state === "latched");
  if (names.length) window.dispatchEvent(new CustomEvent("stopped", {detail: {names, all, text: t("stopped", {names: names.join(", ")})}}));
  const box = document.getElementById("latched"), known = box.querySelector("details");
  const rows = latched.map(each => h("p", {}, h("span", {}, t("latched", {name: each.address})),
    store.may(each.address, "rearm") && h("button", {type: "button", onclick: () => rearm(each.address)}, t("rearm.button", {name: each.address}))));
  put(box, store.link.state === "silent" && h("p", {class: "silent", role: "alert"}, t("line.silent.text")), rows.length > FEW ? h("details", {open: known?.open}, h("summary", {}, t("latched.n", {n: rows.length})), rows) : rows);
  if (view) mark(view.name, route().slice(1).filter(Boolean));
}

async function rearm(name) {
  const sure = await ask({title: t("rearm.title", {name}), text: t("rearm.text", {name}), yes: t("rearm.yes"), no: t("rearm.no"), danger: true});
  if (!sure) return;
  store.say(name, "rearm");
}

async function handOver(asked) {
  const yes = await ask({title: t("asked.title", {name: asked.to}), text: t("asked.text", asked), yes: t("asked.yes"), no: t("asked.no")});
  store.link.say("hand over", {ask: asked.ask, yes});
}

function badge() {
  const n = [...store.talks.values()].reduce((sum, talk) => sum + talk.unread, 0);
  const tab = document.querySelector('#nav a[data-tab="chat"]');
  tab.querySelector(".badge")?.remove();
  if (n) tab.append(h("span", {class: "badge", "aria-label": t("unread", {n})}, n > 99 ? "99+" : n));
}

function notify(entry) {
  if (entry.sender === store.me.user) return;
  if (entry.sender === "gateway" && Date.now() - stopped < STOP_MS) return; // the button says so itself
  const seen = view?.shows?.(entry.groupid || entry.sender) && !document.hidden;
  if (!seen) toast(`${entry.sender}: ${entry.body.split("\n", 1)[0].slice(0, 160)}`, entry.state && entry.state !== "done" ? "bad" : "");
}

function leave(note) {
  localStorage.removeItem("me");
  store?.link.end();
  store = null;
  close();
  window.removeEventListener("hashchange", go);
  put(document.getElementById("toasts"));
  show(note);
}

// Somebody else has logged in with this browser meanwhile.
function restart() {
  localStorage.removeItem("me");
  location.reload();
}

function show(note = "") {
  document.body.dataset.view = "login";
  put(document.getElementById("latched"));
  put(main, login(note, me => { window.dispatchEvent(new Event("session")); start(me); }));
  main.querySelector("input")?.focus();
}

async function begin() {
  if (location.hash.startsWith("#setup=")) return show();
  // Who was here last is not kept waiting, also if nothing answers: the line comes by itself, or tells that he must log in.
  const known = JSON.parse(localStorage.getItem("me") ?? "null");
  if (known) return start(known);
  try {
    const reply = await fetch("/me");
    if (!reply.ok) return show();
    start(await reply.json());
  } catch { show(t("login.away")); }
}

window.addEventListener("logout", () => leave(t("logout.done")));
others.then(keepShell, () => {}); // without them it is not worth keeping
addEventListener("stop", () => { stopped = Date.now(); });
document.getElementById("broken").remove(); // all modules are there
applyTheme();
begin();
