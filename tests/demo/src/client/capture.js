/** Microseconds a timestamp may be from its track's clock before that clock counts as a new one. */
const STEP_US_MAX = 1_000_000;

/** Microseconds of this page's monotonic clock. */
export function nowUs() {
  return performance.now() * 1000;
}

/**
 * Brings the timestamps of one track onto this page's clock. A browser's tracks count from beginnings
 * of their own, so what aligns picture and sound is when their frames arrive: the quickest arrival so
 * far tells the offset.
 */
export class CaptureClock {
  /** @type {number | undefined} */
  #offset;

  /**
   * @param {number} timestamp microseconds
   * @param {number} arrival microseconds
   */
  map(timestamp, arrival) {
    const offset = arrival - timestamp;
    const isNew = this.#offset === undefined || Math.abs(offset - this.#offset) > STEP_US_MAX;
    this.#offset = isNew ? offset : Math.min(offset, this.#offset ?? offset);
    return timestamp + this.#offset;
  }
}

/**
 * Hands a track's frames to `take`, which closes them, until the track ends or the returned function is called.
 * @param {MediaStreamTrack} track
 * @param {(frame: any) => void} take
 * @returns {() => void}
 */
export function frames(track, take) {
  // Of the draft "MediaStreamTrack Insertable Media Processing using Streams", not in TypeScript's DOM types.
  const Processor = /** @type {any} */ (globalThis).MediaStreamTrackProcessor;
  const reader = new Processor({ track }).readable.getReader();
  let stopped = false;
  const read = async () => {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      if (stopped) value.close();
      else take(value);
    }
  };
  read().catch(() => {});
  return () => {
    stopped = true;
    reader.cancel().catch(() => {});
  };
}
