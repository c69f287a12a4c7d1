// Histograms, and the grey levels between which a channel is shown.

const SAMPLES = 60_000;
const BINS = 160;

/** Evenly spread finite pixels of a plane, sorted. */
function sample(plane) {
  const step = Math.max(1, Math.floor(plane.data.length / SAMPLES)) | 1; // odd, so that no column is preferred
  const values = new Float32Array(Math.ceil(plane.data.length / step));
  let n = 0;
  for (let i = 0; i < plane.data.length; i += step) if (Number.isFinite(plane.data[i])) values[n++] = plane.data[i];
  return values.subarray(0, n).sort();
}

/** Distribution of a plane: sorted sample and its quantiles. */
export function distribution(plane) {
  const values = sample(plane);
  const quantile = (q) => (values.length ? values[Math.min(values.length - 1, Math.round(q * (values.length - 1)))] : 0);
  return { values, quantile, isFloat: plane.type === "float32" };
}

/** Counts of a distribution in equal bins from `low` to `high`; of whole grey levels each bin holds equally many. */
export function counts({ values, isFloat }, low, high) {
  let step = (high - low || 1) / BINS;
  if (!isFloat) step = Math.ceil(step);
  const start = isFloat ? low : Math.floor(low / step) * step - 0.5;
  const found = new Float32Array(Math.ceil((high - start) / step));
  for (const value of values) {
    const bin = Math.floor((value - start) / step);
    if (bin >= 0 && bin < found.length) found[bin]++;
  }
  return { found, place: (bin) => start + (bin + 0.5) * step };
}

/** Grey levels between which a side of a channel is shown. */
export class Limits {
  constructor() {
    this.automatic = true;
    this.low = 0;
    this.high = 1;
    this.fresh = true;
  }

  /** Follow a distribution, gently, so that the picture does not flicker. */
  follow({ quantile }) {
    if (!this.automatic) return;
    const low = quantile(0.003), high = Math.max(quantile(0.998), low + 1e-6);
    const range = this.high - this.low;
    const jump = this.fresh || Math.abs(high - this.high) > 0.5 * range || Math.abs(low - this.low) > 0.5 * range;
    const weight = jump ? 1 : 0.25;
    this.low += weight * (low - this.low);
    this.high += weight * (high - this.high);
    this.fresh = false;
  }

  /** Fix the limits by hand. */
  set(low, high) {
    if (!(high > low)) return;
    Object.assign(this, { automatic: false, low, high });
  }

  /** Back to automatic. */
  release() {
    Object.assign(this, { automatic: true, fresh: true });
  }
}
