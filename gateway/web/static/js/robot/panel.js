// A robot's panel: all of it follows from what the robot declares.
import {h, icon, put} from "../dom.js";
import {t} from "../texts.js";
import {Live} from "../live.js";
import {CommandForm} from "./form.js";
import {Telemetry} from "./telemetry.js";

const HOW = {ready: "good", latched: "bad", offline: ""};

export function chip(contact) {
  return h("span", {class: "chip", "data-how": HOW[contact?.state] ?? "warn"}, t(`robot.${contact?.state ?? "offline"}`, {}, contact?.state));
}

export function robot(store, [name]) {
  if (name) return panel(store, name);
  return pick(store, "robot");
}

// Which robot? The view of one is chosen from a list.
export function pick(store, view, fits = () => true) {
  const cards = h("div", {class: "cards robots"}), node = h("section", {class: "page"}, h("h1", {}, t(`tab.${view}`)), cards);
  const draw = () => {
    const all = store.robots().filter(fits);
    put(cards, all.map(each => h("a", {class: "card", href: `#/${view}/${each.address}`}, h("header", {}, h("h2", {}, each.address), chip(each)), h("p", {class: "muted small"}, each.about || t("robot.unknown")), each.holder && h("p", {class: "small"}, t("held", {name: each.holder})))));
    if (!store.met) put(cards, h("p", {class: "empty"}, t("loading")));
    else if (!all.length) put(cards, h("div", {class: "empty"}, icon("robot"), h("h2", {}, t("robots.none")), h("p", {}, t("robots.none.text"))));
  };
  store.addEventListener("contacts", draw);
  draw();
  return {node, close: () => store.removeEventListener("contacts", draw)};
}

function panel(store, name) {
  const live = new Live(store.link, name);
  const head = h("header", {class: "head"}), facts = h("dl", {class: "facts"}), commands = h("div", {class: "cards"}), values = h("div");
  let telemetry = null, known = null, forms = [];
  const board = h("div", {class: "cards"});
  const forCommands = h("section", {"aria-label": t("commands")}, h("div", {class: "titled"}, h("h2", {}, t("commands")), h("p", {class: "muted small"}, t("commands.text"))), commands);
  const node = h("section", {class: "page"}, head, values, forCommands, board);

  function draw() {
    const contact = store.contacts.get(name);
    put(head, h("h1", {}, name), contact && [chip(contact), contact.holder && h("span", {class: "chip", "data-how": "warn"}, t("held", {name: contact.holder})),
      h("a", {class: "button", href: `#/chat/${name}`}, icon("chat"), t("tab.chat")),
      contact.controls?.length > 0 && h("a", {class: "button main", href: `#/drive/${name}`}, icon("drive"), t("tab.drive"))]);
    const details = Object.entries(contact?.details ?? {}).filter(([, value]) => value);
    put(facts, contact?.about && [h("dt", {}, t("about")), h("dd", {}, contact.about)], details.map(([key, value]) => [h("dt", {}, key), h("dd", {}, value)]));
    const declared = JSON.stringify([store.met, Boolean(contact), contact?.commands, contact?.series]);
    if (declared === known) return;
    known = declared;
    telemetry?.close();
    forCommands.hidden = board.hidden = !contact;
    forms = (contact?.commands ?? []).map(command => new CommandForm(store, name, command));
    if (!contact) return put(values, h("div", {class: "empty"}, icon("robot"), h("h2", {}, t(store.met ? "robot.nobody" : "loading", {name}))));
    telemetry = new Telemetry(store, name, live);
    put(values, h("section", {class: "page-part", "aria-label": t("values")}, h("header", {class: "head"}, h("h2", {}, t("values")), telemetry.hasPlots && h("div", {class: "row"}, h("label", {for: "span"}, t("span")), telemetry.span)), telemetry.plots));
    put(board, [["facts", facts], ["link", telemetry.link], ["log", telemetry.log]].map(([key, part]) => h("article", {class: "card"}, h("h2", {}, t(key)), part)));
    put(commands, forms.length ? forms.map(each => each.node) : h("div", {class: "empty"}, icon("robot"), h("h2", {}, t("commands.none")), h("p", {}, t("commands.none.text"))));
  }

  const refresh = ({detail}) => { if (!detail?.name || detail.name === name) for (const each of forms) each.show(); };
  store.addEventListener("contacts", draw);
  store.addEventListener("row", refresh);
  store.addEventListener("rows", refresh);
  draw();
  return {
    node,
    close() {
      store.removeEventListener("contacts", draw);
      store.removeEventListener("row", refresh);
      store.removeEventListener("rows", refresh);
      telemetry?.close();
      live.close();
    },
  };
}
