"use strict";
// Shows the page anew when the cluster has changed. The page says the same without it, once it is loaded again.
(() => {
  const part = () => document.querySelector("[data-live]");
  if (!part()) {
    return;
  }
  const announcement = document.getElementById("announcement");
  const decisions = (within) => within.querySelector("[data-decide]");
  let seen = part().dataset.live;
  // What there is to decide by now, while somebody is about to press a button of before.
  let waiting = null;
  const isBusy = () => decisions(part())?.matches(":hover, :focus-within") ?? false;

  const showWaiting = () => {
    if (waiting && !isBusy()) {
      decisions(part()).replaceWith(waiting);
      waiting = null;
    }
  };
  for (const left of ["pointerover", "pointerout", "focusin", "focusout"]) {
    document.addEventListener(left, () => setTimeout(showWaiting));
  }

  // Everything but what there is to decide, which stays where it is: nobody presses a button that comes under the finger
  // at the last moment. What it stands for is sent with it, and refused where that is no longer so.
  const showAround = (kept, fresh) => {
    const theirs = decisions(fresh);
    const [before, after] = [[], []];
    for (const node of [...fresh.childNodes]) {
      if (node !== theirs) {
        (theirs && theirs.compareDocumentPosition(node) & Node.DOCUMENT_POSITION_PRECEDING ? before : after).push(node);
      }
    }
    for (const node of [...part().childNodes]) {
      if (node !== kept) {
        node.remove();
      }
    }
    part().prepend(...before);
    part().append(...after);
    part().dataset.live = fresh.dataset.live;
    if (!theirs || theirs.innerHTML === kept.innerHTML) {
      return;
    }
    waiting = theirs;
    if (!kept.dataset.stale) {
      kept.dataset.stale = "true";
      const note = document.createElement("p");
      note.className = "said";
      note.textContent = "This has changed meanwhile. Move away to see what there is to decide now.";
      kept.append(note);
    }
  };

  new EventSource("/live").addEventListener("changed", async ({ data }) => {
    if (data === seen) {
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
    seen = data;
    waiting = null;
    if (isBusy()) {
      showAround(decisions(part()), fresh);
    } else {
      const focused = part().contains(document.activeElement) ? document.activeElement.id : "";
      part().replaceWith(fresh);
      if (focused) {
        document.getElementById(focused)?.focus();
      }
    }
    document.title = page.title;
    const summary = document.getElementById("summary");
    announcement.textContent = summary ? summary.textContent : "The workload has changed.";
  });
})();
