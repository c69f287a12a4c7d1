// What quietscope itself doubts: traffic lights, their reasons, and what marks look like.

/** Trust is 255 without any deviation and 0 at the limit of chance; half-way to the limit is everyday noise and stays clear. */
export const MARKS = { limits: [128, 0], colour: [1, 0.42, 0.08], veil: 0.65 };

const LIGHTS = { green: "Trustworthy", yellow: "Doubtful places", red: "Doubtful as a whole" };
/** A frame is judged a moment after it is shown; the light of the one before stands in at most for so long. */
const STAND_IN_MS = 1500;

/** The worst light among several pictures: that picture, or nothing. */
export function worst(pictures) {
  const order = Object.keys(LIGHTS);
  return pictures.filter((picture) => picture.light).sort((a, b) => order.indexOf(b.light) - order.indexOf(a.light))[0];
}

/** Let a live picture that is not judged yet have the light of the one before, so that lights do not blink. */
export function standIn(picture, before, gone) {
  if (!picture.live || picture.light || !before?.light || !picture.planes.has("denoised")) return;
  Object.assign(picture, { light: before.light, reason: before.reason });
  setTimeout(() => { picture.light = null; gone(); }, STAND_IN_MS);
}

/** The lights of pictures with their reasons, as items of a list; `names` are those of all channels. */
export function verdicts(pictures, names) {
  const lines = pictures.filter((picture) => picture.light).map(({ key, light, reason }) => (
    line(light, names.length > 1 ? `${names[key.c]}, ${LIGHTS[light].toLowerCase()}` : LIGHTS[light], reason)
  ));
  return lines.length ? lines : [line("", "Not judged", "nothing is known about this frame")];
}

function line(light, name, words) {
  const item = document.createElement("li"), text = document.createElement("span");
  item.dataset.light = light;
  text.append(Object.assign(document.createElement("b"), { textContent: name }), words ? `: ${words}` : "");
  item.append(text);
  return item;
}
