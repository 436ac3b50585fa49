import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Browser, freshRoom, shot, until } from './browser.js';
import { moves, push, state, turns, TURN_MS_MAX } from './live.js';

/** Requests for one part past which a player is not playing but looping. */
const SAME_PART_MAX = 4;

test('a page that waits plays a stream from its beginning, sees it end, and plays the next', () =>
  Browser.with(async (browser) => {
    const room = freshRoom('stream');
    const page = await browser.open('viewer', 'p2m.html', { room });
    const parts = new Map();
    page.on('request', (request) => {
      const { pathname } = new URL(request.url());
      if (pathname.endsWith('.m4s')) parts.set(pathname, (parts.get(pathname) ?? 0) + 1);
    });
    await turns(page, 'none');
    for (const round of [1, 2]) {
      const publisher = push(room);
      try {
        await turns(page, 'playing');
        await moves(page, 4);
        await shot(page, `stream-${round}`);
      } finally {
        await publisher.end();
      }
      await turns(page, 'ended');
    }

    const most = [...parts].sort((one, other) => other[1] - one[1])[0];
    assert.ok(most[1] <= SAME_PART_MAX, `${most[0]} was asked for ${most[1]} times`);
    await shot(page, 'stream-ended');
  }));

test('a publisher that is killed is told of, and the next one plays on in the same page', () =>
  Browser.with(async (browser) => {
    const room = freshRoom('crash');
    const publishers = [push(room)];
    try {
      const page = await browser.open('viewer', 'p2m.html', { room });
      await turns(page, 'playing');
      await moves(page, 2);
      await publishers[0].end('SIGKILL');
      await until('the page says so', () => page.isVisible('#banner'));
      assert.match(await page.textContent('#banner'), /lost the connection/);
      await shot(page, 'stream-away');

      publishers.push(push(room));
      await until('it plays on', async () => (await state(page)) === 'playing' && !(await page.isVisible('#spinner')), TURN_MS_MAX);
      await moves(page, 4);
    } finally {
      for (const publisher of publishers) await publisher.end();
    }
  }));
