// All texts of the page stand in texts/en.js; a translation is a copy of that file.
import {texts} from "../texts/en.js";

const plural = new Intl.PluralRules(document.documentElement.lang);

// t("held", {name: "anna"}); a text of several forms takes the one that fits `n`. What has no text, since a robot chose
// the word itself, is `otherwise`.
export function t(key, values = {}, otherwise = key) {
  const found = texts[key] ?? otherwise;
  const form = typeof found === "string" ? found : found[plural.select(values.n)] ?? found.other;
  return form.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

const clock = new Intl.DateTimeFormat(undefined, {hour: "2-digit", minute: "2-digit"});
const exact = new Intl.DateTimeFormat(undefined, {hour: "2-digit", minute: "2-digit", second: "2-digit"});
const date = new Intl.DateTimeFormat(undefined, {weekday: "long", day: "numeric", month: "long"});
const full = new Intl.DateTimeFormat(undefined, {dateStyle: "short", timeStyle: "short"});
const short = new Intl.DateTimeFormat(undefined, {day: "numeric", month: "short"});

export const time = at => clock.format(at * 1000);
export const seconds = at => exact.format(at * 1000);
export const moment = at => full.format(at * 1000);
const isToday = at => new Date(at * 1000).toDateString() === new Date().toDateString();
export const day = at => isToday(at) ? t("today") : date.format(at * 1000);
export const brief = at => isToday(at) ? time(at) : short.format(at * 1000);

const UNITS = ["B", "kB", "MB", "GB", "TB"];

export function size(bytes) {
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), UNITS.length - 1);
  return `${Number((bytes / 1000 ** power).toPrecision(3))} ${UNITS[power]}`;
}

export function duration(s) {
  if (s < 120) return t("seconds", {n: Math.ceil(s)});
  if (s < 3600) return t("minutes", {n: Math.floor(s / 60)});
  return s < 172800 ? t("hours", {n: Math.floor(s / 3600)}) : t("days", {n: Math.floor(s / 86400)});
}
