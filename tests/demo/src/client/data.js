/** Bytes of a message's JSON that are not its fields: the length before it, and `chunk`. */
const CHUNK_BYTES = 64;

/**
 * A data signal in its binary form (PROTOCOL.md §5): one message, or as many pieces as `messageMax` asks for.
 * @param {{ [field: string]: unknown }} signal
 * @param {Uint8Array} media
 * @param {number} messageMax bytes
 * @returns {Uint8Array[]}
 */
export function dataMessages(signal, media, messageMax) {
  const room = messageMax - encode(signal).length - CHUNK_BYTES;
  if (media.length <= room) return [message(signal, media)];
  const count = Math.ceil(media.length / room);
  return Array.from({ length: count }, (_, index) =>
    message({ ...signal, chunk: { index, count } }, media.subarray(index * room, (index + 1) * room)),
  );
}

/**
 * @param {{ [field: string]: unknown }} signal
 * @param {Uint8Array} media
 */
function message(signal, media) {
  const json = encode(signal);
  const whole = new Uint8Array(4 + json.length + media.length);
  new DataView(whole.buffer).setUint32(0, json.length);
  whole.set(json, 4);
  whole.set(media, 4 + json.length);
  return whole;
}

/** @param {unknown} value */
function encode(value) {
  return new TextEncoder().encode(JSON.stringify(value));
}
