import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Browser, freshRoom, Line, moreFrames, openCall, setting, until } from './browser.js';

const nodes = () => ({
  a: setting('MOBZ_SIGNAL_A', 'the first node, ws://127.0.0.1:…/signal'),
  b: setting('MOBZ_SIGNAL_B', 'the second node, on the same Redis'),
});

test('two pages on two nodes see each other', () =>
  Browser.with(async (browser) => {
    const { a, b } = nodes();
    const { ann, bob } = await openCall(browser, freshRoom('nodes'), [{ signal: a }, { signal: b }]);

    await moreFrames('ann', ann);
    await moreFrames('bob', bob);
    await bob.click('#leave');
    await until('ann hears that bob left', () => ann.evaluate(() => window.mobzDemo.call.state === 'waiting'));
  }));

test('a page that loses its node resumes on the other, and the call goes on', () =>
  Browser.with(async (browser) => {
    const { a, b } = nodes();
    const line = await Line.to(a);
    try {
      const { ann, bob } = await openCall(browser, freshRoom('move'), [{ signal: [line.signal, b] }, { signal: a }]);
      await ann.evaluate(() => {
        window.connectionBefore = window.mobzDemo.call.connection;
        window.mobzDemo.room.once('rejoined', (how) => (window.rejoined = how));
      });

      line.cut();
      const how = await until('ann is back', () => ann.evaluate(() => window.rejoined));

      assert.deepEqual(how, { resumed: true, missed: false });
      await ann.click('#call [data-toggle=audio]');
      await until('her signals reach bob from there', () => bob.evaluate(() => window.mobzDemo.call.peer.audio === false));
      assert.ok(await ann.evaluate(() => window.connectionBefore === window.mobzDemo.call.connection), 'the same peer connection');
      await moreFrames('ann', ann);
      await moreFrames('bob', bob);
    } finally {
      line.close();
    }
  }));
