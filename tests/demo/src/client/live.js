import { Emitter } from './emitter.js';

/** Milliseconds between two looks at the playlists while waiting for a stream. */
const LOOK_MS = 1_000;
/** Milliseconds one look may take. */
const LOOK_MS_MAX = 10_000;

/**
 * The live stream of a p2m room as a viewer sees it: where it is, whether it is live, how many
 * watch. Playing it is a player's work, hls.js for example, given `url`.
 */
export class Live extends Emitter {
  #room;
  /** @type {(() => void) | undefined} */
  #nudge;
  /** @type {(() => void)[]} */
  #offs;

  /** @param {import('../mobz.js').Room} room */
  constructor(room) {
    super();
    this.#room = room;
    const publisher = () => {
      this.#nudge?.();
      this.emit('publisher', this.publisher);
    };
    this.#offs = [
      room.on('viewers', (count) => this.emit('viewers', count)),
      ...['participantJoined', 'participantLeft', 'participantUpdated', 'participantAway', 'participantBack', 'publishers', 'rejoined'].map(
        (name) => room.on(/** @type {any} */ (name), publisher),
      ),
      room.on('closed', () => this.close()),
    ];
  }

  /** The multivariant playlist's address. */
  get url() {
    return this.#room.playbackUrl;
  }

  /** How many watch, oneself included. */
  get viewers() {
    return this.#room.viewers;
  }

  /** Who publishes, while somebody does. */
  get publisher() {
    return this.#room.participants.find((it) => it.participantType === 'publisher');
  }

  /**
   * Looks at the playlists: `none` (no stream yet, or nothing in it), `live`, or `ended`.
   * Throws what `fetch` throws when the origin cannot be reached.
   * @param {AbortSignal} [signal]
   * @returns {Promise<'none' | 'live' | 'ended'>}
   */
  async look(signal) {
    return this.url ? lookAt(this.url, signal) : 'none';
  }

  /**
   * Resolves once the stream is live, at once when it is.
   * @param {{ signal?: AbortSignal, onLook?: (state: 'none' | 'ended' | 'unreachable') => void }} [options]
   *   `signal` ends the waiting with its reason; `onLook` hears what there is instead.
   */
  async whenLive({ signal, onLook } = {}) {
    for (;;) {
      signal?.throwIfAborted();
      const late = AbortSignal.timeout(LOOK_MS_MAX);
      const state = await this.look(signal ? AbortSignal.any([signal, late]) : late).catch(() => 'unreachable');
      if (state === 'live') return;
      signal?.throwIfAborted();
      onLook?.(/** @type {'none' | 'ended' | 'unreachable'} */ (state));
      await this.#pause(signal);
    }
  }

  /** Ends the events. */
  close() {
    for (const off of this.#offs.splice(0)) off();
  }

  /**
   * Until the next look is due: after a while, or when the room tells of its publisher.
   * @param {AbortSignal} [signal]
   */
  #pause(signal) {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        resolve(undefined);
      };
      const timer = setTimeout(done, LOOK_MS);
      this.#nudge = done;
      signal?.addEventListener('abort', done);
    });
  }
}

/**
 * What the playlists at `url`, and of its first variant, say.
 * @param {string} url
 * @param {AbortSignal} [signal]
 * @returns {Promise<'none' | 'live' | 'ended'>}
 */
export async function lookAt(url, signal) {
  const main = await read(url, signal);
  const variant = main && /^#EXT-X-STREAM-INF:.*\r?\n(?:#.*\r?\n)*([^#\r\n]+)/m.exec(main)?.[1];
  const media = variant ? await read(new URL(variant, url).href, signal) : main;
  if (!media || !/^#EXT-X-PART:|^#EXTINF:/m.test(media)) return 'none';
  return /^#EXT-X-ENDLIST/m.test(media) ? 'ended' : 'live';
}

/**
 * @param {string} url
 * @param {AbortSignal} [signal]
 */
async function read(url, signal) {
  const answer = await fetch(url, { signal, cache: 'no-store' });
  return answer.ok ? answer.text() : undefined;
}
