/** Who is in the room: the list, the requests to be seen, and what an owner may do about them. */
import { button, icon, the } from '../site/dom.js';

/**
 * @typedef {object} Deeds
 * @property {(user: string) => void} kick
 * @property {(user: string) => void} accept
 * @property {(user: string) => void} reject
 */

/**
 * @param {import('../mobz.js').Room} room
 * @param {Set<string>} requests users who ask to be seen
 * @param {Deeds} deeds
 */
export function showPeople(room, requests, deeds) {
  const owns = room.owner === room.user;
  const people = [...room.participants].sort((one, other) => rank(room, one) - rank(room, other) || nameOf(one).localeCompare(nameOf(other)));
  the('people-count').textContent = String(people.length);
  the('people-list').replaceChildren(...people.map((it) => row(room, it, owns ? deeds : undefined)));
  const asking = room.participants.filter((it) => requests.has(it.user));
  the('requests').replaceChildren(...asking.map((it) => request(it, deeds)));
  the('request-count').hidden = asking.length === 0;
  the('request-count').textContent = String(asking.length);
}

/** @param {import('../mobz.js').Participant | undefined} person */
export function nameOf(person) {
  return person?.name || person?.user || 'Someone';
}

/**
 * @param {import('../mobz.js').Room} room
 * @param {import('../mobz.js').Participant} person
 */
function rank(room, person) {
  if (person.user === room.owner) return 0;
  return person.participantType === 'publisher' ? 1 : 2;
}

/**
 * @param {import('../mobz.js').Room} room
 * @param {import('../mobz.js').Participant} person
 * @param {Deeds | undefined} deeds
 */
function row(room, person, deeds) {
  const line = document.createElement('li');
  line.dataset.user = person.user;
  line.classList.toggle('away', person.away);
  const name = document.createElement('span');
  name.textContent = nameOf(person) + (person.user === room.user ? ' (you)' : '');
  const what = document.createElement('small');
  what.textContent = person.away ? 'Away' : person.participantType === 'publisher' ? 'Seen' : 'Watching';
  line.append(name, what);
  if (person.user === room.owner) {
    const crown = icon('crown');
    crown.removeAttribute('aria-hidden');
    crown.setAttribute('role', 'img');
    crown.setAttribute('aria-label', 'Owner');
    line.prepend(crown);
  }
  if (deeds && person.user !== room.user) line.append(small('Remove', 'cross', () => deeds.kick(person.user)));
  return line;
}

/**
 * @param {import('../mobz.js').Participant} person
 * @param {Deeds} deeds
 */
function request(person, deeds) {
  const line = document.createElement('li');
  line.dataset.user = person.user;
  const words = document.createElement('span');
  words.textContent = `${nameOf(person)} asks to be seen`;
  line.append(icon('hand'), words, small('Let in', 'check', () => deeds.accept(person.user)), small('Not now', 'cross', () => deeds.reject(person.user)));
  return line;
}

/**
 * @param {string} label
 * @param {string} name
 * @param {() => void} act
 */
function small(label, name, act) {
  const made = button({ label, icon: name, act });
  made.classList.add('small');
  return made;
}
