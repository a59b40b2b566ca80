// What is being put on boards, and how it ended.
import {h, icon, put} from "../dom.js";
import {t, duration, size} from "../texts.js";

export function runCard(run, act, may) {
  const lines = run.lines.map(each => lineRow(run, each, act, may));
  const state = h("span", {class: "chip"}), close = h("button", {class: "bare", type: "button", "aria-label": t("close"), onclick: () => act.drop(run.id)}, icon("close"));
  const node = h("article", {class: "card", "aria-label": t(`run.${run.act}`, {user: run.user})},
    h("header", {}, h("h2", {}, t(`run.${run.act}`, {user: run.user})), state, close), h("ul", {class: "page-part"}, lines.map(each => each.node)));
  function update(now) {
    now.lines.forEach((each, at) => lines[at].update(each));
    const good = now.lines.filter(each => each.end?.ok).length, over = now.lines.every(each => each.end);
    close.hidden = !over;
    state.dataset.how = !over ? "busy" : good === now.lines.length ? "good" : "bad";
    state.textContent = t(over ? "run.over" : "run.goes.on", {good, all: now.lines.length});
  }
  update(run);
  return {node, update};
}

function lineRow(run, line, act, may) {
  const bar = h("progress", {max: 1, "aria-label": t("run.progress", {name: line.robot})}), says = h("p", {class: "small num"}), end = h("div", {role: "status"});
  const cancel = h("button", {type: "button", onclick: () => { cancel.disabled = true; act.say(`/${run.word} ${line.robot} cancel`, ""); }}, t("cancel"));
  const node = h("li", {class: "change"}, h("header", {class: "head"}, h("b", {}, line.robot), cancel), bar, says, end);
  let over = false;
  function update(now) {
    bar.hidden = says.hidden = Boolean(now.end);
    cancel.hidden = Boolean(now.end) || !may(line.robot);
    cancel.disabled = now.cancelled;
    if (now.total) bar.value = now.done / now.total;
    else bar.removeAttribute("value");
    says.textContent = [now.cancelled ? t("run.cancelling") : step(now.step), now.total && t("run.part", {percent: Math.floor(100 * now.done / now.total), all: size(now.total)}),
      now.rate && t("run.rate", {rate: size(now.rate)}), now.left_s !== null && t("run.left", {left: duration(now.left_s)})].filter(Boolean).join(" · ");
    if (now.end && !over) put(end, ended(now));
    over = Boolean(now.end);
  }
  update(line);
  return {node, update};
}

function ended({before, end}) {
  if (end.ok) return [h("p", {class: "ended", "data-how": "good"}, before || t("plan.unknown"), h("span", {"aria-label": t("becomes")}, " → "), h("b", {}, end.now)), end.note && h("p", {class: "muted small"}, end.note)];
  const how = end.code === "cancelled" ? "warn" : "bad";
  return [h("p", {class: "ended", "data-how": how}, t(`run.${how}`), " ", end.reason), end.cure && h("p", {class: "small"}, t("run.next", {cure: end.cure}))];
}

function step(name) {
  const text = t(`step.${name}`);
  return text === `step.${name}` ? name : text;
}
