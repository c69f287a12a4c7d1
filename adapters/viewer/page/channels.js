// The list of channels: visibility, colour, contrast, histogram.

import { counts, distribution, Limits } from "./contrast.js";
import { greyLevel } from "./format.js";
import { openMenu } from "./menu.js";

export const COLOURS = [
  ["Grey", [1, 1, 1]], ["Green", [0, 1, 0]], ["Magenta", [1, 0, 1]], ["Cyan", [0, 1, 1]], ["Yellow", [1, 1, 0]],
  ["Orange", [1, 0.55, 0.1]], ["Red", [1, 0.15, 0.15]], ["Blue", [0.25, 0.45, 1]],
];
const FIRST = [1, 2, 3, 4, 5, 6, 7, 0];

const css = (colour) => `rgb(${colour.map((v) => Math.round(255 * v)).join(" ")})`;

/** A channel's colour as CSS, such that it can be seen on the panel. */
export function legible(colour) {
  const light = document.documentElement.dataset.theme === "light";
  const isGrey = colour.every((v) => v === 1);
  return css(light && isGrey ? [0.45, 0.47, 0.5] : light ? colour.map((v) => 0.82 * v) : colour.map((v) => 0.25 + 0.55 * v));
}

export class Channel {
  constructor(index, name, alone) {
    this.index = index;
    this.name = name;
    this.colour = COLOURS[alone ? 0 : FIRST[index % FIRST.length]][1];
    this.visible = true;
    this.limits = { raw: new Limits(), denoised: new Limits() };
    this.distributions = {};
    this.kind = null;
  }

  /** Learn the distributions of a new picture's planes. */
  take(picture) {
    const processed = picture.planes.get("denoised") ?? picture.planes.get("preview");
    const kind = picture.planes.has("denoised") ? "denoised" : picture.planes.has("preview") ? "preview" : null;
    if (kind !== this.kind) this.limits.denoised.fresh = true;
    this.kind = kind;
    this.distributions = {};
    if (picture.planes.has("raw")) this.distributions.raw = distribution(picture.planes.get("raw"));
    if (processed) this.distributions.denoised = distribution(processed);
    if (this.distributions.raw) this.limits.raw.follow(this.distributions.raw);
    const best = this.distributions.denoised ?? this.distributions.raw;
    if (best) this.limits.denoised.follow(best);
  }

  /** Limits of a side; linked, the denoised ones count for both. */
  shown(side, linked) {
    const { low, high } = this.limits[linked ? "denoised" : side];
    return [low, high];
  }
}

export class ChannelList {
  /** @param {HTMLElement} root @param {() => void} changed called when something must be drawn anew */
  constructor(root, changed) {
    this.root = root;
    this.changed = changed;
    this.channels = [];
    this.cards = [];
    this.linked = true;
  }

  /** Take the names of the channels. */
  setNames(names) {
    if (names.length === this.channels.length && names.every((name, i) => name === this.channels[i].name)) return;
    this.channels = names.map((name, i) => {
      const old = this.channels[i];
      if (!old || this.channels.length === 1) return new Channel(i, name, names.length === 1);
      old.name = name;
      return old;
    });
    this.cards = this.channels.map((channel) => this.card(channel));
    this.root.replaceChildren(...this.cards.map((card) => card.root));
    this.refresh();
    this.changed();
  }

  setLinked(linked) {
    this.linked = linked;
    this.refresh();
    this.changed();
  }

  toggle(index) {
    const channel = this.channels[index];
    if (!channel) return;
    channel.visible = !channel.visible;
    this.refresh();
    this.changed();
  }

  /** All channels back to automatic contrast. */
  release() {
    for (const channel of this.channels) this.releaseOne(channel);
    this.refresh();
    this.changed();
  }

  releaseOne(channel) {
    for (const [side, limits] of Object.entries(channel.limits)) {
      limits.release();
      const seen = channel.distributions[side];
      if (seen) limits.follow(seen);
    }
  }

  card(channel) {
    const root = document.createElement("div");
    root.className = "channel";
    root.innerHTML = `<header><button class="swatch" aria-label="Colour"></button><button class="name"></button>
      <button class="chip auto">Auto</button></header><canvas class="histogram" aria-label="Histogram and contrast"></canvas>
      <div class="limits"><input class="low" aria-label="Darkest grey level"><input class="high" aria-label="Brightest grey level"></div>`;
    const find = (selector) => root.querySelector(selector);
    const card = { root, channel, canvas: find("canvas"), low: find(".low"), high: find(".high"), auto: find(".auto"), swatch: find(".swatch"), name: find(".name") };
    card.name.onclick = () => this.toggle(channel.index);
    card.swatch.onclick = () => this.choose(card);
    card.auto.onclick = () => {
      if (channel.limits.denoised.automatic) this.setLimits(channel, ...channel.shown("denoised", true));
      else this.releaseOne(channel);
      this.refresh();
      this.changed();
    };
    for (const input of [card.low, card.high]) {
      input.onchange = () => this.setLimits(channel, parseLevel(card.low.value), parseLevel(card.high.value));
    }
    card.canvas.onpointerdown = (event) => this.drag(card, event);
    card.canvas.ondblclick = () => { this.releaseOne(channel); this.refresh(); this.changed(); };
    return card;
  }

  setLimits(channel, low, high) {
    const sides = this.linked ? ["raw", "denoised"] : ["denoised"];
    for (const side of sides) channel.limits[side].set(low, high);
    this.refresh();
    this.changed();
  }

  /** Grey levels at both ends of a histogram. */
  range(channel) {
    const seen = Object.values(channel.distributions);
    const [low, high] = channel.shown("denoised", true);
    const least = Math.min(low, ...seen.map((d) => d.quantile(0.0005)));
    const most = Math.max(high, ...seen.map((d) => d.quantile(0.9995)));
    const margin = 0.06 * (most - least || 1);
    return [least - margin, most + margin];
  }

  drag(card, event) {
    const { canvas, channel } = card;
    const [from, to] = this.range(channel);
    const level = (e) => from + ((e.clientX - box.left) / box.width) * (to - from);
    const box = canvas.getBoundingClientRect();
    const [low, high] = channel.shown("denoised", true);
    const grip = Math.abs(level(event) - low) < Math.abs(level(event) - high) ? "low" : "high";
    const round = (v) => (channel.isFloat ? v : Math.round(v));
    canvas.setPointerCapture(event.pointerId);
    canvas.onpointermove = (e) => {
      const [l, h] = channel.shown("denoised", true);
      const v = round(Math.min(to, Math.max(from, level(e))));
      this.setLimits(channel, grip === "low" ? v : l, grip === "high" ? v : h);
    };
    canvas.onpointerup = () => { canvas.onpointermove = null; };
  }

  choose(card) {
    openMenu(card.swatch, "palette", COLOURS.map(([name, colour]) => {
      const button = Object.assign(document.createElement("button"), { title: name, ariaLabel: name });
      button.style.background = css(colour);
      button.onclick = () => { card.channel.colour = colour; this.refresh(); this.changed(); };
      return button;
    }));
  }

  /** Bring all cards up to date. */
  refresh() {
    for (const card of this.cards) {
      const { channel } = card;
      const [low, high] = channel.shown("denoised", true);
      card.root.classList.toggle("off", !channel.visible);
      Object.assign(card.name, { textContent: channel.name, title: `${channel.name}: show or hide (${channel.index + 1})` });
      card.swatch.style.background = css(channel.colour);
      card.auto.setAttribute("aria-pressed", channel.limits.denoised.automatic);
      if (document.activeElement !== card.low) card.low.value = greyLevel(low, high - low);
      if (document.activeElement !== card.high) card.high.value = greyLevel(high, high - low);
      this.draw(card, low, high);
    }
  }

  draw({ canvas, channel }, low, high) {
    const ratio = devicePixelRatio;
    const width = Math.round(canvas.clientWidth * ratio), height = Math.round(canvas.clientHeight * ratio);
    if (!width) return;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const pen = canvas.getContext("2d");
    const style = getComputedStyle(document.documentElement);
    const [from, to] = this.range(channel);
    pen.clearRect(0, 0, width, height);
    const trace = (seen, fill) => {
      const { found, place } = counts(seen, from, to);
      const heights = found.map((n) => Math.log1p(n));
      const most = Math.max(...heights) || 1;
      pen.beginPath();
      pen.moveTo(0, height);
      heights.forEach((h, i) => pen.lineTo(((place(i) - from) / (to - from)) * width, height - (h / most) * (height - 6 * ratio)));
      pen.lineTo(width, height);
      if (fill) { pen.fillStyle = fill; pen.fill(); } else { pen.lineWidth = ratio; pen.strokeStyle = style.getPropertyValue("--faint"); pen.stroke(); }
    };
    if (channel.distributions.denoised) trace(channel.distributions.denoised, legible(channel.colour));
    if (channel.distributions.raw) trace(channel.distributions.raw, null);
    pen.fillStyle = style.getPropertyValue("--text");
    for (const level of [low, high]) {
      const x = Math.round(((level - from) / (to - from)) * width);
      pen.fillRect(x - ratio / 2, 0, Math.max(1, ratio), height);
      pen.beginPath();
      pen.arc(x, 5 * ratio, 3.5 * ratio, 0, 7);
      pen.fill();
    }
  }
}

/** A grey level as typed, spaces between thousands allowed. */
function parseLevel(text) {
  return Number(text.replace(/[\s\u202f]/g, "").replace("·10^", "e").replace(",", "."));
}
