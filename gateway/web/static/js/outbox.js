// What was said and nobody has confirmed yet. It survives a reload; said again with the same id, it is not done twice.
import {size, t} from "./texts.js";

const COMMAND_MS = 5000;
const KEEP_MS = 7 * 24 * 3600 * 1000;
const MOST_BYTES = 60_000; // of a message on the line; of one frame, 64 kB
const LONGEST_ADDRESS = 64;

export class Outbox {
  constructor(user) { this.prefix = `said:${user}:`; }

  // One entry each, so that two tabs do not overwrite what the other has said.
  all() {
    return Object.keys(localStorage).filter(key => key.startsWith(this.prefix))
      .map(key => JSON.parse(localStorage.getItem(key))).sort((a, b) => a.at - b.at);
  }

  add(entry) { localStorage.setItem(this.prefix + entry.id, JSON.stringify(entry)); }

  drop(id) { localStorage.removeItem(this.prefix + id); }

  // The line on which they were put is gone, and what the gateway had of it, it has told.
  takeBack() { for (const entry of this.all()) if (entry.put) this.add({...entry, put: false}); }

  // What may be said again now. A command that waited is not run behind somebody's back: he says it again himself.
  due() {
    return this.all().filter(entry => {
      const age = Date.now() - entry.at;
      if (age > KEEP_MS) this.drop(entry.id);
      return age < (entry.command ? COMMAND_MS : KEEP_MS);
    });
  }

  // Why the gateway would hang up instead of taking it: then all that waits behind it would never come; "" if it fits.
  static unfit({to, body}) {
    if (to.length > LONGEST_ADDRESS) return t("too.long.address");
    const bytes = new TextEncoder().encode(JSON.stringify(body)).length;
    return bytes > MOST_BYTES ? t("too.long", {size: size(bytes), most: size(MOST_BYTES)}) : "";
  }

  static isStale(entry) { return entry.command && !entry.put && Date.now() - entry.at >= COMMAND_MS; }
}

export function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(9)), byte => byte.toString(16).padStart(2, "0")).join("");
}
