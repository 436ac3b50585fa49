/** Chromium for the specs: always closed again, and telling what it saw when a spec fails. */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

/** Milliseconds a condition has to come true. */
const WAIT_MS_MAX = 20_000;
/** Milliseconds between two looks at a condition. */
const LOOK_MS = 200;
/** Console lines of each page shown when a spec fails. */
const LINES_MAX = 60;

const FLAGS = [
  '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--use-fake-device-for-media-stream=fps=10', '--use-fake-ui-for-media-stream',
  '--autoplay-policy=no-user-gesture-required', '--allow-loopback-in-peer-connection',
];

/**
 * A setting of the environment; a spec that lacks one fails and says so.
 * @param {string} name
 * @param {string} meaning
 */
export function setting(name, meaning) {
  const value = process.env[name];
  assert.ok(value, `set ${name}: ${meaning}`);
  return value;
}

/** The demo site's address, with a slash at its end. */
export function demoUrl() {
  return setting('MOBZ_DEMO_URL', 'the demo site of a running stack, http://127.0.0.1:…').replace(/\/?$/, '/');
}

/** A room name of this run's own. */
export function freshRoom(name) {
  return `${name}-${process.pid}-${Math.random().toString(36).slice(2, 8)}`;
}

export class Browser {
  /** @type {{ name: string, page: import('playwright-core').Page, lines: string[] }[]} */
  #pages = [];
  #chromium;

  /**
   * Starts Chromium for one test, hands it to `use` and closes it, however that ends.
   * @param {(browser: Browser) => Promise<void>} use
   */
  static async with(use) {
    const browser = new Browser();
    browser.#chromium = await chromium.launch({ executablePath: process.env.MOBZ_CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
    try {
      await use(browser);
    } catch (error) {
      await browser.#tell().catch((more) => console.error(`no diagnostics: ${more}`));
      throw error;
    } finally {
      await browser.#leave();
      await browser.#chromium.close();
    }
  }

  /**
   * Opens a page of the demo in a context of its own, as another person would.
   * @param {string} name for diagnostics
   * @param {string} path
   * @param {Record<string, string | string[]>} query a list gives its key several times
   * @param {{ width: number, height: number }} [viewport]
   */
  async open(name, path, query = {}, viewport = { width: 1280, height: 800 }) {
    const page = await this.#newPage(name, viewport);
    const pairs = Object.entries(query).flatMap(([key, values]) => [values].flat().map((value) => [key, value]));
    await page.goto(`${demoUrl()}${path}?${new URLSearchParams(pairs)}`);
    return page;
  }

  /** Opens a page without anything on it, for a player; of this machine's, or the browser lets it reach no server here. */
  async blank(name, server, viewport = { width: 640, height: 360 }) {
    const page = await this.#newPage(name, viewport);
    await page.goto(new URL('/healthz', server).href);
    return page;
  }

  async #newPage(name, viewport) {
    const context = await this.#chromium.newContext({ viewport });
    const page = await context.newPage();
    const lines = [];
    const keep = (line) => lines.push(`${new Date().toISOString().slice(11, 23)} ${line}`) > LINES_MAX && lines.shift();
    page.on('console', (message) => keep(`${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => keep(`uncaught: ${error}`));
    page.on('requestfailed', (request) => keep(`failed: ${request.url()} ${request.failure()?.errorText}`));
    page.on('websocket', (socket) => {
      keep(`socket opened: ${socket.url()}`);
      socket.on('framesent', ({ payload }) => keep(`→ ${String(payload).slice(0, 160)}`));
      socket.on('framereceived', ({ payload }) => keep(`← ${String(payload).slice(0, 160)}`));
      socket.on('close', () => keep('socket closed'));
    });
    this.#pages.push({ name, page, lines });
    return page;
  }

  /** Chromium ends without a word to its pages: their participants would be away for the grace time, and counted by the next test. */
  async #leave() {
    const open = this.#pages.filter(({ page }) => !page.isClosed());
    await Promise.all(open.map(({ page }) => page.evaluate(() => window.mobzDemo?.room?.leave()).catch(() => {})));
  }

  async #tell() {
    for (const { name, page, lines } of this.#pages) {
      console.error(`\n--- ${name}: ${page.url()}\n${lines.join('\n')}`);
      if (page.isClosed()) continue;
      const state = await page.evaluate(async () => {
        const { room, call, view, state } = window.mobzDemo ?? {};
        return JSON.stringify({
          view, state, room: room?.state, version: room?.version, others: room?.others, viewers: room?.viewers,
          call: call?.state, ice: call?.connection?.iceConnectionState, signaling: call?.connection?.signalingState,
          stats: await window.mobzDemo?.stats?.(), figures: window.mobzDemo?.figures?.(),
        });
      });
      console.error(`state: ${state}`);
      await shot(page, `failed-${name}`);
    }
  }
}

/**
 * Saves a picture of the page to the folder MOBZ_SHOTS, where one is named.
 * @param {import('playwright-core').Page} page
 * @param {string} name
 */
export async function shot(page, name) {
  const folder = process.env.MOBZ_SHOTS;
  if (!folder) return undefined;
  await mkdir(folder, { recursive: true });
  const path = join(folder, `${name}.png`);
  await page.screenshot({ path });
  return path;
}

/**
 * Waits until `look` gives something true, and gives it.
 * @template T
 * @param {string} what the condition, for the message
 * @param {() => Promise<T>} look
 */
export async function until(what, look, milliseconds = WAIT_MS_MAX) {
  const end = Date.now() + milliseconds;
  for (;;) {
    const found = await look();
    if (found) return found;
    assert.ok(Date.now() < end, `not within ${milliseconds} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** Video frames decoded by the page's call, of the connection it has now. */
export function framesDecoded(page) {
  return page.evaluate(async () => (await window.mobzDemo.stats())?.received.video?.frames ?? 0);
}

/** Waits until the page decodes `count` frames more than now. */
export async function moreFrames(name, page, count = 10) {
  const before = await framesDecoded(page);
  await until(`${name} decodes ${count} frames more than ${before}`, async () => (await framesDecoded(page)) >= before + count);
}

export function callState(page) {
  return page.evaluate(() => window.mobzDemo.call?.state);
}

/** Opens both sides of a call and waits until each is connected. */
export async function openCall(browser, room, queries = [{}, {}]) {
  const ann = await browser.open('ann', 'p2p.html', { room, name: 'Ann', join: '', ...queries[0] });
  await until('ann waits in the room', async () => (await callState(ann)) === 'waiting');
  const bob = await browser.open('bob', 'p2p.html', { room, name: 'Bob', join: '', ...queries[1] });
  for (const [name, page] of [['ann', ann], ['bob', bob]]) {
    await until(`${name} is connected`, async () => (await callState(page)) === 'connected');
  }
  return { ann, bob };
}

/** A line to a signaling server that can be cut: a TCP proxy on 127.0.0.1. */
export class Line {
  #server;
  #sockets = new Set();
  #target;
  #down = false;

  /** @param {string} signal the server's WebSocket address */
  static async to(signal) {
    const line = new Line();
    line.#target = new URL(signal);
    line.#server = createServer((near) => line.#join(near));
    await new Promise((resolve) => line.#server.listen(0, '127.0.0.1', resolve));
    return line;
  }

  /** The same address, through this line. */
  get signal() {
    return `ws://127.0.0.1:${this.#server.address().port}${this.#target.pathname}`;
  }

  /** Ends every connection without a word, and refuses new ones. */
  cut() {
    this.#down = true;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  mend() {
    this.#down = false;
  }

  close() {
    this.cut();
    this.#server.close();
  }

  #join(near) {
    this.#sockets.add(near);
    near.on('error', () => {});
    if (this.#down) return near.resetAndDestroy();
    const far = createConnection({ host: this.#target.hostname, port: Number(this.#target.port) });
    this.#sockets.add(far);
    far.on('error', () => near.destroy());
    for (const [one, other] of [[near, far], [far, near]]) {
      one.pipe(other);
      one.on('close', () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
  }
}

/** The signaling address the demo's own server tells. */
export async function signalUrl() {
  const answer = await fetch(`${demoUrl()}config.json`);
  assert.equal(answer.status, 200, 'config.json');
  const { signal } = await answer.json();
  return new URL(signal, demoUrl()).href.replace(/^http/, 'ws');
}
