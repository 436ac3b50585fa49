/** Publishes camera and microphone live to a p2m room. */
import { Broadcast, connect } from '../mobz.js';
import { config, query, ROOM, roomName, userId } from '../site/config.js';
import { copies, setIcon, the, toast } from '../site/dom.js';
import { bitrate } from '../site/figures.js';
import { openCamera, openMedia, testPicture, testSound } from '../site/media.js';
import { ended, noCamera } from './publish-words.js';

/** Milliseconds between two readings of the figures. */
const FIGURES_MS = 500;
/** Milliseconds the frame rate is measured over. */
const RATE_MS = 2_000;

const room = roomOfAddress();
const link = watchLink();
/** @type {Record<'audio' | 'video', MediaStreamTrack | null>} */
const tracks = { audio: null, video: null };
let testing = false;
let supported = false;
/** Wakes the test sound. @type {() => void} */
let wake = () => {};
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
the('use-test').addEventListener('click', useTest);
the('camera-again').addEventListener('click', useCamera);
for (const toggle of document.querySelectorAll('[data-toggle]')) {
  toggle.addEventListener('click', () => flip(/** @type {any} */ (toggle).dataset.toggle));
}
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
await (query.has('test') ? useTest() : useCamera());
if (query.has('live') && supported) start();

function roomOfAddress() {
  const asked = query.get('room');
  if (asked && ROOM.test(asked)) return asked;
  const made = roomName();
  query.set('room', made);
  history.replaceState(null, '', `?${query}`);
  return made;
}

function watchLink() {
  const url = new URL('p2m.html', location.href);
  url.search = '';
  url.searchParams.set('room', room);
  for (const signal of query.getAll('signal')) url.searchParams.append('signal', signal);
  return url.href;
}

async function useCamera() {
  cover('Asking for your camera…', 'Allow it in the browser, if it asks.', false);
  try {
    const stream = await openMedia();
    testing = false;
    take('audio', stream.getAudioTracks()[0] ?? null);
    take('video', stream.getVideoTracks()[0] ?? null);
    if (!tracks.video) cover(...noCamera('missing'), true);
  } catch (problem) {
    cover(...noCamera(/** @type {any} */ (problem).kind), true);
  }
  showSelf();
}

function useTest() {
  testing = true;
  const sound = testSound();
  ({ wake } = sound);
  wake();
  take('video', testPicture());
  take('audio', sound.track);
  showSelf();
}

/**
 * @param {string} title
 * @param {string} text
 * @param {boolean} offer whether the ways out are offered
 */
function cover(title, text, offer) {
  the('preview-title').textContent = title;
  the('preview-text').textContent = text;
  the('camera-again').hidden = !offer;
  the('use-test').hidden = !offer;
}

/**
 * @param {'audio' | 'video'} kind
 * @param {MediaStreamTrack | null} track
 */
function take(kind, track) {
  if (tracks[kind] !== track) tracks[kind]?.stop();
  tracks[kind] = track;
  if (broadcast?.publishes(kind)) broadcast.setTrack(kind, track);
  track?.addEventListener('ended', () => {
    if (tracks[kind] !== track) return;
    toast(kind === 'video' ? 'The camera was taken away' : 'The microphone was taken away');
    take(kind, null);
    showSelf();
    tellFlags();
  });
}

/** @param {'audio' | 'video'} kind */
async function flip(kind) {
  const track = tracks[kind];
  if (kind === 'audio') {
    if (!track) return toast('There is no microphone to turn on');
    track.enabled = !track.enabled;
  } else if (track) {
    // Ended, not only black, so that the camera's light goes out.
    take('video', null);
    cover('Camera off', broadcast ? 'Watchers see a black picture.' : 'Only sound will be published.', false);
  } else {
    const camera = testing ? testPicture() : await openCamera().catch(() => undefined);
    if (!camera) return toast('The camera cannot be opened: allow it for this page');
    if (broadcast && !broadcast.publishes('video')) toast('Stop and go live again to publish the picture too');
    take('video', camera);
  }
  showSelf();
  tellFlags();
}

function flags() {
  return { video: Boolean(tracks.video), audio: Boolean(tracks.audio?.enabled) };
}

function tellFlags() {
  // The media itself says the same.
  joined?.updateVideo(flags()).catch(() => {});
}

function showSelf() {
  const { video, audio } = flags();
  the('preview').srcObject = tracks.video ? new MediaStream([tracks.video]) : null;
  the('preview').classList.toggle('mirrored', !testing);
  the('preview-cover').hidden = video;
  for (const toggle of document.querySelectorAll('[data-toggle]')) {
    const isAudio = /** @type {HTMLElement} */ (toggle).dataset.toggle === 'audio';
    const on = isAudio ? audio : video;
    setIcon(toggle, (isAudio ? 'mic' : 'camera') + (on ? '' : '-off'));
    toggle.setAttribute('aria-pressed', String(!on));
    const [off, again] = isAudio ? ['Mute the microphone', 'Turn the microphone on'] : ['Turn the camera off', 'Turn the camera on'];
    toggle.setAttribute('aria-label', on ? off : again);
  }
  showGo();
}

function showGo() {
  const view = document.body.dataset.view;
  const go = the('go');
  go.disabled = view === 'joining' || view === 'stopping' || (view === 'ready' && (!supported || (!tracks.video && !tracks.audio)));
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
  wake();
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
    const sent = [tracks.video, tracks.audio].filter((it) => it !== null);
    made = new Broadcast(joined, { tracks: sent });
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
  put('bitrate-more', video?.bitrate ? `${bitrate(video.bitrate)} of video asked` : '');
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
