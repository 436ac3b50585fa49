/** The landing page: what can be tried, and whether the stack is there. */
import { lookAt } from '../client/live.js';
import { config, ROOM, roomName } from '../site/config.js';
import { copies, the } from '../site/dom.js';

/** Milliseconds between two looks at the server and at the stream. */
const LOOK_MS = 5_000;
/** Milliseconds after which a server counts as not there. */
const ANSWER_MS_MAX = 4_000;

const { signal, origin, version } = await config();
the('version').textContent = version ?? '';

for (const [id, another] of [['call-room', 'another'], ['group-room', 'another-group']]) {
  const room = the(id);
  room.value = roomName();
  the(another).addEventListener('click', () => {
    room.value = roomName();
  });
}

const watchRoom = the('watch-room');
const pushCommand = () => `mobzctl hls push ${watchRoom.value || 'demo'} sample.mp4 --loop`;
watchRoom.addEventListener('input', () => {
  the('push').textContent = pushCommand();
  lookForStream();
});
copies(the('copy-push'), pushCommand, 'Command copied');

look();

async function look() {
  await Promise.all([lookForServer(), lookForStream()]);
  setTimeout(look, LOOK_MS);
}

async function lookForServer() {
  const began = performance.now();
  const up = await new Promise((resolve) => {
    const socket = new WebSocket(signal());
    const done = (/** @type {boolean} */ answer) => {
      clearTimeout(timer);
      resolve(answer);
      socket.close();
    };
    const timer = setTimeout(() => done(false), ANSWER_MS_MAX);
    socket.addEventListener('open', () => done(true));
    socket.addEventListener('close', () => done(false));
  });
  the('status').dataset.state = up ? 'good' : 'bad';
  the('status-text').textContent = up ? `Server up · ${Math.max(1, Math.round(performance.now() - began))} ms` : 'The server does not answer';
}

async function lookForStream() {
  const room = watchRoom.value;
  let live = false;
  if (ROOM.test(room)) {
    const found = await lookAt(`${origin}/hls/${room}/index.m3u8`, AbortSignal.timeout(ANSWER_MS_MAX)).catch(() => 'none');
    live = found === 'live';
  }
  if (room !== watchRoom.value) return;
  const badge = the('live-badge');
  badge.dataset.state = live ? 'live' : 'idle';
  badge.textContent = live ? 'On air' : 'Off air';
}
