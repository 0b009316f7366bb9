// SPDX-License-Identifier: AGPL-3.0-or-later
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openBrowser, openContext, screenshot } from './browser.mjs';
import { Line } from './line.mjs';
import { eventually, patience, Service } from './service.mjs';
import { CLIPBOARD_MESSAGES, newSession, Viewer, viewerPage } from './viewer-page.mjs';

const NOTICED_MS = 90000; // ten seconds, three times, and a busy machine

test('the viewer notices that the line has gone without a word, and comes back', async (t) => {
    const service = await Service.start(t, 'qwd-server');
    const browser = await openBrowser(t), context = await openContext(t, browser);
    const session = await newSession(service, '128M');
    const line = await Line.to(t, service.port);
    const viewer = await Viewer.open(context, viewerPage({ origin: line.origin }, session.id));
    await viewer.shown();

    await t.test('a line that comes back with what it carried keeps its connection', async () => {
        line.cut();
        await viewer.page.locator('#status', { hasText: 'The service cannot be reached' }).waitFor({ timeout: NOTICED_MS });
        assert.match(await viewer.page.title(), /Not connected/);
        await screenshot(viewer.page, 'viewer-line-cut');
        line.mend({ forgets: false });
        await viewer.shown();
        assert.match(await viewer.page.title(), /Connected/);
        assert.equal(viewer.opened, 1);
    });

    await t.test('a connection that stays dead is replaced, and the machine has the clipboard\'s text again', async () => {
        await viewer.page.evaluate(() => {
            const field = document.getElementById('clipboard');
            field.value = 'of this device';
            field.dispatchEvent(new Event('input'));
        });
        await eventually('the text is offered', () => viewer.count(CLIPBOARD_MESSAGES) >= 2); // what we can do, and the text
        line.cut();
        await viewer.page.evaluate(() => window.dispatchEvent(new Event('offline')));
        await viewer.page.locator('#status', { hasText: 'The service cannot be reached' }).waitFor({ timeout: NOTICED_MS });
        line.mend({ forgets: true });
        await viewer.page.evaluate(() => window.dispatchEvent(new Event('online')));
        await viewer.shown();
        assert.equal(viewer.opened, 2);
        await eventually('the text is offered again', () => viewer.count(CLIPBOARD_MESSAGES) >= 4);
    });

    await t.test('a device without a network says so', async () => {
        await context.setOffline(true);
        line.cut();
        await viewer.says('This device has no network');
        await context.setOffline(false);
        line.mend({ forgets: true });
        await viewer.shown();
        await eventually('a picture', () => viewer.colour(0.9, 0.8), patience);
    });
    assert.deepEqual(viewer.troubles, []);
    await service.stop(session.id);
    await service.assertNothingLeft(session.id);
});
