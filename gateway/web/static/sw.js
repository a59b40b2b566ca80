// Keeps the page's own files, so that it opens while the network is away. What people say is never kept here.

const NAME = "shell";

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", event => event.waitUntil(self.clients.claim()));

// The page tells what it consists of: what was loaded before we came is kept too, and what it has no more is dropped.
self.addEventListener("message", event => event.waitUntil(keep(event.data)));

self.addEventListener("fetch", event => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== location.origin) return;
  if (url.pathname === "/") event.respondWith(fetch(event.request).catch(() => caches.match("/")));
  else if (url.pathname.startsWith("/static/")) event.respondWith(caches.match(event.request).then(found => found ?? fetch(event.request)));
});

async function keep(paths) {
  const kept = await caches.open(NAME), known = new Set(["/", ...paths]);
  for (const request of await kept.keys()) if (!known.has(new URL(request.url).pathname)) await kept.delete(request);
  for (const path of paths) if (!await kept.match(path)) await kept.add(path);
  await kept.add("/"); // last: it is of use only with the others
}
