/** Stand-ins for the browser's part of a call: peer connections that only negotiate, and a room of two to carry their signals. */
import { Emitter } from '../src/client/emitter.js';

let sessions = 0;

/** Follows the signaling state of WebRTC 1.0 §4.3, and connects when both descriptions are there. */
export class FakePeerConnection extends EventTarget {
  static made = [];
  signalingState = 'stable';
  connectionState = 'new';
  localDescription = null;
  remoteDescription = null;
  configurations = [];
  candidates = [];
  restarts = 0;
  framesDecoded = 0;
  /** How often an own Offer was given up for the peer's. */
  rollbacks = 0;
  session = String((sessions += 1));
  #transceivers = [];
  #needed = false;

  constructor(configuration) {
    super();
    this.configurations.push(configuration);
    FakePeerConnection.made.push(this);
  }

  getTransceivers() {
    return this.#transceivers;
  }

  addTransceiver(trackOrKind) {
    const kind = trackOrKind.kind ?? trackOrKind;
    const sender = { track: trackOrKind.kind ? trackOrKind : null, replaceTrack: async (track) => (sender.track = track) };
    const transceiver = { sender, receiver: { track: { kind } }, direction: 'sendrecv', currentDirection: null };
    this.#transceivers.push(transceiver);
    this.#need();
    return transceiver;
  }

  restartIce() {
    this.restarts += 1;
    this.#need();
  }

  setConfiguration(configuration) {
    this.configurations.push(configuration);
  }

  async setLocalDescription() {
    await this.#alive();
    const type = this.signalingState === 'have-remote-offer' ? 'answer' : 'offer';
    this.localDescription = { type, sdp: `v=0\r\no=- ${this.session} 2 IN IP4 0.0.0.0\r\n` };
    if (type === 'offer') this.#needed = false;
    this.#settle(type === 'offer' ? 'have-local-offer' : 'stable');
  }

  async setRemoteDescription({ type, sdp }) {
    await this.#alive();
    if (type === 'answer' && this.signalingState !== 'have-local-offer') throw new Error(`an answer in ${this.signalingState}`);
    if (type === 'offer' && this.signalingState === 'have-local-offer') {
      this.rollbacks += 1;
      this.#needed = true;
    }
    if (this.#transceivers.length === 0) {
      for (const kind of ['audio', 'video']) this.addTransceiver(kind);
      this.#needed = false;
    }
    this.remoteDescription = { type, sdp };
    this.#settle(type === 'offer' ? 'have-remote-offer' : 'stable');
  }

  async addIceCandidate(candidate) {
    this.candidates.push(candidate === undefined ? null : (candidate.candidate ?? 'neither a candidate nor their end'));
  }

  /** Finds a candidate, or the end of them. */
  find(candidate) {
    this.dispatchEvent(Object.assign(new Event('icecandidate'), { candidate: candidate === null ? null : { candidate, sdpMid: '0', sdpMLineIndex: 0 } }));
  }

  /** The first packet of a track arrives. */
  show(kind = 'video') {
    this.dispatchEvent(Object.assign(new Event('track'), { track: { kind, muted: false } }));
  }

  async getStats() {
    return new Map([['V', { type: 'inbound-rtp', kind: 'video', framesDecoded: this.framesDecoded }]]);
  }

  turn(connectionState) {
    this.connectionState = connectionState;
    this.dispatchEvent(new Event('connectionstatechange'));
  }

  close() {
    this.signalingState = 'closed';
    this.connectionState = 'closed';
  }

  async #alive() {
    await Promise.resolve();
    if (this.signalingState === 'closed') throw new Error('the peer connection is closed');
  }

  #settle(state) {
    this.signalingState = state;
    if (state !== 'stable') return;
    this.turn('connected');
    if (this.#needed) this.#need();
  }

  #need() {
    this.#needed = true;
    queueMicrotask(() => {
      if (this.#needed && this.signalingState === 'stable') this.dispatchEvent(new Event('negotiationneeded'));
    });
  }
}

/** One side's room, as far as a call uses it. What it sends waits in `sent` until the test delivers it. */
export class FakeRoom extends Emitter {
  state = 'joined';
  iceServers = [{ urls: 'turn:one' }];
  others = [];
  sent = [];
  #listener;

  send(signal) {
    this.sent.push(signal);
    return Promise.resolve({ type: 'Ack' });
  }

  onRelay(listener) {
    this.#listener = listener;
    return () => {};
  }

  hear(signal) {
    this.#listener(signal);
  }

  /** Somebody arrives: `earlier` says whether they were here first. */
  meet(user, earlier = false) {
    const peer = { user, name: user, video: true, audio: true, away: false, earlier };
    this.others = [peer];
    this.emit('participantJoined', peer);
    return peer;
  }

  part() {
    const [peer] = this.others;
    this.others = [];
    this.emit('participantLeft', peer, 'left');
  }
}

export class FakeMediaStream {
  tracks = [];
  addTrack(track) {
    this.tracks.push(track);
  }
}
