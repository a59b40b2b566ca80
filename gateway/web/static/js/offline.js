// The page opens without a network too: a worker keeps its files.

const policy = window.trustedTypes?.createPolicy("boardtalk", {createScriptURL: path => {
  if (path !== "/sw.js") throw new TypeError(path);
  return path;
}});

export async function keepShell() {
  if (!navigator.serviceWorker) return; // plain HTTP in a network: browsers allow it on this machine or with TLS only
  try {
    await navigator.serviceWorker.register(policy ? policy.createScriptURL("/sw.js") : "/sw.js");
    const {active} = await navigator.serviceWorker.ready;
    const parts = [...document.querySelectorAll("link[href], script[src]")].map(each => new URL(each.href ?? each.src).pathname);
    active.postMessage([...new Set(parts)]);
  } catch { /* private windows have none: the page works without */ }
}
