// One's own password, and where one is logged in.
import {h, put, ask, toast} from "../dom.js";
import {get, post} from "../http.js";
import {t, moment} from "../texts.js";

export async function ownPassword() {
  const [old, fresh] = ["current-password", "new-password"].map(kind => h("input", {id: `own-${kind}`, type: "password", required: true, minlength: kind === "new-password" ? "8" : null, autocomplete: kind}));
  const field = h("div", {class: "page-part"}, [["password.old", old], ["person.password.new", fresh]].map(([key, input]) => h("div", {class: "field"}, h("label", {for: input.id}, t(key)), input)));
  if (!await ask({title: t("password.own"), yes: t("save"), no: t("cancel"), field})) return;
  try {
    await post("/password", {password: old.value, new: fresh.value});
    toast(t("password.changed"));
  } catch (problem) { toast(problem.message, "bad"); }
}

export async function listSessions(box) {
  try {
    const {sessions} = await (await get("/sessions")).json();
    put(box, h("div", {class: "table", tabindex: "0", role: "group", "aria-label": t("sessions")}, h("table", {}, h("thead", {}, h("tr", {}, ["agent", "address", "since", "end"].map(each => h("th", {scope: "col"}, t(`session.${each}`))))),
      h("tbody", {}, sessions.map(each => h("tr", {}, h("td", {}, browser(each.agent)), h("td", {}, each.address), h("td", {}, moment(each.since)),
        h("td", {}, each.own ? t("session.own") : h("button", {type: "button", onclick: () => end(each.name, box)}, t("session.close")))))))));
  } catch (problem) { put(box, h("p", {class: "error"}, problem.message)); }
}

async function end(name, box) {
  await post("/sessions/end", {name}).catch(problem => toast(problem.message, "bad"));
  listSessions(box);
}

const browser = agent => /(Firefox|Edg|Chrome|Safari)\/[\d]+/.exec(agent ?? "")?.[0].replace("/", " ") ?? agent ?? "";
