// The networks as functions that return promises, and the conversions between numbers and pixels.

const page = JSON.parse(document.getElementById("data").textContent);

function floats(text) {
  const coded = atob(text), bytes = new Uint8Array(coded.length);
  for (let i = 0; i < coded.length; i++) bytes[i] = coded.charCodeAt(i);
  return new Float32Array(bytes.buffer);
}

const engine = (() => {
  const waiting = new Map();
  let count = 0, worker = null, local = null;

  function ask(message) {
    return new Promise((resolve, reject) => {
      const id = count++;
      waiting.set(id, { resolve, reject });
      worker.postMessage({ id, ...message });
    });
  }

  function answer({ data }) {
    const { resolve, reject } = waiting.get(data.id);
    waiting.delete(data.id);
    if (data.error) reject(new Error(data.error));
    else resolve(data.y);
  }

  async function start() {
    const text = document.getElementById("weights").textContent.trim();
    const message = { kind: "start", text, kinds: page.kinds, encodes: page.encodes };
    try {
      const parts = ["kernels", "worker"].map((id) => document.getElementById(id).textContent);
      worker = new Worker(URL.createObjectURL(new Blob([...parts, "\nserve();"], { type: "text/javascript" })));
      worker.onmessage = answer;
      await new Promise((resolve, reject) => {
        worker.onerror = () => reject(new Error("no worker"));
        ask(message).then(resolve, reject);
      });
    } catch (error) {
      worker = null;
      local = await makeEngine(text, page.kinds, page.encodes);
    }
  }

  const ready = start();
  async function call(kind, x) {
    await ready;
    return worker ? ask({ kind, x }) : local(kind, x);
  }
  return { ready, decode: (z) => call("decode", z), encode: (x) => call("encode", x) };
})();

// The largest difference, in grey levels, between images decoded here and those decoded by JAX.
async function selfCheck() {
  const z = floats(page.checks.z), x = floats(page.checks.x), d = page.dim, n = z.length / d;
  let largest = 0;
  for (let i = 0; i < n; i++) {
    const y = await engine.decode(z.slice(i * d, (i + 1) * d));
    for (let j = 0; j < y.length; j++) {
      const difference = Math.abs(Math.min(1, Math.max(0, y[j])) - x[i * y.length + j]);
      if (!(difference <= largest)) largest = difference;
    }
  }
  return largest;
}

const [HEIGHT, WIDTH, CHANNELS] = page.shape;

// A canvas of the size of the image with its pixels.
function toCanvas(pixels, canvas = document.createElement("canvas")) {
  canvas.width = WIDTH;
  canvas.height = HEIGHT;
  const image = new ImageData(WIDTH, HEIGHT);
  for (let i = 0; i < WIDTH * HEIGHT; i++) {
    for (let k = 0; k < 3; k++) {
      const value = pixels[CHANNELS === 3 ? 3 * i + k : i];
      image.data[4 * i + k] = Math.round(255 * Math.min(1, Math.max(0, value)));
    }
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}
