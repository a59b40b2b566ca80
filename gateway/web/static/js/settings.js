// Settings of a module: the form follows from what the module declares. They are tried before they are kept.
import {h, put, toast} from "./dom.js";
import {t, seconds} from "./texts.js";

const HIDDEN = "hidden";

// The form, in place of a button; `changed` is called when something is on trial.
export function settings(store, instance, changed) {
  const box = h("details", {class: "settings", ontoggle: () => { if (box.open) load(); }}, h("summary", {}, t("settings")));
  const body = h("div", {class: "page-part"});
  box.append(body);

  async function load() {
    try {
      const found = await store.link.ask("settings", {instance});
      put(body, form(found));
      changed(found.pending);
    } catch (problem) { put(body, h("p", {class: "error"}, problem.message)); }
  }

  function form(found) {
    if (!found.settings.length) return h("p", {class: "muted small"}, t("settings.none"));
    const fields = found.settings.map(each => field(instance, each)), problem = h("p", {class: "error", role: "alert"});
    return h("form", {class: "page-part", onsubmit: async event => {
      event.preventDefault();
      put(problem);
      const values = Object.fromEntries(fields.map(each => each.changed()).filter(Boolean));
      if (!Object.keys(values).length) return put(problem, t("settings.same"));
      try {
        changed((await store.link.ask("change settings", {instance, values})).pending);
      } catch (error) { put(problem, error.message); }
    }}, h("p", {class: "muted small"}, t("settings.text", {where: found.where})), problem, h("div", {class: "cards"}, fields.map(each => each.node)),
    h("div", {class: "row"}, h("button", {class: "main", disabled: !store.can("admin"), title: store.can("admin") ? null : t("not.allowed")}, t("settings.try"))));
  }
  return box;
}

export function field(instance, setting) {
  const id = `set-${instance}-${setting.key}`, now = setting.given ? setting.value : "";
  const preset = setting.default ? t("preset", {value: setting.default}) : "";
  const input = setting.choices?.length
    ? h("select", {id}, h("option", {value: ""}, preset || "–"), setting.choices.map(each => h("option", {value: each, selected: each === now}, each)))
    : h("input", {id, value: now === HIDDEN ? "" : now, placeholder: now === HIDDEN ? t("settings.hidden") : setting.default ?? "", required: setting.required && now !== HIDDEN, autocomplete: "off", spellcheck: "false"});
  const hint = [setting.help, setting.expected, preset].filter(Boolean).join(" · ");
  if (hint) input.setAttribute("aria-describedby", `${id}-hint`);
  return {
    node: h("div", {class: "field"}, h("label", {for: id}, setting.key), input, hint && h("small", {id: `${id}-hint`}, marked(hint))),
    changed() {
      const value = input.value;
      if (value === (now === HIDDEN ? "" : now)) return null;
      return [setting.key, value === "" ? null : value];
    },
  };
}

// Text in which what is typed stands between backticks.
export const marked = text => text.split("`").map((part, at) => at % 2 ? h("code", {}, part) : part);

// What is on trial: kept, taken back, or gone by itself when its time is over.
export function trial(store, pending, over) {
  if (!pending) return null;
  const left = h("b", {class: "num"});
  const tick = () => {
    const rest = Math.ceil(pending.until - Date.now() / 1000);
    if (rest <= 0 || !box.isConnected) { clearInterval(timer); if (rest <= 0) over(t("trial.over")); return; }
    put(left, t("trial.left", {n: rest}));
  };
  const act = (op, text) => async () => {
    try {
      const done = await store.link.ask(op, {change: pending.change});
      toast(t(text, {file: done.file}));
      over("");
    } catch (problem) { toast(problem.message, "bad"); }
  };
  const isRule = /^(grant |policy$)/.test(pending.instance);
  const box = h("article", {class: "card trial", role: "status"}, h("h2", {}, t(isRule ? "trial.title.rule" : "trial.title", {instance: pending.instance})),
    h("p", {}, t(pending.keys.length ? "trial.text" : "trial.text.removed", {keys: pending.keys.join(", "), by: pending.by, at: seconds(pending.until)}), " ", left),
    h("div", {class: "row"}, h("button", {class: "main", type: "button", onclick: act("confirm settings", "trial.kept")}, t("trial.keep")), h("button", {type: "button", onclick: act("revert settings", "trial.reverted")}, t("trial.revert"))));
  const timer = setInterval(tick, 1000);
  return box;
}
