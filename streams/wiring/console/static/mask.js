// Painting a mask over an image. What is painted is measured by the server after each step, and only the server keeps it.
import { Raster } from "/static/raster.js";

const place = document.getElementById("mask"), canvas = document.getElementById("canvas"), said = document.getElementById("said");
const given = place.dataset, width = Number(given.width), height = Number(given.height);
const brush = document.getElementById("brush"), context = canvas.getContext("2d");
const MEASURE_MS = 200, MOST_ZOOM = 32, COLOUR = [0, 200, 255, 120];
const raster = new Raster(width, height), shade = new OffscreenCanvas(width, height), tint = shade.getContext("2d");
const began = performance.now(), fingers = new Map();
const state = { mode: "brush", erase: false, turned: false, move: false, hidden: false, zoom: 1, least: 1, x: 0, y: 0, cross: null, last: null, corners: [], down: false, pinch: null };
let image = null, saved = true, asked = 0, waits = null, drawing = false;

const tell = (text, fault = false) => { said.textContent = text; said.classList.toggle("fault", fault); };
const address = (path, more = {}) => `${path}?${new URLSearchParams({ inspection: given.inspection, view: given.view, ...more })}`;
const button = (key) => place.querySelector(`button[data-key="${CSS.escape(key)}"]`);
const value = () => (state.erase !== state.turned ? 0 : 255);

// ---------------------------------------------------------------- drawing
function tinted(box) {
  if (!box) return;
  const wide = box.x1 - box.x0, high = box.y1 - box.y0, part = tint.createImageData(wide, high);
  for (let y = 0; y < high; y += 1) {
    for (let x = 0; x < wide; x += 1) if (raster.pixels[(box.y0 + y) * width + box.x0 + x]) part.data.set(COLOUR, 4 * (y * wide + x));
  }
  tint.putImageData(part, box.x0, box.y0);
  draw();
}

function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => { drawing = false; paint(); });
}

function paint() {
  const ratio = devicePixelRatio || 1, { zoom, x, y } = state;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.setTransform(ratio * zoom, 0, 0, ratio * zoom, -ratio * zoom * x, -ratio * zoom * y);
  context.imageSmoothingEnabled = zoom < 2;
  if (image) context.drawImage(image, 0, 0);
  context.imageSmoothingEnabled = false;
  if (!state.hidden) context.drawImage(shade, 0, 0);
  if (state.corners.length) outline();
  if (state.cross) cross();
}

function outline() {
  for (const [colour, wide] of [["#fff", 3], ["#006a8e", 1.5]]) {
    context.beginPath();
    state.corners.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
    if (state.cross) context.lineTo(...state.cross);
    context.strokeStyle = colour;
    context.lineWidth = wide / state.zoom;
    context.stroke();
  }
  for (const [x, y] of state.corners) { context.fillStyle = "#fff"; context.fillRect(x - 3 / state.zoom, y - 3 / state.zoom, 6 / state.zoom, 6 / state.zoom); }
}

function cross() {
  const [x, y] = state.cross, arm = 8 / state.zoom, round = state.mode === "brush" ? Math.max(0.7, brush.value / 2) : 0;
  for (const [colour, wide] of [["#fff", 3], ["#000", 1]]) {
    context.beginPath();
    if (round) context.arc(x, y, round, 0, 2 * Math.PI);
    context.moveTo(x - arm, y);
    context.lineTo(x + arm, y);
    context.moveTo(x, y - arm);
    context.lineTo(x, y + arm);
    context.strokeStyle = colour;
    context.lineWidth = wide / state.zoom;
    context.stroke();
  }
  document.getElementById("where").textContent = `${Math.floor(x)}, ${Math.floor(y)} · ${Math.round(100 * state.zoom)} %`;
}

// ---------------------------------------------------------------- where on the image
function fit() {
  const box = canvas.getBoundingClientRect(), ratio = devicePixelRatio || 1;
  canvas.width = Math.round(box.width * ratio);
  canvas.height = Math.round(box.height * ratio);
  state.zoom = Math.min(box.width / width, box.height / height);
  state.least = state.zoom / 2;
  state.x = (width - box.width / state.zoom) / 2;
  state.y = (height - box.height / state.zoom) / 2;
  draw();
}

function zoomTo(zoom, [px, py]) {
  const before = state.zoom;
  state.zoom = Math.min(MOST_ZOOM, Math.max(state.least, zoom));
  state.x += px / before - px / state.zoom;
  state.y += py / before - py / state.zoom;
  draw();
}

const onScreen = (event) => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
const onImage = ([x, y]) => [state.x + x / state.zoom, state.y + y / state.zoom];
const middle = () => { const box = canvas.getBoundingClientRect(); return [box.width / 2, box.height / 2]; };

// ---------------------------------------------------------------- steps
function stroke(from, to) { tinted(raster.line(...from, ...to, Number(brush.value), value())); }

function step(work) {
  raster.begin();
  tinted(work());
  if (raster.end()) changed();
}

function begin(at) {
  state.down = true;
  state.last = at;
  raster.begin();
  stroke(at, at);
}

function end() {
  if (!state.down) return;
  state.down = false;
  if (raster.end()) changed();
}

function changed() {
  saved = false;
  delete place.dataset.measured;  // until the size that is shown is that of what is painted
  clearTimeout(waits);
  waits = setTimeout(measure, MEASURE_MS);
}

function corner(at) {
  const [first] = state.corners;
  if (first && state.corners.length > 2 && Math.hypot(at[0] - first[0], at[1] - first[1]) * state.zoom < 10) return close();
  state.corners.push(at);
  draw();
}

function close() {
  const corners = state.corners;
  if (corners.length < 3) return tell("A polygon takes three corners or more.");
  state.corners = [];
  step(() => raster.fill(corners, value()));
}

// ---------------------------------------------------------------- the server
async function measure() {
  const size = document.getElementById("size"), turn = asked += 1;
  const show = (text) => { size.innerHTML = text; if (!waits) place.dataset.measured = "1"; };
  waits = null;
  if (raster.isEmpty) return show('<p class="soft">Nothing is painted yet.</p>');
  try {
    const answer = await fetch(address("/mask/measure"), { method: "POST", body: await raster.png(), headers: { "x-csrf-token": given.csrf, "content-type": "image/png" } });
    const text = await answer.text();
    if (turn !== asked) return;
    if (answer.ok) show(text); else tell(reason(text, answer.status), true);
  } catch {
    if (turn === asked) tell("The console does not answer: the size cannot be measured now.", true);
  }
}

const reason = (text, status) => new DOMParser().parseFromString(text, "text/html").querySelector("main h1 ~ p")?.textContent || `The console answers with status ${status}.`;

async function save() {
  if (raster.isEmpty) return tell("Nothing is painted, so there is nothing to save.", true);
  const knob = button("s");
  if (knob.disabled) return;
  knob.disabled = true;
  tell("Saving…");
  const more = { base: given.base, label: given.label, back: given.back, looked_ms: String(Math.min(3600000, Math.round(performance.now() - began))) };
  try {
    const answer = await fetch(address("/mask/save", more), { method: "POST", body: await raster.png(), headers: { "x-csrf-token": given.csrf, "content-type": "image/png" } });
    if (answer.ok) { saved = true; location.assign((await answer.json()).next); return; }
    tell(reason(await answer.text(), answer.status), true);
  } catch {
    tell("The console does not answer. The mask was not saved: try again.", true);
  }
  knob.disabled = false;
}

async function pixelsOf(url) {
  const answer = await fetch(url);
  if (answer.status === 204) return null;
  if (!answer.ok) throw new Error(reason(await answer.text(), answer.status));
  const found = await createImageBitmap(await answer.blob(), { imageOrientation: "none" });
  if (found.width !== width || found.height !== height) throw new Error("The mask has another size than the image.");
  const plain = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  plain.drawImage(found, 0, 0);
  const { data } = plain.getImageData(0, 0, width, height), pixels = new Uint8Array(width * height);
  for (let i = 0; i < pixels.length; i += 1) pixels[i] = data[4 * i] > 127 ? 255 : 0;
  return pixels;
}

async function propose() {
  tell("A mask is being proposed…");
  try {
    const pixels = await pixelsOf(given.proposal);
    if (pixels && pixels.includes(255)) { step(() => raster.replace(pixels)); tell("Proposed: correct it, then save it."); } else tell("Nothing can be proposed here: paint where it is.");
  } catch (error) { tell(`Nothing is proposed. ${error.message}`); }
}

// ---------------------------------------------------------------- hands
function toggle(key, on) { button(key).setAttribute("aria-pressed", String(on)); }

function mode(name) {
  state.mode = name;
  state.corners = name === "polygon" ? state.corners : [];
  toggle("b", name === "brush");
  toggle("p", name === "polygon");
  draw();
}

function widen(by) {
  const now = Number(brush.value), wide = by > 0 ? Math.max(now + 1, Math.round(now * 1.25)) : Math.min(now - 1, Math.round(now / 1.25));
  brush.value = String(wide);
  shownWidth();
}

function shownWidth() { document.getElementById("width").textContent = `${brush.value} px`; draw(); }

function back() { const box = raster.undo(); if (box) { tinted(box); changed(); } else tell("There is nothing left to undo."); }
function again() { const box = raster.redo(); if (box) { tinted(box); changed(); } else tell("There is nothing left to redo."); }

const ACTS = {
  b: () => mode("brush"),
  p: () => mode("polygon"),
  e: () => { state.erase = !state.erase; toggle("e", state.erase); },
  v: () => { state.move = !state.move; toggle("v", state.move); canvas.classList.toggle("moving", state.move); },
  h: () => { state.hidden = !state.hidden; toggle("h", !state.hidden); draw(); },
  z: back,
  y: again,
  a: propose,
  x: () => step(() => raster.replace(null)),
  s: save,
  q: () => document.querySelector("a[data-key=q]")?.click(),
  "+": () => zoomTo(state.zoom * 1.5, middle()),
  "=": () => zoomTo(state.zoom * 1.5, middle()),
  "-": () => zoomTo(state.zoom / 1.5, middle()),
  0: fit,
  "[": () => widen(-1),
  "]": () => widen(1),
  "?": () => { const help = document.querySelector(".keys"); help.open = !help.open; },
};

place.addEventListener("click", (event) => {
  const knob = event.target.closest("button[data-key]");
  if (knob && image) ACTS[knob.dataset.key]();
});
brush.addEventListener("input", shownWidth);

canvas.addEventListener("pointerdown", (event) => {
  if (!image) return;
  canvas.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, onScreen(event));
  state.cross = onImage(onScreen(event));
  if (fingers.size === 2) { if (state.down) { end(); back(); } state.pinch = null; return; }
  if (event.button === 1 || event.button === 2 || state.move || fingers.size > 2) return;
  state.turned = Boolean(event.buttons & 32);  // the other end of a pen
  if (state.mode === "polygon") corner(state.cross); else begin(state.cross);
  event.preventDefault();
  canvas.focus({ preventScroll: true });
});

canvas.addEventListener("pointermove", (event) => {
  const at = onScreen(event), before = fingers.get(event.pointerId);
  state.cross = onImage(at);
  if (before) fingers.set(event.pointerId, at);
  if (fingers.size >= 2) pinch();
  else if (state.down) for (const one of event.getCoalescedEvents?.() ?? [event]) { const to = onImage(onScreen(one)); stroke(state.last, to); state.last = to; }
  else if (before && (state.move || event.buttons & 4)) { state.x -= (at[0] - before[0]) / state.zoom; state.y -= (at[1] - before[1]) / state.zoom; }
  draw();
});

for (const kind of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(kind, (event) => { fingers.delete(event.pointerId); state.pinch = null; if (!fingers.size) end(); });
}
canvas.addEventListener("pointerleave", () => { if (!fingers.size && document.activeElement !== canvas) { state.cross = null; draw(); } });
canvas.addEventListener("dblclick", () => { if (state.corners.length > 2) close(); });
canvas.addEventListener("wheel", (event) => { event.preventDefault(); zoomTo(state.zoom * (event.deltaY < 0 ? 1.2 : 1 / 1.2), onScreen(event)); }, { passive: false });

function pinch() {
  const [one, other] = [...fingers.values()], at = [(one[0] + other[0]) / 2, (one[1] + other[1]) / 2];
  const apart = Math.hypot(one[0] - other[0], one[1] - other[1]), before = state.pinch;
  if (before) {
    state.x -= (at[0] - before.at[0]) / state.zoom;
    state.y -= (at[1] - before.at[1]) / state.zoom;
    zoomTo((state.zoom * apart) / before.apart, at);
  }
  state.pinch = { at, apart };
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function onCanvas(event) {
  const arrow = ARROWS[event.key], far = event.shiftKey ? 10 : 1;
  if (arrow) {
    const [x, y] = state.cross ?? [width / 2, height / 2];
    state.cross = [Math.min(width, Math.max(0, x + far * arrow[0])), Math.min(height, Math.max(0, y + far * arrow[1]))];
    if (state.down) { stroke(state.last, state.cross); state.last = state.cross; }
    followed();
  } else if (event.key === " ") {
    state.cross ??= [width / 2, height / 2];
    if (!event.repeat) { if (state.mode === "polygon") corner(state.cross); else if (!state.down) begin(state.cross); }
  } else if (event.key === "Enter") { if (state.mode === "polygon") close(); } else return false;
  draw();
  return true;
}

// The cross stays in sight.
function followed() {
  const box = canvas.getBoundingClientRect(), [x, y] = state.cross;
  state.x = Math.min(Math.max(state.x, x - box.width / state.zoom), x);
  state.y = Math.min(Math.max(state.y, y - box.height / state.zoom), y);
}

document.addEventListener("keydown", (event) => {
  if (!image || event.altKey || event.metaKey) return;
  if (event.ctrlKey) {
    if (event.key === "z" || event.key === "y" || event.key === "Z") { event.preventDefault(); (event.key === "z" ? back : again)(); }
    return;
  }
  if (event.target.matches?.("input:not([type=range]), select, textarea")) return;
  if (event.target === canvas && onCanvas(event)) return event.preventDefault();
  if (event.key === "Escape") { state.corners = []; return draw(); }
  if (event.key === "Backspace" && state.corners.length) { event.preventDefault(); state.corners.pop(); return draw(); }
  const act = ACTS[event.key];
  if (act && (!event.repeat || "+-=[]zy".includes(event.key))) { event.preventDefault(); act(); }
});
document.addEventListener("keyup", (event) => { if (event.key === " " && !fingers.size) end(); });
canvas.addEventListener("blur", () => { if (!fingers.size) end(); });
addEventListener("beforeunload", (event) => { if (!saved) event.preventDefault(); });
addEventListener("resize", fit);

async function start() {
  try {
    const answer = await fetch(given.image);
    if (!answer.ok) throw new Error(reason(await answer.text(), answer.status));
    image = await createImageBitmap(await answer.blob(), { imageOrientation: "none" });  // the camera's pixels, as they are stored
    if (image.width !== width || image.height !== height) throw new Error("The image has another size than was announced.");
  } catch (error) { image = null; return tell(`The image cannot be shown. ${error.message}`, true); }
  shownWidth();
  fit();
  canvas.focus({ preventScroll: true });
  if (given.own) {
    try { const pixels = await pixelsOf(given.own); step(() => raster.replace(pixels)); tell("Your mask, as it was saved."); } catch (error) { tell(error.message, true); }
  } else await propose();
  raster.done = [];  // what was there at the start cannot be undone
  saved = true;
  place.dataset.ready = "1";
}
start();
