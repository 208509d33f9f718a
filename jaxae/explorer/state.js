// The present code, and how it is shown.

const ui = (id) => document.getElementById(id);
const SUBSCRIPTS = "₀₁₂₃₄₅₆₇₈₉";
const signed = (x, digits) => x.toFixed(digits).replace(/^-(?=.*[1-9])/, "−").replace("-", "");
const norm = (z) => Math.sqrt(z.reduce((s, x) => s + x * x, 0));

// c: coordinates along the principal directions, without what the attributes add.
const state = {
  z: null, c: null, attributes: page.attributes.map(() => 0), a: null, b: null, own: null, held: false, frames: 0,
  what: "",
};
const ATTRIBUTES = page.attributes.map(({ z }) => floats(z));

function say(text) {
  const banner = ui("banner");
  banner.textContent = [banner.textContent, text].filter(Boolean).join(" ");
  banner.hidden = false;
}

function hold(held) {
  state.held = held;
  refresh();
}

// Shows a code, from which the attributes are counted anew.
function setCode(z, { held = state.held, what = "" } = {}) {
  state.what = what;
  state.attributes.fill(0);
  state.c = toAxes(z);
  state.z = Float32Array.from(z);
  state.held = held;
  refresh();
}

// Shows the code of some coordinates.
function setAxes(c, { held = state.held } = {}) {
  state.what = "";
  state.c = c;
  state.held = held;
  state.z = fromAxes(c);
  ATTRIBUTES.forEach((direction, k) => {
    if (state.attributes[k]) for (let j = 0; j < D; j++) state.z[j] += state.attributes[k] * direction[j];
  });
  refresh();
}

function moveAxis(k, x) {
  const c = Float32Array.from(state.c);
  c[k] = x;
  setAxes(c, { held: true });
}

function moveAttribute(k, x) {
  state.attributes[k] = x;
  setAxes(state.c, { held: true });
}

let busy = false, wanted = false, scheduled = false;
function refresh() {
  wanted = true;
  if (!scheduled) {
    scheduled = true;
    requestAnimationFrame(() => {
      scheduled = false;
      plane.mark();
      sliders();
      describe();
    });
  }
  if (!busy) decode();
}

// Decodes the newest code; codes that come while another one is decoded are passed over.
async function decode() {
  busy = true;
  while (wanted) {
    wanted = false;
    toCanvas(await engine.decode(state.z), ui("decoded"));
    state.frames++;
  }
  busy = false;
}

let sprite = null;
if (page.sprite) {
  const image = new Image();
  image.onload = () => {
    sprite = image;
    describe();
  };
  image.src = page.sprite;
}

function describe() {
  if (!state.z) return;
  const values = D <= 3 ? `z = (${[...state.z].map((x) => signed(x, 2)).join(", ")})` : `‖z‖ = ${norm(state.z).toFixed(2)}`;
  ui("status").textContent = `${state.what}${values}${state.held && !state.what ? ", held" : ""}`;
  if (!sprite) return;
  const i = plane.nearestCode(state.z), canvas = ui("nearest");
  canvas.width = WIDTH;
  canvas.height = HEIGHT;
  const x = (i % page.columns) * WIDTH, y = Math.floor(i / page.columns) * HEIGHT;
  canvas.getContext("2d").drawImage(sprite, x, y, WIDTH, HEIGHT, 0, 0, WIDTH, HEIGHT);
  let same = true;
  for (let j = 0; j < D && same; j++) same = Math.abs(CODES[i * D + j] - state.z[j]) < 1e-5;
  const name = page.labels ? `: ${page.classes[page.labels[i]]}` : "";
  ui("nearest-caption").textContent = (same ? "Test image" : "Nearest test image") + name;
}
