#!/usr/bin/env node
/** The figures of m2m: see README.md beside this. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { enter } from './lib/netns.mjs';
import { run } from './lib/run.mjs';
import { mobzctl, startDaemons, startMobz } from './lib/servers.mjs';

enter();

const MIB = 1024 * 1024;
const { MUNITS = '4', VIEWERS = '200', SECONDS = '30' } = process.env;
const folder = await mkdtemp(join(tmpdir(), 'mobz-load-'));

/** Runs `use` with these servers up. */
async function using(starting, use) {
  const servers = await starting;
  try {
    return await use(servers);
  } finally {
    await servers.stop();
  }
}

/** `mobzctl load webrtc`; its report, whether it met errors or not. */
function load({ signal }, flags) {
  const words = ['load', 'webrtc', '--signal-url', signal, '--output', 'json', ...flags];
  return new Promise((resolve, reject) => {
    const child = spawn(mobzctl, words.map(String), { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (data) => (text += data));
    child.on('error', reject);
    child.on('exit', (code) => (text ? resolve(JSON.parse(text)) : reject(new Error(`load webrtc ended with ${code}`))));
  });
}

const told = (name, values) => console.log(`${name.padEnd(38)} ${values}`);
const times = ({ p50, p90, p99, count }) => `p50 ${p50.toFixed(2)} p90 ${p90.toFixed(2)} p99 ${p99.toFixed(2)} ms, ${count} times`;

const figures = {
  /** Watch to WatchAck, beside the same attach and join on Janus, in turns. */
  async watch() {
    const flags = ['--publishers', 1, '--viewers', 1, '--ramp', '0s', '--duration', `${SECONDS}s`, '--floor'];
    const tell = (name, { floor, ratios, errors }) => {
      told(`${name}: Watch to WatchAck`, times(floor.watchMs));
      told(`${name}: attach and join on Janus`, times(floor.attachAndJoinMs));
      told(`${name}: ratio`, `p50 ${ratios.watchP50.toFixed(2)} p90 ${ratios.watchP90.toFixed(2)} p99 ${ratios.watchP99.toFixed(2)} (target ≤ 1.25); errors ${JSON.stringify(errors)}`);
    };
    await using(startMobz(folder, ['--munits', '1']), async (server) => tell('one process', await load(server, [...flags, '--pid', server.pid])));
    await using(startDaemons(folder), async (servers) => {
      tell('Redis, two daemons', await load(servers, [...flags, '--pid', servers.regulator.pid, '--janus', servers.janus]));
    });
  },

  /** The memory of a regulator with 100 stations, and with viewers on them. */
  async regulator() {
    await using(startDaemons(folder), async (servers) => {
      for (const viewers of [0, 100]) {
        const flags = ['--publishers', 100, '--viewers', viewers, '--ramp', '5s', '--duration', '10s', '--kbits', 20, '--fps', 5, '--audio-ms', 0];
        const report = await load(servers, [...flags, '--pid', servers.regulator.pid]);
        const [regulator, janus] = report.servers;
        told(`100 stations, ${report.flowing} watched`, `${report.publishing} publish; regulator ${(regulator.memoryBeforeBytes / MIB).toFixed(1)} MiB before, ${(regulator.memoryPeakBytes / MIB).toFixed(1)} MiB at most (target ≤ 20 with 100 stations); Janus ${(janus.memoryPeakBytes / MIB).toFixed(1)} MiB; errors ${JSON.stringify(report.errors)}`);
      }
    });
  },

  /** 9 publishers, and many viewers who watch all of them. */
  async crowd() {
    await using(startMobz(folder, ['--munits', MUNITS, '--capacity-viewers', '3000']), async (server) => {
      const flags = ['--publishers', 9, '--viewers', VIEWERS, '--ramp', '20s', '--duration', `${SECONDS}s`, '--kbits', 40, '--fps', 5, '--audio-ms', 0];
      const report = await load(server, [...flags, '--pid', server.pid]);
      const { joined, asked, flowing, flowingAtEnd, feeds, packets, bytes, seconds, lost, recovered, freezes, client, servers, errors } = report;
      told('joined', `${joined} of ${asked} (target: all)`);
      told('feeds that flow', `${flowing} of ${feeds}; ${flowingAtEnd} at the end`);
      for (const name of ['joinMs', 'offerMs', 'firstMediaMs', 'viewerMediaMs', 'jitterMs']) told(name, times(report[name]));
      told('media', `${Math.round(packets / seconds)} packets/s, ${((bytes * 8) / seconds / 1e6).toFixed(0)} Mbit/s, ${lost} lost (${((100 * lost) / (packets + lost)).toFixed(4)} %), ${recovered} sent again, ${freezes} freezes`);
      for (const { name, pid, cpuCores, memoryPeakBytes } of servers) told(`${name} ${pid}`, `${cpuCores.toFixed(2)} cores, ${(memoryPeakBytes / MIB).toFixed(1)} MiB at most`);
      told('client', `${client.cpuCores.toFixed(2)} cores, ${(client.memoryBytes / MIB).toFixed(1)} MiB`);
      told('errors', JSON.stringify(errors));
    });
  },
};

await run(figures, () => rm(folder, { recursive: true, force: true }));
