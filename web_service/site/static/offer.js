// Polls until the offer is there, first often, then less often. Without this script, the page reloads itself.
"use strict";

// Milliseconds:
const OFTEN = 500;
const RARELY = 4000;
const EAGER = 20000;
const startedAt = Date.now();
const settled = (offer) => ["ready", "refused"].includes(offer.dataset.state);

async function poll() {
  const shown = document.getElementById("offer");
  if (settled(shown)) return;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("offer");
      if (fresh && fresh.dataset.state !== shown.dataset.state) {
        shown.replaceChildren(...fresh.childNodes);
        shown.dataset.state = fresh.dataset.state;
        document.title = page.title;
      }
    }
  } catch {
    // there is no connection; the next poll may have one
  }
  setTimeout(poll, Date.now() - startedAt < EAGER ? OFTEN : RARELY);
}

poll();
