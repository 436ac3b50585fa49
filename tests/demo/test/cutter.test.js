import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cutter, Plan } from '../src/client/cutter.js';
import { boxes, numbers } from './boxes.js';

const MS = 1000;

/** Cuts frames, given as [milliseconds, key], and sounds of 20 ms each from 0 on. */
function cut({ plan, frames, sounds = 0, finish = true }) {
  const parts = [];
  const cutter = new Cutter(plan, frames.length > 0, (part) => parts.push(part));
  for (let index = 0; index < sounds; index += 1) cutter.addAudio({ time: index * 20 * MS, duration: 20 * MS, bytes: new Uint8Array(3) });
  for (const [ms, key] of frames) cutter.addVideo({ time: ms * MS, key, bytes: new Uint8Array(9) });
  if (finish) cutter.finish();
  return parts;
}

const every = (ms, count, keys) => Array.from({ length: count }, (_, index) => [index * ms, index % keys === 0]);

test('parts hold whole frames and fit the target at common frame rates', () => {
  for (const target of [0.2, 0.333, 0.5]) {
    for (const rate of [10, 15, 24, 25, 29.97, 30, 50, 60]) {
      const plan = new Plan(target, rate, 2);
      const lasts = plan.frames / rate;
      assert.ok(lasts <= plan.target && lasts >= plan.target * 0.85, `${rate} fps at ${target} s: ${JSON.stringify(plan)}`);
      assert.ok(plan.target < target + 1 / rate, `${rate} fps: a target of ${plan.target} s for ${target} s`);
      const segment = plan.keyFrames / rate;
      assert.ok(segment > 1.7 && segment < 2.4 && plan.keyFrames % plan.frames === 0, `${rate} fps: segments of ${segment} s`);
    }
  }
});

test('a key frame begins a part, and the part before it closes its segment', () => {
  const plan = new Plan(0.333, 10, 2);
  const parts = cut({ plan, frames: every(100, 43, plan.keyFrames) });

  assert.equal(plan.frames, 3);
  assert.equal(parts.length, 15);
  assert.deepEqual(parts.map(({ independent }, index) => independent === (index % 7 === 0)), Array(15).fill(true));
  assert.deepEqual(parts.map(({ last }, index) => last === (index % 7 === 6 || index === 14)), Array(15).fill(true));
  assert.ok(parts.slice(0, -1).every(({ duration }) => Math.abs(duration - 0.3) < 1e-9));
});

test('no part is longer than the target, whatever the camera does', () => {
  const plan = new Plan(0.333, 30, 2);
  const frames = [];
  let at = 0;
  for (let index = 0; index < 300; index += 1) {
    frames.push([at, index % 60 === 0]);
    at += [33, 20, 70, 5, 400, 34, 33][index % 7];
  }
  const parts = cut({ plan, frames });

  assert.ok(parts.every(({ duration }) => duration > 0 && duration <= plan.target), JSON.stringify(parts.map((it) => it.duration)));
  const samples = parts.map(({ bytes }) => numbers(boxes(bytes)[0].all('trun')[0])[1]);
  assert.equal(samples.reduce((sum, it) => sum + it, 0), 300);
});

test('frames before the first key frame, and sound before it, are left out', () => {
  const plan = new Plan(0.333, 10, 2);
  const parts = cut({ plan, frames: [[0, false], [100, false], [200, true], [300, false], [400, false], [500, false]], sounds: 30, finish: false });

  assert.equal(parts.length, 1);
  assert.equal(parts[0].time, 200 * MS);
  const [, sound] = boxes(parts[0].bytes)[0].all('traf');
  assert.deepEqual(numbers(sound.one('tfdt')).at(-1), (200 * 48_000) / 1000);
  assert.equal(numbers(sound.one('trun'))[1], 15);
});

test('each sound is in one part, in order', () => {
  const plan = new Plan(0.333, 10, 2);
  const parts = cut({ plan, frames: every(100, 22, 21), sounds: 110 });
  const runs = parts.map(({ bytes }) => boxes(bytes)[0].all('traf')[1]);
  let expected = 0;
  for (const run of runs) {
    assert.equal(numbers(run.one('tfdt')).at(-1), expected * 960);
    expected += numbers(run.one('trun'))[1];
  }
  assert.equal(expected, 110);
});

test('sound alone is cut by itself, and every part may be started with', () => {
  const plan = new Plan(0.333, 50, 2);
  const parts = cut({ plan, frames: [], sounds: 300 });

  assert.ok(parts.every(({ independent, duration }) => independent && duration <= 0.333));
  assert.deepEqual(parts.map(({ last }) => last).slice(0, 7), [false, false, false, false, false, true, false]);
});
