// Small charts of a run's figures over time.

import uPlot from "./vendor/uPlot.esm.js";
import { clock, duration, number } from "./format.js";

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

class Chart {
  constructor(root, { title, words, place, zero, paint }) {
    this.words = words;
    this.paint = paint;
    this.place = place;
    this.root = document.createElement("div");
    this.root.className = "chart";
    this.root.innerHTML = "<header><span></span><span></span></header>";
    [this.title, this.value] = this.root.querySelectorAll("span");
    this.title.textContent = title;
    this.name = title;
    this.series = 0;
    this.zero = zero;
    root.append(this.root);
  }

  make(count) {
    this.plot?.destroy();
    this.series = count;
    const lines = Array.from({ length: count }, (_, i) => ({
      stroke: () => this.colour(i),
      width: 1.5, points: { show: false }, spanGaps: true,
    }));
    this.plot = new uPlot({
      width: this.root.clientWidth || 280, height: 46, legend: { show: false }, padding: [5, 4, 5, 4],
      scales: { x: { time: false }, y: { range: (_, low, high) => this.range(low, high) } },
      axes: [{ show: false }, { show: false }],
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
      series: [{}, ...lines],
      hooks: { setCursor: [() => this.say()] },
    }, [[], ...lines.map(() => [])], this.root);
  }

  range(low, high) {
    if (low === null) return [0, 1];
    const from = this.zero ? Math.min(0, low) : low;
    const margin = 0.08 * (high - from) || Math.abs(high) * 0.1 || 1;
    return [from - (this.zero ? 0 : margin), high + margin];
  }

  /** Colour of a line: its channel's, where there are several. */
  colour(line) {
    return this.series > 1 ? this.paint(this.channels[line]).colour : colour("--curve");
  }

  /** Show samples: x, then one array for each line; `channels` are those of the lines, where they belong to some. */
  show(data, channels = []) {
    this.data = data;
    this.channels = channels;
    if (this.series !== data.length - 1) this.make(data.length - 1);
    if (this.plot.width !== this.root.clientWidth && this.root.clientWidth) this.plot.setSize({ width: this.root.clientWidth, height: 46 });
    this.plot.setData(data);
    this.say();
  }

  say() {
    if (!this.plot || !this.data[0].length) return;
    const hovered = this.plot.cursor.idx;
    const at = hovered ?? this.data[0].length - 1;
    this.value.replaceChildren(...this.data.slice(1).map((line, i) => {
      const value = Object.assign(document.createElement("span"), { textContent: this.words(line[at] ?? lastOf(line, at)) });
      if (this.series > 1) {
        const dot = document.createElement("i");
        dot.style.background = this.colour(i);
        value.prepend(dot);
        value.title = this.paint(this.channels[i]).name;
      }
      return value;
    }));
    this.title.textContent = hovered === null || hovered === undefined ? this.name : this.place(this.data[0][at]);
  }

  redraw() {
    this.plot?.redraw(false);
    this.say();
  }
}

const lastOf = (line, at) => {
  for (let i = at; i >= 0; i--) if (line[i] !== null && line[i] !== undefined) return line[i];
  return null;
};

/** Put several curves on one x axis. */
function joined(curves) {
  const rows = new Map();
  curves.forEach(({ x, y }, i) => x.forEach((at, j) => {
    if (!rows.has(at)) rows.set(at, Array(curves.length).fill(null));
    rows.get(at)[i] = y[j];
  }));
  const places = [...rows.keys()].sort((a, b) => a - b);
  return [places, ...curves.map((_, i) => places.map((at) => rows.get(at)[i]))];
}

const CHARTS = [
  ["rate", { title: "Frames per second", words: (v) => number(v, 2), zero: true }],
  ["delay", { title: "Camera to denoised", words: (v) => duration(v), zero: true }],
  ["waiting", { title: "Waiting to be denoised", words: (v) => `${number(Math.round(v), 6)} frames`, zero: true }],
  ["ring", { title: "Memory buffer used", words: (v) => `${Math.round(v)} %`, zero: true }],
  ["loss", { title: "Training loss", words: (v) => number(v, 3) }],
];

export class Charts {
  /** @param {HTMLElement} root @param {(channel: number) => {name: string, colour: string}} paint look of a channel's line */
  constructor(root, paint) {
    this.root = root;
    this.paint = paint;
    this.curves = new Map();
    this.charts = new Map();
  }

  /** Take new samples of a report. */
  take(report) {
    for (const [name, { start, x, y }] of Object.entries(report.curves)) {
      const held = start === 0 ? { x: [], y: [] } : this.curves.get(name) ?? { x: [], y: [] };
      held.x.splice(start, Infinity, ...x);
      held.y.splice(start, Infinity, ...y);
      this.curves.set(name, held);
    }
    for (const [name, options] of CHARTS) {
      const found = [...this.curves.keys()].filter((key) => key === name || key.startsWith(`${name}/`)).sort();
      const dull = name === "ring" && !this.curves.get("ring")?.y.some((v) => v >= 1);
      if (found.length && !dull) this.chart(name, { ...options, place: (at) => clock(at * 1000) }).show(joined(found.map((key) => this.curves.get(key))), found.map((key) => Number(key.split("/")[1])));
    }
    this.light(report);
  }

  light(report) {
    const measured = Object.entries(report.light).filter(([, [t]]) => t.length > 1);
    if (!measured.length) return;
    const known = measured.every(([c]) => report.models[c]?.gain);
    const curves = measured.map(([c, [x, y]]) => {
      const { gain, offset } = report.models[c] ?? {};
      return { x, y: known ? y.map((v) => (v - offset) / gain) : y };
    });
    const title = known ? "Photons per pixel, mean" : "Mean grey level, raw";
    const words = (v) => number(v, 3);
    const chart = this.chart("light", { title, words, place: (t) => `at t ${t}`, zero: known });
    chart.name = title;
    chart.show(joined(curves), measured.map(([c]) => Number(c)));
  }

  chart(name, options) {
    if (!this.charts.has(name)) this.charts.set(name, new Chart(this.root, { ...options, paint: this.paint }));
    return this.charts.get(name);
  }

  /** How much of the light at the start is left, per channel: [name, share]. */
  fading(report) {
    return Object.entries(report.light).flatMap(([c, [t, means]]) => {
      const offset = report.models[c]?.offset;
      if (t.length < 8 || offset === null || offset === undefined) return [];
      const n = Math.max(2, Math.floor(t.length / 10));
      const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length - offset;
      const first = mean(means.slice(0, n)), last = mean(means.slice(-n));
      return first > 0 ? [[report.series.channels[c] ?? `Channel ${c}`, last / first]] : [];
    });
  }

  /** The colours have changed. */
  redraw() {
    for (const chart of this.charts.values()) chart.redraw();
  }
}
