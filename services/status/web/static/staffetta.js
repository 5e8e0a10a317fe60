// What pages gain with a script: live regions, and the wizard's screens one by one. Without it everything still works.
"use strict";

// --- live regions: on news from the server, the page is fetched again and the regions that differ are replaced ---
const QUIET_MS = 1000;

function liveRegions() {
  return [...document.querySelectorAll("[data-live]")];
}

async function refresh() {
  const response = await fetch(location.href, { headers: { accept: "text/html" } });
  if (!response.ok) return;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const region of liveRegions()) {
    const other = fresh.getElementById(region.id);
    const busy = region.contains(document.activeElement) && document.activeElement !== region;
    // who is on a control of the region keeps it: it will be replaced with the next news
    if (other && !busy && other.textContent !== region.textContent) region.replaceWith(other);
  }
}

function follow(url) {
  let waiting = false;
  let again = false;
  const source = new EventSource(url);
  const news = async () => {
    if (waiting) { again = true; return; }
    waiting = true;
    try { await refresh(); } catch { /* the next news tries again */ }
    setTimeout(() => { waiting = false; if (again) { again = false; news(); } }, QUIET_MS);
  };
  source.addEventListener("changed", news);
  source.addEventListener("reset", news);
  addEventListener("pagehide", () => source.close());
}

const [first] = liveRegions();
if (first) follow(first.dataset.live);

// --- the wizard: one screen at a time ---
function wizard(form) {
  const steps = [...form.querySelectorAll("[data-step]")];
  const submit = form.querySelector("[data-submit]");
  const applies = (step) => {
    if (!step.dataset.onlyIf) return true;
    const [name, value] = step.dataset.onlyIf.split("=");
    return form.elements[name].value === value;
  };
  const back = document.createElement("button");
  const next = document.createElement("button");
  const where = document.createElement("p");
  back.type = next.type = "button";
  back.className = "secondary";
  back.textContent = "Indietro";
  next.textContent = "Avanti";
  where.className = "where";
  where.setAttribute("role", "status");
  submit.before(back, next);
  form.prepend(where);
  let at = 0;

  function show(moved) {
    const shown = steps.filter(applies);
    at = Math.max(0, Math.min(at, shown.length - 1));
    for (const step of steps) step.hidden = step !== shown[at];
    back.hidden = at === 0;
    next.hidden = at === shown.length - 1;
    submit.hidden = !next.hidden;
    where.textContent = `Passo ${at + 1} di ${shown.length}: ${shown[at].querySelector("h2").textContent}`;
    if (moved) shown[at].querySelector("h2").focus();
  }

  next.addEventListener("click", () => { at += 1; show(true); });
  back.addEventListener("click", () => { at -= 1; show(true); });
  form.addEventListener("change", () => show(false));
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches("input") && !next.hidden) { event.preventDefault(); next.click(); }
  });
  // links of the error list lead into screens that may be hidden
  for (const link of document.querySelectorAll('#errori a[href^="#"]')) {
    link.addEventListener("click", (event) => {
      const field = document.getElementById(link.hash.slice(1));
      const index = steps.filter(applies).indexOf(field?.closest("[data-step]"));
      if (index < 0) return;
      event.preventDefault();
      at = index;
      show(false);
      field.focus();
    });
  }
  const wrong = steps.filter(applies).findIndex((step) => step.querySelector(".wrong"));
  at = Math.max(0, wrong);
  show(false);
  document.getElementById("errori")?.focus();

  // the payment type's own texts follow the choice, unless somebody wrote something else
  const payment = form.querySelector("[data-prefill]");
  let before = payment.selectedOptions[0];
  payment.addEventListener("change", () => {
    const chosen = payment.selectedOptions[0];
    for (const name of ["reason", "subject", "office", "classification", "letter"]) {
      const field = form.elements[name];
      if (field.value === "" || field.value === (before?.dataset[name] ?? "")) field.value = chosen.dataset[name] ?? "";
    }
    letters(chosen.value);
    before = chosen;
  });
  function letters(value) {
    for (const group of form.querySelectorAll("[data-payment]")) group.hidden = group.disabled = group.dataset.payment !== value;
  }
  letters(payment.value);
}

for (const form of document.querySelectorAll("[data-wizard]")) wizard(form);

// one click is enough: the second of a double click would be the same request anyway
addEventListener("submit", (event) => {
  if (event.target.getAttribute("role") === "search") return;
  setTimeout(() => { for (const button of event.target.querySelectorAll("button")) button.disabled = true; });
});
addEventListener("pageshow", () => { for (const button of document.querySelectorAll("form button:disabled")) button.disabled = false; });
