// A form for a command, as the robot's dictionary declares it.
import {h, put} from "../dom.js";
import {t} from "../texts.js";
import {BAD, how} from "../store.js";

const number = value => new Intl.NumberFormat(undefined, {maximumFractionDigits: 6}).format(value);

export class CommandForm {
  constructor(store, robot, command) {
    this.store = store;
    this.robot = robot;
    this.command = command;
    this.fields = (command.args ?? []).map(arg => field(robot, command, arg));
    this.allowed = command.allowed !== false;
    this.answer = h("div", {class: "answer", role: "status"}, !this.allowed && h("p", {class: "muted"}, t("not.allowed")));
    const button = h("button", {class: command.cls === "query" ? "" : "main", disabled: !this.allowed}, t(command.cls === "query" ? "ask.it" : "do.it"));
    this.node = h("article", {class: "card command", "aria-label": command.name},
      h("header", {}, h("div", {}, h("code", {}, command.name), command.help && h("p", {class: "muted small"}, command.help)), h("span", {class: "small muted"}, t(`class.${command.cls ?? "action"}`))),
      h("form", {onsubmit: event => { event.preventDefault(); this.#send(); }}, this.fields.length > 0 && h("div", {class: "args"}, this.fields.map(each => each.node)), button),
      this.answer);
  }

  #send() {
    const args = this.fields.map(each => each.text()).filter(Boolean);
    this.id = this.store.say(this.robot, [this.command.name, ...args].join(" "));
    this.show();
  }

  // How far the last one is, and what was answered.
  show() {
    if (!this.id) return;
    const rows = this.store.talk(this.robot).rows, sent = rows.findLast(each => each.id === this.id), back = rows.findLast(each => each.refid === this.id);
    if (!sent) return;
    put(this.answer, h("div", {class: "row"}, h("span", {class: "chip", "data-how": how(sent.state)}, t(`state.${sent.state}`), sent.state === "started" && sent.detail ? ` ${sent.detail}` : ""), back && !BAD.has(back.state) && h("span", {}, back.body)),
      BAD.has(sent.state) && h("p", {class: "error"}, back?.body ?? sent.detail ?? t("unsent.text")));
  }
}

function field(robot, command, arg) {
  const id = `arg-${robot}-${command.name}-${arg.name}`, required = arg.default === undefined || arg.default === null;
  const input = control(arg, id, required);
  const hint = [range(arg), !required && t("preset", {value: shown(arg)})].filter(Boolean).join(" · ");
  if (hint) input.setAttribute("aria-describedby", `${id}-hint`);
  return {
    node: h("div", {class: "field"}, h("label", {for: id}, arg.name), h("div", {class: "with"}, input, arg.unit && h("span", {class: "unit"}, arg.unit)), hint && h("small", {id: `${id}-hint`}, hint)),
    text: () => said(arg, input),
  };
}

function control(arg, id, required) {
  if (arg.type === "choice") return h("select", {id, required}, !required && h("option", {value: ""}, t("preset", {value: arg.default})), arg.choices.map(each => h("option", {}, each)));
  if (arg.type === "bool") return h("input", {id, type: "checkbox", checked: Boolean(arg.default)});
  if (arg.type === "str") return h("input", {id, type: "text", required, autocomplete: "off", placeholder: required ? null : arg.default});
  return h("input", {id, type: "number", inputmode: "decimal", required, min: arg.min, max: arg.max, step: arg.type === "int" ? 1 : "any", placeholder: required ? null : arg.default});
}

function said(arg, input) {
  if (arg.type === "bool") return `${arg.name}=${input.checked ? "true" : "false"}`;
  const value = input.value.trim();
  if (!value) return "";
  return `${arg.name}=${arg.type === "str" ? JSON.stringify(value) : value}`;
}

function range({min, max, type}) {
  if (type === "choice" || type === "bool" || (min === undefined && max === undefined)) return "";
  if (min === undefined) return t("at.most", {max: number(max)});
  return max === undefined ? t("at.least", {min: number(min)}) : t("range", {min: number(min), max: number(max)});
}

const shown = arg => typeof arg.default === "number" ? number(arg.default) : arg.default;
