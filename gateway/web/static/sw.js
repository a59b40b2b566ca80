// Keeps the page's own files, so that it opens while the network is away. What people say is never kept here.

const NAME = "shell";
const PATIENCE_MS = 3000; // where a network is there and nothing comes through

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", event => event.waitUntil(self.clients.claim()));

// The page tells what it consists of: what was loaded before we came is kept too, and what it has no more is dropped.
self.addEventListener("message", event => event.waitUntil(keep(event.data)));

self.addEventListener("fetch", event => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== location.origin) return;
  if (url.pathname === "/") event.respondWith(page(event.request));
  else if (url.pathname.startsWith("/static/")) event.respondWith(caches.match(event.request).then(found => found ?? fetch(event.request)));
});

async function page(request) {
  const fresh = fetch(request), kept = await caches.match("/");
  if (!kept) return fresh;
  return Promise.race([fresh.catch(() => kept), new Promise(resolve => { setTimeout(resolve, PATIENCE_MS, kept); })]);
}

async function keep(paths) {
  const kept = await caches.open(NAME), known = new Set(["/", ...paths]);
  for (const path of paths) if (!await kept.match(path)) await kept.add(path);
  const page = await fetch("/"); // behind the others, without which it is of no use; those that it had before go last
  if (!(await page.clone().text()).includes(paths[0])) return; // another one by now, whose parts we have not seen
  await kept.put("/", page);
  for (const request of await kept.keys()) if (!known.has(new URL(request.url).pathname)) await kept.delete(request);
}
