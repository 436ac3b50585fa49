/** A call between two: lobby, call, end. */
import { Call, connect } from '../mobz.js';
import { config, query, ROOM, roomName, userId } from '../site/config.js';
import { button, copies, icon, setIcon, the, toast } from '../site/dom.js';
import { openCamera, openMedia, testPicture } from '../site/media.js';
import { callLine } from '../site/figures.js';
import { ending, noCamera } from './p2p-words.js';

/** Milliseconds between two readings of the figures. */
const FIGURES_MS = 1_000;

const room = roomOfAddress();
const link = roomLink();
/** @type {Record<'audio' | 'video', MediaStreamTrack | null>} */
const tracks = { audio: null, video: null };
let testing = false;
/** @type {import('../mobz.js').Room | undefined} */
let joined;
/** @type {Call | undefined} */
let call;

// For tests and for whoever is curious in the console.
/** @type {any} */ (window).mobzDemo = {
  get room() {
    return joined;
  },
  get call() {
    return call;
  },
  get view() {
    return document.body.dataset.view;
  },
  stats: () => call?.stats(),
};

the('room-name').textContent = room;
the('lobby-room').textContent = room;
the('link').value = link;
the('name').value = query.get('name') ?? localStorage.getItem('mobz-name') ?? '';
document.title = `${room} · MobZ call`;
copies(the('copy-link'), () => link, 'Link copied: send it to the other person');
copies(the('copy-link-lobby'), () => link, 'Link copied: send it to the other person');
the('link').addEventListener('focus', () => the('link').select());
the('join').addEventListener('submit', (/** @type {Event} */ event) => {
  event.preventDefault();
  join();
});
the('leave').addEventListener('click', () => joined?.leave());
the('use-test').addEventListener('click', useTestPicture);
the('camera-again').addEventListener('click', useCamera);
the('stats-toggle').addEventListener('click', () => {
  const shown = the('stats-toggle').getAttribute('aria-pressed') !== 'true';
  the('stats-toggle').setAttribute('aria-pressed', String(shown));
  the('call').classList.toggle('no-stats', !shown);
});
the('unlock').addEventListener('click', () => {
  the('unlock').hidden = true;
  the('remote').play();
});
for (const toggle of document.querySelectorAll('[data-toggle]')) {
  toggle.addEventListener('click', () => flip(/** @type {any} */ (toggle).dataset.toggle));
}
// A page that goes says so: the other need not wait for the grace time.
addEventListener('pagehide', () => joined?.leave());
addEventListener('pageshow', (event) => event.persisted && location.reload());

await (query.has('test') ? useTestPicture() : useCamera());
if (query.has('join')) join();

function roomOfAddress() {
  const asked = query.get('room');
  if (asked && ROOM.test(asked)) return asked;
  const made = roomName();
  query.set('room', made);
  history.replaceState(null, '', `?${query}`);
  return made;
}

/** What the other needs of this page's address: the room and where the server is, not one's name. */
function roomLink() {
  const url = new URL(location.pathname, location.href);
  for (const key of ['room', 'signal', 'relay']) {
    for (const value of query.getAll(key)) url.searchParams.append(key, value);
  }
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

function useTestPicture() {
  testing = true;
  take('video', testPicture());
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
  call?.setTrack(kind, track);
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
    // Ended, not only blank, so that the camera's light goes out.
    take('video', null);
    cover('Camera off', 'The other will see your name.', false);
  } else if (testing) {
    take('video', testPicture());
  } else {
    const camera = await openCamera().catch(() => undefined);
    if (!camera) {
      toast('The camera cannot be opened: allow it for this page');
      return;
    }
    take('video', camera);
  }
  showSelf();
  tellFlags();
}

function flags() {
  return { video: Boolean(tracks.video), audio: Boolean(tracks.audio?.enabled) };
}

function tellFlags() {
  // It is repeated with the next flip; the media itself says the same.
  joined?.updateVideo(flags()).catch(() => {});
}

function showSelf() {
  const { video, audio } = flags();
  const stream = tracks.video ? new MediaStream([tracks.video]) : null;
  for (const id of ['preview', 'self']) {
    the(id).srcObject = stream;
    the(id).classList.toggle('mirrored', !testing);
  }
  the('preview-cover').hidden = video;
  the('self-off').hidden = video;
  for (const toggle of document.querySelectorAll('[data-toggle]')) {
    const kind = /** @type {'audio' | 'video'} */ (/** @type {HTMLElement} */ (toggle).dataset.toggle);
    const on = kind === 'audio' ? audio : video;
    setIcon(toggle, (kind === 'audio' ? 'mic' : 'camera') + (on ? '' : '-off'));
    toggle.setAttribute('aria-pressed', String(!on));
    const [mute, unmute] = kind === 'audio' ? ['Mute the microphone', 'Turn the microphone on'] : ['Turn the camera off', 'Turn the camera on'];
    toggle.setAttribute('aria-label', on ? mute : unmute);
  }
}

async function join() {
  if (joined && joined.state !== 'closed') return;
  const name = the('name').value.trim();
  localStorage.setItem('mobz-name', name);
  the('join-button').disabled = true;
  the('join-text').textContent = 'Joining…';
  try {
    const { signal } = await config();
    joined = await connect({
      url: signal,
      room,
      mode: 'p2p',
      token: query.get('token') ?? undefined,
      user: { id: userId(room), name: name || undefined },
    });
    begin(joined);
  } catch (error) {
    end({ code: 0, reason: 'refused', error: /** @type {any} */ (error) });
  } finally {
    the('join-button').disabled = false;
    the('join-text').textContent = 'Join now';
  }
}

/** @param {import('../mobz.js').Room} room */
function begin(room) {
  const sent = [tracks.audio, tracks.video].filter((it) => it !== null);
  const made = new Call(room, { tracks: sent, iceTransportPolicy: query.has('relay') ? 'relay' : 'all' });
  call = made;
  view('call');
  tellFlags();
  made.on('remoteStream', (stream) => {
    the('remote').srcObject = stream;
    // Where sound must not start without a gesture, a button asks for one.
    the('remote').play().catch((/** @type {DOMException} */ error) => {
      if (error.name === 'NotAllowedError') the('unlock').hidden = false;
    });
  });
  const refresh = () => show(room, made);
  made.on('state', refresh);
  made.on('peer', refresh);
  made.on('error', (error) => toast(error.message));
  for (const event of /** @type {const} */ (['state', 'rejoined', 'participantAway', 'participantBack', 'participantUpdated'])) {
    room.on(event, refresh);
  }
  room.on('rejoined', ({ resumed }) => !resumed && tellFlags());
  room.on('participantLeft', (peer) => toast(`${nameOf(peer)} left`));
  room.on('participantJoined', (peer) => toast(`${nameOf(peer)} is here`));
  const figures = setInterval(() => showFigures(made), FIGURES_MS);
  room.once('closed', (why) => {
    clearInterval(figures);
    end(why);
  });
  const stream = made.remoteStream;
  the('remote').srcObject = stream;
  refresh();
}

/** @param {import('../mobz.js').Participant | undefined} peer */
function nameOf(peer) {
  return peer?.name || 'The other person';
}

/**
 * @param {import('../mobz.js').Room} room
 * @param {Call} call
 */
function show(room, call) {
  if (room.state === 'closed') return;
  const { peer, state } = call;
  const seen = state === 'connected' || state === 'interrupted';
  const picture = seen && Boolean(peer?.video);
  the('stage').dataset.state = state;
  the('remote').hidden = !picture;
  the('remote-name').hidden = !picture;
  the('remote-name').textContent = nameOf(peer) + (peer?.audio ? '' : ' · muted');
  the('stats').dataset.shown = String(seen);

  const status = the('status');
  const [tone, words] =
    room.state === 'reconnecting' ? ['busy', 'Reconnecting…']
    : state === 'connected' ? ['good', 'Connected']
    : state === 'waiting' ? ['idle', 'Waiting']
    : state === 'connecting' ? ['busy', 'Connecting…']
    : state === 'failed' ? ['bad', 'Not connected']
    : ['busy', 'Interrupted'];
  status.dataset.state = tone;
  the('status-text').textContent = words;

  const banner =
    room.state === 'reconnecting' ? 'The server is out of reach. Your call goes on meanwhile.'
    : peer?.away ? `${nameOf(peer)} lost the connection and may be right back.`
    : state === 'interrupted' ? 'The picture was interrupted. Finding a new way…'
    : undefined;
  the('banner').hidden = !banner;
  the('banner').textContent = banner ?? '';
  note(state, peer, picture);
}

/**
 * What stands where the other's picture is not.
 * @param {import('../mobz.js').CallState} state
 * @param {import('../mobz.js').Participant | undefined} peer
 * @param {boolean} picture
 */
function note(state, peer, picture) {
  const box = the('note');
  const key = picture ? 'picture' : `${state} ${peer?.user} ${peer?.name}`;
  if (box.dataset.key === key) return;
  box.dataset.key = key;
  box.hidden = picture;
  const title = document.createElement('p');
  title.className = 'note-title';
  const text = document.createElement('p');
  if (state === 'waiting') {
    title.textContent = 'Waiting for the other person';
    text.textContent = 'Send the link to this room. The call starts as soon as it is opened.';
    const copy = button({ label: 'Copy link', icon: 'copy', primary: true });
    copies(copy, () => link, 'Link copied: send it to the other person');
    const address = document.createElement('p');
    address.className = 'address';
    address.textContent = link;
    box.replaceChildren(rings(), title, text, address, copy);
  } else if (state === 'failed') {
    title.textContent = 'No way to the other person';
    text.textContent = 'The two networks let no media through. Leave and join again, or try another network.';
    box.replaceChildren(icon('warning'), title, text);
  } else {
    title.textContent = nameOf(peer);
    text.textContent = state === 'connecting' ? 'Connecting…' : 'Camera off';
    box.replaceChildren(avatar(peer), title, text);
  }
}

function rings() {
  const element = document.createElement('div');
  element.className = 'rings';
  element.append(icon('people'));
  return element;
}

/** @param {import('../mobz.js').Participant | undefined} peer */
function avatar(peer) {
  const element = document.createElement('div');
  element.className = 'avatar';
  element.textContent = [...(peer?.name ?? '')][0]?.toUpperCase() ?? '';
  if (!peer?.name) element.append(icon('people'));
  return element;
}

/** @param {Call} call */
async function showFigures(call) {
  const stats = await call.stats();
  the('stats').replaceChildren(...(stats ? callLine(stats) : []));
}

/** @param {import('../mobz.js').Closing} why */
function end(why) {
  call?.close();
  call = undefined;
  the('remote').srcObject = null;
  const words = ending(why, room);
  the('ended-icon').replaceChildren(icon(words.icon));
  the('ended-title').textContent = words.title;
  the('ended-text').textContent = words.text;
  the('ended-actions').replaceChildren(
    ...words.actions.map((action) => button('href' in action ? action : { ...action, act: back })),
  );
  the('status').dataset.state = 'idle';
  the('status-text').textContent = 'Not joined';
  view('ended');
  the('ended-title').focus();
}

function back() {
  view('lobby');
  join();
}

/** @param {'lobby' | 'call' | 'ended'} name */
function view(name) {
  document.body.dataset.view = name;
  for (const id of ['lobby', 'call', 'ended']) the(id).hidden = id !== name;
}
