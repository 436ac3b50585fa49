/** A network namespace for media: Janus skips loopback, and its ports and addresses are then nobody else's. */
import { spawnSync } from 'node:child_process';

/** Says to this script that it is inside. */
const INSIDE = 'MOBZ_LOAD_NETNS';
/** Loopback, and a pair of interfaces for media. */
const SET_UP =
  'ip link set lo up && ip link add media0 type veth peer name media1 && ip addr add 10.99.0.1/24 dev media0 && ip link set media0 up && ip link set media1 up && exec "$0" "$@"';

/** Goes on inside; outside, this script is run inside, and this process ends as that does. */
export function enter() {
  if (process.env[INSIDE]) return;
  const flags = process.getuid() === 0 ? ['--net'] : ['--net', '--map-root-user'];
  const inside = spawnSync('unshare', [...flags, 'sh', '-c', SET_UP, process.execPath, ...process.argv.slice(1)], {
    stdio: 'inherit',
    env: { ...process.env, [INSIDE]: '1' },
  });
  if (inside.error) console.error(`cannot make a network namespace: ${inside.error.message}`);
  process.exit(inside.status ?? 1);
}
