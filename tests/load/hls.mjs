#!/usr/bin/env node
/** The figures of p2m: see README.md beside this. */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FRAME_RATE, makeClip } from './lib/clip.mjs';
import { glassToGlass } from './lib/glass.mjs';
import { Stream, ToMobz, ToPeer } from './lib/publish.mjs';
import { run } from './lib/run.mjs';
import { mobzctl, sleep, startFloor, startMobz, startPeer, until } from './lib/servers.mjs';

/** Room of the stream. */
const ROOM = 'live';
/** Frames of a part: 333 and 200 ms. */
const PARTS = { 333: 10, 200: 6 };
const MIB = 1024 * 1024;

const { VIEWERS = '1000', SECONDS = '20' } = process.env;
const folder = await mkdtemp(join(tmpdir(), 'mobz-load-'));
const clips = new Map();
const clipOf = (partFrames) => clips.get(partFrames) ?? clips.set(partFrames, makeClip(folder, partFrames)).get(partFrames);

/** Runs `use` with MobZ up and the clip published to it. */
async function withMobz(partFrames, use) {
  const clip = clipOf(partFrames);
  const server = await startMobz(folder);
  const clock = join(folder, 'mobz.jsonl');
  const stream = await Stream.start(clip, new ToMobz(server.signal, ROOM), clock);
  try {
    return await ready({ ...server, clock, stream, playlist: server.playlist(ROOM) }, use);
  } finally {
    await stream.stop();
    await server.stop();
  }
}

/** Runs `use` with the peer up and the same clip published to it. */
async function withPeer(partFrames, use) {
  const clip = clipOf(partFrames);
  const server = await startPeer(folder, (partFrames * 1000) / FRAME_RATE);
  const clock = join(folder, 'peer.jsonl');
  const stream = await Stream.start(clip, new ToPeer(server.point), clock);
  try {
    return await ready({ ...server, clock, stream }, use);
  } finally {
    await stream.stop();
    await server.stop();
  }
}

async function ready(server, use) {
  await until('the stream is there', async () => (await fetch(server.playlist)).ok);
  // Until there is more than a player starts with.
  await sleep(6000);
  return use(server);
}

/** `mobzctl load hls`; its report, whether it met errors or not. */
function load(url, flags) {
  return new Promise((resolve, reject) => {
    const child = spawn(mobzctl, ['load', 'hls', url, '--output', 'json', ...flags.map(String)], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (data) => (text += data));
    child.on('error', reject);
    child.on('exit', (code) => (text ? resolve(JSON.parse(text)) : reject(new Error(`load hls ended with ${code}`))));
  });
}

/** Runs `use`; its report, with the most memory that was the process' own meanwhile: without pages of files, its program among them. */
async function withAnonymous({ pid }, use) {
  let anonymousPeak = 0;
  const look = async () => {
    const [, kib] = (await readFile(`/proc/${pid}/status`, 'utf8')).match(/^RssAnon:\s+(\d+) kB$/m);
    anonymousPeak = Math.max(anonymousPeak, kib * 1024);
  };
  const looking = setInterval(look, 1000);
  try {
    return { ...(await use()), anonymousPeak };
  } finally {
    clearInterval(looking);
  }
}

const at = (sorted, quantile) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * quantile))];
const median = (values) => at([...values].sort((one, other) => one - other), 0.5);
const told = (name, values) => console.log(`${name.padEnd(34)} ${values}`);
const ratio = (name, ours, other, target) => told(name, `${(ours / other).toFixed(2)} (target ${target})`);

const figures = {
  /** Glass to glass in hls.js. */
  async glass() {
    for (const [partMs, partFrames] of Object.entries(PARTS)) {
      const target = { 333: 1.35, 200: 0.9 }[partMs];
      const seen = { settle: 12, seconds: 10 };
      const measure = (server) => glassToGlass(server.playlist, server.stream, seen);
      const ours = await withMobz(partFrames, measure);
      const theirs = await withPeer(partFrames, measure);
      for (const [name, all] of [['MobZ', ours], ['peer', theirs]]) {
        const seconds = all.length ? `p50 ${at(all, 0.5).toFixed(3)} s, p99 ${at(all, 0.99).toFixed(3)} s of ${all.length} frames` : 'nothing was shown';
        told(`glass to glass, ${partMs} ms, ${name}`, `${seconds}${name === 'MobZ' ? ` (target p50 ≤ ${target} s)` : ''}`);
      }
    }
  },

  /** Many viewers: delay, CPU, memory. */
  async viewers() {
    const flags = (server) => ['--viewers', VIEWERS, '--ramp', '5s', '--duration', `${SECONDS}s`, '--clock', server.clock, '--pid', server.pid, '--http2'];
    const tell = (name, { playing, delayMs, afterAckMs, server, client, stalls, errors, unmatched, parts, seconds, anonymousPeak }) => {
      told(`${name}: playing`, `${playing} of ${VIEWERS}, ${Math.round(parts / seconds)} parts/s`);
      told(`${name}: sent to last byte`, `p50 ${delayMs.p50.toFixed(1)} p99 ${delayMs.p99.toFixed(1)} max ${delayMs.max.toFixed(1)} ms, ${delayMs.count} parts, ${unmatched} unmatched`);
      if (afterAckMs.count) told(`${name}: acknowledged to last byte`, `p50 ${afterAckMs.p50.toFixed(1)} p99 ${afterAckMs.p99.toFixed(1)} ms`);
      told(`${name}: CPU`, `${server.cpuCores.toFixed(2)} cores, ${server.cpuMicrosPerViewerSecond.toFixed(0)} µs/s a viewer; client ${client.cpuCores.toFixed(2)} cores`);
      told(`${name}: memory`, `${(server.memoryBeforeBytes / MIB).toFixed(1)} MiB before, ${(server.memoryPeakBytes / MIB).toFixed(1)} MiB at most; ${(anonymousPeak / MIB).toFixed(1)} MiB without pages of files`);
      told(`${name}: stalls, errors`, `${stalls}, ${JSON.stringify(errors)}`);
    };
    const ours = await withMobz(PARTS[333], async (server) => {
      const report = await withAnonymous(server, () => load(server.playlist, flags(server)));
      const { tracks } = await (await fetch(`${server.control}/v1/rooms/${ROOM}/hls`)).json();
      tell('MobZ', report);
      return { ...report, stored: tracks[0].bytesStored };
    });
    const theirs = await withPeer(PARTS[333], async (server) => {
      const report = await withAnonymous(server, () => load(server.playlist, flags(server)));
      tell('peer', report);
      return report;
    });
    ratio('delay p99, MobZ to peer', ours.delayMs.p99, theirs.delayMs.p99, '≤ 0.5');
    ratio('CPU per viewer, MobZ to peer', ours.server.cpuMicrosPerViewerSecond, theirs.server.cpuMicrosPerViewerSecond, '≤ 0.5');
    const beside = (ours.server.memoryPeakBytes - ours.stored) / MIB;
    told('memory beside the stored window', `${beside.toFixed(1)} MiB (target ≤ 40; ${(ours.stored / MIB).toFixed(1)} MiB stored); ${((ours.anonymousPeak - ours.stored) / MIB).toFixed(1)} MiB without pages of files`);
  },

  /** Parts a second at 100 viewers who fetch without a pause, in turns with nginx. */
  async throughput() {
    await withMobz(PARTS[333], async (server) => {
      const floor = await startFloor(folder, server.playlist);
      const seen = { mobz: [], nginx: [] };
      const flags = (pid) => ['--viewers', 100, '--saturate', '--ramp', '500ms', '--duration', '5s', '--pid', pid];
      for (let round = 0; round < 5; round += 1) {
        const turns = [['mobz', server.playlist, server.pid], ['nginx', floor.playlist, floor.pid]];
        for (const [name, url, pid] of round % 2 ? turns.reverse() : turns) {
          const report = await load(url, flags(pid));
          seen[name].push(report.parts / report.seconds);
          told(`${name}, round ${round + 1}`, `${Math.round(report.parts / report.seconds)} parts/s, ${((report.bytes * 8) / report.seconds / 1e9).toFixed(2)} Gbit/s, client ${report.client.cpuCores.toFixed(2)} cores, errors ${JSON.stringify(report.errors)}`);
        }
      }
      await floor.stop();
      ratio('throughput, MobZ to nginx', median(seen.mobz.map((parts, round) => parts / seen.nginx[round])), 1, '≥ 0.7');
    });
  },
};

await run(figures, () => rm(folder, { recursive: true, force: true }));
