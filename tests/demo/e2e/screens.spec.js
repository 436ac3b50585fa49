import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { test } from 'node:test';
import { Browser, freshRoom, openCall, setting, shot, until } from './browser.js';

const SIZES = { desktop: { width: 1280, height: 800 }, phone: { width: 360, height: 780 } };
/** Bytes a picture has at least; a blank page has fewer. */
const PICTURE_BYTES_MIN = 8_000;

async function saved(page, name) {
  setting('MOBZ_SHOTS', 'the folder for pictures of the pages');
  const path = await shot(page, name);
  const { size } = await stat(path);
  assert.ok(size >= PICTURE_BYTES_MIN, `${path} has ${size} bytes`);
}

for (const [name, size] of Object.entries(SIZES)) {
  test(`every page has its picture, on a ${name}`, () =>
    Browser.with(async (browser) => {
      const landing = await browser.open('landing', '', {}, size);
      await until('the server is found', async () => (await landing.getAttribute('#status', 'data-state')) === 'good');
      await saved(landing, `landing-${name}`);

      const lobby = await browser.open('lobby', 'p2p.html', { room: freshRoom('screens') }, size);
      await until('the preview shows', () => lobby.evaluate(() => document.querySelector('#preview').videoWidth > 0));
      await saved(lobby, `lobby-${name}`);
      await lobby.click('#join-button');
      await until('it waits', async () => (await lobby.textContent('#note')).includes('Waiting'));
      await saved(lobby, `waiting-${name}`);
      await lobby.click('#leave');
      await saved(lobby, `left-${name}`);

      const empty = await browser.open('empty', 'p2m.html', { room: freshRoom('empty') }, size);
      await until('it says so', async () => (await empty.textContent('#note')).includes('No stream yet'));
      await saved(empty, `no-stream-${name}`);

      const { ann } = await openCall(browser, freshRoom('call'), [{}, { test: '' }]);
      await ann.setViewportSize(size);
      await until('a picture comes', () => ann.evaluate(() => document.querySelector('#remote').videoWidth > 0));
      await saved(ann, `call-${name}`);

      const publisher = await browser.open('publisher', 'publish.html', { room: freshRoom('live'), test: '' }, size);
      await until('it can go live', () => publisher.isEnabled('#go'));
      await saved(publisher, `publish-${name}`);
      await publisher.click('#go');
      await until('it is live', () => publisher.evaluate(() => window.mobzDemo.state === 'live'));
      const viewer = await browser.open('viewer', new URL(await publisher.inputValue('#link')).pathname.slice(1), { room: await publisher.textContent('#room-name') }, size);
      await until('the stream plays', () => viewer.evaluate(() => window.mobzDemo.figures().frames > 0));
      await saved(publisher, `publishing-${name}`);
      await saved(viewer, `watching-${name}`);

      for (const page of [landing, lobby, empty, ann, publisher, viewer]) {
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(wide <= 0, `${page.url()} is ${wide} px wider than the screen`);
      }
    }));
}
