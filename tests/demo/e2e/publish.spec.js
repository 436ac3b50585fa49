import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Browser, Line, freshRoom, shot, signalUrl, until } from './browser.js';
import { figures, goLive, media, moves, run, stats, turns, watch } from './live.js';

/** Seconds from camera to screen past which something is wrong, on a machine busy with encoder and browsers. */
const LATENCY_MAX = 6;
/** Seconds that sound and picture of the published media may begin apart. */
const SYNC_MAX = 0.12;

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
