/**
 * Who is in the room, kept from the server's signals and their versions (PROTOCOL.md §3).
 * Pure: signals in, events out, no clock and no connection.
 *
 * @typedef {import('../mobz.js').Participant} Participant
 * @typedef {import('../mobz.js').Publisher} Publisher
 * @typedef {[name: string, ...args: any[]]} RosterEvent
 */

/** Signals that tell of room state, and so carry `version`. */
const STATE_SIGNALS = new Set(['ParticipantChange', 'PublishListChangeAck', 'UpdateVideo']);

/** State signals held back while a `Sync` is under way; past this they are dropped, and the next gap syncs again. */
const HELD_MAX = 1024;

export class Roster {
  /** @type {Map<string, Participant>} */
  participants = new Map();
  /** @type {Publisher[]} */
  publishers = [];
  /** The owner's user id. */
  owner = '';
  version = 0;
  /** Whether a gap was seen and `RoomState` is awaited. */
  syncing = false;
  /** @type {any[]} */
  #held = [];

  /**
   * Whether `apply` is for this signal.
   * @param {{ type: string }} signal
   */
  static concerns(signal) {
    return STATE_SIGNALS.has(signal.type);
  }

  /**
   * Begins anew from the JoinAck of a Join without `resume`: all others were here first.
   * @param {any} ack
   */
  start(ack) {
    this.participants = new Map(
      ack.participants.map((/** @type {any} */ it) => [it.user, { ...it, earlier: it.user !== ack.user }]),
    );
    this.publishers = ack.publishers ?? [];
    this.owner = ack.owner;
    this.version = ack.version;
    this.syncing = false;
    this.#held = [];
  }

  /**
   * Takes the whole state from a `RoomState`, or from the JoinAck of a resume; returns what changed by it.
   * @param {any} state
   * @returns {RosterEvent[]}
   */
  replace(state) {
    /** @type {RosterEvent[]} */
    const events = [];
    if (state.version >= this.version) {
      const now = new Map(state.participants.map((/** @type {any} */ it) => [it.user, it]));
      for (const user of [...this.participants.keys()]) {
        if (!now.has(user)) events.push(...this.#leave(user, 'left'));
      }
      for (const it of now.values()) events.push(...this.#put(it));
      events.push(...this.#publish(state.publishers ?? this.publishers, {}), ...this.#own(state.owner));
      this.version = state.version;
    }
    this.syncing = false;
    const held = this.#held;
    this.#held = [];
    return [...events, ...held.flatMap((signal) => this.apply(signal))];
  }

  /**
   * Takes one change. Older ones are dropped; at a gap `syncing` is true afterwards, and the caller
   * sends `Sync`.
   * @param {any} signal
   * @returns {RosterEvent[]}
   */
  apply(signal) {
    if (!this.syncing && signal.version > this.version + 1) this.syncing = true;
    if (this.syncing) {
      if (this.#held.length < HELD_MAX) this.#held.push(signal);
      return [];
    }
    if (signal.version < this.version) return [];
    this.version = signal.version;
    switch (signal.type) {
      case 'ParticipantChange':
        return this.#change(signal);
      case 'PublishListChangeAck':
        return this.#publish(signal.publishers ?? [], signal);
      case 'UpdateVideo':
        return this.#flags(signal.from, signal);
      default:
        return [];
    }
  }

  /**
   * @param {any} change
   * @returns {RosterEvent[]}
   */
  #change(change) {
    /** @type {RosterEvent[]} */
    const events = [];
    // A participant that starts afresh is in both lists: it goes, then comes.
    for (const { user, reason } of change.left ?? []) events.push(...this.#leave(user, reason));
    for (const it of change.joined ?? []) events.push(...this.#put(it));
    for (const user of change.away ?? []) events.push(...this.#presence(user, true));
    for (const user of change.back ?? []) events.push(...this.#presence(user, false));
    return [...events, ...this.#own(change.owner)];
  }

  /**
   * @param {any} it
   * @returns {RosterEvent[]}
   */
  #put(it) {
    const known = this.participants.get(it.user);
    if (!known) {
      const participant = { ...it, earlier: false };
      this.participants.set(it.user, participant);
      return [['participantJoined', participant]];
    }
    const wasAway = known.away;
    const changed = ['name', 'participantType', 'video', 'audio'].some(
      (key) => key in it && it[key] !== /** @type {any} */ (known)[key],
    );
    Object.assign(known, it);
    /** @type {RosterEvent[]} */
    const events = changed ? [['participantUpdated', known]] : [];
    if (Boolean(wasAway) !== Boolean(it.away)) events.push([it.away ? 'participantAway' : 'participantBack', known]);
    return events;
  }

  /**
   * @param {string} user
   * @param {string} reason
   * @returns {RosterEvent[]}
   */
  #leave(user, reason) {
    const known = this.participants.get(user);
    if (!known) return [];
    this.participants.delete(user);
    return [['participantLeft', known, reason]];
  }

  /**
   * @param {string} user
   * @param {boolean} away
   * @returns {RosterEvent[]}
   */
  #presence(user, away) {
    const known = this.participants.get(user);
    if (!known || Boolean(known.away) === away) return [];
    known.away = away;
    return [[away ? 'participantAway' : 'participantBack', known]];
  }

  /**
   * @param {string} user
   * @param {{ video?: boolean, audio?: boolean }} flags
   * @returns {RosterEvent[]}
   */
  #flags(user, flags) {
    const known = this.participants.get(user);
    if (!known) return [];
    if (flags.video !== undefined) known.video = flags.video;
    if (flags.audio !== undefined) known.audio = flags.audio;
    return [['participantUpdated', known]];
  }

  /**
   * @param {Publisher[]} publishers
   * @param {{ added?: string[], removed?: string[], moved?: any[] }} change
   * @returns {RosterEvent[]}
   */
  #publish(publishers, change) {
    if (JSON.stringify(publishers) === JSON.stringify(this.publishers)) return [];
    this.publishers = publishers;
    const { added = [], removed = [], moved = [] } = change;
    // Who became a publisher, or is one no longer, is told by the list alone.
    const became = added.flatMap((user) => this.#turn(user, 'publisher', publishers.find((it) => it.user === user)));
    const ceased = removed.flatMap((user) => this.#turn(user, 'viewer', { video: false, audio: false }));
    return [...became, ...ceased, ['publishers', publishers, { added, removed, moved }]];
  }

  /**
   * @param {string} user
   * @param {import('../mobz.js').ParticipantType} participantType
   * @param {{ video: boolean, audio: boolean } | undefined} flags
   * @returns {RosterEvent[]}
   */
  #turn(user, participantType, flags) {
    const known = this.participants.get(user);
    if (!known || known.participantType === participantType) return [];
    Object.assign(known, { participantType, video: Boolean(flags?.video), audio: Boolean(flags?.audio) });
    return [['participantUpdated', known]];
  }

  /**
   * @param {string | undefined} owner
   * @returns {RosterEvent[]}
   */
  #own(owner) {
    if (!owner || owner === this.owner) return [];
    this.owner = owner;
    return [['owner', owner]];
  }
}
