// The form works without this script, which shows the errors and keeps a double click from sending the form twice.
"use strict";

document.getElementById("summary")?.focus();
const send = document.getElementById("send");
document.getElementById("form").addEventListener("submit", (event) => {
  if (send.getAttribute("aria-busy") === "true") return event.preventDefault();
  send.setAttribute("aria-busy", "true");
  send.textContent = "One moment";
});
addEventListener("pageshow", (event) => {
  if (!event.persisted) return; // the visitor has used the browser's back button
  send.removeAttribute("aria-busy");
  send.textContent = "See my offer";
});
