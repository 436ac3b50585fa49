import assert from 'node:assert/strict';
import { test } from 'node:test';
import { initSection, part } from '../src/client/mp4.js';
import { boxes, numbers } from './boxes.js';

const AVCC = Uint8Array.from([1, 66, 192, 30, 255, 225, 0, 4, 103, 66, 192, 30, 1, 0, 4, 104, 206, 60, 128]);
/** Two channels, 312 samples of pre-skip, 44.1 kHz before encoding, gain 0, mapping family 0. */
const OPUS_HEAD = Uint8Array.from([...Buffer.from('OpusHead'), 1, 2, 0x38, 1, 0x44, 0xac, 0, 0, 0, 0, 0]);
const video = { width: 640, height: 360, avcC: AVCC };
const audio = { opusHead: OPUS_HEAD };
const sample = (duration, length, key) => ({ duration, bytes: new Uint8Array(length).fill(length), key });

test('an init has a track for each of video and audio, with their codec configuration', () => {
  const init = boxes(initSection({ video, audio }));

  assert.deepEqual(init.map(({ kind }) => kind), ['ftyp', 'moov']);
  const traks = init[1].all('trak');
  assert.deepEqual(traks.map((trak) => trak.one('tkhd').u32(12)), [1, 2]);
  assert.deepEqual(traks.map((trak) => trak.one('mdhd').u32(12)), [90_000, 48_000]);
  assert.deepEqual(traks.map((trak) => trak.one('hdlr').text(8, 4)), ['vide', 'soun']);
  assert.deepEqual(init[1].all('trex').map((trex) => trex.u32(4)), [1, 2]);
  assert.deepEqual([...traks[0].one('avcC').body], [...AVCC]);
  const avc1 = traks[0].one('avc1');
  assert.deepEqual([avc1.u16(24), avc1.u16(26)], [640, 360]);
});

test('the Opus box is big-endian and has the rate Chromium wants', () => {
  const dOps = boxes(initSection({ audio }))[1].one('dOps');

  assert.deepEqual([...dOps.body], [0, 2, 1, 0x38, 0, 0, 0xbb, 0x80, 0, 0, 0]);
});

test('an init of one kind has one track', () => {
  assert.equal(boxes(initSection({ video }))[1].all('trak').length, 1);
  assert.equal(boxes(initSection({ audio }))[1].all('trak').length, 1);
});

test('a part says where each sample lies, how long it lasts, and which are key frames', () => {
  const frames = [sample(3000, 500, true), sample(3003, 70, false)];
  const sounds = [sample(960, 40), sample(960, 41)];
  const bytes = part(7, { video: { time: 2 ** 33 + 5, samples: frames }, audio: { time: 4800, samples: sounds } });
  const [moof, mdat] = boxes(bytes);

  assert.deepEqual([moof.kind, mdat.kind], ['moof', 'mdat']);
  assert.equal(moof.one('mfhd').u32(4), 7);
  const [picture, sound] = moof.all('traf');
  assert.deepEqual(numbers(picture.one('tfdt')), [0x0100_0000, 2, 5]);
  assert.deepEqual(numbers(sound.one('tfdt')), [0x0100_0000, 0, 4800]);
  const [, count, at, ...rows] = numbers(picture.one('trun'));
  assert.deepEqual([count, rows], [2, [3000, 500, 0x0200_0000, 3003, 70, 0x0101_0000]]);
  const [, , soundAt, ...soundRows] = numbers(sound.one('trun'));
  assert.deepEqual(soundRows, [960, 40, 960, 41]);
  // Offsets count from the moof, which is where the part begins.
  assert.deepEqual([bytes[at], bytes[at + 500], bytes[soundAt], bytes[soundAt + 40]], [500 % 256, 70, 40, 41]);
  assert.equal(mdat.body.length, 500 + 70 + 40 + 41);
});

test('a part without sound has one fragment', () => {
  const [moof] = boxes(part(1, { video: { time: 0, samples: [sample(3000, 9, true)] }, audio: { time: 0, samples: [] } }));

  assert.equal(moof.all('traf').length, 1);
});
