/** Figures as people read them. */

/** @param {number} bits a second */
export function bitrate(bits) {
  return bits >= 1_000_000 ? `${(bits / 1_000_000).toFixed(bits < 10_000_000 ? 1 : 0)} Mbit/s` : `${Math.round(bits / 1000)} kbit/s`;
}

/**
 * @param {number | undefined} seconds
 * @param {number} [digits]
 */
export function inSeconds(seconds, digits = 1) {
  return seconds === undefined || !Number.isFinite(seconds) ? '–' : `${seconds.toFixed(digits)} s`;
}

/**
 * A call's figures, each in an element of its own.
 * @param {import('../mobz.js').CallStats} stats
 */
export function callLine({ received, sent, roundTrip, path }) {
  const { video } = received;
  const down = (received.video?.bitrate ?? 0) + (received.audio?.bitrate ?? 0);
  const up = (sent.video?.bitrate ?? 0) + (sent.audio?.bitrate ?? 0);
  const parts = [
    video?.width ? `${video.width}×${video.height}` : undefined,
    video?.framesPerSecond ? `${Math.round(video.framesPerSecond)} fps` : undefined,
    `↓ ${bitrate(down)}`,
    `↑ ${bitrate(up)}`,
    roundTrip === undefined ? undefined : `${Math.max(1, Math.round(roundTrip))} ms round trip`,
    path && `${path.local === 'relay' || path.remote === 'relay' ? 'relayed' : 'direct'} ${path.protocol?.toUpperCase() ?? ''}`,
    video?.codec,
  ];
  return parts.filter((it) => it !== undefined).map((it) => {
    const element = document.createElement('span');
    element.textContent = String(it);
    return element;
  });
}
