// What is plugged in, and what it runs. New firmware goes by the same words as in chat.
import {h, icon, put} from "./dom.js";
import {t} from "./texts.js";
import {chip} from "./robot/panel.js";

export function boards(store) {
  const cards = h("div", {class: "cards"}), flash = h("div");
  const node = h("section", {class: "page"}, h("h1", {}, t("tab.boards")), cards, flash);

  function draw() {
    const all = store.robots();
    put(cards, all.map(card));
    if (!all.length) put(cards, h("div", {class: "empty"}, icon("boards"), h("h2", {}, t("boards.none")), h("p", {}, t("boards.none.text"))));
    const service = [...store.contacts.values()].find(each => each.kind === "service" && each.commands?.some(command => command.name === "flash"));
    put(flash, h("article", {class: "card"}, h("h2", {}, t("flash")), h("p", {class: "muted"}, t(service ? "flash.text" : "flash.none")),
      service && h("div", {class: "row"}, h("a", {class: "button main", href: `#/chat/${service.address}`}, t("flash.open", {name: service.address})))));
  }

  function card(contact) {
    const details = Object.entries(contact.details ?? {}).filter(([, value]) => value);
    return h("article", {class: "card"}, h("header", {}, h("div", {}, h("h2", {}, contact.address), h("p", {class: "muted small"}, contact.about || t("robot.unknown"))), chip(contact)),
      details.length > 0 && h("dl", {class: "facts"}, details.map(([key, value]) => [h("dt", {}, key), h("dd", {}, value)])),
      h("div", {class: "row"}, h("a", {class: "button", href: `#/robot/${contact.address}`}, t("panel"))));
  }

  store.addEventListener("contacts", draw);
  draw();
  return {node, close: () => store.removeEventListener("contacts", draw)};
}
