/** The camera and microphone of this machine, or a drawn picture in their place. */
import { query } from './config.js';

/** What is asked of the camera; it gives the nearest it can. */
const VIDEO = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
/** Pictures a second of the test picture. */
const TEST_FPS = 30;
/** Seconds that the test picture flashes, and the test sound is heard, as each second begins. */
const FLASH_S = 0.1;
/** Seconds before its time that a tone is set. */
const TONE_AHEAD_S = 0.2;

/**
 * Opens camera and microphone, or the one of them there is.
 * @returns {Promise<MediaStream>}
 */
export async function openMedia() {
  if (!navigator.mediaDevices) throw new MediaProblem('insecure');
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: true, video: VIDEO });
  } catch (error) {
    if (/** @type {DOMException} */ (error).name !== 'NotFoundError') throw MediaProblem.of(error);
  }
  try {
    return await navigator.mediaDevices.getUserMedia({ video: VIDEO });
  } catch {
    return navigator.mediaDevices.getUserMedia({ audio: true }).catch((error) => {
      throw MediaProblem.of(error);
    });
  }
}

/** Opens the camera again, after it was turned off. */
export async function openCamera() {
  const stream = await navigator.mediaDevices.getUserMedia({ video: VIDEO });
  return stream.getVideoTracks()[0];
}

/** Why there is no camera: `denied`, `missing`, `busy` or `insecure`. */
export class MediaProblem extends Error {
  /** @param {'denied' | 'missing' | 'busy' | 'insecure'} kind */
  constructor(kind) {
    super(`no camera: ${kind}`);
    this.kind = kind;
  }

  /** @param {unknown} error */
  static of(error) {
    const name = /** @type {DOMException} */ (error).name;
    if (name === 'NotAllowedError' || name === 'SecurityError') return new MediaProblem('denied');
    return new MediaProblem(name === 'NotFoundError' || name === 'OverconstrainedError' ? 'missing' : 'busy');
  }
}

/**
 * A test sound to go with the picture: a short tone as each second begins, when the picture flashes.
 * @returns {{ track: MediaStreamTrack, wake: () => void }} `wake` starts it, in a gesture where the browser wants one
 */
export function testSound() {
  const context = new AudioContext();
  const tone = new OscillatorNode(context, { frequency: 880 });
  const gate = new GainNode(context, { gain: 0 });
  const out = context.createMediaStreamDestination();
  tone.connect(gate).connect(out);
  tone.start();
  const [track] = out.stream.getAudioTracks();
  const timer = setInterval(() => {
    if (track.readyState === 'ended') {
      clearInterval(timer);
      context.close();
    }
    const toNext = (1000 - (Date.now() % 1000)) / 1000;
    // Each tone is set once, a little ahead, by the sound's own clock.
    if (toNext > TONE_AHEAD_S) return;
    const at = context.currentTime + toNext;
    gate.gain.setValueAtTime(0.25, at);
    gate.gain.setValueAtTime(0, at + FLASH_S);
  }, TONE_AHEAD_S * 900);
  return { track, wake: () => context.resume() };
}

/**
 * A moving test picture with a clock, for machines without a camera.
 * @returns {MediaStreamTrack}
 */
export function testPicture() {
  const canvas = document.createElement('canvas');
  canvas.width = 1280;
  canvas.height = 720;
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  const track = canvas.captureStream(TEST_FPS).getVideoTracks()[0];
  // One's own colours, or those the page's address asks for.
  const hue = Number(query.get('test')) || Math.floor(Math.random() * 360);
  // Not an animation frame: those stop while the tab is in the background, and the other would see a still.
  const timer = setInterval(() => {
    if (track.readyState === 'ended') clearInterval(timer);
    draw(pen, hue, performance.now() / 1000);
  }, 1000 / TEST_FPS);
  draw(pen, hue, 0);
  return track;
}

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {number} hue
 * @param {number} seconds
 */
function draw(pen, hue, seconds) {
  const { width, height } = pen.canvas;
  const back = pen.createLinearGradient(0, 0, width, height);
  back.addColorStop(0, `hsl(${hue} 45% 16%)`);
  back.addColorStop(1, `hsl(${hue + 60} 55% 26%)`);
  pen.fillStyle = back;
  pen.fillRect(0, 0, width, height);
  for (let index = 0; index < 5; index += 1) {
    const angle = seconds * (0.5 + index * 0.13) + index * 1.3;
    pen.beginPath();
    pen.arc(width / 2 + Math.cos(angle) * width * 0.34, height / 2 + Math.sin(angle * 1.2) * height * 0.3, 46 + index * 16, 0, 7);
    pen.fillStyle = `hsl(${hue + index * 26} 75% 62% / 0.6)`;
    pen.fill();
  }
  pen.fillStyle = '#fff';
  if (Date.now() % 1000 < FLASH_S * 1000) pen.fillRect(width / 2 - 60, height * 0.72, 120, 60);
  pen.font = '600 92px system-ui, sans-serif';
  pen.textAlign = 'center';
  pen.fillText(new Date().toISOString().slice(11, 22), width / 2, height / 2 + 32);
}
