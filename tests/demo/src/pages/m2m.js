/** A group call: lobby, grid, end. */
import { connect, Group } from '../mobz.js';
import { config, query, roomLink, roomOfAddress, userId } from '../site/config.js';
import { Devices } from '../site/devices.js';
import { button, copies, icon, the, toast } from '../site/dom.js';
import { nameOf, showPeople } from './m2m-people.js';
import { Tile } from './m2m-tile.js';
import { ending } from './m2m-words.js';

/** Milliseconds between two readings of the figures. */
const FIGURES_MS = 1_000;

const room = roomOfAddress();
const link = roomLink();
const devices = new Devices({ taken: (kind, track) => group?.setTrack(kind, track), changed: devicesChanged });
/** @type {import('../mobz.js').Room | undefined} */
let joined;
/** @type {Group | undefined} */
let group;
/** @type {Map<string, Tile>} */
const tiles = new Map();
/** Users who ask the owner to be seen. @type {Set<string>} */
const requests = new Set();
/** Whether one has asked oneself, and waits. */
let asking = false;

// For tests and for whoever is curious in the console.
/** @type {any} */ (window).mobzDemo = {
  get room() {
    return joined;
  },
  get group() {
    return group;
  },
  get view() {
    return document.body.dataset.view;
  },
  stats: () => group?.stats(),
};

the('room-name').textContent = room;
the('lobby-room').textContent = room;
the('link').value = link;
the('name').value = query.get('name') ?? localStorage.getItem('mobz-name') ?? '';
document.title = `${room} · MobZ group call`;
copies(the('copy-link'), () => link, 'Link copied: send it to the others');
copies(the('copy-link-lobby'), () => link, 'Link copied: send it to the others');
the('link').addEventListener('focus', () => the('link').select());
the('join').addEventListener('submit', (/** @type {Event} */ event) => {
  event.preventDefault();
  join(true);
});
the('watch-button').addEventListener('click', () => join(false));
the('leave').addEventListener('click', () => joined?.leave());
the('ask').addEventListener('click', ask);
the('people-toggle').addEventListener('click', () => flipPanel('people-toggle', (shown) => (the('people').hidden = !shown)));
the('stats-toggle').addEventListener('click', () => flipPanel('stats-toggle', (shown) => the('grid').classList.toggle('with-figures', shown)));
// A page that goes says so: the others need not wait for the grace time.
addEventListener('pagehide', () => joined?.leave());
addEventListener('pageshow', (event) => event.persisted && location.reload());

const watching = query.get('join') === 'watch';
if (!watching) await (query.has('test') ? devices.useTest() : devices.useCamera());
if (query.has('join')) join(!watching);

/**
 * @param {string} id
 * @param {(shown: boolean) => void} show
 */
function flipPanel(id, show) {
  const shown = the(id).getAttribute('aria-pressed') !== 'true';
  the(id).setAttribute('aria-pressed', String(shown));
  show(shown);
}

function devicesChanged() {
  tellFlags();
  showOwn();
}

function tellFlags() {
  if (joined?.self?.participantType !== 'publisher') return;
  // It is repeated with the next flip; the media itself says the same.
  joined.updateVideo(devices.flags).catch(() => {});
}

/** @param {boolean} publish */
async function join(publish) {
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
      mode: 'm2m',
      publish,
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
  const made = new Group(room, { tracks: devices.list, iceTransportPolicy: query.has('relay') ? 'relay' : 'all' });
  group = made;
  view('call');
  tellFlags();
  made.on('state', refresh);
  made.on('remote', refresh);
  made.on('remoteEnded', refresh);
  made.on('error', (error) => error.code !== 'no_capacity' && toast(error.message));
  made.on('request', (user) => {
    requests.add(user);
    toast(`${nameOf(personOf(user))} asks to be seen`);
    refresh();
  });
  made.on('accepted', accepted);
  made.on('rejected', (reason) => {
    asking = false;
    toast(reason ? `Not now: ${reason}` : 'The owner says: not now');
    refresh();
  });
  for (const event of /** @type {const} */ (['state', 'rejoined', 'participantAway', 'participantBack', 'participantUpdated', 'publishers', 'owner'])) {
    room.on(event, refresh);
  }
  room.on('rejoined', ({ resumed }) => !resumed && tellFlags());
  room.on('participantLeft', (person, reason) => {
    requests.delete(person.user);
    toast(`${nameOf(person)} ${reason === 'kicked' ? 'was removed' : 'left'}`);
    refresh();
  });
  room.on('participantJoined', (person) => {
    toast(`${nameOf(person)} is here`);
    refresh();
  });
  const figures = setInterval(() => showFigures(made), FIGURES_MS);
  room.once('closed', (why) => {
    clearInterval(figures);
    end(why);
  });
  refresh();
}

async function ask() {
  if (!group || asking) return;
  asking = true;
  refresh();
  try {
    await group.requestPublish();
    toast('The owner has been asked');
  } catch (error) {
    asking = false;
    toast(/** @type {Error} */ (error).message);
    refresh();
  }
}

async function accepted() {
  asking = false;
  toast('You are in: the others see you now');
  if (devices.list.length === 0) await (query.has('test') ? devices.useTest() : devices.useCamera());
  tellFlags();
  refresh();
}

/** @param {string} user */
function personOf(user) {
  return joined?.participants.find((it) => it.user === user);
}

function refresh() {
  if (!joined || !group || joined.state === 'closed') return;
  const { self } = joined;
  const publishes = self?.participantType === 'publisher';
  document.body.dataset.role = publishes ? 'publisher' : 'viewer';
  const wanted = new Set([...(publishes && self ? [self.user] : []), ...group.remotes.map((it) => it.user)]);
  for (const [user, tile] of tiles) {
    if (wanted.has(user)) continue;
    tile.element.remove();
    tiles.delete(user);
  }
  showOwn();
  for (const remote of group.remotes) {
    tileOf(remote.user).show(personOf(remote.user), { stream: remote.stream, state: remote.state });
  }
  the('grid').dataset.count = String(tiles.size);
  the('ask').hidden = publishes;
  the('ask').disabled = asking;
  the('ask-text').textContent = asking ? 'The owner was asked…' : 'Ask to be seen';
  showPeople(joined, requests, { kick, accept: (user) => answer(user, true), reject: (user) => answer(user, false) });
  showStatus(joined, group);
}

function showOwn() {
  const self = joined?.self;
  if (!group || !self || self.participantType !== 'publisher') return;
  const { video } = devices.tracks;
  const tile = tileOf(self.user);
  const stream = tile.video.srcObject instanceof MediaStream && tile.video.srcObject.getVideoTracks()[0] === video ? tile.video.srcObject : video && new MediaStream([video]);
  tile.show({ ...self, ...devices.flags }, { stream: stream || null, state: group.state, own: true, mirrored: devices.mirrored });
}

/** @param {string} user */
function tileOf(user) {
  const known = tiles.get(user);
  if (known) return known;
  const own = user === joined?.user;
  const choose = (/** @type {number} */ substream) => {
    const chosen = group?.setLayer(user, substream) ?? Promise.reject(new Error('there is no call'));
    chosen.catch((error) => toast(error.message));
    return chosen;
  };
  const tile = new Tile(user, { own, choose: own ? undefined : choose });
  tiles.set(user, tile);
  the('grid').append(tile.element);
  return tile;
}

/**
 * @param {import('../mobz.js').Room} room
 * @param {Group} group
 */
function showStatus(room, group) {
  const [tone, words] =
    room.state === 'reconnecting' ? ['busy', 'Reconnecting…']
    : group.state === 'connecting' ? ['busy', 'Connecting…']
    : group.state === 'waiting' ? ['busy', 'Waiting for a place']
    : group.state === 'interrupted' ? ['busy', 'Interrupted']
    : group.state === 'live' ? ['good', 'Live']
    : ['good', 'Watching'];
  the('status').dataset.state = tone;
  the('status-text').textContent = words;
  const banner =
    room.state === 'reconnecting' ? 'The server is out of reach. Your call goes on meanwhile.'
    : group.state === 'waiting' ? 'No media server has a place at the moment. Trying again…'
    : undefined;
  the('banner').hidden = !banner;
  the('banner').textContent = banner ?? '';
  const empty = tiles.size === 0;
  the('note').hidden = !empty;
  if (empty && !the('note').hasChildNodes()) {
    const title = document.createElement('p');
    title.className = 'note-title';
    title.textContent = 'Nobody is seen yet';
    const text = document.createElement('p');
    text.textContent = 'Whoever publishes appears here. You can ask to be seen yourself.';
    the('note').append(icon('people'), title, text);
  }
}

/** @param {string} user */
function kick(user) {
  joined?.kick(user).catch((error) => toast(error.message));
}

/**
 * @param {string} user
 * @param {boolean} yes
 */
function answer(user, yes) {
  requests.delete(user);
  refresh();
  const answered = yes ? group?.accept(user) : group?.reject(user);
  answered?.catch((error) => toast(error.message));
}

/** @param {Group} group */
async function showFigures(group) {
  const own = joined?.user ?? '';
  const [sent, ...received] = await Promise.all([group.stats(), ...group.remotes.map((it) => it.stats())]);
  tiles.get(own)?.figures(sent?.sent.video);
  group.remotes.forEach((it, index) => tiles.get(it.user)?.figures(received[index]?.received.video));
}

/** @param {import('../mobz.js').Closing} why */
function end(why) {
  group?.close();
  group = undefined;
  asking = false;
  requests.clear();
  for (const tile of tiles.values()) tile.element.remove();
  tiles.clear();
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
  join(document.body.dataset.role !== 'viewer');
}

/** @param {'lobby' | 'call' | 'ended'} name */
function view(name) {
  document.body.dataset.view = name;
  for (const id of ['lobby', 'call', 'ended']) the(id).hidden = id !== name;
}
