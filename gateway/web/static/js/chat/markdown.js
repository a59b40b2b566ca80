// What people and robots write, as elements: a little Markdown, links, tables. Tokens become nodes, never HTML.
import {h} from "../dom.js";
import {series} from "../robot/plot.js";

const INLINE = /(`[^`\n]+`)|(\*\*[^*\n]+\*\*)|(\*[^*\s][^*\n]*\*)|\b(https?:\/\/[^\s<>"'`]+[^\s<>"'`.,;:!?)\]}])|\b([\w.+-]+@[\w-]+\.[\w.-]+\w)/g;
const FENCE = /^```/;
const BULLET = /^\s{0,3}[-*•] +(?=\S)/;
const NUMBER = /^\s{0,3}\d{1,3}[.)] +(?=\S)/;
const TABLE = /^\s*\|.*\|\s*$/;
const RULE = /^\s*\|[\s:|-]+\|\s*$/;
const HELP = /^ {2,}(\S.*?) {2,}(\S.*)$/;
const NUMERIC = /^[-+]?\d+(\.\d+)?([eE][-+]?\d+)?$/;
const MAX_LINES = 400;

export function text(body) {
  const lines = body.split("\n", MAX_LINES);
  const parts = [];
  for (let at = 0; at < lines.length;) {
    const [part, next] = block(lines, at);
    if (part) parts.push(part);
    at = next;
  }
  return parts;
}

// The block that begins at a line, and where the next one does.
function block(lines, at) {
  const line = lines[at];
  if (!line.trim()) return [null, at + 1];
  if (FENCE.test(line)) {
    let end = at + 1;
    while (end < lines.length && !FENCE.test(lines[end])) end += 1;
    return [h("pre", {tabindex: "0"}, h("code", {}, lines.slice(at + 1, end).join("\n"))), end + 1];
  }
  if (TABLE.test(line) && RULE.test(lines[at + 1] ?? "")) return table(lines, at);
  for (const [pattern, tag] of [[BULLET, "ul"], [NUMBER, "ol"]]) {
    const end = run(lines, at, each => pattern.test(each));
    if (end > at) return [h(tag, {}, lines.slice(at, end).map(each => h("li", {}, inline(each.replace(pattern, ""))))), end];
  }
  const help = run(lines, at, each => HELP.test(each));
  if (help > at) return [h("dl", {class: "help"}, lines.slice(at, help).map(each => HELP.exec(each)).map(([, name, what]) => [h("dt", {}, name), h("dd", {}, inline(what))])), help];
  const end = run(lines, at, each => each.trim() && !FENCE.test(each) && !TABLE.test(each) && !BULLET.test(each) && !NUMBER.test(each) && !HELP.test(each));
  const upTo = Math.max(end, at + 1);
  return [h("p", {}, inline(lines.slice(at, upTo).join("\n"))), upTo];
}

function run(lines, at, fits) {
  while (at < lines.length && fits(lines[at])) at += 1;
  return at;
}

const cells = line => line.trim().replace(/^\||\|$/g, "").split("|").map(cell => cell.trim());

function table(lines, at) {
  const end = run(lines, at, each => TABLE.test(each));
  const head = cells(lines[at]), rows = lines.slice(at + 2, end).map(cells);
  const numeric = head.map((_, column) => rows.length > 0 && rows.every(row => NUMERIC.test(row[column] ?? "")));
  const shown = h("div", {class: "table", tabindex: "0", role: "group", "aria-label": head.join(", ")}, h("table", {},
    h("thead", {}, h("tr", {}, head.map((cell, column) => h("th", {scope: "col", class: numeric[column] && "num"}, inline(cell))))),
    h("tbody", {}, rows.map(row => h("tr", {}, head.map((_, column) => h("td", {class: numeric[column] && "num"}, inline(row[column] ?? ""))))))));
  const plot = rows.length >= 4 && head.length >= 2 && numeric.every(Boolean) ? series(head, head.map((_, column) => rows.map(row => Number(row[column])))) : null;
  return [plot ? h("figure", {}, plot, shown) : shown, end];
}

function inline(line) {
  const nodes = [];
  let at = 0;
  for (const match of line.matchAll(INLINE)) {
    nodes.push(line.slice(at, match.index), mark(match));
    at = match.index + match[0].length;
  }
  nodes.push(line.slice(at));
  return nodes.filter(node => node !== "");
}

function mark([whole, code, bold, slanted, link, mail]) {
  if (code) return h("code", {}, code.slice(1, -1));
  if (bold) return h("strong", {}, bold.slice(2, -2));
  if (slanted) return h("em", {}, slanted.slice(1, -1));
  if (mail) return h("a", {href: `mailto:${mail}`}, mail);
  return URL.canParse(link) ? h("a", {href: link, target: "_blank", rel: "noopener noreferrer"}, link) : whole;
}
