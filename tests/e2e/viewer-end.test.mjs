// SPDX-License-Identifier: AGPL-3.0-or-later
// The end of a session in the viewer.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { answerTo, openBrowser, openContext } from '../lib/browser.mjs';
import { Viewer, newSession, viewerPage } from '../lib/viewer-page.mjs';
import { WebService } from '../lib/web-service.mjs';

// The viewer warns during the last quarter of a session's life at most. This moves the start of a session into the past, so
// that its end is near for as long as the test may need.
function makeOld(service, id) {
    const folder = service.path('service/snapshots', id), began = Math.floor(Date.now() / 1000) - 3600;
    execFileSync('flock', [`${folder}/lock`, 'sed', '-i', `s/"started_at": *[0-9]*/"started_at":${began}/`, `${folder}/session.json`]);
    assert.equal(service.record(id).started_at, began);
}

test('the viewer warns of an end that is near, and offers an extension', async (t) => {
    const service = await WebService.serve(t, 'qwd-server');
    const browser = await openBrowser(t);
    const session = await newSession(service, '128M', { snapshot_lifetime: '540' });
    makeOld(service, session.id);
    const context = await openContext(t, browser);
    const owner = await Viewer.open(context, viewerPage(service, session.id)), guest = await Viewer.open(context, session.watch_url);
    await guest.page.locator('#toast', { hasText: /ends in/ }).waitFor();
    assert.equal(await guest.page.locator('#toast button').count(), 0);
    await owner.page.locator('#toast', { hasText: /nearly over.*in \d min/ }).waitFor();
    await owner.page.locator('#toast').getByRole('button', { name: /^Extend by/ }).click();
    await owner.page.locator('#toast', { hasText: /^Extended: .* left/ }).waitFor();
    await owner.press('Share');
    await owner.page.locator('#share-dialog').waitFor();
    await service.stop(session.id);
    await owner.says('The session is over');
    assert.equal(await owner.page.locator('#share-dialog').isVisible(), false);
    assert.equal(await owner.page.evaluate(() => document.activeElement.id), 'again');
    await service.assertNothingLeft(session.id);
});

// A page in a background tab, with notifications allowed. `shows`: whether the browser can show those of a page.
async function openInBackground(t, browser, shows) {
    const context = await openContext(t, browser);
    await context.addInitScript((isShown) => {
        globalThis.isInBackground = true;
        globalThis.notifications = [];
        Object.defineProperty(document, 'hidden', { get: () => globalThis.isInBackground });
        document.hasFocus = () => !globalThis.isInBackground;
        localStorage.setItem('qwd-tell', localStorage.getItem('qwd-tell') ?? 'yes');
        globalThis.Notification = class {
            static permission = 'granted';

            constructor(title, { body }) {
                if (!isShown)
                    throw new TypeError('Illegal constructor. Use ServiceWorkerRegistration.showNotification() instead.');
                globalThis.notifications.push(body);
            }
        };
    }, shows);
    return context;
}

// A server whose clock is an hour ahead, at which the session ends in nearly five minutes.
async function endsSoon(context) {
    const now = Date.now() + 3600e3, iso = new Date(now + 290e3).toISOString();
    await context.route(/qemu-web-desktop\.cgi|\/viewer/, async (route) => {
        if (route.request().resourceType() !== 'fetch')
            return route.continue(); // a page that is fulfilled here could not connect to the service
        const answer = await answerTo(route);
        if (!answer)
            return undefined;
        const json = await answer.json(), { session = {}, link = {} } = json;
        session.ending = { kind: 'time', what: 'The time is nearly over.', before: 'It ends', help: 'Save your work.', time: { iso, text: '' } };
        link.end = { iso, text: '' };
        return route.fulfill({ response: answer, json, headers: { ...answer.headers(), date: new Date(now).toUTCString() } });
    });
}

test('a viewer in the background notifies of an end that is near', async (t) => {
    const service = await WebService.serve(t, 'qwd-server');
    const browser = await openBrowser(t);
    const session = await newSession(service, '128M');
    for (const [url, shows, words] of [[viewerPage(service, session.id), true, /^The time is nearly over\. It ends in 4 min\. Save your work\.$/],
                                       [session.watch_url, false, /^This session ends in 4 min\.$/]]) {
        const context = await openInBackground(t, browser, shows);
        await endsSoon(context);
        const { page, errors } = await Viewer.open(context, url);
        await page.waitForFunction(() => /^Ends in 5 minutes - .* - Connected$/.test(document.title));
        assert.equal(await page.locator('#toast').textContent(), '');
        const notifications = await page.evaluate(() => globalThis.notifications);
        assert.equal(notifications.length, shows ? 1 : 0, 'one notification, where the browser can show it');
        if (shows)
            assert.match(notifications[0], words);
        assert.equal(await page.evaluate(() => localStorage.getItem('qwd-tell')), shows ? 'yes' : 'no', 'a browser that cannot show notifications is not asked again');
        await page.evaluate(() => {
            globalThis.isInBackground = false;
            document.dispatchEvent(new Event('visibilitychange'));
        });
        await page.locator('#toast span').waitFor();
        assert.match(await page.locator('#toast span').textContent(), words);
        assert.equal((await page.evaluate(() => globalThis.notifications)).length, notifications.length);
        assert.deepEqual(errors, []);
        await context.unrouteAll({ behavior: 'wait' });
        await context.close();
    }
    await service.stop(session.id);
    await service.assertNothingLeft(session.id);
});
