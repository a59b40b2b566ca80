// Logging in, and the first visit with the token from the terminal.
import {h, put} from "./dom.js";
import {get, post} from "./http.js";
import {t} from "./texts.js";

export function login(note, done) {
  const token = /^#setup=(.+)$/.exec(location.hash)?.[1];
  const error = h("p", {class: "error", role: "alert"}), said = h("p", {class: "note", role: "status"}, note);
  const user = h("input", {id: "user", name: "username", autocomplete: "username", autocapitalize: "none", spellcheck: "false", required: true, pattern: "[a-z0-9][a-z0-9_\\-]{0,31}", title: t("login.address")});
  const password = h("input", {id: "password", name: "password", type: "password", autocomplete: token ? "new-password" : "current-password", required: true, minlength: token ? "8" : null});
  const button = h("button", {class: "main"}, t(token ? "setup.button" : "login.button"));

  async function send(event) {
    event.preventDefault();
    put(error);
    put(said);
    button.disabled = true;
    const who = {user: user.value.trim(), password: password.value};
    try {
      await post(token ? "/setup" : "/login", token ? {token, ...who} : who);
      const reply = await get("/me");
      if (!reply.ok) throw new Error(t("login.failed"));
      if (token) history.replaceState(null, "", "#/");
      done(await reply.json());
    } catch (problem) {
      put(error, problem.message);
      button.disabled = false;
      password.select();
    }
  }

  return h("section", {class: "login"},
    h("div", {class: "field"}, h("h1", {}, t(token ? "setup.title" : "login.title")), h("p", {class: "muted"}, t(token ? "setup.text" : "login.text"))),
    h("form", {onsubmit: send}, said, error,
      h("div", {class: "field"}, h("label", {for: "user"}, t("login.user")), user, token && h("small", {}, t("login.address"))),
      h("div", {class: "field"}, h("label", {for: "password"}, t("login.password")), password, token && h("small", {}, t("setup.password"))),
      button));
}
