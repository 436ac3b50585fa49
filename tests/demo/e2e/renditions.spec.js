import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Browser, freshRoom, setting, shot, until } from './browser.js';
import { figures, moves, push, turns } from './live.js';
import { choose, heights, isLive, look, play, plays } from './player.js';

/** The renditions that are published: how many lines they have. */
const LINES = [180, 360];
const FLAGS = ['--renditions', LINES.toReversed().map((lines) => `${lines}p`).join(',')];

const options = (page) => page.$$eval('#quality option', (list) => list.map(({ textContent }) => textContent));

test('hls.js and shaka play each rendition, and go from one to the other', () =>
  Browser.with(async (browser) => {
    const room = freshRoom('switch');
    const url = `${setting('MOBZ_ORIGIN', 'the stack’s origin')}/hls/${room}/index.m3u8`;
    const publisher = push(room, { flags: FLAGS });
    try {
      await isLive(url);
      for (const kind of ['hls', 'shaka']) {
        const page = await play(browser, kind, url);
        assert.deepEqual(await heights(kind, page), LINES, kind);
        for (const lines of [180, 360, 180]) {
          await choose(kind, page, lines);
          await plays(kind, page);
          assert.equal((await look(page)).height, lines, kind);
        }
        assert.deepEqual((await look(page)).seen.filter((it) => it.startsWith('fatal')), [], kind);
        await page.close();
      }
    } finally {
      await publisher.end();
    }
  }));

test('the rendition is chosen on the watch page, which tells what it shows', () =>
  Browser.with(async (browser) => {
    const room = freshRoom('chosen');
    const publisher = push(room, { flags: FLAGS });
    try {
      const page = await browser.open('viewer', 'p2m.html', { room });
      await turns(page, 'playing');
      await page.evaluate(() => {
        window.states = [];
        const player = document.querySelector('#player');
        new MutationObserver(() => window.states.push(player.dataset.state)).observe(player, { attributeFilter: ['data-state'] });
      });
      await until('the renditions can be chosen', () => page.isVisible('#quality'));
      assert.deepEqual((await options(page)).slice(1), ['360p', '180p']);

      for (const lines of [180, 360, 180]) {
        await page.selectOption('#quality', { label: `${lines}p` });
        await until(`${lines}p is shown`, async () => (await figures(page)).height === lines);
        await until('the figures say so', async () => (await page.textContent('#rendition')).endsWith(`×${lines}`));
        await moves(page, 3);
        assert.equal((await figures(page)).height, lines);
      }
      await shot(page, 'renditions-chosen');
      await page.selectOption('#quality', { index: 0 });
      await until('it says what it chooses by itself', async () => /^Auto · \d+p$/.test((await options(page))[0]));
      await moves(page, 3);
      await page.setViewportSize({ width: 360, height: 780 });
      const edges = await page.$$eval('.player-bar > :not([hidden])', (list) => list.map((it) => it.getBoundingClientRect().right));
      assert.ok(Math.max(...edges) <= 360, `the controls end at ${edges}`);
      await page.hover('#player');
      await shot(page, 'renditions-phone');
      assert.deepEqual(await page.evaluate(() => window.states), [], 'it played all the while');
    } finally {
      await publisher.end();
    }
  }));
