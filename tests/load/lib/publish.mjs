/** Publishes the clip in real time, to MobZ or to the peer, and writes down when each part was sent. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { Agent, request } from 'node:http';
import { createRequire } from 'node:module';
import { FRAME_RATE, partAt } from './clip.mjs';

const { WebSocket } = createRequire(new URL('../../demo/package.json', import.meta.url))('ws');

/** Milliseconds an answer to the publisher may take. */
const ANSWER_MS_MAX = 10_000;

/** Now, in milliseconds since the epoch, with a fraction. */
export const now = () => performance.timeOrigin + performance.now();

const rfc3339 = (ms) => new Date(ms).toISOString().replace('Z', `${String(Math.floor((ms % 1) * 1000)).padStart(3, '0')}Z`);

/** A stream that runs until it is stopped. */
export class Stream {
  /** When the first frame was taken, in milliseconds since the epoch. */
  began = 0;
  #clip;
  #to;
  #clock;
  #stopped = false;
  #failed;
  #running;

  /**
   * @param {import('./clip.mjs').Clip} clip
   * @param {{ open(clip): Promise<void>, send(part: Buffer, number: number, captured: number): Promise<number | undefined>, close(): Promise<void> }} to
   * @param {string} clockPath where lines for `mobzctl load hls --clock` go
   */
  static async start(clip, to, clockPath) {
    const stream = new Stream();
    stream.#clip = clip;
    stream.#to = to;
    stream.#clock = createWriteStream(clockPath);
    await to.open(clip);
    stream.began = now();
    stream.#running = stream.#run();
    return stream;
  }

  async stop() {
    this.#stopped = true;
    await this.#running;
    await this.#to.close();
    await new Promise((resolve) => this.#clock.end(resolve));
    if (this.#failed) throw new Error('the stream broke while it was measured', { cause: this.#failed });
  }

  /** When frame `number` of the clip was last taken before `at`, as a camera would have. */
  captured(number, at) {
    const frames = Math.floor(((at - this.began) * FRAME_RATE) / 1000);
    const clipFrames = this.#clip.parts.length * this.#clip.partFrames;
    const back = (((frames - number) % clipFrames) + clipFrames) % clipFrames;
    return this.began + ((frames - back) * 1000) / FRAME_RATE;
  }

  async #run() {
    const partMs = (this.#clip.partFrames * 1000) / FRAME_RATE;
    for (let number = 0; !this.#stopped; number += 1) {
      // Read and hashed before it is due. A part is complete when its last frame has been shown.
      const part = partAt(this.#clip, number);
      const digest = digestOf(part);
      await new Promise((resolve) => setTimeout(resolve, this.began + (number + 1) * partMs - now()));
      const sentAt = now();
      const write = (ackedAt) =>
        this.#clock.writableEnded || this.#clock.write(`${JSON.stringify({ digest, sentAt: rfc3339(sentAt), ...(ackedAt && { ackedAt: rfc3339(ackedAt) }) })}\n`);
      this.#to.send(part, number, this.began + number * partMs).then(write, (error) => {
        if (!this.#stopped) this.#failed ??= error;
      });
    }
  }
}

/** What `mobzctl load hls` knows a part by. */
function digestOf(part) {
  const hash = createHash('sha1');
  for (let at = 0; at < part.length; at += part.readUInt32BE(at)) {
    if (part.toString('latin1', at + 4, at + 8) === 'mdat') hash.update(part.subarray(at + 8, at + part.readUInt32BE(at)));
  }
  return hash.digest('hex').slice(0, 16);
}

/** MobZ: data signals in binary form (PROTOCOL.md §5). */
export class ToMobz {
  #socket;
  #beats;
  #waiting = new Map();
  #next = 0;

  constructor(signal, room) {
    this.signal = signal;
    this.room = room;
  }

  async open(clip) {
    this.#socket = new WebSocket(this.signal);
    await new Promise((resolve, reject) => this.#socket.once('open', resolve).once('error', reject));
    this.#socket.on('message', (data) => this.#hear(JSON.parse(data)));
    const ack = await this.#ask({ type: 'Join', room: this.room, mode: 'p2m', user: { id: 'feed' }, publish: true });
    assert.equal(ack.participantType, 'publisher', JSON.stringify(ack));
    this.#beats = setInterval(() => this.#socket.send('{"type":"Heartbeat"}'), ack.heartbeatInterval);
    await this.#data({ kind: 'init', partTarget: Math.ceil((clip.partFrames * 1000) / FRAME_RATE) / 1000 }, clip.init);
  }

  /** → when it was acknowledged. */
  async send(part, _number, captured) {
    await this.#data({ kind: 'part', programDateTime: Math.round(captured) }, part);
    return now();
  }

  async close() {
    await this.#data({ kind: 'end' }, Buffer.alloc(0));
    clearInterval(this.#beats);
    this.#socket.close(1000);
  }

  #data(fields, bytes) {
    return this.#ask({ type: 'Data', track: 'main', ...fields }, bytes);
  }

  #ask(signal, bytes) {
    const id = String((this.#next += 1));
    const json = Buffer.from(JSON.stringify({ ...signal, id }));
    const answered = new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no answer to ${json}`)), ANSWER_MS_MAX);
      this.#waiting.set(id, { resolve, reject, timer });
    });
    if (bytes) {
      const head = Buffer.alloc(4);
      head.writeUInt32BE(json.length);
      this.#socket.send(Buffer.concat([head, json, bytes]));
    } else this.#socket.send(json.toString());
    return answered;
  }

  #hear(signal) {
    const waiting = this.#waiting.get(signal.re);
    if (!waiting) return;
    this.#waiting.delete(signal.re);
    clearTimeout(waiting.timer);
    if (signal.type === 'Error') waiting.reject(new Error(JSON.stringify(signal)));
    else waiting.resolve(signal);
  }
}

/** The peer: DASH-IF Live Media Ingest, interface 1 (CMAF), each part a chunk of its segment's POST. */
export class ToPeer {
  #agent = new Agent({ keepAlive: true, noDelay: true });
  #segment;
  #sending = Promise.resolve();

  /** @param {string} point the publishing point's URL */
  constructor(point) {
    this.point = point;
  }

  async open(clip) {
    this.clip = clip;
    const template = `<SegmentTemplate timescale="90000" duration="180000" startNumber="1" initialization="init-$RepresentationID$.mp4" media="seg-$RepresentationID$-$Number$.m4s"/>`;
    const mpd = `<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="dynamic" profiles="urn:mpeg:dash:profile:isoff-live:2011" minBufferTime="PT2S" availabilityStartTime="${new Date().toISOString()}"><Period id="0" start="PT0S"><AdaptationSet contentType="video" mimeType="video/mp4" segmentAlignment="true">${template}<Representation id="v" codecs="avc1.64001f" bandwidth="2000000" width="1280" height="720"/></AdaptationSet></Period></MPD>`;
    await this.#post('live.mpd', Buffer.from(mpd)).answered;
    await this.#post('init-v.mp4', clip.init).answered;
  }

  /** One after another: a segment begins once the one before was answered, or the peer refuses it (409). */
  send(part, number) {
    this.#sending = this.#sending.then(() => this.#write(part, number));
    return this.#sending;
  }

  async #write(part, number) {
    const { partsPerSegment } = this.clip;
    if (number % partsPerSegment === 0) this.#segment = this.#post(`seg-v-${number / partsPerSegment + 1}.m4s`);
    this.#segment.request.write(part);
    if (number % partsPerSegment === partsPerSegment - 1) {
      this.#segment.request.end();
      await this.#segment.answered;
    }
    return undefined;
  }

  async close() {
    this.#segment?.request.destroy();
    this.#agent.destroy();
  }

  #post(name, body) {
    const req = request(`${this.point}/${name}`, { method: 'POST', agent: this.#agent, headers: { 'Content-Type': 'application/octet-stream' } });
    const answered = new Promise((resolve, reject) => {
      req.on('error', reject);
      req.on('response', (response) => {
        response.resume();
        if (response.statusCode < 300) resolve(undefined);
        else reject(new Error(`${name}: ${response.statusCode}`));
      });
    });
    // An aborted segment at the end is nobody's failure.
    answered.catch(() => {});
    if (body) req.end(body);
    return { request: req, answered };
  }
}
