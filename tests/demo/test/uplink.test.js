import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';
import { MobzError } from '../src/client/error.js';
import { Uplink } from '../src/client/uplink.js';

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout'] });
});

const settle = async () => {
  for (let round = 0; round < 10; round += 1) await Promise.resolve();
};

/** A room that keeps what it is given until the test answers it. */
class DataRoom {
  sent = [];
  buffered = 0;

  sendData(fields, media) {
    return new Promise((resolve, reject) => this.sent.push({ fields, media, resolve, reject }));
  }

  async ack(answer = {}) {
    this.sent.shift().resolve({ type: 'DataAck', ...answer });
    await settle();
  }

  async refuse(code, detail = {}) {
    this.sent.shift().reject(new MobzError(code, code, detail));
    await settle();
  }

  get kinds() {
    return this.sent.map(({ fields }) => (fields.kind === 'part' ? (fields.msn === undefined ? 'part' : `${fields.msn}.${fields.part}`) : fields.kind));
  }
}

function uplink() {
  const room = new DataRoom();
  const events = [];
  const link = new Uplink(room, {
    acked: (item) => events.push(`acked ${item.kind}`),
    restarted: () => events.push('restarted'),
    failed: (error) => events.push(`failed ${error.code}`),
  });
  const part = (independent = false, last = false) => link.part({ bytes: new Uint8Array(10), duration: 0.3, independent, last, time: 0 }, 1_000);
  return { room, link, events, part };
}

/** An uplink whose numbers are known: 4.1 is next. */
async function numbered() {
  const made = uplink();
  made.link.init(new Uint8Array([1]), { partTarget: 0.333 });
  made.part(true);
  await made.room.ack({ init: 0 });
  await made.room.ack({ msn: 4, part: 0 });
  return made;
}

test('the first part tells the numbers, and the rest carry them', async () => {
  const { room, link, part } = uplink();
  link.init(new Uint8Array([1]), { partTarget: 0.333 });
  part(true);
  part(false, true);
  part(true);
  assert.deepEqual(room.kinds, ['init']);
  await room.ack({ init: 0 });
  assert.deepEqual(room.kinds, ['part']);
  assert.equal(room.sent[0].fields.discontinuity, true);
  await room.ack({ msn: 4, part: 0 });

  assert.deepEqual(room.kinds, ['4.1', '5.0']);
  assert.deepEqual(room.sent[0].fields, { kind: 'part', duration: 0.3, independent: false, last: true, programDateTime: 1_000, msn: 4, part: 1 });
});

test('only so many are outstanding, and none while the socket is full', async () => {
  const { room, part } = await numbered();
  for (let count = 0; count < 12; count += 1) part();
  assert.equal(room.sent.length, 8);

  room.buffered = 10_000_000;
  await room.ack();
  assert.equal(room.sent.length, 7);
  room.buffered = 0;
  mock.timers.tick(50);
  assert.equal(room.sent.length, 8);
});

test('what a server in trouble refused is sent again, in order and under the same numbers', async () => {
  const { room, part, link } = await numbered();
  part();
  part();
  await room.refuse('internal', { retryAfter: 700 });
  room.sent = [];
  part();
  assert.deepEqual(room.kinds, []);
  mock.timers.tick(700);

  assert.deepEqual(room.kinds, ['4.1', '4.2', '4.3']);
  assert.equal(link.dropped, 0);
});

test('a stream that cannot go on begins afresh at the next key frame, as a discontinuity', async () => {
  const { room, part, link, events } = await numbered();
  part();
  part();
  await room.refuse('stale');
  room.sent.shift();
  assert.deepEqual(room.kinds, ['init']);
  await room.ack({ init: 0 });
  part();
  part(true);

  assert.deepEqual(room.kinds, ['part']);
  assert.equal(room.sent[0].fields.discontinuity, true);
  assert.equal(link.dropped, 3);
  assert.ok(events.includes('restarted'));
});

test('a stream left by another with another part target is ended first', async () => {
  const { room, link } = uplink();
  link.init(new Uint8Array([1]), { partTarget: 0.333 });
  await room.refuse('bad_signal', { path: 'partTarget' });

  assert.deepEqual(room.kinds, ['end', 'init']);
  assert.equal(link.idle, false);
});

test('what keeps being refused is given up', async () => {
  const { room, link, events } = uplink();
  link.init(new Uint8Array([1]), { partTarget: 0.333 });
  for (let attempt = 0; attempt < 5; attempt += 1) await room.refuse('bad_signal');

  assert.deepEqual(events.at(-1), 'failed bad_signal');
  assert.equal(room.sent.length, 0);
});

test('a refusal of the publisher itself is final', async () => {
  const { room, link, events } = uplink();
  link.init(new Uint8Array([1]), { partTarget: 0.333 });
  await room.refuse('not_publisher');

  assert.deepEqual(events, ['failed not_publisher']);
  assert.equal(room.sent.length, 0);
});

test('what waits is bounded: the oldest goes, to a key frame, which begins a segment', async () => {
  const { room, part, link } = await numbered();
  for (let count = 0; count < 8; count += 1) part();
  for (let count = 0; count < 40; count += 1) part(count % 7 === 0, count % 7 === 6);
  assert.equal(link.dropped, 7);
  while (room.kinds[0] !== '5.0') await room.ack();

  assert.equal(room.sent[0].fields.discontinuity, true);
  assert.ok(link.backlog < 11);
});
