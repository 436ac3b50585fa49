import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { Browser, freshRoom, setting, shot, until } from './browser.js';

/** Milliseconds a publisher, its encoder and the player have to start, or to be seen to end. */
const TURN_MS_MAX = 40_000;
/** Requests for one part past which a player is not playing but looping. */
const SAME_PART_MAX = 4;

/** Publishes the sample to a room until it is told to end. */
function push(room) {
  const mobzctl = setting('MOBZ_CTL', 'the mobzctl binary');
  const endpoint = setting('MOBZ_ENDPOINT', 'the stack’s control API, http://127.0.0.1:…');
  const sample = setting('MOBZ_SAMPLE', 'a media file to publish');
  const process = spawn(mobzctl, ['--endpoint', endpoint, 'hls', 'push', room, sample, '--loop'], { stdio: 'ignore' });
  return {
    async end(signal = 'SIGINT') {
      if (process.exitCode !== null || process.signalCode !== null) return;
      process.kill(signal);
      await once(process, 'exit');
    },
  };
}

const state = (page) => page.evaluate(() => window.mobzDemo.state);
const turns = (page, wanted) => until(`the page is ${wanted}`, async () => (await state(page)) === wanted, TURN_MS_MAX);
const moves = async (page, seconds) => {
  const position = () => page.evaluate(() => window.mobzDemo.figures().position);
  const before = await position();
  await until(`it plays ${seconds} s more`, async () => (await position()) >= before + seconds);
};

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
