import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';
import { Emitter } from '../src/client/emitter.js';
import { MobzError } from '../src/client/error.js';
import { Group } from '../src/client/group.js';
import { FakeMediaStream, FakePeerConnection } from './peer.js';

globalThis.RTCPeerConnection = FakePeerConnection;
globalThis.MediaStream = FakeMediaStream;

/** Rounds of microtasks in which everything under way settles. */
const ROUNDS = 50;
const SDP = 'v=0\r\no=- station 1 IN IP4 0.0.0.0\r\n';

beforeEach(() => {
  FakePeerConnection.made = [];
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout'] });
});

async function settle() {
  for (let round = 0; round < ROUNDS; round += 1) await Promise.resolve();
}

/** A room whose server answers as the test says: by signal type, an answer or an error. */
class ScriptedRoom extends Emitter {
  state = 'joined';
  user = 'me';
  iceServers = [];
  publishers = [];
  self = { user: 'me', participantType: 'viewer', video: true, audio: true };
  sent = [];
  answers = {
    Offer: () => ({ type: 'Answer', station: 'm1-aaaaaaaaaaaa', sdp: SDP }),
    Watch: ({ station }) => ({ type: 'WatchAck', station, user: 'ann', sdp: SDP }),
  };

  async send(signal) {
    this.sent.push(signal);
    const answer = this.answers[signal.type]?.(signal) ?? { type: 'Ack' };
    if (answer instanceof Error) throw answer;
    return answer;
  }

  become(participantType) {
    this.self = { ...this.self, participantType };
    this.emit('participantUpdated', this.self);
  }

  publish(publishers, moved = []) {
    this.publishers = publishers;
    this.emit('publishers', publishers, { added: [], removed: [], moved });
  }

  hear(signal) {
    this.emit('signal', signal);
  }

  types(but = 'iceCandidate') {
    return this.sent.splice(0).map((it) => it.type).filter((it) => it !== but);
  }
}

const ann = (station) => ({ user: 'ann', station, video: true, audio: true });

test('a viewer watches every publisher that has a station, and answers its offer', async () => {
  const room = new ScriptedRoom();
  const group = new Group(room);
  room.publish([ann(undefined)]);
  await settle();
  assert.deepEqual(room.types(), []);

  room.publish([ann('m1-000000000001')]);
  mock.timers.tick(0);
  await settle();

  assert.deepEqual(room.sent.map(({ type, station }) => [type, station]), [['Watch', 'm1-000000000001'], ['Answer', 'm1-000000000001']]);
  assert.deepEqual(group.remotes.map((it) => [it.user, it.station, it.state]), [['ann', 'm1-000000000001', 'connected']]);
});

test('an offer that came with the JoinAck is answered without a Watch', async () => {
  const room = new ScriptedRoom();
  room.publishers = [{ ...ann('m1-000000000001'), sdp: SDP }];
  new Group(room);
  mock.timers.tick(0);
  await settle();
  mock.timers.tick(10_000);
  await settle();

  assert.deepEqual(room.types(), ['Answer']);
});

test('a publisher offers three sizes once it is one, and is off again as a viewer', async () => {
  const room = new ScriptedRoom();
  const group = new Group(room, { tracks: [{ kind: 'video' }] });
  await settle();
  assert.equal(group.state, 'off');

  room.become('publisher');
  await settle();
  assert.deepEqual(room.types(), ['Offer']);
  assert.deepEqual([group.state, group.station], ['live', 'm1-aaaaaaaaaaaa']);

  room.become('viewer');
  assert.deepEqual([group.state, group.connection], ['off', undefined]);
});

test('without a place it tries again when the server says', async () => {
  const room = new ScriptedRoom();
  room.answers.Offer = () => new MobzError('no_capacity', 'later', { retryAfter: 5_000 });
  room.self.participantType = 'publisher';
  const group = new Group(room);
  const errors = [];
  group.on('error', (error) => errors.push(error.code));
  await settle();
  assert.equal(group.state, 'waiting');
  assert.deepEqual(room.types(), ['Offer']);

  delete room.answers.Offer;
  room.answers.Offer = () => ({ type: 'Answer', station: 'm2-aaaaaaaaaaaa', sdp: SDP });
  mock.timers.tick(4_999);
  await settle();
  assert.deepEqual(room.types(), []);
  mock.timers.tick(1);
  await settle();

  assert.deepEqual([room.types(), group.state, errors], [['Offer'], 'live', ['no_capacity']]);
});

test('candidates go to the station they are for, those found early once it is known', async () => {
  const room = new ScriptedRoom();
  room.self.participantType = 'publisher';
  let answer;
  room.answers.Offer = () => new Promise((resolve) => (answer = resolve));
  new Group(room);
  await settle();
  const [own] = FakePeerConnection.made;
  own.find('candidate:1');
  own.find(null);
  room.hear({ type: 'iceCandidate', station: 'm1-other', candidate: 'candidate:9' });
  await settle();
  assert.deepEqual(room.types(undefined), ['Offer']);

  answer({ type: 'Answer', station: 'm1-aaaaaaaaaaaa', sdp: SDP });
  await settle();
  room.hear({ type: 'iceCandidate', station: 'm1-aaaaaaaaaaaa', candidate: 'candidate:2', sdpMid: '0' });
  await settle();

  assert.deepEqual(room.sent.map(({ candidate, station }) => [candidate, station]), [['candidate:1', 'm1-aaaaaaaaaaaa'], [null, 'm1-aaaaaaaaaaaa']]);
  assert.deepEqual(own.candidates, ['candidate:2']);
});

/** A publisher on m1, which is told to move to m2; both its connections, the first one's and, once answered, the second's. */
async function moved() {
  const room = new ScriptedRoom();
  room.self.participantType = 'publisher';
  const group = new Group(room);
  await settle();
  let answer;
  room.answers.Offer = () => new Promise((resolve) => (answer = resolve));
  room.publish([{ user: 'me', station: 'm2-bbbbbbbbbbbb' }], [{ user: 'me', from: 'm1-aaaaaaaaaaaa', to: 'm2-bbbbbbbbbbbb' }]);
  await settle();
  const [old] = FakePeerConnection.made;
  assert.deepEqual([old.connectionState, group.state], ['connected', 'live']);
  answer({ type: 'Answer', station: 'm2-bbbbbbbbbbbb', sdp: SDP });
  await settle();
  const [, fresh] = FakePeerConnection.made;
  assert.deepEqual([group.station, group.state, fresh.connectionState], ['m2-bbbbbbbbbbbb', 'live', 'connected']);
  return { room, group, old, fresh };
}

test('a publisher that moves sends on both connections until the old station’s munit ends its own', async () => {
  const { group, old, fresh } = await moved();
  assert.equal(old.connectionState, 'connected');
  const track = { kind: 'video' };
  await group.setTrack('video', track);
  for (const connection of [old, fresh]) assert.equal(connection.getTransceivers()[1].sender.track, track);

  old.turn('disconnected');
  assert.equal(old.connectionState, 'closed');
  assert.deepEqual([group.state, fresh.connectionState], ['live', 'connected']);
});

test('an old station whose end is not heard of is sent on no longer than its munit would have it', async () => {
  const { old, fresh } = await moved();
  mock.timers.tick(10_000);
  assert.equal(old.connectionState, 'connected');
  mock.timers.tick(5_000);
  assert.deepEqual([old.connectionState, fresh.connectionState], ['closed', 'connected']);
});

test('a broken connection is made anew on the same station, and not sent on', async () => {
  const room = new ScriptedRoom();
  room.self.participantType = 'publisher';
  const group = new Group(room);
  await settle();
  const [old] = FakePeerConnection.made;
  old.connectionState = 'failed';
  old.dispatchEvent(new Event('connectionstatechange'));
  await settle();
  assert.deepEqual([old.connectionState, group.state], ['closed', 'live']);
});

/** Somebody who watches ann on m1, and is offered the station on m2 that she moves to. */
async function offeredAnew() {
  const room = new ScriptedRoom();
  const group = new Group(room);
  room.publish([ann('m1-000000000001')]);
  mock.timers.tick(0);
  await settle();
  const [remote] = group.remotes;
  const before = remote.stream;
  room.publish([ann('m2-000000000002')], [{ user: 'ann', from: 'm1-000000000001', to: 'm2-000000000002' }]);
  room.hear({ type: 'WatchAck', station: 'm2-000000000002', user: 'ann', sdp: SDP, replaces: 'm1-000000000001' });
  await settle();
  const [old, fresh] = FakePeerConnection.made;
  assert.deepEqual([remote.stream, old.connectionState], [before, 'connected']);
  return { room, remote, before, old, fresh };
}

async function passes(milliseconds) {
  for (let passed = 0; passed < milliseconds; passed += 50) {
    await settle();
    mock.timers.tick(50);
  }
  await settle();
}

test('a watched station that moves is shown from the old connection until the new one has a picture', async () => {
  const { room, remote, before, old, fresh } = await offeredAnew();
  fresh.show('audio');
  fresh.show('video');
  await passes(1_000);
  assert.deepEqual([remote.stream, old.connectionState], [before, 'connected'], 'packets are no picture yet');

  fresh.framesDecoded = 1;
  await passes(50);
  assert.equal(old.connectionState, 'closed');
  assert.notEqual(remote.stream, before);
  await passes(10_000);
  assert.deepEqual(room.types(), ['Watch', 'Answer', 'Answer', 'Unwatch']);
});

test('a picture that does not come is not waited for long, and none of who sends none', async () => {
  const late = await offeredAnew();
  late.fresh.show();
  await passes(3_000);
  assert.equal(late.old.connectionState, 'closed');

  FakePeerConnection.made = [];
  const dark = await offeredAnew();
  dark.room.publish([{ ...ann('m2-000000000002'), video: false }]);
  dark.fresh.show('audio');
  await settle();
  assert.equal(dark.old.connectionState, 'closed');
});

test('a move that the server does not offer is asked for', async () => {
  const room = new ScriptedRoom();
  const group = new Group(room);
  room.publish([ann('m1-000000000001')]);
  mock.timers.tick(0);
  await settle();
  room.types();

  room.publish([ann('m2-000000000002')], [{ user: 'ann', from: 'm1-000000000001', to: 'm2-000000000002' }]);
  mock.timers.tick(4_000);
  await settle();

  assert.deepEqual(room.types(), ['Watch', 'Answer']);
  assert.equal(group.remotes.length, 1);
});

test('a lost station of one’s own is offered again, one of another waits for where it goes', async () => {
  const room = new ScriptedRoom();
  room.self.participantType = 'publisher';
  const group = new Group(room);
  room.publish([{ user: 'me', station: 'm1-aaaaaaaaaaaa' }, ann('m1-000000000001')]);
  mock.timers.tick(0);
  await settle();
  room.types();

  room.hear({ type: 'StationLost', station: 'm1-000000000001', user: 'ann', retry: true });
  room.hear({ type: 'StationLost', station: 'm1-aaaaaaaaaaaa', user: 'me', retry: true });
  await settle();
  assert.deepEqual([room.types(), group.remotes[0].state], [['Offer'], 'connecting']);
  room.publish([{ user: 'me', station: 'm2-aaaaaaaaaaaa' }, ann('m2-000000000002')]);
  mock.timers.tick(0);
  await settle();

  assert.deepEqual([room.types(), group.remotes[0].station], [['Watch', 'Answer'], 'm2-000000000002']);
});

test('a Watch that is refused is tried again with growing pauses', async () => {
  const room = new ScriptedRoom();
  room.answers.Watch = () => new MobzError('munit_unavailable', 'away');
  new Group(room);
  room.publish([ann('m1-000000000001')]);
  for (const pause of [0, 500, 1_000, 2_000]) {
    mock.timers.tick(pause);
    await settle();
    assert.deepEqual(room.types(), ['Watch']);
  }
});

test('one that stops publishing is forgotten, and one let go is not watched again unasked', async () => {
  const room = new ScriptedRoom();
  const group = new Group(room);
  const ended = [];
  group.on('remoteEnded', (user) => ended.push(user));
  room.publish([ann('m1-000000000001')]);
  mock.timers.tick(0);
  await settle();
  await group.unwatch('ann');
  assert.deepEqual([room.types(), ended, group.remotes.length], [['Watch', 'Answer', 'Unwatch'], ['ann'], 0]);

  room.publish([ann('m1-000000000001'), { user: 'bob' }]);
  mock.timers.tick(0);
  await settle();
  assert.deepEqual(room.types(), []);
  group.watch('ann');
  mock.timers.tick(0);
  await settle();
  assert.deepEqual(room.types(), ['Watch', 'Answer']);
  room.publish([]);
  assert.deepEqual(ended, ['ann', 'ann']);
});

test('after a resume broken connections are made anew, and all of them after a fresh join', async () => {
  const room = new ScriptedRoom();
  const group = new Group(room);
  room.publish([ann('m1-000000000001')]);
  mock.timers.tick(0);
  await settle();
  room.types();
  const [first] = FakePeerConnection.made;
  first.turn('disconnected');
  room.emit('rejoined', { resumed: true, missed: false });
  mock.timers.tick(3_000);
  await settle();
  mock.timers.tick(0);
  await settle();
  assert.deepEqual(room.types(), ['Watch', 'Answer']);

  room.emit('rejoined', { resumed: false, missed: false });
  mock.timers.tick(0);
  await settle();
  assert.deepEqual([room.types(), group.remotes[0].state], [['Watch', 'Answer'], 'connected']);
});

test('requests and their answers are told, and layers are asked for by user', async () => {
  const room = new ScriptedRoom();
  const group = new Group(room);
  room.publish([ann('m1-000000000001')]);
  mock.timers.tick(0);
  await settle();
  room.sent = [];
  const heard = [];
  group.on('request', (user) => heard.push(['request', user]));
  group.on('accepted', () => heard.push(['accepted']));
  group.on('rejected', (reason) => heard.push(['rejected', reason]));
  room.hear({ type: 'PublishRequest', user: 'bob' });
  room.hear({ type: 'PublishAccept', user: 'me' });
  room.hear({ type: 'PublishReject', user: 'me', reason: 'later' });
  await group.setLayer('ann', 0);
  room.hear({ type: 'SimulcastUpdate', station: 'm1-000000000001', substream: 0, temporal: 2 });

  assert.deepEqual(heard, [['request', 'bob'], ['accepted'], ['rejected', 'later']]);
  assert.deepEqual(room.sent, [{ type: 'SimulcastUpdate', station: 'm1-000000000001', substream: 0, temporal: undefined }]);
  assert.deepEqual(group.remotes[0].layer, { substream: 0, temporal: 2 });
  await assert.rejects(group.setLayer('nobody', 0), { code: 'no_such_station' });
});
