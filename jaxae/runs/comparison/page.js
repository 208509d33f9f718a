"use strict";
// Learning curves, drawn from the JSON in the page; buttons hide runs, and tables are sorted by a click.
const data = JSON.parse(document.getElementById("curves").textContent);
const NS = "http://www.w3.org/2000/svg";
const W = 440, H = 250, L = 56, R = 10, T = 8, B = 30;
const hidden = new Set();
let withTrain = false, wholeRange = false, cursor = null;

function element(name, attributes, parent) {
  const node = document.createElementNS(NS, name);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  parent.appendChild(node);
  return node;
}

function ticks(low, high, count) {
  const raw = (high - low) / count || 1, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((k) => k * power).find((s) => s >= raw);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(i * step);
  return found;
}

function text(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) return value.toExponential(1);
  return String(Number(value.toPrecision(4)));
}

const finite = (pairs) => pairs.filter(([, y]) => y !== null);

// The first epochs may be far worse than all others: the axis starts where a tenth of the training is done.
function range(series) {
  let low = Infinity, high = -Infinity;
  for (const one of series) {
    const pairs = finite(one.mean);
    if (!pairs.length) continue;
    const from = wholeRange || pairs.length < 4 ? 0 : Math.max(1, Math.floor(pairs.length / 10));
    for (const [, y] of pairs) low = Math.min(low, y);
    for (const [, y] of pairs.slice(from)) high = Math.max(high, y);
  }
  if (!(low <= high)) return null;
  const margin = (high - low) * 0.05 || Math.abs(high) * 0.05 || 1;
  return [low - margin, high + margin];
}

function path(pairs, x, y) {
  let d = "", pen = "M";
  for (const [e, v] of pairs) {
    if (v === null) { pen = "M"; continue; }
    d += `${pen}${x(e).toFixed(1)} ${y(v).toFixed(1)}`;
    pen = "L";
  }
  return d;
}

function draw(figure) {
  const panel = data.panels[Number(figure.dataset.panel)];
  const series = panel.series.filter((s) => !hidden.has(s.group) && (withTrain || !s.train || panel.only_train));
  const svg = figure.querySelector("svg"), readout = figure.querySelector(".readout");
  svg.replaceChildren();
  readout.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${W} ${H}`);
  const limits = range(series);
  if (!limits) {
    element("text", { x: W / 2, y: H / 2, "text-anchor": "middle" }, svg).textContent = "nothing selected";
    return;
  }
  const epochs = series.flatMap((s) => s.mean.map(([e]) => e));
  const first = Math.min(...epochs), last = Math.max(...epochs);
  const x = (e) => (last > first ? L + ((e - first) / (last - first)) * (W - L - R) : (L + W - R) / 2);
  const y = (v) => T + ((limits[1] - v) / (limits[1] - limits[0])) * (H - T - B);
  for (const v of ticks(limits[0], limits[1], 5)) {
    element("line", { class: "grid", x1: L, x2: W - R, y1: y(v), y2: y(v) }, svg);
    element("text", { x: L - 6, y: y(v) + 4, "text-anchor": "end" }, svg).textContent = text(v);
  }
  for (const e of ticks(first, last, 6).filter(Number.isInteger)) {
    element("text", { x: x(e), y: H - B + 16, "text-anchor": "middle" }, svg).textContent = e;
  }
  element("text", { x: W - R, y: H - 2, "text-anchor": "end" }, svg).textContent = "epoch";
  const clip = `clip-${figure.dataset.panel}`;
  const region = element("clipPath", { id: clip }, element("defs", {}, svg));
  element("rect", { x: L, y: T, width: W - L - R, height: H - T - B }, region);
  const inside = element("g", { "clip-path": `url(#${clip})` }, svg);
  for (const s of series) {
    const kind = s.train && !panel.only_train ? " train" : "", color = data.groups[s.group].color;
    for (const run of s.runs) {
      element("path", { class: "run" + kind, d: path(run, x, y), stroke: color }, inside);
    }
    const pairs = finite(s.mean);
    if (pairs.length === 1) {
      element("circle", { cx: x(pairs[0][0]), cy: y(pairs[0][1]), r: 4, fill: color }, inside);
    }
    element("path", { class: "mean" + kind, d: path(s.mean, x, y), stroke: color }, inside);
  }
  if (cursor !== null && cursor >= first && cursor <= last) {
    element("line", { class: "cursor", x1: x(cursor), x2: x(cursor), y1: T, y2: H - B }, svg);
    const lead = document.createElement("span");
    lead.textContent = `epoch ${cursor}`;
    readout.appendChild(lead);
    for (const s of series) {
      const found = s.mean.find(([e]) => e === cursor);
      if (!found || found[1] === null) continue;
      const item = document.createElement("span"), swatch = document.createElement("i");
      swatch.className = "swatch";
      swatch.style.setProperty("--c", data.groups[s.group].color);
      item.append(swatch, text(found[1]) + (s.train && !panel.only_train ? " (training)" : ""));
      item.title = data.groups[s.group].label;
      readout.appendChild(item);
    }
  }
  svg.onpointermove = (event) => {
    const box = svg.getBoundingClientRect(), at = ((event.clientX - box.left) / box.width) * W;
    const e = Math.round(first + ((at - L) / (W - L - R)) * (last - first));
    const next = e >= first && e <= last ? e : null;
    if (next !== cursor) { cursor = next; drawAll(); }
  };
  svg.onpointerleave = () => { cursor = null; drawAll(); };
}

function drawAll() {
  document.querySelectorAll(".chart").forEach(draw);
}

document.querySelectorAll(".legend button").forEach((button) => {
  button.addEventListener("click", () => {
    const group = Number(button.dataset.group), shown = hidden.has(group);
    if (shown) hidden.delete(group); else hidden.add(group);
    button.setAttribute("aria-pressed", String(shown));
    drawAll();
  });
});
const boxes = { train: (on) => { withTrain = on; }, range: (on) => { wholeRange = on; } };
document.querySelectorAll(".legend input").forEach((box) => {
  box.addEventListener("change", () => { boxes[box.name](box.checked); drawAll(); });
});

document.querySelectorAll("th.sortable").forEach((head) => {
  head.tabIndex = 0;
  const sort = () => {
    const body = head.closest("table").tBodies[0];
    const upwards = head.getAttribute("aria-sort") !== "ascending";
    head.parentNode.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", upwards ? "ascending" : "descending");
    const key = (row) => row.cells[head.cellIndex].dataset.value;
    const rows = [...body.rows].filter((row) => !row.classList.contains("baseline"));
    const baselines = [...body.rows].filter((row) => row.classList.contains("baseline"));
    rows.sort((a, b) => {
      const [p, q] = [key(a), key(b)];
      if (p === undefined || q === undefined) return (p === undefined) - (q === undefined);
      const order = isNaN(p) || isNaN(q) ? p.localeCompare(q) : p - q;
      return upwards ? order : -order;
    });
    body.append(...rows, ...baselines);
  };
  head.addEventListener("click", sort);
  head.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
});
drawAll();
