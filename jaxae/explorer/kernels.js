"use strict";
// What the generated programs call. Matrices are Float32Arrays with their rows one after another.

// o = a b, with a [m, k] from ao on, b [k, n] from bo on and o [m, n] from oo on.
function gemm(o, a, b, m, k, n, oo, ao, bo) {
  if (m === 1) return row(o, a, b, k, n, oo, ao, bo);
  const even = n - (n % 4);
  let i = 0;
  for (; i + 4 <= m; i += 4) {
    const r0 = ao + i * k, r1 = r0 + k, r2 = r1 + k, r3 = r2 + k;
    const w0 = oo + i * n, w1 = w0 + n, w2 = w1 + n, w3 = w2 + n;
    for (let j = 0; j < even; j += 4) {
      let c00 = 0, c01 = 0, c02 = 0, c03 = 0, c10 = 0, c11 = 0, c12 = 0, c13 = 0;
      let c20 = 0, c21 = 0, c22 = 0, c23 = 0, c30 = 0, c31 = 0, c32 = 0, c33 = 0;
      for (let p = 0, q = bo + j; p < k; p++, q += n) {
        const b0 = b[q], b1 = b[q + 1], b2 = b[q + 2], b3 = b[q + 3];
        const a0 = a[r0 + p], a1 = a[r1 + p], a2 = a[r2 + p], a3 = a[r3 + p];
        c00 += a0 * b0; c01 += a0 * b1; c02 += a0 * b2; c03 += a0 * b3;
        c10 += a1 * b0; c11 += a1 * b1; c12 += a1 * b2; c13 += a1 * b3;
        c20 += a2 * b0; c21 += a2 * b1; c22 += a2 * b2; c23 += a2 * b3;
        c30 += a3 * b0; c31 += a3 * b1; c32 += a3 * b2; c33 += a3 * b3;
      }
      o[w0 + j] = c00; o[w0 + j + 1] = c01; o[w0 + j + 2] = c02; o[w0 + j + 3] = c03;
      o[w1 + j] = c10; o[w1 + j + 1] = c11; o[w1 + j + 2] = c12; o[w1 + j + 3] = c13;
      o[w2 + j] = c20; o[w2 + j + 1] = c21; o[w2 + j + 2] = c22; o[w2 + j + 3] = c23;
      o[w3 + j] = c30; o[w3 + j + 1] = c31; o[w3 + j + 2] = c32; o[w3 + j + 3] = c33;
    }
    for (let j = even; j < n; j++) {
      let c0 = 0, c1 = 0, c2 = 0, c3 = 0;
      for (let p = 0, q = bo + j; p < k; p++, q += n) {
        const v = b[q];
        c0 += a[r0 + p] * v; c1 += a[r1 + p] * v; c2 += a[r2 + p] * v; c3 += a[r3 + p] * v;
      }
      o[w0 + j] = c0; o[w1 + j] = c1; o[w2 + j] = c2; o[w3 + j] = c3;
    }
  }
  for (; i < m; i++) row(o, a, b, k, n, oo + i * n, ao + i * k, bo);
}

// One row of it.
function row(o, a, b, k, n, oo, ao, bo) {
  for (let j = 0; j < n; j++) o[oo + j] = 0;
  let p = 0;
  for (; p + 4 <= k; p += 4) {
    const a0 = a[ao + p], a1 = a[ao + p + 1], a2 = a[ao + p + 2], a3 = a[ao + p + 3];
    const q0 = bo + p * n, q1 = q0 + n, q2 = q1 + n, q3 = q2 + n;
    for (let j = 0; j < n; j++) o[oo + j] += a0 * b[q0 + j] + a1 * b[q1 + j] + a2 * b[q2 + j] + a3 * b[q3 + j];
  }
  for (; p < k; p++) {
    const v = a[ao + p], q = bo + p * n;
    for (let j = 0; j < n; j++) o[oo + j] += v * b[q + j];
  }
}

// The values that each tap of a convolution reads: o [oh ow, kh kw c] from an image x [h, w, c].
function patches(o, x, xo, h, w, c, oh, ow, kh, kw, stride, top, left) {
  let n = 0;
  for (let i = 0; i < oh; i++) for (let j = 0; j < ow; j++) for (let a = 0; a < kh; a++) {
    const y = i * stride + a - top;
    for (let b = 0; b < kw; b++) {
      const z = j * stride + b - left;
      if (y < 0 || y >= h || z < 0 || z >= w) {
        for (let k = 0; k < c; k++) o[n++] = 0;
      } else {
        let q = xo + (y * w + z) * c;
        for (let k = 0; k < c; k++) o[n++] = x[q++];
      }
    }
  }
}

// Its adjoint: the sum of the values at every pixel of an image o [h, w, c].
function addPatches(o, x, oo, h, w, c, oh, ow, kh, kw, stride, top, left) {
  for (let i = 0; i < h * w * c; i++) o[oo + i] = 0;
  let n = 0;
  for (let i = 0; i < oh; i++) for (let j = 0; j < ow; j++) for (let a = 0; a < kh; a++) {
    const y = i * stride + a - top;
    for (let b = 0; b < kw; b++) {
      const z = j * stride + b - left;
      if (y < 0 || y >= h || z < 0 || z >= w) n += c;
      else {
        let q = oo + (y * w + z) * c;
        for (let k = 0; k < c; k++) o[q++] += x[n++];
      }
    }
  }
}

// The k largest values of each of m rows in descending order; of equal values the first.
function topK(values, places, x, m, n, k) {
  for (let i = 0; i < m; i++) {
    const order = Array.from({ length: n }, (_, j) => j).sort((a, b) => x[i * n + b] - x[i * n + a] || a - b);
    for (let j = 0; j < k; j++) {
      places[i * k + j] = order[j];
      values[i * k + j] = x[i * n + order[j]];
    }
  }
}

// The lower triangular factors of m symmetric matrices.
function cholesky(o, x, m, n) {
  o.fill(0);
  for (let b = 0; b < m; b++) for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) {
    const at = b * n * n;
    let s = x[at + i * n + j];
    for (let k = 0; k < j; k++) s -= o[at + i * n + k] * o[at + j * n + k];
    o[at + i * n + j] = i === j ? Math.sqrt(s) : s / o[at + j * n + j];
  }
}

// The solutions of a x = b, or of its transpose, for m lower triangular matrices a and c columns.
function solve(o, a, b, m, n, c, transposed) {
  for (let d = 0; d < m; d++) for (let e = 0; e < c; e++) for (let r = 0; r < n; r++) {
    const i = transposed ? n - 1 - r : r, at = d * n * n;
    let s = b[(d * n + i) * c + e];
    for (let t = 0; t < r; t++) {
      const k = transposed ? n - 1 - t : t;
      s -= a[at + (transposed ? k * n + i : i * n + k)] * o[(d * n + k) * c + e];
    }
    o[(d * n + i) * c + e] = s / a[at + i * n + i];
  }
}

function roundAway(x) {
  return Math.sign(x) * Math.round(Math.abs(x));
}

function roundEven(x) {
  const low = Math.floor(x), rest = x - low;
  return rest < 0.5 ? low : rest > 0.5 ? low + 1 : low % 2 === 0 ? low : low + 1;
}

// The error function, within 1e-7 (Numerical Recipes, third edition, section 6.2.2).
function erf(x) {
  const z = Math.abs(x), t = 2 / (2 + z), y = 4 * t - 2;
  let d = 0, dd = 0;
  for (let j = ERF.length - 1; j > 0; j--) [d, dd] = [y * d - dd + ERF[j], d];
  const tail = t * Math.exp(-z * z + 0.5 * (ERF[0] + y * d) - dd);
  return x >= 0 ? 1 - tail : tail - 1;
}
const ERF = [
  -1.3026537197817094, 6.4196979235649026e-1, 1.9476473204185836e-2, -9.561514786808631e-3,
  -9.46595344482036e-4, 3.66839497852761e-4, 4.2523324806907e-5, -2.0278578112534e-5,
  -1.624290004647e-6, 1.303655835580e-6, 1.5626441722e-8, -8.5238095915e-8,
  6.529054439e-9, 5.059343495e-9, -9.91364156e-10, -2.27365122e-10,
];
