import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { Browser, Line, freshRoom, shot, signalUrl, until } from './browser.js';

/** Seconds from camera to screen past which something is wrong, on a machine busy with encoder and browsers. */
const LATENCY_MAX = 6;
/** Seconds that sound and picture of the published media may be apart. */
const SYNC_MAX = 0.12;
/** Milliseconds a stream has to start playing. */
const START_MS_MAX = 40_000;
/** Where the test picture flashes, as a crop of ffmpeg's. */
const FLASH = 'crop=iw/16:ih/16:iw*15/32:ih*3/4';
/** Pictures a second that are looked at for a flash. */
const LOOKS = 100;
const AUDIO_RATE = 48_000;

const demo = (page) => page.evaluate(() => window.mobzDemo.state);
const turns = (page, wanted) => until(`the page is ${wanted}`, async () => (await demo(page)) === wanted, START_MS_MAX);
const stats = (page) => page.evaluate(() => window.mobzDemo.stats());
const figures = (page) => page.evaluate(() => window.mobzDemo.figures());

async function goLive(browser, room, query = {}) {
  const page = await browser.open('publisher', 'publish.html', { room, ...query });
  if (!('live' in query)) {
    await until('it can go live', () => page.isEnabled('#go'));
    await page.click('#go');
  }
  await turns(page, 'live');
  return page;
}

async function watch(browser, room, name = 'viewer', size = undefined) {
  const page = await browser.open(name, 'p2m.html', { room }, size);
  await turns(page, 'playing');
  return page;
}

async function moves(page, seconds) {
  const { position } = await figures(page);
  await until(`it plays ${seconds} s more`, async () => (await figures(page)).position >= position + seconds);
}

/** Init and whole segments of a room, as a player would put them together. */
async function media(page) {
  const url = await page.evaluate(() => window.mobzDemo.room.playbackUrl);
  const text = async (address) => (await fetch(address)).text();
  const main = await text(url);
  const variant = new URL(/^[^#\s].*$/m.exec(main)[0], url).href;
  const playlist = await text(variant);
  const names = [/#EXT-X-MAP:URI="([^"]+)"/.exec(playlist)[1], ...playlist.split('\n').filter((line) => line && !line.startsWith('#'))];
  const pieces = await Promise.all(names.map(async (name) => new Uint8Array(await (await fetch(new URL(name, variant))).arrayBuffer())));
  return { main, playlist, bytes: Buffer.concat(pieces) };
}

/** Runs a program on bytes; gives what it printed. */
async function run(program, args, input) {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const printed = [];
  child.stdout.on('data', (chunk) => printed.push(chunk));
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const [code] = await once(child, 'close');
  assert.equal(code, 0, `${program} ${args.join(' ')}`);
  return Buffer.concat(printed);
}

/** Seconds at which a row of levels rises past the middle of its range. */
function rises(levels, rate) {
  const sorted = [...levels].sort((one, other) => one - other);
  const middle = (sorted[Math.floor(sorted.length * 0.5)] + sorted[Math.floor(sorted.length * 0.99)]) / 2;
  const found = [];
  for (let index = 1; index < levels.length; index += 1) {
    if (levels[index] > middle && levels[index - 1] <= middle && index / rate - (found.at(-1) ?? -1) > 0.5) found.push(index / rate);
  }
  return found;
}

test('a page publishes its camera and microphone, and another plays both', () =>
  Browser.with(async (browser) => {
    const room = freshRoom('publish');
    const publisher = await goLive(browser, room);
    const viewer = await watch(browser, room);
    await moves(viewer, 5);

    const seen = await figures(viewer);
    assert.ok(seen.width > 0 && seen.frames > 20, `picture ${JSON.stringify(seen)}`);
    assert.ok(seen.fromCapture > 0 && seen.fromCapture < LATENCY_MAX, `glass to glass ${JSON.stringify(seen)}`);
    assert.equal(await viewer.textContent('#latency-title'), 'Glass to glass');
    const sound = () => viewer.evaluate(() => document.querySelector('video').webkitAudioDecodedByteCount);
    const heard = await sound();
    await until('more sound is decoded', async () => (await sound()) > heard);
    await until('the publisher sees its viewer', async () => (await publisher.getAttribute('#viewers', 'data-count')) === '1');
    const sent = await stats(publisher);
    assert.ok(sent.parts > 10 && sent.droppedParts === 0 && sent.bitrate > 50_000, JSON.stringify(sent));
    console.log(`glass to glass ${seen.fromCapture.toFixed(2)} s; ${JSON.stringify(sent)}`);
    await shot(publisher, 'publish-live');
    await shot(viewer, 'publish-watched');

    const { main, playlist, bytes } = await media(viewer);
    assert.match(main, /CODECS="avc1\.[0-9a-f]{6},opus"/);
    assert.doesNotMatch(playlist, /EXT-X-(DISCONTINUITY|GAP)$/m);
    const probed = await run('ffprobe', ['-v', 'error', '-show_streams', '-of', 'json', '-i', '-'], bytes);
    const { streams } = JSON.parse(probed);
    assert.deepEqual(streams.map((it) => it.codec_name), ['h264', 'opus']);
    const [video, audio] = streams.map((it) => Number(it.start_time));
    assert.ok(Math.abs(video - audio) < SYNC_MAX, `video begins at ${video}, audio at ${audio}`);

    await publisher.click('#go');
    await turns(viewer, 'ended');
    await turns(publisher, 'ready');
  }));

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
    const flashes = rises([...picture], LOOKS);
    const tones = rises(loudness, LOOKS);
    const apart = flashes
      .map((flash) => tones.map((tone) => tone - flash).sort((one, other) => Math.abs(one) - Math.abs(other))[0])
      .filter((it) => it !== undefined);
    console.log(`sound after picture, s: ${apart.map((it) => it.toFixed(2)).join(' ')}`);
    assert.ok(flashes.length >= 4 && tones.length >= 4, `${flashes.length} flashes, ${tones.length} tones`);
    const middle = [...apart].sort((one, other) => one - other)[apart.length >> 1];
    assert.ok(Math.abs(middle) < SYNC_MAX, `the sound is ${middle} s after the picture`);
  }));

test('a publisher whose line is cut goes on where it was, with nothing lost', () =>
  Browser.with(async (browser) => {
    const line = await Line.to(await signalUrl());
    try {
      const room = freshRoom('cut');
      const publisher = await goLive(browser, room, { signal: line.signal });
      const viewer = await watch(browser, room);
      line.cut();
      await turns(publisher, 'interrupted');
      await shot(publisher, 'publish-interrupted');
      line.mend();
      await turns(publisher, 'live');
      await moves(viewer, 4);

      const { droppedParts } = await stats(publisher);
      const { playlist } = await media(viewer);
      assert.equal(droppedParts, 0);
      assert.doesNotMatch(playlist, /EXT-X-(DISCONTINUITY|GAP)$/m);
    } finally {
      line.close();
    }
  }));

test('the stream goes on without the camera, and from the page that takes its place', () =>
  Browser.with(async (browser) => {
    const room = freshRoom('again');
    const publisher = await goLive(browser, room, { live: '' });
    const viewer = await watch(browser, room);
    await publisher.click('[data-toggle="video"]');
    await moves(viewer, 4);
    await publisher.click('[data-toggle="audio"]');
    await moves(viewer, 3);
    assert.equal((await stats(publisher)).droppedParts, 0);

    await publisher.reload();
    await turns(publisher, 'live');
    const { parts } = await stats(publisher);
    await until('more is stored', async () => (await stats(publisher)).parts > parts + 8);
    await turns(viewer, 'playing');
    await moves(viewer, 4);
    const { playlist } = await media(viewer);
    assert.equal(playlist.match(/^#EXT-X-DISCONTINUITY$/gm)?.length, 1);
  }));
