import { Emitter } from './emitter.js';
import { CallStats } from './stats.js';

/** Milliseconds between two looks for a first picture; a browser renews its figures no sooner. */
const LOOK_MS = 50;

/** @typedef {'audio' | 'video'} Kind */
/** @typedef {'new' | 'connecting' | 'connected' | 'interrupted' | 'failed' | 'closed'} LinkState */

/**
 * One peer connection to a station: either what is published or what is watched. Candidates are trickled
 * with the station they are for, in both directions; those from before it is known wait for it.
 *
 * Tells `state`, and `media` at the first media received.
 */
export class Link extends Emitter {
  /** @type {LinkState} */
  state = 'new';
  /** @type {string | undefined} */
  station;
  stream = new MediaStream();
  connection;

  /** @type {import('../mobz.js').Room} */
  #room;
  #stats = new CallStats();
  /** Own candidates from before the station is known. @type {any[]} */
  #found = [];
  /** The station's from before its description is. @type {any[]} */
  #heard = [];
  /** @type {Map<Kind, RTCRtpSender>} */
  #senders = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {import('../mobz.js').Room} room
   * @param {RTCIceTransportPolicy} [iceTransportPolicy]
   */
  constructor(room, iceTransportPolicy) {
    super();
    this.#room = room;
    this.connection = new RTCPeerConnection({ iceServers: room.iceServers, bundlePolicy: 'max-bundle', iceTransportPolicy });
    this.connection.addEventListener('icecandidate', ({ candidate }) => {
      if (candidate?.candidate === '') return;
      const found = {
        type: 'iceCandidate',
        candidate: candidate?.candidate ?? null,
        sdpMid: candidate?.sdpMid ?? null,
        sdpMLineIndex: candidate?.sdpMLineIndex ?? null,
      };
      if (this.station) this.#trickle(found);
      else this.#found.push(found);
    });
    this.connection.addEventListener('connectionstatechange', () => this.#changed());
    this.connection.addEventListener('track', ({ track }) => {
      this.stream.addTrack(track);
      // A remote track unmutes with its first packet (W3C WebRTC §5.3).
      if (track.muted) track.addEventListener('unmute', () => this.emit('media'), { once: true });
      else this.emit('media');
    });
  }

  /**
   * An offer to send both kinds, sent or not, so that tracks come and go without negotiation.
   * @param {Record<Kind, MediaStreamTrack | null>} tracks
   * @param {RTCRtpEncodingParameters[]} [layers] of the picture
   * @returns {Promise<string>}
   */
  async offer(tracks, layers) {
    const stream = new MediaStream();
    for (const kind of /** @type {Kind[]} */ (['audio', 'video'])) {
      const sendEncodings = kind === 'video' && layers ? layers : undefined;
      const init = { direction: /** @type {const} */ ('sendonly'), streams: [stream], sendEncodings };
      this.#senders.set(kind, this.connection.addTransceiver(tracks[kind] ?? kind, init).sender);
    }
    await this.connection.setLocalDescription();
    this.#turn('connecting');
    return this.connection.localDescription?.sdp ?? '';
  }

  /**
   * @param {string} station
   * @param {string} sdp
   */
  async answered(station, sdp) {
    this.station = station;
    await this.connection.setRemoteDescription({ type: 'answer', sdp });
    await this.#known(station);
  }

  /**
   * The answer to a station's offer.
   * @param {string} station
   * @param {string} sdp
   * @returns {Promise<string>}
   */
  async answer(station, sdp) {
    this.station = station;
    this.#turn('connecting');
    await this.connection.setRemoteDescription({ type: 'offer', sdp });
    await this.connection.setLocalDescription();
    await this.#known(station);
    return this.connection.localDescription?.sdp ?? '';
  }

  /**
   * @param {Kind} kind
   * @param {MediaStreamTrack | null} track
   */
  async send(kind, track) {
    await this.#senders.get(kind)?.replaceTrack(track);
  }

  /**
   * A candidate of the station's.
   * @param {{ candidate: string | null, sdpMid?: string, sdpMLineIndex?: number }} signal
   */
  hear({ candidate, sdpMid, sdpMLineIndex }) {
    const heard = candidate === null ? null : { candidate, sdpMid: sdpMid ?? null, sdpMLineIndex: sdpMLineIndex ?? null };
    if (this.connection.remoteDescription) this.#add(heard);
    else this.#heard.push(heard);
  }

  /**
   * Resolves once a picture has been decoded, or after so long without one.
   * @param {number} milliseconds
   */
  async pictured(milliseconds) {
    for (let waited = 0; waited < milliseconds && this.state !== 'closed'; waited += LOOK_MS) {
      const found = [...(await this.connection.getStats()).values()];
      if (found.some((it) => it.type === 'inbound-rtp' && it.kind === 'video' && it.framesDecoded > 0)) return;
      await new Promise((done) => setTimeout(done, LOOK_MS));
    }
  }

  async stats() {
    return this.#stats.read(await this.connection.getStats());
  }

  /**
   * Gives it up unless it has its way again in time.
   * @param {number} milliseconds
   */
  mend(milliseconds) {
    if (this.state !== 'interrupted') return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.state === 'interrupted' && this.#turn('failed'), milliseconds);
  }

  close() {
    clearTimeout(this.#timer);
    this.state = 'closed';
    this.connection.close();
  }

  /** @param {string} station */
  async #known(station) {
    this.station = station;
    for (const found of this.#found.splice(0)) this.#trickle(found);
    for (const heard of this.#heard.splice(0)) this.#add(heard);
  }

  /** @param {any} found */
  #trickle(found) {
    // One lost is one way fewer; the connection says itself when there is none.
    this.#room.send({ ...found, station: this.station }).catch(() => {});
  }

  /** @param {RTCIceCandidateInit | null} heard */
  #add(heard) {
    this.connection.addIceCandidate(heard ?? undefined).catch(() => {});
  }

  #changed() {
    switch (this.connection.connectionState) {
      case 'connected':
        clearTimeout(this.#timer);
        this.#turn('connected');
        break;
      case 'disconnected':
        this.#turn('interrupted');
        break;
      case 'failed':
        this.#turn('failed');
        break;
      default:
    }
  }

  /** @param {LinkState} state */
  #turn(state) {
    if (state === this.state || this.state === 'closed') return;
    this.state = state;
    this.emit('state', state);
  }
}
