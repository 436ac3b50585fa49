/**
 * The MobZ browser client: rooms, calls between two and in groups, live publishing and playback.
 *
 * It speaks PROTOCOL.md over one WebSocket, takes lost connections up again by itself and
 * depends on nothing. Its contract is in mobz.d.ts; `connect` is where to begin.
 *
 * @module mobz
 */
export { Broadcast } from './client/broadcast.js';
export { Call } from './client/call.js';
export { MobzError } from './client/error.js';
export { Group } from './client/group.js';
export { Live } from './client/live.js';
export { connect } from './client/room.js';
