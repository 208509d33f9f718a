// Sliders, interpolation, and images of the user's own.

const FRAMES = 9;

function slider(parent, label, limit, change, show) {
  const row = document.createElement("label");
  row.className = "slider";
  const name = document.createElement("span"), input = document.createElement("input"), value = document.createElement("output");
  name.textContent = name.title = label;
  Object.assign(input, { type: "range", min: -limit, max: limit, step: limit / 500, value: 0 });
  input.setAttribute("aria-label", label);
  input.addEventListener("input", () => change(Number(input.value)));
  row.append(name, input, value);
  parent.append(row);
  return (x) => {
    if (Math.abs(x) > Number(input.max)) Object.assign(input, { min: -Math.abs(x) * 1.2, max: Math.abs(x) * 1.2 });
    input.value = x;
    value.textContent = show(x);
  };
}

const sliders = (() => {
  const shown = Math.min(D, 24), first = Math.min(shown, 6);
  const setters = [], attributeSetters = [];
  for (let k = 0; k < shown; k++) {
    const spread = page.spread[k] || 1;
    const limit = PLAIN ? Math.max(...[...plane.limits[k ? "v" : "u"]].map(Math.abs)) : 3.5;
    setters.push(slider(
      ui("sliders"), PLAIN ? `z${SUBSCRIPTS[k + 1]}` : String(k + 1), limit,
      (x) => moveAxis(k, PLAIN ? x : x * spread), (x) => signed(x, PLAIN ? 2 : 1) + (PLAIN ? "" : " σ"),
    ));
    ui("sliders").lastChild.hidden = k >= first;
  }
  ui("more").hidden = shown <= first;
  ui("more").textContent = `Show ${shown - first} more`;
  ui("more").onclick = () => {
    for (const row of ui("sliders").children) row.hidden = false;
    ui("more").hidden = true;
  };
  ui("sliders-title").textContent = PLAIN ? "Values of the code" : "Principal directions of the codes";
  page.attributes.forEach(({ name }, k) => {
    attributeSetters.push(slider(ui("attributes"), name, 2, (x) => moveAttribute(k, x), (x) => signed(x, 1)));
  });
  ui("attributes-block").hidden = !page.attributes.length;
  return () => {
    setters.forEach((set, k) => set(PLAIN ? state.c[k] : state.c[k] / (page.spread[k] || 1)));
    attributeSetters.forEach((set, k) => set(state.attributes[k]));
  };
})();

const between = (() => {
  const frames = [];
  for (let i = 0; i < FRAMES; i++) {
    const button = document.createElement("button"), canvas = document.createElement("canvas");
    canvas.className = "pixels" + (WIDTH > 40 ? " fine" : "");
    button.append(canvas);
    if (i === 0 || i === FRAMES - 1) {
      const letter = document.createElement("b");
      letter.textContent = i ? "B" : "A";
      button.append(letter);
    }
    button.setAttribute("aria-label", `Show frame ${i + 1} of ${FRAMES}`);
    button.onclick = () => go(i / (FRAMES - 1));
    ui("strip").append(button);
    frames.push(canvas);
  }
  let playing = 0, since = 0;

  function at(t) {
    const { a, b } = state;
    const [na, nb] = [norm(a), norm(b)];
    if (!ui("sphere").checked || !na || !nb) return a.map((x, j) => x + t * (b[j] - x));
    const cosine = Math.min(1, Math.max(-1, a.reduce((s, x, j) => s + (x / na) * (b[j] / nb), 0)));
    const angle = Math.acos(cosine);
    if (Math.sin(angle) < 1e-4) return a.map((x, j) => x + t * (b[j] - x));
    const [p, q] = [Math.sin((1 - t) * angle) / Math.sin(angle), Math.sin(t * angle) / Math.sin(angle)];
    const length = na + t * (nb - na);
    return a.map((x, j) => length * (p * (x / na) + q * (b[j] / nb)));
  }

  function go(t) {
    ui("t").value = t;
    setCode(at(t), { held: true });
  }

  function play(on) {
    playing = on ? requestAnimationFrame(frame) : 0;
    since = performance.now() - (Math.acos(1 - 2 * Number(ui("t").value)) / Math.PI) * 2500;
    ui("play-shape").setAttribute("d", on ? "M7 5h4v14H7zM13 5h4v14h-4z" : "M8 5v14l11-7z");
    ui("play").setAttribute("aria-label", on ? "Pause" : "Play");
  }

  function frame(now) {
    if (!playing) return;
    go((1 - Math.cos((Math.PI * (now - since)) / 2500)) / 2);
    playing = requestAnimationFrame(frame);
  }

  let drawing = 0;
  async function redraw() {
    const mine = ++drawing;
    plane.mark();
    for (let i = 0; i < FRAMES; i++) {
      const y = await engine.decode(at(i / (FRAMES - 1)));
      if (mine !== drawing) return;
      toCanvas(y, frames[i]);
    }
  }

  ui("t").addEventListener("input", () => go(Number(ui("t").value)));
  ui("sphere").addEventListener("change", redraw);
  ui("play").onclick = () => play(!playing);
  return { redraw, play, stop: () => playing && play(false), toggle: () => play(!playing) };
})();

const own = (() => {
  if (!page.encodes) return { draw() {} };
  const pad = ui("pad"), context = pad.getContext("2d", { willReadFrequently: true });
  const grey = CHANNELS === 1, paper = page.background > 0.5 ? "#fff" : "#000", ink = page.background > 0.5 ? "#000" : "#fff";
  ui("own").hidden = false;
  ui("own-title").textContent = grey ? "Draw or drop your own" : "Drop or open your own picture";
  document.querySelector(".pad-box").hidden = !grey;
  ui("clear").hidden = ui("middle-switch").hidden = ui("invert-switch").hidden = !grey;
  document.querySelector(".own").classList.toggle("flat", !grey);
  pad.height = Math.round((280 * HEIGHT) / WIDTH);
  pad.style.aspectRatio = `${WIDTH} / ${HEIGHT}`;
  let last = null, source = null;

  function clear() {
    context.fillStyle = paper;
    context.fillRect(0, 0, pad.width, pad.height);
    source = null;
    ui("hint").hidden = false;
  }

  async function encode() {
    let canvas = source;
    if (!canvas) {
      const framed = ui("middle").checked && WIDTH === HEIGHT ? centred(pad, page.background > 0.5 ? 1 : 0) : pad;
      canvas = resized(framed, 0, 0, framed.width, framed.height, WIDTH, HEIGHT);
    }
    const x = fromCanvas(canvas, Boolean(source) && ui("invert").checked);
    toCanvas(x, ui("seen"));
    const z = await engine.encode(x);
    state.own = z;
    setCode(z, { held: true, what: "Your image, reconstructed: " });
  }

  function point(event) {
    const bounds = pad.getBoundingClientRect();
    return [((event.clientX - bounds.left) * pad.width) / bounds.width, ((event.clientY - bounds.top) * pad.height) / bounds.height];
  }

  pad.addEventListener("pointerdown", (event) => {
    if (source) clear();
    pad.setPointerCapture(event.pointerId);
    last = point(event);
    stroke(last);
  });
  pad.addEventListener("pointermove", (event) => last && stroke(point(event)));
  for (const name of ["pointerup", "pointercancel"]) pad.addEventListener(name, () => {
    if (last) encode();
    last = null;
  });

  function stroke(to) {
    ui("hint").hidden = true;
    context.strokeStyle = ink;
    context.lineWidth = 20;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    context.moveTo(...last);
    context.lineTo(to[0] + 0.01, to[1]);
    context.stroke();
    last = to;
  }

  async function open(file) {
    if (!file) return;
    try {
      source = await fromFile(file);
    } catch (error) {
      return say("This file is not a picture that the browser can read.");
    }
    ui("hint").hidden = true;
    context.imageSmoothingEnabled = false;
    context.drawImage(source, 0, 0, pad.width, pad.height);
    await encode();
  }

  ui("clear").onclick = () => {
    clear();
    state.own = null;
    toCanvas(new Float32Array(WIDTH * HEIGHT * CHANNELS).fill(page.background > 0.5 ? 1 : 0), ui("seen"));
    plane.mark();
  };
  ui("middle").onchange = ui("invert").onchange = () => state.own && encode();
  ui("file").onchange = () => open(ui("file").files[0]);
  document.addEventListener("paste", (event) => open([...event.clipboardData.files][0]));
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("dropping"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    open(event.dataTransfer.files[0]);
  });
  clear();
  toCanvas(new Float32Array(WIDTH * HEIGHT * CHANNELS).fill(page.background > 0.5 ? 1 : 0), ui("seen"));
  return { encode };
})();
