// What the page asks of a run that goes on: pause denoising, go on, train again. What became of it stands under Events.

const METHODS = [
  ["", "Method of the run"], ["adaptive-sn2n", "Adaptive-SN2N"], ["fm2s", "FM2S"],
  ["noise2sr", "Noise2SR"], ["poisson2void", "Poisson2Void"],
];
const PATIENCE_MS = 10_000;

const options = (pairs) => pairs.map(([value, text]) => Object.assign(document.createElement("option"), { value, textContent: text }));

export class ControlPanel {
  /**
   * @param {HTMLElement} element
   * @param {(request: object) => void} send
   */
  constructor(element, send) {
    const find = (name) => element.querySelector(`[data-part="${name}"]`);
    this.element = element;
    this.send = send;
    this.pause = find("pause");
    this.retrain = find("retrain");
    this.channel = find("channel");
    this.method = find("method");
    this.words = find("answer");
    this.method.replaceChildren(...options(METHODS));
    this.names = "";
    this.paused = false;
    this.pause.onclick = () => this.ask({ command: this.paused ? "continue" : "pause" });
    this.retrain.onclick = () => this.ask({
      command: "retrain",
      ...(this.channel.value && { channel: Number(this.channel.value) }),
      ...(this.method.value && { method: this.method.value }),
    });
  }

  /** Show what can be asked now. */
  take(report) {
    this.element.hidden = !report.commands;
    this.paused = report.paused;
    this.pause.textContent = report.paused ? "Go on denoising" : "Pause denoising";
    this.pause.setAttribute("aria-pressed", report.paused);
    const names = report.series?.channels ?? [];
    if (names.join("\n") === this.names) return;
    this.names = names.join("\n");
    this.channel.hidden = names.length < 2;
    this.channel.replaceChildren(...options([["", "All channels"], ...names.map((name, i) => [i, name || `Channel ${i}`])]));
  }

  ask(request) {
    this.busy(true);
    this.say("Asking …", true);
    this.send(request);
    this.timer = setTimeout(() => { this.busy(false); this.say("The run has not answered.", false); }, PATIENCE_MS);
  }

  /** Show what the run has answered. */
  answer({ ok, text }) {
    clearTimeout(this.timer);
    this.busy(false);
    this.say(text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : "."), ok);
  }

  busy(is) {
    this.pause.disabled = this.retrain.disabled = is;
  }

  say(text, ok) {
    this.words.hidden = false;
    this.words.className = ok ? "" : "warning";
    this.words.textContent = text;
  }
}
