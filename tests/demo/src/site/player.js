import Hls from 'hls.js';
import { Emitter } from '../client/emitter.js';

/** Milliseconds without the picture moving before it counts as stalled. */
const STALL_MS = 1_500;
/** Milliseconds without the picture moving before the stream is looked for anew. */
const BROKEN_MS = 20_000;
/** Milliseconds between two looks at whether the picture moves. */
const LOOK_MS = 250;
/** How much faster than life the picture runs to catch up with where it is meant to be, for each second it is behind; and at most. */
const CATCH_UP_PER_SECOND = 0.25;
const CATCH_UP_MAX = 0.1;
/** Seconds behind which are left alone. */
const CATCH_UP_SLACK = 0.04;
/** Seconds of media ahead that are enough to catch up where a playlist tells of no parts. */
const CATCH_UP_BUFFER = 1;
/** Whole segments a playlist has before it is played. */
const SEGMENTS_MIN = 2;
/** Seconds behind the target from which on the viewer counts as not at the live edge. */
const EDGE_SLACK = 3;

/**
 * Plays one stream after the other in a video element, with hls.js in its low-latency mode, or
 * the platform's own HLS where hls.js cannot run. Events: `stalled` (boolean), `levels` when they are known,
 * `level` when another is shown.
 */
export class Player extends Emitter {
  /** @type {Hls | undefined} */
  hls;
  stalled = false;
  /** @type {HTMLVideoElement} */
  video;
  /** @type {((why: 'ended' | 'lost') => void) | undefined} */
  #finish;

  /** @param {HTMLVideoElement} video */
  constructor(video) {
    super();
    this.video = video;
  }

  /**
   * Plays until the stream ends or breaks.
   * @param {string} url
   * @param {{ started: () => void }} listeners
   * @returns {Promise<'ended' | 'lost'>}
   */
  async play(url, { started }) {
    const { video } = this;
    const over = new AbortController();
    const until = { signal: over.signal };
    let movedAt = performance.now();
    let position = -1;
    const why = await new Promise((resolve) => {
      this.#finish = resolve;
      video.addEventListener('ended', () => resolve('ended'), until);
      video.addEventListener('playing', started, { ...until, once: true });
      video.addEventListener('timeupdate', () => this.#catchUp(), until);
      if (Hls.isSupported()) this.#attach(url, resolve);
      else {
        video.src = url;
        video.addEventListener('error', () => resolve('lost'), until);
      }
      // Refused only where even silent video needs a gesture; the play button is one.
      video.play().catch(() => {});
      const timer = setInterval(() => {
        const now = performance.now();
        if (video.currentTime !== position || video.paused) {
          position = video.currentTime;
          movedAt = now;
        }
        this.#stall(now - movedAt > STALL_MS);
        if (now - movedAt > BROKEN_MS) resolve('lost');
      }, LOOK_MS);
      over.signal.addEventListener('abort', () => clearInterval(timer));
    });
    over.abort();
    this.#stall(false);
    this.#detach();
    return why;
  }

  /** Ends what plays. */
  stop() {
    this.#finish?.('ended');
  }

  /** Seconds between now at the live edge and the picture, as the player reckons; undefined before it can. */
  get latency() {
    const latency = this.hls?.latency;
    return latency ? latency : undefined;
  }

  /** When the picture was taken, by its publisher's clock. */
  get pictureDate() {
    return this.hls?.playingDate ?? undefined;
  }

  /** The rendition that is shown. */
  get level() {
    const { hls } = this;
    return hls?.levels[hls.currentLevel];
  }

  /**
   * Plays a rendition from the next piece of media on; -1 is the one that suits the network.
   * @param {number} level
   */
  choose(level) {
    // Not `currentLevel`, which throws away what is there: so near to live there is little more to come.
    if (this.hls) this.hls.loadLevel = level;
  }

  /** Whether the picture is as live as it is meant to be. */
  get atEdge() {
    const { hls } = this;
    if (!hls || this.video.paused) return false;
    return hls.latency - (hls.targetLatency ?? 0) < EDGE_SLACK;
  }

  /** Jumps to the live edge. */
  toEdge() {
    const edge = this.hls?.liveSyncPosition;
    if (edge) this.video.currentTime = edge;
    this.video.play().catch(() => {});
  }

  /** Seconds of media after the picture. */
  get buffered() {
    const { buffered, currentTime } = this.video;
    for (let index = 0; index < buffered.length; index += 1) {
      if (buffered.start(index) <= currentTime && currentTime <= buffered.end(index)) return buffered.end(index) - currentTime;
    }
    return 0;
  }

  /**
   * @param {string} url
   * @param {(why: 'lost') => void} broken
   */
  #attach(url, broken) {
    const hls = new Hls({
      lowLatencyMode: true,
      backBufferLength: 30,
      // With a single segment hls.js 1.7 loads the parts of that one over and over and starves.
      initialLiveManifestSize: SEGMENTS_MIN,
      workerPath: 'assets/hls.worker.js',
      // A playlist that blocks is answered within three target durations, or with an error.
      playlistLoadPolicy: {
        default: {
          maxTimeToFirstByteMs: 10_000,
          maxLoadTimeMs: 20_000,
          timeoutRetry: { maxNumRetry: 1, retryDelayMs: 0, maxRetryDelayMs: 0 },
          errorRetry: { maxNumRetry: 3, retryDelayMs: 500, maxRetryDelayMs: 2_000 },
        },
      },
    });
    // Further behind than this many target durations, catching up would take too long: it jumps. Set here because the
    // constructor takes it only together with a distance from the edge, which would displace the playlist's own.
    hls.config.liveMaxLatencyDurationCount = 4;
    this.hls = hls;
    let recovered = false;
    hls.on(Hls.Events.ERROR, (_, data) => {
      if (!data.fatal) return;
      if (data.type === Hls.ErrorTypes.MEDIA_ERROR && !recovered) {
        recovered = true;
        hls.recoverMediaError();
      } else broken('lost');
    });
    hls.on(Hls.Events.MANIFEST_PARSED, () => this.emit('levels', hls.levels));
    hls.on(Hls.Events.LEVEL_SWITCHED, () => this.emit('level', this.level));
    hls.loadSource(url);
    hls.attachMedia(this.video);
  }

  /**
   * Runs faster than life while the picture is behind the playlist's PART-HOLD-BACK. hls.js' own catching up asks for more than
   * a second of media ahead, which a stream of short parts never has.
   */
  #catchUp() {
    const { hls, video } = this;
    if (!hls?.latestLevelDetails?.live) return;
    const behind = hls.latency - (hls.targetLatency ?? hls.latency);
    const isSafe = this.buffered > (hls.latestLevelDetails.partTarget || CATCH_UP_BUFFER);
    const isDue = this.atEdge && isSafe && behind > CATCH_UP_SLACK;
    const rate = isDue ? 1 + Math.min(CATCH_UP_MAX, behind * CATCH_UP_PER_SECOND) : 1;
    if (Math.abs(video.playbackRate - rate) > 0.005) video.playbackRate = rate;
  }

  #detach() {
    this.hls?.destroy();
    this.hls = undefined;
    this.video.playbackRate = 1;
    this.video.removeAttribute('src');
    this.video.load();
  }

  /** @param {boolean} stalled */
  #stall(stalled) {
    if (stalled === this.stalled) return;
    this.stalled = stalled;
    this.emit('stalled', stalled);
  }
}
