import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Browser, freshRoom, Line, shot, signalUrl, until } from './browser.js';
import { MEDIA_MS_MAX, meet, mobzctl, open, publishes, received, sees } from './call.js';

/** Milliseconds in which a muted picture must bring no frame. */
const STILL_MS = 1_500;

test('three publish over two munits, and everybody sees everybody', () =>
  Browser.with(async (browser) => {
    const room = freshRoom('group');
    const pages = await meet(browser, room, ['ann', 'bob', 'cleo'], ['dan', 'eve', 'fred']);

    const { stations } = await mobzctl('room', 'inspect', room);
    assert.equal(stations.length, 3);
    assert.equal(new Set(stations.map((it) => it.munit)).size, 2, 'a room’s stations are spread');
    await pages.ann.click('#stats-toggle');
    await pages.ann.click('#people-toggle');
    await until('the figures show', async () => (await pages.ann.textContent('.tile:not(.own) .tile-figures')).includes('fps'));
    await shot(pages.ann, 'm2m-publisher');
    await shot(pages.dan, 'm2m-viewer');
  }));

test('a muted picture brings no frame, and unmuted it comes again', () =>
  Browser.with(async (browser) => {
    const { ann, bob } = await meet(browser, freshRoom('mute'), ['ann'], ['bob']);
    // The flag alone: what the camera sends is stopped at the munit.
    await ann.evaluate(() => window.mobzDemo.room.updateVideo({ video: false }));
    await until('bob sees the name instead', () => bob.isVisible('.tile[data-user=ann] .tile-cover'));
    const still = await until('the picture stands still', async () => {
      const before = await received(bob, 'ann');
      await new Promise((resolve) => setTimeout(resolve, STILL_MS));
      const after = await received(bob, 'ann');
      return after.frames === before.frames && after;
    });
    assert.equal(still.state, 'connected');

    await ann.evaluate(() => window.mobzDemo.room.updateVideo({ video: true }));
    await sees('bob', bob, 'ann');
  }));

test('a chosen size really changes the picture', () =>
  Browser.with(async (browser) => {
    const { bob } = await meet(browser, freshRoom('layers'), ['ann'], ['bob']);
    const large = await until('the large picture comes', async () => {
      await bob.evaluate(() => window.mobzDemo.group.setLayer('ann', 2)).catch(() => {});
      const { width } = await received(bob, 'ann');
      return width >= 640 && width;
    }, MEDIA_MS_MAX);

    await bob.selectOption('.tile[data-user=ann] select', '0');
    await until(`a smaller one than ${large}`, async () => {
      const { width } = await received(bob, 'ann');
      return width > 0 && width <= large / 2;
    }, MEDIA_MS_MAX);
    assert.equal(await bob.evaluate(() => window.mobzDemo.group.remotes[0].layer.substream), 0);
    await sees('bob', bob, 'ann');
  }));

test('a viewer asks, the owner lets it in, and later removes it', () =>
  Browser.with(async (browser) => {
    const { ann, bob } = await meet(browser, freshRoom('ask'), ['ann'], ['bob']);
    await bob.click('#ask');
    await until('ann hears it', async () => (await ann.textContent('#request-count')) === '1');
    await ann.click('#people-toggle');
    await shot(ann, 'm2m-request');
    await ann.click('#requests >> text=Let in');
    await publishes('bob', bob);
    await sees('ann', ann, 'bob');

    await ann.click('#people-list li[data-user=bob] >> text=Remove');
    await until('bob is told', async () => (await bob.textContent('#ended-title')) === 'You were removed from the call');
    await until('ann sees bob no more', async () => (await received(ann, 'bob')).state === undefined);
  }));

test('a refused viewer goes on watching', () =>
  Browser.with(async (browser) => {
    const { ann, bob } = await meet(browser, freshRoom('refuse'), ['ann'], ['bob']);
    await bob.click('#ask');
    await until('ann hears it', async () => (await ann.textContent('#request-count')) === '1');
    await ann.click('#people-toggle');
    await ann.click('#requests >> text=Not now');

    await until('bob may ask again', () => bob.isEnabled('#ask'));
    await sees('bob', bob, 'ann');
  }));

test('a picture goes on while its station moves to another munit', (t) =>
  Browser.with(async (browser) => {
    const { ann, bob } = await meet(browser, freshRoom('move'), ['ann'], ['bob']);
    const { station } = await received(bob, 'ann');
    const { munit } = await mobzctl('station', 'inspect', station);
    for (const page of [ann, bob]) {
      await page.evaluate(() => {
        const { group } = window.mobzDemo;
        window.states = [];
        group.on('state', (state) => window.states.push(state));
        group.on('remote', (remote) => window.states.push(remote.state));
        window.shownAt = [];
        const video = document.querySelector('.tile[data-user=ann] video');
        const shown = (now) => {
          window.shownAt.push(now);
          video?.requestVideoFrameCallback(shown);
        };
        video?.requestVideoFrameCallback(shown);
      });
    }

    await mobzctl('munit', 'drain', munit, '--migrate', '--wait', '--yes');
    await until('bob receives another station', async () => (await received(bob, 'ann')).station !== station);
    await sees('bob', bob, 'ann');

    assert.deepEqual(await ann.evaluate(() => window.states), [], 'ann was live all the time');
    assert.deepEqual(await bob.evaluate(() => [...new Set(window.states)]), ['connected']);
    const gap = await bob.evaluate(() => Math.max(...window.shownAt.slice(1).map((at, index) => at - window.shownAt[index])));
    t.diagnostic(`longest time between two pictures: ${gap.toFixed(0)} ms`);
    await mobzctl('munit', 'revive', munit, '--yes');
  }));

test('a cut signaling line is resumed while media flow on', () =>
  Browser.with(async (browser) => {
    const line = await Line.to(await signalUrl());
    try {
      const room = freshRoom('cut');
      const ann = await open(browser, 'ann', room);
      await publishes('ann', ann);
      const bob = await open(browser, 'bob', room, { join: 'watch', signal: line.signal });
      await sees('bob', bob, 'ann');
      const { station } = await received(bob, 'ann');

      line.cut();
      await until('bob notices', () => bob.evaluate(() => window.mobzDemo.room.state === 'reconnecting'));
      await sees('bob', bob, 'ann');
      line.mend();
      await until('bob is back', () => bob.evaluate(() => window.mobzDemo.room.state === 'joined'));

      await sees('bob', bob, 'ann');
      assert.equal((await received(bob, 'ann')).station, station);
    } finally {
      line.close();
    }
  }));
