/** Watches the live stream of a p2m room: joins to be counted, plays with hls.js, shows how far behind live it is. */
import { connect, Live } from '../mobz.js';
import { config, query, ROOM, userId } from '../site/config.js';
import { button, copies, icon, the } from '../site/dom.js';
import { Player } from '../site/player.js';
import { Controls } from './p2m-controls.js';
import { Figures } from './p2m-figures.js';

/** Milliseconds between two attempts to join while no server answers. */
const JOIN_AGAIN_MS = 2_000;

const asked = query.get('room');
const room = asked && ROOM.test(asked) ? asked : 'demo';
const player = new Player(the('video'));
const figures = new Figures(player);
/** @type {import('../mobz.js').Room | undefined} */
let joined;
/** @type {Live | undefined} */
let live;

/** @type {any} */ (window).mobzDemo = {
  get room() {
    return joined;
  },
  get player() {
    return player;
  },
  get state() {
    return the('player').dataset.state;
  },
  figures: () => figures.read(),
};

the('room-name').textContent = room;
the('title').textContent = `Live stream ${room}`;
document.title = `${room} · MobZ live`;
copies(the('copy-link'), shareLink, 'Link copied');
addEventListener('pagehide', () => joined?.leave());
addEventListener('pageshow', (event) => event.persisted && location.reload());
new Controls(player);
player.on('stalled', showStall);
watch();

async function watch() {
  const member = await joinSoon();
  if (!member) return;
  joined = member;
  live = new Live(member);
  figures.room = member;
  const ended = new AbortController();
  member.on('state', showServer);
  member.on('viewers', showViewers);
  live.on('publisher', () => showStall(player.stalled));
  member.once('closed', (why) => {
    ended.abort();
    player.stop();
    showEnd(why);
  });
  showServer();
  showViewers(member.viewers);
  // What is live is played until it ends or breaks, then the next is waited for.
  let before = 'looking';
  while (!ended.signal.aborted) {
    show(before);
    try {
      await live.whenLive({ signal: ended.signal, onLook: (found) => show(stateOf(found, before)) });
    } catch {
      return;
    }
    show('starting');
    before = await player.play(live.url ?? '', { started: () => show('playing') });
  }
}

/**
 * Joins, again and again while no server answers; undefined when it refuses.
 * @returns {Promise<import('../mobz.js').Room | undefined>}
 */
async function joinSoon() {
  const { signal } = await config();
  for (;;) {
    try {
      return await connect({
        url: signal,
        room,
        mode: 'p2m',
        publish: false,
        token: query.get('token') ?? undefined,
        user: { id: userId(room), name: query.get('name') ?? undefined },
      });
    } catch (cause) {
      const error = /** @type {import('../mobz.js').MobzError} */ (cause);
      if (error.code !== 'unreachable') {
        showEnd({ code: 0, reason: 'refused', error });
        return undefined;
      }
      show('unreachable');
      the('status').dataset.state = 'bad';
      the('status-text').textContent = 'No server';
      await new Promise((resolve) => setTimeout(resolve, JOIN_AGAIN_MS));
    }
  }
}

/**
 * @param {'none' | 'ended' | 'unreachable'} found
 * @param {string} before
 */
function stateOf(found, before) {
  // A stream that has ended stays so for this page when its playlists are gone, too.
  if (found === 'none') return before === 'ended' ? 'ended' : 'none';
  return found === 'unreachable' ? 'lost' : found;
}

/** @param {string} state */
function show(state) {
  const box = the('player');
  if (box.dataset.state === state) return;
  box.dataset.state = state;
  const playing = state === 'playing';
  the('live-badge').dataset.state = playing ? 'live' : 'idle';
  the('live-badge').textContent = playing ? 'Live' : state === 'ended' ? 'Ended' : 'Off air';
  the('unmute').hidden = !playing || !the('video').muted;
  the('note').hidden = playing;
  figures.running = playing;
  if (playing) return;
  the('banner').hidden = true;
  the('spinner').hidden = true;
  the('note').replaceChildren(...words(state));
}

/** @param {string} state */
function words(state) {
  switch (state) {
    case 'none':
      return [rings('signal'), line('No stream yet', 'note-title'), line('It starts here by itself, as soon as somebody publishes: from a browser, or with'), command(), goLive()];
    case 'ended':
      return [rings('ended'), line('The stream has ended', 'note-title'), line('When it is live again, it starts here by itself.')];
    case 'lost':
      return [rings('warning'), line('The stream is out of reach', 'note-title'), line('Check your network. It goes on by itself when it is back.')];
    case 'unreachable':
      return [rings('warning'), line('The server does not answer', 'note-title'), line('Trying again until it does.')];
    default:
      return [loader(), line(state === 'starting' ? 'Starting…' : 'Looking for the stream…', 'note-title')];
  }
}

/** @param {import('../mobz.js').Closing} why */
function showEnd({ reason, error }) {
  const elsewhere = reason === 'replaced';
  show('closed');
  const title = elsewhere ? 'You watch in another tab' : error?.code === 'mode_mismatch' ? 'This room is not a stream' : reason === 'closed' ? 'The room was closed' : 'You cannot watch this';
  const text = error?.code === 'mode_mismatch' ? `${room} may be a call between two.` : error?.message ?? (reason === 'refused' || elsewhere || reason === 'closed' ? '' : `The reason given: ${reason}`);
  const action =
    error?.code === 'mode_mismatch'
      ? button({ label: 'Open the call', icon: 'camera', primary: true, href: `p2p.html?room=${room}` })
      : button({ label: 'Watch here', icon: 'play', primary: true, act: () => location.reload() });
  the('note').replaceChildren(rings('door'), line(title, 'note-title'), line(text), action);
  the('status').dataset.state = 'idle';
  the('status-text').textContent = 'Not joined';
}

function showServer() {
  const away = joined?.state === 'reconnecting';
  the('status').dataset.state = away ? 'busy' : 'good';
  the('status-text').textContent = away ? 'Reconnecting…' : 'Connected';
}

/** @param {number} count */
function showViewers(count) {
  the('viewers').textContent = count.toLocaleString('en');
  the('viewers').dataset.count = String(count);
}

/** @param {boolean} stalled */
function showStall(stalled) {
  const playing = the('player').dataset.state === 'playing';
  the('spinner').hidden = !(stalled && playing);
  const publisher = live?.publisher;
  const why = !publisher ? 'The publisher has left.' : publisher.away ? 'The publisher lost the connection and may be right back.' : undefined;
  the('banner').hidden = !(stalled && playing && why);
  the('banner').textContent = why ?? '';
}

function shareLink() {
  const url = new URL(location.pathname, location.href);
  url.searchParams.set('room', room);
  for (const signal of query.getAll('signal')) url.searchParams.append('signal', signal);
  return url.href;
}

/** @param {string} name */
function rings(name) {
  const element = document.createElement('div');
  element.className = name === 'signal' ? 'rings' : 'rings still';
  element.append(icon(name));
  return element;
}

function loader() {
  const element = document.createElement('div');
  element.className = 'spinner inline';
  return element;
}

/**
 * @param {string} text
 * @param {string} [className]
 */
function line(text, className = '') {
  const element = document.createElement('p');
  element.textContent = text;
  element.className = className;
  return element;
}

function goLive() {
  const url = new URL('publish.html', location.href);
  url.search = new URL(shareLink()).search;
  return button({ label: 'Go live from this browser', icon: 'signal', href: url.href });
}

function command() {
  const box = document.createElement('div');
  box.className = 'command';
  const code = document.createElement('code');
  code.textContent = `mobzctl hls push ${room} sample.mp4 --loop`;
  const copy = button({ label: '', icon: 'copy' });
  copy.className = 'quiet square';
  copy.setAttribute('aria-label', 'Copy the command');
  copies(copy, () => code.textContent ?? '', 'Command copied');
  box.append(code, copy);
  return box;
}
