import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Browser, freshRoom, setting, shot, until } from './browser.js';
import { MEDIA_MS_MAX, meet, mobzctl, received, sees } from './call.js';

/** The processes of each munit: its regulator's and its Janus'. */
const processes = JSON.parse(setting('MOBZ_MUNIT_PIDS', 'the process ids of each munit, as JSON'));

test('a call goes on when a munit dies with all that was on it', (t) =>
  Browser.with(async (browser) => {
    const room = freshRoom('failover');
    // One publisher on either munit.
    const { ann, bob, cleo } = await meet(browser, room, ['ann', 'bob'], ['cleo']);
    const before = { ann: await received(cleo, 'ann'), bob: await received(cleo, 'bob') };
    const { munit } = await mobzctl('station', 'inspect', before.ann.station);
    const other = await mobzctl('station', 'inspect', before.bob.station);
    assert.notEqual(munit, other.munit, 'a room’s stations are spread');

    for (const pid of processes[munit]) process.kill(pid, 'SIGKILL');
    const killed = Date.now();
    for (const [name, page] of Object.entries({ bob, cleo })) {
      await until(`${name} receives another station of ann`, async () => {
        const now = await received(page, 'ann');
        return now.station && now.station !== before.ann.station && now.frames > 0;
      }, MEDIA_MS_MAX);
      await sees(name, page, 'ann');
    }
    t.diagnostic(`ann is seen again ${Date.now() - killed} ms after her munit was killed`);

    await sees('ann', ann, 'bob');
    await sees('cleo', cleo, 'bob');
    assert.equal((await received(cleo, 'bob')).station, before.bob.station, 'who was on the other one stayed there');
    const { stations } = await mobzctl('room', 'inspect', room);
    assert.deepEqual([...new Set(stations.map((it) => it.munit))], [other.munit]);
    await shot(cleo, 'm2m-failover');
  }));
