/** What the publish page says when publishing has ended. */

/**
 * Why it ended, as a sentence; undefined when the user ended it.
 * @param {import('../mobz.js').MobzError | undefined} error
 * @param {string} [reason] of the room's closing
 * @returns {string | undefined}
 */
export function ended(error, reason) {
  switch (error?.code) {
    case undefined:
      break;
    case 'mode_mismatch':
      return 'This room is a call, not a stream. Choose another room.';
    case 'publishers_full':
    case 'not_publisher':
      return 'Somebody else publishes to this room. Wait until they stop, or choose another room.';
    case 'unreachable':
      return 'The server does not answer. Check your network, and that the stack runs.';
    case 'closed':
      break;
    default:
      return error?.message;
  }
  switch (reason) {
    case undefined:
    case 'left':
      return undefined;
    case 'replaced':
      return 'You publish to this room from another tab.';
    case 'closed':
      return 'The room was closed.';
    default:
      return `You were removed from the room${reason === 'kicked' || reason === 'refused' ? '' : `: ${reason}`}.`;
  }
}
