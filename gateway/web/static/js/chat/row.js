// One message, and what became of it.
import {h, put} from "../dom.js";
import {t, time, seconds} from "../texts.js";
import {BAD, ORDER, how} from "../store.js";
import {text} from "./markdown.js";

const STEPS = ["accepted", "sent", "started", "done"];
const PEOPLE_STEPS = ["accepted", "done", "read"];

export function row(store, entry, {first, answered}) {
  const own = entry.sender === store.me.user;
  const bad = !own && entry.state && BAD.has(entry.state);
  const passing = !own && !entry.row;
  const item = h("li", {class: ["said", own && "own", first && "first", passing && "passing"].filter(Boolean).join(" "), "data-how": bad && "bad", "data-id": entry.id || null, "data-row": entry.row || null});
  return put(item,
    first && !own && h("p", {class: "by"}, entry.sender),
    h("div", {class: "bubble", dir: "auto"}, text(entry.body)),
    own && entry.detail && BAD.has(entry.state) && !answered && h("p", {class: "wrong"}, entry.detail),
    h("p", {class: "meta"}, own && entry.row > 0 && h("a", {class: "link why", href: `#/why/~${entry.row}`}, t("why.link")), own && steps(store, entry), h("time", {datetime: new Date(entry.at * 1000).toISOString(), title: seconds(entry.at)}, time(entry.at)),
      own && entry.state === "unsent" && h("button", {class: "link", onclick: () => store.sayAgain(entry)}, t("say.again"))));
}

// The five states in place: how far it is, in a bar and in words.
function steps(store, entry) {
  const people = ["user", "group"].includes(store.kind(entry.to));
  const all = people ? PEOPLE_STEPS : STEPS;
  const at = ORDER.indexOf(entry.state), bad = BAD.has(entry.state);
  const words = t(`state.${people ? "people." : ""}${entry.state}`);
  const detail = entry.state === "started" ? entry.detail : "";
  return h("span", {class: "steps", "data-how": how(entry.state), "data-state": entry.state},
    all.map(step => h("i", {class: !bad && at >= ORDER.indexOf(step) && "on"})), h("span", {}, words, detail && ` ${detail}`));
}
