import { MobzError } from './error.js';

/** Milliseconds from opening the connection to its JoinAck, for each of the two. */
const JOIN_MS_MAX = 10_000;
/** Milliseconds after a heartbeat in which anything must have come, or the connection is given up for lost. */
const SILENCE_MS_MAX = 5_000;
/** The close code of a connection given up for lost; any but 1000, so that it can be resumed. */
const GIVEN_UP = 4100;

/**
 * One WebSocket from opening to its end: the Join, heartbeats, and noticing that it is dead.
 * It ends once, and is not used again.
 */
export class Socket {
  #Class;
  /** @type {WebSocket | undefined} */
  #socket;
  /** @type {any} */
  #handlers;
  /** Signals that came before `listen`. @type {any[]} */
  #early = [];
  /** @type {((answer: any) => void) | undefined} */
  #joined;
  /** @type {((error: MobzError) => void) | undefined} */
  #refused;
  #joins = 0;
  #ended = false;
  /** @type {{ code: number, reason: string } | undefined} */
  #endedBy;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #beat;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #silence;
  #beatAt = 0;

  /** @param {any} [Class] the WebSocket class */
  constructor(Class = globalThis.WebSocket) {
    this.#Class = Class;
  }

  /**
   * Connects and joins; resolves with the JoinAck.
   * @param {string} url
   * @param {any} join
   * @returns {Promise<any>}
   */
  async open(url, join) {
    try {
      this.#socket = /** @type {WebSocket} */ (new this.#Class(url));
    } catch (cause) {
      throw new MobzError('unreachable', `not an address of a signaling server: ${url}`, { cause });
    }
    const socket = this.#socket;
    socket.addEventListener('message', (event) => this.#message(event.data));
    socket.addEventListener('close', (event) => this.#end(event.code, event.reason));
    // An error is always followed by a close, which is where it is handled.
    socket.addEventListener('error', () => {});
    await within(JOIN_MS_MAX, () => this.#give(url), new Promise((resolve, reject) => {
      socket.addEventListener('open', () => resolve(undefined));
      this.#refused = reject;
    }));
    return this.join(join);
  }

  /**
   * Joins, again when an earlier Join was refused; resolves with the JoinAck.
   * @param {any} join
   * @returns {Promise<any>}
   */
  join(join) {
    this.#joins += 1;
    const id = `join-${this.#joins}`;
    return within(JOIN_MS_MAX, () => this.#give(), new Promise((resolve, reject) => {
      if (this.#ended) reject(unreachable());
      this.#joined = (answer) => {
        if (answer.re !== id) return;
        this.#joined = undefined;
        if (answer.type === 'Error') reject(MobzError.of(answer));
        else resolve(answer);
      };
      this.#refused = reject;
      this.send({ ...join, id });
    }));
  }

  /**
   * Begins heartbeats and handing on signals, first those that came since the JoinAck.
   * @param {{ signal: (signal: any) => void, close: (code: number, reason: string) => void,
   *   heartbeat: (roundTrip: number, offset: number) => void }} handlers
   * @param {{ heartbeatInterval?: number }} ack
   */
  listen(handlers, ack) {
    this.#handlers = handlers;
    this.#refused = undefined;
    if (ack.heartbeatInterval) {
      this.#beat = setInterval(() => this.probe(), ack.heartbeatInterval);
      this.probe();
    }
    for (const signal of this.#early.splice(0)) handlers.signal(signal);
    if (this.#endedBy) handlers.close(this.#endedBy.code, this.#endedBy.reason);
  }

  /** @param {any} message a signal, or the bytes of one */
  send(message) {
    // A socket that is closing drops what it is given; the outbox sends it again.
    if (this.#socket?.readyState === 1) this.#socket.send(ArrayBuffer.isView(message) ? /** @type {any} */ (message) : JSON.stringify(message));
  }

  /** Bytes given to `send` that have not left yet. */
  get buffered() {
    return this.#socket?.bufferedAmount ?? 0;
  }

  /** Sends a heartbeat; without any sign of life soon after, the connection is given up. */
  probe() {
    this.#beatAt = Date.now();
    this.send({ type: 'Heartbeat' });
    this.#silence ??= setTimeout(() => this.#give(), SILENCE_MS_MAX);
  }

  /** @param {number} code */
  close(code) {
    this.#handlers = { signal() {}, close() {}, heartbeat() {} };
    this.#end(code, '');
    this.#socket?.close(code);
  }

  /** @param {unknown} data */
  #message(data) {
    clearTimeout(this.#silence);
    this.#silence = undefined;
    if (this.#ended || typeof data !== 'string') return;
    /** @type {any} */
    let signal;
    try {
      signal = JSON.parse(data);
    } catch {
      return;
    }
    if (this.#joined && signal.re !== undefined) this.#joined(signal);
    else if (signal.type === 'HeartbeatAck') this.#answered(signal);
    else if (this.#handlers) this.#handlers.signal(signal);
    else this.#early.push(signal);
  }

  /** @param {{ serverTime: number }} ack */
  #answered(ack) {
    const now = Date.now();
    this.#handlers?.heartbeat(now - this.#beatAt, ack.serverTime - (this.#beatAt + now) / 2);
  }

  /** @param {string} [url] */
  #give(url) {
    // Its closing handshake would wait for an answer that never comes.
    this.#end(GIVEN_UP, 'no answer', url);
    this.#socket?.close(GIVEN_UP);
  }

  /**
   * @param {number} code
   * @param {string} reason
   * @param {string} [url]
   */
  #end(code, reason, url) {
    if (this.#ended) return;
    this.#ended = true;
    this.#endedBy = { code, reason };
    clearInterval(this.#beat);
    clearTimeout(this.#silence);
    this.#refused?.(unreachable(url));
    this.#handlers?.close(code, reason);
  }
}

/** @param {string} [url] */
function unreachable(url) {
  const where = url ? ` at ${url}` : '';
  return new MobzError('unreachable', `no answer from the signaling server${where}: check that it runs and the network is up`);
}

/**
 * @template T
 * @param {number} milliseconds
 * @param {() => void} late
 * @param {Promise<T>} promise
 * @returns {Promise<T>}
 */
async function within(milliseconds, late, promise) {
  const timer = setTimeout(late, milliseconds);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}
