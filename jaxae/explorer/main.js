// What happens when one moves.

function follow(event) {
  const [u, v] = plane.place(event);
  if (ui("snap").checked) {
    const i = plane.nearestPoint(u, v);
    if (i >= 0) setCode(codeOf(i));
  } else {
    const c = Float32Array.from(state.c);
    c[0] = u;
    if (D > 1) c[1] = v;
    setAxes(c);
  }
}

let pressed = false;
plane.box.addEventListener("pointermove", (event) => {
  if (pressed || (event.pointerType === "mouse" && !state.held)) {
    between.stop();
    follow(event);
  }
});
plane.box.addEventListener("pointerdown", (event) => {
  between.stop();
  pressed = true;
  plane.box.setPointerCapture(event.pointerId);
  const held = event.pointerType !== "mouse" || !state.held;
  follow(event);
  hold(held);
});
for (const name of ["pointerup", "pointercancel"]) plane.box.addEventListener(name, () => (pressed = false));

plane.box.addEventListener("keydown", (event) => {
  const directions = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  const direction = directions[event.key];
  if (event.key === "Enter") hold(!state.held);
  if (!direction) return;
  event.preventDefault();
  const c = Float32Array.from(state.c), step = plane.step() * (event.shiftKey ? 5 : 1);
  c[0] += direction[0] * step;
  if (D > 1) c[1] += direction[1] * step;
  setAxes(c, { held: true });
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || ui("help").open) return;
  if (event.key === "Escape") hold(false);
  if (event.target.closest("button, input, a") && event.key === " ") return;
  const actions = {
    a: () => ui("set-a").click(), b: () => ui("set-b").click(), r: () => ui("random").click(),
    m: () => ui("show-map").click(), " ": between.toggle, "?": () => ui("help").showModal(),
  };
  const action = actions[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

const DRAWS = floats(page.draws);
let drawn = 0;
ui("random").title = `A draw from ${page.drawnFrom} (R)`;
ui("random").onclick = () => {
  between.stop();
  const i = drawn++ % (DRAWS.length / D);
  setCode(DRAWS.slice(i * D, (i + 1) * D), { held: true });
};
ui("centre").title = "The mean of the codes";
ui("centre").onclick = () => setCode(Float32Array.from(MEAN), { held: true });
for (const end of ["a", "b"]) {
  ui(`set-${end}`).title = `Make this code the ${end === "a" ? "start" : "end"} of the interpolation (${end.toUpperCase()})`;
  ui(`set-${end}`).onclick = () => {
    state[end] = Float32Array.from(state.z);
    between.redraw();
  };
}
ui("show-points").onchange = plane.draw;
ui("show-map").onchange = plane.map;

function legend() {
  page.classes.forEach((name, k) => {
    const chip = document.createElement("button");
    chip.className = "chip";
    chip.setAttribute("aria-pressed", "true");
    const mark = ['<circle cx="6" cy="6" r="5"/>', '<path d="M6 0.5 11.5 11H0.5z"/>', '<rect x="1" y="1" width="10" height="10"/>'];
    chip.innerHTML = `<svg viewBox="0 0 12 12" fill="${classColour(k)}" aria-hidden="true">${mark[Math.floor(k / page.palette.length) % 3]}</svg>`;
    chip.append(name);
    chip.title = "Click to hide or show this class; double-click to show it alone";
    const chips = () => [...ui("legend").children];
    const update = () => {
      chips().forEach((other, j) => other.setAttribute("aria-pressed", String(!plane.hidden.has(j))));
      plane.draw();
    };
    chip.onclick = () => {
      if (plane.hidden.has(k)) plane.hidden.delete(k);
      else plane.hidden.add(k);
      if (plane.hidden.size === page.classes.length) plane.hidden.clear();
      update();
    };
    chip.ondblclick = () => {
      page.classes.forEach((_, j) => (j === k ? plane.hidden.delete(j) : plane.hidden.add(j)));
      update();
    };
    ui("legend").append(chip);
  });
}

// The points can have the colours of an attribute instead of those of the classes.
function colours() {
  ui("colour-switch").hidden = !page.attributes.length;
  const names = [page.labels ? "classes" : "none", ...page.attributes.map(({ name }) => name)];
  ui("colour").append(...names.map((name, k) => new Option(name, k - 1)));
  ui("colour").onchange = () => {
    plane.draw();
    ui("legend").hidden = Number(ui("colour").value) >= 0;
  };
}

function theme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  document.querySelectorAll("#legend svg").forEach((mark, k) => mark.setAttribute("fill", classColour(k)));
  plane.draw();
  plane.mark();
}
const darkness = matchMedia("(prefers-color-scheme: dark)");
darkness.addEventListener("change", () => theme(darkness.matches));
ui("theme").onclick = () => theme(document.documentElement.dataset.theme !== "dark");
ui("help-button").onclick = () => ui("help").showModal();
const touch = matchMedia("(pointer: coarse)").matches;
for (const text of [
  touch ? "Drag in the plane to move." : "Move the pointer over the plane. A click holds the point, and another one lets it go.",
  PLAIN ? "The axes are the two values of the code." : "The axes are the two directions in which the codes vary most. The sliders move along these and further directions, in standard deviations.",
  ...(PLAIN || !page.sprite ? [] : ["With “Snap to images” you pick test images; without it you move freely."]),
  "“Map” fills the plane with decoded images.",
  "“Set A” and “Set B” mark two codes; the play button moves from one to the other.",
  ...(page.attributes.length ? ["The attribute sliders change one attribute and leave the others as they are."] : []),
  ...(page.encodes ? [`${CHANNELS === 1 ? "Draw, open" : "Open"}, paste or drop a picture to see its code (★) and its reconstruction.`] : []),
  ...(touch ? [] : ["Keys: <kbd>←</kbd> <kbd>→</kbd> <kbd>↑</kbd> <kbd>↓</kbd> move in the plane, <kbd>A</kbd> <kbd>B</kbd> mark, <kbd>Space</kbd> plays, <kbd>R</kbd> draws at random, <kbd>M</kbd> shows the map, <kbd>Esc</kbd> lets go."]),
]) {
  const item = document.createElement("li");
  item.innerHTML = text;
  ui("help-list").append(item);
}

legend();
colours();
if (!page.sprite) ui("nearest").hidden = ui("snap-switch").hidden = true;
else if (PLAIN) ui("snap-switch").hidden = true;
else ui("snap").checked = true;
ui("axis-x").textContent = D > 1 ? (PLAIN ? "z₁ →" : "first principal direction →") : "z →";
ui("axis-y").textContent = D > 1 ? (PLAIN ? "↑ z₂" : "↑ second") : "";
document.querySelectorAll(".pixels").forEach((canvas) => canvas.classList.toggle("fine", WIDTH > 40));
[page.missing, page.note].filter(Boolean).forEach(say);
setCode(state.a);
theme(darkness.matches);
plane.resize();
new ResizeObserver(() => {
  plane.resize();
  if (ui("show-map").checked) plane.map();
}).observe(plane.box);
between.redraw();

const checked = engine.ready.then(selfCheck).then(
  (difference) => {
    if (!(difference <= page.checks.tolerance * 1.0001)) say(`This browser decodes images that differ from the model's by up to ${(255 * difference).toFixed(1)} of 255 grey levels.`);
    return difference;
  },
  (error) => say(`The networks cannot run in this browser: ${error.message}`),
);

// For tests and for the console: networks as functions that return promises of Float32Arrays.
window.jaxae = { decode: engine.decode, encode: engine.encode, ready: engine.ready, checked, state, setCode, frames: () => state.frames };
