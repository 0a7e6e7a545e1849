// A finding: maps coloured and read under the pointer, the spectrum's cursors, the waterfall, sound, print.
const LEVEL = [[12, 14, 32], [38, 42, 96], [28, 96, 128], [52, 156, 122], [172, 206, 84], [254, 247, 190]];
const SIGNED = { change: [[112, 56, 190], [226, 120, 0]], evidence: [[24, 92, 190], [208, 28, 31]] };
const dark = matchMedia("screen and (prefers-color-scheme:dark)");
const opened = new Map();
const number = (value, digits = 0) => value.toFixed(digits).replace("-", "−").replace(/^−(0(\.0+)?)$/, "$1");
const plus = (value, digits = 0) => (value >= 0 ? "+" : "") + number(value, digits);

async function cells(holder) {
  const img = one("img", holder);
  img.loading = "eager";
  await img.decode();
  const canvas = new OffscreenCanvas(img.naturalWidth, img.naturalHeight), pen = canvas.getContext("2d", { colorSpace: "srgb" });
  pen.drawImage(img, 0, 0);
  const { data, width, height } = pen.getImageData(0, 0, img.naturalWidth, img.naturalHeight);
  const low = +holder.dataset.low, scale = +holder.dataset.step, values = new Float32Array(width * height);
  for (let i = 0; i < values.length; i++) values[i] = low + scale * data[4 * i];
  return { values, width, height, at: (x, y) => values[Math.min(height - 1, Math.floor(y * height)) * width + Math.min(width - 1, Math.floor(x * width))] };
}

function ground() {
  return dark.matches && !document.documentElement.dataset.print ? [25, 33, 42] : [255, 255, 255];
}

function colour(kind, value, low, high) {
  if (kind === "level") {
    const t = Math.max(0, Math.min(.9999, (value - low) / (high - low))) * (LEVEL.length - 1), i = Math.floor(t);
    return LEVEL[i].map((c, k) => c + (LEVEL[i + 1][k] - c) * (t - i));
  }
  const full = Math.min(1, Math.abs(value) / high), strength = full < .05 ? 0 : ((full - .05) / .95) ** .7;
  return ground().map((c, k) => c + (SIGNED[kind][value > 0 ? 1 : 0][k] - c) * strength);
}

function paint(canvas, kind, grid, low, high) {
  canvas.width = grid.width; canvas.height = grid.height;
  const pen = canvas.getContext("2d"), picture = pen.createImageData(grid.width, grid.height);
  for (let i = 0; i < grid.values.length; i++) picture.data.set([...colour(kind, grid.values[i], low, high), 255], 4 * i);
  pen.putImageData(picture, 0, 0);
}

async function open(article) {
  if (opened.has(article)) return opened.get(article);
  const ready = prepare(article);
  opened.set(article, ready);
  return ready;
}

async function prepare(article) {
  const store = one(".data", article), data = store && JSON.parse(store.textContent);
  if (!data) return null;
  const maps = [];
  for (const figure of all(".map", article)) {
    if (one("img", figure)) maps.push({ figure, kind: figure.dataset.kind, grid: await cells(figure) });
  }
  const today = maps.find(map => map.kind === "level");
  const healthy = one("[data-kind=expected]", article);
  if (healthy && data.healthy) {
    const { width, height } = today.grid, values = new Float32Array(width * height);
    for (let y = 0; y < height; y++) values.fill(data.healthy[height - 1 - y], y * width, (y + 1) * width);
    maps.unshift({ figure: healthy, kind: "expected", grid: { values, width, height, at: (x, y) => data.healthy[height - 1 - Math.min(height - 1, Math.floor(y * height))] } });
  } else if (healthy) healthy.hidden = true;
  // The page carries one set of ticks: the maps have the same axes.
  for (const side of [".x-ticks", ".y-ticks"]) for (const { figure } of maps) if (figure !== today.figure) one(side, figure).replaceChildren(...[...one(side, today.figure).children].map(tick => tick.cloneNode(true)));
  const finding = { article, data, maps, today };
  repaint(finding);
  await waterfall(finding);
  readMaps(finding);
  spectrum(finding);
  return finding;
}

function repaint({ maps, today, data }) {
  const low = +today.figure.dataset.low, high = low + +today.figure.dataset.step * Math.max(10, today.grid.values.reduce((a, b) => Math.max(a, b)) - low) / +today.figure.dataset.step;
  for (const { figure, kind, grid } of maps) {
    if (kind === "level" || kind === "expected") paint(one("canvas", figure), "level", grid, low, high);
    else paint(one("canvas", figure), kind, grid, 0, kind === "evidence" ? data.scale : -figure.dataset.low);
    const img = one("img", figure);
    if (img) img.style.visibility = "hidden";
  }
}

async function waterfall({ article, data }) {
  const fall = one(".fall", article);
  if (!fall) return;
  const grid = await cells(fall), canvas = one("canvas", fall), width = 560;
  canvas.width = width; canvas.height = grid.height;
  const pen = canvas.getContext("2d"), column = Math.max(3, Math.round(width / 56));
  data.waterfall.forEach((second, i) => {
    const x = Math.round((second - fall.dataset.first) / fall.dataset.span * width - column / 2);
    for (let y = 0; y < grid.height; y++) {
      pen.fillStyle = `rgb(${colour("change", grid.values[y * grid.width + i], 0, 12).map(Math.round)})`;
      pen.fillRect(x, y, column, 1);
    }
  });
}

// Rows of the picture are equally high whatever they stand for; y counts from the top, 0 to 1.
function place({ data, today }, x, y) {
  const rows = data.hz.length, row = rows - 1 - Math.min(rows - 1, Math.floor(y * rows));
  const columns = today.grid.width, column = Math.min(columns - 1, Math.floor(x * columns));
  const [first, last] = data.s;
  return { hz: data.hz[row], s: columns > 1 ? first + (last - first) * column / (columns - 1) : first };
}

function say(finding, x, y) {
  const { hz, s } = place(finding, x, y), read = kind => finding.maps.filter(map => map.kind === kind).map(map => map.grid.at(x, y));
  const level = read("level")[0], expected = read("expected")[0], change = read("change")[0], parts = [];
  parts.push(`${s.toFixed(2)} s`, `${hz < 100 ? hz.toFixed(1) : hz.toFixed(0)} Hz`, `${number(level)} dB`);
  if (expected !== undefined) parts.push(`healthy ${number(expected)} dB (${plus(level - expected)})`);
  if (change !== undefined) parts.push(one("[data-kind=change]", finding.article).dataset.low === "-1.0" ? `changed: ${number(100 * Math.abs(change))} % sure ${change < 0 ? "lost" : "gained"}` : `changed ${plus(change)} dB`);
  read("evidence").forEach((value, i) => parts.push(`contribution${i ? " against the runner-up" : ""} ${plus(value, 2)} logits`));
  return parts.join(" · ");
}

function readMaps(finding) {
  const box = one(".maps", finding.article), reading = one(".map-reading", finding.article);
  const point = { x: .5, y: .5 };
  const show = () => {
    box.classList.add("on");
    box.style.setProperty("--x", `${100 * point.x}%`); box.style.setProperty("--y", `${100 * point.y}%`);
    reading.textContent = say(finding, point.x, point.y);
  };
  let start = null;
  for (const { figure } of finding.maps) {
    const pane = one(".pane", figure);
    const where = event => {
      const r = pane.getBoundingClientRect(), clamp = v => Math.max(0, Math.min(.9999, v));
      return { x: clamp((event.clientX - r.left) / r.width), y: clamp((event.clientY - r.top) / r.height) };
    };
    pane.addEventListener("pointermove", event => { Object.assign(point, where(event)); show(); if (start) mark(finding, start, point); });
    pane.addEventListener("pointerdown", event => { if (one(".mark[open]", finding.article)) { start = where(event); pane.setPointerCapture(event.pointerId); } Object.assign(point, where(event)); show(); });
    pane.addEventListener("pointerup", () => { start = null; });
  }
  box.addEventListener("keydown", event => {
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!by) return;
    event.preventDefault();
    point.x = Math.max(0, Math.min(.9999, point.x + by[0] / finding.today.grid.width));
    point.y = Math.max(0, Math.min(.9999, point.y + by[1] / finding.data.hz.length));
    show();
  });
}

function mark(finding, a, b) {
  const [left, right] = [Math.min(a.x, b.x), Math.max(a.x, b.x)], [top, bottom] = [Math.min(a.y, b.y), Math.max(a.y, b.y)];
  const from = place(finding, left, bottom), to = place(finding, right, top);
  for (const [name, value] of [["start_s", from.s], ["end_s", to.s], ["low_hz", from.hz], ["high_hz", to.hz]]) one("." + name, finding.article).value = value.toFixed(2);
  for (const { figure } of finding.maps) {
    const pane = one(".pane", figure), box = one(".mine", pane) || pane.appendChild(Object.assign(document.createElement("span"), { className: "frame mine" }));
    Object.assign(box.style, { left: `${100 * left}%`, top: `${100 * top}%`, width: `${100 * (right - left)}%`, height: `${100 * (bottom - top)}%` });
  }
}

// A path's steps, added up, are the values again, in tenths of a decibel downwards.
function values(path) {
  if (!path) return null;
  const [head, tail = ""] = path.getAttribute("d").slice(1).split("l"), steps = (tail.match(/-?\d+/g) || []).map(Number);
  const found = [-head.split(" ")[1] / 10];
  for (let i = 1; i < steps.length; i += 2) found.push(found.at(-1) - steps[i] / 10);
  return found;
}

function spectrum(finding) {
  const holder = one(".spectrum", finding.article);
  holder.after(one("#tools").content.cloneNode(true));
  const tools = one(".cursor-tools", finding.article);
  const [first, bin] = finding.data.bins, svg = one("svg", holder), pane = one(".pane", holder);
  const now = values(one(".now", holder)), healthy = values(one(".he", holder)), count = now.length, last = first + bin * (count - 1);
  const input = name => one("." + name, tools), state = { axis: "linear", hz: null };
  const paths = all("path", svg).map(path => [path, path.getAttribute("d")]);
  const low = Math.max(bin, first);
  const at = hz => state.axis === "log" ? Math.log(Math.max(hz, low) / low) / Math.log(last / low) : (hz - first) / (last - first);
  const back = u => state.axis === "log" ? low * (last / low) ** u : first + u * (last - first);
  const harmonic = finding.data.lines.find(line => /shaft|drive|1×/.test(line[0]));
  if (harmonic) input("shaft-hz").value = harmonic[1];

  function ticks() {
    const shaft = +input("shaft-hz").value;
    let marks = [];
    if (state.axis === "log") for (let decade = 10 ** Math.floor(Math.log10(low)); decade < last; decade *= 10) for (const m of [1, 2, 5]) marks.push([m * decade, String(+(m * decade).toPrecision(3))]);
    else if (state.axis === "orders" && shaft > 0) { const every = Math.max(1, Math.ceil(last / shaft / 12)); for (let k = every; k * shaft < last; k += every) marks.push([k * shaft, `${k}×`]); }
    else { const rough = (last - first) / 8, power = 10 ** Math.floor(Math.log10(rough)), size = [1, 2, 5, 10].map(m => m * power).find(s => s >= rough); for (let v = Math.ceil(first / size) * size; v <= last; v += size) marks.push([v, String(+v.toPrecision(6))]); }
    marks = marks.filter(([hz]) => hz >= low * .999 && hz <= last || hz === 0 && first === 0);
    one(".x-ticks", holder).replaceChildren(...marks.map(([hz, text]) => { const span = document.createElement("span"); span.style.left = `${100 * at(hz)}%`; span.textContent = text; return span; }));
    one(".x-label", holder).textContent = state.axis === "orders" ? (shaft > 0 ? `Orders of the shaft, ${shaft} Hz` : "Type the shaft's frequency to see orders; frequency, Hz") : "Frequency, Hz";
  }

  function redraw() {
    for (const [path, straight] of paths) {
      if (state.axis !== "log") { path.setAttribute("d", straight); continue; }
      const line = db => db.map((v, i) => `${((count - 1) * at(first + i * bin)).toFixed(1)} ${(-10 * v).toFixed(0)}`);
      if (path.classList.contains("band")) path.setAttribute("d", "");
      else path.setAttribute("d", "M" + line(path.classList.contains("now") ? now : healthy).join("L"));
    }
    all(".line", holder).forEach((line, i) => { const hz = finding.data.lines[i]?.[1]; if (hz) line.style.left = `${100 * at(hz)}%`; });
    ticks(); cursor();
  }

  function cursor() {
    const layer = one(".cursors", holder), hz = state.hz, marks = [];
    if (!hz) return layer.replaceChildren();
    const add = (at_hz, text, side) => { if (at_hz < first || at_hz > last) return; const i = document.createElement("i"), span = document.createElement("span"); i.style.left = `${100 * at(at_hz)}%`; if (side) i.className = "side"; span.textContent = text; i.append(span); marks.push(i); };
    const side = +input("sideband-hz").value;
    for (let k = 1; k <= (input("harmonics").checked ? Math.min(40, last / hz) : 1); k++) add(k * hz, k < 9 ? `${k}×` : "", false);
    if (side > 0) for (const k of [-3, -2, -1, 1, 2, 3]) add(hz + k * side, "", true);
    layer.replaceChildren(...marks);
    const i = Math.max(0, Math.min(count - 1, Math.round((hz - first) / bin))), shaft = +input("shaft-hz").value;
    const near = finding.data.lines.find(line => Math.abs(line[1] - hz) <= Math.max(.015 * hz, bin));
    one(".spec-reading", finding.article).textContent = [`${(first + i * bin).toFixed(2)} Hz`, shaft > 0 ? `${((first + i * bin) / shaft).toFixed(2)}× shaft` : "", `${number(now[i], 1)} dB`, healthy ? `healthy ${number(healthy[i], 1)} dB (${plus(now[i] - healthy[i], 1)})` : "", near ? near[0] : ""].filter(Boolean).join(" · ");
  }

  const set = hz => { state.hz = Math.max(first, Math.min(last, hz)); input("cursor-hz").value = state.hz.toFixed(2); cursor(); };
  const follow = event => { const r = pane.getBoundingClientRect(); set(back(Math.max(0, Math.min(1, (event.clientX - r.left) / r.width)))); };
  pane.addEventListener("pointermove", event => { if (event.pointerType === "mouse" || event.buttons) follow(event); });
  pane.addEventListener("pointerdown", follow);
  holder.addEventListener("keydown", event => {
    const by = { ArrowLeft: -1, ArrowRight: 1, PageDown: -20, PageUp: 20 }[event.key];
    if (!by || event.target.matches("input")) return;
    event.preventDefault(); set((state.hz ?? first) + by * bin);
  });
  input("cursor-hz").addEventListener("input", event => { state.hz = +event.target.value || null; cursor(); });
  for (const name of ["harmonics", "sideband-hz"]) input(name).addEventListener("input", cursor);
  input("shaft-hz").addEventListener("input", redraw);
  for (const button of all("[data-axis]", tools)) button.addEventListener("click", () => {
    state.axis = button.dataset.axis;
    all("[data-axis]", tools).forEach(other => { other.ariaPressed = String(other === button); });
    redraw();
  });
  let previous = -99;  // names that would overlap give way to strong lines
  for (const line of all(".line", holder)) { const here = parseFloat(line.style.left); line.classList.toggle("crowded", here - previous < 7); if (here - previous >= 7) previous = here; }
}

// Adaptive differential code, see camvib/report/sound.py.
function decode(code, n) {
  const bytes = Uint8Array.from(atob(code), c => c.charCodeAt(0)), steps = [-.9, -.9, -.9, -.9, .6, 1.2, 1.8, 2.4], samples = new Float32Array(n);
  let value = 0, log = -6;
  for (let i = 0; i < n; i++) {
    const four = i % 2 ? bytes[i >> 1] & 15 : bytes[i >> 1] >> 4, size = four & 7;
    value += (four & 8 ? -1 : 1) * (size + .5) * 2 ** log;
    samples[i] = value; log = Math.min(-1, Math.max(-10, log + steps[size] / 4));
  }
  return samples;
}
let audio = null, playing = null;
function play(button) {
  audio ??= new AudioContext();
  playing?.stop();
  const { n, rate, speed, code } = button.dataset, buffer = audio.createBuffer(1, +n, Math.max(3000, +rate));
  buffer.copyToChannel(decode(code, +n), 0);
  playing = audio.createBufferSource();
  playing.buffer = buffer; playing.playbackRate.value = speed * rate / buffer.sampleRate;
  playing.connect(audio.destination); playing.start();
  button.dataset.played = "yes";
}

// Of a long page the later findings are packed until somebody opens them.
async function unpacked(id) {
  const found = document.getElementById(id);
  if (!found?.matches(".later")) return found;
  const bytes = Uint8Array.from(atob(found.textContent.trim()), c => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const holder = document.createElement("template");
  holder.innerHTML = await new Response(stream).text();
  if (found.isConnected) found.replaceWith(holder.content);
  return document.getElementById(id);
}

async function arrive() {
  all(".finding.shown").forEach(shown => shown.classList.remove("shown"));
  const wanted = location.hash.slice(1), article = await unpacked(wanted);
  if (location.hash.slice(1) !== wanted) return;
  if (!article?.matches(".finding")) { if (location.hash === "#list") one("#machines").focus({ preventScroll: true }); return; }
  article.classList.add("shown");
  scrollTo(0, 0);
  article.focus({ preventScroll: true });
  const ids = order(), at = ids.indexOf(article.id), pager = one(".pager", article), next = ids[at + 1];
  if (at >= 0) {
    pager.textContent = `${at + 1} of ${ids.length} shown`;
    if (next) { const a = document.createElement("a"); a.href = "#" + next; a.textContent = `next: ${one(`.list [data-id=${next}] .ma b`).textContent} →`; pager.append(" · ", a); }
  }
  setUp(article);
  await open(article);
}
addEventListener("hashchange", arrive);
dark.addEventListener("change", async () => { for (const ready of opened.values()) { const finding = await ready; if (finding) { repaint(finding); waterfall(finding); } } });
// Paper shows what is painted: the first findings to act on are painted once the page is idle.
const MOST_PAINTED = 20;
const idle = () => new Promise(done => (window.requestIdleCallback || (run => setTimeout(run, 50)))(() => done()));
async function forPaper() {
  for (const article of all(".finding.act, .later.act").slice(0, MOST_PAINTED)) { await idle(); await open(await unpacked(article.id)); }
  document.documentElement.dataset.ready = "yes";
}
addEventListener("beforeprint", async () => { document.documentElement.dataset.print = "yes"; for (const ready of opened.values()) { const f = await ready; if (f) repaint(f); } });
addEventListener("afterprint", async () => { delete document.documentElement.dataset.print; for (const ready of opened.values()) { const f = await ready; if (f) repaint(f); } });
