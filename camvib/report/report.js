"use strict";
// The page reads in full without this script; it adds filters, sorting, the map's opacity and keys.
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const rows = all("#summary tbody tr");
const cards = all(".card");
const chips = all(".count");
const find = document.getElementById("find");
const opacity = document.getElementById("opacity");
const boxes = document.getElementById("boxes");

function filter() {
  const verdicts = chips.filter((c) => c.ariaPressed === "true").map((c) => c.dataset.verdict);
  const wanted = find.value.trim().toLowerCase();
  let count = 0;
  for (const row of rows) {
    const fits = (!verdicts.length || verdicts.includes(row.dataset.verdict)) && row.textContent.toLowerCase().includes(wanted);
    row.hidden = !fits;
    document.getElementById(row.dataset.card).hidden = !fits;
    count += fits;
  }
  document.getElementById("shown").textContent = count === rows.length ? "" : `${count} of ${rows.length} shown`;
}

function sortBy(header) {
  const column = header.cellIndex;
  const falling = header.ariaSort === "ascending";
  const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
  for (const other of all("th[data-sort]")) other.ariaSort = "none";
  header.ariaSort = falling ? "descending" : "ascending";
  rows.sort((a, b) => key(a).localeCompare(key(b), undefined, { numeric: true }) * (falling ? -1 : 1));
  if (rows.some((row) => row.cells[column].dataset.value))
    rows.sort((a, b) => (key(a) - key(b)) * (falling ? -1 : 1));
  document.querySelector("#summary tbody").append(...rows);
}

function setMap(percent) {
  opacity.value = percent;
  document.documentElement.style.setProperty("--map", percent / 100);
}

function step(by) {
  const visible = cards.filter((card) => !card.hidden);
  const top = (card) => card.getBoundingClientRect().top;
  const line = 80; // below the sticky bar
  const next = by > 0 ? visible.find((c) => top(c) > line + 4) : visible.findLast((c) => top(c) < line - 40);
  if (!next) return;
  next.scrollIntoView();
  next.focus({ preventScroll: true });
}

for (const tools of all(".tools")) tools.hidden = false;
for (const chip of chips) {
  chip.disabled = false;
  chip.addEventListener("click", () => {
    chip.ariaPressed = String(chip.ariaPressed !== "true");
    filter();
  });
}
for (const header of all("th[data-sort]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = header.textContent;
  button.addEventListener("click", () => sortBy(header));
  header.replaceChildren(button);
}
find.addEventListener("input", filter);
opacity.addEventListener("input", () => setMap(opacity.value));
boxes.addEventListener("change", () => document.body.classList.toggle("no-boxes", !boxes.checked));
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return;
  if (event.key === "j") step(1);
  else if (event.key === "k") step(-1);
  else if (event.key === "m") setMap(opacity.value > 0 ? 0 : 100);
});
