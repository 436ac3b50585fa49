/** What a page says when there is no camera, and when it was turned off. */

/** @typedef {'call' | 'stream'} Purpose what camera and microphone are for */
/** @typedef {'denied' | 'missing' | 'busy' | 'insecure' | 'off'} Kind */

/** @type {Record<Kind, { title: string, call: string, stream: string }>} */
const WORDS = {
  denied: {
    title: 'The camera is not allowed',
    call: 'Allow it beside the address, then ask again. You can also join and only watch and listen.',
    stream: 'Allow it beside the address, then ask again. Or publish a test picture.',
  },
  missing: {
    title: 'No camera found',
    call: 'You can join and only watch and listen, or send a test picture.',
    stream: 'Plug one in and ask again, or publish a test picture.',
  },
  busy: {
    title: 'The camera does not start',
    call: 'Another program may be using it. You can join without it, or send a test picture.',
    stream: 'Another program may be using it. Close that and ask again.',
  },
  insecure: {
    title: 'The browser keeps the camera closed',
    call: 'It opens cameras only for HTTPS and for this machine itself. You can still watch and listen.',
    stream: 'It opens cameras only for HTTPS and for this machine itself. You can publish a test picture.',
  },
  off: {
    title: 'Camera off',
    call: 'Others will see your name.',
    stream: 'Watchers see a black picture, or hear you alone if you go live without it.',
  },
};

/**
 * @param {Kind} kind
 * @param {Purpose} purpose
 * @returns {[title: string, text: string]}
 */
export function noCamera(kind, purpose) {
  const words = WORDS[kind];
  return [words.title, words[purpose]];
}
