/** What a page says when there is no camera. */

/**
 * @param {'denied' | 'missing' | 'busy' | 'insecure'} kind
 * @returns {[title: string, text: string]}
 */
export function noCamera(kind) {
  switch (kind) {
    case 'denied':
      return ['The camera is not allowed', 'Allow it beside the address, then ask again. You can also join and only watch and listen.'];
    case 'missing':
      return ['No camera found', 'You can join and only watch and listen, or send a test picture.'];
    case 'insecure':
      return ['The browser keeps the camera closed', 'It opens cameras only for HTTPS and for this machine itself. You can still watch and listen.'];
    default:
      return ['The camera does not start', 'Another program may be using it. You can join without it, or send a test picture.'];
  }
}
