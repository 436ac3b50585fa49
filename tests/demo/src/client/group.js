import { Emitter } from './emitter.js';
import { MobzError } from './error.js';
import { Link } from './link.js';
import { Remote, WATCH_PAUSE_MS_MIN } from './remote.js';

/** @typedef {import('../mobz.js').Participant} Participant */
/** @typedef {'audio' | 'video'} Kind */

/** Milliseconds before a publisher without a place tries again, where the server names no time. */
const PLACE_PAUSE_MS = 2_000;
/** Milliseconds of the longest pause before a station that could not be watched is tried again. */
const WATCH_PAUSE_MS_MAX = 8_000;
/** Milliseconds the new station of a publisher that moved is waited for before it is asked for. */
const MOVE_WAIT_MS = 4_000;
/** Milliseconds what is sent on the station one has moved from goes on at most; its munit ends it sooner. */
const LEAVE_MS_MAX = 15_000;
/** Milliseconds the first picture of a new connection is waited for while the old one shows one: there may be none. */
const PICTURE_MS_MAX = 3_000;
/** Milliseconds a link that lost its way may find it again before it is made anew. */
const MEND_MS = 3_000;

/** The simulcast layers of a camera, largest first, as Janus numbers them from behind. */
const LAYERS = [
  { rid: 'h', maxBitrate: 1_200_000 },
  { rid: 'm', maxBitrate: 450_000, scaleResolutionDownBy: 2 },
  { rid: 'l', maxBitrate: 150_000, scaleResolutionDownBy: 4 },
];

/**
 * What one sends and receives in an m2m room; see `Group` in mobz.d.ts for the contract.
 *
 * One peer connection for what is published and one for each publisher watched. A station that moves is
 * taken up on a new connection before the old one is let go, in both directions.
 */
export class Group extends Emitter {
  /** @type {import('../mobz.js').PublishState} */
  state = 'off';

  /** @type {import('../mobz.js').Room} */
  #room;
  /** @type {import('../mobz.js').GroupOptions} */
  #options;
  /** @type {Record<Kind, MediaStreamTrack | null>} */
  #tracks = { audio: null, video: null };
  /** The connection that publishes. @type {Link | undefined} */
  #own;
  /** The one that takes its place once its media flow. @type {Link | undefined} */
  #next;
  /** The one whose place it has taken: sent on until its munit ends it, for those who still watch there. @type {Link | undefined} */
  #last;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #lastTimer;
  /** @type {Map<string, Remote>} */
  #remotes = new Map();
  /** @type {Set<string>} */
  #unwatched = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #placeTimer;
  /** Offers are made one after the other. */
  #work = Promise.resolve();
  /** @type {(() => void)[]} */
  #offs;

  /**
   * @param {import('../mobz.js').Room} room
   * @param {import('../mobz.js').GroupOptions} [options]
   */
  constructor(room, options = {}) {
    super();
    this.#room = room;
    this.#options = options;
    for (const track of options.tracks ?? []) this.#tracks[/** @type {Kind} */ (track.kind)] = track;
    this.#offs = [
      room.on('publishers', (_, change) => this.#publishersChanged(change.moved)),
      room.on('participantUpdated', (it) => it.user === room.user && this.#roleChanged()),
      room.on('signal', (signal) => this.#receive(signal)),
      room.on('rejoined', (how) => this.#rejoined(how)),
      room.on('closed', () => this.close()),
    ];
    this.#roleChanged();
    for (const it of room.publishers) if (it.sdp) this.#take(it.user, it.station ?? '', it.sdp);
    this.#publishersChanged([]);
  }

  /** Everyone whose media are received, or asked for. */
  get remotes() {
    return [...this.#remotes.values()];
  }

  /** The station one publishes on, once placed. */
  get station() {
    return (this.#next ?? this.#own)?.station;
  }

  /** The peer connection that publishes, for what this class has no word for. */
  get connection() {
    return this.#own?.connection;
  }

  /**
   * Sends `track`, or nothing, in place of what was sent of that kind; needs no negotiation.
   * @param {Kind} kind
   * @param {MediaStreamTrack | null} track
   */
  async setTrack(kind, track) {
    this.#tracks[kind] = track;
    await Promise.all([this.#last, this.#own, this.#next].map((link) => link?.send(kind, track)));
  }

  /**
   * Watches a publisher again that was let go with `unwatch`.
   * @param {string} user
   */
  watch(user) {
    this.#unwatched.delete(user);
    this.#publishersChanged([]);
  }

  /**
   * Lets a publisher's media go.
   * @param {string} user
   */
  unwatch(user) {
    this.#unwatched.add(user);
    const station = this.#remotes.get(user)?.station;
    this.#forget(user);
    return station ? this.#room.send({ type: 'Unwatch', station }) : Promise.resolve(undefined);
  }

  /**
   * Asks for a simulcast layer of a publisher's picture; resolves with what comes once it has switched.
   * @param {string} user
   * @param {number} substream 0–2
   * @param {number} [temporal] 0–2
   */
  setLayer(user, substream, temporal) {
    const remote = this.#remotes.get(user);
    if (!remote?.station) return Promise.reject(new MobzError('no_such_station', 'nothing of this participant is received'));
    return this.#room.send({ type: 'SimulcastUpdate', station: remote.station, substream, temporal });
  }

  /** Asks the owner to be let publish; resolves once the owner has been asked. */
  requestPublish() {
    return this.#room.send({ type: 'PublishRequest' });
  }

  /** @param {string} user */
  accept(user) {
    return this.#room.send({ type: 'PublishAccept', user });
  }

  /**
   * @param {string} user
   * @param {string} [reason]
   */
  reject(user, reason) {
    return this.#room.send({ type: 'PublishReject', user, reason });
  }

  /** What one's own connection carries. */
  async stats() {
    return this.#own?.stats();
  }

  /** Ends all media; the room stays joined. */
  close() {
    for (const off of this.#offs.splice(0)) off();
    clearTimeout(this.#placeTimer);
    for (const user of [...this.#remotes.keys()]) this.#forget(user);
    this.#dropOwn();
    this.#turn('closed');
  }

  /** @param {any} signal */
  #receive(signal) {
    switch (signal.type) {
      case 'WatchAck':
        // The answer to a Watch of one's own is taken where it was asked.
        if (signal.re === undefined) this.#take(signal.user, signal.station, signal.sdp);
        break;
      case 'iceCandidate':
        this.#links().find((link) => link.station === signal.station)?.hear(signal);
        break;
      case 'StationLost':
        this.#lost(signal.station, signal.user, signal.retry);
        break;
      case 'PublishRequest':
        this.emit('request', signal.user);
        break;
      case 'PublishAccept':
        if (signal.user === this.#room.user) this.emit('accepted');
        break;
      case 'PublishReject':
        if (signal.user === this.#room.user) this.emit('rejected', signal.reason);
        break;
      case 'SimulcastUpdate': {
        const remote = this.remotes.find((it) => it.station === signal.station);
        if (remote) {
          remote.layer = { substream: signal.substream, temporal: signal.temporal };
          this.emit('remote', remote);
        }
        break;
      }
      default:
    }
  }

  #links() {
    const watched = this.remotes.flatMap((it) => [it.link, it.next]);
    return /** @type {Link[]} */ ([this.#last, this.#own, this.#next, ...watched].filter(Boolean));
  }

  // What is published

  #roleChanged() {
    const publishes = this.#room.self?.participantType === 'publisher';
    if (publishes && this.state === 'off') this.#publish();
    if (!publishes && this.state !== 'off' && this.state !== 'closed') {
      clearTimeout(this.#placeTimer);
      this.#dropOwn();
      this.#turn('off');
    }
  }

  /** Offers on a fresh connection; the one before goes on until its munit ends it. */
  #publish() {
    clearTimeout(this.#placeTimer);
    this.#work = this.#work.then(async () => {
      if (this.#ended || this.#room.self?.participantType !== 'publisher') return;
      this.#next?.close();
      const link = this.#newLink();
      this.#next = link;
      if (!this.#own) this.#turn('connecting');
      try {
        const answer = await this.#room.send({ type: 'Offer', sdp: await link.offer(this.#tracks, this.#layers()) });
        if (this.#next !== link) return;
        await link.answered(answer.station, answer.sdp);
      } catch (error) {
        if (this.#next !== link) return;
        this.#next = undefined;
        link.close();
        this.#refused(/** @type {MobzError} */ (error));
      }
    });
  }

  #layers() {
    return this.#options.simulcast === false ? undefined : LAYERS;
  }

  /** @param {MobzError} error */
  #refused(error) {
    if (this.#ended) return;
    this.emit('error', error);
    if (error.code === 'not_publisher' || error.code === 'forbidden') return;
    if (!this.#own) this.#turn('waiting');
    clearTimeout(this.#placeTimer);
    this.#placeTimer = setTimeout(() => this.#publish(), error.retryAfter ?? PLACE_PAUSE_MS);
  }

  #newLink() {
    const link = new Link(this.#room, this.#options.iceTransportPolicy);
    link.on('state', () => this.#ownChanged(link));
    return link;
  }

  /** @param {Link} link */
  #ownChanged(link) {
    if (this.#ended) return;
    if (link === this.#next && link.state === 'connected') {
      // Who watches where one was before has nothing else to show yet.
      const old = this.#own;
      if (old && old.station !== link.station && old.state !== 'failed') this.#leave(old);
      else old?.close();
      this.#own = link;
      this.#next = undefined;
    }
    if (link === this.#last && link.state !== 'connected') this.#dropLast();
    if (link === this.#next && link.state === 'failed') this.#publish();
    if (link !== this.#own) return;
    if (link.state === 'connected') this.#turn('live');
    else if (link.state === 'interrupted') this.#turn('interrupted');
    else if (link.state === 'failed') this.#publish();
  }

  /** @param {Link} link */
  #leave(link) {
    this.#dropLast();
    this.#last = link;
    this.#lastTimer = setTimeout(() => this.#dropLast(), LEAVE_MS_MAX);
  }

  #dropLast() {
    clearTimeout(this.#lastTimer);
    this.#last?.close();
    this.#last = undefined;
  }

  #dropOwn() {
    this.#dropLast();
    this.#own?.close();
    this.#next?.close();
    this.#own = undefined;
    this.#next = undefined;
  }

  // What is received

  /** @param {{ user: string, from: string, to: string }[]} moved */
  #publishersChanged(moved) {
    if (this.#ended) return;
    const publishers = this.#room.publishers;
    for (const user of [...this.#remotes.keys()]) {
      if (!publishers.some((it) => it.user === user)) this.#forget(user);
    }
    for (const { user, station } of publishers) {
      const isMoved = moved.some((it) => it.user === user && it.to === station);
      if (user === this.#room.user) {
        // Make before break: a fresh Offer while the old station still runs.
        if (isMoved) this.#publish();
      } else if (station && !this.#unwatched.has(user) && this.#options.watch !== false) {
        this.#want(user, station, isMoved ? MOVE_WAIT_MS : 0);
      }
    }
  }

  /**
   * @param {string} user
   * @param {string} station
   * @param {number} wait milliseconds the server may offer it unasked
   */
  #want(user, station, wait) {
    const remote = this.#remotes.get(user) ?? new Remote(user);
    const isNew = !this.#remotes.has(user);
    this.#remotes.set(user, remote);
    if (remote.wanted === station) return;
    remote.wanted = station;
    remote.pause = WATCH_PAUSE_MS_MIN;
    clearTimeout(remote.timer);
    remote.timer = setTimeout(() => this.#ask(remote), wait);
    if (isNew) this.emit('remote', remote);
  }

  /** @param {Remote} remote */
  async #ask(remote) {
    const station = remote.wanted;
    if (!station || remote.has(station)) return;
    try {
      const ack = await this.#room.send({ type: 'Watch', station });
      if (remote.wanted === station && this.#remotes.get(remote.user) === remote) this.#take(remote.user, ack.station, ack.sdp);
    } catch (error) {
      if (remote.wanted !== station || this.#remotes.get(remote.user) !== remote) return;
      remote.timer = setTimeout(() => this.#ask(remote), /** @type {MobzError} */ (error).retryAfter ?? remote.pause);
      remote.pause = Math.min(remote.pause * 2, WATCH_PAUSE_MS_MAX);
    }
  }

  /**
   * Answers an offer of a station; what was received of its publisher before goes on until this one's
   * media come.
   * @param {string} user
   * @param {string} station
   * @param {string} sdp
   */
  async #take(user, station, sdp) {
    const remote = this.#remotes.get(user) ?? new Remote(user);
    this.#remotes.set(user, remote);
    clearTimeout(remote.timer);
    remote.wanted = station;
    remote.next?.close();
    const link = new Link(this.#room, this.#options.iceTransportPolicy);
    remote.next = link;
    link.on('state', () => this.#remoteChanged(remote, link));
    link.on('media', () => this.#shown(remote, link));
    try {
      const answer = await link.answer(station, sdp);
      await this.#room.send({ type: 'Answer', station, sdp: answer });
    } catch (error) {
      if (remote.next !== link) return;
      remote.next = undefined;
      link.close();
      remote.timer = setTimeout(() => this.#ask(remote), remote.pause);
      this.emit('error', error);
    }
  }

  /**
   * The new connection's first media: it takes the place of the old one, once there is a picture of it to show.
   * @param {Remote} remote
   * @param {Link} link
   */
  async #shown(remote, link) {
    const sends = this.#room.publishers.find((it) => it.user === remote.user)?.video;
    if (remote.next === link && remote.link && sends) await link.pictured(PICTURE_MS_MAX);
    if (remote.next !== link) return;
    const old = remote.link;
    if (old?.station && old.station !== link.station) {
      // Its munit would send both for some time yet. Where it has let go already, nobody need know.
      this.#room.send({ type: 'Unwatch', station: old.station }).catch(() => {});
    }
    old?.close();
    remote.link = link;
    remote.next = undefined;
    remote.layer = undefined;
    remote.stream = link.stream;
    this.emit('remote', remote);
  }

  /**
   * @param {Remote} remote
   * @param {Link} link
   */
  #remoteChanged(remote, link) {
    if (this.#ended || (link !== remote.link && link !== remote.next)) return;
    // Where nothing is received yet there is nothing to go on with.
    if (link === remote.next && link.state === 'connected' && !remote.link) this.#shown(remote, link);
    if (link.state === 'failed') {
      if (link === remote.next) remote.next = undefined;
      else remote.link = undefined;
      link.close();
      clearTimeout(remote.timer);
      remote.timer = setTimeout(() => this.#ask(remote), 0);
    }
    this.emit('remote', remote);
  }

  /**
   * @param {string} station
   * @param {string} user
   * @param {boolean} retry
   */
  #lost(station, user, retry) {
    if (user === this.#room.user) {
      if (this.station !== station) return;
      this.#dropOwn();
      this.#turn('waiting');
      if (retry) this.#publish();
      return;
    }
    const remote = this.#remotes.get(user);
    if (!remote || (remote.wanted !== station && remote.station !== station)) return;
    // The picture stands until the publisher is placed elsewhere.
    remote.link?.close();
    remote.next?.close();
    remote.link = undefined;
    remote.next = undefined;
    if (remote.wanted === station) remote.wanted = undefined;
    clearTimeout(remote.timer);
    this.emit('remote', remote);
  }

  /** @param {string} user */
  #forget(user) {
    const remote = this.#remotes.get(user);
    if (!remote) return;
    this.#remotes.delete(user);
    clearTimeout(remote.timer);
    remote.link?.close();
    remote.next?.close();
    this.emit('remoteEnded', user);
  }

  /** @param {{ resumed: boolean, missed: boolean }} how */
  #rejoined({ resumed, missed }) {
    if (resumed && !missed) {
      for (const link of this.#links()) link.mend(MEND_MS);
      return;
    }
    for (const user of [...this.#remotes.keys()]) this.#forget(user);
    this.#dropOwn();
    this.#turn('off');
    this.#roleChanged();
    for (const it of this.#room.publishers) if (it.sdp) this.#take(it.user, it.station ?? '', it.sdp);
    this.#publishersChanged([]);
  }

  get #ended() {
    return this.state === 'closed';
  }

  /** @param {import('../mobz.js').PublishState} state */
  #turn(state) {
    if (state === this.state || this.#ended) return;
    this.state = state;
    this.emit('state', state);
  }
}
