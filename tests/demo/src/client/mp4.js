/** Writes the little of fragmented MP4 (ISO/IEC 14496-12 and -15, "Encapsulation of Opus in ISOBMFF") a live publisher needs. */

/** Ticks a second of the video track. */
export const VIDEO_TIMESCALE = 90_000;
/** Ticks a second of the audio track: Opus always counts in these. */
export const AUDIO_TIMESCALE = 48_000;

const VIDEO_TRACK = 1;
const AUDIO_TRACK = 2;
/** Sample flags of ISO/IEC 14496-12 §8.8.3.1: depends on no other, or on others and is no sync sample. */
const SYNC = 0x0200_0000;
const NOT_SYNC = 0x0101_0000;
/** tfhd: offsets count from the moof. */
const BASE_IS_MOOF = 0x02_0000;
/** trun: the data's offset, and each sample's duration, size and flags. */
const TRUN_OFFSET = 0x001;
const TRUN_DURATION = 0x100;
const TRUN_SIZE = 0x200;
const TRUN_FLAGS = 0x400;
/** The unity matrix of tkhd and mvhd. */
const MATRIX = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000].flatMap(u32);
/** ISO 639-2 `und`, packed. */
const UNDETERMINED = 0x55c4;

/**
 * @typedef {{ width: number, height: number, avcC: Uint8Array }} VideoConfig `avcC` is the decoder configuration record
 * @typedef {{ opusHead: Uint8Array }} AudioConfig the identification header of RFC 7845 §5.1
 * @typedef {{ duration: number, bytes: Uint8Array, key?: boolean }} Sample `duration` in the track's ticks
 * @typedef {{ time: number, samples: Sample[] }} Run samples in a row; `time` is when the first is decoded, in ticks
 */

/**
 * The initialization section of a stream of H.264 video, Opus audio, or both.
 * @param {{ video?: VideoConfig, audio?: AudioConfig }} tracks
 */
export function initSection({ video, audio }) {
  const traks = [];
  const trexs = [];
  if (video) {
    traks.push(trak(VIDEO_TRACK, VIDEO_TIMESCALE, 'vide', video, full('vmhd', 0, 1, new Array(8).fill(0)), avc1(video)));
    trexs.push(trex(VIDEO_TRACK, NOT_SYNC));
  }
  if (audio) {
    traks.push(trak(AUDIO_TRACK, AUDIO_TIMESCALE, 'soun', { width: 0, height: 0 }, full('smhd', 0, 0, u32(0)), opus(audio)));
    trexs.push(trex(AUDIO_TRACK, SYNC));
  }
  const mvhd = full('mvhd', 0, 0, u32(0), u32(0), u32(1000), u32(0), u32(0x1_0000), u16(0x100), new Array(10).fill(0), MATRIX, new Array(24).fill(0), u32(AUDIO_TRACK + 1));
  const ftyp = box('ftyp', text('iso6'), u32(0), text('iso6'), text('cmfc'), text('mp41'));
  return join([ftyp, box('moov', mvhd, ...traks, box('mvex', ...trexs))]);
}

/**
 * One part: a moof and its mdat.
 * @param {number} sequence rises with every part
 * @param {{ video?: Run, audio?: Run }} runs
 */
export function part(sequence, { video, audio }) {
  /** @type {(at: number) => Uint8Array} */
  const moof = (at) => {
    const trafs = [];
    if (video?.samples.length) {
      trafs.push(traf(VIDEO_TRACK, video, TRUN_FLAGS, at));
      at += size(video);
    }
    if (audio?.samples.length) trafs.push(traf(AUDIO_TRACK, audio, 0, at));
    return box('moof', full('mfhd', 0, 0, u32(sequence)), ...trafs);
  };
  // The media begins after the moof and the mdat's header; how long the moof is does not depend on where that is.
  const head = moof(moof(0).length + 8);
  const media = [...(video?.samples ?? []), ...(audio?.samples ?? [])].map((sample) => sample.bytes);
  return join([head, box('mdat', ...media)]);
}

/**
 * @param {number} id
 * @param {Run} run
 * @param {number} flags whether each sample has its own
 * @param {number} at where its data begins, from the moof's start
 */
function traf(id, { time, samples }, flags, at) {
  const tfhd = full('tfhd', 0, BASE_IS_MOOF, u32(id));
  const tfdt = full('tfdt', 1, 0, u32(Math.floor(time / 2 ** 32)), u32(time % 2 ** 32));
  const rows = samples.flatMap(({ duration, bytes, key }) => [
    ...u32(duration),
    ...u32(bytes.length),
    ...(flags ? u32(key ? SYNC : NOT_SYNC) : []),
  ]);
  const trun = full('trun', 0, TRUN_OFFSET | TRUN_DURATION | TRUN_SIZE | flags, u32(samples.length), u32(at), rows);
  return box('traf', tfhd, tfdt, trun);
}

/** @param {Run} run */
function size({ samples }) {
  return samples.reduce((sum, { bytes }) => sum + bytes.length, 0);
}

/**
 * @param {number} id
 * @param {number} timescale
 * @param {'vide' | 'soun'} handler
 * @param {{ width: number, height: number }} shown
 * @param {Uint8Array} mediaHeader
 * @param {Uint8Array} entry
 */
function trak(id, timescale, handler, { width, height }, mediaHeader, entry) {
  const volume = handler === 'soun' ? 0x100 : 0;
  const tkhd = full('tkhd', 0, 3, u32(0), u32(0), u32(id), u32(0), u32(0), u32(0), u32(0), u32(0), u16(volume), u16(0), MATRIX, u32(width * 0x1_0000), u32(height * 0x1_0000));
  const mdhd = full('mdhd', 0, 0, u32(0), u32(0), u32(timescale), u32(0), u16(UNDETERMINED), u16(0));
  const hdlr = full('hdlr', 0, 0, u32(0), text(handler), new Array(12).fill(0), [0]);
  const dinf = box('dinf', full('dref', 0, 0, u32(1), full('url ', 0, 1)));
  // A fragmented file has its samples in the moofs: these tables are there, and empty.
  const tables = ['stts', 'stsc', 'stco'].map((kind) => full(kind, 0, 0, u32(0)));
  const stbl = box('stbl', full('stsd', 0, 0, u32(1), entry), ...tables, full('stsz', 0, 0, u32(0), u32(0)));
  return box('trak', tkhd, box('mdia', mdhd, hdlr, box('minf', mediaHeader, dinf, stbl)));
}

/** @param {VideoConfig} video */
function avc1({ width, height, avcC }) {
  const resolution = [...u32(0x48_0000), ...u32(0x48_0000)];
  return box('avc1', new Array(6).fill(0), u16(1), new Array(16).fill(0), u16(width), u16(height), resolution, u32(0), u16(1), new Array(32).fill(0), u16(0x18), u16(0xffff), box('avcC', avcC));
}

/** @param {AudioConfig} audio */
function opus({ opusHead }) {
  const head = new DataView(opusHead.buffer, opusHead.byteOffset, opusHead.byteLength);
  const channels = head.getUint8(9);
  // The Ogg header is little-endian, the box is not. The rate of what was encoded only informs, but Chromium takes no
  // other than the sample entry's. Mapping family 0 has one stream of one or two channels.
  const dOps = box('dOps', [0, channels], u16(head.getUint16(10, true)), u32(AUDIO_TIMESCALE), u16(head.getUint16(16, true)), [0]);
  return box('Opus', new Array(6).fill(0), u16(1), new Array(8).fill(0), u16(channels), u16(16), u32(0), u32(AUDIO_TIMESCALE * 0x1_0000), dOps);
}

/**
 * @param {number} id
 * @param {number} flags
 */
function trex(id, flags) {
  return full('trex', 0, 0, u32(id), u32(1), u32(0), u32(0), u32(flags));
}

/**
 * @param {string} kind
 * @param {number} version
 * @param {number} flags
 * @param {...ArrayLike<number>} body
 */
function full(kind, version, flags, ...body) {
  return box(kind, u32(version * 0x100_0000 + flags), ...body);
}

/**
 * @param {string} kind
 * @param {...ArrayLike<number>} body
 */
function box(kind, ...body) {
  const length = body.reduce((sum, it) => sum + it.length, 8);
  return join([u32(length), text(kind), ...body]);
}

/** @param {ArrayLike<number>[]} pieces */
function join(pieces) {
  const whole = new Uint8Array(pieces.reduce((sum, it) => sum + it.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** @param {string} ascii */
function text(ascii) {
  return Array.from(ascii, (character) => character.charCodeAt(0));
}

/** @param {number} value */
function u16(value) {
  return [(value >>> 8) & 0xff, value & 0xff];
}

/** @param {number} value */
function u32(value) {
  return [(value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];
}
