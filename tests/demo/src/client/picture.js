import { CaptureClock, frames, nowUs } from './capture.js';

/** Frames the encoder may have before it; the next is left out. */
const QUEUE_MAX = 3;
/** Frames nearer to the one before than this share of a frame are left out. */
const NEAR_SHARE = 0.6;
/** Microseconds from one key frame to the next at most, whatever the camera does; a segment must not outgrow the target duration. */
const KEY_US_MAX = 2_300_000;
/** Bits a pixel of a frame, for the bitrate where none is asked for. */
const BITS_A_PIXEL = 0.075;
/** Bits a second at least. */
export const BITRATE_MIN = 150_000;
/** The picture sent before there is one. */
const EMPTY = { width: 640, height: 360 };
/** Profiles, the most compatible first, as the first four digits after `avc1.`. */
const PROFILES = ['42e0', '4d40', '6400'];
/** Levels of H.264 table A-1: macroblocks a frame, macroblocks a second, `level_idc`. */
const LEVELS = [
  [1_620, 40_500, 0x1e],
  [3_600, 108_000, 0x1f],
  [5_120, 216_000, 0x20],
  [8_192, 245_760, 0x28],
  [8_704, 522_240, 0x2a],
  [36_864, 983_040, 0x33],
];

/** Encodes a video track as H.264, at a frame rate that never falls under one frame in `fillUs`. */
export class Picture {
  /** Frames left out because the encoder was behind. */
  skipped = 0;
  /** Frames encoded. */
  encoded = 0;
  width = 0;
  height = 0;
  /** Bits a second asked of the encoder. */
  bitrate = 0;
  #options;
  /** @type {VideoEncoder | undefined} */
  #encoder;
  /** @type {VideoEncoderConfig | undefined} */
  #config;
  #clock = new CaptureClock();
  #stop = () => {};
  /** Shown again when nothing newer comes. @type {VideoFrame | undefined} */
  #latest;
  #lastTime = -Infinity;
  #lastKey = -Infinity;
  #sinceKey = 0;
  #wantsKey = true;
  #configures = false;
  /** @type {number | undefined} */
  #share;

  /**
   * @param {{ frameRate: number, keyFrames: number, fillUs: number, bitrate?: number,
   *   config: (video: import('./mp4.js').VideoConfig, codec: string) => void,
   *   chunk: (chunk: import('./cutter.js').VideoChunk) => void, failed: (error: unknown) => void }} options
   *   times are microseconds of this page's clock
   */
  constructor(options) {
    this.#options = options;
  }

  /** @param {MediaStreamTrack | null} track nothing is a black picture */
  setTrack(track) {
    this.#stop();
    this.#clock = new CaptureClock();
    this.#stop = track ? frames(track, (frame) => this.#take(frame)) : () => {};
    if (!track) this.#show(black(this.width || EMPTY.width, this.height || EMPTY.height, this.#latest?.colorSpace));
  }

  /** Makes the next frame a key frame. */
  wantKey() {
    this.#wantsKey = true;
  }

  /**
   * Scales the bitrate; 1 is what was asked for.
   * @param {number} share
   */
  set share(share) {
    this.#share = share;
    if (this.#config && this.#encoder?.state === 'configured') {
      this.#config = { ...this.#config, bitrate: this.#bits(this.width, this.height) };
      this.#encoder.configure(this.#config);
    }
  }

  /** Shows the newest frame again when it has stood too long. */
  fill() {
    const now = nowUs();
    const { fillUs } = this.#options;
    const stands = now - this.#lastTime;
    // As regular as can be: parts of regular frames are as long as planned.
    if (this.#latest && stands >= fillUs) this.#encode(this.#latest, stands < 2 * fillUs ? this.#lastTime + fillUs : now);
  }

  /** Encodes what is under way, then ends. */
  async close() {
    this.#stop();
    this.#latest?.close();
    this.#latest = undefined;
    if (this.#encoder?.state === 'configured') await this.#encoder.flush().catch(() => {});
    if (this.#encoder && this.#encoder.state !== 'closed') this.#encoder.close();
  }

  /** @param {VideoFrame} frame */
  #take(frame) {
    const time = this.#clock.map(frame.timestamp, nowUs());
    this.#show(frame);
    if (time - this.#lastTime >= (NEAR_SHARE * 1e6) / this.#options.frameRate) this.#encode(frame, time);
  }

  /** @param {VideoFrame} frame */
  #show(frame) {
    this.#latest?.close();
    this.#latest = frame;
  }

  /**
   * @param {VideoFrame} frame
   * @param {number} time
   */
  #encode(frame, time) {
    const [width, height] = [frame.displayWidth & ~1, frame.displayHeight & ~1];
    if (width !== this.width || height !== this.height) this.#configure(width, height);
    const encoder = this.#encoder;
    if (this.#configures || encoder?.state !== 'configured') return;
    if (encoder.encodeQueueSize >= QUEUE_MAX) {
      this.skipped += 1;
      return;
    }
    const keyFrame = this.#wantsKey || this.#sinceKey >= this.#options.keyFrames || time - this.#lastKey >= KEY_US_MAX;
    const timed = new VideoFrame(frame, { timestamp: Math.round(time) });
    encoder.encode(timed, { keyFrame });
    timed.close();
    this.#lastTime = time;
    this.#sinceKey = keyFrame ? 1 : this.#sinceKey + 1;
    if (keyFrame) this.#lastKey = time;
    this.#wantsKey = false;
  }

  /**
   * @param {number} width
   * @param {number} height
   */
  async #configure(width, height) {
    if (this.#configures) return;
    this.#configures = true;
    Object.assign(this, { width, height });
    try {
      const config = await this.#supported(width, height);
      if (this.#encoder && this.#encoder.state === 'configured') await this.#encoder.flush();
      this.#encoder ??= new VideoEncoder({
        output: (chunk, metadata) => this.#output(chunk, metadata),
        error: (error) => this.#options.failed(error),
      });
      this.#encoder.configure(config);
      this.#config = config;
      this.#wantsKey = true;
    } catch (error) {
      this.#options.failed(error);
    } finally {
      this.#configures = false;
    }
  }

  /**
   * @param {number} width
   * @param {number} height
   * @returns {Promise<VideoEncoderConfig>}
   */
  async #supported(width, height) {
    const { frameRate } = this.#options;
    const macroblocks = Math.ceil(width / 16) * Math.ceil(height / 16);
    const [, , level] = LEVELS.find(([most, mostASecond]) => macroblocks <= most && macroblocks * frameRate <= mostASecond) ?? LEVELS[LEVELS.length - 1];
    for (const profile of PROFILES) {
      /** @type {VideoEncoderConfig} */
      const config = {
        codec: `avc1.${profile}${level.toString(16).padStart(2, '0')}`,
        width,
        height,
        bitrate: this.#bits(width, height),
        framerate: frameRate,
        latencyMode: 'realtime',
        avc: { format: 'avc' },
      };
      const { supported } = await VideoEncoder.isConfigSupported(config);
      if (supported) return config;
    }
    throw new Error(`this browser does not encode H.264 at ${width}×${height}`);
  }

  /**
   * @param {number} width
   * @param {number} height
   */
  #bits(width, height) {
    const whole = this.#options.bitrate ?? width * height * this.#options.frameRate * BITS_A_PIXEL;
    this.bitrate = Math.round(Math.max(BITRATE_MIN, whole * (this.#share ?? 1)));
    return this.bitrate;
  }

  /**
   * @param {EncodedVideoChunk} chunk
   * @param {EncodedVideoChunkMetadata} [metadata]
   */
  #output(chunk, metadata) {
    const told = metadata?.decoderConfig;
    if (told?.description) {
      const avcC = bytesOf(told.description);
      this.#options.config({ width: told.codedWidth ?? this.width, height: told.codedHeight ?? this.height, avcC }, told.codec);
    }
    const bytes = new Uint8Array(chunk.byteLength);
    chunk.copyTo(bytes);
    this.encoded += 1;
    this.#options.chunk({ time: chunk.timestamp, key: chunk.type === 'key', bytes });
  }
}

/**
 * A black picture, in the colours of the one before: others would need another init.
 * @param {number} width
 * @param {number} height
 * @param {VideoColorSpace} [colorSpace]
 */
function black(width, height, colorSpace) {
  const bytes = new Uint8Array((width * height * 3) / 2).fill(128);
  bytes.fill(colorSpace?.fullRange ? 0 : 16, 0, width * height);
  return new VideoFrame(bytes, { format: 'I420', codedWidth: width, codedHeight: height, timestamp: 0, colorSpace: colorSpace?.toJSON() });
}

/** @param {AllowSharedBufferSource} source */
export function bytesOf(source) {
  return ArrayBuffer.isView(source) ? new Uint8Array(source.buffer.slice(source.byteOffset, source.byteOffset + source.byteLength)) : new Uint8Array(source.slice(0));
}
