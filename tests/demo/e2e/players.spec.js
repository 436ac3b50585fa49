import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { Browser, freshRoom, setting, shot, until } from './browser.js';
import { mobzctl, push } from './live.js';
import { isLive, look, play, PLAY_MS_MAX, plays } from './player.js';

test('hls.js, shaka and Chromium’s own player play the stream, and the first two a publisher that starts anew', () =>
  Browser.with(async (browser) => {
    const room = freshRoom('players');
    const url = `${setting('MOBZ_ORIGIN', 'the stack’s origin')}/hls/${room}/index.m3u8`;
    let publisher = push(room);
    try {
      await isLive(url);
      const pages = { hls: await play(browser, 'hls', url), shaka: await play(browser, 'shaka', url) };
      const native = await play(browser, 'native', url);
      for (const [kind, page] of Object.entries({ ...pages, native })) {
        const { width, seen } = await look(page);
        assert.equal(width, 320, kind);
        assert.deepEqual(seen.filter((it) => it.startsWith('fatal')), [], kind);
        await shot(page, `player-${kind}`);
      }
      await native.close();

      await publisher.end('SIGKILL');
      publisher = push(room);
      await until('the new publisher’s media are listed', async () => {
        const text = await (await fetch(url.replace('index', 'main/media'))).text();
        return text.split('#EXT-X-DISCONTINUITY\n').at(-1).includes('#EXTINF') && text.includes('#EXT-X-DISCONTINUITY\n');
      }, PLAY_MS_MAX);
      for (const [kind, page] of Object.entries(pages)) await plays(kind, page);
    } finally {
      await publisher.end('SIGINT');
    }
  }));

/** A port of 127.0.0.1 that was free a moment ago. */
async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test('hls.js and shaka play on when both daemons are killed and started again', () =>
  Browser.with(async (browser) => {
    const redis = setting('MOBZ_REDIS_URL', 'a Redis of this run’s own');
    const [signaling, origin] = [await freePort(), await freePort()];
    const daemons = () => [
      mobzctl('launch', 'signaling', '--listen', `127.0.0.1:${signaling}`, '--redis', redis, '--origin-url', `http://127.0.0.1:${origin}`),
      mobzctl('launch', 'origin', '--listen', `127.0.0.1:${origin}`, '--redis', redis),
    ];
    const room = freshRoom('daemons');
    const url = `http://127.0.0.1:${origin}/hls/${room}/index.m3u8`;
    let running = daemons();
    let publisher;
    try {
      await until('signaling is ready', () => fetch(`http://127.0.0.1:${signaling}/readyz`).then(({ ok }) => ok, () => false));
      publisher = push(room, { control: `http://127.0.0.1:${signaling}` });
      await isLive(url);
      const pages = { hls: await play(browser, 'hls', url), shaka: await play(browser, 'shaka', url) };

      await Promise.all(running.map((daemon) => daemon.end('SIGKILL')));
      running = daemons();

      for (const [kind, page] of Object.entries(pages)) await plays(kind, page);
    } finally {
      await publisher?.end('SIGINT');
      await Promise.all(running.map((daemon) => daemon.end('SIGTERM')));
    }
  }));
