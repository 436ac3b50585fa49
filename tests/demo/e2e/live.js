/** What specs of live streams share: publishing and watching pages, and the media between them. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setting, until } from './browser.js';

/** Milliseconds a publisher, its encoder and a player have to start, or to be seen to end. */
export const TURN_MS_MAX = 40_000;

export const state = (page) => page.evaluate(() => window.mobzDemo.state);
export const figures = (page) => page.evaluate(() => window.mobzDemo.figures());
export const stats = (page) => page.evaluate(() => window.mobzDemo.stats());

/** Waits until the page says it is `wanted`. */
export async function turns(page, wanted) {
  await until(`the page is ${wanted}`, async () => (await state(page)) === wanted, TURN_MS_MAX);
}

/** Waits until a watching page has played some seconds more than now. */
export async function moves(page, seconds, name = 'it') {
  const { position } = await figures(page);
  await until(`${name} plays ${seconds} s more`, async () => (await figures(page)).position >= position + seconds);
}

/** A page that publishes to the room. */
export async function goLive(browser, room, query = {}) {
  const page = await browser.open('publisher', 'publish.html', { room, ...query });
  if (!('live' in query)) {
    await until('it can go live', () => page.isEnabled('#go'));
    await page.click('#go');
  }
  await turns(page, 'live');
  return page;
}

/** A page that plays the room's stream. */
export async function watch(browser, room, name = 'viewer', size = undefined) {
  const page = await browser.open(name, 'p2m.html', { room }, size);
  await turns(page, 'playing');
  return page;
}

/** Init and whole segments of a room, as a player would put them together. */
export async function media(page) {
  const url = await page.evaluate(() => window.mobzDemo.room.playbackUrl);
  const text = async (address) => (await fetch(address)).text();
  const main = await text(url);
  const variant = new URL(/^[^#\s].*$/m.exec(main)[0], url).href;
  const playlist = await text(variant);
  const names = [/#EXT-X-MAP:URI="([^"]+)"/.exec(playlist)[1], ...playlist.split('\n').filter((line) => line && !line.startsWith('#'))];
  const pieces = await Promise.all(names.map(async (name) => new Uint8Array(await (await fetch(new URL(name, variant))).arrayBuffer())));
  return { main, playlist, bytes: Buffer.concat(pieces) };
}

/** Runs a program on bytes; gives what it printed. */
export async function run(program, args, input) {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const printed = [];
  child.stdout.on('data', (chunk) => printed.push(chunk));
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const [code] = await once(child, 'close');
  assert.equal(code, 0, `${program} ${args.join(' ')}`);
  return Buffer.concat(printed);
}

/** A mobzctl that runs until it is told to end. */
export function mobzctl(...args) {
  const child = spawn(setting('MOBZ_CTL', 'the mobzctl binary'), args, { stdio: ['ignore', 'ignore', 'pipe'] });
  // Read, or it could not go on writing.
  child.stderr.resume();
  return {
    async end(signal = 'SIGINT') {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill(signal);
      await once(child, 'exit');
    },
  };
}

/**
 * Publishes the sample to a room, again and again.
 * @param {string} room
 * @param {{ control?: string, flags?: string[] }} [how]
 */
export function push(room, { control = setting('MOBZ_ENDPOINT', 'the stack’s control API, http://127.0.0.1:…'), flags = [] } = {}) {
  const sample = setting('MOBZ_SAMPLE', 'a media file to publish');
  return mobzctl('--endpoint', control, 'hls', 'push', room, sample, '--loop', ...flags);
}
