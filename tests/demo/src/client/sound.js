import { CaptureClock, frames, nowUs } from './capture.js';
import { bytesOf } from './picture.js';

/** Microseconds that the sound may be ahead of or behind its timestamps before silence mends it, or some is left out. */
const SLACK_US = 60_000;
/** Microseconds without sound before silence stands in for it, so that the picture need not wait. */
const SILENCE_US = 250_000;
/** Microseconds of silence made at once, at most; a longer hole is a new beginning. */
const SILENCE_US_MAX = 2_000_000;
/** What the sound is until a track says otherwise. */
const RATE = 48_000;
/** Channels encoded at most: Opus' mapping family 0. */
const CHANNELS_MAX = 2;

/** Encodes an audio track as Opus without a hole: where there is no sound there is silence. */
export class Sound {
  #options;
  /** @type {AudioEncoder | undefined} */
  #encoder;
  #rate = RATE;
  #channels = 1;
  #clock = new CaptureClock();
  #stop = () => {};
  /** When the first sample was taken; what follows is counted. */
  #begin = 0;
  /** Samples given to the encoder. */
  #given = 0;
  /** Microseconds of Opus that came out. */
  #made = 0;
  #startedAt = nowUs();
  #isOdd = false;

  /**
   * @param {{ bitrate: number, config: (audio: import('./mp4.js').AudioConfig) => void,
   *   chunk: (chunk: import('./cutter.js').AudioChunk) => void, failed: (error: unknown) => void }} options
   *   times are microseconds of this page's clock
   */
  constructor(options) {
    this.#options = options;
  }

  /** @param {MediaStreamTrack | null} track nothing is silence */
  setTrack(track) {
    this.#stop();
    this.#clock = new CaptureClock();
    this.#isOdd = false;
    this.#stop = track ? frames(track, (data) => this.#take(data)) : () => {};
  }

  /** Makes silence where there was no sound for a while. */
  fill() {
    const now = nowUs();
    const since = this.#encoder ? this.#at : this.#startedAt;
    if (now - since < SILENCE_US) return;
    if (!this.#encoder) this.#configure(RATE, 1, since);
    // Not to the very present: sound may be on its way.
    this.#silence(now - SLACK_US - this.#at);
  }

  /** Encodes what is under way, then ends. */
  async close() {
    this.#stop();
    if (this.#encoder?.state === 'configured') await this.#encoder.flush().catch(() => {});
    if (this.#encoder && this.#encoder.state !== 'closed') this.#encoder.close();
  }

  /** When the next sample belongs. */
  get #at() {
    return this.#begin + (this.#given * 1e6) / this.#rate;
  }

  /** @param {AudioData} data */
  #take(data) {
    const time = this.#clock.map(data.timestamp, nowUs());
    if (!this.#encoder) this.#configure(data.sampleRate, Math.min(CHANNELS_MAX, data.numberOfChannels), time);
    if (data.sampleRate !== this.#rate) {
      if (!this.#isOdd) this.#options.failed(new Error(`the microphone has ${data.sampleRate} samples a second, the stream ${this.#rate}: begin anew with it`));
      this.#isOdd = true;
    } else {
      const late = time - this.#at;
      if (late > SLACK_US) this.#silence(late);
      if (late > -SLACK_US) this.#encode(data);
    }
    data.close();
  }

  /** @param {number} microseconds */
  #silence(microseconds) {
    if (microseconds > SILENCE_US_MAX) {
      // A machine that slept: what comes out next is later by the hole.
      this.#begin += microseconds;
      return;
    }
    const samples = Math.round((microseconds * this.#rate) / 1e6);
    if (samples > 0) this.#give(new Float32Array(samples * this.#channels), samples);
  }

  /** @param {AudioData} data */
  #encode(data) {
    const samples = data.numberOfFrames;
    const planes = new Float32Array(samples * this.#channels);
    for (let channel = 0; channel < this.#channels; channel += 1) {
      const plane = planes.subarray(channel * samples, (channel + 1) * samples);
      data.copyTo(plane, { planeIndex: Math.min(channel, data.numberOfChannels - 1), format: 'f32-planar' });
    }
    this.#give(planes, samples);
  }

  /**
   * @param {Float32Array<ArrayBuffer>} planes
   * @param {number} samples
   */
  #give(planes, samples) {
    if (this.#encoder?.state !== 'configured') return;
    const timestamp = Math.round((this.#given * 1e6) / this.#rate);
    const data = new AudioData({ format: 'f32-planar', sampleRate: this.#rate, numberOfFrames: samples, numberOfChannels: this.#channels, timestamp, data: planes });
    this.#encoder.encode(data);
    data.close();
    this.#given += samples;
  }

  /**
   * @param {number} rate
   * @param {number} channels
   * @param {number} begin
   */
  #configure(rate, channels, begin) {
    this.#rate = rate;
    this.#channels = channels;
    this.#begin = begin;
    this.#encoder = new AudioEncoder({
      output: (chunk, metadata) => this.#output(chunk, metadata),
      error: (error) => this.#options.failed(error),
    });
    this.#encoder.configure({ codec: 'opus', sampleRate: rate, numberOfChannels: channels, bitrate: this.#options.bitrate });
  }

  /**
   * @param {EncodedAudioChunk} chunk
   * @param {EncodedAudioChunkMetadata} [metadata]
   */
  #output(chunk, metadata) {
    const description = metadata?.decoderConfig?.description;
    if (description) this.#options.config({ opusHead: bytesOf(description) });
    const duration = chunk.duration ?? 20_000;
    const bytes = new Uint8Array(chunk.byteLength);
    chunk.copyTo(bytes);
    // Counted, not read: the encoder gives out as many samples as it was given.
    this.#options.chunk({ time: this.#begin + this.#made, duration, bytes });
    this.#made += duration;
  }
}
