/** Group calls as the specs meet them: pages that join, and what each receives. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { setting, until } from './browser.js';

const run = promisify(execFile);
/** Milliseconds media have to come, on a machine busy with six of them. */
export const MEDIA_MS_MAX = 40_000;

/** Runs mobzctl against the stack, and gives its JSON. */
export async function mobzctl(...args) {
  const tool = setting('MOBZ_CTL', 'the mobzctl to operate the stack with');
  const endpoint = setting('MOBZ_ENDPOINT', 'the stack’s control API');
  const { stdout } = await run(tool, ['--endpoint', endpoint, '--output', 'json', ...args]);
  return JSON.parse(stdout);
}

/** Opens the page of a group's room as `name`, who joins. */
export function open(browser, name, room, query = {}) {
  return browser.open(name, 'm2m.html', { room, user: name, name, test: '', join: '', ...query });
}

/** What the page receives of `user`: frames decoded and the picture's size. */
export function received(page, user) {
  return page.evaluate(async (user) => {
    const remote = window.mobzDemo.group?.remotes.find((it) => it.user === user);
    const video = (await remote?.stats())?.received.video;
    return { state: remote?.state, station: remote?.station, frames: video?.frames ?? 0, width: video?.width ?? 0 };
  }, user);
}

/** Waits until the page decodes frames of `user` more than now. */
export async function sees(name, page, user, count = 5) {
  const before = await received(page, user);
  await until(`${name} decodes ${count} frames more of ${user} than ${JSON.stringify(before)}`, async () => {
    const now = await received(page, user);
    return now.frames >= before.frames + count || (now.station !== before.station && now.frames >= count);
  }, MEDIA_MS_MAX);
}

/** Waits until what the page publishes is placed and flows. */
export async function publishes(name, page) {
  await until(`${name} is live`, () => page.evaluate(() => window.mobzDemo.group?.state === 'live'), MEDIA_MS_MAX);
}

/** `publishers` and `viewers` in one room, every frame of every publisher arriving everywhere. */
export async function meet(browser, room, publishers, viewers) {
  const pages = {};
  for (const name of publishers) {
    pages[name] = await open(browser, name, room);
    await publishes(name, pages[name]);
  }
  for (const name of viewers) pages[name] = await open(browser, name, room, { join: 'watch' });
  for (const [name, page] of Object.entries(pages)) {
    for (const user of publishers) if (user !== name) await sees(name, page, user);
  }
  return pages;
}
