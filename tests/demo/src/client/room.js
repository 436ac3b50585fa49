import { Emitter } from './emitter.js';
import { MobzError } from './error.js';
import { Outbox } from './outbox.js';
import { Roster } from './roster.js';
import { Socket } from './socket.js';

/** @typedef {import('../mobz.js').ConnectOptions} ConnectOptions */

/** Relayed signals kept until somebody listens, as many as the server keeps; past it the oldest goes. */
const RELAYS_KEPT_MAX = 256;
/** Bytes of the largest message where the server names none. */
const MESSAGE_BYTES_MAX = 96_000;
/** Milliseconds before the second attempt to reconnect; doubled for each further one. The first is at once. */
const RECONNECT_MS_MIN = 250;
/** Milliseconds that no wait between two attempts exceeds, unless the server's `retryAfter` does. */
const RECONNECT_MS_MAX = 5_000;

/** The close codes of PROTOCOL.md §2 that a client decides by. */
const Close = { LEFT: 1000, REFUSED: 1008, TOO_LARGE: 1009, RESTART: 1012, REPLACED: 4000, TIMED_OUT: 4001 };
/** Refusals of a Join that trying again may cure. */
const PASSING = new Set(['rate_limited', 'internal', 'timeout', 'unreachable', 'no_capacity']);
/** Signals a peer sent, in p2p. */
const RELAYED = new Set(['Offer', 'Answer', 'iceCandidate']);

/**
 * Joins a room. Resolves once joined; rejects with a `MobzError` when the server refuses or
 * cannot be reached. From then on lost connections are taken up again until `leave`.
 * @param {ConnectOptions} options
 * @returns {Promise<import('../mobz.js').Room>}
 */
export async function connect(options) {
  const room = new Room(options);
  await room.join();
  return room;
}

/** One user's membership of one room; see `Room` in mobz.d.ts for the contract. */
export class Room extends Emitter {
  /** @type {import('../mobz.js').RoomState} */
  state = 'joining';
  /** @type {string} */
  id;
  /** @type {import('../mobz.js').Mode} */
  mode;
  /** @type {string} */
  user = '';
  /** @type {RTCIceServer[]} */
  iceServers = [];
  /** @type {string | undefined} */
  playbackUrl;
  /** @type {string | undefined} */
  resume;
  /** @type {{ publishers: number, viewers: number | null }} */
  limits = { publishers: 0, viewers: null };
  viewers = 0;
  /** @type {{ maxFrame: number, partTarget: number } | undefined} */
  ingest;
  /** Milliseconds the server's clock is ahead of this one, from the quickest heartbeat so far. */
  clockOffset = 0;
  /** @type {number | undefined} */
  roundTrip;

  /** @type {ConnectOptions} */
  #options;
  #roster = new Roster();
  #outbox = new Outbox((message) => this.#socket?.send(message));
  /** @type {Socket | undefined} */
  #socket;
  /** @type {any[]} */
  #relays = [];
  /** @type {((signal: any) => void) | undefined} */
  #relayListener;
  /** @type {any} */
  #kick;
  #attempts = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retryTimer;

  /** @param {ConnectOptions} options */
  constructor(options) {
    super();
    this.#options = options;
    this.id = options.room;
    this.mode = options.mode;
    this.resume = options.resume;
  }

  /** Everyone in the room, oneself included; in p2m the publisher and oneself. */
  get participants() {
    return [...this.#roster.participants.values()];
  }

  /** Everyone but oneself. */
  get others() {
    return this.participants.filter((it) => it.user !== this.user);
  }

  /** @returns {import('../mobz.js').Participant | undefined} */
  get self() {
    return this.#roster.participants.get(this.user);
  }

  get publishers() {
    return this.#roster.publishers;
  }

  get owner() {
    return this.#roster.owner;
  }

  get version() {
    return this.#roster.version;
  }

  /** Makes the first attempt; `connect` calls it. */
  async join() {
    try {
      await this.#attempt();
    } catch (error) {
      this.#end({ code: 0, reason: 'refused', error: /** @type {MobzError} */ (error) });
      throw error;
    }
    globalThis.addEventListener?.('online', this.#online);
  }

  /**
   * Sends a signal and resolves with what the server answers it: the ack, or the echo.
   * While the connection is lost it waits for the next one, in order.
   * @param {{ type: string, [field: string]: unknown }} signal
   * @returns {Promise<any>}
   */
  send(signal) {
    if (this.state === 'closed') return Promise.reject(closed());
    return this.#outbox.add(signal, this.state === 'joined');
  }

  /**
   * Sends a data signal in its binary form, in pieces where it is large; resolves with its DataAck.
   * @param {{ kind: string, [field: string]: unknown }} fields
   * @param {Uint8Array} media
   * @returns {Promise<any>}
   */
  sendData(fields, media) {
    if (this.state === 'closed') return Promise.reject(closed());
    const data = { media, messageMax: this.ingest?.maxFrame ?? MESSAGE_BYTES_MAX };
    return this.#outbox.add({ type: 'Data', ...fields }, this.state === 'joined', data);
  }

  /** Bytes on their way to the network that have not left this machine. */
  get buffered() {
    return this.#socket?.buffered ?? 0;
  }

  /**
   * Tells the others whether one's video and audio are on.
   * @param {{ video?: boolean, audio?: boolean }} flags
   */
  updateVideo(flags) {
    return this.send({ type: 'UpdateVideo', ...flags });
  }

  /**
   * Removes a participant from the room, as its owner or with the grant `kick`.
   * @param {string} user
   * @param {string} [reason]
   */
  kick(user, reason) {
    return this.send({ type: 'Kick', user, reason });
  }

  /** Asks for the whole room state; resolves once it is taken over. */
  sync() {
    return this.send({ type: 'Sync' });
  }

  /**
   * Hands the signals relayed from the peer to `listener`, in order, first those that came before
   * it listened. One listener at a time.
   * @param {(signal: any) => void} listener
   * @returns {() => void} ends it
   */
  onRelay(listener) {
    this.#relayListener = listener;
    for (const signal of this.#relays.splice(0)) listener(signal);
    return () => {
      if (this.#relayListener === listener) this.#relayListener = undefined;
    };
  }

  /** Leaves for good: the others hear of it at once. */
  leave() {
    if (this.state === 'closed') return;
    const socket = this.#socket;
    this.#end({ code: Close.LEFT, reason: 'left' });
    socket?.close(Close.LEFT);
  }

  async #attempt() {
    const { user, publish, WebSocket } = this.#options;
    const [url, token] = await Promise.all([ask(this.#options.url), ask(this.#options.token)]);
    if (this.#closed) throw closed();
    const join = {
      type: 'Join',
      room: this.id,
      mode: this.mode,
      token,
      // Without keys the server gave the id that was not asked for; coming back it is kept.
      user: this.user && !token ? { ...user, id: this.user } : user,
      publish,
      resume: this.resume,
    };
    const socket = new Socket(WebSocket);
    this.#socket = socket;
    let resumed = Boolean(join.resume);
    const ack = await socket.open(url ?? '', join).catch(async (error) => {
      if (error.code !== 'resume_failed') throw error;
      resumed = false;
      return socket.join({ ...join, resume: undefined });
    });
    if (this.#closed) {
      socket.close(Close.LEFT);
      throw closed();
    }
    // What follows the JoinAck is handled only after this, as the socket hands on nothing before `listen`.
    this.#accept(ack, resumed);
    socket.listen({
      signal: (signal) => this.#receive(signal),
      close: (code, reason) => this.#lost(code, reason),
      heartbeat: (roundTrip, offset) => this.#measured(roundTrip, offset),
    }, ack);
  }

  /**
   * @param {any} ack
   * @param {boolean} resumed
   */
  #accept(ack, resumed) {
    const again = this.state === 'reconnecting';
    const had = again && resumed;
    Object.assign(this, { user: ack.user, mode: ack.mode, resume: ack.resume, limits: ack.limits });
    this.iceServers = ack.iceServers ?? [];
    this.playbackUrl = ack.playbackUrl;
    this.ingest = ack.ingest;
    this.viewers = ack.viewers ?? this.viewers;
    this.#attempts = 0;
    this.#kick = undefined;
    const events = had ? this.#roster.replace(ack) : (this.#roster.start(ack), []);
    if (!had) {
      this.#relays = [];
      this.#outbox.reject(new MobzError('resume_failed', 'the room was joined afresh: what was under way is void'));
    }
    // Before anyone hears of it, so that what was waiting goes ahead of what they send.
    this.#outbox.resend();
    this.#turn('joined');
    if (again) this.emit('rejoined', { resumed, missed: Boolean(ack.missed) });
    this.#tell(events);
    if (ack.viewers !== undefined) this.emit('viewers', this.viewers);
  }

  /** @param {any} signal */
  #receive(signal) {
    this.emit('signal', signal);
    if (signal.type === 'RoomState') {
      this.#tell(this.#roster.replace(signal));
      this.#syncAtGap();
    } else if (Roster.concerns(signal)) {
      this.#tell(this.#roster.apply(signal));
      this.#syncAtGap();
    } else if (RELAYED.has(signal.type) && this.mode === 'p2p') {
      this.#relay(signal);
    } else if (signal.type === 'ViewerCount') {
      this.viewers = signal.viewers;
      this.emit('viewers', this.viewers);
    } else if (signal.type === 'Kick') {
      this.#kick = signal;
    }
    const answered = signal.re !== undefined && this.#outbox.answer(signal);
    if (signal.type === 'Error' && !answered) this.emit('error', MobzError.of(signal));
  }

  #syncAtGap() {
    if (this.#roster.syncing && !this.#outbox.has('Sync')) this.sync().catch(() => {});
  }

  /** @param {any} signal */
  #relay(signal) {
    if (this.#relayListener) {
      this.#relayListener(signal);
      return;
    }
    this.#relays.push(signal);
    if (this.#relays.length > RELAYS_KEPT_MAX) this.#relays.shift();
  }

  /** @param {import('./roster.js').RosterEvent[]} events */
  #tell(events) {
    for (const [name, first, ...rest] of events) {
      const ofSelf = name.startsWith('participant') && first.user === this.user;
      if (!ofSelf || name === 'participantUpdated') this.emit(name, first, ...rest);
    }
  }

  /**
   * @param {number} roundTrip
   * @param {number} offset
   */
  #measured(roundTrip, offset) {
    if (this.roundTrip === undefined || roundTrip <= this.roundTrip) this.clockOffset = offset;
    this.roundTrip = roundTrip;
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #lost(code, reason) {
    this.#socket = undefined;
    if (this.#kick || code === Close.LEFT || code === Close.REFUSED || code === Close.REPLACED) {
      const why = this.#kick?.reason ?? (code === Close.REPLACED ? 'replaced' : reason || (code === Close.REFUSED ? 'refused' : 'closed'));
      this.#end({ code, reason: why });
      return;
    }
    if (code === Close.TOO_LARGE) this.#outbox.reject(new MobzError('too_large', 'the message was too large: send less'));
    // The server has let go of this participant; its secret would only be refused.
    if (code === Close.TIMED_OUT) this.resume = undefined;
    this.#turn('reconnecting', { code, reason });
    this.#retry(code === Close.RESTART ? 0 : this.#pause());
  }

  /** @param {number} pause */
  #retry(pause) {
    this.#retryTimer = setTimeout(async () => {
      this.#retryTimer = undefined;
      this.#attempts += 1;
      try {
        await this.#attempt();
      } catch (cause) {
        const error = /** @type {MobzError} */ (cause);
        this.#socket = undefined;
        if (this.state === 'closed') return;
        if (PASSING.has(error.code)) this.#retry(Math.max(this.#pause(), error.retryAfter ?? 0));
        else this.#end({ code: 0, reason: 'refused', error });
      }
    }, pause);
  }

  get #closed() {
    return this.state === 'closed';
  }

  #pause() {
    if (this.#attempts === 0) return 0;
    const most = Math.min(RECONNECT_MS_MAX, RECONNECT_MS_MIN * 2 ** (this.#attempts - 1));
    // Spread out, or everyone a node served would come back in the same instant.
    return most * (0.5 + Math.random() / 2);
  }

  /** The network is back: a connection in doubt is asked now, a wait ends now. */
  #online = () => {
    if (this.state === 'joined') this.#socket?.probe();
    if (this.#retryTimer !== undefined) {
      clearTimeout(this.#retryTimer);
      this.#retry(0);
    }
  };

  /** @param {{ code: number, reason: string, error?: MobzError }} why */
  #end(why) {
    clearTimeout(this.#retryTimer);
    globalThis.removeEventListener?.('online', this.#online);
    this.#outbox.reject(why.error ?? closed());
    this.#turn('closed', why);
    this.emit('closed', why);
  }

  /**
   * @param {import('../mobz.js').RoomState} state
   * @param {unknown} [detail]
   */
  #turn(state, detail) {
    if (state === this.state) return;
    this.state = state;
    this.emit('state', state, detail);
  }
}

/**
 * @param {string | (() => string | Promise<string>) | undefined} value
 * @returns {Promise<string | undefined>}
 */
async function ask(value) {
  try {
    return typeof value === 'function' ? await value() : value;
  } catch (cause) {
    throw new MobzError('unreachable', 'the page could not get its address or token for signaling', { cause });
  }
}

function closed() {
  return new MobzError('closed', 'the room is closed: connect again');
}
