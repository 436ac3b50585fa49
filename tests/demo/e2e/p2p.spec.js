import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Browser, callState, freshRoom, Line, moreFrames, openCall, shot, signalUrl, until } from './browser.js';

test('two pages in a room see each other', () =>
  Browser.with(async (browser) => {
    const { ann, bob } = await openCall(browser, freshRoom('call'));

    await moreFrames('ann', ann);
    await moreFrames('bob', bob);
    assert.equal(await ann.textContent('#remote-name'), 'Bob');
    await shot(ann, 'p2p-call');
  }));

test('a third is told that the room is full', () =>
  Browser.with(async (browser) => {
    const room = freshRoom('full');
    await openCall(browser, room);
    const cleo = await browser.open('cleo', 'p2p.html', { room, join: '' });

    await until('the page says so', async () => (await cleo.textContent('#ended-title')) === 'This room is full');
    await shot(cleo, 'p2p-full');
  }));

test('a camera turned off is told to the other, and on again shows again', () =>
  Browser.with(async (browser) => {
    const { ann, bob } = await openCall(browser, freshRoom('camera'));
    await bob.click('#call [data-toggle=video]');
    await until('ann sees the name instead', async () => (await ann.textContent('#note')).includes('Camera off'));

    await bob.click('#call [data-toggle=video]');
    await until('ann sees the picture again', () => ann.isVisible('#remote'));
    await moreFrames('ann', ann);
  }));

test('a cut signaling line is resumed while the media flows on', () =>
  Browser.with(async (browser) => {
    const line = await Line.to(await signalUrl());
    try {
      const { ann, bob } = await openCall(browser, freshRoom('cut'), [{ signal: line.signal }, {}]);
      await moreFrames('ann', ann);
      const before = await ann.evaluate(() => {
        window.connectionBefore = window.mobzDemo.call.connection;
        return window.mobzDemo.room.resume;
      });

      line.cut();
      await until('ann notices', () => ann.evaluate(() => window.mobzDemo.room.state === 'reconnecting'));
      await until('bob hears that ann is away', () => bob.evaluate(() => window.mobzDemo.call.peer?.away));
      await moreFrames('ann', ann);
      await moreFrames('bob', bob);
      await shot(bob, 'p2p-away');
      line.mend();
      await until('ann is back', () => ann.evaluate(() => window.mobzDemo.room.state === 'joined'));
      await until('bob hears it', () => bob.evaluate(() => window.mobzDemo.call.peer?.away === false));

      assert.notEqual(await ann.evaluate(() => window.mobzDemo.room.resume), before, 'the secret changes with every JoinAck');
      assert.ok(await ann.evaluate(() => window.connectionBefore === window.mobzDemo.call.connection), 'the same peer connection');
      await moreFrames('ann', ann);
      await moreFrames('bob', bob);
      await ann.click('#call [data-toggle=audio]');
      await until('signals reach the other again', () => bob.evaluate(() => window.mobzDemo.call.peer.audio === false));
    } finally {
      line.close();
    }
  }));

test('an ICE restart asked for while the line is cut is negotiated once it is back', () =>
  Browser.with(async (browser) => {
    const line = await Line.to(await signalUrl());
    try {
      const { ann, bob } = await openCall(browser, freshRoom('restart'), [{ signal: line.signal }, {}]);
      const fragment = () => ann.evaluate(() => /a=ice-ufrag:(\S+)/.exec(window.mobzDemo.call.connection.remoteDescription.sdp)[1]);
      const before = await fragment();

      line.cut();
      await until('ann notices', () => ann.evaluate(() => window.mobzDemo.room.state === 'reconnecting'));
      await ann.evaluate(() => window.mobzDemo.call.connection.restartIce());
      line.mend();

      await until('the peer has answered it', async () => (await fragment()) !== before);
      await moreFrames('ann', ann);
      await moreFrames('bob', bob);
    } finally {
      line.close();
    }
  }));

for (const who of ['ann', 'bob']) {
  test(`a reload by ${who}, who came ${who === 'ann' ? 'first' : 'second'}, begins the call afresh`, () =>
    Browser.with(async (browser) => {
      const pages = await openCall(browser, freshRoom('reload'));
      await pages[who].reload();

      for (const [name, page] of Object.entries(pages)) {
        await until(`${name} is connected again`, async () => (await callState(page)) === 'connected');
        await moreFrames(name, page);
      }
    }));
}

test('one who leaves is missed at once, and the room can be joined again', () =>
  Browser.with(async (browser) => {
    const { ann, bob } = await openCall(browser, freshRoom('leave'));
    await bob.click('#leave');
    await until('ann waits', async () => (await callState(ann)) === 'waiting');
    assert.equal(await bob.textContent('#ended-title'), 'You left the call');

    await bob.click('text=Join again');
    await until('bob is connected again', async () => (await callState(bob)) === 'connected');
    await moreFrames('ann', ann);
    await moreFrames('bob', bob);
  }));

test('the same person in a second tab takes the call over', () =>
  Browser.with(async (browser) => {
    const room = freshRoom('tabs');
    const { ann, bob } = await openCall(browser, room, [{}, { user: 'bob' }]);
    const again = await browser.open('bob again', 'p2p.html', { room, user: 'bob', join: '' });

    await until('the first tab says so', async () => (await bob.textContent('#ended-title')) === 'The call goes on elsewhere');
    await until('the second is connected', async () => (await callState(again)) === 'connected');
    await moreFrames('ann', ann);
    await moreFrames('bob again', again);
  }));

test('one without a camera sees the other, and can send a test picture later', () =>
  Browser.with(async (browser) => {
    const room = freshRoom('blind');
    const { ann, bob } = await openCall(browser, room, [{}, { test: '' }]);
    await bob.click('#call [data-toggle=video]');
    await until('ann sees no picture', () => ann.isHidden('#remote'));
    await moreFrames('bob', bob);

    await bob.click('#call [data-toggle=video]');
    await until('ann sees the picture', () => ann.isVisible('#remote'));
    await moreFrames('ann', ann);
  }));
