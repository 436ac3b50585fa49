import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Browser, Line, setting, shot, signalUrl, until } from './browser.js';
import { figures, moves, turns } from './live.js';

/** Seconds behind live past which something is wrong, on a machine busy with an encoder and two browsers. */
const LATENCY_MAX = 6;

const liveRoom = () => setting('MOBZ_LIVE_ROOM', 'a p2m room somebody publishes to while the spec runs');

async function playing(browser, name, query = {}) {
  const page = await browser.open(name, 'p2m.html', { room: liveRoom(), ...query });
  await turns(page, 'playing');
  return page;
}

test('a live stream plays close behind live', () =>
  Browser.with(async (browser) => {
    const page = await playing(browser, 'viewer');
    await moves(page, 5);

    const isClose = (seconds) => seconds > 0 && seconds < LATENCY_MAX;
    const seen = await until(`the viewer is less than ${LATENCY_MAX} s behind`, async () => {
      const now = await figures(page);
      return isClose(now.latency) && isClose(now.fromCapture) && now;
    });
    assert.ok(seen.frames > 0 && seen.width > 0, `picture ${JSON.stringify(seen)}`);
    assert.ok(await page.evaluate(() => window.mobzDemo.player.hls.latestLevelDetails?.canBlockReload), 'low-latency playlists');
    assert.equal(await page.textContent('#live-badge'), 'Live');
    console.log(`behind live: ${seen.fromCapture.toFixed(2)} s by its dates, ${seen.latency.toFixed(2)} s by the player`);
    await shot(page, 'p2m-playing');
  }));

test('viewers are counted on every page', () =>
  Browser.with(async (browser) => {
    const count = async (page) => Number(await page.getAttribute('#viewers', 'data-count'));
    const first = await playing(browser, 'first');
    const before = await until('the first is counted', () => count(first));
    const second = await browser.open('second', 'p2m.html', { room: liveRoom() });

    await until('the first sees one more', async () => (await count(first)) === before + 1);
    await until('the second sees as many', async () => (await count(second)) === before + 1);
    await second.close();
    await until('the first sees it go', async () => (await count(first)) === before);
  }));

test('the picture goes on while the signaling line is cut, and the viewer is counted again', () =>
  Browser.with(async (browser) => {
    const line = await Line.to(await signalUrl());
    try {
      const page = await playing(browser, 'viewer', { signal: line.signal });
      line.cut();
      await until('the page notices', async () => (await page.textContent('#status-text')) === 'Reconnecting…');
      await moves(page, 2);
      line.mend();
      await until('it is back', async () => (await page.textContent('#status-text')) === 'Connected');
      await moves(page, 2);
    } finally {
      line.close();
    }
  }));
