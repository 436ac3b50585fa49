import { setIcon, the } from '../site/dom.js';
import { bitrate } from '../site/figures.js';

/** Milliseconds without the pointer moving before the controls hide. */
const HIDE_MS = 3_000;
/** Milliseconds between two looks at whether the picture is at the live edge. */
const LOOK_MS = 500;
/** How much one arrow key changes the volume. */
const VOLUME_STEP = 0.1;

/** @typedef {{ height?: number, bitrate: number }} Level */

/** The player's buttons and keys: space or k, m, f, l, and the arrows up and down. */
export class Controls {
  #player;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #hide;

  /** @param {import('../site/player.js').Player} player */
  constructor(player) {
    this.#player = player;
    const { video } = player;
    the('play').addEventListener('click', () => this.#playOrPause());
    the('mute').addEventListener('click', () => this.#mute());
    the('unmute').addEventListener('click', () => this.#mute());
    the('full').addEventListener('click', () => this.#full());
    the('edge').addEventListener('click', () => player.toEdge());
    the('volume').addEventListener('input', () => this.#volume(Number(the('volume').value)));
    the('quality').addEventListener('change', () => {
      player.choose(Number(the('quality').value));
      this.#showLevel();
    });
    video.addEventListener('click', () => this.#playOrPause());
    for (const event of ['play', 'pause', 'volumechange', 'emptied']) video.addEventListener(event, () => this.#show());
    player.on('levels', (levels) => this.#levels(levels));
    player.on('level', () => this.#showLevel());
    addEventListener('keydown', (event) => this.#key(event));
    for (const event of ['pointermove', 'focusin', 'keydown']) the('player').addEventListener(event, () => this.#wake());
    setInterval(() => this.#showEdge(), LOOK_MS);
    this.#show();
  }

  #playOrPause() {
    const { video } = this.#player;
    if (!video.paused) video.pause();
    else video.play().catch(() => {});
  }

  #mute() {
    const { video } = this.#player;
    video.muted = !video.muted;
    if (!video.muted && video.volume === 0) video.volume = 1;
  }

  /** @param {number} volume */
  #volume(volume) {
    const { video } = this.#player;
    video.volume = Math.min(1, Math.max(0, volume));
    video.muted = video.volume === 0;
  }

  #full() {
    if (document.fullscreenElement) document.exitFullscreen();
    else the('player').requestFullscreen?.().catch(() => {});
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const on = /** @type {HTMLElement} */ (event.target);
    // Keys belong to the control that has the focus.
    if (event.ctrlKey || event.metaKey || event.altKey || on.closest('button, a, input, select')) return;
    const { video } = this.#player;
    switch (event.key) {
      case ' ':
      case 'k':
        this.#playOrPause();
        break;
      case 'm':
        this.#mute();
        break;
      case 'f':
        this.#full();
        break;
      case 'l':
        this.#player.toEdge();
        break;
      case 'ArrowUp':
        this.#volume(video.volume + VOLUME_STEP);
        break;
      case 'ArrowDown':
        this.#volume(video.volume - VOLUME_STEP);
        break;
      default:
        return;
    }
    event.preventDefault();
    this.#wake();
  }

  #wake() {
    const box = the('player');
    box.classList.remove('quiet-controls');
    clearTimeout(this.#hide);
    this.#hide = setTimeout(() => {
      const busy = box.matches(':has(.player-bar :focus-visible)') || this.#player.video.paused;
      if (!busy) box.classList.add('quiet-controls');
    }, HIDE_MS);
  }

  /** @param {Level[]} levels the lowest first */
  #levels(levels) {
    const select = the('quality');
    select.replaceChildren(new Option('Auto', '-1'), ...levels.map((level, index) => new Option(levelName(level), String(index))).reverse());
    select.hidden = levels.length < 2;
  }

  /** What is chosen by itself is told, too. */
  #showLevel() {
    const [auto] = the('quality').options;
    const { level } = this.#player;
    if (auto) auto.textContent = level && the('quality').value === '-1' ? `Auto · ${levelName(level)}` : 'Auto';
  }

  #show() {
    const { video } = this.#player;
    setIcon(the('play'), video.paused ? 'play' : 'pause');
    the('play').setAttribute('aria-label', video.paused ? 'Play' : 'Pause');
    setIcon(the('mute'), video.muted ? 'sound-off' : 'sound');
    the('mute').setAttribute('aria-label', video.muted ? 'Sound on' : 'Sound off');
    the('volume').value = String(video.muted ? 0 : video.volume);
    the('volume').style.setProperty('--value', the('volume').value);
    if (!video.muted) the('unmute').hidden = true;
  }

  #showEdge() {
    const edge = this.#player.atEdge;
    the('edge').dataset.state = edge ? 'edge' : 'behind';
    the('edge-text').textContent = edge ? 'At the live edge' : 'Go to live';
  }
}

/** @param {Level} level */
function levelName({ height, bitrate: bits }) {
  return height ? `${height}p` : bitrate(bits);
}
