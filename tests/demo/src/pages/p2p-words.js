/** What the call page says when a call has ended. */

/**
 * @typedef {{ label: string, icon?: string, primary?: boolean, href: string } | { label: string, icon?: string, primary?: boolean }} Action
 *   without an address, it joins again
 */

/**
 * @param {import('../mobz.js').Closing} why
 * @param {string} room
 * @returns {{ icon: string, title: string, text: string, actions: Action[] }}
 */
export function ending({ reason, error }, room) {
  const again = { label: 'Join again', icon: 'arrow', primary: true };
  const retry = { ...again, label: 'Try again' };
  const home = { label: 'Home', icon: 'home', href: './' };
  const other = { label: 'New room', icon: 'camera', href: 'p2p.html' };
  switch (error?.code) {
    case 'room_full':
      return { icon: 'people', title: 'This room is full', text: `Two people are talking in ${room} already.`, actions: [retry, other] };
    case 'mode_mismatch': {
      const watch = { label: 'Watch it', icon: 'play', primary: true, href: `p2m.html?room=${room}` };
      return { icon: 'signal', title: 'This room is something else', text: `${room} is not a call between two. It may be a live stream.`, actions: [watch, other] };
    }
    case 'unreachable':
      return { icon: 'warning', title: 'The server does not answer', text: 'Check your network, and that the stack runs.', actions: [retry, home] };
    case 'unauthorized':
    case 'forbidden':
      return { icon: 'door', title: 'This room needs an invitation', text: error.message, actions: [retry, home] };
    case undefined:
      break;
    default:
      return { icon: 'warning', title: 'That did not work', text: error?.message ?? '', actions: [retry, home] };
  }
  switch (reason) {
    case 'left':
      return { icon: 'door', title: 'You left the call', text: `The room ${room} stays open for who is in it.`, actions: [again, home] };
    case 'replaced':
      return { icon: 'copy', title: 'The call goes on elsewhere', text: 'You joined it again in another tab or on another device.', actions: [{ ...again, label: 'Take it back' }, home] };
    case 'closed':
      return { icon: 'ended', title: 'The room was closed', text: 'Whoever runs this server ended it.', actions: [other, home] };
    default:
      return { icon: 'door', title: 'You were removed from the call', text: reason === 'kicked' || reason === 'refused' ? '' : `The reason given: ${reason}`, actions: [home] };
  }
}
