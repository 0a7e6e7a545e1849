// The list: chips, find, sort, keys, and the machines that are as they were.
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const one = (selector, root = document) => root.querySelector(selector);
const PLANT = JSON.parse(one("#plant").textContent);
const search = one("#q"), quietBody = one("#quiet-rows");

function quietRows() {
  if (quietBody.rows.length) return;
  const head = quietBody.insertRow();
  head.className = "sec";
  head.innerHTML = '<th colspan="7" scope="colgroup">As they were</th>';
  for (const [tag, name, area, criticality, last] of PLANT.quiet) {
    const row = quietBody.insertRow();
    row.className = "ok"; row.dataset.s = "ok"; row.dataset.v = JSON.stringify([9e9, tag, "", 9e15, -1, -1, 9e9]);
    const cells = Array.from({ length: 7 }, () => row.insertCell());
    cells[0].innerHTML = '<span class="pill ok">As it was</span>';
    const b = document.createElement("b"), small = document.createElement("small");
    b.textContent = tag; small.textContent = `${area ? area + " · " : ""}criticality ${criticality}`;
    cells[1].className = "ma"; cells[1].append(b, name ? " " + name : "", document.createElement("br"), small);
    cells[5].innerHTML = "<small></small>"; cells[5].firstChild.textContent = last;
  }
}

function filter() {
  const on = all(".chip[aria-pressed=true]").map(chip => chip.dataset.f), words = search.value.trim().toLowerCase();
  const wantsQuiet = on.includes("ok") || (words && !on.length);
  if (wantsQuiet) quietRows();
  quietBody.hidden = !wantsQuiet;
  let shown = 0;
  for (const row of all(".list tr[data-s]")) {
    row.hidden = (on.length && !on.includes(row.dataset.s)) || (words && !row.textContent.toLowerCase().includes(words));
    if (!row.hidden && !row.closest("[hidden]")) shown++;
  }
  for (const body of all(".list tbody")) {
    const head = one(".sec", body);
    if (head) head.hidden = !all("tr[data-s]", body).some(row => !row.hidden);
  }
  one("#shown").textContent = on.length || words ? `${shown} shown` : "";
}

const KEYS = ["urgency", "machine", "fault", "since", "sure", "change", "by"];
function sortBy(th) {
  const key = KEYS.indexOf(th.dataset.sort), down = th.getAttribute("aria-sort") === "ascending";
  all(".list th[aria-sort]").forEach(other => other.removeAttribute("aria-sort"));
  th.setAttribute("aria-sort", down ? "descending" : "ascending");
  const value = new Map(all(".list tr[data-v]").map(row => [row, JSON.parse(row.dataset.v)]));
  const order = (a, b) => { const [x, y] = [value.get(a)[key], value.get(b)[key]]; return (x > y) - (x < y) || value.get(a)[0] - value.get(b)[0]; };
  const table = one(".list"), urgency = key === 0 && !down;
  table.classList.toggle("sorted", !urgency);
  const rows = [...value.keys()].sort((a, b) => down ? -order(a, b) : order(a, b));
  // Sorted by urgency, each row goes back to its own section; else all stand in the first.
  for (const row of rows) (urgency ? one(`.list tbody[data-s=${row.dataset.s}]`) || row.parentNode : one(".list tbody")).append(row);
}

const visibleLinks = () => all(".list .ma a").filter(a => a.offsetParent || !one("#list").offsetParent && !a.closest("[hidden]"));
const order = () => visibleLinks().map(a => a.hash.slice(1));
function step(by) {
  const here = location.hash.slice(1), ids = order();
  if (document.getElementById(here)?.matches(".finding, .later")) {
    const at = ids.indexOf(here) + by;
    if (ids[at]) location.hash = ids[at];
    return;
  }
  const links = visibleLinks(), at = links.indexOf(document.activeElement);
  (links[at < 0 ? (by > 0 ? 0 : links.length - 1) : at + by] || document.activeElement).focus();
}

addEventListener("keydown", event => {
  const typing = event.target.matches("input, textarea, select");
  if (event.ctrlKey || event.metaKey || event.altKey || (typing && event.key !== "Escape")) return;
  if (event.key === "Escape") { if (typing) event.target.blur(); else if (location.hash) location.hash = "list"; }
  else if (event.key === "/") { event.preventDefault(); location.hash = "list"; search.focus(); }
  else if (event.key === "j" || event.key === "k") step(event.key === "j" ? 1 : -1);
});

for (const chip of all(".chip")) {
  chip.disabled = false;
  chip.addEventListener("click", () => { chip.ariaPressed = String(chip.ariaPressed !== "true"); filter(); });
}
search.addEventListener("input", filter);
for (const th of all(".list th[data-sort]")) {
  const button = document.createElement("button");
  button.type = "button"; button.textContent = th.textContent; th.replaceChildren(button);
  button.addEventListener("click", () => sortBy(th));
}
one(".tools").hidden = false; one(".keys").hidden = false;
// The quiet machines' squares: the page carries only their names.
const squares = all(".squares");
for (const [tag, name, , , last, area] of PLANT.quiet) {
  const square = document.createElement("i");
  square.className = "sq"; square.title = `${tag} ${name}: ${last}`;
  squares[area]?.append(square);
}
