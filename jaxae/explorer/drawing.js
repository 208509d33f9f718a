// From what a user draws or drops to what the encoder takes.

// The pixels of a canvas of the size of an image, as numbers in [0, 1].
function fromCanvas(canvas, invert) {
  const data = canvas.getContext("2d").getImageData(0, 0, WIDTH, HEIGHT).data;
  const x = new Float32Array(WIDTH * HEIGHT * CHANNELS);
  for (let i = 0; i < WIDTH * HEIGHT; i++) {
    const [r, g, b] = [data[4 * i] / 255, data[4 * i + 1] / 255, data[4 * i + 2] / 255];
    const values = CHANNELS === 3 ? [r, g, b] : [0.299 * r + 0.587 * g + 0.114 * b];
    values.forEach((value, k) => {
      const shown = invert ? 1 - value : value;
      x[CHANNELS * i + k] = page.binarize ? Number(shown > 0.5) : shown;
    });
  }
  return x;
}

// A part of a picture, resized by halves, which averages over all of its pixels.
function resized(source, x, y, w, h, width, height) {
  let canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(w));
  canvas.height = Math.max(1, Math.round(h));
  canvas.getContext("2d").drawImage(source, x, y, w, h, 0, 0, canvas.width, canvas.height);
  for (;;) {
    const last = canvas.width <= 2 * width && canvas.height <= 2 * height;
    const next = document.createElement("canvas");
    next.width = last ? width : Math.max(width, Math.ceil(canvas.width / 2));
    next.height = last ? height : Math.max(height, Math.ceil(canvas.height / 2));
    const context = next.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(canvas, 0, 0, next.width, next.height);
    canvas = next;
    if (last) return canvas;
  }
}

// The middle of a picture in the proportions of the images.
async function fromFile(file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(bitmap.width / WIDTH, bitmap.height / HEIGHT);
  const w = scale * WIDTH, h = scale * HEIGHT;
  return resized(bitmap, (bitmap.width - w) / 2, (bitmap.height - h) / 2, w, h, WIDTH, HEIGHT);
}

// A drawing as the digits of MNIST are: 20 of 28 pixels large, with the centre of mass in the middle.
function centred(canvas, background) {
  const { width, height } = canvas;
  const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  let left = width, right = -1, top = height, bottom = -1, mass = 0, mx = 0, my = 0;
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
    const ink = Math.abs(data[4 * (y * width + x)] / 255 - background);
    if (ink < 0.1) continue;
    left = Math.min(left, x); right = Math.max(right, x);
    top = Math.min(top, y); bottom = Math.max(bottom, y);
    mass += ink; mx += ink * (x + 0.5); my += ink * (y + 0.5);
  }
  if (right < 0) return canvas;
  const size = Math.max(right - left, bottom - top) + 1, side = (size * 28) / 20;
  const framed = document.createElement("canvas");
  framed.width = framed.height = Math.ceil(side);
  const context = framed.getContext("2d");
  context.fillStyle = background > 0.5 ? "#fff" : "#000";
  context.fillRect(0, 0, framed.width, framed.height);
  context.drawImage(
    canvas, left, top, right - left + 1, bottom - top + 1,
    framed.width / 2 - (mx / mass - left), framed.height / 2 - (my / mass - top), right - left + 1, bottom - top + 1,
  );
  return framed;
}
