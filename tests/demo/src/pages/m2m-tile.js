/** One person's place in the grid: picture, name, figures, and the choice of its size. */
import { avatar } from '../site/dom.js';
import { bitrate } from '../site/figures.js';

/** The simulcast layers, as people know them. */
const SIZES = [
  { value: '2', label: 'Large' },
  { value: '1', label: 'Medium' },
  { value: '0', label: 'Small' },
];

export class Tile {
  element = document.createElement('figure');
  video = document.createElement('video');

  #cover = document.createElement('div');
  #name = document.createElement('figcaption');
  #figures = document.createElement('p');
  /** @type {HTMLSelectElement | undefined} */
  #size;
  #key = '';

  /**
   * @param {string} user
   * @param {{ own?: boolean, choose?: (substream: number) => Promise<unknown> }} options
   */
  constructor(user, { own = false, choose } = {}) {
    this.element.className = own ? 'tile own' : 'tile';
    this.element.dataset.user = user;
    Object.assign(this.video, { playsInline: true, autoplay: true, muted: own });
    this.#cover.className = 'tile-cover';
    this.#name.className = 'name-tag';
    this.#figures.className = 'tile-figures';
    this.element.append(this.video, this.#cover, this.#name, this.#figures);
    if (choose) this.#offerSizes(choose);
  }

  /**
   * @param {import('../mobz.js').Participant | undefined} person
   * @param {{ stream: MediaStream | null, state: string, own?: boolean, mirrored?: boolean }} how
   */
  show(person, { stream, state, own = false, mirrored = false }) {
    if (this.video.srcObject !== stream) this.video.srcObject = stream;
    this.video.classList.toggle('mirrored', mirrored);
    const name = person?.name || (own ? 'You' : person?.user ?? 'Someone');
    const marks = [own && person?.name ? 'you' : '', person && !person.audio ? 'muted' : '', person?.away ? 'away' : ''];
    this.#name.textContent = [name, ...marks.filter(Boolean)].join(' · ');
    // One's own picture needs no connection to be seen by oneself.
    const seen = own || state === 'connected' || state === 'live';
    this.element.dataset.state = seen ? 'seen' : state;
    const covered = !seen || !person?.video;
    this.#cover.hidden = !covered;
    const words = !seen && state !== 'interrupted' ? 'Connecting…' : state === 'interrupted' ? 'Interrupted' : 'Camera off';
    const key = `${name} ${words}`;
    if (covered && key !== this.#key) {
      const text = document.createElement('p');
      text.textContent = words;
      this.#cover.replaceChildren(avatar(person?.name), text);
    }
    this.#key = key;
    if (this.#size) this.#size.disabled = !seen;
  }

  /** @param {import('../mobz.js').StreamStats | undefined} video */
  figures(video) {
    if (!video) {
      this.#figures.textContent = '';
      return;
    }
    const parts = [
      video.width ? `${video.width}×${video.height}` : undefined,
      video.framesPerSecond ? `${Math.round(video.framesPerSecond)} fps` : undefined,
      bitrate(video.bitrate),
      video.lost > 0 ? `${video.lost} lost` : undefined,
    ];
    this.#figures.textContent = parts.filter(Boolean).join(' · ');
  }

  /** @param {(substream: number) => Promise<unknown>} choose */
  #offerSizes(choose) {
    const size = document.createElement('select');
    size.setAttribute('aria-label', 'Size of this picture');
    for (const { value, label } of SIZES) size.add(new Option(label, value));
    let chosen = size.value;
    size.addEventListener('change', async () => {
      const wanted = size.value;
      size.classList.add('waiting');
      try {
        await choose(Number(wanted));
        chosen = wanted;
      } catch {
        size.value = chosen;
      }
      size.classList.remove('waiting');
    });
    this.#size = size;
    this.element.append(size);
  }
}
