/** A call between two: lobby, call, end. */
import { Call, connect } from '../mobz.js';
import { config, query, roomLink, roomOfAddress, userId } from '../site/config.js';
import { Devices } from '../site/devices.js';
import { avatar, button, copies, icon, the, toast } from '../site/dom.js';
import { callLine } from '../site/figures.js';
import { ending } from './p2p-words.js';

/** Milliseconds between two readings of the figures. */
const FIGURES_MS = 1_000;

const room = roomOfAddress();
const link = roomLink();
const devices = new Devices({ taken: (kind, track) => call?.setTrack(kind, track), changed: devicesChanged });
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
the('stats-toggle').addEventListener('click', () => {
  const shown = the('stats-toggle').getAttribute('aria-pressed') !== 'true';
  the('stats-toggle').setAttribute('aria-pressed', String(shown));
  the('call').classList.toggle('no-stats', !shown);
});
the('unlock').addEventListener('click', () => {
  the('unlock').hidden = true;
  the('remote').play();
});
// A page that goes says so: the other need not wait for the grace time.
addEventListener('pagehide', () => joined?.leave());
addEventListener('pageshow', (event) => event.persisted && location.reload());

await (query.has('test') ? devices.useTest() : devices.useCamera());
if (query.has('join')) join();

function devicesChanged() {
  const { video } = devices.tracks;
  the('self').srcObject = video ? new MediaStream([video]) : null;
  the('self').classList.toggle('mirrored', devices.mirrored);
  the('self-off').hidden = Boolean(video);
  tellFlags();
}

function tellFlags() {
  // It is repeated with the next flip; the media itself says the same.
  joined?.updateVideo(devices.flags).catch(() => {});
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
  const made = new Call(room, { tracks: devices.list, iceTransportPolicy: query.has('relay') ? 'relay' : 'all' });
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
    box.replaceChildren(avatar(peer?.name), title, text);
  }
}

function rings() {
  const element = document.createElement('div');
  element.className = 'rings';
  element.append(icon('people'));
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
