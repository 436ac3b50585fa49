import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';
import { Call } from '../src/client/call.js';
import { FakeMediaStream, FakePeerConnection, FakeRoom } from './peer.js';

globalThis.RTCPeerConnection = FakePeerConnection;
globalThis.MediaStream = FakeMediaStream;

/** Rounds of microtasks in which everything under way settles. */
const ROUNDS = 50;

beforeEach(() => {
  FakePeerConnection.made = [];
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
});

async function settle() {
  for (let round = 0; round < ROUNDS; round += 1) await Promise.resolve();
}

/** Delivers what either has sent, until both are silent. */
async function exchange(one, other) {
  await settle();
  while (one.sent.length + other.sent.length > 0) {
    for (const signal of one.sent.splice(0)) other.hear(signal);
    for (const signal of other.sent.splice(0)) one.hear(signal);
    await settle();
  }
}

/** A call of two that is connected: ann came first. */
async function connected({ tracks = [] } = {}) {
  const rooms = { ann: new FakeRoom(), bob: new FakeRoom() };
  const ann = new Call(rooms.ann);
  rooms.bob.others = [{ user: 'ann', earlier: true, away: false }];
  const bob = new Call(rooms.bob, { tracks });
  rooms.ann.meet('bob');
  await exchange(rooms.ann, rooms.bob);
  return { ann, bob, rooms };
}

const types = (room) => room.sent.map((it) => it.type);

test('who came first offers, the other answers', async () => {
  const rooms = { ann: new FakeRoom(), bob: new FakeRoom() };
  const ann = new Call(rooms.ann);
  assert.equal(ann.state, 'waiting');
  rooms.bob.others = [{ user: 'ann', earlier: true }];
  const bob = new Call(rooms.bob);
  rooms.ann.meet('bob');
  await settle();

  assert.deepEqual([types(rooms.ann), types(rooms.bob)], [['Offer'], []]);
  rooms.bob.hear(rooms.ann.sent.pop());
  await settle();
  assert.deepEqual(types(rooms.bob), ['Answer']);
  await exchange(rooms.ann, rooms.bob);
  assert.deepEqual([ann.state, bob.state], ['connected', 'connected']);
  assert.equal(FakePeerConnection.made.length, 2);
});

test('the second offers when the first does not', async () => {
  const room = new FakeRoom();
  room.others = [{ user: 'ann', earlier: true }];
  const call = new Call(room);
  await settle();
  assert.deepEqual(types(room), []);

  mock.timers.tick(2_000);
  await settle();

  assert.deepEqual(types(room), ['Offer']);
  assert.equal(call.state, 'connecting');
});

test('when first Offers cross, the one of who came first is answered, with one set of transceivers', async () => {
  const rooms = { ann: new FakeRoom(), bob: new FakeRoom() };
  const ann = new Call(rooms.ann);
  rooms.bob.others = [{ user: 'ann', earlier: true }];
  const bob = new Call(rooms.bob);
  mock.timers.tick(2_000);
  rooms.ann.meet('bob');
  await settle();
  assert.deepEqual([types(rooms.ann), types(rooms.bob)], [['Offer'], ['Offer']]);

  await exchange(rooms.ann, rooms.bob);

  assert.deepEqual([ann.state, bob.state], ['connected', 'connected']);
  assert.equal(bob.connection.getTransceivers().length, 2);
  assert.equal(ann.connection.remoteDescription.type, 'answer');
});

test('when later Offers cross, the second gives way and its own follows', async () => {
  const { ann, bob, rooms } = await connected();
  ann.connection.restartIce();
  bob.connection.restartIce();
  await settle();
  assert.deepEqual([types(rooms.ann), types(rooms.bob)], [['Offer'], ['Offer']]);

  await exchange(rooms.ann, rooms.bob);

  assert.equal(bob.connection.rollbacks, 1);
  assert.equal(ann.connection.rollbacks, 0);
  assert.deepEqual([ann.connection.signalingState, bob.connection.signalingState], ['stable', 'stable']);
  assert.equal(FakePeerConnection.made.length, 2);
});

test('an answered call sends the tracks it was given', async () => {
  const audio = { kind: 'audio' };
  const video = { kind: 'video' };
  const { bob } = await connected({ tracks: [audio, video] });

  assert.deepEqual(bob.connection.getTransceivers().map((it) => it.sender.track), [audio, video]);
});

test('a track set later takes the place of what was sent, without negotiation', async () => {
  const { bob, rooms } = await connected();
  const video = { kind: 'video' };
  await bob.setTrack('video', video);

  assert.equal(bob.connection.getTransceivers()[1].sender.track, video);
  assert.deepEqual(types(rooms.bob), []);
});

test('candidates are trickled, and their end is told', async () => {
  const { ann, bob, rooms } = await connected();
  ann.connection.find('candidate:1');
  ann.connection.find('');
  ann.connection.find(null);

  assert.deepEqual(rooms.ann.sent.map((it) => it.candidate), ['candidate:1', null]);
  await exchange(rooms.ann, rooms.bob);
  assert.deepEqual(bob.connection.candidates, ['candidate:1', null]);
});

test('a peer that comes anew is met with a fresh connection', async () => {
  const { ann, rooms } = await connected();
  const old = ann.connection;
  rooms.ann.part();
  assert.equal(ann.state, 'waiting');
  assert.equal(old.signalingState, 'closed');
  rooms.ann.meet('bob');
  const again = new FakeRoom();
  again.others = [{ user: 'ann', earlier: true }];
  const bob = new Call(again);
  await exchange(rooms.ann, again);

  assert.notEqual(ann.connection, old);
  assert.deepEqual([ann.state, bob.state], ['connected', 'connected']);
});

test('an Offer of another session is met with a fresh connection, even when nobody told of it', async () => {
  const { ann, rooms } = await connected();
  const old = ann.connection;
  rooms.ann.hear({ type: 'Offer', sdp: 'v=0\r\no=- another 2 IN IP4 0.0.0.0\r\n' });
  await settle();

  assert.notEqual(ann.connection, old);
  assert.deepEqual(types(rooms.ann), ['Answer']);
});

test('an Answer of another session begins anew', async () => {
  const { ann, rooms } = await connected();
  const old = ann.connection;
  old.restartIce();
  await settle();
  rooms.ann.sent = [];
  rooms.ann.hear({ type: 'Answer', sdp: 'v=0\r\no=- another 2 IN IP4 0.0.0.0\r\n' });
  await settle();

  assert.notEqual(ann.connection, old);
  assert.deepEqual(types(rooms.ann), ['Offer']);
});

test('the same Offer twice is answered twice, the same Answer twice is taken once', async () => {
  const rooms = { ann: new FakeRoom(), bob: new FakeRoom() };
  const ann = new Call(rooms.ann);
  rooms.bob.others = [{ user: 'ann', earlier: true }];
  const bob = new Call(rooms.bob);
  rooms.ann.meet('bob');
  await settle();
  const offer = rooms.ann.sent.pop();
  rooms.bob.hear(offer);
  rooms.bob.hear(offer);
  await settle();
  assert.deepEqual(types(rooms.bob), ['Answer', 'Answer']);

  const errors = [];
  ann.on('error', (error) => errors.push(error));
  await exchange(rooms.ann, rooms.bob);

  assert.deepEqual(errors, []);
  assert.deepEqual([ann.state, bob.state], ['connected', 'connected']);
  assert.equal(FakePeerConnection.made.length, 2);
});

test('a failed connection restarts ICE at once, and again only after a pause', async () => {
  const { ann } = await connected();
  mock.timers.tick(10_000);
  ann.connection.turn('failed');
  mock.timers.tick(0);
  assert.equal(ann.state, 'interrupted');
  assert.equal(ann.connection.restarts, 1);

  ann.connection.turn('failed');
  mock.timers.tick(1_999);
  assert.equal(ann.connection.restarts, 1);
  mock.timers.tick(1);
  assert.equal(ann.connection.restarts, 2);
});

test('while the room reconnects nothing is restarted; once resumed, what is broken is, with the new servers', async () => {
  const { ann, rooms } = await connected();
  mock.timers.tick(10_000);
  rooms.ann.state = 'reconnecting';
  ann.connection.turn('failed');
  mock.timers.tick(10_000);
  assert.equal(ann.connection.restarts, 0);

  Object.assign(rooms.ann, { state: 'joined', iceServers: [{ urls: 'turn:two' }] });
  rooms.ann.emit('rejoined', { resumed: true, missed: false });
  mock.timers.tick(0);

  assert.equal(ann.connection.restarts, 1);
  assert.deepEqual(ann.connection.configurations.at(-1).iceServers, [{ urls: 'turn:two' }]);
});

test('a resume leaves a working connection alone, but for signals missed', async () => {
  const { ann, rooms } = await connected();
  mock.timers.tick(10_000);
  rooms.ann.emit('rejoined', { resumed: true, missed: false });
  mock.timers.tick(10_000);
  assert.equal(ann.connection.restarts, 0);

  rooms.ann.emit('rejoined', { resumed: true, missed: true });
  mock.timers.tick(0);
  assert.equal(ann.connection.restarts, 1);
});

test('joined afresh, the call begins afresh with who is there', async () => {
  const { ann, rooms } = await connected();
  const old = ann.connection;
  rooms.ann.others = [{ user: 'bob', earlier: true, away: false }];
  rooms.ann.emit('rejoined', { resumed: false, missed: false });
  assert.equal(old.signalingState, 'closed');
  assert.equal(ann.state, 'connecting');
  rooms.ann.others = [];
  rooms.ann.emit('rejoined', { resumed: false, missed: false });
  assert.equal(ann.state, 'waiting');
});

test('a negotiation that keeps failing ends as failed, and a new peer is tried again', async () => {
  const room = new FakeRoom();
  const call = new Call(room);
  const errors = [];
  call.on('error', (error) => errors.push(error.code));
  const works = FakePeerConnection.prototype.setLocalDescription;
  FakePeerConnection.prototype.setLocalDescription = async () => {
    throw new Error('no codec');
  };
  room.meet('bob');
  await settle();
  await settle();
  FakePeerConnection.prototype.setLocalDescription = works;

  assert.equal(call.state, 'failed');
  assert.deepEqual(errors, Array(4).fill('media_error'));
  room.part();
  room.meet('cleo');
  await settle();
  assert.deepEqual(types(room), ['Offer']);
});

test('what fails for a peer that has gone is nothing to the next', async () => {
  const { ann, rooms } = await connected();
  const errors = [];
  ann.on('error', (error) => errors.push(error));
  rooms.ann.hear({ type: 'Offer', sdp: 'v=0\r\no=- another 2 IN IP4 0.0.0.0\r\n' });
  while (ann.connection.remoteDescription !== null) await Promise.resolve();
  rooms.ann.part();
  rooms.ann.meet('cleo');
  await settle();

  assert.deepEqual(errors, []);
  assert.deepEqual(types(rooms.ann), ['Offer']);
});

test('close ends the media and hears no more', async () => {
  const { ann, rooms } = await connected();
  const { connection } = ann;
  ann.close();
  rooms.ann.hear({ type: 'Offer', sdp: 'v=0\r\no=- another 2 IN IP4 0.0.0.0\r\n' });
  await settle();

  assert.equal(ann.state, 'closed');
  assert.equal(connection.signalingState, 'closed');
  assert.deepEqual(types(rooms.ann), []);
});
