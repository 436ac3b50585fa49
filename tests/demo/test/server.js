/** A signaling server that does what a test tells it, on a free port of 127.0.0.1. */
import { once } from 'node:events';
import { WebSocketServer } from 'ws';

/** Milliseconds a test waits for a signal before it fails. */
const WAIT_MS_MAX = 5_000;

export class ScriptedServer {
  /** @type {Connection[]} Connections nobody has taken yet. */
  #arrived = [];
  #waiting = [];
  #server;

  static async start() {
    const scripted = new ScriptedServer();
    scripted.#server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    scripted.#server.on('connection', (socket) => {
      const connection = new Connection(socket);
      const taker = scripted.#waiting.shift();
      if (taker) taker(connection);
      else scripted.#arrived.push(connection);
    });
    await once(scripted.#server, 'listening');
    return scripted;
  }

  get url() {
    return `ws://127.0.0.1:${this.#server.address().port}/signal`;
  }

  /** The next connection, in the order they come. */
  connection() {
    const connection = this.#arrived.shift();
    if (connection) return Promise.resolve(connection);
    return inTime('a connection', (resolve) => this.#waiting.push(resolve));
  }

  /** The next connection, joined: its Join is answered with `ack`. */
  async joined(ack = {}) {
    const connection = await this.connection();
    const join = await connection.next('Join');
    connection.acknowledge(join, ack);
    return { connection, join };
  }

  async stop() {
    for (const client of this.#server.clients) client.terminate();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

export class Connection {
  /** @type {any[]} Every signal that came, heartbeats too. */
  received = [];
  /** Whether heartbeats are answered. */
  answersHeartbeats = true;
  /** Resolves with the close code. */
  closed;
  #unread = [];
  #waiting = [];
  #socket;

  constructor(socket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => socket.on('close', resolve));
    socket.on('message', (data, isBinary) => {
      const signal = isBinary ? dataSignal(data) : JSON.parse(data);
      this.received.push(signal);
      if (signal.type === 'Heartbeat') {
        if (this.answersHeartbeats) this.send({ type: 'HeartbeatAck', serverTime: Date.now() });
        return;
      }
      const index = this.#waiting.findIndex((it) => it.type === signal.type);
      if (index >= 0) this.#waiting.splice(index, 1)[0].resolve(signal);
      else this.#unread.push(signal);
    });
  }

  /** The next signal of a type; heartbeats are in `received` only. */
  next(type) {
    const index = this.#unread.findIndex((it) => it.type === type);
    if (index >= 0) return Promise.resolve(this.#unread.splice(index, 1)[0]);
    return inTime(type, (resolve) => this.#waiting.push({ type, resolve }));
  }

  send(...signals) {
    for (const signal of signals) this.#socket.send(JSON.stringify(signal));
  }

  acknowledge(join, ack = {}) {
    this.send({ ...JOIN_ACK, re: join.id, room: join.room, mode: join.mode, ...ack });
  }

  close(code) {
    this.#socket.close(code);
  }

  /** Ends without a closing handshake, as a cut line does. */
  cut() {
    this.#socket.terminate();
  }
}

/** The binary form of a data signal (PROTOCOL.md §5), its media as `media`. */
function dataSignal(message) {
  const json = 4 + message.readUInt32BE(0);
  return { ...JSON.parse(message.subarray(4, json)), media: message.subarray(json) };
}

/** A participant as the server lists it. */
export function participant(user, more = {}) {
  return { user, name: user, participantType: 'publisher', video: true, audio: true, away: false, ...more };
}

const JOIN_ACK = {
  type: 'JoinAck',
  user: 'ann',
  participantType: 'publisher',
  owner: 'ann',
  resume: 'secret-1',
  iceServers: [],
  version: 1,
  participants: [participant('ann')],
  publishers: [],
  heartbeatInterval: 10_000,
  heartbeatTimeout: 30_000,
  limits: { publishers: 2, viewers: 0 },
};

function inTime(what, begin) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${what} did not come in ${WAIT_MS_MAX} ms`)), WAIT_MS_MAX);
    begin((value) => {
      clearTimeout(timer);
      resolve(value);
    });
  });
}
