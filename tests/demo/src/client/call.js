import { Emitter } from './emitter.js';
import { MobzError } from './error.js';
import { CallStats } from './stats.js';

/** Milliseconds the second to arrive waits for the first one's Offer before it makes its own. */
const OFFER_WAIT_MS = 2_000;
/** Milliseconds between two ICE restarts. */
const RESTART_PAUSE_MS = 2_000;
/** Peer connections begun anew after a failed negotiation with one peer; then the call is `failed`. */
const FRESH_STARTS_MAX = 3;

/** @typedef {import('../mobz.js').Participant} Participant */
/** @typedef {'audio' | 'video'} Kind */

/**
 * A call between the two of a p2p room; see `Call` in mobz.d.ts for the contract.
 *
 * Who was in the room first makes the first Offer and wins when two Offers cross (impolite); the
 * other gives way (polite). An Offer from another SDP session than before means that the peer
 * began afresh, a reload for example, and is met with a fresh peer connection.
 */
export class Call extends Emitter {
  /** @type {import('../mobz.js').CallState} */
  state = 'waiting';
  /** @type {Participant | undefined} */
  peer;
  /** The peer's media; another object whenever the peer begins afresh. */
  remoteStream;

  /** @type {import('../mobz.js').Room} */
  #room;
  /** @type {import('../mobz.js').CallOptions} */
  #options;
  /** @type {RTCPeerConnection | undefined} */
  #connection;
  #stats = new CallStats();
  #polite = false;
  /** The session id of the peer's descriptions. @type {string | undefined} */
  #remoteSession;
  /** @type {Record<Kind, MediaStreamTrack | null>} */
  #tracks = { audio: null, video: null };
  #localStream;
  /** Everything that touches the peer connection's state is done one after the other. */
  #work = Promise.resolve();
  /** Rises whenever a peer comes or goes: what was under way for the one before is void. */
  #meeting = 0;
  #freshStarts = 0;
  #restartedAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {(() => void)[]} */
  #offs;

  /**
   * @param {import('../mobz.js').Room} room
   * @param {import('../mobz.js').CallOptions} [options]
   */
  constructor(room, options = {}) {
    super();
    this.#room = room;
    this.#options = options;
    this.#localStream = new MediaStream();
    this.remoteStream = new MediaStream();
    for (const track of options.tracks ?? []) this.#tracks[/** @type {Kind} */ (track.kind)] = track;
    const [peer] = room.others;
    if (peer) this.#meet(peer);
    this.#offs = [
      room.on('participantJoined', (it) => this.#meet(it)),
      room.on('participantLeft', (it) => it.user === this.peer?.user && this.#part()),
      room.on('participantBack', () => this.#restartIfBroken()),
      room.on('rejoined', (how) => this.#rejoined(how)),
      room.on('closed', () => this.close()),
      room.onRelay((signal) => this.#do(() => this.#receive(signal))),
    ];
  }

  /** The peer connection, for what this class has no word for; undefined while nobody is there. */
  get connection() {
    return this.#connection;
  }

  /**
   * Sends `track`, or nothing, in place of what was sent of that kind; needs no negotiation.
   * @param {Kind} kind
   * @param {MediaStreamTrack | null} track
   */
  setTrack(kind, track) {
    this.#tracks[kind] = track;
    return this.#do(async () => {
      await this.#transceiver(kind)?.sender.replaceTrack(track);
    });
  }

  /** What the connection carries now; undefined while there is none. */
  async stats() {
    return this.#connection && this.#stats.read(await this.#connection.getStats());
  }

  /** Ends the media; the room stays joined. */
  close() {
    for (const off of this.#offs.splice(0)) off();
    this.#drop();
    this.#turn('closed');
  }

  /** @param {Participant} peer */
  #meet(peer) {
    this.#meeting += 1;
    this.peer = peer;
    this.#polite = peer.earlier;
    this.#freshStarts = 0;
    this.#drop();
    this.#turn('connecting');
    this.emit('peer', peer);
    if (!this.#polite) {
      this.#do(async () => this.#begin());
      return;
    }
    // The first one may have been written by others, and expect the newcomer to offer.
    this.#timer = setTimeout(() => {
      this.#do(async () => {
        if (this.peer && !this.#connection) this.#begin();
      });
    }, OFFER_WAIT_MS);
  }

  #part() {
    this.#meeting += 1;
    this.peer = undefined;
    this.#drop();
    this.#turn('waiting');
    this.emit('peer', undefined);
  }

  /** @param {{ resumed: boolean, missed: boolean }} how */
  #rejoined({ resumed, missed }) {
    // TURN credentials are time-limited, and every JoinAck brings new ones.
    this.#connection?.setConfiguration(this.#configuration());
    if (!resumed) {
      const [peer] = this.#room.others;
      if (peer) this.#meet(peer);
      else this.#part();
    } else if (missed) {
      this.#restart();
    } else {
      this.#restartIfBroken();
    }
  }

  #configuration() {
    const { iceTransportPolicy } = this.#options;
    return { iceServers: this.#room.iceServers, bundlePolicy: /** @type {const} */ ('max-bundle'), iceTransportPolicy };
  }

  /** A fresh peer connection that offers both kinds both ways, sent or not, so that tracks come and go without negotiation. */
  #begin() {
    const connection = this.#open();
    for (const kind of /** @type {Kind[]} */ (['audio', 'video'])) {
      const init = { direction: /** @type {const} */ ('sendrecv'), streams: [this.#localStream] };
      connection.addTransceiver(this.#tracks[kind] ?? kind, init);
    }
  }

  #open() {
    this.#drop();
    const connection = new RTCPeerConnection(this.#configuration());
    this.#connection = connection;
    this.#stats = new CallStats();
    this.remoteStream = new MediaStream();
    connection.addEventListener('negotiationneeded', () => this.#do(() => this.#offer(connection)));
    connection.addEventListener('icecandidate', ({ candidate }) => {
      if (candidate?.candidate === '') return;
      this.#relay({
        type: 'iceCandidate',
        candidate: candidate?.candidate ?? null,
        sdpMid: candidate?.sdpMid ?? null,
        sdpMLineIndex: candidate?.sdpMLineIndex ?? null,
      });
    });
    connection.addEventListener('track', ({ track }) => this.remoteStream.addTrack(track));
    connection.addEventListener('connectionstatechange', () => this.#changed(connection));
    this.emit('remoteStream', this.remoteStream);
    return connection;
  }

  #drop() {
    clearTimeout(this.#timer);
    this.#connection?.close();
    this.#connection = undefined;
    this.#remoteSession = undefined;
  }

  /** @param {RTCPeerConnection} connection */
  #changed(connection) {
    if (connection !== this.#connection) return;
    switch (connection.connectionState) {
      case 'connected':
        this.#freshStarts = 0;
        this.#turn('connected');
        break;
      case 'disconnected':
        this.#turn('interrupted');
        break;
      case 'failed':
        this.#turn('interrupted');
        this.#restartIfBroken();
        break;
    }
  }

  #restartIfBroken() {
    const state = this.#connection?.connectionState;
    if (state === 'failed' || state === 'disconnected') this.#restart();
  }

  #restart() {
    clearTimeout(this.#timer);
    const pause = Math.max(0, this.#restartedAt + RESTART_PAUSE_MS - Date.now());
    this.#timer = setTimeout(() => {
      // Away or not joined, it is told when that ends, and tries then.
      if (this.#room.state !== 'joined' || this.peer?.away || !this.#connection) return;
      this.#restartedAt = Date.now();
      this.#connection.restartIce();
    }, pause);
  }

  /** @param {RTCPeerConnection} connection */
  async #offer(connection) {
    // While another negotiation is under way the event comes again at its end.
    if (connection !== this.#connection || connection.signalingState !== 'stable') return;
    await connection.setLocalDescription();
    this.#relay({ type: 'Offer', sdp: connection.localDescription?.sdp });
  }

  /** @param {any} signal */
  async #receive(signal) {
    switch (signal.type) {
      case 'Offer':
        return this.#receiveOffer(signal.sdp);
      case 'Answer':
        return this.#receiveAnswer(signal.sdp);
      case 'iceCandidate':
        return this.#receiveCandidate(signal);
    }
  }

  /** @param {string} sdp */
  async #receiveOffer(sdp) {
    const session = sessionOf(sdp);
    let connection = this.#connection;
    const afresh = this.#remoteSession !== undefined && this.#remoteSession !== session;
    if (connection && !afresh && connection.signalingState !== 'stable') {
      if (!this.#polite) return;
      // Crossed at the very beginning: rolling back would leave transceivers that match none of the Offer's.
      if (this.#remoteSession === undefined) connection = undefined;
    }
    if (!connection || afresh) connection = this.#open();
    await connection.setRemoteDescription({ type: 'offer', sdp });
    this.#remoteSession = session;
    for (const kind of /** @type {Kind[]} */ (['audio', 'video'])) {
      const transceiver = this.#transceiver(kind);
      if (!transceiver) continue;
      transceiver.direction = 'sendrecv';
      transceiver.sender.setStreams?.(this.#localStream);
      if (transceiver.sender.track !== this.#tracks[kind]) await transceiver.sender.replaceTrack(this.#tracks[kind]);
    }
    await connection.setLocalDescription();
    this.#relay({ type: 'Answer', sdp: connection.localDescription?.sdp });
  }

  /** @param {string} sdp */
  async #receiveAnswer(sdp) {
    const connection = this.#connection;
    if (connection?.signalingState !== 'have-local-offer') return;
    const session = sessionOf(sdp);
    if (this.#remoteSession !== undefined && this.#remoteSession !== session) {
      // The peer began afresh and answers an Offer that was meant for the connection it had.
      this.#begin();
      return;
    }
    await connection.setRemoteDescription({ type: 'answer', sdp });
    this.#remoteSession = session;
  }

  /** @param {any} signal */
  async #receiveCandidate({ candidate, sdpMid, sdpMLineIndex }) {
    if (!this.#connection?.remoteDescription) return;
    // Of an Offer that was ignored, or of a round before a restart, a candidate fits nothing and is of no use.
    await this.#connection.addIceCandidate(candidate === null ? undefined : { candidate, sdpMid, sdpMLineIndex }).catch(() => {});
  }

  /** @param {Kind} kind */
  #transceiver(kind) {
    return this.#connection?.getTransceivers().find((it) => it.receiver.track.kind === kind && it.currentDirection !== 'stopped');
  }

  /** @param {any} signal */
  #relay(signal) {
    this.#room.send(signal).catch((error) => {
      // The peer has just gone: the room says so in its own signal.
      if (error.code !== 'no_such_user' && error.code !== 'closed' && error.code !== 'resume_failed') this.emit('error', error);
    });
  }

  /**
   * @param {() => Promise<void>} task
   * @returns {Promise<void>}
   */
  #do(task) {
    this.#work = this.#work.then(async () => {
      const meeting = this.#meeting;
      if (this.state === 'closed') return;
      await task().catch((cause) => meeting === this.#meeting && this.#failed(cause));
    });
    return this.#work;
  }

  /** @param {unknown} cause */
  #failed(cause) {
    if (this.state === 'closed') return;
    this.#freshStarts += 1;
    const error = new MobzError('media_error', `the connection to the peer could not be negotiated: ${cause}`, { cause });
    this.emit('error', error);
    if (this.#freshStarts > FRESH_STARTS_MAX) {
      this.#drop();
      this.#turn('failed');
    } else if (this.peer) {
      this.#begin();
    }
  }

  /** @param {import('../mobz.js').CallState} state */
  #turn(state) {
    if (state === this.state || this.state === 'closed') return;
    this.state = state;
    this.emit('state', state);
  }
}

/**
 * The session id of a description's origin line, the same for all of one peer connection (RFC 8866 §5.2).
 * @param {string} sdp
 */
function sessionOf(sdp) {
  return /^o=\S+ (\S+)/m.exec(sdp)?.[1];
}
