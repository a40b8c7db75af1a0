// What pages do beyond HTML. Everything works without it.
"use strict";

// The port follows the encryption until somebody types a port of their own.
// <input data-follows="encryption" data-ports='{"none": 25, "starttls": 587, "tls": 465}'>
function portFollowsEncryption(port) {
  const usual = JSON.parse(port.dataset.ports);
  let typed = port.value !== "" && !Object.values(usual).map(String).includes(port.value);
  port.addEventListener("input", () => { typed = port.value !== ""; });
  for (const choice of port.form.querySelectorAll(`[name="${port.dataset.follows}"]`)) {
    choice.addEventListener("change", () => {
      if (!typed && choice.value in usual) port.value = usual[choice.value];
    });
  }
}

// Typing into a field chooses the radio button that it belongs to.
function typingChooses(input) {
  const choice = document.getElementById(input.dataset.chooses);
  input.addEventListener("input", () => {
    if (input.value && choice && !choice.checked) {
      choice.checked = true;
      choice.dispatchEvent(new Event("change", { bubbles: true }));
    }
  });
}

// <form data-guard>: leaving with unsaved changes is announced, and the save bar names them.
function guardUnsaved(form) {
  const before = stateOf(form);
  const bar = document.querySelector(`[data-unsaved-of="${form.id}"]`);
  const says = bar && bar.querySelector("p");
  const saidBefore = says && [...says.childNodes];
  let leaving = false;

  const changed = () => [...stateOf(form)].filter(([name, value]) => before.get(name) !== value).map(([name]) => name);
  const show = () => {
    if (!says) return;
    const names = changed();
    says.replaceChildren(...(names.length ? unsavedWords(bar, form, names) : saidBefore));
  };
  form.addEventListener("input", show);
  form.addEventListener("change", show);
  form.addEventListener("submit", () => { leaving = true; });
  for (const link of document.querySelectorAll("[data-discard]")) {
    link.addEventListener("click", () => { leaving = true; });
  }
  window.addEventListener("pageshow", () => { leaving = false; });
  window.addEventListener("beforeunload", (event) => {
    if (!leaving && changed().length) event.preventDefault();
  });
}

function stateOf(form) {
  const values = new Map();
  for (const control of form.elements) {
    if (!control.name || control.type === "submit" || control.type === "hidden") continue;
    const isSwitch = control.type === "radio" || control.type === "checkbox";
    const value = isSwitch ? (control.checked ? `${control.value};` : "") : control.value;
    values.set(control.name, (isSwitch ? values.get(control.name) || "" : "") + value);
  }
  return values;
}

function unsavedWords(bar, form, names) {
  const count = document.createElement("b");
  count.textContent = names.length === 1 ? bar.dataset.one : bar.dataset.many.replace("{count}", names.length);
  return [count, `: ${[...new Set(names.map((name) => labelOf(form, name)))].join(", ")}`];
}

function labelOf(form, name) {
  // By name alone: a fieldset may have the same word as its id.
  const control = [...form.elements].find((one) => one.name === name);
  const group = ["radio", "checkbox"].includes(control.type) && control.closest("fieldset");
  const label = (group && group.querySelector("legend")) || (control.labels && control.labels[0]);
  if (!label) return name;
  const words = label.cloneNode(true);
  words.querySelectorAll(".gp-optional").forEach((mark) => mark.remove());
  return words.textContent.trim();
}

// A second click while the first request is under way does nothing.
function submitOnce(form) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
    form.setAttribute("aria-busy", "true");
  });
  window.addEventListener("pageshow", () => {
    delete form.dataset.sent;
    form.removeAttribute("aria-busy");
  });
}

function copies(button) {
  if (!navigator.clipboard) return;
  button.hidden = false;
  const words = button.querySelector(".visually-hidden");
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    const before = words.textContent;
    words.textContent = button.dataset.copied;
    button.classList.add("gp-copied");
    setTimeout(() => {
      words.textContent = before;
      button.classList.remove("gp-copied");
    }, 2000);
  });
}

// "/" goes to the search of the page, else to the page that has one.
function slashSearches(event) {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  const target = document.querySelector("main input[type=search]") || document.querySelector("[data-search]");
  if (!target) return;
  event.preventDefault();
  if (target.matches("a")) target.click();
  else target.focus();
}

document.querySelectorAll("[data-follows]").forEach(portFollowsEncryption);
document.querySelectorAll("[data-chooses]").forEach(typingChooses);
document.querySelectorAll("form[data-guard]").forEach(guardUnsaved);
document.querySelectorAll("form[method=post]").forEach(submitOnce);
document.querySelectorAll("[data-copy]").forEach(copies);
document.addEventListener("keydown", slashSearches);
