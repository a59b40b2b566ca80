// Live values of a robot: plots of numbers, lists of texts, and what the line is like.
import {h, icon, put, download, toast} from "../dom.js";
import {t, seconds} from "../texts.js";
import {Series, keys} from "./plot.js";

const LINES = 200;
const CLOSE_S = 0.001;
const SPANS = [0, 60, 10];

export class Telemetry {
  #plots = new Map();
  #of = new Map();

  constructor(store, name, live) {
    this.name = name;
    this.live = live;
    this.plots = h("div", {class: "cards"}, h("p", {class: "muted"}, t("values.none")));
    this.span = h("select", {id: "span", onchange: () => this.#show()}, SPANS.map(n => h("option", {value: n}, t(`span.${n}`))));
    this.link = h("div", {}, h("p", {class: "muted small"}, t("link.none")));
    this.lines = h("ol");
    this.log = h("div", {class: "lines", tabindex: "0", role: "log", "aria-label": t("board.log", {name})}, this.lines);
    this.infos = new Map((store.contacts.get(name)?.series ?? []).map(each => [each.name, each]));
    this.on = {watching: ({detail}) => { this.#clear(); this.#take(detail.past); }, values: ({detail}) => this.#take(detail.series, true)};
    for (const [type, act] of Object.entries(this.on)) live.addEventListener(type, act);
    this.#clear();
  }

  #clear() {
    this.#end();
    this.#plots.clear();
    this.#of.clear();
    put(this.lines, h("li", {class: "muted"}, t("log.none")));
    const groups = new Map();
    for (const info of this.infos.values()) {
      if (info.text || info.name.startsWith("link.")) continue;
      const group = info.name.split(".", 1)[0];
      groups.set(group, [...groups.get(group) ?? [], info]);
    }
    for (const [group, infos] of groups) for (const [unit, same] of byUnit(infos)) this.#add(group, unit, same);
    if (this.#plots.size) put(this.plots, [...this.#plots.values()].map(each => each.node));
    this.#show();
  }

  #show() { for (const {series} of this.#plots.values()) series.show(Number(this.span.value)); }

  get hasPlots() { return this.#plots.size > 0; }

  // Values of one channel that have the same unit share a plot.
  #add(group, unit, infos) {
    const names = infos.map(each => each.name), series = new Series(names);
    const now = h("span", {class: "now"}, "–");
    const several = names.length > 1, title = several ? group : names[0];
    const node = h("article", {class: "card plot", "aria-label": title},
      h("header", {}, h("div", {}, h("h3", {}, title), infos[0].help && h("p", {class: "muted small"}, infos[0].help)), now,
        h("button", {class: "bare", type: "button", "aria-label": t("csv", {name: title}), title: t("csv", {name: title}), onclick: () => this.#save(title, plot)}, icon("save"))),
      series.node, several && keys(names.map(name => name.slice(group.length + 1))));
    const plot = {node, series, now, unit, names, last: names.map(() => null), at: 0};
    this.#plots.set(`${group} ${unit}`, plot);
    names.forEach((name, index) => this.#of.set(name, {plot, index}));
  }

  // `fresh`: it is of just now.
  #take(all, fresh = false) {
    const touched = new Map();
    for (const [name, samples] of Object.entries(all)) {
      if (name.startsWith("link.")) { this.#quality(name, samples); continue; }
      const known = this.#of.get(name);
      if (!known) { if (this.infos.get(name)?.text || typeof samples[0]?.[1] === "string") this.#say(name, samples, fresh); continue; }
      const list = touched.get(known.plot) ?? [];
      for (const [at, value] of samples) list.push([at, known.index, value]);
      touched.set(known.plot, list);
    }
    for (const [plot, list] of touched) this.#draw(plot, list.sort((a, b) => a[0] - b[0]));
  }

  #draw(plot, list) {
    for (let i = 0; i < list.length;) {
      const at = list[i][0];
      for (; i < list.length && list[i][0] - at < CLOSE_S; i++) plot.last[list[i][1]] = list[i][2];
      if (at > plot.at) { plot.series.add(at, [...plot.last]); plot.at = at; }
    }
    put(plot.now, plot.last.map(value => value === null ? "–" : round(value)).join(" · "), plot.unit && ` ${plot.unit}`);
  }

  #quality(name, samples) {
    this.quality = {...this.quality, [name.slice(5)]: samples.at(-1)?.[1]};
    put(this.link, h("dl", {class: "facts"}, Object.entries(this.quality).map(([key, value]) => [h("dt", {}, t(`link.${key}`)), h("dd", {}, value === undefined ? "–" : `${round(value)} ${t(`link.${key}.unit`)}`)])));
  }

  #say(name, samples, fresh) {
    this.lines.querySelector(".muted:first-child:last-child")?.remove();
    const atEnd = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 40;
    for (const [at, value] of samples) {
      const words = name.startsWith("log.") ? value : `${name.replace(/^event\./, "")} ${value}`.trim();
      this.lines.append(h("li", {}, h("time", {}, seconds(at)), h("span", {}, words)));
      if (fresh && name.startsWith("event.")) toast(`${this.name}: ${words}`);
    }
    while (this.lines.childElementCount > LINES) this.lines.firstElementChild.remove();
    if (atEnd) this.log.scrollTop = this.log.scrollHeight;
  }

  #save(title, plot) {
    const [times, ...columns] = plot.series.data;
    const lines = [["time", ...plot.names.map(name => plot.unit ? `${name} [${plot.unit}]` : name)], ...times.map((at, row) => [new Date(at * 1000).toISOString(), ...columns.map(column => column[row] ?? "")])];
    download(`${this.name}-${title}.csv`, "text/csv", lines.map(line => line.map(quoted).join(",")).join("\r\n"));
  }

  #end() { for (const {series} of this.#plots.values()) series.close(); }

  close() {
    for (const [type, act] of Object.entries(this.on)) this.live.removeEventListener(type, act);
    this.#end();
  }
}

// A cell that begins like a formula must not be one where the file is opened.
const quoted = cell => /[",\r\n]|^[=+@]|^-\D/.test(cell) ? `"${String(cell).replace(/^(?=[=+@-])/, "'").replace(/"/g, '""')}"` : cell;

const round = value => typeof value === "number" ? String(Number(value.toPrecision(4))) : value;

function byUnit(infos) {
  const units = new Map();
  for (const info of infos) units.set(info.unit ?? "", [...units.get(info.unit ?? "") ?? [], info]);
  return units;
}
