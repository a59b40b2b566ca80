// What became of a message, step by step, as a picture and as a list.
import {h, icon, put, svg} from "./dom.js";
import {t, seconds} from "./texts.js";
import {how} from "./store.js";

const LANE = 26, NAMES = 110, TICK = 60, SAME_S = 0.002;
const TERMINAL = new Set(["done", "read", "failed", "expired", "rejected", "cancelled", "unknown"]);

export function why(store, [id = ""]) {
  const box = h("div", {class: "page-part"}, h("p", {class: "muted"}, t("loading")));
  const node = h("section", {class: "page"}, h("header", {class: "head"}, h("h1", {}, t("why.title")), h("a", {class: "button", href: "#/chain"}, t("tab.chain"))), box);

  async function draw() {
    try {
      const {message, steps, answers} = (await store.link.ask("why", {id})).explanation;
      put(box, ...explained(message, steps, answers));
    } catch (error) {
      put(box, h("div", {class: "empty"}, icon("chain"), h("h2", {}, t("why.none")), h("p", {}, error.message)));
    }
  }

  store.link.addEventListener("welcome", draw);
  draw();
  return {node, close: () => store.link.removeEventListener("welcome", draw)};
}

function explained(message, steps, answers) {
  const last = steps.at(-1)?.at ?? 0;
  // The history's times have milliseconds only: an answer is not before what it answers.
  const later = answers.map(each => [Date.parse(each.at) / 1000, each]).map(([at, each]) => ({at: Math.abs(at - last) < SAME_S ? Math.max(at, last) : at, who: each.sender, what: t("answered"), detail: each.body, how: ""}));
  const all = [...steps.map(step => ({...step, how: TERMINAL.has(step.what) ? how(step.what) : ""})), ...later].sort((a, b) => a.at - b.at);
  const began = all[0]?.at ?? Date.parse(message.at) / 1000;
  return [h("article", {class: "card"}, h("p", {class: "muted small"}, `${message.sender} → ${message.to} · ${seconds(Date.parse(message.at) / 1000)}`), h("p", {}, message.body),
    h("p", {}, h("span", {class: "chip", "data-how": how(message.state)}, t(`state.${message.state}`)), message.detail && ` ${message.detail}`)),
  picture(all, began),
  h("ol", {class: "timeline"}, all.map(step => h("li", {"data-how": step.how}, h("time", {}, after(step.at - began)), h("i", {"aria-hidden": "true"}), h("div", {}, h("b", {}, step.who), ` ${step.what}`, step.detail && h("p", {class: "muted small"}, step.detail)))))];
}

// One bar for each who, as long as the message was with him. Quick steps get room: the axis is logarithmic.
function picture(all, began) {
  if (all.length < 2) return null;
  const width = Math.min(document.getElementById("main").clientWidth, 1216) - 80, room = width - NAMES - 6;
  const end = Math.max(all.at(-1).at - began, 0.001), x = at => NAMES + Math.log1p((at - began) / end * 200) / Math.log1p(200) * room;
  const whos = [...new Set(all.map(each => each.who))], height = whos.length * LANE + 24;
  const lanes = whos.map((who, lane) => [
    svg("text", {x: 0, y: lane * LANE + 17}, who.length > 14 ? `${who.slice(0, 13)}…` : who),
    all.map((each, index) => each.who === who && svg("rect", {x: x(each.at), y: lane * LANE + 5, height: 16, width: Math.max(4, x(all[index + 1]?.at ?? each.at) - x(each.at)), fill: colour(each.how, lane)}, svg("title", {}, `${who} ${each.what} ${after(each.at - began)}`))),
  ]);
  const ticks = [];
  for (let tick = 10 ** Math.floor(Math.log10(end)); x(began + tick) - NAMES > TICK; tick /= 10) if (x(began + end) - x(began + tick) > 1.5 * TICK) ticks.push(tick);
  const axis = [0, ...ticks, end].map(tick => [
    svg("line", {x1: x(began + tick), x2: x(began + tick), y1: 0, y2: height - 18}),
    svg("text", {x: x(began + tick), y: height - 4, "text-anchor": tick === 0 ? "start" : tick === end ? "end" : "middle"}, after(tick)),
  ]);
  return h("figure", {class: "timeline-strip"}, svg("svg", {viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": t("why.picture", {n: all.length, time: after(end)})}, axis, lanes));
}

function colour(end, lane) {
  if (end === "good" || end === "bad") return `var(--${end})`;
  return `var(--plot-${lane % 4 + 1})`;
}

function after(s) {
  if (s < 0.000005) return "0 ms";
  return s < 1 ? `${Number((s * 1000).toPrecision(s < 0.001 ? 2 : 3))} ms` : `${Number(s.toPrecision(3))} s`;
}
