// SPDX-License-Identifier: AGPL-3.0-or-later
// The viewer when the network fails without closing a connection. The time of the page is Playwright's clock, so that the
// time-outs of the viewer pass at once.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openBrowser, openContext, screenshot } from '../lib/browser.mjs';
import { CuttableProxy } from '../lib/cuttable-proxy.mjs';
import { CLIPBOARD_MESSAGES, Viewer, newSession, viewerPage } from '../lib/viewer-page.mjs';
import { eventually } from '../lib/wait.mjs';
import { WebService } from '../lib/web-service.mjs';

const STEP_MS = 5000; // shorter than each time-out of the viewer

// The browser's own timers of requests follow the clock too.
function useClockForRequests() {
    AbortSignal.timeout = (ms) => {
        const controller = new AbortController();
        setTimeout(() => controller.abort(new DOMException('The operation timed out.', 'TimeoutError')), ms);
        return controller.signal;
    };
}

test('the viewer notices that the network has failed, and reconnects', async (t) => {
    const service = await WebService.serve(t, 'qwd-server');
    const browser = await openBrowser(t), context = await openContext(t, browser);
    const session = await newSession(service, '128M');
    const line = await CuttableProxy.to(t, service.httpPort);
    await context.clock.install();
    await context.addInitScript(useClockForRequests);
    const viewer = await Viewer.open(context, viewerPage({ origin: line.origin }, session.id));
    await viewer.shown();

    // Lets the page's time pass until the condition is true. Before each step the service answers a request like the
    // page's, so that the page's own requests are answered between two steps where the network works.
    const passTime = (what, condition) => eventually(what, async () => {
        if (await condition())
            return true;
        await service.sessionState(session.id);
        await context.clock.fastForward(STEP_MS);
        return false;
    });
    const isSaid = (words) => viewer.page.locator('#status:not([hidden])', { hasText: words }).isVisible();
    const isShown = () => viewer.page.locator('#screen.shown').isVisible();

    await t.test('a connection that works again is kept', async () => {
        // The viewer gives up a display that is silent for another ten seconds, which a slow host may be: it gets more tries.
        for (let tries = 3, opened = 0; tries > 0 && viewer.opened !== opened; tries--) {
            opened = viewer.opened;
            line.cut();
            await passTime('the failure is noticed', () => isSaid('The service cannot be reached'));
            assert.match(await viewer.page.title(), /Not connected/);
            await screenshot(viewer.page, 'viewer-reconnect-cut');
            line.mend({ forgets: false });
            await viewer.shown();
            assert.match(await viewer.page.title(), /Connected/);
            assert.ok(viewer.opened === opened || tries > 1, 'the connection is the same');
        }
    });

    await t.test('a connection that stays dead is replaced, and the machine gets the text of the clipboard again', async () => {
        await eventually('the clipboard is announced', () => viewer.count(CLIPBOARD_MESSAGES) >= viewer.opened);
        const announced = viewer.count(CLIPBOARD_MESSAGES);
        await viewer.page.evaluate(() => {
            const field = document.getElementById('clipboard');
            field.value = 'of this device';
            field.dispatchEvent(new Event('input'));
        });
        await viewer.waitForSent(CLIPBOARD_MESSAGES, announced + 1);
        const { opened } = viewer, offered = viewer.count(CLIPBOARD_MESSAGES);
        line.cut();
        await viewer.page.evaluate(() => window.dispatchEvent(new Event('offline')));
        await passTime('the failure is noticed', () => isSaid('The service cannot be reached'));
        line.mend({ forgets: true });
        await viewer.page.evaluate(() => window.dispatchEvent(new Event('online')));
        await passTime('another connection', () => viewer.opened > opened);
        await passTime('the picture', isShown);
        await viewer.waitForSent(CLIPBOARD_MESSAGES, offered + 2);
    });

    await t.test('a device without a network is reported', async () => {
        await context.setOffline(true);
        line.cut();
        await passTime('the failure is noticed', () => isSaid('This device has no network'));
        await context.setOffline(false);
        line.mend({ forgets: true });
        await passTime('the picture', isShown);
        assert.ok(await viewer.colour(0.9, 0.8));
    });
    assert.deepEqual(viewer.errors, []);
    await service.stop(session.id);
    await service.assertNothingLeft(session.id);
});
