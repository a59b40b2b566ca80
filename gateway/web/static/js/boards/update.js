// What a board shall get: chosen, then shown as a plan, and done only if that plan is confirmed.
import {h, ask} from "../dom.js";
import {t, duration, size} from "../texts.js";

const BACK = "\0"; // no name of a release
const FITS_CHARS = 24;

// Ask what shall be put on which boards; what is to be said for that, "" if nothing.
export async function updateForm(offers, word, robot) {
  const robots = Object.keys(offers).filter(each => offers[each][word]).sort();
  const boxes = robots.map(each => h("input", {type: "checkbox", id: `update-${each}`, value: each, checked: each === robot, onchange: refresh}));
  const names = h("select", {id: "update-name", required: true, "aria-describedby": "update-hint", onchange: () => { hint.textContent = inFull(); }}), hint = h("small", {id: "update-hint", role: "status"});
  const [erase, backup] = ["erase", "backup"].map(option => h("input", {type: "checkbox", id: `update-${option}`}));
  const chosen = () => boxes.filter(each => each.checked).map(each => each.value);

  // A phone's list cuts names off, and versions stand at their ends.
  const inFull = () => names.value.length > FITS_CHARS ? names.value : "";

  // Only what each of the chosen boards may get.
  function refresh() {
    const before = names.value, lists = chosen().map(each => offers[each][word].names);
    const common = (lists[0] ?? []).filter(name => lists.every(list => list.includes(name)));
    const options = common.map(name => h("option", {value: name}, name));
    if (word === "ota" && lists.length) options.push(h("option", {value: BACK}, t("update.back")));
    names.replaceChildren(...options);
    if (common.includes(before) || before === BACK) names.value = before;
    hint.textContent = !lists.length ? t("update.nobody") : options.length ? inFull() : t(lists.length > 1 ? "update.none.common" : `update.none.${word}`, {kind: offers[chosen()[0]][word].kind});
    for (const each of boxes) each.setCustomValidity(lists.length ? "" : t("update.nobody"));
  }

  refresh();
  const field = h("div", {class: "page-part"},
    h("fieldset", {}, h("legend", {}, t("update.which")), boxes.map((box, at) => check(box, robots[at], offers[robots[at]][word].kind))),
    h("div", {class: "field"}, h("label", {for: names.id}, t(`update.${word}.name`)), names, hint),
    word === "flash" && options(erase, backup));
  if (!await ask({title: t(`update.${word}.title`), text: t("update.text"), yes: t("update.plan"), no: t("cancel"), field})) return "";
  const target = chosen().join(",");
  if (names.value === BACK) return `/ota ${target} rollback`;
  return [`/${word}`, target, "plan", names.value, ...word === "flash" && erase.checked ? ["erase"] : [], ...word === "flash" && backup.checked ? ["backup"] : []].join(" ");
}

// The same for a board without an address: firmware of a kind that it may be, and perhaps client and program.
export async function newForm(fresh, device) {
  const images = kinds(fresh, device).flatMap(kind => fresh.images[kind].map(name => `${kind}/${name}`));
  const programs = Object.entries(fresh.releases).flatMap(([program, names]) => names.map(name => `${program}/${name}`));
  const hint = h("small", {role: "status"}), show = () => { hint.textContent = image.value.length > FITS_CHARS ? image.value : ""; };
  const image = h("select", {id: "new-image", required: true, onchange: show}, images.map(each => h("option", {value: each}, each)));
  const program = h("select", {id: "new-program"}, h("option", {value: ""}, t("new.program.none")), programs.map(each => h("option", {value: each, selected: programs.length === 1}, each)));
  const [erase, backup] = ["erase", "backup"].map(option => h("input", {type: "checkbox", id: `new-${option}`}));
  show();
  const field = h("div", {class: "page-part"},
    h("div", {class: "field"}, h("label", {for: image.id}, t("update.flash.name")), image, hint),
    h("div", {class: "field"}, h("label", {for: program.id}, t("new.program")), program, h("small", {}, t("new.program.text"))), options(erase, backup));
  if (!await ask({title: t("new.title"), text: t("new.text", {port: device.port}), yes: t("update.plan"), no: t("cancel"), field})) return "";
  return ["/flash", device.port, "plan", image.value, ...program.value ? ["with", program.value] : [], ...erase.checked ? ["erase"] : [], ...backup.checked ? ["backup"] : []].join(" ");
}

// The kinds that a device may be flashed as.
export const kinds = (fresh, device) => Object.keys(fresh?.images ?? {}).filter(kind => device.boards.includes(kind) && fresh.images[kind].length && !/[\s,]/.test(device.port));

const check = (input, text, small = "") => h("label", {class: "check", for: input.id}, input, h("span", {}, text, small && h("small", {class: "muted"}, small)));
const options = (erase, backup) => [check(erase, t("update.erase"), t("update.erase.text")), check(backup, t("update.backup"), t("update.backup.text"))];

// What would be done. Its code is for exactly this: if anything is otherwise by then, it is refused.
export function planCard(plan, act) {
  const until = Date.now() + plan.left_s * 1000, left = h("span", {class: "num"});
  const yes = h("button", {class: "danger", type: "button", onclick: async () => {
    yes.disabled = no.disabled = true;
    await act.say(`/${plan.word} ${plan.target} confirm ${plan.code}`, t("plan.beginning"));
    act.drop(plan.code);
  }}, t(`plan.yes.${plan.act}`, {n: plan.items.length}));
  const no = h("button", {type: "button", onclick: () => act.drop(plan.code)}, t("plan.no"));
  const lost = plan.word === "ota" ? "ota" : plan.erase ? "erase" : "flash";
  const node = h("article", {class: "card plan", "aria-label": t("plan.title")}, h("h2", {}, t("plan.title")),
    h("ul", {class: "page-part"}, plan.items.map(item)),
    h("dl", {class: "facts"}, [["plan.lost", t(`plan.lost.${lost}`)], plan.word === "flash" && ["plan.backup", t(plan.backup ? "plan.backup.yes" : "plan.backup.no")], !plan.items.some(each => each.is_new) && ["plan.stops", t("plan.stops.text")]].filter(Boolean).map(([key, text]) => [h("dt", {}, t(key)), h("dd", {}, text)])),
    h("p", {class: "muted small"}, t("plan.text"), " ", left), h("div", {class: "row"}, yes, no));
  const tick = () => { left.textContent = t("plan.left", {left: duration(Math.max(0, until - Date.now()) / 1000)}); };
  tick();
  return {node, update: tick};
}

const item = each => h("li", {class: "change"}, h("b", {}, each.robot), h("span", {class: "muted small"}, [each.kind, each.is_new ? "" : each.port].filter(Boolean).join(" · ")),
  h("p", {}, each.before || t("plan.unknown"), h("span", {"aria-label": t("becomes")}, " → "), h("b", {}, each.name || t("update.back")), each.release && [h("span", {"aria-label": t("plan.then")}, " + "), h("b", {}, each.release)]),
  each.sha256 && h("p", {class: "muted small"}, [each.version, size(each.size)].filter(Boolean).join(" · "), " · sha256 ", h("code", {}, each.sha256)));
