import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Browser, freshRoom, moreFrames, openCall, shot } from './browser.js';

// The stack of MOBZ_DEMO_URL hands out a TURN server here, with credentials of its own making.
test('a call goes through TURN alone', () =>
  Browser.with(async (browser) => {
    const { ann, bob } = await openCall(browser, freshRoom('relay'), [{ relay: '' }, { relay: '' }]);

    for (const [name, page] of Object.entries({ ann, bob })) {
      const servers = await page.evaluate(() => window.mobzDemo.room.iceServers);
      const turn = servers.find((it) => [it.urls].flat().some((url) => /^turns?:/.test(url)));
      assert.ok(turn, `${name} got a TURN server: ${JSON.stringify(servers)}`);
      const { user } = await page.evaluate(() => ({ user: window.mobzDemo.room.user }));
      assert.match(turn.username, new RegExp(`^\\d+:${user}$`), 'time-limited, and this user’s');
      await moreFrames(name, page);
      const { path } = await page.evaluate(() => window.mobzDemo.stats());
      assert.equal(path.local, 'relay', `${name}'s own side of the path`);
      assert.equal(path.remote, 'relay', `the other side of ${name}'s path`);
    }
    await shot(ann, 'p2p-relay');
  }));
