// Answers: kept in this browser until a file of them is handed in, or sent to the review desk at once.
const DESK = one("meta[name=camvib-desk]")?.content;
const STORE = "camvib-answers";
let queue = [], author = "";
try { queue = JSON.parse(localStorage.getItem(STORE) || "[]"); author = localStorage.getItem(STORE + "-author") || ""; } catch { /* a browser may forbid storage to files: the queue then lives as long as the page */ }

function keep() {
  try { localStorage.setItem(STORE, JSON.stringify(queue)); localStorage.setItem(STORE + "-author", author); } catch { /* see above */ }
  const box = one("#waiting");
  box.hidden = !queue.length || !!DESK && !queue.length;
  one("#waiting-text").textContent = `${queue.length} answer${queue.length === 1 ? " waits" : "s wait"} in this browser.`;
}

const file = () => JSON.stringify({ camvib_answers: 1, plant: PLANT.name, page: PLANT.written, items: queue }, null, 1);
one("#save-answers").addEventListener("click", () => {
  const a = document.createElement("a");
  a.href = URL.createObjectURL(new Blob([file()], { type: "application/json" }));
  a.download = `camvib-answers-${new Date().toISOString().slice(0, 16).replace(/[-:]/g, "")}.json`;
  a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 60000);
});

async function send() {
  if (!DESK || !queue.length) return "";
  const sent = [...queue];
  try {
    const answer = await fetch("answers", { method: "POST", headers: { "content-type": "application/json", "x-camvib-desk": DESK }, body: JSON.stringify({ camvib_answers: 1, items: sent }) });
    const said = await answer.json().catch(() => ({}));
    if (!answer.ok) return said.error || `the desk answered ${answer.status}`;
    queue = queue.filter(item => !sent.includes(item));
    keep();
    return (said.refused || []).map(refused => refused.error).join("; ");
  } catch { return "the desk is not reachable; the answer waits in this browser"; }
}

async function hand(item, form, words) {
  queue.push({ key: crypto.randomUUID ? crypto.randomUUID() : String(Math.random()).slice(2) + Date.now(), at: new Date().toISOString(), author, ...item });
  keep();
  const problem = await send();
  one(".done", form).textContent = problem ? `Kept, not sent: ${problem}` : DESK ? `${words} Stored.` : `${words} Waits in this browser: save the file below and hand it in.`;
}

const known = new Set();
function setUp(article) {
  if (known.has(article)) return;
  known.add(article);
  one(".answer h2", article).after(one("#form").content.cloneNode(true));
  const form = one(".answers", article), about = JSON.parse(one(".about", article).textContent);
  const base = { asset: about.asset, case_id: about.case, recording_id: about.recording };
  const field = name => one("." + name, form)?.value.trim() ?? "";
  for (const radio of all("input[type=radio]", form)) radio.name = "kind-" + article.id;
  if (!about.case) all(".of-case", form).forEach(part => part.remove());
  else one(".as-said", form).textContent = about.what;
  if (!one(".data", article)) one(".mark", form).remove();
  const name = one(".author", form);
  name.value = author;
  name.addEventListener("input", () => { author = name.value.trim(); all(".author").forEach(other => { if (other !== name) other.value = name.value; }); keep(); });
  form.addEventListener("submit", event => { event.preventDefault(); submit(form, field, base, about); });
  one(".label", form).addEventListener("focus", () => { one("[value=corrected]", form).checked = true; });
  const named = () => author || (one(".done", form).textContent = "Write your name first.", name.focus(), "");
  one(".seen", form)?.addEventListener("click", () => named() && hand({ ...base, kind: "acknowledged", text: field("text") }, form, "Marked as seen."));
  one(".snooze", form)?.addEventListener("click", () => {
    if (!named()) return;
    if (!field("until")) { one(".done", form).textContent = "Say until when."; return; }
    hand({ ...base, kind: "snoozed", until: field("until"), text: field("text") }, form, `Snoozed until ${field("until")}.`);
  });
  for (const tick of all(".step", article)) tick.addEventListener("change", () => hand({ ...base, kind: "comment", text: `${tick.checked ? "done" : "not done"}: ${tick.dataset.step}` }, form, "Noted."));
  for (const button of all(".play", article)) button.addEventListener("click", () => play(button));
  for (const box of all(".listen", article)) box.hidden = false;
  const copy = one(".copy", article);
  if (copy && about.order) { copy.hidden = false; copy.addEventListener("click", () => copyOrder(copy, about.order)); }
}

function submit(form, field, base, about) {
  const kind = one("input[type=radio]:checked", form)?.value;
  const corners = ["start_s", "end_s", "low_hz", "high_hz"].map(key => [key, field(key)]), marked = corners.every(([, value]) => value !== "");
  if (!kind && !marked) { one(".done", form).textContent = "Choose what you found first."; return; }
  if (kind === "corrected" && !field("label")) { one(".done", form).textContent = "Name the fault that it was."; one(".label", form).focus(); return; }
  if (kind === "comment" && !field("text")) { one(".done", form).textContent = "Write the note first."; one(".text", form).focus(); return; }
  const region = marked ? Object.fromEntries(corners.map(([key, value]) => [key, +value])) : null;
  const label = kind === "corrected" ? field("label") : kind === "confirmed" ? about.label : "";
  hand({ ...base, kind: kind || "region", label, text: field("text"), region }, form, "Thank you.");
}

async function copyOrder(copy, order) {
  try { await navigator.clipboard.writeText(order); copy.textContent = "Copied"; }
  catch {
    const area = Object.assign(document.createElement("textarea"), { value: order, rows: 14 });
    area.style.width = "100%"; area.setAttribute("aria-label", "Work order");
    copy.replaceWith(area); area.select();
  }
}
const labels = document.createElement("datalist");
labels.id = "labels";
labels.append(...PLANT.labels.map(label => Object.assign(document.createElement("option"), { value: label })));
document.body.append(labels);
keep();
if (DESK) send();
arrive();
addEventListener("load", () => setTimeout(forPaper, 300));
