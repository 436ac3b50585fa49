import { nowUs } from './capture.js';
import { Cutter, Plan } from './cutter.js';
import { Emitter } from './emitter.js';
import { MobzError } from './error.js';
import { initSection } from './mp4.js';
import { Picture } from './picture.js';
import { Sound } from './sound.js';
import { Uplink } from './uplink.js';

/** Seconds from one key frame to the next, and so of a segment. */
const KEY_SECONDS = 2;
/** The stream's target duration in seconds: it has room for a camera that jitters. */
const TARGET_DURATION = 2;
/** Seconds of a part where the server names none. */
const PART_SECONDS = 0.333;
/** Frames a second, where neither the page nor the camera says. */
const FRAME_RATE = 30;
/** Bits a second of sound. */
const AUDIO_BITRATE = 64_000;
/** Microseconds a picture stands at most before it is sent again. */
const FILL_US_MAX = 100_000;
/** Milliseconds between two looks at what stands still. */
const FILL_MS = 50;
/** Milliseconds between two looks at how the network keeps up. */
const ADAPT_MS = 1_000;
/** Seconds of unacknowledged media from which on the network is too slow. */
const BACKLOG_SLOW = 1.5;
/** Seconds of unacknowledged media below which it keeps up. */
const BACKLOG_FINE = 0.8;
/** Looks in a row at which it keeps up before more is asked of it. */
const FINE_LOOKS = 10;
/** What the bitrate is multiplied by, down and up. */
const SLOWER = 0.7;
const FASTER = 1.2;
/** The least share of the bitrate. */
const SHARE_MIN = 0.1;
/** Milliseconds that figures are measured over. */
const FIGURES_MS = 3_000;
/** Milliseconds the last acknowledgements are waited for. */
const END_MS_MAX = 5_000;

/** Publishes camera and microphone live to a p2m room; see `Broadcast` in mobz.d.ts for the contract. */
export class Broadcast extends Emitter {
  /** @type {import('../mobz.js').BroadcastState} */
  state = 'starting';
  #room;
  #uplink;
  /** @type {Picture | undefined} */
  #picture;
  /** @type {Sound | undefined} */
  #sound;
  #plan;
  #cutter;
  /** @type {{ video?: import('./mp4.js').VideoConfig, audio?: import('./mp4.js').AudioConfig }} */
  #configs = {};
  /** The init that was sent last. @type {Uint8Array | undefined} */
  #init;
  /** Chunks that came before there was an init. @type {(() => void)[]} */
  #early = [];
  /** Where the media's timeline begins, by this page's clock in microseconds. @type {number | undefined} */
  #begin;
  /** Milliseconds to add to this page's clock for the server's time. */
  #epoch;
  #codec = '';
  #share = 1;
  #fineLooks = 0;
  /** Parts acknowledged of late. @type {{ at: number, bytes: number, latency: number }[]} */
  #acked = [];
  #parts = 0;
  #shortParts = 0;
  /** @type {ReturnType<typeof setInterval>[]} */
  #timers;
  /** @type {(() => void)[]} */
  #offs;

  /** Whether this browser can publish: WebCodecs with H.264 and Opus, and frames of tracks. */
  static async supported() {
    const parts = ['VideoEncoder', 'AudioEncoder', 'MediaStreamTrackProcessor'];
    if (!parts.every((name) => name in globalThis)) return false;
    const video = { codec: 'avc1.42e01f', width: 640, height: 360, bitrate: 500_000, framerate: FRAME_RATE };
    const audio = { codec: 'opus', sampleRate: 48_000, numberOfChannels: 1, bitrate: AUDIO_BITRATE };
    const found = await Promise.all([VideoEncoder.isConfigSupported(video), AudioEncoder.isConfigSupported(audio)]);
    return found.every(({ supported }) => supported);
  }

  /**
   * @param {import('../mobz.js').Room} room
   * @param {import('../mobz.js').BroadcastOptions} options
   */
  constructor(room, { tracks, frameRate, videoBitrate, audioBitrate = AUDIO_BITRATE }) {
    super();
    this.#room = room;
    const video = tracks.find(({ kind }) => kind === 'video');
    const audio = tracks.find(({ kind }) => kind === 'audio');
    if (!video && !audio) throw new TypeError('a broadcast needs a video or an audio track');
    const rate = frameRate ?? Math.min(FRAME_RATE, video?.getSettings().frameRate || FRAME_RATE);
    const partTarget = room.ingest?.partTarget ?? PART_SECONDS;
    this.#plan = new Plan(partTarget, video ? rate : 1 / 0.02, KEY_SECONDS);
    this.#epoch = Date.now() - performance.now() + room.clockOffset;
    this.#uplink = new Uplink(room, {
      acked: (item, ack) => this.#wasAcked(item, ack),
      restarted: () => this.#picture?.wantKey(),
      failed: (error) => this.#fail(error),
    });
    this.#cutter = new Cutter(this.#plan, Boolean(video), (part) => this.#send(part));
    const failed = (/** @type {any} */ cause) => this.#fail(new MobzError('media_error', `cannot encode: ${cause?.message ?? cause}`, { cause }));
    if (video) {
      const { keyFrames } = this.#plan;
      this.#picture = new Picture({
        frameRate: rate,
        keyFrames,
        // Never so soon that a camera's next frame is only a little late.
        fillUs: Math.max(Math.min(FILL_US_MAX, (partTarget * 1e6) / 3), 1.5e6 / rate),
        bitrate: videoBitrate,
        config: (config, codec) => {
          this.#codec = codec;
          this.#configure({ video: config });
        },
        chunk: (chunk) => this.#take(() => this.#cutter.addVideo({ ...chunk, time: this.#since(chunk.time) })),
        failed,
      });
    }
    if (audio) {
      this.#sound = new Sound({
        bitrate: audioBitrate,
        config: (config) => this.#configure({ audio: config }),
        chunk: (chunk) => this.#take(() => this.#takeSound(chunk)),
        failed,
      });
    }
    if (video) this.setTrack('video', video);
    if (audio) this.setTrack('audio', audio);
    this.#timers = [
      setInterval(() => this.#fill(), FILL_MS),
      setInterval(() => this.#adapt(), ADAPT_MS),
    ];
    this.#offs = [
      room.on('viewers', (count) => this.emit('viewers', count)),
      room.on('state', () => this.#show()),
      room.on('closed', (why) => {
        this.#quit(why.reason === 'left' ? 'ended' : 'failed');
      }),
    ];
  }

  /** How many watch. */
  get viewers() {
    return this.#room.viewers;
  }

  /**
   * Whether it began with a track of this kind.
   * @param {'audio' | 'video'} kind
   */
  publishes(kind) {
    return Boolean(kind === 'video' ? this.#picture : this.#sound);
  }

  /**
   * Publishes `track`, or black or silence, in place of what was published of that kind.
   * @param {'audio' | 'video'} kind
   * @param {MediaStreamTrack | null} track
   */
  setTrack(kind, track) {
    const feed = kind === 'video' ? this.#picture : this.#sound;
    if (!feed) throw new TypeError(`the broadcast began without ${kind}: begin another one with it`);
    feed.setTrack(track);
  }

  /** @returns {import('../mobz.js').BroadcastStats} */
  stats() {
    const now = performance.now();
    this.#acked = this.#acked.filter(({ at }) => now - at <= FIGURES_MS);
    const latencies = this.#acked.map(({ latency }) => latency).sort((one, other) => one - other);
    const bytes = this.#acked.reduce((sum, it) => sum + it.bytes, 0);
    const picture = this.#picture;
    return {
      bitrate: (bytes * 8000) / FIGURES_MS,
      ackLatency: latencies[latencies.length >> 1],
      backlog: this.#uplink.backlog,
      parts: this.#parts,
      shortParts: this.#shortParts,
      droppedParts: this.#uplink.dropped,
      partTarget: this.#plan.target,
      video: picture && {
        width: picture.width,
        height: picture.height,
        codec: this.#codec,
        bitrate: picture.bitrate,
        frames: picture.encoded,
        skippedFrames: picture.skipped,
      },
    };
  }

  /** Sends what is under way, ends the stream, and resolves once the server has it, or after 5 s. The room stays joined. */
  async stop() {
    if (this.state === 'ended' || this.state === 'failed') return;
    this.#stopTimers();
    await Promise.all([this.#picture?.close(), this.#sound?.close()]);
    this.#cutter.finish();
    this.#uplink.end();
    const late = performance.now() + END_MS_MAX;
    while (!this.#uplink.idle && performance.now() < late) await new Promise((resolve) => setTimeout(resolve, FILL_MS));
    this.#quit('ended');
  }

  /** @param {import('./cutter.js').AudioChunk} chunk */
  #takeSound(chunk) {
    const time = this.#since(chunk.time);
    // From before the first picture.
    if (time >= 0) this.#cutter.addAudio({ ...chunk, time });
    // Sound goes on in a background tab, where timers do not.
    this.#picture?.fill();
  }

  /** @param {{ video?: import('./mp4.js').VideoConfig, audio?: import('./mp4.js').AudioConfig }} config */
  #configure(config) {
    Object.assign(this.#configs, config);
    const { video, audio } = this.#configs;
    if ((this.#picture && !video) || (this.#sound && !audio)) return;
    const init = initSection({ video, audio });
    if (this.#init && sameBytes(this.#init, init)) return;
    if (this.#init) this.#cutter.finish();
    this.#init = init;
    this.#uplink.init(init, { partTarget: this.#plan.target, targetDuration: TARGET_DURATION });
    for (const take of this.#early.splice(0)) take();
  }

  /**
   * Takes a chunk now, or once there is an init.
   * @param {() => void} take
   */
  #take(take) {
    if (this.#init) take();
    else this.#early.push(take);
  }

  /** @param {number} time microseconds of this page's clock */
  #since(time) {
    this.#begin ??= time;
    return time - this.#begin;
  }

  /** @param {import('./cutter.js').Part} part */
  #send(part) {
    this.#uplink.part(part, this.#epoch + ((this.#begin ?? 0) + part.time) / 1000);
  }

  /**
   * @param {import('./uplink.js').Item} item
   * @param {any} ack
   */
  #wasAcked(item, ack) {
    if (item.kind !== 'part') return;
    const at = performance.now();
    this.#parts += 1;
    this.#shortParts += ack.warning === 'short_part' ? 1 : 0;
    this.#acked = this.#acked.filter((it) => at - it.at <= FIGURES_MS);
    this.#acked.push({ at, bytes: item.media.length, latency: at - item.sentAt });
    this.emit('part', { msn: ack.msn, part: ack.part, bytes: item.media.length, latency: at - item.sentAt });
    this.#show();
  }

  #fill() {
    this.#picture?.fill();
    this.#sound?.fill();
  }

  /** Lowers the bitrate while the network does not keep up, and raises it again slowly. */
  #adapt() {
    const { backlog } = this.#uplink;
    this.#fineLooks = backlog < BACKLOG_FINE ? this.#fineLooks + 1 : 0;
    const slow = backlog > BACKLOG_SLOW && this.#room.state === 'joined';
    const fine = this.#fineLooks >= FINE_LOOKS && this.#share < 1;
    if (!slow && !fine) return;
    this.#fineLooks = 0;
    this.#share = slow ? Math.max(SHARE_MIN, this.#share * SLOWER) : Math.min(1, this.#share * FASTER);
    if (this.#picture) this.#picture.share = this.#share;
  }

  #show() {
    const { state } = this.#room;
    if (this.#parts > 0 && state === 'joined') this.#turn('live');
    if (this.#parts > 0 && state === 'reconnecting') this.#turn('interrupted');
  }

  /** @param {MobzError} error */
  #fail(error) {
    if (this.state === 'ended' || this.state === 'failed') return;
    this.#quit('failed');
    this.emit('error', error);
  }

  /** @param {'ended' | 'failed'} state */
  #quit(state) {
    this.#stopTimers();
    for (const off of this.#offs.splice(0)) off();
    this.#uplink.close();
    this.#picture?.close();
    this.#sound?.close();
    this.#turn(state);
  }

  #stopTimers() {
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
  }

  /** @param {import('../mobz.js').BroadcastState} state */
  #turn(state) {
    if (this.state === state || this.state === 'ended' || this.state === 'failed') return;
    this.state = state;
    this.emit('state', state);
  }
}

/**
 * @param {Uint8Array} one
 * @param {Uint8Array} other
 */
function sameBytes(one, other) {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}
