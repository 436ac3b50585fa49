/** What the publish page says when it cannot publish, and when publishing has ended. */

/**
 * @param {'denied' | 'missing' | 'busy' | 'insecure'} kind
 * @returns {[title: string, text: string]}
 */
export function noCamera(kind) {
  switch (kind) {
    case 'denied':
      return ['The camera is not allowed', 'Allow it beside the address, then ask again. Or publish a test picture.'];
    case 'missing':
      return ['No camera found', 'Plug one in and ask again, or publish a test picture.'];
    case 'insecure':
      return ['The browser keeps the camera closed', 'It opens cameras only for HTTPS and for this machine itself.'];
    default:
      return ['The camera does not start', 'Another program may be using it. Close that and ask again.'];
  }
}

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
