/** Publishes camera and microphone live to a p2m room. */
import { Broadcast, connect } from '../mobz.js';
import { config, query, roomOfAddress, userId } from '../site/config.js';
import { Devices } from '../site/devices.js';
import { copies, the, toast } from '../site/dom.js';
import { bitrate } from '../site/figures.js';
import { ended } from './publish-words.js';

/** Milliseconds between two readings of the figures. */
const FIGURES_MS = 500;
/** Milliseconds the frame rate is measured over. */
const RATE_MS = 2_000;

const room = roomOfAddress();
const link = watchLink();
const devices = new Devices({ taken, changed, purpose: 'stream' });
let supported = false;
/** @type {import('../mobz.js').Room | undefined} */
let joined;
/** @type {import('../mobz.js').Broadcast | undefined} */
let broadcast;
let liveSince = 0;
let rate = { at: 0, frames: 0, value: 0 };

// For tests and for whoever is curious in the console.
/** @type {any} */ (window).mobzDemo = {
  get room() {
    return joined;
  },
  get broadcast() {
    return broadcast;
  },
  get state() {
    return broadcast?.state ?? document.body.dataset.view;
  },
  stats: () => broadcast?.stats(),
};

the('room-name').textContent = room;
the('link').value = link;
the('watch').href = link;
document.title = `${room} · go live on MobZ`;
for (const id of ['copy-link', 'copy-link-panel']) copies(the(id), () => link, 'Link copied: send it to who should watch');
the('link').addEventListener('focus', () => the('link').select());
the('publish').addEventListener('submit', (/** @type {Event} */ event) => {
  event.preventDefault();
  if (broadcast) stop();
  else start();
});
addEventListener('pagehide', () => joined?.leave());
addEventListener('pageshow', (event) => event.persisted && location.reload());
setInterval(showFigures, FIGURES_MS);

supported = await Broadcast.supported();
if (!supported) the('hint').textContent = 'This browser cannot encode live video for this. Chrome, Edge and Chromium can.';
await (query.has('test') ? devices.useTest() : devices.useCamera());
if (query.has('live') && supported) start();

function watchLink() {
  const url = new URL('p2m.html', location.href);
  url.search = '';
  url.searchParams.set('room', room);
  for (const signal of query.getAll('signal')) url.searchParams.append('signal', signal);
  return url.href;
}

/**
 * @param {'audio' | 'video'} kind
 * @param {MediaStreamTrack | null} track
 */
function taken(kind, track) {
  if (!broadcast) return;
  if (broadcast.publishes(kind)) broadcast.setTrack(kind, track);
  else if (track) toast(`Stop and go live again to publish the ${kind === 'video' ? 'picture' : 'sound'} too`);
}

function changed() {
  tellFlags();
  showGo();
}

function tellFlags() {
  // The media itself says the same.
  joined?.updateVideo(devices.flags).catch(() => {});
}

function showGo() {
  const view = document.body.dataset.view;
  const go = the('go');
  go.disabled = view === 'joining' || view === 'stopping' || (view === 'ready' && (!supported || devices.list.length === 0));
  go.classList.toggle('primary', view !== 'live');
  go.classList.toggle('stop', view === 'live');
  the('go-text').textContent = view === 'live' ? 'Stop' : view === 'joining' ? 'Going live…' : view === 'stopping' ? 'Ending…' : 'Go live';
  the('title').textContent = view === 'live' || view === 'stopping' ? 'You are live' : 'Ready to go live?';
}

/** @param {'ready' | 'joining' | 'live' | 'stopping'} name */
function view(name) {
  document.body.dataset.view = name;
  showGo();
  show();
}

async function start() {
  view('joining');
  devices.wake();
  the('hint').textContent = '';
  let made;
  try {
    const { signal } = await config();
    joined = await connect({
      url: signal,
      room,
      mode: 'p2m',
      publish: true,
      token: query.get('token') ?? undefined,
      user: { id: userId(`${room}-publisher`), name: query.get('name') ?? undefined },
    });
    made = new Broadcast(joined, { tracks: devices.list });
  } catch (error) {
    joined?.leave();
    finish(/** @type {any} */ (error));
    return;
  }
  broadcast = made;
  tellFlags();
  made.on('state', (state) => {
    if (state === 'live' && document.body.dataset.view === 'joining') {
      liveSince = performance.now();
      view('live');
    }
    show();
  });
  made.on('viewers', show);
  /** @type {import('../mobz.js').MobzError | undefined} */
  let problem;
  made.on('error', (error) => {
    problem = error;
    joined?.leave();
  });
  joined.on('rejoined', ({ resumed }) => !resumed && tellFlags());
  joined.on('state', show);
  joined.once('closed', ({ reason, error }) => finish(problem ?? error, reason));
}

async function stop() {
  view('stopping');
  await broadcast?.stop();
  joined?.leave();
}

/**
 * @param {import('../mobz.js').MobzError} [error]
 * @param {string} [reason]
 */
function finish(error, reason) {
  broadcast = undefined;
  joined = undefined;
  rate = { at: 0, frames: 0, value: 0 };
  const words = ended(error, reason);
  the('hint').textContent = words ?? '';
  if (!words && document.body.dataset.view === 'stopping') toast('Your stream has ended');
  view('ready');
}

function show() {
  const live = document.body.dataset.view === 'live';
  const away = joined?.state === 'reconnecting';
  the('live-badge').dataset.state = live && !away ? 'live' : 'idle';
  the('live-badge').textContent = live ? (away ? 'Interrupted' : 'Live') : 'Off air';
  the('viewers-chip').hidden = !live;
  const viewers = broadcast?.viewers ?? 0;
  the('viewers').textContent = viewers.toLocaleString('en');
  the('viewers').dataset.count = String(viewers);
  the('banner').hidden = !away;
  the('banner').textContent = away ? 'The server is out of reach. What you film is kept and sent when it is back.' : '';
  const [tone, words] = away ? ['busy', 'Reconnecting…'] : live ? ['good', 'On air'] : document.body.dataset.view === 'ready' ? ['idle', 'Not live'] : ['busy', 'One moment…'];
  the('status').dataset.state = tone;
  the('status-text').textContent = words;
}

function showFigures() {
  const stats = broadcast?.stats();
  const put = (/** @type {string} */ id, /** @type {string | undefined} */ text) => (the(id).textContent = text ?? '–');
  const { video } = stats ?? {};
  put('bitrate', stats && bitrate(stats.bitrate));
  put('bitrate-more', video?.bitrate ? `${bitrate(video.bitrate)} asked` : '');
  put('ack', stats?.ackLatency === undefined ? undefined : `${Math.max(1, Math.round(stats.ackLatency))} ms`);
  put('picture', video?.width ? `${video.width}×${video.height}` : undefined);
  put('picture-more', video?.width ? [frameRate(video.frames), video.codec.split('.')[0], video.skippedFrames ? `${video.skippedFrames} left out` : ''].filter(Boolean).join(' · ') : '');
  put('parts', stats && stats.parts.toLocaleString('en'));
  put('parts-more', stats && `${Math.round(stats.partTarget * 1000)} ms at most${stats.droppedParts ? ` · ${stats.droppedParts} lost` : ''}`);
  the('parts-more').textContent = stats ? the('parts-more').textContent : '';
  const seconds = liveSince && broadcast ? Math.floor((performance.now() - liveSince) / 1000) : undefined;
  put('time', seconds === undefined ? undefined : `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`);
  put('time-more', stats && stats.backlog >= 1 ? `${stats.backlog.toFixed(1)} s wait to be sent` : '');
}

/** @param {number} frames encoded so far */
function frameRate(frames) {
  const at = performance.now();
  if (at - rate.at >= RATE_MS) rate = { at, frames, value: rate.at ? ((frames - rate.frames) * 1000) / (at - rate.at) : 0 };
  return rate.value ? `${Math.round(rate.value)} fps` : '';
}
