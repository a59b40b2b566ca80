// What may follow a half-typed line: addresses, the gateway's own words, and what the robot's dictionary says.

const ADDRESS = /^([a-z0-9][a-z0-9_-]{0,31})\s*:(?!\/\/)\s*/;
const WORD = /^\/[a-z]+(?=\s|$)/;
const MAX = 40;

// Whom a line is for: `rover: forward 20` goes to rover, `/modules` to the gateway, all else to whom the talk is with.
export function addressed(store, name, line) {
  const found = ADDRESS.exec(line);
  if (found && (store.contacts.has(found[1]) || found[1] === "gateway")) return {to: found[1], body: line.slice(found[0].length)};
  return {to: WORD.test(line) ? "gateway" : name, body: line};
}

export async function completions(store, name, line) {
  if (!line.trim() || line.includes("\n")) return [];
  const {to, body} = line === "/" ? {to: "gateway", body: line} : addressed(store, name, line);
  const asked = to === "gateway" ? body.replace(/^\//, "") : body; // it knows its words without the sign
  const offered = line.includes(" ") ? [] : addresses(store, name, line);
  const kind = store.kind(to);
  if (kind !== "robot" && kind !== "service") return offered;
  let found = [];
  try {
    found = (await store.link.ask("complete", {to, line: asked})).completions;
  } catch { /* offline: none is offered */ }
  const from = line.length - asked.split(" ").at(-1).length; // from there on it is replaced, also by who typed on meanwhile
  return [...found.map(({text, hint}) => ({text, hint, shown: text.trim(), from})), ...offered].slice(0, MAX);
}

function addresses(store, name, word) {
  return [...store.contacts.values()].filter(each => each.address !== name && each.address.startsWith(word))
    .map(each => ({text: `${each.address}: `, hint: each.about ?? each.kind, shown: `${each.address}:`, from: 0}));
}
