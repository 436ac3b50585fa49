/** Small things every page does to its document. */

/** Milliseconds a toast stays. */
const TOAST_MS = 3_500;

/**
 * The element of an id, which the page has by construction.
 * @param {string} id
 * @returns {any}
 */
export function the(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

/**
 * An icon of assets/icons.svg; what it means is said by the text or label next to it.
 * @param {string} name
 */
export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  use.setAttribute('href', `assets/icons.svg#${name}`);
  svg.append(use);
  return svg;
}

/**
 * Gives a button another icon.
 * @param {Element} button
 * @param {string} name
 */
export function setIcon(button, name) {
  button.querySelector('use')?.setAttribute('href', `assets/icons.svg#${name}`);
}

/**
 * A button, or a link when it is given an address.
 * @param {{ label: string, icon?: string, primary?: boolean, href?: string, act?: () => void }} what
 */
export function button({ label, icon: name, primary, href, act }) {
  const element = document.createElement(href ? 'a' : 'button');
  element.className = primary ? 'button primary' : 'button';
  if (element instanceof HTMLAnchorElement) element.href = href ?? '';
  else element.type = 'button';
  if (name) element.append(icon(name));
  element.append(label);
  if (act) element.addEventListener('click', act);
  return element;
}

/**
 * What stands where there is no picture of somebody.
 * @param {string | undefined} name
 */
export function avatar(name) {
  const element = document.createElement('div');
  element.className = 'avatar';
  element.textContent = [...(name ?? '')][0]?.toUpperCase() ?? '';
  if (!name) element.append(icon('people'));
  return element;
}

/**
 * Says something for a moment, aloud to screen readers too.
 * @param {string} text
 */
export function toast(text) {
  const area = the('toasts');
  const line = document.createElement('p');
  line.className = 'toast';
  line.textContent = text;
  area.append(line);
  setTimeout(() => line.remove(), TOAST_MS);
}

/**
 * Makes a button copy a text when it is pressed.
 * @param {HTMLElement} element
 * @param {() => string} text
 * @param {string} done what is said then
 */
export function copies(element, text, done) {
  element.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(text());
      setIcon(element, 'check');
      setTimeout(() => setIcon(element, 'copy'), 1_500);
      toast(done);
    } catch {
      // Without HTTPS or the permission there is no clipboard to write to.
      prompt('Copy this:', text());
    }
  });
}
