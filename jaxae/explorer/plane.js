// The plane of codes: what is drawn in it, and how one moves through it.

const D = page.dim;
const CODES = floats(page.codes), MEAN = floats(page.mean), AXES = floats(page.axes);
const COUNT = CODES.length / D;
const PLAIN = D <= 2; // the axes are the values of the code themselves

// The coordinates of a code along the principal directions, and back.
function toAxes(z) {
  const c = new Float32Array(D);
  for (let k = 0; k < D; k++) {
    let s = 0;
    for (let j = 0; j < D; j++) s += AXES[k * D + j] * (z[j] - (PLAIN ? 0 : MEAN[j]));
    c[k] = s;
  }
  return c;
}

function fromAxes(c) {
  const z = PLAIN ? new Float32Array(D) : Float32Array.from(MEAN);
  for (let k = 0; k < D; k++) for (let j = 0; j < D; j++) z[j] += c[k] * AXES[k * D + j];
  return z;
}

// The colour of a class; lighter where the page is dark.
function classColour(k) {
  const colour = page.palette[k % page.palette.length];
  if (document.documentElement.dataset.theme !== "dark") return colour;
  const parts = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  return `rgb(${parts.map((x) => Math.round(x + 0.25 * (255 - x))).join(",")})`;
}

const codeOf = (i) => CODES.subarray(i * D, (i + 1) * D);

const plane = (() => {
  const box = document.getElementById("plane");
  const layer = document.getElementById("layer"), overlay = document.getElementById("overlay");
  // The places of the points; a code of one value gets a height by its index.
  const us = new Float32Array(COUNT), vs = new Float32Array(COUNT);
  for (let i = 0; i < COUNT; i++) {
    const c = toAxes(codeOf(i));
    us[i] = c[0];
    vs[i] = D > 1 ? c[1] : (((i * 0.618034) % 1) - 0.5) * 2 * page.spread[0];
  }
  const limits = { u: extent(us), v: extent(vs) };
  const hidden = new Set();
  let width = 1, height = 1, ratio = 1, scale = 1, tiles = [];

  function extent(values) {
    const sorted = Float32Array.from(values).sort();
    const [low, high] = [sorted[0], sorted[sorted.length - 1]];
    const margin = 0.06 * (high - low) || 1;
    return [low - margin, high + margin];
  }

  const middle = ([low, high]) => (low + high) / 2;
  const toX = (u) => width / 2 + (u - middle(limits.u)) * scale;
  const toY = (v) => height / 2 - (v - middle(limits.v)) * scale;
  const toU = (x) => middle(limits.u) + (x - width / 2) / scale;
  const toV = (y) => middle(limits.v) - (y - height / 2) / scale;

  function resize() {
    const bounds = box.getBoundingClientRect();
    [width, height, ratio] = [bounds.width, bounds.height, window.devicePixelRatio || 1];
    scale = Math.min(width / (limits.u[1] - limits.u[0]), height / (limits.v[1] - limits.v[0]));
    for (const canvas of [layer, overlay]) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    draw();
    mark();
  }

  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  function colourOf(i) {
    const attribute = page.attributes[Number(ui("colour").value)];
    if (attribute) return attribute.has[i] === "1" ? classColour(1) : classColour(8);
    return  page.labels ? classColour(page.labels[i]) : style("--accent");
  }
  const shapeOf = (i) => (page.labels ? Math.floor(page.labels[i] / page.palette.length) % 3 : 0);

  function shape(context, kind, x, y, r) {
    context.beginPath();
    if (kind === 0) context.arc(x, y, r, 0, 7);
    else if (kind === 1) {
      context.moveTo(x, y - 1.2 * r);
      context.lineTo(x + 1.1 * r, y + 0.8 * r);
      context.lineTo(x - 1.1 * r, y + 0.8 * r);
      context.closePath();
    } else context.rect(x - 0.9 * r, y - 0.9 * r, 1.8 * r, 1.8 * r);
  }

  function draw() {
    const context = layer.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const mapped = ui("show-map").checked;
    if (mapped) for (const tile of tiles) {
      context.imageSmoothingEnabled = tile.size > 2 * WIDTH ? WIDTH > 40 : true;
      context.drawImage(tile.canvas, toX(tile.u) - tile.w / 2, toY(tile.v) - tile.h / 2, tile.w, tile.h);
    }
    if (!ui("show-points").checked) return;
    const r = Math.max(2.6, Math.min(4.5, Math.sqrt((width * height) / COUNT) / 6));
    context.lineWidth = mapped ? 1.2 : 0.8;
    context.strokeStyle = mapped ? "#ffffffd0" : style("--well");
    for (let i = 0; i < COUNT; i++) {
      if (page.labels && hidden.has(page.labels[i])) continue;
      context.fillStyle = colourOf(i);
      context.globalAlpha = mapped ? 1 : 0.9;
      shape(context, shapeOf(i), toX(us[i]), toY(vs[i]), r);
      context.fill();
      context.stroke();
    }
    context.globalAlpha = 1;
  }

  // The present code, the two ends of the interpolation, and a code of the user's own.
  function mark() {
    const context = overlay.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const at = (c) => [toX(c[0]), D > 1 ? toY(c[1]) : height / 2];
    const [a, b] = [state.a, state.b].map((z) => at(toAxes(z)));
    context.strokeStyle = style("--ink");
    context.globalAlpha = 0.5;
    context.setLineDash([4, 4]);
    context.lineWidth = 1.2;
    context.beginPath();
    context.moveTo(...a);
    context.lineTo(...b);
    context.stroke();
    context.setLineDash([]);
    context.globalAlpha = 1;
    badge(context, "A", a);
    badge(context, "B", b);
    if (state.own) badge(context, "★", at(toAxes(state.own)));
    const [x, y] = at(state.c);
    context.lineWidth = 2.5;
    context.strokeStyle = style("--card");
    context.fillStyle = state.held ? style("--accent") : "#0000";
    context.beginPath();
    context.arc(x, y, 9, 0, 7);
    context.lineWidth = 5;
    context.stroke();
    context.lineWidth = 2.5;
    context.strokeStyle = style("--ink");
    context.stroke();
    context.beginPath();
    context.arc(x, y, 3, 0, 7);
    context.fillStyle = style("--ink");
    context.fill();
  }

  function badge(context, text, [x, y]) {
    context.fillStyle = style("--ink");
    context.beginPath();
    context.roundRect(x - 10, y - 10, 20, 20, 6);
    context.fill();
    context.fillStyle = style("--card");
    context.font = "600 12px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(text, x, y + 0.5);
  }

  // The test image whose point is nearest to a place in the plane.
  function nearestPoint(u, v) {
    let best = -1, least = Infinity;
    for (let i = 0; i < COUNT; i++) {
      if (page.labels && hidden.has(page.labels[i])) continue;
      const distance = (us[i] - u) ** 2 + (D > 1 ? (vs[i] - v) ** 2 : 0);
      if (distance < least) [best, least] = [i, distance];
    }
    return best;
  }

  // The test image whose code is nearest to a code.
  function nearestCode(z) {
    let best = 0, least = Infinity;
    for (let i = 0; i < COUNT; i++) {
      let distance = 0;
      for (let j = 0, at = i * D; j < D && distance < least; j++) distance += (CODES[at + j] - z[j]) ** 2;
      if (distance < least) [best, least] = [i, distance];
    }
    return best;
  }

  // Decoded images all over the plane, through the present code in the other directions.
  let drawing = 0;
  async function map() {
    const mine = ++drawing;
    tiles = [];
    draw();
    if (!ui("show-map").checked) return;
    let milliseconds = Infinity;
    for (let i = 0; i < 4; i++) {
      const started = performance.now();
      await engine.decode(state.z);
      milliseconds = Math.min(milliseconds, performance.now() - started);
    }
    const most = Math.max(36, Math.min(600, 2500 / milliseconds));
    const size = Math.max(26, Math.sqrt((width * height) / most));
    const w = size * Math.sqrt(WIDTH / HEIGHT), h = size * Math.sqrt(HEIGHT / WIDTH);
    const columns = Math.ceil(width / w), rows = D > 1 ? Math.ceil(height / h) : 1;
    const places = [];
    for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) {
      const x = width / 2 + (j - (columns - 1) / 2) * w, y = height / 2 + (i - (rows - 1) / 2) * h;
      const [u, v] = [toU(x), toV(y)];
      // Far from all codes the decoder has learned nothing.
      if (u < limits.u[0] || u > limits.u[1] || (D > 1 && (v < limits.v[0] || v > limits.v[1]))) continue;
      places.push([u, v, Math.hypot(x - width / 2, y - height / 2)]);
    }
    places.sort((p, q) => p[2] - q[2]);
    const base = PLAIN ? new Float32Array(D) : Float32Array.from(state.c);
    let shown = performance.now();
    for (const [u, v] of places) {
      base[0] = u;
      if (D > 1) base[1] = v;
      const canvas = toCanvas(await engine.decode(fromAxes(base)));
      if (mine !== drawing) return;
      tiles.push({ u, v, canvas, w: w + 0.5, h: h + 0.5, size });
      if (performance.now() - shown > 100) {
        draw();
        shown = performance.now();
      }
    }
    draw();
  }

  function place(event) {
    const bounds = box.getBoundingClientRect();
    return [toU(event.clientX - bounds.left), toV(event.clientY - bounds.top)];
  }

  return { box, resize, draw, mark, map, hidden, nearestPoint, nearestCode, place, limits, shape, step: () => 12 / scale };
})();

// The first two ends: typical codes of the two classes that are farthest apart, or codes on both sides.
(() => {
  const ends = [];
  if (page.labels && page.classes.length > 1) {
    const means = page.classes.map(() => new Float32Array(D)), counts = page.classes.map(() => 0);
    for (let i = 0; i < COUNT; i++) {
      counts[page.labels[i]]++;
      for (let j = 0; j < D; j++) means[page.labels[i]][j] += CODES[i * D + j];
    }
    means.forEach((mean, k) => mean.forEach((x, j) => (mean[j] = x / counts[k])));
    let most = -1;
    for (const a of means) for (const b of means) {
      const distance = norm(a.map((x, j) => x - b[j]));
      if (distance > most) [most, ends[0], ends[1]] = [distance, a, b];
    }
  } else for (const side of [-1.5, 1.5]) ends.push(MEAN.map((x, j) => x + side * page.spread[0] * AXES[j]));
  [state.a, state.b] = ends.map((z) => Float32Array.from(codeOf(plane.nearestCode(z))));
})();
