// Comfort only: every page works without this file.
"use strict";

// The address in examples is the one this page came from.
function origins() {
  for (const place of document.querySelectorAll("[data-origin]")) place.textContent = location.origin;
}
origins();

// Overview: fetch the page again while somebody looks at it, and swap what changes.
const LIVE_MS = 10000;
function live() {
  const old = document.querySelector("[data-live]");
  if (!old) return;
  const note = document.querySelector("[data-live-note]");
  if (note) note.hidden = false;
  setInterval(async () => {
    const here = document.querySelector("[data-live]");
    const busy = here.contains(document.activeElement) || String(getSelection()) !== "";
    if (document.hidden || busy) return;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (answer.redirected) return location.reload();
      if (!answer.ok) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector("[data-live]");
      if (fresh) here.replaceWith(document.adoptNode(fresh));
      origins();
      if (note) note.textContent = "Updates every 10 s";
    } catch {
      if (note) note.textContent = "Not updating: the server does not answer";
    }
  }, LIVE_MS);
}
live();

// List: j and k move between rows, Enter follows the link, / goes to the search field.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, select, textarea")) return;
  if (event.key === "/") {
    const field = document.querySelector("[data-search]");
    if (field) {
      event.preventDefault();
      field.focus();
    }
    return;
  }
  const step = { j: 1, k: -1 }[event.key];
  const links = [...document.querySelectorAll("[data-row] a[data-open]")];
  if (!step || !links.length) return;
  const at = links.findIndex((link) => link.closest("[data-row]").contains(document.activeElement));
  const next = links[Math.min(links.length - 1, Math.max(0, at < 0 ? 0 : at + step))];
  next.focus();
  next.closest("[data-row]").scrollIntoView({ block: "nearest" });
});

// A click anywhere in a row opens it, but not one that selects text or hits another link.
document.addEventListener("click", (event) => {
  const row = event.target.closest("[data-row]");
  if (!row || event.target.closest("a, button") || String(getSelection()) !== "") return;
  const link = row.querySelector("a[data-open]");
  if (link) location.assign(link.href);
});

// Copy buttons appear where the browser lets them work.
for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) break;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
}

// Empty fields of a filter would only lengthen its address.
for (const form of document.querySelectorAll("form[data-lean]")) {
  form.addEventListener("formdata", ({ formData }) => {
    for (const [name, value] of [...formData]) if (value === "") formData.delete(name);
  });
}
