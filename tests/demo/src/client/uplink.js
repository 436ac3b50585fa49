import { MobzError } from './error.js';

/** Data signals sent and not acknowledged; the next waits. */
const OUTSTANDING_MAX = 8;
/** Bytes waiting in the socket past which nothing more is handed to it. */
const BUFFERED_BYTES_MAX = 512 * 1024;
/** Seconds of media that wait while the network does not take them; past it the oldest are dropped. */
const WAITING_SECONDS_MAX = 10;
/** Bytes of media that wait; past it the oldest are dropped. */
const WAITING_BYTES_MAX = 16 * 1024 * 1024;
/** Milliseconds before what a server in trouble refused is sent again, unless it says otherwise. */
const AGAIN_MS = 500;
/** Milliseconds between two looks at whether the socket takes more. */
const LOOK_MS = 50;
/** Fresh beginnings in a row, with nothing acknowledged between, before it is given up. */
const RESTARTS_MAX = 4;

/** Refusals that pass by themselves. */
const PASSING = new Set(['internal', 'rate_limited']);
/** Refusals of this publisher, which trying again does not cure. */
const FINAL = new Set(['closed', 'not_publisher', 'forbidden', 'unauthorized', 'mode_mismatch', 'too_large']);

/**
 * @typedef {{ kind: 'init' | 'part' | 'end', fields: any, media: Uint8Array, seconds: number, independent: boolean,
 *   breaks: boolean, at?: { msn: number, part: number }, sentAt: number }} Item
 *   `breaks`: its timeline does not follow on the part before; `at`: its numbers, once they are known
 */

/**
 * Sends a stream's init and parts as data signals, in order and numbered, a bounded number of them
 * unacknowledged. The room sends them again after a resume; what the server refuses for a while is
 * sent again; where the stream cannot go on it begins afresh, at the next key frame.
 */
export class Uplink {
  /** Parts that were never sent, or refused. */
  dropped = 0;
  #room;
  #on;
  /** @type {Item[]} */
  #waiting = [];
  /** @type {Item[]} */
  #flight = [];
  /** The numbers of the next part; the first part's acknowledgement tells them. @type {{ msn: number, part: number } | undefined} */
  #numbers;
  /** @type {Item | undefined} */
  #init;
  /** Tells answers to what was sent before a fresh beginning from later ones. */
  #epoch = 0;
  #restarts = 0;
  #waitsForKey = false;
  /** Whether the next part follows on none: who published under this name before may have left a segment open. */
  #breaks = false;
  #over = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {import('../mobz.js').Room} room
   * @param {{ acked: (item: Item, ack: any) => void, restarted: () => void, failed: (error: MobzError) => void }} on
   */
  constructor(room, on) {
    this.#room = room;
    this.#on = on;
  }

  /** Seconds of media that are not acknowledged yet. */
  get backlog() {
    return [...this.#waiting, ...this.#flight].reduce((sum, { seconds }) => sum + seconds, 0);
  }

  /**
   * Begins the stream, or goes on with another init.
   * @param {Uint8Array} media
   * @param {{ partTarget: number, [field: string]: unknown }} fields
   */
  init(media, fields) {
    this.#init = item('init', { kind: 'init', ...fields }, media);
    this.#breaks = true;
    this.#push(this.#init);
  }

  /**
   * @param {import('./cutter.js').Part} part
   * @param {number} capturedAt milliseconds since the epoch
   */
  part({ bytes, duration, independent, last }, capturedAt) {
    if (this.#waitsForKey && !independent) {
      this.dropped += 1;
      return;
    }
    const fields = { kind: 'part', duration, independent, last, programDateTime: Math.round(capturedAt) };
    const breaks = this.#waitsForKey || this.#breaks;
    this.#waitsForKey = false;
    this.#breaks = false;
    this.#push({ ...item('part', fields, bytes), seconds: duration, independent, breaks });
    this.#bound();
  }

  /** Ends the stream after what is waiting. */
  end() {
    if (this.#init) this.#push(ending());
  }

  /** Whether everything is acknowledged. */
  get idle() {
    return this.#waiting.length + this.#flight.length === 0;
  }

  /** Sends nothing more. */
  close() {
    this.#over = true;
    this.#epoch += 1;
    clearTimeout(this.#timer);
    this.#waiting = [];
    this.#flight = [];
  }

  /** @param {Item} item */
  #push(item) {
    if (this.#over) return;
    this.#waiting.push(item);
    this.#pump();
  }

  #pump() {
    if (this.#timer !== undefined) return;
    while (this.#waiting.length > 0 && this.#flight.length < OUTSTANDING_MAX) {
      const next = this.#waiting[0];
      // Until a part's acknowledgement tells the numbers, one at a time.
      const learns = next.kind === 'part' && !this.#numbers;
      if (learns && this.#flight.length > 0) return;
      if (this.#room.buffered > BUFFERED_BYTES_MAX) {
        this.#again(LOOK_MS);
        return;
      }
      this.#waiting.shift();
      this.#send(next);
    }
  }

  /** @param {number} milliseconds */
  #again(milliseconds) {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#pump();
    }, milliseconds);
  }

  /** @param {Item} item */
  #send(item) {
    const fields = { ...item.fields };
    if (item.kind === 'part') {
      if (item.breaks) fields.discontinuity = true;
      if (this.#numbers) {
        // A discontinuity begins a segment.
        if (item.breaks && this.#numbers.part > 0) this.#numbers = { msn: this.#numbers.msn + 1, part: 0 };
        item.at = this.#numbers;
        Object.assign(fields, item.at);
        this.#numbers = after(item.at, item.fields.last);
      }
    } else {
      this.#numbers = undefined;
    }
    item.sentAt = performance.now();
    this.#flight.push(item);
    const epoch = this.#epoch;
    this.#room.sendData(fields, item.media).then(
      (ack) => epoch === this.#epoch && this.#acked(item, ack),
      (error) => epoch === this.#epoch && this.#refused(item, error),
    );
  }

  /**
   * @param {Item} item
   * @param {any} ack
   */
  #acked(item, ack) {
    this.#flight.splice(this.#flight.indexOf(item), 1);
    if (item.kind === 'part') {
      this.#restarts = 0;
      if (!item.at) this.#numbers = after(ack, item.fields.last);
    }
    this.#on.acked(item, ack);
    this.#pump();
  }

  /**
   * @param {Item} item
   * @param {MobzError} error
   */
  #refused(item, error) {
    if (FINAL.has(error.code)) {
      this.close();
      this.#on.failed(error);
    } else if (PASSING.has(error.code)) {
      // In order, and under the same numbers: what was stored after all is only acknowledged again.
      this.#epoch += 1;
      const first = this.#flight.find((it) => it.kind === 'part');
      if (first) this.#numbers = first.at;
      this.#waiting.unshift(...this.#flight.splice(0));
      clearTimeout(this.#timer);
      this.#again(error.retryAfter ?? AGAIN_MS);
    } else {
      this.#restart(item, error);
    }
  }

  /**
   * Begins afresh: the same init, then the next key frame.
   * @param {Item} item
   * @param {MobzError} error
   */
  #restart(item, error) {
    this.#restarts += 1;
    if (this.#restarts > RESTARTS_MAX || !this.#init) {
      this.close();
      this.#on.failed(error);
      return;
    }
    this.#epoch += 1;
    const lost = [...this.#flight.splice(0), ...this.#waiting.splice(0)];
    this.dropped += lost.filter(({ kind }) => kind === 'part').length;
    this.#numbers = undefined;
    this.#waitsForKey = true;
    // A stream another publisher left behind holds its part target until it ends.
    const foreign = item.kind === 'init' && /^(partTarget|targetDuration)$/.test(error.path ?? '');
    if (foreign) this.#waiting.push(ending());
    this.#waiting.push(this.#init);
    if (lost.some(({ kind }) => kind === 'end') && !foreign) this.#waiting.push(ending());
    this.#on.restarted();
    this.#pump();
  }

  /** Drops the oldest of what waits, to a key frame, when there is too much of it. */
  #bound() {
    const waits = () => this.#waiting.filter(({ kind }) => kind === 'part');
    const isTooMuch = (/** @type {Item[]} */ parts) =>
      parts.reduce((sum, { seconds }) => sum + seconds, 0) > WAITING_SECONDS_MAX ||
      parts.reduce((sum, { media }) => sum + media.length, 0) > WAITING_BYTES_MAX;
    while (isTooMuch(waits())) {
      const parts = waits();
      const key = parts.findIndex(({ independent }, index) => index > 0 && independent);
      const gone = new Set(key < 0 ? parts : parts.slice(0, key));
      this.dropped += gone.size;
      this.#waiting = this.#waiting.filter((it) => !gone.has(it));
      if (key < 0) this.#waitsForKey = true;
      else parts[key].breaks = true;
    }
  }
}

/**
 * @param {Item['kind']} kind
 * @param {any} fields
 * @param {Uint8Array} media
 * @returns {Item}
 */
function item(kind, fields, media) {
  return { kind, fields, media, seconds: 0, independent: false, breaks: false, sentAt: 0 };
}

function ending() {
  return item('end', { kind: 'end' }, new Uint8Array());
}

/**
 * @param {{ msn: number, part: number }} numbers
 * @param {boolean} last
 */
function after({ msn, part }, last) {
  return last ? { msn: msn + 1, part: 0 } : { msn, part: part + 1 };
}
