// SPDX-License-Identifier: AGPL-3.0-or-later

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { answerTo, openBrowser, openContext } from '../lib/browser.mjs';
import { Viewer, newSession, viewerPage } from '../lib/viewer-page.mjs';
import { eventually } from '../lib/wait.mjs';
import { WebService } from '../lib/web-service.mjs';

// A session is warned of its end for a quarter of its life at most: this one is told to have begun long ago, so that its
// end is near for as long as the test may need.
function seemsOld(service, id) {
    const folder = service.path('service/snapshots', id), began = Math.floor(Date.now() / 1000) - 3600;
    execFileSync('flock', [`${folder}/lock`, 'sed', '-i', `s/"started_at": *[0-9]*/"started_at":${began}/`, `${folder}/session.json`]);
    assert.equal(service.record(id).started_at, began);
}

test('an end that is near is told in the viewer, with what can be done', async (t) => {
    const service = await WebService.serve(t, 'qwd-server');
    const browser = await openBrowser(t);
    const session = await newSession(service, '128M', { snapshot_lifetime: '540' });
    seemsOld(service, session.id);
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

// A visitor who looks at another tab, and has agreed to be told; `shows`: whether the browser lets pages do that.
async function openElsewhere(t, browser, shows) {
    const context = await openContext(t, browser);
    await context.addInitScript((isShown) => {
        globalThis.isElsewhere = true;
        globalThis.told = [];
        Object.defineProperty(document, 'hidden', { get: () => globalThis.isElsewhere });
        document.hasFocus = () => !globalThis.isElsewhere;
        localStorage.setItem('qwd-tell', localStorage.getItem('qwd-tell') ?? 'yes');
        globalThis.Notification = class {
            static permission = 'granted';

            constructor(title, { body }) {
                if (!isShown)
                    throw new TypeError('Illegal constructor. Use ServiceWorkerRegistration.showNotification() instead.');
                globalThis.told.push(body);
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
            return route.continue(); // a page that does not come from here may not connect to here
        const answer = await answerTo(route);
        if (!answer)
            return undefined;
        const json = await answer.json(), { session = {}, link = {} } = json;
        session.ending = { kind: 'time', what: 'The time is nearly over.', before: 'It ends', help: 'Save your work.', time: { iso, text: '' } };
        link.end = { iso, text: '' };
        return route.fulfill({ response: answer, json, headers: { ...answer.headers(), date: new Date(now).toUTCString() } });
    });
}

test('who looks elsewhere is told of an end that is near', async (t) => {
    const service = await WebService.serve(t, 'qwd-server');
    const browser = await openBrowser(t);
    const session = await newSession(service, '128M');
    for (const [url, shows, words] of [[viewerPage(service, session.id), true, /^The time is nearly over\. It ends in 4 min\. Save your work\.$/],
                                       [session.watch_url, false, /^This session ends in 4 min\.$/]]) {
        const context = await openElsewhere(t, browser, shows);
        await endsSoon(context);
        const { page, troubles } = await Viewer.open(context, url);
        await eventually('the title says so', async () => /^Ends in 5 minutes - .* - Connected$/.test(await page.title()));
        assert.equal(await page.locator('#toast').textContent(), '');
        const told = await page.evaluate(() => globalThis.told);
        assert.equal(told.length, shows ? 1 : 0, 'once, where it can be');
        if (shows)
            assert.match(told[0], words);
        assert.equal(await page.evaluate(() => localStorage.getItem('qwd-tell')), shows ? 'yes' : 'no', 'nobody is promised what cannot be');
        await page.evaluate(() => {
            globalThis.isElsewhere = false;
            document.dispatchEvent(new Event('visibilitychange'));
        });
        await page.locator('#toast span').waitFor();
        assert.match(await page.locator('#toast span').textContent(), words);
        assert.equal((await page.evaluate(() => globalThis.told)).length, told.length);
        assert.deepEqual(troubles, []);
        await context.unrouteAll({ behavior: 'wait' });
        await context.close();
    }
    await service.stop(session.id);
    await service.assertNothingLeft(session.id);
});
