// Where the image lies on the screen: one pan and zoom for all panels.

const MOST = 64;

export class View {
  constructor() {
    this.size = [1, 1];
    this.fit();
  }

  /** Show the whole image. */
  fit() {
    this.fitted = true;
    this.zoom = 1;
    this.centre = [this.size[0] / 2, this.size[1] / 2];
  }

  /** Take the size of the image, width and height. */
  setSize(width, height) {
    if (this.size[0] === width && this.size[1] === height) return;
    this.size = [width, height];
    this.fit();
  }

  /** Panels of a layout in pixels of the screen; `ratio` is pixels of the screen per CSS pixel. */
  panels(layout, width, height, split, ratio) {
    const whole = { x: 0, y: 0, width, height };
    const gap = Math.round(ratio * 2);
    const half = Math.floor((width - gap) / 2);
    const at = Math.round(split * width);
    const frames = {
      side: [["raw", { x: 0, y: 0, width: half, height }], ["denoised", { x: width - half, y: 0, width: half, height }]],
      divider: [["raw", { ...whole, width: at }], ["denoised", { ...whole, x: at, width: width - at }]],
      raw: [["raw", whole]],
      denoised: [["denoised", whole]],
    }[layout];
    const reference = layout === "side" ? [half, height] : [width, height];
    if (this.fitted) this.zoom = Math.min(reference[0] / this.size[0], reference[1] / this.size[1]);
    return frames.map(([side, frame]) => {
      const shift = layout === "side" ? frame.x : 0;
      // The corner on a whole pixel, so that at full size one pixel of the image is exactly one of the screen.
      const origin = [0, 1].map((i) => (i ? 0 : shift) + Math.round(reference[i] / 2 - this.centre[i] * this.zoom));
      return { side, ...frame, origin };
    });
  }

  /** Zoom by a factor, keeping the place `point` of the screen where it is. */
  zoomAt(factor, point, panel, smallest) {
    const before = this.place(point, panel);
    this.fitted = false;
    this.zoom = Math.min(MOST, Math.max(smallest, this.zoom * factor));
    const middle = [panel.referenceX, panel.referenceY];
    this.centre = [0, 1].map((i) => before[i] - (point[i] - middle[i]) / this.zoom);
  }

  /** Move by pixels of the screen. */
  move(dx, dy) {
    this.fitted = false;
    this.centre = [this.centre[0] - dx / this.zoom, this.centre[1] - dy / this.zoom].map((v, i) => Math.min(this.size[i], Math.max(0, v)));
  }

  /** Place in the image (x, y) of a point of the screen. */
  place(point, panel) {
    return [0, 1].map((i) => (point[i] - panel.origin[i]) / this.zoom);
  }
}
