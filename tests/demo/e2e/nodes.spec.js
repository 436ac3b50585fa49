import { test } from 'node:test';
import { Browser, freshRoom, moreFrames, openCall, setting, until } from './browser.js';

test('two pages on two nodes see each other', () =>
  Browser.with(async (browser) => {
    const a = setting('MOBZ_SIGNAL_A', 'the first node, ws://127.0.0.1:…/signal');
    const b = setting('MOBZ_SIGNAL_B', 'the second node, on the same Redis');
    const { ann, bob } = await openCall(browser, freshRoom('nodes'), [{ signal: a }, { signal: b }]);

    await moreFrames('ann', ann);
    await moreFrames('bob', bob);
    await bob.click('#leave');
    await until('ann hears that bob left', () => ann.evaluate(() => window.mobzDemo.call.state === 'waiting'));
  }));
