// The form works without this: it brings what is wrong into view, and keeps a double click from asking twice.
"use strict";

document.getElementById("summary")?.focus();
const send = document.getElementById("send");
document.getElementById("form").addEventListener("submit", (event) => {
  if (send.getAttribute("aria-busy") === "true") return event.preventDefault();
  send.setAttribute("aria-busy", "true");
  send.textContent = "One moment";
});
addEventListener("pageshow", (event) => {
  if (!event.persisted) return; // back by the browser's button
  send.removeAttribute("aria-busy");
  send.textContent = "See my offer";
});
