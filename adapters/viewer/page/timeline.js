// The bar at the bottom: time, z, position, playing, following.

const FASTEST_MS = 80;

export class Timeline {
  /** @param {(wanted: object) => void} changed called when another place is wanted */
  constructor(changed) {
    this.changed = changed;
    this.follow = true;
    this.playing = false;
    this.t = 0;
    this.z = null;
    this.p = null;
    this.lengths = { t: 0, c: 0, z: 0, p: 0 };
    this.running = null;
    const find = (id) => document.getElementById(id);
    this.time = find("time");
    this.ledger = find("ledger");
    this.now = find("now");
    this.last = find("last");
    this.followButton = find("follow");
    this.playButton = find("play");
    this.axes = { z: find("axis-z"), p: find("axis-p") };
    this.time.oninput = () => this.go(Number(this.time.value));
    this.followButton.onclick = () => this.setFollow(!this.follow);
    this.playButton.onclick = () => this.togglePlay();
    for (const [name, label] of Object.entries(this.axes)) {
      label.querySelector("input").oninput = (event) => this.select(name, Number(event.target.value));
      label.querySelector("button").onclick = () => { this[name] = this[name] === null ? this.key?.[name] ?? 0 : null; this.tell(); };
    }
  }

  /** What is wanted now, as the server understands it. */
  get wanted() {
    if (this.follow) return { follow: true, t: 0, z: this.z, p: this.p };
    return { follow: false, t: this.t, z: this.z ?? this.key?.z ?? null, p: this.p ?? this.key?.p ?? null };
  }

  /** Take a report of the run. */
  take(report) {
    const grew = report.lengths.t !== this.lengths.t;
    this.lengths = report.lengths;
    this.states = report.timeline;
    if (this.running !== report.running) {
      this.running = report.running;
      if (!report.running && this.follow) this.t = Math.max(0, this.lengths.t - 1);
    }
    this.followButton.hidden = !report.running;
    for (const [name, label] of Object.entries(this.axes)) {
      label.hidden = this.lengths[name] < 2;
      label.querySelector("input").max = Math.max(0, this.lengths[name] - 1);
    }
    this.time.max = Math.max(0, this.lengths.t - 1);
    if (grew && this.follow) this.time.value = this.time.max;
    this.refresh();
  }

  /** Note what is on the screen. */
  shown(key) {
    this.key = key;
    if (this.follow) {
      this.t = key.t;
      this.time.max = Math.max(Number(this.time.max), key.t);
      this.time.value = key.t;
    }
    this.refresh();
  }

  go(t) {
    this.follow = false;
    this.t = Math.max(0, Math.min(this.lengths.t - 1, t));
    this.time.value = this.t;
    this.tell();
  }

  step(by) {
    this.stop();
    this.go((this.follow ? this.key?.t ?? 0 : this.t) + by);
  }

  select(axis, value) {
    this[axis] = Math.max(0, Math.min(this.lengths[axis] - 1, value));
    this.tell();
  }

  setFollow(follow) {
    if (follow && !this.running) return;
    this.stop();
    this.follow = follow;
    if (!follow) this.t = this.key?.t ?? this.t;
    this.tell();
  }

  togglePlay() {
    if (this.playing) { this.stop(); this.refresh(); return; }
    if (this.lengths.t < 2) return;
    if (this.follow || this.t >= this.lengths.t - 1) this.t = 0;
    this.playing = true;
    this.go(this.t);
  }

  stop() {
    this.playing = false;
    clearTimeout(this.timer);
  }

  /** The wanted picture is complete on the screen: play on. */
  arrived() {
    if (!this.playing) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      if (this.t + 1 < this.lengths.t) this.go(this.t + 1);
      else { this.stop(); this.refresh(); }
    }, FASTEST_MS);
  }

  tell() {
    this.refresh();
    this.changed(this.wanted);
  }

  refresh() {
    const t = this.follow ? this.key?.t : this.t;
    this.now.textContent = t === undefined || !this.lengths.t ? "t –" : `t ${t}`;
    this.last.textContent = this.lengths.t ? this.lengths.t - 1 : "";
    this.followButton.setAttribute("aria-pressed", this.follow);
    this.playButton.disabled = this.lengths.t < 2;
    this.playButton.querySelector("path").setAttribute("d", this.playing ? "M6 4h3v12H6zM11 4h3v12h-3z" : "M6 4l10 6-10 6z");
    for (const [name, label] of Object.entries(this.axes)) {
      const value = this[name] ?? this.key?.[name] ?? 0;
      label.querySelector("input").value = value;
      label.querySelector("span").textContent = `${value} / ${Math.max(0, this.lengths[name] - 1)}`;
      label.querySelector("button").hidden = !this.running || !this.follow;
      label.querySelector("button").setAttribute("aria-pressed", this[name] === null);
    }
    this.draw();
  }

  /** The strip under the slider: what is denoised, waiting or left out. */
  draw() {
    const { ledger } = this;
    const width = Math.round(ledger.clientWidth * devicePixelRatio);
    if (!width || !this.states) return;
    ledger.width = width;
    ledger.height = 1;
    const pen = ledger.getContext("2d");
    const style = getComputedStyle(document.documentElement);
    const colours = { d: "--done", r: "--todo", s: "--left-out", "-": "--line" };
    const part = width / this.states.length;
    [...this.states].forEach((state, i) => {
      pen.fillStyle = style.getPropertyValue(colours[state]);
      pen.fillRect(Math.floor(i * part), 0, Math.ceil(part) + 1, 1);
    });
  }
}
