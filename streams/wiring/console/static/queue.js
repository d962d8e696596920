// The queue: one key decides, and the next part takes the place of the last one. Without this script every answer loads the page.
"use strict";
(() => {
  const queue = document.getElementById("queue"), said = document.getElementById("said");
  const PATIENCE_MS = 1500, AGAIN_MS = 3000;
  const off = new Set();  // overlays that the person has switched off: they stay off
  const kept = new Map();  // images fetched ahead
  let since = null, busy = true;

  const pictures = () => [...queue.querySelectorAll("svg image, .view > img")];
  const shown = (image) => new Promise((done) => {
    const url = image.getAttribute("href") || image.getAttribute("src");
    const ahead = kept.get(url) || new Image();
    if (!kept.has(url)) { ahead.src = url; kept.set(url, ahead); }
    if (ahead.complete) return done();
    ahead.addEventListener("load", done, { once: true });
    ahead.addEventListener("error", done, { once: true });
  });
  const later = (ms) => new Promise((done) => setTimeout(done, ms));

  function fetchAhead() {
    const wanted = new Set([...queue.querySelectorAll(".ahead")].map((one) => one.dataset.src));
    const now = new Set(pictures().map((one) => one.getAttribute("href") || one.getAttribute("src")));
    for (const url of kept.keys()) if (!wanted.has(url) && !now.has(url)) kept.delete(url);
    for (const url of wanted) if (!kept.has(url)) { const image = new Image(); image.src = url; kept.set(url, image); }
  }

  async function ready() {
    for (const box of queue.querySelectorAll(".toggle")) box.checked = !off.has(box.id.split("-")[0]);
    await Promise.race([Promise.all(pictures().map(shown)), later(PATIENCE_MS)]);
    await new Promise(requestAnimationFrame);
    since = performance.now();
    busy = false;
    queue.dataset.ready = String(1 + Number(queue.dataset.ready || 0));
    fetchAhead();
    if (!queue.querySelector(".decide")) setTimeout(look, AGAIN_MS);
  }

  function tell(text, fault) {
    said.textContent = text;
    said.classList.toggle("fault", fault);
  }

  async function put(answer) {
    if (answer.status === 503) throw new Error("not now");
    if (answer.redirected || !answer.ok) { location.assign("/queue"); return; }
    queue.innerHTML = await answer.text();
    const part = document.getElementById("part");
    tell(part.dataset.said, "fault" in part.dataset);
    document.getElementById("what").focus({ preventScroll: true });
    await ready();
  }

  async function send(form, button) {
    if (busy) return;
    busy = true;
    const looked = form.elements.namedItem("looked_ms");
    if (looked && since !== null) looked.value = String(Math.round(performance.now() - since));
    const body = new URLSearchParams(new FormData(form));
    if (button.name) body.append(button.name, button.value);
    const to = button.getAttribute("formaction") || form.getAttribute("action");
    try {
      await put(await fetch(to, { method: "POST", body, headers: { "x-part": "1" } }));
    } catch {
      tell("The console does not answer. Your answer was not recorded: try again.", true);
      busy = false;
    }
  }

  async function look() {
    if (busy || queue.querySelector(".decide")) return;
    try { await put(await fetch("/queue", { headers: { "x-part": "1" } })); } catch { setTimeout(look, AGAIN_MS); }
  }

  function toggle(kind) {
    if (off.has(kind)) off.delete(kind); else off.add(kind);
    for (const box of queue.querySelectorAll(".toggle")) if (box.id.startsWith(kind + "-")) box.checked = !off.has(kind);
  }

  queue.addEventListener("submit", (event) => {
    event.preventDefault();
    send(event.target, event.submitter);
  });
  queue.addEventListener("change", (event) => {
    const kind = event.target.id.split("-")[0];
    if (event.target.checked) off.delete(kind); else off.add(kind);
  });
  document.addEventListener("keydown", (event) => {
    if (event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target.matches?.("input:not([type=checkbox]), select, textarea")) return;
    if (event.key === "h") return toggle("heat");
    if (event.key === "r") return toggle("boxes");
    const link = queue.querySelector(`a[data-key="${CSS.escape(event.key)}"]`);
    if (link && !busy) return location.assign(link.href);
    if (event.key === "?") { const help = document.querySelector(".keys"); help.open = !help.open; return; }
    const button = queue.querySelector(`button[data-key="${CSS.escape(event.key)}"]`);
    if (!button || busy) return;
    event.preventDefault();
    send(button.form, button);
  });
  ready();
})();
