// Requests beside the line: logging in and out, and what is too large for it.
import {t} from "./texts.js";

export async function get(path, options) {
  try {
    return await fetch(path, options);
  } catch { throw new Error(t("login.away")); }
}

export async function post(path, body) {
  const reply = await get(path, {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)});
  const said = await reply.json().catch(() => ({}));
  if (!reply.ok) throw new Error(said.wait ? t("login.wait", {n: Math.ceil(said.wait)}) : said.reason ?? t("login.failed"));
  return said;
}
