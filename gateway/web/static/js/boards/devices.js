// What is plugged in and is no robot yet: a board that waits for its address, or something unknown.
import {h, put, toast} from "../dom.js";
import {t} from "../texts.js";
import {outcome} from "./outcome.js";

export function waitingCard(store, board, may) {
  const input = h("input", {id: `adopt-${board.uid}`, required: true, pattern: "[a-z0-9][a-z0-9_\\-]{0,31}", value: board.declared, autocapitalize: "none", autocomplete: "off", spellcheck: "false", title: t("login.address")});
  const problem = h("p", {class: "error", role: "alert"}), button = h("button", {class: "main"}, t("adopt"));
  const form = h("form", {class: "page-part", onsubmit: async event => {
    event.preventDefault();
    button.disabled = true;
    put(problem);
    const row = await outcome(store, "gateway", `/adopt ${board.uid} ${input.value}`);
    button.disabled = false;
    if (row.wrong) put(problem, row.detail || t(`state.${row.state}`));
    else toast(t("adopted", {name: input.value}));
  }}, h("div", {class: "field"}, h("label", {for: input.id}, t("adopt.name")), input), problem, h("div", {class: "row"}, button));
  return {node: h("article", {class: "card", "aria-label": t("adopt.title", {uid: board.uid})},
    h("header", {}, h("h2", {}, board.declared || t("adopt.unknown")), h("span", {class: "chip", "data-how": "busy"}, t("adopt.waits")), h("p", {class: "muted small"}, t("adopt.text"))),
    facts({uid: board.uid, port: board.port, firmware: board.firmware}), may ? form : h("p", {class: "muted small"}, t("adopt.denied")))};
}

// `flash` lets the person put something on it; null: he may not, or there is nothing for it.
export function deviceCard(device, trouble, flash) {
  const may = device.boards.join(", ");
  return {node: h("article", {class: "card", "aria-label": device.port}, h("header", {}, h("div", {}, h("h2", {}, device.port), h("p", {class: "muted small"}, device.name || t("device")))),
    facts({usb: device.usb, [device.bridge ? "maybe" : "kind"]: may}), h("p", {class: "small"}, shorn(trouble, device.port) || t(flash ? "device.here" : may ? "device.text" : "device.unknown")),
    flash && h("div", {class: "row"}, h("button", {type: "button", onclick: flash}, t("update.flash"))))};
}

// What is said of a port, without its name, which stands beside it.
export const shorn = (text, port) => text?.startsWith(`${port}: `) ? text.slice(port.length + 2) : text;

export function facts(all) {
  const name = key => { const text = t(`board.${key}`); return text === `board.${key}` ? key : text; }; // modules have others
  return h("dl", {class: "facts"}, Object.entries(all).filter(([, value]) => value).map(([key, value]) => [h("dt", {}, name(key)), h("dd", {}, value)]));
}
