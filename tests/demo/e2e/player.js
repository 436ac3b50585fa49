/** Players on pages that have nothing else: hls.js, shaka, and what the browser has of its own. */
import { createRequire } from 'node:module';
import { until } from './browser.js';

const require = createRequire(import.meta.url);
/** Milliseconds a player has to start, or to go on after an interruption. */
export const PLAY_MS_MAX = 60_000;
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
    window.player = hls;
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

/** The heights of the renditions a player knows, and playing one of them alone; by its own interface. */
const HEIGHTS = {
  hls: () => window.player.levels.map(({ height }) => height),
  shaka: () => window.player.getVariantTracks().map(({ height }) => height),
};
const CHOOSE = {
  hls: (wanted) => {
    window.player.loadLevel = window.player.levels.findIndex(({ height }) => height === wanted);
  },
  shaka: (wanted) => {
    const { player } = window;
    player.configure({ abr: { enabled: false } });
    player.selectVariantTrack(player.getVariantTracks().find(({ height }) => height === wanted));
  },
};

/** Opens a player on the URL, and waits until it plays. */
export async function play(browser, kind, url) {
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

/** Where a player is, and what it saw go wrong. */
export function look(page) {
  return page.evaluate(() => {
    const { video, seen } = window;
    const { totalVideoFrames, droppedVideoFrames } = video.getVideoPlaybackQuality();
    const { videoWidth: width, videoHeight: height } = video;
    return { at: video.currentTime, frames: totalVideoFrames - droppedVideoFrames, width, height, sound: video.webkitAudioDecodedByteCount, seen };
  });
}

/** Waits until the player has played some seconds more than now: picture and sound. */
export async function plays(kind, page) {
  let before = await look(page);
  await until(`${kind} plays ${PLAYED_S} s more`, async () => {
    const now = await look(page);
    // A player that begins anew may begin another timeline.
    if (now.at < before.at) before = now;
    return now.at >= before.at + PLAYED_S && now.frames > before.frames && now.sound > before.sound;
  }, PLAY_MS_MAX);
}

/** The heights of the renditions it knows, lowest first. */
export async function heights(kind, page) {
  return (await page.evaluate(HEIGHTS[kind])).sort((one, other) => one - other);
}

/** Has the player play one rendition, and waits until that is what it shows. */
export async function choose(kind, page, height) {
  await page.evaluate(CHOOSE[kind], height);
  await until(`${kind} shows ${height} lines`, async () => (await look(page)).height === height, PLAY_MS_MAX);
}

/** Waits until the multivariant playlist is there. */
export async function isLive(url) {
  await until(`${url} is live`, async () => {
    const answer = await fetch(url).catch(() => undefined);
    return answer?.ok && (await answer.text()).includes('media.m3u8');
  }, PLAY_MS_MAX);
}
