/** Glass to glass in a real Chromium: from a frame's number, burned in as it was taken, to its being shown by hls.js. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { BLOCK, NUMBER_BITS } from './clip.mjs';
import { sleep } from './servers.mjs';

const demo = createRequire(new URL('../../demo/package.json', import.meta.url));
const { build } = demo('esbuild');
const { chromium } = demo('playwright-core');

const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
  '--disable-sync', '--autoplay-policy=no-user-gesture-required',
];

const PAGE = '<!doctype html><video id="video" muted autoplay playsinline width="640" height="360"></video><script type="module" src="page.js"></script>';

// The demo's own player, with hls.js in it.
const SCRIPT = `
import { Player } from './src/site/player.js';
const video = document.getElementById('video');
globalThis.shown = [];
const context = new OffscreenCanvas(${NUMBER_BITS}, 1).getContext('2d', { willReadFrequently: true });
const look = () => {
  for (let bit = 0; bit < ${NUMBER_BITS}; bit += 1) context.drawImage(video, bit * ${BLOCK} + ${BLOCK} / 4, ${BLOCK} / 4, ${BLOCK} / 2, ${BLOCK} / 2, bit, 0, 1, 1);
  const { data } = context.getImageData(0, 0, ${NUMBER_BITS}, 1);
  let number = 0;
  for (let bit = 0; bit < ${NUMBER_BITS}; bit += 1) if (data[4 * bit] > 127) number += 2 ** bit;
  shown.push([performance.timeOrigin + performance.now(), number]);
  video.requestVideoFrameCallback(look);
};
video.requestVideoFrameCallback(look);
new Player(video).play(new URLSearchParams(location.search).get('url'), { started() {} });
`;

/**
 * Plays for a while and tells how long after it was taken each frame was shown, in seconds, sorted.
 * @param {string} url
 * @param {import('./publish.mjs').Stream} stream
 * @param {{ settle: number, seconds: number }} times
 */
export async function glassToGlass(url, stream, { settle, seconds }) {
  const contents = { contents: SCRIPT, resolveDir: fileURLToPath(new URL('../../demo', import.meta.url)) };
  const { outputFiles } = await build({ stdin: contents, bundle: true, format: 'esm', write: false });
  const files = {
    '/page.js': ['text/javascript', outputFiles[0].text],
    '/assets/hls.worker.js': ['text/javascript', readFileSync(demo.resolve('hls.js/dist/hls.worker.js'))],
  };
  const site = createServer((request, response) => {
    const [type, body] = files[request.url] ?? ['text/html', PAGE];
    response.setHeader('Content-Type', type).end(body);
  });
  await new Promise((resolve) => site.listen(0, '127.0.0.1', resolve));
  const browser = await chromium.launch({ executablePath: process.env.MOBZ_CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
  try {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${site.address().port}/?url=${encodeURIComponent(url)}`);
    await sleep(settle * 1000);
    await page.evaluate('shown.length = 0');
    await sleep(seconds * 1000);
    const shown = await page.evaluate('shown');
    return shown.map(([at, number]) => (at - stream.captured(number, at)) / 1000).sort((one, other) => one - other);
  } finally {
    await browser.close();
    site.close();
  }
}
