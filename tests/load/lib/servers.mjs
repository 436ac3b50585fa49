/** The servers under load, each on free ports and gone with this process. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';

/** Milliseconds a server has to be ready, or to end. */
const READY_MS_MAX = 20_000;
/** Milliseconds between two looks. */
const LOOK_MS = 100;

export const mobzctl = process.env.MOBZCTL ?? new URL('../../../target/release/mobzctl', import.meta.url).pathname;
export const multimux = process.env.MULTIMUX ?? '/opt/peer/bin/multimux';

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Asks until there is an answer. */
export async function until(what, ask) {
  for (const end = Date.now() + READY_MS_MAX; ; ) {
    const answer = await ask().catch(() => undefined);
    if (answer) return answer;
    assert.ok(Date.now() < end, `not in time: ${what}`);
    await sleep(LOOK_MS);
  }
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130));

/** Starts a process, with as many open files as there may be, and its words in a file. */
function start(program, args, log, stdout = 'ignore') {
  const child = spawn('bash', ['-c', 'ulimit -Sn "$(ulimit -Hn)" && exec "$0" "$@"', program, ...args], { stdio: ['ignore', stdout, 'pipe'] });
  child.stderr.pipe(createWriteStream(log));
  running.add(child);
  const ended = new Promise((resolve) => {
    child.on('error', (error) => {
      console.error(`cannot start ${program}: ${error.message}`);
      process.exit(1);
    });
    child.on('exit', () => resolve(running.delete(child)));
  });
  const stop = async () => {
    child.kill('SIGTERM');
    await Promise.race([ended, sleep(READY_MS_MAX).then(() => child.kill('SIGKILL'))]);
  };
  return { child, pid: child.pid, stop };
}

/** The whole of MobZ in one process: signaling, store and origin; and munits, a Janus each, where flags say so. */
export async function startMobz(folder, flags = ['--munits', '0']) {
  const server = start(mobzctl, ['up', '--port-base', '0', '--output', 'json', ...flags], join(folder, 'mobz.log'), 'pipe');
  const lines = createInterface({ input: server.child.stdout });
  const ready = JSON.parse((await lines[Symbol.asyncIterator]().next()).value);
  return { ...server, ...ready, playlist: (room) => `${ready.origin}/hls/${room}/index.m3u8` };
}

/** MobZ as it is deployed: Redis, signaling and a munit with its Janus, each a process of its own. */
export async function startDaemons(folder, flags = []) {
  const [port, signal] = [await freePort(), await freePort()];
  const redis = start('redis-server', ['--bind', '127.0.0.1', '--port', port, '--save', '', '--dir', folder].map(String), join(folder, 'redis.log'));
  const store = ['--redis', `redis://127.0.0.1:${port}`];
  await until('Redis listens', () => new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket.end()));
    socket.on('error', reject);
  }));
  const signaling = start(mobzctl, ['launch', 'signaling', '--listen', `127.0.0.1:${signal}`, ...store], join(folder, 'signaling.log'));
  const regulator = start(mobzctl, ['launch', 'regulator', '--munit', 'm1', '--spawn-janus', ...store, ...flags.map(String)], join(folder, 'regulator.log'));
  const control = `http://127.0.0.1:${signal}`;
  await until('the munit takes stations', async () => {
    const { munits } = await (await fetch(`${control}/v1/munits`)).json();
    return munits.some(({ state }) => state === 'active');
  });
  const stop = async () => {
    for (const { stop } of [signaling, regulator, redis]) await stop();
  };
  return { signal: `ws://127.0.0.1:${signal}/signal`, control, signaling, regulator, redis, janus: await janusOf(regulator.pid), stop };
}

/** The API of the Janus that a process has started, as its configuration has it. */
async function janusOf(pid) {
  const { stdout } = spawnSync('sh', ['-c', `cat /proc/${pid}/task/*/children`], { encoding: 'utf8' });
  const words = (await readFile(`/proc/${stdout.trim().split(/\s+/)[0]}/cmdline`, 'utf8')).split('\0');
  const folder = words[words.indexOf('-F') + 1];
  const [, port] = (await readFile(join(folder, 'janus.transport.websockets.jcfg'), 'utf8')).match(/\bws_port = (\d+)/);
  return `ws://127.0.0.1:${port}/`;
}

/** multimux, with its limits out of the way. */
export async function startPeer(folder, partMs) {
  const [port, ingest] = [await freePort(), await freePort()];
  const config = {
    bind: `127.0.0.1:${port}`, target_duration_secs: 2, part_target_ms: Math.ceil(partMs), window_segments: 30, max_concurrent_requests: 100_000,
    routes: [{ name: 'live', input: { type: 'dashif_ingest', listen: `127.0.0.1:${ingest}`, publishing_point: '/ingest' }, outputs: ['llhls'] }],
  };
  const path = join(folder, 'peer.json');
  await writeFile(path, JSON.stringify(config));
  const server = start(multimux, ['--config', path], join(folder, 'peer.log'));
  await until('the peer listens', async () => (await fetch(`http://127.0.0.1:${port}/healthz`)).ok);
  return { ...server, point: `http://127.0.0.1:${ingest}/ingest`, playlist: `http://127.0.0.1:${port}/live/master.m3u8` };
}

/** nginx, serving a copy of what a playlist lists as static files. */
export async function startFloor(folder, master) {
  const root = join(folder, 'static');
  const save = async (url) => {
    const answer = await fetch(url);
    assert.ok(answer.ok, `${url}: ${answer.status}`);
    const path = join(root, new URL(url).pathname);
    await mkdir(dirname(path), { recursive: true });
    const body = Buffer.from(await answer.arrayBuffer());
    await writeFile(path, body);
    return body.toString('latin1');
  };
  const media = new URL((await save(master)).split('\n').find((line) => line && !line.startsWith('#')), master).href;
  const playlist = await save(media);
  const uris = [...playlist.matchAll(/#EXT-X-(?:PART|MAP):.*?URI="([^"]+)"/g)].map(([, uri]) => uri);
  for (const uri of uris) await save(new URL(uri, media).href);
  const port = await freePort();
  const config = `daemon off; worker_processes auto; pid ${folder}/nginx.pid; error_log ${folder}/nginx.log;
events { worker_connections 20000; }
http { access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 1000000000; open_file_cache max=1000;
  types { application/vnd.apple.mpegurl m3u8; video/mp4 mp4 m4s; }
  client_body_temp_path ${folder}; proxy_temp_path ${folder}; fastcgi_temp_path ${folder}; uwsgi_temp_path ${folder}; scgi_temp_path ${folder};
  server { listen 127.0.0.1:${port}; root ${root}; } }`;
  await writeFile(join(folder, 'nginx.conf'), config);
  const server = start('nginx', ['-c', join(folder, 'nginx.conf')], join(folder, 'nginx.err'));
  const url = `http://127.0.0.1:${port}${new URL(master).pathname}`;
  await until('nginx listens', async () => (await fetch(url)).ok);
  return { ...server, playlist: url };
}
