// What the page knows: who is there, what was said. No elements here; views listen to its events.
import {Outbox, newId} from "./outbox.js";

export const ORDER = ["waiting", "accepted", "sent", "started", "done", "read"];
const GOOD = new Set(["done", "read"]);
export const BAD = new Set(["failed", "expired", "rejected", "cancelled", "unknown", "unsent"]);
const WANTS_RECEIPT = 2, TRANSIENT = 4, PRESENCE = 8, REPLACES = 32;
const MAX_ROWS = 2000;
const MAX_NEWS = 300;
const TYPING_MS = 5000;
const PAGE = 50;

export class Store extends EventTarget {
  contacts = new Map();
  talks = new Map();
  calls = new Map();
  news = new Map();
  cursor = 0;
  met = false; // whether it is known who is there

  constructor(link, me) {
    super();
    this.link = link;
    this.me = me;
    this.outbox = new Outbox(me.user);
    const on = (type, act) => link.addEventListener(type, ({detail}) => act(detail));
    on("welcome", heard => this.#welcome(heard));
    on("message", heard => heard.message.flags & PRESENCE ? this.#typing(heard.message) : this.#came(told(heard)));
    on("sent", heard => this.#add(told(heard)));
    on("status", ({message_id, to, row, status: {state, detail}}) => this.#status({id: message_id, to, row, state, detail}));
    on("refused", heard => this.#refused(heard));
    on("state", state => { if (state === "open") this.#flush(); });
    on("presence", heard => this.#presence(heard));
    on("held", heard => this.#held(heard));
    on("marked", heard => this.#marked(heard.other, heard.row));
    on("typing", heard => this.#typing(heard));
    on("call", heard => { this.calls.set(heard.to, heard); this.tell("call", heard); });
    on("call asked", heard => this.tell("asked", heard));
    on("call decided", heard => this.tell("decided", heard));
    setInterval(() => this.#giveUp(), 1000);
    this.#recall();
  }

  talk(name) {
    let talk = this.talks.get(name);
    if (!talk) this.talks.set(name, talk = {name, rows: [], older: true, read: 0, unread: 0, typing: new Map(), fetched: false, open: false});
    return talk;
  }

  kind(name) { return this.contacts.get(name)?.kind ?? (name === "gateway" ? "service" : "user"); }

  robots() { return [...this.contacts.values()].filter(each => each.kind === "robot").sort((a, b) => byName(a.address, b.address)); }

  // At the gateway itself, by the role; with a robot, by what the gateway says of it.
  may(robot, right) { return Boolean(this.contacts.get(robot)?.rights?.includes(right)); }

  can(right) { return right === "admin" ? this.me.role === "admin" : this.me.role !== "viewer"; }

  // Say something; it shows at once, and waits here until the gateway has it.
  say(to, body) {
    const kind = this.kind(to), command = kind === "robot" || kind === "service";
    const entry = {id: newId(), to, body, at: Date.now(), command, flags: kind === "user" ? WANTS_RECEIPT : 0};
    this.outbox.add(entry);
    this.#add({...this.#own(entry), state: "waiting"});
    this.#put(entry);
    return entry.id;
  }

  sayAgain(row) {
    this.outbox.drop(row.id);
    const rows = this.talk(this.#other(row)).rows;
    rows.splice(rows.indexOf(row), 1);
    this.tell("rows", {name: row.to, all: true});
    return this.say(row.to, row.body);
  }

  // Older messages of a conversation.
  async older(name, limit = PAGE) {
    const talk = this.talk(name), first = talk.rows.find(row => row.row);
    const {entries, more} = await this.link.ask("history", {other: name, before: talk.fetched && first ? first.row : null, limit});
    talk.fetched = true;
    talk.older = more;
    for (const entry of entries) this.#add(past(entry), true);
    this.tell("rows", {name, all: true});
  }

  // Forget what is oldest, of more than a page shall keep; how much that was. One that is open does so itself.
  trim(talk) {
    const old = talk.rows.splice(0, Math.max(0, talk.rows.length - MAX_ROWS)).length;
    talk.older ||= old > 0;
    return old;
  }

  async refresh() { this.#meet((await this.link.ask("contacts")).contacts); }

  // The person has seen it all.
  mark(name) {
    const talk = this.talk(name), last = talk.rows.findLast(row => row.row);
    if (!talk.unread && (!last || last.row <= talk.read)) return;
    talk.unread = 0;
    if (last && last.row > talk.read && this.link.say("mark", {other: name, row: last.row})) talk.read = last.row;
    this.tell("talks");
  }

  tell(type, detail) { this.dispatchEvent(new CustomEvent(type, {detail})); }

  // Inside ---------------------------------------------------------------------------------------

  #own(entry) { return {row: 0, at: entry.at / 1000, sender: this.me.user, to: entry.to, body: entry.body, id: entry.id, flags: entry.flags}; }

  #other(row) {
    if (row.groupid) return row.groupid;
    return row.sender === this.me.user || this.contacts.get(row.to)?.kind === "group" ? row.to : row.sender;
  }

  // What is on the line may still be done, however long the gateway stands still: it is not to be said again.
  #put(entry) {
    const unfit = Outbox.unfit(entry);
    if (unfit) return this.#status({id: entry.id, to: entry.to, state: "rejected", detail: unfit});
    entry.put = this.link.say("send", {id: entry.id, to: entry.to, body: entry.body, flags: entry.flags});
    if (entry.put) this.outbox.add(entry);
    return undefined;
  }

  #flush() { for (const entry of this.outbox.due()) if (!entry.put) this.#put(entry); }

  // What was said before the page was loaded, and did not leave it yet.
  #recall() {
    for (const entry of this.outbox.all()) if (!this.#find(entry.to, entry.id)) this.#add({...this.#own(entry), state: Outbox.isStale(entry) ? "unsent" : "waiting"}, true);
  }

  #meet(list) {
    this.contacts = new Map(list.map(each => [each.address, each]));
    this.met = true;
    this.tell("contacts");
  }

  #welcome(heard) {
    const before = this.robots();
    this.#meet(heard.contacts);
    for (const {address} of before) if (!this.contacts.has(address)) this.talks.delete(address); // not to be seen any more
    if (heard.gap) for (const talk of this.talks.values()) Object.assign(talk, {rows: [], older: true, fetched: false});
    for (const {other, last, read, unread} of heard.talks ?? []) {
      const talk = Object.assign(this.talk(other), {read, unread});
      if (last) { if (!talk.rows.length) talk.fetched = false; this.#add(past(last), true); }
    }
    for (const entry of heard.entries) this.#came(past(entry), true);
    this.outbox.takeBack();
    this.#recall();
    this.tell("rows", {all: true});
    this.tell("talks");
    this.tell("ready");
  }

  #came(entry, quiet = false) {
    const name = this.#other(entry), talk = this.talk(name);
    talk.typing.delete(entry.sender);
    if (!entry.row && entry.sender !== this.me.user) this.#isNews(entry);
    const fresh = this.#add(entry, quiet);
    if (fresh && !quiet && entry.row && entry.sender !== this.me.user && !(entry.flags & REPLACES)) { talk.unread += 1; this.tell("talks"); }
    if (fresh && !quiet) this.tell("heard", entry);
  }

  #isNews(entry) {
    const list = this.news.get(entry.sender) ?? [];
    list.push(entry);
    if (list.length > MAX_NEWS) list.shift();
    this.news.set(entry.sender, list);
  }

  // Put a message in its place; whether it is new here.
  #add(entry, quiet = false) {
    const name = this.#other(entry), talk = this.talk(name), rows = talk.rows;
    this.cursor = Math.max(this.cursor, entry.row);
    if (entry.flags & REPLACES) return this.#replace(talk, entry, quiet);
    const known = rows.findLast(row => (entry.row && row.row === entry.row) || (entry.id && row.id === entry.id && row.sender === entry.sender));
    if (known) {
      const {state, detail} = known;
      Object.assign(known, entry);
      if (this.#rank(state) > this.#rank(entry.state)) Object.assign(known, {state, detail});
      if (known.sender === this.me.user && known.state !== "waiting") this.outbox.drop(known.id);
      if (!quiet) this.tell("row", {name, row: known});
      return false;
    }
    if (entry.sender === this.me.user && entry.row) this.outbox.drop(entry.id);
    const after = rows.findLastIndex(row => row.row && entry.row ? row.row < entry.row : row.at <= entry.at);
    rows.splice(after + 1, 0, entry);
    if (!talk.open) this.trim(talk);
    if (!quiet) this.tell("rows", {name, row: after + 2 === rows.length ? entry : null, all: after + 2 !== rows.length});
    this.tell("talks");
    return true;
  }

  #replace(talk, entry, quiet) {
    const row = talk.rows.findLast(each => (entry.replaces && each.row === entry.replaces) || (each.id === entry.refid && each.sender === entry.sender));
    if (!row) return entry.flags & TRANSIENT ? false : this.#add({...entry, flags: entry.flags & ~REPLACES}, quiet);
    row.body = entry.body;
    this.tell("row", {name: talk.name, row});
    return false;
  }

  #find(name, id) { return this.talk(name).rows.findLast(row => row.sender === this.me.user && (row.id === id || `~${row.row}` === id)); }

  #rank(state) { return BAD.has(state) && state !== "unsent" ? 9 : ORDER.indexOf(state); }

  #status(heard) {
    this.outbox.drop(heard.id);
    this.cursor = Math.max(this.cursor, heard.row ?? 0);
    let row = this.#find(heard.to, heard.id);
    if (!row) for (const name of this.talks.keys()) if (row = this.#find(name, heard.id)) break;
    if (!row) return;
    if (heard.row) row.row ||= heard.row;
    const corrected = row.state === "unknown" && GOOD.has(heard.state);
    if (corrected || this.#rank(heard.state) >= this.#rank(row.state)) Object.assign(row, {state: heard.state, detail: heard.detail});
    this.tell("row", {name: this.#other(row), row});
  }

  #refused(heard) {
    if (heard.id) this.#status({id: heard.id, to: "", state: "rejected", detail: heard.reason});
  }

  #giveUp() {
    for (const entry of this.outbox.all()) {
      const row = this.#find(entry.to, entry.id);
      if (row?.state === "waiting" && Outbox.isStale(entry)) {
        row.state = "unsent";
        this.tell("row", {name: entry.to, row});
      }
    }
  }

  #presence(heard) {
    const known = this.contacts.get(heard.address);
    if (!known) return void this.refresh().catch(() => {});
    const ready = heard.online && !known.online && known.kind === "robot";
    Object.assign(known, {online: heard.online, state: heard.state});
    this.tell("contacts");
    if (ready) this.refresh().catch(() => {}); // it may run another program now
  }

  #held({address, holder}) {
    const known = this.contacts.get(address);
    if (!known || known.holder === holder) return;
    known.holder = holder;
    this.tell("contacts");
  }

  #marked(other, row) {
    const talk = this.talk(other);
    talk.read = Math.max(talk.read, row);
    talk.unread = talk.rows.filter(each => each.row > talk.read && each.sender !== this.me.user).length;
    this.tell("talks");
  }

  #typing(heard) {
    const talk = this.talk(heard.groupid || heard.sender);
    talk.typing.set(heard.sender, Date.now() + TYPING_MS);
    this.tell("typing", talk);
    setTimeout(() => {
      if ((talk.typing.get(heard.sender) ?? 0) <= Date.now()) { talk.typing.delete(heard.sender); this.tell("typing", talk); }
    }, TYPING_MS + 50);
  }
}

// bot-2 comes before bot-10.
export const byName = new Intl.Collator(undefined, {numeric: true}).compare;

// A message of the history.
export const past = entry => ({...entry, at: Date.parse(entry.at) / 1000});

// A message of just now; of an answer, `state` is how what it answers ended.
const told = ({message, at, replaces, status}) => ({...message, at, replaces, ...status && {state: status.state, detail: status.detail}});

export function how(state) {
  if (GOOD.has(state)) return "good";
  return BAD.has(state) ? "bad" : "busy";
}
