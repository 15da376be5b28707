// Looks again until the offer is there, first often, then less; without it the page loads itself anew.
"use strict";

const OFTEN = 500, RARELY = 4000, EAGER = 20000; // milliseconds
const began = Date.now();
const settled = (offer) => ["ready", "refused"].includes(offer.dataset.state);

async function look() {
  const shown = document.getElementById("offer");
  if (settled(shown)) return;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const found = page.getElementById("offer");
      if (found && found.dataset.state !== shown.dataset.state) {
        shown.replaceChildren(...found.childNodes);
        shown.dataset.state = found.dataset.state;
        document.title = page.title;
      }
    }
  } catch {
    // no connection: the next look may have one
  }
  setTimeout(look, Date.now() - began < EAGER ? OFTEN : RARELY);
}

look();
