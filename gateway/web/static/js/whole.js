// If one of the modules did not come, none of them runs, and nobody else could say so.
addEventListener("load", () => document.getElementById("broken")?.removeAttribute("hidden"));
