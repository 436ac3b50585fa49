import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Browser, freshRoom, shot } from './browser.js';
import { goLive, media, moves, run, watch } from './live.js';

/**
 * Seconds that sound and picture may be apart, in the published media and as they are played: about what ITU-R
 * BT.1359-1 finds acceptable (from 0.09 s before the picture to 0.185 s after it), and a frame of a machine busy with
 * encoder and browsers, which draws the flash a dozen times a second.
 */
const SYNC_MAX = 0.12;
/** Milliseconds that a playing page is watched for flashes and tones, one a second. */
const WATCH_MS = 12_000;
/** Where the test picture flashes, as shares of its width and height; and as a crop of ffmpeg's. */
const BOX = { left: 15 / 32, top: 3 / 4, width: 1 / 16, height: 1 / 16 };
const FLASH = `crop=iw*${BOX.width}:ih*${BOX.height}:iw*${BOX.left}:ih*${BOX.top}`;
/** Pictures a second that are looked at for a flash. */
const LOOKS = 100;
const AUDIO_RATE = 48_000;
/** The test picture's hue, and where in it there is nothing but its background. */
const HUE = 200;
const BARE = [[0.03, 0.5], [0.97, 0.5]];
/** How far a colour may be off, of 255, after an encoder, a player and a screenshot. */
const COLOUR_OFF_MAX = 16;
/** Where it shows the time: left, top, width and height. */
const CLOCK = { left: 0.3, top: 0.42, width: 0.4, height: 0.14 };
/** Milliseconds between two screenshots. */
const APART_MS = 1_500;

/**
 * When a row of levels rises past the middle of its range, once in half a second at most: between the last look at
 * which it had not and the first at which it had.
 */
function rises(levels) {
  const sorted = levels.map(({ level }) => level).sort((one, other) => one - other);
  const middle = (sorted[Math.floor(sorted.length * 0.5)] + sorted[Math.floor(sorted.length * 0.99)]) / 2;
  const found = [];
  for (let index = 1; index < levels.length; index += 1) {
    const [before, now] = [levels[index - 1], levels[index]];
    const at = (before.at + now.at) / 2;
    if (now.level > middle && before.level <= middle && at - (found.at(-1) ?? -Infinity) > 0.5) found.push(at);
  }
  return found;
}

/** By how much each tone is after the flash nearest to it, sorted. */
function apart(flashes, tones) {
  const nearest = (tone) => flashes.map((flash) => tone - flash).sort((one, other) => Math.abs(one) - Math.abs(other))[0];
  return tones.map(nearest).sort((one, other) => one - other);
}

const middleOf = (sorted) => sorted[sorted.length >> 1];

test('sound and picture of a published stream are in sync', () =>
  Browser.with(async (browser) => {
    const room = freshRoom('sync');
    const publisher = await goLive(browser, room, { test: '' });
    const viewer = await watch(browser, room);
    await moves(viewer, 8);
    const { bytes } = await media(viewer);
    await publisher.evaluate(() => window.mobzDemo.room.leave());

    const decode = (args) => run('ffmpeg', ['-v', 'error', '-i', '-', ...args, '-'], bytes);
    const picture = await decode(['-an', '-vf', `${FLASH},scale=1:1:flags=area,format=gray,fps=${LOOKS}:start_time=0`, '-f', 'rawvideo']);
    const pcm = await decode(['-vn', '-ac', '1', '-af', `aresample=${AUDIO_RATE}:async=1:first_pts=0`, '-f', 's16le']);
    const samples = new Int16Array(pcm.buffer, pcm.byteOffset, pcm.byteLength >> 1);
    const step = AUDIO_RATE / LOOKS;
    const loudness = Array.from({ length: Math.floor(samples.length / step) }, (_, look) =>
      samples.subarray(look * step, (look + 1) * step).reduce((most, sample) => Math.max(most, Math.abs(sample)), 0),
    );
    const timed = (levels) => levels.map((level, look) => ({ at: look / LOOKS, level }));
    const flashes = rises(timed([...picture]));
    const tones = rises(timed(loudness));
    const off = apart(flashes, tones);
    console.log(`sound after picture in the media, s: ${off.map((it) => it.toFixed(2)).join(' ')}`);
    assert.ok(flashes.length >= 4 && tones.length >= 4, `${flashes.length} flashes, ${tones.length} tones`);
    assert.ok(Math.abs(middleOf(off)) < SYNC_MAX, `the sound is ${middleOf(off)} s after the picture`);
  }));

/** What a playing page shows and sounds like for a while: by its clock in seconds, how bright the flash's place is, and how loud. */
function watchClosely(page, milliseconds) {
  return page.evaluate(
    async ({ milliseconds, box }) => {
      const video = document.querySelector('video');
      const context = new AudioContext();
      const meter = `registerProcessor('meter', class extends AudioWorkletProcessor {
        process([[samples]]) {
          this.port.postMessage({ at: currentTime, level: samples ? samples.reduce((most, it) => Math.max(most, Math.abs(it)), 0) : 0 });
          return true;
        }
      })`;
      await context.audioWorklet.addModule(URL.createObjectURL(new Blob([meter], { type: 'text/javascript' })));
      const node = new AudioWorkletNode(context, 'meter', { channelCount: 1, channelCountMode: 'explicit' });
      const loud = [];
      node.port.onmessage = ({ data }) => loud.push(data);
      context.createMediaElementSource(video).connect(node);
      node.connect(context.destination);
      await context.resume();

      const pen = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
      const bright = [];
      let running = true;
      const look = (_, { expectedDisplayTime }) => {
        const { videoWidth: width, videoHeight: height } = video;
        pen.drawImage(video, box.left * width, box.top * height, box.width * width, box.height * height, 0, 0, 1, 1);
        bright.push({ at: expectedDisplayTime / 1000, level: pen.getImageData(0, 0, 1, 1).data[1] });
        if (running) video.requestVideoFrameCallback(look);
      };
      video.requestVideoFrameCallback(look);
      await new Promise((resolve) => setTimeout(resolve, milliseconds));
      running = false;

      // When a sample is heard, by the page's clock.
      const { contextTime, performanceTime } = context.getOutputTimestamp();
      const heard = loud.map(({ at, level }) => ({ at: performanceTime / 1000 + at - contextTime, level }));
      return { bright, heard, size: [video.videoWidth, video.videoHeight] };
    },
    { milliseconds, box: BOX },
  );
}

test('sound and picture are in sync as they are played', () =>
  Browser.with(async (browser) => {
    const room = freshRoom('played');
    await goLive(browser, room, { test: '' });
    const viewer = await watch(browser, room);
    await viewer.click('#unmute');
    await moves(viewer, 2);

    const { bright, heard, size } = await watchClosely(viewer, WATCH_MS);

    const flashes = rises(bright);
    const tones = rises(heard);
    const off = apart(flashes, tones);
    console.log(`${size.join('×')}, ${bright.length} frames; sound after picture as played, s: ${off.map((it) => it.toFixed(3)).join(' ')}`);
    assert.ok(flashes.length >= 5 && tones.length >= 5, `${flashes.length} flashes, ${tones.length} tones`);
    assert.ok(Math.abs(middleOf(off)) < SYNC_MAX, `the sound is ${middleOf(off)} s after the picture`);
  }));

/** The video of a watching page as it is on the screen: its size and pixels. */
async function seen(page, name) {
  await shot(page, name);
  const box = await page.locator('#video').boundingBox();
  const png = await page.screenshot({ clip: box });
  const [width, height] = [png.readUInt32BE(16), png.readUInt32BE(20)];
  const pixels = await run('ffmpeg', ['-v', 'error', '-i', '-', '-f', 'rawvideo', '-pix_fmt', 'rgb24', '-'], png);
  const pixel = (x, y) => [...pixels.subarray(3 * (Math.floor(y) * width + Math.floor(x)), 3 * (Math.floor(y) * width + Math.floor(x)) + 3)];
  return { width, height, pixel };
}

/** CSS's hsl() as red, green and blue. */
function rgb(hue, saturation, lightness) {
  const chroma = saturation * Math.min(lightness, 1 - lightness);
  const channel = (shift) => {
    const place = (shift + hue / 30) % 12;
    return 255 * (lightness - chroma * Math.max(-1, Math.min(place - 3, 9 - place, 1)));
  };
  return [channel(0), channel(8), channel(4)];
}

/** The test picture's background at a place: from corner to corner, from one colour to the other. */
function background([x, y], { width, height }) {
  const [from, to] = [rgb(HUE, 0.45, 0.16), rgb(HUE + 60, 0.55, 0.26)];
  const share = (x * width ** 2 + y * height ** 2) / (width ** 2 + height ** 2);
  return from.map((value, channel) => value + (to[channel] - value) * share);
}

/** Which pixels of the clock's place are white: its digits. */
function digits({ width, height, pixel }) {
  const white = [];
  for (let y = CLOCK.top * height; y < (CLOCK.top + CLOCK.height) * height; y += 1) {
    for (let x = CLOCK.left * width; x < (CLOCK.left + CLOCK.width) * width; x += 1) white.push(pixel(x, y).every((value) => value > 200));
  }
  return white;
}

test('what a screenshot of the watching page shows is what was drawn', () =>
  Browser.with(async (browser) => {
    const room = freshRoom('drawn');
    await goLive(browser, room, { test: String(HUE) });
    const viewer = await watch(browser, room);
    await moves(viewer, 2);

    const first = await seen(viewer, 'sync-first');
    await viewer.waitForTimeout(APART_MS);
    const second = await seen(viewer, 'sync-second');

    for (const [x, y] of BARE) {
      const drawn = background([x, y], first);
      const shown = first.pixel(x * first.width, y * first.height);
      const off = Math.max(...shown.map((value, channel) => Math.abs(value - drawn[channel])));
      assert.ok(off <= COLOUR_OFF_MAX, `at ${x}, ${y} there is ${shown}, and ${drawn.map(Math.round)} was drawn`);
    }
    const [before, after] = [digits(first), digits(second)];
    const share = before.filter(Boolean).length / before.length;
    assert.ok(share > 0.03 && share < 0.5, `the clock is ${(share * 100).toFixed(1)} % of its place`);
    const changed = before.filter((white, index) => white !== after[index]).length / before.length;
    assert.ok(changed > 0.005, `${(changed * 100).toFixed(2)} % of the clock's place changed in ${APART_MS} ms`);
  }));
