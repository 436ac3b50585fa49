import { AUDIO_TIMESCALE, part, VIDEO_TIMESCALE } from './mp4.js';

/** Seconds a segment lasts where only audio says so; with video it lasts from one key frame to the next. */
const AUDIO_SEGMENT_SECONDS = 2;

/**
 * @typedef {{ time: number, key: boolean, bytes: Uint8Array }} VideoChunk `time` in microseconds of the media's timeline
 * @typedef {{ time: number, duration: number, bytes: Uint8Array }} AudioChunk in microseconds
 * @typedef {{ bytes: Uint8Array, time: number, duration: number, independent: boolean, last: boolean }} Part
 *   `time` in microseconds, `duration` in seconds; `last` closes its segment
 */

/** How a stream is cut: `target` seconds at most a part, `frames` of video in one, `keyFrames` from one key frame to the next. */
export class Plan {
  /**
   * As `partTarget` seconds asks. A part holds whole frames, and none in mid-segment may be under 85 %
   * of the target: where frames do not fit it well, the target is a little longer than asked.
   * @param {number} partTarget
   * @param {number} frameRate
   * @param {number} keySeconds
   */
  constructor(partTarget, frameRate, keySeconds) {
    // A quarter of a frame is left to cameras that jitter.
    const fitting = Math.floor(partTarget * frameRate - 0.25);
    const fits = fitting >= 1 && fitting / frameRate >= partTarget * 0.85;
    this.frames = fits ? fitting : Math.max(1, fitting + 1);
    this.target = fits ? partTarget : Math.ceil(((this.frames + 0.25) / frameRate) * 1000) / 1000;
    this.keyFrames = this.frames * Math.max(1, Math.round((keySeconds * frameRate) / this.frames));
  }
}

/** Gathers encoded video and audio into parts. No part is longer than the target, and a key frame begins one. */
export class Cutter {
  #plan;
  #hasVideo;
  #emit;
  #sequence = 0;
  /** The newest frame: how long it lasts is known when the next one comes. @type {VideoChunk | undefined} */
  #newest;
  /** @type {{ time: number, samples: import('./mp4.js').Sample[], ticks: number }} */
  #video = { time: 0, samples: [], ticks: 0 };
  /** @type {AudioChunk[]} */
  #audio = [];
  #segmentSeconds = 0;
  /** How long the frame before the newest lasted, in ticks; the last one is taken to last as long. */
  #lasted = VIDEO_TIMESCALE / 30;

  /**
   * @param {Plan} plan
   * @param {boolean} hasVideo
   * @param {(part: Part) => void} emit
   */
  constructor(plan, hasVideo, emit) {
    this.#plan = plan;
    this.#hasVideo = hasVideo;
    this.#emit = emit;
  }

  /** @param {VideoChunk} chunk a frame later than the one before */
  addVideo(chunk) {
    const frame = this.#newest;
    if (!frame && !chunk.key) return;
    // Audio from before the first picture has nothing to be seen with.
    if (!frame) this.#audio = this.#audio.filter((it) => it.time >= chunk.time);
    this.#newest = chunk;
    if (frame) this.#take(frame, videoTicks(chunk.time) - videoTicks(frame.time), chunk.key);
  }

  /** @param {AudioChunk} chunk */
  addAudio(chunk) {
    this.#audio.push(chunk);
    if (this.#hasVideo) return;
    const sum = this.#audio.reduce((total, { duration }) => total + duration, 0);
    if (sum + chunk.duration > this.#plan.target * 1e6) {
      this.#cut(this.#segmentSeconds + sum / 1e6 + this.#plan.target / 2 > AUDIO_SEGMENT_SECONDS);
    }
  }

  /** Hands out what there is as the last part. */
  finish() {
    const frame = this.#newest;
    this.#newest = undefined;
    if (frame) this.#take(frame, this.#lasted, true);
    else if (!this.#hasVideo) this.#cut(true);
  }

  /**
   * @param {VideoChunk} frame
   * @param {number} lasts in ticks
   * @param {boolean} beforeKey
   */
  #take(frame, lasts, beforeKey) {
    const most = Math.floor(this.#plan.target * VIDEO_TIMESCALE);
    // Beyond it the picture stands still without the media saying so: a part may not be longer.
    const duration = Math.min(lasts, most);
    this.#lasted = duration;
    if (this.#video.ticks + duration > most) this.#cut(false);
    if (this.#video.samples.length === 0) this.#video.time = frame.time;
    this.#video.samples.push({ duration, bytes: frame.bytes, key: frame.key });
    this.#video.ticks += duration;
    if (beforeKey || this.#video.samples.length >= this.#plan.frames) this.#cut(beforeKey);
  }

  /** @param {boolean} last */
  #cut(last) {
    const { time: videoTime, samples, ticks } = this.#video;
    this.#video = { time: 0, samples: [], ticks: 0 };
    const end = this.#hasVideo ? videoTime + (ticks * 1e6) / VIDEO_TIMESCALE : Infinity;
    const later = this.#audio.findIndex((it) => it.time >= end);
    const audio = this.#audio.splice(0, later < 0 ? this.#audio.length : later);
    if (samples.length === 0 && audio.length === 0) return;
    this.#sequence += 1;
    const bytes = part(this.#sequence, {
      video: { time: videoTicks(videoTime), samples },
      audio: { time: audioTicks(audio[0]?.time ?? 0), samples: audio.map((it) => ({ duration: audioTicks(it.duration), bytes: it.bytes })) },
    });
    const duration = this.#hasVideo ? ticks / VIDEO_TIMESCALE : audio.reduce((sum, it) => sum + it.duration, 0) / 1e6;
    this.#segmentSeconds = last ? 0 : this.#segmentSeconds + duration;
    const independent = this.#hasVideo ? samples[0].key === true : true;
    this.#emit({ bytes, time: this.#hasVideo ? videoTime : audio[0].time, duration, independent, last });
  }
}

/** @param {number} microseconds */
function videoTicks(microseconds) {
  return Math.round((microseconds * VIDEO_TIMESCALE) / 1e6);
}

/** @param {number} microseconds */
function audioTicks(microseconds) {
  return Math.round((microseconds * AUDIO_TIMESCALE) / 1e6);
}
