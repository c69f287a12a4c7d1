// Numbers and lengths as people write them.

/** A number with as many digits as make sense for its size. */
export function number(value, digits = 3) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return String(value).replace(/\B(?=(\d{3})+$)/g, Math.abs(value) >= 1e4 ? "\u202f" : "");
  const size = Math.floor(Math.log10(Math.abs(value)));
  if (size >= 6 || size < -4) return value.toExponential(digits - 1).replace("e", " · 10^").replace("+", "");
  return value.toFixed(Math.max(0, digits - 1 - size)).replace(/\B(?=(\d{3})+(?!\d))/g, value >= 1e4 ? "\u202f" : "");
}

/** A grey level at one end of a range, as finely as the range needs. */
export function greyLevel(value, range) {
  const places = 1 - Math.floor(Math.log10(range || 1));
  return places <= 0 ? number(Math.round(value)) : places > 6 ? number(value, 4) : value.toFixed(places);
}

/** Milliseconds or seconds in words. */
export function duration(ms) {
  if (!Number.isFinite(ms)) return "–";
  return ms < 1000 ? `${Math.round(ms)} ms` : `${number(ms / 1000, 3)} s`;
}

/** The longest round length (1, 2 or 5 times a power of ten) that is at most `most`. */
export function roundLength(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return [5, 2, 1].map((step) => step * power).find((length) => length <= most * 1.0001);
}

/** Micrometres in words. */
export function length(um) {
  if (um >= 1000) return `${+(um / 1000).toPrecision(3)} mm`;
  return um >= 1 ? `${+um.toPrecision(3)} µm` : `${+(um * 1000).toPrecision(3)} nm`;
}

/** Time of day of a moment, hours and minutes. */
export function clock(ms) {
  return new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
}

/** `n things`, in the right number. */
export function count(n, one, many) {
  return `${n} ${n === 1 ? one : many}`;
}
