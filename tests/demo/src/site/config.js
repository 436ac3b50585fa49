/** Where the stack is, and what the page's own address asks for. */

/** The daemons' usual ports, where the site's server names none. */
const SIGNAL_PORT = 7880;
const ORIGIN_PORT = 7881;

/** What the address of a page may ask: `room`, `name`, `user`, `token`, `signal`, and what a page adds. */
export const query = new URLSearchParams(location.search);

/**
 * Reads `config.json` beside the page; a server without one runs the daemons at their usual ports.
 * `?signal=` in the page's address goes before both; given several times, each attempt to connect
 * takes the next.
 * @returns {Promise<{ signal: () => string, origin: string, version: string | undefined }>}
 */
export async function config() {
  /** @type {{ signal?: string, origin?: string, version?: string }} */
  const told = await fetch('config.json', { cache: 'no-store' })
    .then((answer) => (answer.ok ? answer.json() : {}))
    .catch(() => ({}));
  const secure = location.protocol === 'https:';
  const host = location.hostname.includes(':') ? `[${location.hostname}]` : location.hostname || '127.0.0.1';
  const usual = told.signal ?? `${secure ? 'wss' : 'ws'}://${host}:${SIGNAL_PORT}/signal`;
  const signals = query.has('signal') ? query.getAll('signal') : [usual];
  let attempts = 0;
  const origin = told.origin ?? `${secure ? 'https' : 'http'}://${host}:${ORIGIN_PORT}`;
  return {
    signal() {
      attempts += 1;
      return new URL(signals[(attempts - 1) % signals.length], location.href).href.replace(/^http/, 'ws');
    },
    origin: new URL(origin, location.href).href.replace(/\/$/, ''),
    version: told.version,
  };
}

/** A room or user id, as PROTOCOL.md §1 has it. */
export const ROOM = /^[A-Za-z0-9_-]{1,64}$/;

const FIRST = ['amber', 'brisk', 'calm', 'clear', 'coral', 'early', 'fair', 'gentle', 'golden', 'green', 'happy', 'keen', 'light', 'lucky', 'mellow', 'quick', 'quiet', 'silver', 'sunny', 'warm'];
const SECOND = ['badger', 'beech', 'brook', 'cedar', 'comet', 'falcon', 'fern', 'finch', 'harbor', 'heron', 'lark', 'maple', 'meadow', 'otter', 'pebble', 'river', 'robin', 'sparrow', 'tide', 'willow'];

/** A room name people can say aloud, hard enough to guess for a demo: one of four million. */
export function roomName() {
  const [a, b, c] = crypto.getRandomValues(new Uint32Array(3));
  return `${FIRST[a % FIRST.length]}-${SECOND[b % SECOND.length]}-${String(c % 10_000).padStart(4, '0')}`;
}

/** The room the page's address names; made up, and put into the address, where it names none. */
export function roomOfAddress() {
  const asked = query.get('room');
  if (asked && ROOM.test(asked)) return asked;
  const made = roomName();
  query.set('room', made);
  history.replaceState(null, '', `?${query}`);
  return made;
}

/** What others need of this page's address: the room and where the server is, not one's name. */
export function roomLink() {
  const url = new URL(location.pathname, location.href);
  for (const key of ['room', 'signal', 'relay']) {
    for (const value of query.getAll(key)) url.searchParams.append(key, value);
  }
  return url.href;
}

/**
 * One's user id in this tab, so that a reload takes the place of the page before it.
 * @param {string} room
 */
export function userId(room) {
  const asked = query.get('user');
  if (asked) return asked;
  const key = `mobz-user-${room}`;
  const known = sessionStorage.getItem(key);
  if (known) return known;
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  const id = `web-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
  sessionStorage.setItem(key, id);
  return id;
}
