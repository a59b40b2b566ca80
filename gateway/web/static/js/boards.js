// What is plugged in, what it runs, and what it gets: plans, their confirmation, and how far each board is.
import {h, icon, keyed, put} from "./dom.js";
import {t} from "./texts.js";
import {chip} from "./robot/panel.js";
import {kinds, newForm, planCard, updateForm} from "./boards/update.js";
import {runCard} from "./boards/runs.js";
import {deviceCard, facts, shorn, waitingCard} from "./boards/devices.js";
import {outcome} from "./boards/outcome.js";

const RUNS_MS = 1000, DEVICES_MS = 3000;
const NOTHING = {address: "", offers: {}, new: null, plans: [], runs: []};

export function boards(store) {
  const dropped = new Set(); // plans and ends that the person does not want to see any more
  const plans = h("div", {class: "page-part"}), runs = h("div", {class: "page-part"}), cards = h("div", {class: "cards"}), others = h("div", {class: "cards"});
  const news = h("p", {class: "muted", role: "status"}), note = h("p", {class: "muted small"}), problem = h("p", {class: "error", role: "alert"});
  const nameless = section("boards.others", "boards.others.text", others);
  const node = h("section", {class: "page"}, h("header", {class: "titled"}, h("h1", {}, t("tab.boards")), news, problem), plans, runs, cards, nameless, note);
  let flash = null, found = {}, closed = false; // null: not known yet

  const act = {
    // Say something to the flashing service, as one could in chat; whether it was taken.
    async say(text, busy) {
      put(problem);
      put(news, busy);
      const row = await outcome(store, flash.address, text);
      put(news);
      if (row.wrong) put(problem, row.detail || t(`state.${row.state}`));
      await look();
      return !row.wrong;
    },
    async update(word, robot) {
      await act.plan(await updateForm(flash.offers, word, robot));
    },
    async plan(text) {
      if (!text) return;
      node.scrollIntoView({block: "start"}); // plans are on top, and the robot's card may be far below
      await act.say(text, t("plan.making"));
    },
    drop(which) { dropped.add(which); draw(); },
  };

  function draw() {
    const known = flash ?? NOTHING, all = store.robots();
    keyed(plans, known.plans.filter(each => !dropped.has(each.code)), plan => plan.code, plan => planCard(plan, act));
    keyed(runs, known.runs.filter(each => !dropped.has(each.id)).toReversed(), run => run.id, run => runCard(run, act, robot => Boolean(known.offers[robot]?.[run.word] || (known.new && robot.includes("/")))));
    keyed(cards, all, contact => JSON.stringify([contact, known.offers[contact.address], device(contact)]), card);
    drawNameless();
    if (!all.length && nameless.hidden) put(cards, h("div", {class: "empty"}, icon("boards"), h("h2", {}, t("boards.none")), h("p", {}, t("boards.none.text"))));
    if (known.address) put(note, t(Object.keys(known.offers).length || known.new ? "flash.text" : "flash.denied"), " ", h("a", {href: `#/chat/${known.address}`}, t("flash.open", {name: known.address})));
    else put(note, flash && t("flash.none"));
  }

  function drawNameless() {
    const waiting = found.waiting ?? [], taken = new Set([...store.robots().map(each => each.details?.port), ...waiting.map(each => each.port)]);
    const silent = new Map((found.silent ?? []).map(each => [each.port, each.detail]));
    const free = (found.devices ?? []).filter(each => !taken.has(each.port));
    const rest = [...silent.keys()].filter(port => !free.some(each => each.port === port)).map(port => ({port, usb: "", boards: [], name: ""}));
    const list = [...waiting, ...free, ...rest], can = each => kinds(flash?.new, each).length > 0;
    const flashed = each => can(each) ? async () => act.plan(await newForm(flash.new, each)) : null;
    keyed(others, list, each => each.uid ?? JSON.stringify([each.port, silent.get(each.port), can(each)]), each => each.uid ? waitingCard(store, each, found.may_adopt) : deviceCard(each, silent.get(each.port), flashed(each)));
    nameless.hidden = !list.length;
  }

  const device = contact => (found.devices ?? []).find(each => each.port === contact.details?.port);

  function card(contact) {
    const offers = (flash ?? NOTHING).offers[contact.address] ?? {}, here = device(contact);
    const kind = offers.flash?.kind ?? here?.boards.join(", ");
    const {detail, ...details} = contact.details ?? {}, usb = [here?.name, here?.usb].filter(Boolean).join(" · ");
    return {node: h("article", {class: "card", "aria-label": contact.address},
      h("header", {}, h("h2", {}, contact.address), chip(contact), h("p", {class: "muted small"}, shorn(contact.about, details.port) || t("robot.unknown"))),
      facts({...details, kind, usb, detail: detail === contact.about ? "" : detail}),
      h("div", {class: "row"}, h("a", {class: "button", href: `#/robot/${contact.address}`}, t("panel")),
        ["flash", "ota"].filter(word => offers[word]).map(word => h("button", {type: "button", onclick: () => act.update(word, contact.address)}, t(`update.${word}`)))))};
  }

  // Plans and updates, often; a gateway without the module refuses, and there are none.
  async function look() {
    try {
      flash = (await store.link.ask("show", {instance: "flash"})).value;
    } catch (refused) {
      if (refused.away) return; // what was seen last stays
      flash = NOTHING;
    }
    if (!closed) draw();
  }

  async function lookForDevices() {
    if (!store.can("inspect")) return;
    try {
      const [shown, {devices}] = await Promise.all([store.link.ask("show", {instance: "iot_bridge"}), store.link.ask("plugged")]);
      found = {...shown.value, devices};
    } catch { return; } // the line is away, or there is no bridge: what was seen last stays
    if (!closed) draw();
  }

  const both = () => { look(); lookForDevices(); };
  const timers = [[look, RUNS_MS], [lookForDevices, DEVICES_MS]].map(([what, ms]) => setInterval(() => { if (!document.hidden && store.link.state === "open") what(); }, ms));
  const read = () => { if (!document.hidden && store.talks.get(flash?.address)?.unread) store.mark(flash.address); }; // it is all shown here
  store.addEventListener("contacts", draw);
  store.addEventListener("talks", read);
  store.link.addEventListener("welcome", both);
  draw();
  if (store.link.state === "open") both();
  return {
    node,
    shows: name => name === flash?.address,
    close() {
      closed = true;
      for (const timer of timers) clearInterval(timer);
      store.removeEventListener("contacts", draw);
      store.removeEventListener("talks", read);
      store.link.removeEventListener("welcome", both);
    },
  };
}

function section(title, text, ...parts) {
  return h("section", {"aria-label": t(title), hidden: true}, h("div", {class: "titled"}, h("h2", {}, t(title)), h("p", {class: "muted small"}, t(text))), parts);
}
