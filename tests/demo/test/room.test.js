import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { WebSocket } from 'ws';
import { Roster } from '../src/client/roster.js';
import { connect } from '../src/client/room.js';
import { ScriptedServer, participant } from './server.js';

/** @type {ScriptedServer} */
let server;
/** @type {any[]} */
let rooms;

beforeEach(async () => {
  server = await ScriptedServer.start();
  rooms = [];
});

afterEach(async () => {
  for (const room of rooms) room.leave();
  await server.stop();
});

/** A room joined through the server's next connection. */
async function join({ options = {}, ack = {} } = {}) {
  const [room, { connection, join }] = await Promise.all([
    connect({ url: server.url, room: 'garden', mode: 'p2p', user: { name: 'Ann' }, WebSocket, ...options }),
    server.joined(ack),
  ]);
  rooms.push(room);
  return { room, connection, join };
}

/** The arguments of the next `event`. */
function next(room, event) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${event} in 5 s`)), 5_000);
    room.once(event, (...args) => {
      clearTimeout(timer);
      resolve(args);
    });
  });
}

test('join tells the room what the JoinAck says', async () => {
  const { room, join: sent } = await join({
    ack: { participants: [participant('bob'), participant('ann')], owner: 'bob', version: 7, viewers: 3 },
  });

  assert.deepEqual({ room: sent.room, mode: sent.mode, user: sent.user }, { room: 'garden', mode: 'p2p', user: { name: 'Ann' } });
  assert.equal(room.state, 'joined');
  assert.equal(room.user, 'ann');
  assert.equal(room.owner, 'bob');
  assert.equal(room.version, 7);
  assert.equal(room.viewers, 3);
  assert.deepEqual(room.others.map((it) => [it.user, it.earlier]), [['bob', true]]);
});

test('a refused join rejects with the code and message of the server', async () => {
  const refused = connect({ url: server.url, room: 'garden', mode: 'p2p', WebSocket });
  const connection = await server.connection();
  const sent = await connection.next('Join');
  connection.send({ type: 'Error', re: sent.id, code: 'room_full', message: 'the room has two: choose another' });

  await assert.rejects(refused, { name: 'MobzError', code: 'room_full', message: 'the room has two: choose another' });
});

test('a server that is not there rejects as unreachable', async () => {
  const url = server.url;
  await server.stop();

  await assert.rejects(connect({ url, room: 'garden', mode: 'p2p', WebSocket }), { code: 'unreachable' });
  server = await ScriptedServer.start();
});

test('a signal resolves with its answer and rejects with its error', async () => {
  const { room, connection } = await join();

  const updated = room.updateVideo({ video: false });
  const kicked = room.kick('bob', 'rude');
  const update = await connection.next('UpdateVideo');
  const kick = await connection.next('Kick');
  connection.send(
    { type: 'Error', re: kick.id, code: 'forbidden', message: 'only the owner may kick', retryAfter: 5 },
    { type: 'UpdateVideo', re: update.id, from: 'ann', video: false, version: 2 },
  );

  assert.equal((await updated).video, false);
  await assert.rejects(kicked, { code: 'forbidden', retryAfter: 5 });
  assert.equal(room.self.video, false);
});

test('an error that answers nothing is an event', async () => {
  const { room, connection } = await join();
  const error = next(room, 'error');

  connection.send({ type: 'Error', code: 'rate_limited', message: 'send less', retryAfter: 100 });

  assert.equal((await error)[0].code, 'rate_limited');
});

test('heartbeats go out at the interval of the JoinAck', async () => {
  const { room, connection } = await join({ ack: { heartbeatInterval: 30 } });

  await new Promise((resolve) => setTimeout(resolve, 400));

  const beats = connection.received.filter((it) => it.type === 'Heartbeat').length;
  assert.ok(beats >= 4, `${beats} heartbeats`);
  assert.ok(Math.abs(room.clockOffset) < 1_000, `offset ${room.clockOffset}`);
});

test('a connection that answers no heartbeat is given up and resumed', async () => {
  const { room, connection } = await join({ ack: { heartbeatInterval: 50 } });
  connection.answersHeartbeats = false;
  // Five seconds of silence, the client's own limit, come first.
  const state = await new Promise((resolve) => room.once('state', resolve));

  const { join: again } = await server.joined({ resume: 'secret-2' });
  assert.equal(state, 'reconnecting');
  assert.equal(again.resume, 'secret-1');
  assert.notEqual(await connection.closed, 1000);
});

test('a connection that answers heartbeats is not given up', async () => {
  const { room, connection } = await join({ ack: { heartbeatInterval: 50 } });
  const states = [];
  room.on('state', (state) => states.push(state));
  // Past the five seconds of silence that the client takes for a dead connection.
  await new Promise((resolve) => setTimeout(resolve, 5_500));

  assert.deepEqual(states, []);
  assert.ok(connection.received.length > 50);
});

test('a cut connection is resumed with the latest secret', async () => {
  const { room, connection } = await join();
  let back = next(room, 'rejoined');
  connection.cut();
  const second = await server.joined({ resume: 'secret-2', version: 1 });
  assert.deepEqual(await back, [{ resumed: true, missed: false }]);

  back = next(room, 'rejoined');
  second.connection.cut();
  const third = await server.joined({ resume: 'secret-3', missed: true });

  assert.equal(second.join.resume, 'secret-1');
  assert.equal(third.join.resume, 'secret-2');
  assert.deepEqual(await back, [{ resumed: true, missed: true }]);
  assert.equal(room.resume, 'secret-3');
});

test('a resume that is too late joins afresh on the same connection, as the same user', async () => {
  const { room, connection } = await join({ ack: { participants: [participant('ann'), participant('bob')] } });
  const back = next(room, 'rejoined');
  connection.cut();
  const second = await server.connection();
  const resume = await second.next('Join');
  second.send({ type: 'Error', re: resume.id, code: 'resume_failed', message: 'join without resume' });
  const fresh = await second.next('Join');
  second.acknowledge(fresh, { resume: 'secret-2', version: 9 });

  assert.deepEqual(await back, [{ resumed: false, missed: false }]);
  assert.equal(fresh.resume, undefined);
  assert.equal(fresh.user.id, 'ann');
  assert.deepEqual(room.others, []);
  assert.equal(room.version, 9);
});

test('after a resume the changes meanwhile are told as events', async () => {
  const { room, connection } = await join({ ack: { participants: [participant('ann'), participant('bob')] } });
  const events = [];
  room.on('participantJoined', (it) => events.push(['joined', it.user, it.earlier]));
  room.on('participantLeft', (it) => events.push(['left', it.user]));
  connection.cut();
  const back = next(room, 'rejoined');
  await server.joined({ version: 5, participants: [participant('ann'), participant('cleo')] });
  await back;

  assert.deepEqual(events, [['left', 'bob'], ['joined', 'cleo', false]]);
});

test('close code 1012 reconnects, with the secret', async () => {
  const { connection } = await join();
  connection.close(1012);

  assert.equal((await server.joined()).join.resume, 'secret-1');
});

test('close code 1009 refuses what was sent as too large, and resumes', async () => {
  const { room, connection } = await join();
  const offer = room.send({ type: 'Offer', sdp: 'v=0' });
  await connection.next('Offer');
  connection.close(1009);

  await assert.rejects(offer, { code: 'too_large' });
  const { connection: second, join: again } = await server.joined();
  assert.equal(again.resume, 'secret-1');
  assert.equal(second.received.filter((it) => it.type === 'Offer').length, 0);
});

test('close code 4001 joins afresh, without the secret', async () => {
  const { room, connection } = await join();
  const back = next(room, 'rejoined');
  connection.close(4001);

  assert.equal((await server.joined()).join.resume, undefined);
  assert.equal((await back)[0].resumed, false);
});

for (const [code, kick, reason] of [
  [1000, undefined, 'closed'],
  [1008, undefined, 'refused'],
  [1008, 'rude', 'rude'],
  [4000, undefined, 'replaced'],
  [4000, 'replaced', 'replaced'],
]) {
  test(`close code ${code}${kick ? ` after a kick for ${kick}` : ''} ends the room`, async () => {
    const { room, connection } = await join();
    const waiting = room.sync();
    const closed = next(room, 'closed');
    await connection.next('Sync');
    if (kick) connection.send({ type: 'Kick', reason: kick });
    connection.close(code);

    assert.deepEqual(await closed, [{ code, reason }]);
    await assert.rejects(waiting, { code: 'closed' });
    await assert.rejects(room.sync(), { code: 'closed' });
    assert.equal(room.state, 'closed');
  });
}

test('a kick ends the room, however the connection ends then', async () => {
  const { room, connection } = await join();
  const closed = next(room, 'closed');
  const heard = new Promise((resolve) => room.on('signal', resolve));
  connection.send({ type: 'Kick', reason: 'closed' });
  await heard;
  connection.cut();

  assert.equal((await closed)[0].reason, 'closed');
});

test('the server may say when to try again', async () => {
  const { connection } = await join();
  connection.cut();
  const second = await server.connection();
  const sent = await second.next('Join');
  const refusedAt = performance.now();
  second.send({ type: 'Error', re: sent.id, code: 'rate_limited', message: 'later', retryAfter: 1_000 });
  second.close(1011);
  await server.joined();

  assert.ok(performance.now() - refusedAt >= 950, 'no earlier than it said');
});

test('a refusal on the way back ends the room with that error', async () => {
  const { room, connection } = await join();
  const closed = next(room, 'closed');
  connection.cut();
  const second = await server.connection();
  const sent = await second.next('Join');
  second.send({ type: 'Error', re: sent.id, code: 'unauthorized', message: 'get a new token' });

  const [why] = await closed;
  assert.equal(why.error.code, 'unauthorized');
});

test('a passing refusal on the way back is tried again', async () => {
  const { room, connection } = await join();
  const back = next(room, 'rejoined');
  connection.cut();
  const second = await server.connection();
  const sent = await second.next('Join');
  second.send({ type: 'Error', re: sent.id, code: 'internal', message: 'try again', retryAfter: 20 });
  second.close(1011);

  await server.joined();
  await back;
  assert.equal(room.state, 'joined');
});

test('leave closes with 1000 and does not come back', async () => {
  const { room, connection } = await join();
  room.leave();

  assert.equal(await connection.closed, 1000);
  assert.equal(room.state, 'closed');
});

test('what was not answered, and what was sent meanwhile, goes out in order after a resume', async () => {
  const { room, connection } = await join();
  const unanswered = room.send({ type: 'Offer', sdp: 'one' });
  await connection.next('Offer');
  connection.cut();
  await next(room, 'state');
  room.send({ type: 'iceCandidate', candidate: 'two' }).catch(() => {});
  room.send({ type: 'iceCandidate', candidate: null }).catch(() => {});
  room.once('rejoined', () => room.send({ type: 'iceCandidate', candidate: 'four' }).catch(() => {}));
  const { connection: second } = await server.joined();
  const offer = await second.next('Offer');
  second.send({ type: 'Ack', re: offer.id });
  await unanswered;
  for (let count = 0; count < 3; count += 1) await second.next('iceCandidate');

  const relayed = second.received.filter((it) => ['Offer', 'iceCandidate'].includes(it.type));
  assert.deepEqual(relayed.map((it) => it.sdp ?? it.candidate), ['one', 'two', null, 'four']);
});

test('after a fresh join nothing of before goes out', async () => {
  const { room, connection } = await join();
  const offer = room.send({ type: 'Offer', sdp: 'one' });
  await connection.next('Offer');
  connection.close(4001);
  const { connection: second } = await server.joined();

  await assert.rejects(offer, { code: 'resume_failed' });
  room.sync().catch(() => {});
  await second.next('Sync');
  assert.equal(second.received.some((it) => it.type === 'Offer'), false);
});

test('more signals than may wait are refused', async () => {
  const { room } = await join();
  const sent = Array.from({ length: 257 }, (_, index) => room.send({ type: 'iceCandidate', candidate: String(index) }));
  for (const it of sent) it.catch(() => {});

  await assert.rejects(sent[256], { code: 'queue_full' });
});

test('answered signals make room for others', async () => {
  const { room, connection } = await join();
  for (let count = 0; count < 300; count += 1) {
    const sent = room.send({ type: 'iceCandidate', candidate: 'c' });
    connection.send({ type: 'Ack', re: (await connection.next('iceCandidate')).id });
    await sent;
  }

  assert.equal(room.state, 'joined');
});

test('a signal over 1 MiB is refused before it is sent', async () => {
  const { room, connection } = await join();

  await assert.rejects(room.send({ type: 'Offer', sdp: 'é'.repeat(600_000) }), { code: 'too_large' });
  assert.equal(connection.received.some((it) => it.type === 'Offer'), false);
});

test('relays kept by the server reach a listener in order, also those from before it listened', async () => {
  const { room, connection } = await join();
  connection.cut();
  const { connection: second } = await server.joined();
  const relays = Array.from({ length: 20 }, (_, index) => ({ type: 'iceCandidate', from: 'bob', candidate: String(index) }));
  const last = new Promise((resolve) => room.on('signal', (it) => it.candidate === '9' && resolve()));
  second.send({ type: 'Offer', from: 'bob', sdp: 'v=0' }, ...relays.slice(0, 10));
  await last;

  const heard = [];
  const all = new Promise((resolve) => {
    room.onRelay((it) => {
      heard.push(it.sdp ?? it.candidate);
      if (it.candidate === '19') resolve();
    });
  });
  second.send(...relays.slice(10));
  await all;

  assert.deepEqual(heard, ['v=0', ...relays.map((it) => it.candidate)]);
});

test('a version gap asks for the room state, once, and what came meanwhile is not lost', async () => {
  const { room, connection } = await join({ ack: { version: 3 } });
  const events = [];
  room.on('participantJoined', (it) => events.push(`${it.user} came`));
  room.on('participantLeft', (it, reason) => events.push(`${it.user} went: ${reason}`));
  const settled = new Promise((resolve) => room.on('participantLeft', resolve));

  connection.send(
    { type: 'ParticipantChange', joined: [participant('cleo')], version: 6 },
    { type: 'ParticipantChange', left: [{ user: 'cleo', reason: 'lost' }], version: 7 },
  );
  const sync = await connection.next('Sync');
  connection.send({
    type: 'RoomState', re: sync.id, version: 6, owner: 'bob', publishers: [],
    participants: [participant('ann'), participant('bob'), participant('cleo')],
  });
  await settled;

  assert.deepEqual(events, ['bob came', 'cleo came', 'cleo went: lost']);
  assert.equal(room.version, 7);
  assert.equal(room.owner, 'bob');
  assert.equal(connection.received.filter((it) => it.type === 'Sync').length, 1);
});

test('a change older than what is known is dropped', async () => {
  const { room, connection } = await join({ ack: { version: 5 } });
  const settled = new Promise((resolve) => room.on('participantUpdated', resolve));
  connection.send(
    { type: 'ParticipantChange', joined: [participant('ghost')], version: 4 },
    { type: 'UpdateVideo', from: 'ann', audio: false, version: 6 },
  );
  await settled;

  assert.deepEqual(room.others, []);
  assert.equal(connection.received.some((it) => it.type === 'Sync'), false);
});

test('a peer that starts afresh goes and comes', async () => {
  const { room, connection } = await join({ ack: { version: 5, participants: [participant('bob'), participant('ann')] } });
  const events = [];
  room.on('participantLeft', (it, reason) => events.push([it.user, reason]));
  const came = next(room, 'participantJoined');
  connection.send({
    type: 'ParticipantChange', left: [{ user: 'bob', reason: 'replaced' }], joined: [participant('bob')], version: 6,
  });

  assert.deepEqual((await came)[0].earlier, false);
  assert.deepEqual(events, [['bob', 'replaced']]);
});

test('one’s own coming and going is no event', async () => {
  const { room, connection } = await join({ ack: { version: 5 } });
  const events = [];
  for (const name of ['participantJoined', 'participantLeft']) room.on(name, (it) => events.push([name, it.user]));
  const came = next(room, 'participantJoined');
  connection.send(
    { type: 'ParticipantChange', left: [{ user: 'ann', reason: 'replaced' }], joined: [participant('ann')], version: 6 },
    { type: 'ParticipantChange', joined: [participant('bob')], version: 7 },
  );
  await came;

  assert.deepEqual(events, [['participantJoined', 'bob']]);
  assert.equal(room.self.user, 'ann');
});

test('away and back are told once each', async () => {
  const { room, connection } = await join({ ack: { version: 1, participants: [participant('bob'), participant('ann')] } });
  const events = [];
  room.on('participantAway', (it) => events.push([it.user, 'away', it.away]));
  room.on('participantBack', (it) => events.push([it.user, 'back', it.away]));
  const settled = new Promise((resolve) => room.on('participantBack', resolve));
  connection.send(
    { type: 'ParticipantChange', away: ['bob'], version: 2 },
    { type: 'ParticipantChange', away: ['bob'], version: 3 },
    { type: 'ParticipantChange', back: ['bob'], version: 4 },
  );
  await settled;

  assert.deepEqual(events, [['bob', 'away', true], ['bob', 'back', false]]);
});

test('a token is asked for again before every attempt', async () => {
  let asked = 0;
  const { connection, join: first } = await join({ options: { token: async () => `token-${(asked += 1)}` } });
  connection.cut();
  const { join: second } = await server.joined();

  assert.deepEqual([first.token, second.token], ['token-1', 'token-2']);
});

test('viewer counts are told', async () => {
  const { room, connection } = await join({ options: { mode: 'p2m', publish: false }, ack: { viewers: 1 } });
  const count = next(room, 'viewers');
  connection.send({ type: 'ViewerCount', viewers: 42 });

  assert.deepEqual(await count, [42]);
  assert.equal(room.viewers, 42);
});

test('a data signal goes in binary form and resolves with its DataAck', async () => {
  const { room, connection } = await join({ options: { mode: 'p2m' }, ack: { ingest: { maxFrame: 1_000, partTarget: 0.2 } } });
  assert.deepEqual(room.ingest, { maxFrame: 1_000, partTarget: 0.2 });
  const sent = room.sendData({ kind: 'part', last: true }, new Uint8Array([7, 8, 9]));
  const { media, ...signal } = await connection.next('Data');
  connection.send({ type: 'DataAck', re: signal.id, track: 'main', msn: 3, part: 1 });

  assert.deepEqual(signal, { type: 'Data', kind: 'part', last: true, id: signal.id });
  assert.deepEqual([...media], [7, 8, 9]);
  assert.equal((await sent).msn, 3);
});

test('a data signal larger than a message goes in pieces of one id', async () => {
  const { room, connection } = await join({ options: { mode: 'p2m' }, ack: { ingest: { maxFrame: 1_000, partTarget: 0.2 } } });
  const whole = Uint8Array.from({ length: 2_500 }, (_, index) => index % 251);
  room.sendData({ kind: 'part' }, whole).catch(() => {});
  const pieces = [await connection.next('Data'), await connection.next('Data'), await connection.next('Data')];

  assert.deepEqual(pieces.map(({ chunk }) => chunk), [0, 1, 2].map((index) => ({ index, count: 3 })));
  assert.equal(new Set(pieces.map(({ id }) => id)).size, 1);
  assert.deepEqual(Buffer.concat(pieces.map(({ media }) => media)), Buffer.from(whole));
  assert.ok(pieces.every(({ media, ...signal }) => 4 + JSON.stringify(signal).length + media.length <= 1_000));
});

test('a data signal that was not acknowledged is sent again after a resume', async () => {
  const { room, connection } = await join({ options: { mode: 'p2m' } });
  const sent = room.sendData({ kind: 'part' }, new Uint8Array([5]));
  const before = await connection.next('Data');
  connection.cut();
  const { connection: again } = await server.joined();
  const after = await again.next('Data');
  again.send({ type: 'DataAck', re: after.id, track: 'main', msn: 0, part: 0 });

  assert.deepEqual(after, before);
  await sent;
});

test('who becomes a publisher, or is one no longer, is updated by the list of publishers', () => {
  const roster = new Roster();
  const person = (user, participantType, on) => ({ user, participantType, video: on, audio: on });
  roster.start({ user: 'bob', owner: 'ann', version: 4, participants: [person('ann', 'publisher', true), person('bob', 'viewer', false)], publishers: [] });
  const list = (version, publishers, change) => roster.apply({ type: 'PublishListChangeAck', version, publishers, added: [], removed: [], moved: [], ...change });
  const accepted = list(5, [{ user: 'ann', video: true, audio: true }, { user: 'bob', video: true, audio: true }], { added: ['bob'] });
  assert.deepEqual(accepted.map(([name]) => name), ['participantUpdated', 'publishers']);
  assert.deepEqual(roster.participants.get('bob'), { ...person('bob', 'publisher', true), earlier: false });

  const late = list(6, [{ user: 'ann', video: true, audio: true }], { removed: ['bob', 'gone'] });
  assert.deepEqual(late.map(([name]) => name), ['participantUpdated', 'publishers']);
  assert.equal(roster.participants.get('bob').participantType, 'viewer');
});
