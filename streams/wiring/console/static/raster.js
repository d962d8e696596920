// Pixels of a mask: one byte each, 0 or 255, painted without soft edges, with steps to undo; and the PNG that the server takes.
const MOST_STEPS = 200, MOST_STEP_BYTES = 64 << 20;

export class Raster {
  constructor(width, height) {
    this.width = width;
    this.height = height;
    this.pixels = new Uint8Array(width * height);
    this.done = [];
    this.undone = [];
    this.open = null;  // the step in hand: what was there before, and the box that it has touched
  }

  get isEmpty() { return !this.pixels.includes(255); }

  begin() { this.open = { before: this.pixels.slice(), box: null }; }

  // Ends the step: only the box that it touched is kept. False: it has changed nothing.
  end() {
    const { before, box } = this.open;
    this.open = null;
    if (!box) return false;
    const step = { box, pixels: this.#cut(before, box) };
    const now = this.#cut(this.pixels, box);
    let at = 0;
    while (at < now.length && now[at] === step.pixels[at]) at += 1;
    if (at === now.length) return false;
    this.done.push(step);
    this.undone = [];
    let bytes = this.done.reduce((sum, one) => sum + one.pixels.length, 0);
    while (this.done.length > MOST_STEPS || (bytes > MOST_STEP_BYTES && this.done.length > 1)) bytes -= this.done.shift().pixels.length;
    return true;
  }

  // The box that has changed; null: there is no such step.
  undo() { return this.#swap(this.done, this.undone); }
  redo() { return this.#swap(this.undone, this.done); }

  #swap(from, to) {
    const step = from.pop();
    if (!step) return null;
    const { box } = step;
    to.push({ box, pixels: this.#cut(this.pixels, box) });
    const wide = box.x1 - box.x0;
    for (let y = box.y0; y < box.y1; y += 1) this.pixels.set(step.pixels.subarray((y - box.y0) * wide, (y - box.y0 + 1) * wide), y * this.width + box.x0);
    return box;
  }

  #cut(pixels, box) {
    const wide = box.x1 - box.x0, found = new Uint8Array(wide * (box.y1 - box.y0));
    for (let y = box.y0; y < box.y1; y += 1) found.set(pixels.subarray(y * this.width + box.x0, y * this.width + box.x1), (y - box.y0) * wide);
    return found;
  }

  #touch(x0, y0, x1, y1) {
    const box = { x0: Math.max(0, x0), y0: Math.max(0, y0), x1: Math.min(this.width, x1), y1: Math.min(this.height, y1) };
    if (box.x0 >= box.x1 || box.y0 >= box.y1) return null;
    const all = this.open.box;
    this.open.box = all ? { x0: Math.min(all.x0, box.x0), y0: Math.min(all.y0, box.y0), x1: Math.max(all.x1, box.x1), y1: Math.max(all.y1, box.y1) } : box;
    return box;
  }

  // All pixels whose centre lies within half of the width of the line from (ax, ay) to (bx, by), in px of the image.
  line(ax, ay, bx, by, width, value) {
    const radius = width / 2, dx = bx - ax, dy = by - ay, long = dx * dx + dy * dy;
    const box = this.#touch(Math.floor(Math.min(ax, bx) - radius), Math.floor(Math.min(ay, by) - radius), Math.ceil(Math.max(ax, bx) + radius) + 1, Math.ceil(Math.max(ay, by) + radius) + 1);
    if (!box) return null;
    const reach = Math.max(radius * radius, 0.5);  // the thinnest brush still hits the pixel that it is over
    for (let y = box.y0; y < box.y1; y += 1) {
      for (let x = box.x0; x < box.x1; x += 1) {
        const px = x + 0.5 - ax, py = y + 0.5 - ay;
        const t = long ? Math.min(1, Math.max(0, (px * dx + py * dy) / long)) : 0;
        const ex = px - t * dx, ey = py - t * dy;
        if (ex * ex + ey * ey <= reach) this.pixels[y * this.width + x] = value;
      }
    }
    return box;
  }

  // All pixels whose centre lies inside, by the even-odd rule. points: [[x, y], ...], three or more.
  fill(points, value) {
    const ys = points.map((one) => one[1]), xs = points.map((one) => one[0]);
    const box = this.#touch(Math.floor(Math.min(...xs)), Math.floor(Math.min(...ys)), Math.ceil(Math.max(...xs)) + 1, Math.ceil(Math.max(...ys)) + 1);
    if (!box) return null;
    for (let y = box.y0; y < box.y1; y += 1) {
      const at = y + 0.5, cuts = [];
      points.forEach(([ax, ay], i) => {
        const [bx, by] = points[(i + 1) % points.length];
        if ((ay <= at) !== (by <= at)) cuts.push(ax + ((at - ay) / (by - ay)) * (bx - ax));
      });
      cuts.sort((one, other) => one - other);
      for (let i = 0; i + 1 < cuts.length; i += 2) {
        const from = Math.max(box.x0, Math.ceil(cuts[i] - 0.5)), to = Math.min(box.x1, Math.ceil(cuts[i + 1] - 0.5));
        if (from < to) this.pixels.fill(value, y * this.width + from, y * this.width + to);
      }
    }
    return box;
  }

  // Everything at once. pixels: as many bytes; null: nothing is painted.
  replace(pixels) {
    this.#touch(0, 0, this.width, this.height);
    if (pixels) this.pixels.set(pixels); else this.pixels.fill(0);
    return { x0: 0, y0: 0, x1: this.width, y1: this.height };
  }

  // PNG (third edition), 8 bits grey: signature, IHDR, IDAT, IEND.
  async png() {
    const { width, height } = this, raw = new Uint8Array((width + 1) * height);
    for (let y = 0; y < height; y += 1) raw.set(this.pixels.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
    const packed = new Response(new Blob([raw]).stream().pipeThrough(new CompressionStream("deflate")));
    const head = new DataView(new ArrayBuffer(13));
    head.setUint32(0, width);
    head.setUint32(4, height);
    head.setUint8(8, 8);
    const parts = [chunk("IHDR", new Uint8Array(head.buffer)), chunk("IDAT", new Uint8Array(await packed.arrayBuffer())), chunk("IEND", new Uint8Array())];
    return new Blob([new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10]), ...parts], { type: "image/png" });
  }
}

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k += 1) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n >>> 0;
});

function chunk(kind, data) {
  const out = new Uint8Array(12 + data.length), view = new DataView(out.buffer);
  view.setUint32(0, data.length);
  out.set([...kind].map((letter) => letter.charCodeAt(0)), 4);
  out.set(data, 8);
  let crc = 0xffffffff;
  for (let i = 4; i < 8 + data.length; i += 1) crc = CRC[(crc ^ out[i]) & 255] ^ (crc >>> 8);
  view.setUint32(8 + data.length, (crc ^ 0xffffffff) >>> 0);
  return out;
}
