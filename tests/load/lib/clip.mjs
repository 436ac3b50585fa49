/** A clip with its frame number burned in, in the pieces that a live encoder would hand over. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Frames a second. */
export const FRAME_RATE = 30;
/** Seconds of the clip; it is repeated without a seam. */
export const SECONDS = 20;
/** Frames between keyframes: two seconds, a segment. */
const KEYFRAMES = 2 * FRAME_RATE;
/** Bits of the frame number, the lowest one leftmost, in the picture's top row. */
export const NUMBER_BITS = 10;
/** Width and height of a bit's block, in pixels. */
export const BLOCK = 40;
const TIMESCALE = 90_000;

/**
 * Encodes the clip: H.264 at 2 Mbit/s, one fragment for each part.
 * @param {string} folder
 * @param {number} partFrames
 */
export function makeClip(folder, partFrames) {
  const bits = Array.from({ length: NUMBER_BITS }, (_, bit) => {
    const box = `x=${bit * BLOCK}:y=0:w=${BLOCK}:h=${BLOCK}:t=fill`;
    return `drawbox=${box}:color=black,drawbox=${box}:color=white:enable='gte(mod(n,${2 ** (bit + 1)}),${2 ** bit})'`;
  });
  const path = join(folder, `clip-${partFrames}.mp4`);
  const made = spawnSync('ffmpeg', [
    '-hide_banner', '-loglevel', 'error', '-nostdin', '-y', '-f', 'lavfi', '-i', `testsrc2=size=1280x720:rate=${FRAME_RATE}`,
    '-t', String(SECONDS), '-vf', [...bits, 'format=yuv420p'].join(','), '-c:v', 'libx264', '-preset', 'veryfast', '-tune', 'zerolatency',
    '-bf', '0', '-g', String(KEYFRAMES), '-keyint_min', String(KEYFRAMES), '-sc_threshold', '0',
    '-x264-params', 'open-gop=0:force-cfr=1:nal-hrd=cbr', '-b:v', '2M', '-minrate', '2M', '-maxrate', '2M', '-bufsize', '1M',
    '-video_track_timescale', String(TIMESCALE), '-movflags', '+cmaf+empty_moov+default_base_moof+frag_keyframe+skip_sidx+skip_trailer',
    '-frag_duration', String(Math.floor((partFrames * 1_000_000) / FRAME_RATE)), '-use_editlist', '0', '-f', 'mp4', path,
  ], { encoding: 'utf8' });
  assert.equal(made.status, 0, `ffmpeg: ${made.error ?? made.stderr}`);
  return readClip(readFileSync(path), partFrames);
}

/**
 * @typedef {{ init: Buffer, parts: Buffer[], partFrames: number, partsPerSegment: number }} Clip
 * @param {Buffer} file
 * @param {number} partFrames
 * @returns {Clip}
 */
function readClip(file, partFrames) {
  const init = [];
  const parts = [];
  for (let at = 0; at < file.length; ) {
    const size = file.readUInt32BE(at);
    const box = file.subarray(at, at + size);
    const kind = box.toString('latin1', 4, 8);
    if (kind === 'moof') parts.push([box]);
    else if (kind === 'mdat') parts.at(-1).push(box);
    else init.push(box);
    at += size;
  }
  assert.equal(parts.length, (SECONDS * FRAME_RATE) / partFrames, 'parts of the clip');
  return { init: Buffer.concat(init), parts: parts.map((boxes) => Buffer.concat(boxes)), partFrames, partsPerSegment: KEYFRAMES / partFrames };
}

/**
 * Part `number` of the clip without end: the clip's own, with its decode time moved on.
 * @param {Clip} clip
 * @param {number} number
 */
export function partAt(clip, number) {
  const part = Buffer.from(clip.parts[number % clip.parts.length]);
  const at = part.indexOf('tfdt', 0, 'latin1');
  assert.ok(at > 0 && part[at + 4] === 1, 'a tfdt of 64 bits');
  const time = part.readBigUInt64BE(at + 8) + BigInt(Math.floor(number / clip.parts.length) * SECONDS * TIMESCALE);
  part.writeBigUInt64BE(time, at + 8);
  const sequence = part.indexOf('mfhd', 0, 'latin1');
  part.writeUInt32BE(number + 1, sequence + 8);
  return part;
}
