"use strict";
// Runs the networks: in a worker, or in the page where there can be none.

async function makeEngine(text, kinds, encodes) {
  const coded = atob(text);
  const packed = new Uint8Array(coded.length);
  for (let i = 0; i < coded.length; i++) packed[i] = coded.charCodeAt(i);
  const inflated = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(inflated).arrayBuffer());
  const weights = [];
  let at = 0;
  // All first bytes of the values of an array, then all second ones, and so on.
  for (const [kind, size] of kinds) {
    if (kind === "h") {
      const values = new Float32Array(size), table = halves();
      for (let i = 0; i < size; i++) values[i] = table[bytes[at + i] | (bytes[at + size + i] << 8)];
      weights.push(values);
      at += 2 * size;
    } else {
      const mixed = new Uint8Array(4 * size);
      for (let i = 0; i < size; i++) for (let k = 0; k < 4; k++) mixed[4 * i + k] = bytes[at + k * size + i];
      weights.push(new Float32Array(mixed.buffer));
      at += 4 * size;
    }
  }
  const networks = { decode: decoder(weights), encode: encodes ? encoder(weights) : null };
  return (kind, x) => {
    const network = networks[kind];
    network.input.set(x);
    network.run();
    return network.output.slice();
  };
}

// The value of every half-precision number.
function halves() {
  if (halves.table) return halves.table;
  const table = (halves.table = new Float32Array(65536));
  for (let i = 0; i < 65536; i++) {
    const sign = i & 0x8000 ? -1 : 1, exponent = (i >> 10) & 31, mantissa = i & 1023;
    if (exponent === 0) table[i] = (sign * mantissa) / 2 ** 24;
    else if (exponent === 31) table[i] = mantissa ? NaN : sign * Infinity;
    else table[i] = sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
  }
  return table;
}

// Answers messages {id, kind, x} in a worker; the first one has the weights.
function serve() {
  let engine = null;
  self.onmessage = async ({ data }) => {
    try {
      if (data.kind === "start") {
        engine = await makeEngine(data.text, data.kinds, data.encodes);
        self.postMessage({ id: data.id, y: null });
      } else {
        const y = engine(data.kind, data.x);
        self.postMessage({ id: data.id, y }, [y.buffer]);
      }
    } catch (error) {
      self.postMessage({ id: data.id, error: String(error) });
    }
  };
}
