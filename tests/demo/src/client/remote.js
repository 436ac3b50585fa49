/** @typedef {import('./link.js').Link} Link */

/** Milliseconds before a station that could not be watched is tried again, at first; doubled each time. */
export const WATCH_PAUSE_MS_MIN = 500;

/** One publisher as received; see `Remote` in mobz.d.ts. */
export class Remote {
  stream = new MediaStream();
  /** @type {{ substream: number, temporal: number } | undefined} */
  layer;
  /** The station asked for. @type {string | undefined} */
  wanted;
  /** @type {Link | undefined} */
  link;
  /** What takes its place once its media come. @type {Link | undefined} */
  next;
  pause = WATCH_PAUSE_MS_MIN;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  timer;

  /** @param {string} user */
  constructor(user) {
    this.user = user;
  }

  /** The station whose media are received. */
  get station() {
    return this.link?.station;
  }

  /** @returns {import('../mobz.js').RemoteState} */
  get state() {
    const state = this.link?.state;
    return state === 'connected' || state === 'interrupted' ? state : 'connecting';
  }

  /** @param {string} station */
  has(station) {
    return this.link?.station === station || this.next?.station === station;
  }

  async stats() {
    return this.link?.stats();
  }
}
