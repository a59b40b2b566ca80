// Plots: values as they come, and columns of numbers in an answer.
import {h, put} from "../dom.js";
import {time as clock, seconds} from "../texts.js";

const KEEP = 6000;
const COLOURS = ["--plot-1", "--plot-2", "--plot-3", "--plot-4", "--plot-5", "--plot-6"];

const style = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Pixels of so many: what is drawn grows with the text of the page.
const grown = px => px * parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;

function options(width, height, labels, time) {
  const ink = style("--muted"), edge = style("--edge"), font = `${grown(12)}px ${style("--sans")}`;
  const axis = {stroke: ink, font, grid: {stroke: edge, width: 1}, ticks: {stroke: edge, width: 1}};
  const times = (_, ticks, axis, space, step) => ticks.map(step < 60 ? seconds : clock);
  // At the right there is room for half of the last label.
  return {
    width, height, legend: {show: false}, cursor: {y: false, points: {size: 7}, drag: {x: true, y: false}}, scales: {x: {time}, y: {range: (_, min, max) => spread(min, max)}},
    padding: [8, grown(time ? 30 : 16), 0, 0], axes: [{...axis, space: grown(70), size: grown(28), ...time && {values: times}}, {...axis, size: (_, labels) => wide(labels), space: grown(32)}],
    series: [{}, ...labels.map((label, index) => ({label, stroke: style(COLOURS[index % COLOURS.length]), width: 2, spanGaps: true, points: {show: false}}))],
  };
}

// As wide as its longest label, so that no sign is cut off.
const wide = labels => grown(20 + 8 * Math.max(3, ...(labels ?? []).map(each => each.length)));

// Some room above and below, also for what does not change.
function spread(min, max) {
  if (min === null) return [0, 1];
  const room = (max - min) * 0.08 || Math.abs(max) * 0.05 || 1;
  return [min - room, max + room];
}

// A plot that is as wide as its place, and drawn again when that or the colours change.
class Chart {
  #made = null;
  #due = 0;

  constructor(labels, time) {
    this.labels = labels;
    this.time = time;
    this.data = [[], ...labels.map(() => [])];
    this.node = h("div", {class: "chart", "aria-hidden": "true"});
    this.sized = new ResizeObserver(() => this.#resize());
    this.sized.observe(this.node);
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.recolour = () => { this.#made?.destroy(); this.#made = null; this.draw(); };
    this.dark.addEventListener("change", this.recolour);
    addEventListener("theme", this.recolour);
  }

  draw() { this.#due ||= requestAnimationFrame(() => { this.#due = 0; this.#paint(); }); }

  #resize() {
    if (this.#made) this.#made.setSize({width: this.node.clientWidth, height: this.node.clientHeight});
    else this.draw();
  }

  // Show the last so many seconds only, as they come; 0: all that is kept.
  show(span) {
    this.span = span;
    this.zoomed = false;
    this.draw();
  }

  #paint() {
    if (!this.node.clientWidth || !this.data[0].length || !window.uPlot) return;
    if (this.#made) this.#made.setData(this.data, !this.zoomed);
    else this.#make();
    const last = this.data[0].at(-1);
    if (this.span && last && !this.zoomed) this.#made.setScale("x", {min: last - this.span, max: last});
  }

  #make() {
    const made = options(this.node.clientWidth, this.node.clientHeight, this.labels, this.time);
    made.hooks = {setSelect: [plot => { this.zoomed = plot.select.width > 0; }]};
    this.#made = new window.uPlot(made, this.data, this.node);
    this.#made.over.addEventListener("dblclick", () => { this.zoomed = false; this.draw(); });
  }

  close() {
    this.sized.disconnect();
    this.dark.removeEventListener("change", this.recolour);
    removeEventListener("theme", this.recolour);
    this.#made?.destroy();
  }
}

// Values of one channel over time; `names` are its values.
export class Series {
  constructor(names) {
    this.chart = new Chart(names, true);
    this.node = this.chart.node;
  }

  add(at, values) {
    const data = this.chart.data;
    data[0].push(at);
    values.forEach((value, index) => data[index + 1].push(value));
    if (data[0].length > KEEP) for (const column of data) column.splice(0, column.length - KEEP);
    this.chart.draw();
  }

  get data() { return this.chart.data; }

  show(span) { this.chart.show(span); }

  close() { this.chart.close(); }
}

// Columns of an answer, the first of which is the horizontal one.
export function series(names, columns) {
  const chart = new Chart(names.slice(1), false);
  chart.data = columns;
  chart.draw();
  return h("div", {}, chart.node, keys(names.slice(1)));
}

export function keys(names) {
  return put(h("p", {class: "keys"}), names.map((name, index) => {
    const line = h("i");
    line.style.background = `var(${COLOURS[index % COLOURS.length]})`;
    return h("span", {}, line, name);
  }));
}
