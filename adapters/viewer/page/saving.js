// Pictures and films of what is on the screen, with labels and scale bar.

import { GIFEncoder, applyPalette, quantize } from "./vendor/gifenc.esm.js";
import { Video } from "./video.js";

const FILM_SIDE = 900;
const FILM_FRAMES = 150;
const FILM_DELAY_MS = 100;

/** Draw the stage with its labels onto a canvas, at most `most` pixels wide. */
export function composed(stage, drawNow, most = Infinity) {
  drawNow();
  const image = stage.querySelector("#image");
  const shrink = Math.min(1, most / image.width);
  const canvas = Object.assign(document.createElement("canvas"), { width: Math.round(image.width * shrink), height: Math.round(image.height * shrink) });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(image, 0, 0, canvas.width, canvas.height);
  const ratio = (image.width / stage.clientWidth) * shrink;
  pen.scale(ratio, ratio);
  const frame = stage.getBoundingClientRect();
  const place = (element) => {
    const box = element.getBoundingClientRect();
    return [box.left - frame.left, box.top - frame.top, box.width, box.height];
  };
  pen.textBaseline = "middle";
  for (const label of stage.querySelectorAll(".caption:not(:empty)")) {
    const [x, y, width, height] = place(label);
    pen.fillStyle = getComputedStyle(label).backgroundColor;
    pen.fillRect(x, y, width, height);
    pen.fillStyle = "#fff";
    pen.font = "550 13px Inter, sans-serif";
    pen.fillText(label.innerText.replace(/\s+/g, " "), x + 10, y + height / 2);
  }
  const bar = stage.querySelector("#scalebar");
  if (!bar.hidden) {
    const [x, y, width, height] = place(bar);
    pen.fillStyle = "#000000a8";
    pen.fillRect(x, y, width, height);
    pen.fillStyle = "#fff";
    pen.fillRect(...place(bar.querySelector("i")));
    pen.font = "400 12px Inter, sans-serif";
    pen.textAlign = "center";
    pen.fillText(bar.innerText.trim(), x + width / 2, y + height - 11);
  }
  return canvas;
}

function save(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Save what is on the screen as PNG. */
export function savePicture(stage, drawNow, name) {
  composed(stage, drawNow).toBlob((blob) => save(blob, `${name}.png`), "image/png");
}

/** A film as GIF: plays everywhere, in 256 colours a frame. */
class Gif {
  constructor() {
    this.encoder = GIFEncoder();
    this.ending = "gif";
  }

  add(canvas) {
    const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const palette = quantize(data, 256);
    this.encoder.writeFrame(applyPalette(data, palette), width, height, { palette, delay: FILM_DELAY_MS });
  }

  finish() {
    this.encoder.finish();
    return new Blob([this.encoder.bytes()], { type: "image/gif" });
  }
}

/**
 * Save a film over everything recorded.
 * @param {"gif" | "video"} kind
 * @param {(t: number) => Promise<boolean>} show shows a time point; false if it has been called off
 */
export async function saveFilm(kind, stage, drawNow, name, length, show, progress) {
  const step = Math.max(1, Math.ceil(length / FILM_FRAMES));
  const film = kind === "gif" ? new Gif() : new Video(FILM_DELAY_MS);
  let goesOn = true;
  for (let t = 0; t < length && goesOn; t += step) {
    progress(t / length);
    goesOn = await show(t);
    if (goesOn) await film.add(composed(stage, drawNow, FILM_SIDE));
  }
  const blob = await film.finish();
  if (goesOn) save(blob, `${name}.${film.ending}`);
}
