/** One's camera and microphone on a page with a preview: opening, turning on and off, and what is said of it. */
import { noCamera } from './camera-words.js';
import { setIcon, the, toast } from './dom.js';
import { openCamera, openMedia, testPicture, testSound } from './media.js';

/** @typedef {'audio' | 'video'} Kind */

/**
 * Needs of the page: `#preview` with `#preview-cover`, `#preview-title`, `#preview-text`, `#camera-again` and
 * `#use-test`, and a `[data-toggle]` button of each kind.
 */
export class Devices {
  /** @type {Record<Kind, MediaStreamTrack | null>} */
  tracks = { audio: null, video: null };

  #testing = false;
  /** Wakes the test sound, where there is one. @type {() => void} */
  #wake = () => {};
  /** @type {import('./camera-words.js').Purpose} */
  #purpose;
  /** @type {(kind: Kind, track: MediaStreamTrack | null) => void} */
  #taken;
  /** @type {() => void} */
  #changed;

  /**
   * @param {object} hear
   * @param {(kind: Kind, track: MediaStreamTrack | null) => void} hear.taken a track takes the place of another
   * @param {() => void} hear.changed flags or tracks are other ones, and the preview shows them
   * @param {import('./camera-words.js').Purpose} [hear.purpose] what they are for: a call, where a test picture is
   *   silent, or a stream, where it has a tone
   */
  constructor({ taken, changed, purpose = 'call' }) {
    this.#purpose = purpose;
    this.#taken = taken;
    this.#changed = changed;
    the('use-test').addEventListener('click', () => this.useTest());
    the('camera-again').addEventListener('click', () => this.useCamera());
    for (const toggle of document.querySelectorAll('[data-toggle]')) {
      toggle.addEventListener('click', () => this.flip(/** @type {any} */ (toggle).dataset.toggle));
    }
  }

  /** Those there are. */
  get list() {
    return [this.tracks.audio, this.tracks.video].filter((it) => it !== null);
  }

  /** What others are told. */
  get flags() {
    return { video: Boolean(this.tracks.video), audio: Boolean(this.tracks.audio?.enabled) };
  }

  /** The picture for one's own eyes; a camera's is mirrored. */
  get mirrored() {
    return !this.#testing;
  }

  async useCamera() {
    this.#cover('Asking for your camera…', 'Allow it in the browser, if it asks.', false);
    try {
      const stream = await openMedia();
      this.#testing = false;
      this.#take('audio', stream.getAudioTracks()[0] ?? null);
      this.#take('video', stream.getVideoTracks()[0] ?? null);
      if (!this.tracks.video) this.#cover(...noCamera('missing', this.#purpose), true);
    } catch (problem) {
      const { kind } = /** @type {import('./media.js').MediaProblem} */ (problem);
      this.#cover(...noCamera(kind, this.#purpose), true);
    }
    this.#show();
  }

  useTest() {
    this.#testing = true;
    this.#take('video', testPicture());
    if (this.#purpose === 'stream') {
      const { track, wake } = testSound();
      this.#wake = wake;
      this.#take('audio', track);
      wake();
    }
    this.#show();
  }

  /** Starts the test sound; of use in a gesture, where the browser wants one before there is any sound. */
  wake() {
    this.#wake();
  }

  /** @param {Kind} kind */
  async flip(kind) {
    const track = this.tracks[kind];
    if (kind === 'audio') {
      if (!track) return toast('There is no microphone to turn on');
      track.enabled = !track.enabled;
    } else if (track) {
      // Ended, not only blank, so that the camera's light goes out.
      this.#take('video', null);
      this.#cover(...noCamera('off', this.#purpose), false);
    } else if (this.#testing) {
      this.#take('video', testPicture());
    } else {
      const camera = await openCamera().catch(() => undefined);
      if (!camera) return toast('The camera cannot be opened: allow it for this page');
      this.#take('video', camera);
    }
    this.#show();
  }

  /**
   * @param {string} title
   * @param {string} text
   * @param {boolean} offer whether the ways out are offered
   */
  #cover(title, text, offer) {
    the('preview-title').textContent = title;
    the('preview-text').textContent = text;
    the('camera-again').hidden = !offer;
    the('use-test').hidden = !offer;
  }

  /**
   * @param {Kind} kind
   * @param {MediaStreamTrack | null} track
   */
  #take(kind, track) {
    if (this.tracks[kind] !== track) this.tracks[kind]?.stop();
    this.tracks[kind] = track;
    this.#taken(kind, track);
    track?.addEventListener('ended', () => {
      if (this.tracks[kind] !== track) return;
      toast(kind === 'video' ? 'The camera was taken away' : 'The microphone was taken away');
      this.#take(kind, null);
      this.#show();
    });
  }

  #show() {
    const { video, audio } = this.flags;
    the('preview').srcObject = this.tracks.video ? new MediaStream([this.tracks.video]) : null;
    the('preview').classList.toggle('mirrored', this.mirrored);
    the('preview-cover').hidden = video;
    for (const toggle of document.querySelectorAll('[data-toggle]')) {
      const kind = /** @type {Kind} */ (/** @type {HTMLElement} */ (toggle).dataset.toggle);
      const on = kind === 'audio' ? audio : video;
      setIcon(toggle, (kind === 'audio' ? 'mic' : 'camera') + (on ? '' : '-off'));
      toggle.setAttribute('aria-pressed', String(!on));
      const [mute, unmute] = kind === 'audio' ? ['Mute the microphone', 'Turn the microphone on'] : ['Turn the camera off', 'Turn the camera on'];
      toggle.setAttribute('aria-label', on ? mute : unmute);
    }
    this.#changed();
  }
}
