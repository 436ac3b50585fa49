import { the } from '../site/dom.js';
import { bitrate, inSeconds } from '../site/figures.js';

/** Milliseconds between two readings. */
const READ_MS = 500;
/** Milliseconds the frame rate is measured over. */
const RATE_MS = 2_000;
/** Readings the curve shows: a minute. */
const CURVE_POINTS = 120;
/** Seconds at the curve's top, at least. */
const CURVE_SECONDS_MIN = 3;

/** What there is to know about the picture: how far behind live, how large, how smooth. */
export class Figures {
  #running = false;
  /** For the server's clock. @type {import('../mobz.js').Room | undefined} */
  room;
  #player;
  /** @type {number[]} */
  #latencies = [];
  /** The last reading of how many frames were shown, and the rate between it and the one before. */
  #shown = { at: 0, frames: 0, rate: 0 };

  /** @param {import('../site/player.js').Player} player */
  constructor(player) {
    this.#player = player;
    setInterval(() => this.#show(), READ_MS);
  }

  /**
   * Whether there is a picture to tell of.
   * @param {boolean} running
   */
  set running(running) {
    if (this.#running && !running) this.#clear();
    this.#running = running;
  }

  /** All figures, in seconds, pixels and bits a second; undefined where unknown. */
  read() {
    const { video, hls, level, latency, pictureDate, buffered } = this.#player;
    const quality = video.getVideoPlaybackQuality?.();
    const frames = quality?.totalVideoFrames ?? 0;
    return {
      position: video.currentTime,
      latency,
      // By the clocks of publisher and server, and so only as good as they agree.
      fromCapture: pictureDate && (Date.now() + (this.room?.clockOffset ?? 0) - pictureDate.getTime()) / 1000,
      buffered,
      width: video.videoWidth,
      height: video.videoHeight,
      frameRate: this.#rate(frames),
      codec: level?.videoCodec?.split('.')[0],
      frames,
      dropped: quality?.droppedVideoFrames ?? 0,
      bandwidth: hls?.bandwidthEstimate,
      viewers: this.room?.viewers,
    };
  }

  /**
   * Frames shown a second, as measured over two seconds or so.
   * @param {number} frames
   */
  #rate(frames) {
    const at = performance.now();
    const { at: before, frames: less } = this.#shown;
    if (at - before >= RATE_MS) this.#shown = { at, frames, rate: less > 0 ? ((frames - less) * 1000) / (at - before) : 0 };
    return Math.max(0, this.#shown.rate);
  }

  #show() {
    if (!this.#running) return;
    const figures = this.read();
    // Without a date in the playlist, the player's own reckoning.
    const behind = figures.fromCapture ?? figures.latency;
    the('latency-title').textContent = figures.fromCapture === undefined ? 'Behind live' : 'Glass to glass';
    the('latency').textContent = inSeconds(behind);
    the('latency-more').textContent = figures.latency === undefined ? '' : `the player reckons ${inSeconds(figures.latency)}`;
    the('rendition').textContent = figures.width ? `${figures.width}×${figures.height}` : '–';
    the('rendition-more').textContent = [figures.frameRate ? `${Math.round(figures.frameRate)} fps` : '', figures.codec ?? ''].filter(Boolean).join(' · ');
    the('buffer').textContent = inSeconds(figures.buffered);
    the('dropped').textContent = String(figures.dropped);
    the('dropped-more').textContent = `of ${figures.frames.toLocaleString('en')}`;
    the('bandwidth').textContent = figures.bandwidth ? bitrate(figures.bandwidth) : '–';
    if (behind !== undefined) this.#draw(behind);
  }

  #clear() {
    this.#latencies = [];
    this.#shown = { at: 0, frames: 0, rate: 0 };
    for (const id of ['latency', 'rendition', 'buffer', 'dropped', 'bandwidth']) the(id).textContent = '–';
    for (const id of ['latency-more', 'rendition-more', 'dropped-more']) the(id).textContent = '';
    for (const path of the('curve').querySelectorAll('path')) path.setAttribute('d', '');
  }

  /** @param {number} behind */
  #draw(behind) {
    this.#latencies = [...this.#latencies.slice(1 - CURVE_POINTS), behind];
    const { width, height } = the('curve').viewBox.baseVal;
    const top = Math.max(CURVE_SECONDS_MIN, ...this.#latencies) * 1.15;
    const from = CURVE_POINTS - this.#latencies.length;
    const points = this.#latencies.map((it, index) => {
      const x = ((from + index) / (CURVE_POINTS - 1)) * width;
      return `${x.toFixed(1)} ${(height - (Math.max(0, it) / top) * height).toFixed(1)}`;
    });
    const line = `M${points.join('L')}`;
    const left = (from / (CURVE_POINTS - 1)) * width;
    the('curve').querySelector('.line').setAttribute('d', line);
    the('curve').querySelector('.area').setAttribute('d', `${line}L${width} ${height}L${left.toFixed(1)} ${height}Z`);
  }
}
