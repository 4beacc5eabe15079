"use strict";
// Shows the page anew when the cluster has changed. The page says the same without it, once it is loaded again.
(() => {
  const part = () => document.querySelector("[data-live]");
  if (!part()) {
    return;
  }
  const announcement = document.getElementById("announcement");
  let seen = part().dataset.live;
  new EventSource("/live").addEventListener("changed", async ({ data }) => {
    // Whoever is about to press a button has it under the finger still.
    if (data === seen || part().querySelector("form:focus-within")) {
      return;
    }
    const answer = await fetch(location.href);
    if (!answer.ok) {
      return;
    }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelector("[data-live]");
    if (!fresh) {
      return;
    }
    const focused = part().contains(document.activeElement) ? document.activeElement.id : "";
    part().replaceWith(fresh);
    seen = data;
    document.title = page.title;
    if (focused) {
      document.getElementById(focused)?.focus();
    }
    const summary = document.getElementById("summary");
    announcement.textContent = summary ? summary.textContent : "The workload has changed.";
  });
})();
