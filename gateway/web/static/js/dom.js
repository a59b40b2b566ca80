// The only file that makes elements. Text is text: nothing that somebody says is ever read as HTML.

const SVG = "http://www.w3.org/2000/svg";

// h("p", {class: "muted", onclick: f}, "text", child, [more children], null)
export function h(tag, attributes = {}, ...children) {
  return dress(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return dress(document.createElementNS(SVG, tag), attributes, children);
}

function dress(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...nodes(children));
  return element;
}

function nodes(children) {
  return children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== false);
}

// Put these in place of what an element has. Who is there by keys stays there.
export function put(element, ...children) {
  const active = document.activeElement, place = element.contains(active) ? alike(element, active).indexOf(active) : -1;
  element.replaceChildren(...nodes(children));
  if (place >= 0) alike(element, active)[place]?.focus({preventScroll: true});
  return element;
}

// Those in an element that are the same to a person.
function alike(element, one) {
  const named = each => each.id || each.getAttribute("href") || each.getAttribute("aria-label") || each.textContent;
  return [...element.querySelectorAll(one.tagName)].filter(each => named(each) === named(one));
}

// One node for each item, in their order. `make` gives {node, update}: what is the same by its key stays, with what
// somebody types there, and is only told how the item is now.
export function keyed(element, items, key, make) {
  const before = element.parts ?? new Map();
  element.parts = new Map(items.map(item => [key(item), before.get(key(item)) ?? make(item)]));
  for (const item of items) element.parts.get(key(item)).update?.(item);
  const now = [...element.parts.values()].map(each => each.node);
  if (now.length !== element.children.length || now.some((node, at) => element.children[at] !== node)) put(element, now);
}

const PATHS = {
  chat: ["M4 5h16v11H10l-4 4v-4H4z"],
  robot: ["M5 9h14v10H5z", "M12 9V5", "M9 14h.01", "M15 14h.01", "M2 13v3", "M22 13v3"],
  drive: ["M12 3a9 9 0 1 0 0 18a9 9 0 0 0 0-18z", "M12 10a2 2 0 1 0 0 4a2 2 0 0 0 0-4z", "M12 14v7", "M10.2 11.2L3.5 9", "M13.8 11.2L20.5 9"],
  boards: ["M7 7h10v10H7z", "M10 3v4", "M14 3v4", "M10 17v4", "M14 17v4", "M3 10h4", "M3 14h4", "M17 10h4", "M17 14h4"],
  chain: ["M4 6h6v5H4z", "M14 13h6v5h-6z", "M10 8.5h4a3 3 0 0 1 3 3V13"],
  system: ["M5 7h9", "M18 7h1", "M5 12h2", "M11 12h8", "M5 17h8", "M17 17h2", "M16 5v4", "M9 10v4", "M15 15v4"],
  send: ["M4 12l16-8l-5 16l-3-6z", "M12 14l8-10"],
  search: ["M10.5 4a6.5 6.5 0 1 0 0 13a6.5 6.5 0 0 0 0-13z", "M15.5 15.5L20 20"],
  back: ["M15 5l-7 7l7 7"],
  close: ["M6 6l12 12", "M18 6L6 18"],
  down: ["M12 5v14", "M6 13l6 6l6-6"],
  save: ["M12 4v11", "M7 11l5 5l5-5", "M5 20h14"],
};

export function icon(name) {
  return svg("svg", {class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true"}, PATHS[name].map(d => svg("path", {d})));
}

// A question with two answers; resolves to whether it was yes. It is no modal dialog of the browser, which would
// bar the stop button too: all but the bar on top waits.
export function ask({title, text, yes, no, danger = false, field = null}) {
  const before = document.activeElement, rest = ["nav", "main", "latched"].map(id => document.getElementById(id));
  return new Promise(resolve => {
    const close = said => {
      for (const each of rest) each.inert = false;
      veil.remove();
      before?.focus?.();
      resolve(said);
    };
    const box = h("div", {class: "ask", role: "alertdialog", "aria-label": title, "aria-describedby": text && "ask-text"},
      h("h2", {}, title), text && h("p", {id: "ask-text"}, text),
      h("form", {class: "page-part", onsubmit: event => { event.preventDefault(); close(true); }}, field,
        h("div", {class: "row end"}, h("button", {type: "button", onclick: () => close(false)}, no), h("button", {class: danger ? "danger" : "main"}, yes))));
    const veil = h("div", {class: "veil", onkeydown: event => { if (event.key === "Escape") close(false); }}, box);
    for (const each of rest) each.inert = true;
    document.body.append(veil);
    box.querySelector("input, button").focus();
  });
}

const TOAST_MS = 6000;

export function toast(text, how = "") {
  const box = h("div", {class: "toast", "data-how": how, onclick: () => box.remove()}, h("span", {}, text));
  const all = document.getElementById("toasts");
  all.append(box);
  while (all.childElementCount > 4) all.firstElementChild.remove();
  setTimeout(() => box.remove(), TOAST_MS);
}

export function download(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], {type}));
  h("a", {href: url, download: name}).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
