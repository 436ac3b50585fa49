/** The MobZ browser client. Times are milliseconds; names and codes are those of PROTOCOL.md. */

export type Mode = 'p2p' | 'p2m' | 'm2m';
export type ParticipantType = 'publisher' | 'viewer';
/** `joining` → `joined` ⇄ `reconnecting` → `closed`, which is final. */
export type RoomState = 'joining' | 'joined' | 'reconnecting' | 'closed';
/** `waiting`: nobody there. `interrupted`: media stopped, and is being taken up again. `failed`, `closed`: final until the peer comes anew, and for good. */
export type CallState = 'waiting' | 'connecting' | 'connected' | 'interrupted' | 'failed' | 'closed';

/** `starting` until the first part is stored → `live` ⇄ `interrupted` (connection lost, media waits) → `ended` or `failed`, which are final. */
export type BroadcastState = 'starting' | 'live' | 'interrupted' | 'ended' | 'failed';

/** What one publishes in a group: `off` as a viewer, `waiting` for a place, then on its way; `closed` is final. */
export type PublishState = 'off' | 'waiting' | 'connecting' | 'live' | 'interrupted' | 'closed';
export type RemoteState = 'connecting' | 'connected' | 'interrupted';

export interface ConnectOptions {
  /** The signaling server, `ws://host:7880/signal`; a function is asked again before every attempt. */
  url: string | (() => string | Promise<string>);
  /** 1 to 64 of `A-Z a-z 0-9 _ -`. */
  room: string;
  /** The room's mode; its first Join fixes it. */
  mode: Mode;
  /** Who joins, where the server runs without keys; without `id` it gives one. */
  user?: { id?: string; name?: string };
  /** An access token, where it runs with keys; a function is asked again before every attempt. */
  token?: string | (() => string | Promise<string>);
  /** Whether to join as a publisher; the server's rule of the mode when left out. */
  publish?: boolean;
  /** `Room.resume` of an earlier connection, to take it over; joins afresh when that is too late. */
  resume?: string;
  /** The WebSocket class, where the platform has none of its own (Node.js before 22). */
  WebSocket?: unknown;
}

export interface Participant {
  user: string;
  name?: string;
  participantType: ParticipantType;
  /** Whether it says that it sends video, and audio. */
  video: boolean;
  audio: boolean;
  /** Whether its connection is lost, and it has still time to come back. */
  away: boolean;
  /** Whether it was in the room before this client. Not of the wire. */
  readonly earlier: boolean;
}

export interface Publisher {
  user: string;
  station?: string;
  sdp?: string;
  video: boolean;
  audio: boolean;
}

export interface PublisherChange {
  added: string[];
  removed: string[];
  moved: { user: string; from: string; to: string }[];
}

/** Why a room is closed. */
export interface Closing {
  /** The WebSocket's close code, 0 when there was no connection to close. */
  code: number;
  /** `left` by oneself, `refused` (see `error`), or the server's reason: `kicked`, `replaced`, `closed`, … */
  reason: string;
  error?: MobzError;
}

export interface RoomEvents {
  state: (state: RoomState, detail?: unknown) => void;
  /** Joined again after a lost connection. Not `resumed`, everything began afresh: read `participants` anew. `missed`: more was relayed meanwhile than the server keeps. */
  rejoined: (how: { resumed: boolean; missed: boolean }) => void;
  participantJoined: (participant: Participant) => void;
  /** Reasons: `left`, `lost`, `timeout`, `kicked`, `replaced`, `closed`. */
  participantLeft: (participant: Participant, reason: string) => void;
  participantAway: (participant: Participant) => void;
  participantBack: (participant: Participant) => void;
  /** Flags, name or type changed; one's own too. */
  participantUpdated: (participant: Participant) => void;
  publishers: (publishers: Publisher[], change: PublisherChange) => void;
  owner: (user: string) => void;
  /** p2m: how many watch. */
  viewers: (count: number) => void;
  /** An error that answers no signal of this client. */
  error: (error: MobzError) => void;
  closed: (why: Closing) => void;
  /** Every signal from the server but heartbeats, before it is handled. */
  signal: (signal: { type: string; [field: string]: unknown }) => void;
}

/** One user's membership of one room, made by `connect`. It outlives lost connections. */
export interface Room {
  readonly state: RoomState;
  readonly id: string;
  readonly mode: Mode;
  /** One's own user id. */
  readonly user: string;
  /** Everyone, oneself included; in p2m the publisher and oneself. */
  readonly participants: Participant[];
  readonly others: Participant[];
  readonly self: Participant | undefined;
  readonly publishers: Publisher[];
  /** The owner's user id. */
  readonly owner: string;
  /** The room version; gaps in it are noticed and mended with `Sync`. */
  readonly version: number;
  readonly iceServers: RTCIceServer[];
  readonly playbackUrl: string | undefined;
  /** The secret that takes this membership over; changes with every JoinAck. */
  readonly resume: string | undefined;
  readonly limits: { publishers: number; viewers: number | null };
  /** p2m: how many watch. */
  readonly viewers: number;
  /** What a p2m publisher is told of ingest: bytes of the largest message, and the part target in seconds. */
  readonly ingest: { maxFrame: number; partTarget: number } | undefined;
  /** Bytes handed to the connection that have not left this machine. */
  readonly buffered: number;
  /** How far the server's clock is ahead of this one. */
  readonly clockOffset: number;
  /** Of the last heartbeat. */
  readonly roundTrip: number | undefined;

  /**
   * Sends a signal and resolves with its answer; rejects with a `MobzError`. While the connection is
   * lost it waits for the next one, in order, 30 s at most; 256 may wait.
   */
  send(signal: { type: string; [field: string]: unknown }): Promise<any>;
  /** Sends a data signal (PROTOCOL.md §5) in its binary form, in pieces where it is large; resolves with its DataAck. As `send` otherwise. */
  sendData(fields: { kind: string; [field: string]: unknown }, media: Uint8Array): Promise<any>;
  updateVideo(flags: { video?: boolean; audio?: boolean }): Promise<unknown>;
  /** Removes a participant; owner, or grant `kick`. */
  kick(user: string, reason?: string): Promise<unknown>;
  sync(): Promise<unknown>;
  /** Hands on what a p2p peer relays, in order, first what came before (256 kept). One listener at a time; `Call` is one. */
  onRelay(listener: (signal: any) => void): () => void;
  leave(): void;

  /** Listens until the returned function is called. */
  on<E extends keyof RoomEvents>(event: E, listener: RoomEvents[E]): () => void;
  once<E extends keyof RoomEvents>(event: E, listener: RoomEvents[E]): () => void;
  off<E extends keyof RoomEvents>(event: E, listener: RoomEvents[E]): void;
}

/**
 * Joins a room. Rejects with a `MobzError` when the first attempt is refused or reaches no server;
 * from then on lost connections are taken up again until `leave`.
 *
 * @example
 * const room = await connect({ url: 'ws://127.0.0.1:7880/signal', room: 'garden', mode: 'p2p' });
 * const camera = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
 * const call = new Call(room, { tracks: camera.getTracks() });
 * call.on('remoteStream', (stream) => (video.srcObject = stream));
 */
export function connect(options: ConnectOptions): Promise<Room>;

export interface CallOptions {
  /** Sent from the start; at most one of each kind. */
  tracks?: MediaStreamTrack[];
  /** `relay` sends all media through TURN. */
  iceTransportPolicy?: RTCIceTransportPolicy;
}

export interface CallEvents {
  state: (state: CallState) => void;
  /** The peer came, came anew, or went. */
  peer: (peer: Participant | undefined) => void;
  /** A new stream for the peer's media; its tracks follow. */
  remoteStream: (stream: MediaStream) => void;
  error: (error: MobzError) => void;
}

export interface StreamStats {
  /** Bits a second since the reading before. */
  bitrate: number;
  width?: number;
  height?: number;
  framesPerSecond?: number;
  /** Decoded, or encoded, since the connection began. */
  frames: number;
  /** Packets lost. */
  lost: number;
  codec?: string;
}

export interface CallStats {
  roundTrip: number | undefined;
  received: { audio?: StreamStats; video?: StreamStats };
  sent: { audio?: StreamStats; video?: StreamStats };
  /** Candidate types of the way the media takes: `host`, `srflx`, `prflx` or `relay`. */
  path?: { local: string; remote: string; protocol: string };
}

/**
 * A call between the two of a p2p room. Negotiates by itself (who came first offers, and wins when
 * Offers cross), begins afresh with a peer that does, and restarts ICE when the way is lost.
 */
export class Call {
  constructor(room: Room, options?: CallOptions);
  readonly state: CallState;
  readonly peer: Participant | undefined;
  readonly remoteStream: MediaStream;
  /** Undefined while nobody is there; another one whenever the call begins afresh. */
  readonly connection: RTCPeerConnection | undefined;
  /** Sends `track`, or nothing, in place of what was sent of that kind. */
  setTrack(kind: 'audio' | 'video', track: MediaStreamTrack | null): Promise<void>;
  stats(): Promise<CallStats | undefined>;
  /** Ends the media; the room stays joined. */
  close(): void;
  on<E extends keyof CallEvents>(event: E, listener: CallEvents[E]): () => void;
  once<E extends keyof CallEvents>(event: E, listener: CallEvents[E]): () => void;
  off<E extends keyof CallEvents>(event: E, listener: CallEvents[E]): void;
}

export interface GroupOptions {
  /** Sent as long as one is a publisher; at most one of each kind. */
  tracks?: MediaStreamTrack[];
  /** Whether the picture is sent in three sizes, from which each watcher gets one; true when left out. */
  simulcast?: boolean;
  /** Whether every publisher is watched; true when left out, and false without the grant. */
  watch?: boolean;
  /** `relay` sends all media through TURN. */
  iceTransportPolicy?: RTCIceTransportPolicy;
}

/** One publisher as received. */
export interface Remote {
  readonly user: string;
  readonly state: RemoteState;
  /** Another object whenever the publisher's media come over another connection. */
  readonly stream: MediaStream;
  readonly station: string | undefined;
  /** The simulcast layer that was asked for and has come. */
  readonly layer: { substream: number; temporal: number } | undefined;
  stats(): Promise<CallStats | undefined>;
}

export interface GroupEvents {
  state: (state: PublishState) => void;
  /** A publisher is new, or its stream, state or layer is another. */
  remote: (remote: Remote) => void;
  remoteEnded: (user: string) => void;
  /** Someone asks the owner to be let publish. */
  request: (user: string) => void;
  /** The owner's answer to one's own request. */
  accepted: () => void;
  rejected: (reason?: string) => void;
  error: (error: MobzError) => void;
}

/**
 * One's media in an m2m room. Publishes while one is a publisher, watches every publisher, and follows
 * stations that move or are lost, in both directions, without a gap where there need be none.
 *
 * @example
 * const room = await connect({ url, room: 'team', mode: 'm2m', publish: true });
 * const camera = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
 * const group = new Group(room, { tracks: camera.getTracks() });
 * group.on('remote', ({ user, stream }) => (tileOf(user).srcObject = stream));
 * group.on('remoteEnded', (user) => tileOf(user).remove());
 */
export class Group {
  constructor(room: Room, options?: GroupOptions);
  readonly state: PublishState;
  readonly remotes: Remote[];
  /** The station one publishes on, once placed. */
  readonly station: string | undefined;
  readonly connection: RTCPeerConnection | undefined;
  setTrack(kind: 'audio' | 'video', track: MediaStreamTrack | null): Promise<void>;
  watch(user: string): void;
  unwatch(user: string): Promise<unknown>;
  /** A layer of a publisher's picture, 0 the smallest; resolves once it has come. */
  setLayer(user: string, substream: number, temporal?: number): Promise<unknown>;
  /** Asks to be let publish; resolves once the owner has been asked. */
  requestPublish(): Promise<unknown>;
  accept(user: string): Promise<unknown>;
  reject(user: string, reason?: string): Promise<unknown>;
  /** What one's own connection carries. */
  stats(): Promise<CallStats | undefined>;
  /** Ends all media; the room stays joined. */
  close(): void;
  on<E extends keyof GroupEvents>(event: E, listener: GroupEvents[E]): () => void;
  once<E extends keyof GroupEvents>(event: E, listener: GroupEvents[E]): () => void;
  off<E extends keyof GroupEvents>(event: E, listener: GroupEvents[E]): void;
}

export interface LiveEvents {
  viewers: (count: number) => void;
  /** The publisher came, went, or changed. */
  publisher: (publisher: Participant | undefined) => void;
}

/** The live stream of a p2m room as a viewer sees it; playing `url` is a player's work, hls.js for example. */
export class Live {
  constructor(room: Room);
  readonly url: string | undefined;
  readonly viewers: number;
  readonly publisher: Participant | undefined;
  /** Looks at the playlists. Throws when the origin cannot be reached. */
  look(signal?: AbortSignal): Promise<'none' | 'live' | 'ended'>;
  /** Resolves once the stream is live; looks every second, and when the publisher comes or goes. */
  whenLive(options?: { signal?: AbortSignal; onLook?: (state: 'none' | 'ended' | 'unreachable') => void }): Promise<void>;
  close(): void;
  on<E extends keyof LiveEvents>(event: E, listener: LiveEvents[E]): () => void;
  once<E extends keyof LiveEvents>(event: E, listener: LiveEvents[E]): () => void;
  off<E extends keyof LiveEvents>(event: E, listener: LiveEvents[E]): void;
}

export interface BroadcastOptions {
  /** Published from the start; at most one of each kind. What is missing cannot be added later. */
  tracks: MediaStreamTrack[];
  /** Frames a second at most; the camera's own, up to 30, when left out. */
  frameRate?: number;
  /** Bits a second of the video; by its size and frame rate when left out. Lowered while the network does not keep up. */
  videoBitrate?: number;
  /** Bits a second of the audio, 64,000 when left out. */
  audioBitrate?: number;
}

export interface BroadcastEvents {
  state: (state: BroadcastState) => void;
  viewers: (count: number) => void;
  /** A part is stored; `latency` is the time its acknowledgement took. */
  part: (part: { msn: number; part: number; bytes: number; latency: number }) => void;
  /** Why it failed. */
  error: (error: MobzError) => void;
}

export interface BroadcastStats {
  /** Bits a second that were acknowledged, of the last 3 s. */
  bitrate: number;
  /** The median time from sending a part to its acknowledgement, of the last 3 s. */
  ackLatency: number | undefined;
  /** Seconds of media that are not acknowledged yet. */
  backlog: number;
  /** Parts stored; those of them under 85 % of the part target; parts given up. */
  parts: number;
  shortParts: number;
  droppedParts: number;
  /** Seconds. */
  partTarget: number;
  /** `bitrate` is what the encoder is asked for; `skippedFrames` were left out because it was behind. */
  video?: { width: number; height: number; codec: string; bitrate: number; frames: number; skippedFrames: number };
}

/**
 * Publishes tracks live to a p2m room: H.264 and Opus through WebCodecs, fragmented MP4 in parts of about
 * the server's part target, each with the time it was taken. Goes on by itself after a lost connection.
 *
 * @example
 * const room = await connect({ url, room: 'demo', mode: 'p2m', publish: true });
 * const camera = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
 * const broadcast = new Broadcast(room, { tracks: camera.getTracks() });
 * broadcast.on('viewers', (count) => console.log(`${count} watch`));
 */
export class Broadcast {
  /** Whether this browser can publish. */
  static supported(): Promise<boolean>;
  constructor(room: Room, options: BroadcastOptions);
  readonly state: BroadcastState;
  readonly viewers: number;
  /** Whether it began with a track of this kind. */
  publishes(kind: 'audio' | 'video'): boolean;
  /** Publishes `track`, or black or silence, in place of what was published of that kind. */
  setTrack(kind: 'audio' | 'video', track: MediaStreamTrack | null): void;
  stats(): BroadcastStats;
  /** Sends what is under way, ends the stream, and resolves once the server has it, or after 5 s. The room stays joined. */
  stop(): Promise<void>;
  on<E extends keyof BroadcastEvents>(event: E, listener: BroadcastEvents[E]): () => void;
  once<E extends keyof BroadcastEvents>(event: E, listener: BroadcastEvents[E]): () => void;
  off<E extends keyof BroadcastEvents>(event: E, listener: BroadcastEvents[E]): void;
}

/** `code` is one of PROTOCOL.md §3, or the client's own: `unreachable`, `closed`, `queue_full`. */
export class MobzError extends Error {
  constructor(code: string, message: string, detail?: { retryAfter?: number; path?: string; cause?: unknown });
  readonly code: string;
  /** When trying again makes sense. */
  readonly retryAfter?: number;
  /** Where in a refused signal the fault is. */
  readonly path?: string;
}
