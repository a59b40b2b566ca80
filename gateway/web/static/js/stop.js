// Stop: a socket of its own to a process of its own. It imports nothing, so nothing else can break it.

const BACK_OFF_MS = [100, 300, 1000, 3000];
const LATE_MS = 2000;
const FORGET_MS = 15000; // until then it is said again as soon as the line is back
const QUIET_MS = 8000;

const button = document.getElementById("stop");
const one = document.getElementById("stop-one");
const says = document.getElementById("stop-says");
const words = button.dataset;
const waiting = new Map();
let socket = null, tries = 0, n = 0, hush = 0, again = 0;

// Where the stop process listens is kept, so that it is found at once, and also when nothing else answers.
const known = () => JSON.parse(localStorage.getItem("stop") ?? "null");

async function find() {
  try {
    const reply = await fetch("/me");
    if (reply.status === 401) { localStorage.removeItem("stop"); return undefined; }
    if (reply.ok) localStorage.setItem("stop", JSON.stringify((await reply.json()).stop_port ?? null));
  } catch { /* the page's process is away: what was known counts */ }
  return known();
}

async function open() {
  clearTimeout(again);
  const port = (tries === 0 && known()) || await find(); // what was known may not be true any more
  if (port === undefined) { show("down"); return; } // nobody is logged in
  if (port === null) { show("down"); later(); return; }
  const mine = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.hostname}:${port}/stop`);
  socket = mine;
  mine.onopen = () => { tries = 0; show("up"); for (const [number, robot] of waiting) put(number, robot); };
  mine.onmessage = ({data}) => confirm(JSON.parse(data));
  mine.onclose = () => {
    if (mine !== socket) return;
    show("down");
    later();
  };
}

function later() { again = setTimeout(open, BACK_OFF_MS[Math.min(tries++, BACK_OFF_MS.length - 1)]); }

function show(lane) {
  button.dataset.lane = lane;
  button.title = lane === "up" ? "" : words.down;
}

function put(number, robot) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({robot, n: number}));
}

// Both ways at once, the page's own line too: to stop twice is harmless, not to stop is not.
function stop(robot) {
  const number = ++n;
  waiting.set(number, robot);
  put(number, robot);
  window.dispatchEvent(new CustomEvent("stop", {detail: robot}));
  say(button.dataset.lane === "up" ? words.sent : words.down, "");
  setTimeout(() => { if (waiting.has(number)) say(words.late, "bad"); }, LATE_MS);
  setTimeout(() => waiting.delete(number), FORGET_MS);
}

function confirm(answer) {
  waiting.delete(answer.n);
  say(answer.text, answer.confirmed ? "good" : "bad");
}

function say(text, how) {
  says.textContent = text.replaceAll("`", ""); // of words that one types in a terminal
  says.dataset.how = how;
  clearTimeout(hush);
  if (how === "good") hush = setTimeout(() => { says.textContent = ""; }, QUIET_MS);
}

// A finger that goes down is enough; a key makes a click without one.
for (const each of [button, one]) {
  let pressed = 0;
  each.addEventListener("pointerdown", event => { if (event.button === 0) { pressed = event.timeStamp; stop(each.dataset.robot ?? ""); } });
  each.addEventListener("click", event => { if (!event.detail || event.timeStamp - pressed > 1500) stop(each.dataset.robot ?? ""); });
}
says.addEventListener("click", () => { says.textContent = ""; });
// The page's own line tells too which robots have stopped: what comes first counts.
window.addEventListener("stopped", ({detail}) => {
  for (const [number, robot] of waiting) {
    if (robot ? !detail.names.includes(robot) : !detail.all) continue;
    waiting.delete(number);
    say(detail.text, "good");
  }
});
window.addEventListener("session", open);
window.addEventListener("online", open);
open();
