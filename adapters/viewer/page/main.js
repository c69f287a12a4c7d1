// The page: brings the connection, the picture, the sliders, the channels and the charts together.

import { ChannelList, legible } from "./channels.js";
import { Charts } from "./charts.js";
import { ControlPanel } from "./control.js";
import { MARKS, standIn, verdicts, worst } from "./doubts.js";
import { clock, count, duration, length, number, roundLength } from "./format.js";
import { Link } from "./link.js";
import { openMenu } from "./menu.js";
import { saveFilm, savePicture } from "./saving.js";
import { Stage } from "./stage.js";
import { Timeline } from "./timeline.js";
import { videoEnding } from "./video.js";
import { View } from "./view.js";

const find = (id) => document.getElementById(id);
const LAYOUTS = ["side", "divider", "raw", "denoised"];
const STREAMS = ["raw", "denoised", "preview"];
const EVENTS_SHOWN = 200;
const BEHIND = { "less-overlap": "tiles with less overlap", "larger-tiles": "larger tiles, edges may show" };

const saved = JSON.parse(localStorage.getItem("quietscope") ?? "{}");
const remember = (changes) => localStorage.setItem("quietscope", JSON.stringify(Object.assign(saved, changes)));

const stageElement = find("stage"), canvas = find("image");
const pictures = new Map();          // newest picture of each channel
const waiting = new Set();           // resolved when what has arrived is on the screen
let layout = LAYOUTS.includes(saved.layout) ? saved.layout : "side";
let doubt = saved.doubt === true;   // whether doubtful places are marked
let split = 0.5, report = null, connected = false, dirty = true, pointer = null, panels = [], filming = false;
let delays = [];
let lastEvent = -1;

let stage;
try {
  stage = new Stage(canvas);
} catch (error) {
  notice(error.message);
  throw error;
}
const view = new View();
const timeline = new Timeline(() => { want(); refreshState(); });
const charts = new Charts(find("charts"), (index) => ({ name: channels.channels[index]?.name ?? "", colour: legible(channels.channels[index]?.colour ?? [1, 1, 1]) }));
const channels = new ChannelList(find("channels"), () => { want(); charts.redraw(); redraw(); });
const link = new Link({ report: takeReport, picture: takePicture, state: takeState, answer: (answer) => control.answer(answer) });
const control = new ControlPanel(find("control"), (request) => link.ask(request));

function want() {
  const visible = channels.channels.filter((channel) => channel.visible).map((channel) => channel.index);
  const streams = { raw: ["raw"], denoised: ["denoised", "preview"] }[layout] ?? STREAMS;
  const trust = doubt && layout !== "raw" ? ["trust"] : [];
  link.want({ ...timeline.wanted, channels: visible, streams: [...streams, ...trust], max_side: stage.maxSide });
}

// ---- what comes from the server

function takeState(isConnected, reason) {
  connected = isConnected;
  if (!isConnected && reason) notice(reason);
  refreshState();
}

function takeReport(news) {
  report = news;
  if (news.series) {
    channels.setNames(Array.from({ length: Math.max(news.series.channels.length, news.lengths.c) }, (_, i) => news.series.channels[i] || `Channel ${i}`));
    view.setSize(news.series.width, news.series.height);
  }
  timeline.take(news);
  charts.take(news);
  control.take(news);
  addEvents(news.events);
  refreshFigures();
  refreshState();
  want();
  redraw();
}

async function takePicture(picture) {
  if (picture.live && !timeline.follow) return;
  const channel = channels.channels[picture.key.c];
  if (!channel) return;
  const added = picture.planes, before = pictures.get(picture.key.c);
  if (picture.adds && !completed(picture, before)) return;
  standIn(picture, before, redraw);
  pictures.set(picture.key.c, picture);
  const processed = picture.planes.get("denoised") ?? picture.planes.get("preview");
  for (const [side, plane] of [["raw", picture.planes.get("raw")], ["denoised", processed], ["trust", picture.planes.get("trust")]]) {
    if (plane && [...added.values()].includes(plane)) stage.upload(`${side}/${picture.key.c}`, plane);
    else if (!plane) stage.drop(`${side}/${picture.key.c}`);
  }
  const any = processed ?? picture.planes.get("raw");
  if (any) view.setSize(any.fullWidth, any.fullHeight);
  channel.isFloat = any?.type === "float32";
  if (!picture.adds) {
    channel.take(picture);
    channels.refresh();
  }
  await new Promise((resolve) => { waiting.add(resolve); redraw(); });
  await stage.drawn();
  await new Promise(requestAnimationFrame);
  const delay = Date.now() - picture.published_ms;
  if (picture.live && picture.published_ms > 0 && !picture.adds) {
    delays = [...delays.slice(-199), { t: picture.key.t, c: picture.key.c, ms: delay }];
  }
  timeline.shown(picture.key);
  refreshState();
  const visible = channels.channels.filter((c) => c.visible);
  canvas.dataset.shown = visible.map((c) => pictures.get(c.index)).filter(Boolean)
    .map(({ key, planes }) => `${key.t}/${key.c}/${[...planes.keys()].join("+")}`).join(" ");
  if (visible.every((c) => pictures.get(c.index)?.key.t === timeline.t)) timeline.arrived();
}

/** Complete a picture that only adds planes by those that are here already; false if they are of another place. */
function completed(picture, here) {
  if (!here || ["t", "c", "z", "p"].some((axis) => here.key[axis] !== picture.key[axis])) return false;
  picture.planes = new Map([...here.planes, ...picture.planes]);
  return true;
}

// ---- drawing

function redraw() {
  if (!dirty) requestAnimationFrame(paint);
  dirty = true;
}

/** Bring the places of the panels up to date. */
function arrange() {
  const ratio = devicePixelRatio;
  const width = Math.round(stageElement.clientWidth * ratio), height = Math.round(stageElement.clientHeight * ratio);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  panels = width && height ? view.panels(layout, width, height, split, ratio) : [];
}

function paint() {
  dirty = false;
  const ratio = devicePixelRatio;
  arrange();
  for (const panel of panels) {
    panel.layers = channels.channels.filter((c) => c.visible && pictures.has(c.index)).map((channel) => ({
      texture: `${panel.side}/${channel.index}`,
      limits: channel.shown(panel.side, channels.linked),
      colour: channel.colour,
    }));
    if (panel.side === "denoised" && doubt) panel.layers.push(...shownPictures().map(({ key }) => ({ texture: `trust/${key.c}`, ...MARKS })));
  }
  const ground = getComputedStyle(document.documentElement).getPropertyValue("--stage").trim();
  const rgb = [1, 3, 5].map((i) => parseInt(ground.slice(i, i + 2), 16) / 255);
  stage.draw(pictures.size ? panels : [], view.zoom, rgb, view.size);
  captions(ratio);
  refreshDoubts();
  scaleBar(ratio);
  readout();
  find("notice").hidden = pictures.size > 0;
  for (const resolve of waiting) resolve();
  waiting.clear();
}

const shownPictures = () => channels.channels.filter((c) => c.visible).map((c) => pictures.get(c.index)).filter(Boolean);

/** The traffic lights of what is on the screen, with their reasons. */
function refreshDoubts() {
  const shown = shownPictures();
  find("trust").hidden = !doubt && !worst(shown);
  find("verdicts").replaceChildren(...verdicts(shown, channels.channels.map((channel) => channel.name)));
}

function captions(ratio) {
  const shown = shownPictures();
  const names = { raw: find("caption-raw"), denoised: find("caption-denoised") };
  for (const [side, element] of Object.entries(names)) {
    const panel = panels.find((p) => p.side === side);
    element.className = "caption";
    if (!panel || !shown.length) { element.textContent = ""; continue; }
    if (layout === "divider" && side === "denoised") Object.assign(element.style, { left: "auto", right: "12px" });
    else Object.assign(element.style, { left: `${panel.x / ratio + 12}px`, right: "auto" });
    const [text, more, kind] = side === "raw" ? rawCaption(shown) : denoisedCaption(shown);
    element.textContent = text;
    if (kind) element.classList.add(kind);
    const small = document.createElement("small");
    small.textContent = more;
    const judged = side === "denoised" && !kind && worst(shown);
    if (judged) {
      const light = document.createElement("i");
      light.dataset.light = judged.light;
      element.append(light);
      if (judged.light !== "green") small.textContent = [more, judged.reason].filter(Boolean).join("; ");
    }
    if (small.textContent) element.append(small);
  }
  const divider = find("divider");
  divider.hidden = layout !== "divider";
  divider.style.left = `${split * 100}%`;
}

const coarse = (shown) => {
  const bin = Math.max(...shown.flatMap((picture) => [...picture.planes.values()].map((plane) => plane.bin)));
  return bin > 1 ? `${bin} × ${bin} pixels averaged, slow link` : "";
};

function rawCaption(shown) {
  return shown.some((picture) => picture.planes.has("raw")) ? ["Raw", coarse(shown), ""] : ["Raw: not recorded", "", "missing"];
}

function denoisedCaption(shown) {
  const without = shown.filter((picture) => !picture.planes.has("denoised"));
  const names = shown.length > 1 && without.length < shown.length ? `${without.map((p) => channels.channels[p.key.c].name).join(", ")}: ` : "";
  const hurried = shown.map((picture) => BEHIND[picture.quality]).find(Boolean);
  if (!without.length) return ["Denoised", [coarse(shown), hurried].filter(Boolean).join("; "), ""];
  const behind = without.some((picture) => picture.quality !== "full");
  if (without.some((picture) => picture.planes.has("preview"))) return ["Preview", `${names}simple filter, ${behind ? "the computer is behind" : "no model yet"}`, "preview"];
  const refused = without.filter(({ key }) => report?.models[key.c]?.accepted === false);
  if (refused.length) return ["Not denoised", `${names}no model has passed the tests`, "missing"];
  if (behind) return ["Not denoised yet", `${names}the computer is behind`, "missing"];
  return [report?.running || report?.counts.raw ? "Not denoised yet" : "Not denoised", names.replace(": ", ""), "missing"];
}

function scaleBar(ratio) {
  const bar = find("scalebar"), pixel = report?.series?.pixel_size_um;
  bar.hidden = !pixel || !pictures.size;
  if (bar.hidden) return;
  const perUm = view.zoom / ratio / pixel;
  const um = roundLength(Math.min(160, stageElement.clientWidth / 5) / perUm);
  bar.querySelector("i").style.width = `${um * perUm}px`;
  bar.querySelector("span").textContent = length(um);
}

function readout() {
  const output = find("readout");
  const panel = pointer && panelAt(pointer);
  const [x, y] = panel ? view.place(pointer, panel).map(Math.floor) : [-1, -1];
  output.hidden = !panel || x < 0 || y < 0 || x >= view.size[0] || y >= view.size[1] || !pictures.size;
  if (output.hidden) return;
  const parts = channels.channels.filter((c) => c.visible && pictures.has(c.index)).map((channel) => {
    const { key, planes } = pictures.get(channel.index);
    const raw = valueAt(planes.get("raw"), x, y), denoised = valueAt(planes.get("denoised"), x, y), preview = valueAt(planes.get("preview"), x, y);
    const values = [["raw", raw], ["denoised", denoised], ["preview", preview]].filter(([, v]) => v !== null);
    return `<b>${channels.channels.length > 1 ? `${escaped(channel.name)} ` : ""}</b>${values.map(([name, v]) => `<span>${name}</span> <b data-value="${name}/${channel.index}" data-t="${key.t}">${v}</b>`).join("&ensp;")}`;
  });
  output.innerHTML = [`<span>x</span> ${x} <span>y</span> ${y}`, ...parts].map((part) => `<div>${part}</div>`).join("");
}

/** The grey level of a plane at a place, in words; null if the plane is not there. */
function valueAt(plane, x, y) {
  if (!plane) return null;
  const value = plane.data[Math.floor(y / plane.bin) * plane.width + Math.floor(x / plane.bin)];
  return `${plane.bin > 1 ? "≈ " : ""}${number(value, 6)}`;
}

const escaped = (text) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

// ---- words and figures

function refreshState() {
  const state = find("state");
  const live = report?.running;
  const [kind, text] = !connected ? ["lost", report ? "No connection, trying again" : "Connecting"]
    : !report ? ["waiting", "Waiting for the run"]
    : live && report.paused && timeline.follow ? ["paused", "Live, denoising is paused"]
    : live && timeline.follow && report.behind ? ["behind", `Live, behind: ${report.behind}`]
    : live && timeline.follow ? ["live", report.progress ? `Live, ${report.progress}` : "Live"]
    : live ? ["paused", `Recording goes on, you look at t ${timeline.t}`]
    : !report.lengths.t ? ["waiting", "No frames yet"]
    : ["ended", "Recorded"];
  state.dataset.kind = kind;
  state.querySelector("span").textContent = text;
  if (report) Object.assign(find("run-name"), { textContent: report.name, title: report.name });
  document.title = report ? `${pictures.size ? `t ${timeline.key?.t} · ` : ""}${report.name} · quietscope` : "quietscope";
}

function refreshFigures() {
  const { counts, series, models } = report;
  const received = (counts.raw ?? 0) + (counts.denoised ?? 0) + (counts.skipped ?? 0);
  const rows = [["Stored", count(received, "frame", "frames")], ["Denoised", number(counts.denoised ?? 0, 6)]];
  if (counts.raw) rows.push(["Waiting", number(counts.raw, 6)]);
  if (counts.skipped) rows.push(["Left out", number(counts.skipped, 6)]);
  if (counts.rejected) rows.push(["Rejected", number(counts.rejected, 6)]);
  if (series) rows.push(["Image", `${series.width} × ${series.height}, ${{ uint8: "8 bit", uint16: "16 bit", int16: "16 bit", float32: "32 bit" }[series.type]}`]);
  for (const [c, model] of Object.entries(models)) {
    const name = series?.channels[c] ?? `Channel ${c}`;
    if (!model.accepted) rows.push([name, "model refused"]);
    else if (model.photons) rows.push([name, `brightest ≈ ${number(model.photons, 2)} photons`]);
  }
  for (const [name, share] of charts.fading(report)) rows.push([name, `${Math.round(100 * share)} % of the light left`]);
  const times = delays.map((d) => d.ms).sort((a, b) => a - b);
  if (times.length > 4) rows.push(["Published to screen", duration(times[times.length >> 1])]);
  find("figures").replaceChildren(...rows.flatMap(([name, value]) => [Object.assign(document.createElement("dt"), { textContent: name, title: name }), Object.assign(document.createElement("dd"), { textContent: value })]));
}

function addEvents(events) {
  const list = find("events");
  for (const event of events) {
    if (event.number <= lastEvent) continue; // after a lost connection the server tells everything again
    lastEvent = event.number;
    const item = document.createElement("li");
    const time = Object.assign(document.createElement("time"), { textContent: clock(event.time_ms), title: new Date(event.time_ms).toLocaleString() });
    item.append(time, Object.assign(document.createElement("span"), { className: event.level, textContent: event.text }));
    list.prepend(item);
  }
  while (list.children.length > EVENTS_SHOWN) list.lastChild.remove();
}

function notice(text) {
  find("notice").hidden = false;
  find("notice").firstElementChild.textContent = text;
}

// ---- hands

function setLayout(name) {
  layout = name;
  remember({ layout });
  for (const button of find("layout").children) button.setAttribute("aria-pressed", button.dataset.layout === name);
  want();
  redraw();
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  remember({ theme });
  charts.redraw();
  channels.refresh();
  timeline.refresh();
  redraw();
}

function panelAt(point) {
  if (dirty) arrange();
  const panel = panels.find((p) => point[0] >= p.x && point[0] < p.x + p.width && point[1] >= p.y && point[1] < p.y + p.height);
  if (!panel) return null;
  const shift = layout === "side" ? panel.x : 0;
  const width = layout === "side" ? panel.width : canvas.width;
  return { ...panel, referenceX: shift + width / 2, referenceY: canvas.height / 2 };
}

const toPixels = (event) => {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) * devicePixelRatio, (event.clientY - box.top) * devicePixelRatio];
};

function zoomBy(factor, point) {
  const panel = panelAt(point ?? pointer ?? [canvas.width / 4, canvas.height / 2]);
  if (!panel) return;
  const fit = Math.min(canvas.width / view.size[0], canvas.height / view.size[1]);
  const middle = [panel.referenceX, panel.referenceY];
  view.zoomAt(factor, point ?? pointer ?? middle, panel, Math.min(1, fit) / 4);
  redraw();
}

canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoomBy(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)), toPixels(event));
}, { passive: false });
canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  canvas.classList.add("moving");
});
canvas.addEventListener("pointermove", (event) => {
  pointer = toPixels(event);
  if (event.buttons & 1) view.move(event.movementX * devicePixelRatio, event.movementY * devicePixelRatio);
  if (event.buttons & 1) redraw(); else readout();
});
canvas.addEventListener("pointerup", () => canvas.classList.remove("moving"));
canvas.addEventListener("pointerleave", () => { pointer = null; readout(); });
canvas.addEventListener("dblclick", () => { view.fit(); redraw(); });

find("divider").addEventListener("pointerdown", (event) => {
  const element = event.currentTarget;
  element.setPointerCapture(event.pointerId);
  element.onpointermove = (move) => {
    const box = stageElement.getBoundingClientRect();
    split = Math.min(0.98, Math.max(0.02, (move.clientX - box.left) / box.width));
    redraw();
  };
  element.onpointerup = () => { element.onpointermove = null; };
});

const name = () => `${report?.name ?? "quietscope"}_t${timeline.key?.t ?? 0}`;
const picture = () => pictures.size && savePicture(stageElement, paint, name());

async function film(kind) {
  if (filming || !report || report.lengths.t < 2) { filming = false; return; }
  filming = true;
  const before = { follow: timeline.follow, t: timeline.t };
  const show = (t) => new Promise((resolve) => {
    timeline.stop();
    timeline.go(t);
    const started = performance.now();
    const look = () => {
      const shown = channels.channels.filter((c) => c.visible).every((c) => pictures.get(c.index)?.key.t === t);
      if (!filming || shown || performance.now() - started > 10_000) resolve(filming);
      else setTimeout(look, 10);
    };
    look();
  });
  const button = find("movie"), title = button.title;
  await saveFilm(kind, stageElement, paint, report.name, report.lengths.t, show, (share) => { button.title = `${Math.round(100 * share)} %, again to stop`; });
  button.title = title;
  filming = false;
  if (before.follow) timeline.setFollow(true);
  else timeline.go(before.t);
}

const FILMS = [["gif", "GIF: plays everywhere, 256 colours"], ...(videoEnding ? [["video", `${videoEnding.toUpperCase()}: sharper and smaller`]] : [])];

/** Ask which film is wanted; stop one that is being made. */
function chooseFilm() {
  if (filming) { film(); return; }
  openMenu(find("movie"), "choices", FILMS.map(([kind, words]) => Object.assign(document.createElement("button"), { textContent: words, onclick: () => film(kind) })));
}

const toggleTheme = () => setTheme(document.documentElement.dataset.theme === "light" ? "dark" : "light");
const setDoubt = (on) => {
  doubt = on;
  remember({ doubt });
  find("doubt").setAttribute("aria-pressed", doubt);
  want();
  redraw();
};
const toggleDoubt = () => setDoubt(!doubt);
const toggleSide = () => { document.querySelector("main").classList.toggle("wide"); redraw(); };
const toggleKeys = () => (find("keys").open ? find("keys").close() : find("keys").showModal());
const toggleLinked = () => { find("linked").checked = !find("linked").checked; channels.setLinked(find("linked").checked); };
const fit = () => { view.fit(); redraw(); };
/** One pixel of the image is one of the screen. */
const fullSize = () => {
  if (dirty) arrange(); // a fitted picture has another zoom in another layout
  zoomBy(1 / view.zoom);
};

find("layout").onclick = (event) => event.target.dataset.layout && setLayout(event.target.dataset.layout);
find("doubt").onclick = toggleDoubt;
find("fit").onclick = fit;
find("snapshot").onclick = picture;
find("movie").onclick = chooseFilm;
find("theme").onclick = toggleTheme;
find("help").onclick = toggleKeys;
find("linked").onchange = (event) => channels.setLinked(event.target.checked);

const KEYS = {
  " ": () => timeline.togglePlay(), l: () => timeline.setFollow(!timeline.follow),
  "[": () => timeline.select("z", (timeline.z ?? timeline.key?.z ?? 0) - 1), "]": () => timeline.select("z", (timeline.z ?? timeline.key?.z ?? 0) + 1),
  v: () => setLayout(LAYOUTS[(LAYOUTS.indexOf(layout) + 1) % LAYOUTS.length]),
  t: toggleDoubt, a: () => channels.release(), c: toggleLinked, f: fit, h: toggleSide, p: picture, m: chooseFilm, d: toggleTheme, "?": toggleKeys,
  "+": () => zoomBy(1.25), "=": () => zoomBy(1.25), "-": () => zoomBy(0.8), 0: fullSize,
};
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target instanceof HTMLSelectElement) return;
  if (event.target instanceof HTMLInputElement && event.target.type !== "range" && event.target.type !== "checkbox") return;
  const arrow = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (arrow) timeline.step(arrow * (event.shiftKey ? 10 : 1));
  else if (/^[1-9]$/.test(event.key)) channels.toggle(Number(event.key) - 1);
  else if (KEYS[event.key.toLowerCase()]) KEYS[event.key.toLowerCase()]();
  else return;
  event.preventDefault();
  if (event.target instanceof HTMLButtonElement) event.target.blur();
});

new ResizeObserver(() => { timeline.refresh(); redraw(); }).observe(stageElement);
document.documentElement.dataset.theme = saved.theme ?? (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark");
setDoubt(doubt);
setLayout(layout);
dirty = false;
redraw();

/** For measurements: times from publication to the screen, milliseconds, of the last live pictures. */
globalThis.quietscope = { get delays() { return delays; } };
