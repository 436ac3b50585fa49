/**
 * An error with a code to decide by and a sentence to show.
 *
 * `code` is one of the server's (PROTOCOL.md §3) or one of the client's own:
 * `unreachable` (no connection), `closed` (the room was left or ended), `queue_full`
 * (more than 256 signals wait for the connection). A request that is not answered in
 * time has the server's code for it, `timeout`.
 */
export class MobzError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {{ retryAfter?: number, path?: string, cause?: unknown }} [detail]
   */
  constructor(code, message, detail = {}) {
    super(message, 'cause' in detail ? { cause: detail.cause } : undefined);
    this.name = 'MobzError';
    /** What went wrong, for programs. */
    this.code = code;
    /** Milliseconds to wait before trying again, when the server says so. */
    this.retryAfter = detail.retryAfter;
    /** Where in the refused signal the fault is, for `bad_signal`. */
    this.path = detail.path;
  }

  /**
   * Makes an error of an `Error` signal.
   * @param {{ code?: string, message?: string, retryAfter?: number, path?: string }} signal
   */
  static of(signal) {
    const code = signal.code ?? 'internal';
    return new MobzError(code, signal.message ?? `the server refused: ${code}`, {
      retryAfter: signal.retryAfter,
      path: signal.path,
    });
  }
}
