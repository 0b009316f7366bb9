// SPDX-License-Identifier: AGPL-3.0-or-later

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openBrowser, openContext, screenshot } from '../lib/browser.mjs';
import { CuttableProxy } from '../lib/cuttable-proxy.mjs';
import { CLIPBOARD_MESSAGES, Viewer, newSession, viewerPage } from '../lib/viewer-page.mjs';
import { eventually } from '../lib/wait.mjs';
import { WebService } from '../lib/web-service.mjs';

test('the viewer notices that the line has gone without a word, and comes back', async (t) => {
    const service = await WebService.serve(t, 'qwd-server');
    const browser = await openBrowser(t), context = await openContext(t, browser);
    const session = await newSession(service, '128M');
    const line = await CuttableProxy.to(t, service.httpPort);
    const viewer = await Viewer.open(context, viewerPage({ origin: line.origin }, session.id));
    await viewer.shown();

    await t.test('a line that comes back with what it carried keeps its connection', async () => {
        // A display that says nothing for ten seconds more is given up, and rightly so: a busy machine gets another chance.
        for (let tries = 3, opened = 0; tries > 0 && viewer.opened !== opened; tries--) {
            opened = viewer.opened;
            line.cut();
            await viewer.says('The service cannot be reached');
            assert.match(await viewer.page.title(), /Not connected/);
            await screenshot(viewer.page, 'viewer-line-cut');
            line.mend({ forgets: false });
            await viewer.shown();
            assert.match(await viewer.page.title(), /Connected/);
            assert.ok(viewer.opened === opened || tries > 1, 'it has kept its connection');
        }
    });

    await t.test('a connection that stays dead is replaced, and the machine has the clipboard\'s text again', async () => {
        await eventually('it says what it can', () => viewer.count(CLIPBOARD_MESSAGES) >= viewer.opened);
        const said = viewer.count(CLIPBOARD_MESSAGES);
        await viewer.page.evaluate(() => {
            const field = document.getElementById('clipboard');
            field.value = 'of this device';
            field.dispatchEvent(new Event('input'));
        });
        await eventually('the text is offered', () => viewer.count(CLIPBOARD_MESSAGES) > said);
        const { opened } = viewer, told = viewer.count(CLIPBOARD_MESSAGES);
        line.cut();
        await viewer.page.evaluate(() => window.dispatchEvent(new Event('offline')));
        await viewer.says('The service cannot be reached');
        line.mend({ forgets: true });
        await viewer.page.evaluate(() => window.dispatchEvent(new Event('online')));
        await viewer.shown();
        assert.ok(viewer.opened > opened);
        await eventually('the text is offered again', () => viewer.count(CLIPBOARD_MESSAGES) >= told + 2);
    });

    await t.test('a device without a network says so', async () => {
        await context.setOffline(true);
        line.cut();
        await viewer.says('This device has no network');
        await context.setOffline(false);
        line.mend({ forgets: true });
        await viewer.shown();
        await eventually('a picture', () => viewer.colour(0.9, 0.8));
    });
    assert.deepEqual(viewer.errors, []);
    await service.stop(session.id);
    await service.assertNothingLeft(session.id);
});
