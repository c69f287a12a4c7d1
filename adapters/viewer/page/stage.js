// Draws raw and denoised planes with WebGL2. Pixels stay what they are (integers or floats of full depth) until the
// shader applies contrast and colour; both sides share one view.

const VERTEX = `#version 300 es
void main() { gl_Position = vec4(vec2(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0), 0.0, 1.0); }`;

const FRAGMENT = (sampler) => `#version 300 es
precision highp float; precision highp int; precision highp ${sampler};
uniform ${sampler} plane;
uniform vec2 origin;      // where the image's upper left corner lies, pixels of the screen from the canvas' upper left
uniform float canvasHeight, scale, bin;
uniform vec2 fullSize, planeSize, limits;
uniform vec3 colour;
uniform float veil;         // 0 for light that adds up; else the most opaque that a veil over it becomes
out vec4 result;
float at(ivec2 p) { return float(texelFetch(plane, clamp(p, ivec2(0), ivec2(planeSize) - 1), 0).r); }
void main() {
  vec2 place = (vec2(gl_FragCoord.x, canvasHeight - gl_FragCoord.y) - origin) / scale;
  if (any(lessThan(place, vec2(0.0))) || any(greaterThanEqual(place, fullSize))) discard;
  float side = 1.0 / (scale * bin);   // how many pixels of the plane lie under one of the screen
  float value;
  if (side < 1.5) {
    value = at(ivec2(floor(place / bin)));
  } else {                            // averaged, so that noise does not glitter when zoomed out
    int n = int(min(floor(side + 0.5), 8.0));
    vec2 corner = place / bin - 0.5 * side;
    float sum = 0.0;
    for (int j = 0; j < n; j++) for (int i = 0; i < n; i++)
      sum += at(ivec2(floor(corner + (vec2(i, j) + 0.5) * side / float(n))));
    value = sum / float(n * n);
  }
  float share = clamp((value - limits.x) / (limits.y - limits.x), 0.0, 1.0);
  result = veil > 0.0 ? vec4(colour, veil * share) : vec4(colour * share, 1.0);
}`;

const TEXTURES = {
  uint8: ["usampler2D", "R8UI", "RED_INTEGER", "UNSIGNED_BYTE"],
  uint16: ["usampler2D", "R16UI", "RED_INTEGER", "UNSIGNED_SHORT"],
  int16: ["isampler2D", "R16I", "RED_INTEGER", "SHORT"],
  float32: ["sampler2D", "R32F", "RED", "FLOAT"],
};

export class Stage {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    const gl = canvas.getContext("webgl2", { alpha: false, antialias: false, powerPreference: "high-performance" });
    if (!gl) throw new Error("This browser has no WebGL2, which the picture needs. Switch it on, or use a current browser.");
    this.gl = gl;
    this.maxSide = Math.min(65536, gl.getParameter(gl.MAX_TEXTURE_SIZE));
    this.programs = new Map();
    this.textures = new Map();
    gl.bindVertexArray(gl.createVertexArray());
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
  }

  /** Bring a plane to the graphics card. */
  upload(name, plane) {
    const gl = this.gl;
    const [sampler, format, layout, type] = TEXTURES[plane.type];
    let held = this.textures.get(name);
    if (!held || held.type !== plane.type || held.width !== plane.width || held.height !== plane.height) {
      if (held) gl.deleteTexture(held.texture);
      held = { texture: gl.createTexture(), type: plane.type, width: plane.width, height: plane.height };
      this.textures.set(name, held);
      gl.bindTexture(gl.TEXTURE_2D, held.texture);
      gl.texStorage2D(gl.TEXTURE_2D, 1, gl[format], plane.width, plane.height);
      for (const which of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, which, gl.NEAREST);
    }
    gl.bindTexture(gl.TEXTURE_2D, held.texture);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, plane.width, plane.height, gl[layout], gl[type], plane.data);
    Object.assign(held, { sampler, bin: plane.bin, full: [plane.fullWidth, plane.fullHeight] });
  }

  /** Forget a plane. */
  drop(name) {
    const held = this.textures.get(name);
    if (held) this.gl.deleteTexture(held.texture);
    this.textures.delete(name);
  }

  /**
   * Draw everything.
   * @param {{x: number, y: number, width: number, height: number, origin: [number, number], layers: {texture: string,
   *   limits: [number, number], colour: [number, number, number], veil?: number}[]}[]} panels in pixels of the screen
   * @param {number} scale pixels of the screen per pixel of the image
   * @param {[number, number, number]} ground colour around the image
   * @param {[number, number]} size of the image
   */
  draw(panels, scale, ground, size) {
    const gl = this.gl;
    const { width, height } = this.canvas;
    gl.viewport(0, 0, width, height);
    gl.disable(gl.SCISSOR_TEST);
    gl.clearColor(...ground, 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.enable(gl.SCISSOR_TEST);
    for (const panel of panels) {
      const left = Math.max(panel.x, panel.origin[0]), top = Math.max(panel.y, panel.origin[1]);
      const right = Math.min(panel.x + panel.width, Math.ceil(panel.origin[0] + size[0] * scale));
      const bottom = Math.min(panel.y + panel.height, Math.ceil(panel.origin[1] + size[1] * scale));
      if (right <= left || bottom <= top) continue;
      gl.scissor(left, height - bottom, right - left, bottom - top);
      gl.clearColor(0, 0, 0, 1);
      gl.clear(gl.COLOR_BUFFER_BIT);
      gl.enable(gl.BLEND);
      for (const layer of panel.layers) this.drawLayer(layer, panel.origin, scale, height);
      gl.disable(gl.BLEND);
    }
  }

  drawLayer(layer, origin, scale, height) {
    const gl = this.gl;
    const held = this.textures.get(layer.texture);
    if (!held) return;
    const { program, places } = this.program(held.sampler);
    gl.useProgram(program);
    gl.bindTexture(gl.TEXTURE_2D, held.texture);
    gl.uniform2f(places.origin, ...origin);
    gl.uniform1f(places.canvasHeight, height);
    gl.uniform1f(places.scale, scale);
    gl.uniform1f(places.bin, held.bin);
    gl.uniform2f(places.fullSize, ...held.full);
    gl.uniform2f(places.planeSize, held.width, held.height);
    gl.uniform2f(places.limits, ...layer.limits);
    gl.uniform3f(places.colour, ...layer.colour);
    gl.uniform1f(places.veil, layer.veil ?? 0);
    if (layer.veil) gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
    else gl.blendFunc(gl.ONE, gl.ONE);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  program(sampler) {
    if (this.programs.has(sampler)) return this.programs.get(sampler);
    const gl = this.gl;
    const program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT(sampler)]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(`Graphics: ${gl.getProgramInfoLog(program)}`);
    const names = ["origin", "canvasHeight", "scale", "bin", "fullSize", "planeSize", "limits", "colour", "veil"];
    const made = { program, places: Object.fromEntries(names.map((n) => [n, gl.getUniformLocation(program, n)])) };
    this.programs.set(sampler, made);
    return made;
  }

  /** Resolves when the graphics card has drawn everything so far. */
  async drawn() {
    const gl = this.gl;
    const fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    gl.flush();
    for (let tries = 0; tries < 2000; tries++) {
      const status = gl.clientWaitSync(fence, 0, 0);
      if (status !== gl.TIMEOUT_EXPIRED) break;
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
    gl.deleteSync(fence);
  }
}
