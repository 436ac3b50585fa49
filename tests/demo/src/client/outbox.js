import { dataMessages } from './data.js';
import { MobzError } from './error.js';

/** Signals under way or waiting at once; the next is refused with `queue_full`. */
const WAITING_MAX = 256;
/** Milliseconds a signal waits for its answer, a lost connection's time included. */
const ANSWER_MS_MAX = 30_000;
/** Bytes of the largest signal, as the daemon takes it. */
const SIGNAL_BYTES_MAX = 1024 * 1024;

/**
 * Signals on their way to the server. Each has an id and stays here until it is answered, so that
 * after a resume all that may have been lost with the connection is sent again, in order. The
 * receiver may see a signal twice; an Offer, an Answer or a candidate is the same the second time.
 */
export class Outbox {
  /** @type {Map<string, { type: string, messages: any[], resolve: (answer: any) => void, reject: (error: unknown) => void, timer: any }>} */
  #waiting = new Map();
  #count = 0;
  /** @type {(message: any) => void} */
  #write;

  /** @param {(message: any) => void} write takes a signal, or the bytes of one */
  constructor(write) {
    this.#write = write;
  }

  /**
   * @param {{ type: string, [field: string]: unknown }} signal
   * @param {boolean} open
   * @param {{ media: Uint8Array, messageMax: number }} [data] of a data signal, which goes in binary form
   * @returns {Promise<any>}
   */
  add(signal, open, data) {
    if (this.#waiting.size >= WAITING_MAX) {
      const message = `${WAITING_MAX} signals wait for an answer already: wait for some of them`;
      return Promise.reject(new MobzError('queue_full', message));
    }
    this.#count += 1;
    const id = String(this.#count);
    const whole = { ...signal, id };
    if (!data && byteLength(whole) > SIGNAL_BYTES_MAX) {
      return Promise.reject(new MobzError('too_large', 'a signal holds at most 1 MiB: send less'));
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new MobzError('timeout', `no answer to ${signal.type} in ${ANSWER_MS_MAX / 1000} s: try again`));
      }, ANSWER_MS_MAX);
      const messages = data ? dataMessages(whole, data.media, data.messageMax) : [whole];
      this.#waiting.set(id, { type: signal.type, messages, resolve, reject, timer });
      if (open) messages.forEach(this.#write);
    });
  }

  /**
   * Whether a signal of this type waits for its answer.
   * @param {string} type
   */
  has(type) {
    return [...this.#waiting.values()].some((it) => it.type === type);
  }

  /**
   * Settles what `signal.re` names; false when nothing of that id waits.
   * @param {{ type: string, re?: string, code?: string }} signal
   */
  answer(signal) {
    const entry = this.#waiting.get(signal.re ?? '');
    if (!entry) return false;
    this.#waiting.delete(signal.re ?? '');
    clearTimeout(entry.timer);
    if (signal.type === 'Error') entry.reject(MobzError.of(signal));
    else entry.resolve(signal);
    return true;
  }

  /** Sends all that waits again, in order. */
  resend() {
    for (const { messages } of this.#waiting.values()) messages.forEach(this.#write);
  }

  /**
   * Refuses all that waits.
   * @param {MobzError} error
   */
  reject(error) {
    const entries = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const entry of entries) {
      clearTimeout(entry.timer);
      entry.reject(error);
    }
  }
}

/** @param {unknown} signal */
function byteLength(signal) {
  const text = JSON.stringify(signal);
  // A string of n UTF-16 units is at most 3n bytes: only the doubtful are encoded to be counted.
  return text.length * 3 <= SIGNAL_BYTES_MAX ? text.length : new TextEncoder().encode(text).length;
}
