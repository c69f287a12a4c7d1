// Films as video files, made by the browser's own encoder.

// H.264 in MP4 is what slides and lab books take; where the browser may not write it, VP9 in WebM.
const FORMATS = ["video/mp4;codecs=avc1.640028", "video/mp4;codecs=avc1.42e028", "video/webm;codecs=vp9", "video/webm"];
const BITS_PER_PIXEL = 0.6; // noise is most of a raw picture, and a film that blurs it is no comparison

/** What this browser can write, or undefined. */
const format = globalThis.MediaRecorder && FORMATS.find((type) => MediaRecorder.isTypeSupported(type));

/** "mp4", "webm", or undefined where the browser writes no video. */
export const videoEnding = format?.slice(6).split(";")[0];

export class Video {
  /** @param {number} delay milliseconds that each frame is shown */
  constructor(delay) {
    this.delay = delay;
    this.ending = videoEnding;
    this.parts = [];
  }

  /** Add a frame; takes as long as it is shown, since the recorder goes by the clock and rests in between. */
  async add(frame) {
    if (!this.recorder) this.start(frame);
    else this.recorder.resume();
    this.pen.drawImage(frame, 0, 0);
    this.track.requestFrame();
    await new Promise((resolve) => setTimeout(resolve, this.delay));
    this.recorder.pause();
  }

  start({ width, height }) {
    // H.264 takes even sizes only.
    const canvas = Object.assign(document.createElement("canvas"), { width: width & ~1, height: height & ~1 });
    this.pen = canvas.getContext("2d");
    const stream = canvas.captureStream(0);
    [this.track] = stream.getVideoTracks();
    const bits = Math.round((BITS_PER_PIXEL * width * height * 1000) / this.delay);
    this.recorder = new MediaRecorder(stream, { mimeType: format, videoBitsPerSecond: bits });
    this.recorder.ondataavailable = (event) => this.parts.push(event.data);
    this.recorder.start();
  }

  /** The film as a file. */
  async finish() {
    if (this.recorder) {
      const stopped = new Promise((resolve) => { this.recorder.onstop = resolve; });
      this.recorder.stop();
      await stopped;
      this.track.stop();
    }
    return new Blob(this.parts, { type: format });
  }
}
