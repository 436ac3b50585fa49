import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { Browser, freshRoom, setting, shot, until } from './browser.js';

const require = createRequire(import.meta.url);
/** Milliseconds a player has to start, or to go on after an interruption. */
const PLAY_MS_MAX = 60_000;
/** Seconds played that count as playing. */
const PLAYED_S = 4;
const SCRIPTS = {
  hls: [require.resolve('hls.js/dist/hls.min.js')],
  shaka: [require.resolve('shaka-player/dist/shaka-player.compiled.js')],
  native: [],
};

/** Begins to play a URL on a page that has nothing but a video and the player; as its documentation says. */
const START = {
  hls: (url) => {
    const { Hls } = window;
    const hls = new Hls({ lowLatencyMode: true });
    hls.on(Hls.Events.ERROR, (_, { fatal, type, details }) => {
      window.seen.push(`${fatal ? 'fatal ' : ''}${details}`);
      if (fatal && type === Hls.ErrorTypes.NETWORK_ERROR) setTimeout(() => hls.loadSource(url), 1_000);
      if (fatal && type === Hls.ErrorTypes.MEDIA_ERROR) hls.recoverMediaError();
    });
    hls.attachMedia(window.video);
    hls.loadSource(url);
  },
  shaka: async (url) => {
    const { shaka } = window;
    shaka.polyfill.installAll();
    const player = new shaka.Player();
    player.configure({ streaming: { lowLatencyMode: true } });
    player.addEventListener('error', ({ detail }) => window.seen.push(`${detail.severity === 2 ? 'fatal ' : ''}${detail.code}`));
    await player.attach(window.video);
    await player.load(url);
    window.player = player;
  },
  native: (url) => {
    window.video.src = url;
  },
};

/** Opens a player on the URL, and waits until it plays. */
async function play(browser, kind, url) {
  const page = await browser.blank(kind, url);
  await page.evaluate(() => {
    window.video = document.createElement('video');
    window.seen = [];
    Object.assign(window.video, { muted: true, autoplay: true, playsInline: true });
    window.video.addEventListener('error', () => window.seen.push(`fatal ${window.video.error?.message}`));
    document.body.replaceChildren(window.video);
  });
  for (const path of SCRIPTS[kind]) await page.addScriptTag({ path });
  await page.evaluate(START[kind], url);
  await plays(kind, page);
  return page;
}

const look = (page) =>
  page.evaluate(() => {
    const { video, seen } = window;
    const { totalVideoFrames, droppedVideoFrames } = video.getVideoPlaybackQuality();
    return { at: video.currentTime, frames: totalVideoFrames - droppedVideoFrames, width: video.videoWidth, sound: video.webkitAudioDecodedByteCount, seen };
  });

/** Waits until the player has played some seconds more than now: picture and sound. */
async function plays(kind, page) {
  let before = await look(page);
  await until(`${kind} plays ${PLAYED_S} s more`, async () => {
    const now = await look(page);
    // A player that begins anew may begin another timeline.
    if (now.at < before.at) before = now;
    return now.at >= before.at + PLAYED_S && now.frames > before.frames && now.sound > before.sound;
  }, PLAY_MS_MAX);
}

function start(...args) {
  const mobzctl = setting('MOBZ_CTL', 'the mobzctl binary');
  const child = spawn(mobzctl, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.on('data', (text) => (log = (log + text).slice(-4_000)));
  return {
    get log() {
      return log;
    },
    async end(signal) {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill(signal);
      await once(child, 'exit');
    },
  };
}

function push(control, room) {
  const sample = setting('MOBZ_SAMPLE', 'a media file to publish');
  return start('--endpoint', control, 'hls', 'push', room, sample, '--loop');
}

async function isLive(url) {
  await until(`${url} is live`, async () => {
    const answer = await fetch(url).catch(() => undefined);
    return answer?.ok && (await answer.text()).includes('media.m3u8');
  }, PLAY_MS_MAX);
}

test('hls.js, shaka and Chromium’s own player play the stream, and the first two a publisher that starts anew', () =>
  Browser.with(async (browser) => {
    const control = setting('MOBZ_ENDPOINT', 'the stack’s control API');
    const room = freshRoom('players');
    const url = `${setting('MOBZ_ORIGIN', 'the stack’s origin')}/hls/${room}/index.m3u8`;
    let publisher = push(control, room);
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
      publisher = push(control, room);
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
      start('launch', 'signaling', '--listen', `127.0.0.1:${signaling}`, '--redis', redis, '--origin-url', `http://127.0.0.1:${origin}`),
      start('launch', 'origin', '--listen', `127.0.0.1:${origin}`, '--redis', redis),
    ];
    const room = freshRoom('daemons');
    const url = `http://127.0.0.1:${origin}/hls/${room}/index.m3u8`;
    let running = daemons();
    let publisher;
    try {
      await until('signaling is ready', () => fetch(`http://127.0.0.1:${signaling}/readyz`).then(({ ok }) => ok, () => false));
      publisher = push(`http://127.0.0.1:${signaling}`, room);
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
