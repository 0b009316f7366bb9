// SPDX-License-Identifier: AGPL-3.0-or-later
// The page of a session and "My sessions": progress and screenshots, the redirect to the desktop, notifications, Cancel and
// Stop, cards, pages of many sessions, and the history; with script and without, on a large screen and on a phone.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { holdStarts } from './scenarios.mjs';
import { answerTo, openBrowser, openContext, screenshot, stopOnPage } from '../lib/browser.mjs';
import { checkAxe, checkWidth } from '../lib/page-checks.mjs';
import { removeRecords, writeRecords } from '../lib/session-records.mjs';
import { isFull } from '../lib/tiers.mjs';
import { WebService } from '../lib/web-service.mjs';

const program = '/cgi-bin/qemu-web-desktop.cgi';
const sizes = { wide: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };

let service, browser;

const pageOf = (id, more = '') => `${service.origin}${program}?session=${id}${more}`;
const list = (more = '') => `${service.origin}${program}?manage=1${more}`;
const isDrawn = (page, selector) => page.waitForFunction((one) => (document.querySelector(one)?.naturalWidth ?? 0) > 100, selector);

// Nothing is wider than the screen, and axe finds nothing serious. The full tier has both colour schemes in both sizes.
async function check(page, name) {
    const views = Object.keys(sizes).flatMap((size) => ['light', 'dark'].map((colorScheme) => [size, colorScheme]));
    for (const [size, colorScheme] of isFull ? views : [views[0], views[3]]) {
        await page.setViewportSize(sizes[size]);
        await page.emulateMedia({ colorScheme });
        if (isFull)
            await screenshot(page, `${name}-${size}-${colorScheme}`, { fullPage: true });
        await checkWidth(page, name);
        await checkAxe(page, `${name} ${size} ${colorScheme}`);
    }
}

// A page that collects its notifications.
async function openNotifiedPage(t, options = {}) {
    const context = await openContext(t, browser, options);
    await context.addInitScript(() => {
        globalThis.notifications = [];
        let permission = 'default';
        globalThis.Notification = class {
            static get permission() {
                return permission;
            }

            static async requestPermission() {
                globalThis.asked = (globalThis.asked ?? 0) + 1;
                return (permission = 'granted');
            }

            constructor(title, { body }) {
                if (permission === 'granted')
                    globalThis.notifications.push([title, body]);
            }
        };
    });
    return context.newPage();
}

async function progress(t) {
    const release = await holdStarts(t, service);
    const id = await service.create();
    const context = await openContext(t, browser, { follows: true });
    const page = await context.newPage();
    const errors = [];
    page.on('pageerror', (error) => errors.push(String(error)));
    await page.goto(pageOf(id, '&new=1'));
    await page.locator('.step-now', { hasText: 'Starting the machine' }).waitFor();
    assert.equal(new URL(page.url()).searchParams.has('new'), false, 'the address can be shared');
    assert.equal(await page.getByRole('button', { name: /^Cancel/ }).count(), 1);
    await check(page, 'sessions-progress');
    await Promise.all([page.waitForURL(/\?view=/), release()]);
    await page.goBack();
    await page.locator('#connect').waitFor();
    await isDrawn(page, '#picture');
    const shown = await page.locator('#picture').getAttribute('src');
    await page.waitForFunction((src) => document.getElementById('picture').getAttribute('src') !== src, shown);
    assert.equal(await page.getByRole('img', { name: /^The screen of / }).count(), 1);
    assert.ok(page.url().includes('?session='), 'a return with Back is not redirected');
    assert.deepEqual(errors, []);
    return id;
}

async function later(t, id) {
    const context = await openContext(t, browser, { follows: true });
    const page = await context.newPage();
    const answered = page.waitForResponse((answer) => answer.headers()['content-type']?.startsWith('application/json'));
    await page.goto(pageOf(id));
    await answered;
    await isDrawn(page, '#picture');
    assert.ok(page.url().includes('?session='), 'a session that runs already does not redirect');
    assert.doesNotMatch(await page.title(), /^Ready/);
    await check(page, 'sessions-ready');
}

async function notify(t) {
    const release = await holdStarts(t, service);
    const id = await service.create();
    const page = await openNotifiedPage(t, { follows: true });
    await page.goto(pageOf(id, '&new=1'));
    await page.getByLabel('Stay on this page when the machine is ready').check();
    assert.equal(await page.evaluate(() => globalThis.asked ?? 0), 0, 'no permission is requested before the button is pressed');
    await page.getByRole('button', { name: 'Tell me when it is ready' }).click();
    await page.getByRole('button', { name: /^You will be told/, pressed: true }).waitFor();
    assert.equal(await page.evaluate(() => globalThis.asked), 1);
    await release();
    await page.locator('#connect').waitFor();
    await page.waitForFunction(() => /^Ready - /.test(document.title));
    const notifications = await page.evaluate(() => globalThis.notifications);
    assert.deepEqual(notifications.map(([, body]) => body), ['Your machine is ready']);
    assert.ok(page.url().includes('?session='), 'the page stays');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'connect');
    await page.getByRole('button', { name: 'You will be told before it ends', pressed: true }).click();
    await page.getByRole('button', { name: 'Tell me before it ends', pressed: false }).click();
    await page.getByRole('button', { name: 'You will be told before it ends', pressed: true }).waitFor();
    assert.deepEqual((await page.evaluate(() => globalThis.notifications)).at(-1)[1], 'You will be told before it ends', 'a notification at once shows that they work');

    const end = new Date(Date.now() + 570000).toISOString();
    await page.route((url) => url.searchParams.get('session') === id && !url.searchParams.has('picture'), async (route) => {
        const answer = await answerTo(route, { headers: { ...route.request().headers(), 'if-none-match': '' } });
        if (!answer)
            return undefined;
        if (!answer.headers()['content-type'].startsWith('application/json'))
            return route.fulfill({ response: answer });
        const json = await answer.json();
        json.session.ending = { kind: 'time', what: 'The time is nearly over.', before: 'It ends', help: 'Extend it.', time: { iso: end, text: '' } };
        return route.fulfill({ response: answer, json });
    });
    await page.waitForFunction(() => /^Ends in (9|10) minutes - /.test(document.title));
    assert.deepEqual((await page.evaluate(() => globalThis.notifications)).at(-1)[1], 'The time is nearly over. Extend it.');
    await page.unrouteAll({ behavior: 'wait' });
    return id;
}

async function cancel(t) {
    for (const javaScriptEnabled of [true, false]) {
        const release = await holdStarts(t, service);
        const id = await service.create();
        const context = await openContext(t, browser, { javaScriptEnabled, viewport: sizes.phone });
        const page = await context.newPage();
        await page.goto(pageOf(id));
        await page.locator('.step-now', { hasText: 'Starting the machine' }).waitFor();
        await page.getByRole('button', { name: /^Cancel/ }).click();
        await page.getByRole('heading', { name: /is being stopped/ }).waitFor();
        await release();
        await page.locator('#again').waitFor();
        assert.match(await page.locator('#session').textContent(), /The session is over.*Stopped by/s);
        await service.assertNothingLeft(id);
    }
}

async function cards(t, id) {
    const context = await openContext(t, browser);
    const page = await context.newPage();
    const loads = [];
    await page.goto(list());
    page.on('request', (request) => request.isNavigationRequest() && loads.push(request.url()));
    const card = page.locator('.session-row', { has: page.locator(`#page-${id}`) });
    await isDrawn(page, `#picture-${id}`);
    assert.match(await card.getByRole('link', { name: /^Connect/ }).getAttribute('href'), new RegExp(`\\?view=${id}$`));
    assert.match(await card.getByRole('link', { name: /^Share/ }).getAttribute('href'), /#sharing$/);
    assert.match(await card.textContent(), /Cores.*Memory.*Time left.*Ends/s);
    await card.locator('summary').click();
    await check(page, 'sessions-cards');
    // An update keeps open details open.
    const other = await service.create();
    await page.locator(`#page-${other}`).waitFor();
    await page.locator(`.session-row:has(#page-${other}) .badge`, { hasText: 'Running' }).waitFor();
    assert.ok(await card.locator('details').evaluate((details) => details.open));
    assert.deepEqual(loads, [], 'the script updates the page without a reload');
    assert.equal(service.record(id).state, 'running', 'not without the confirmation');
    assert.equal(service.record(id).stop_requested_at, 0);
    await card.getByRole('button', { name: /^Yes, stop/ }).click();
    await page.locator('#again').waitFor();
    await service.assertNothingLeft(id);
    return other;
}

async function withoutScript(t, id) {
    const context = await openContext(t, browser, { javaScriptEnabled: false });
    const page = await context.newPage();
    await page.goto(list());
    const card = page.locator('.session-row', { has: page.locator(`#page-${id}`) });
    await card.locator('summary').press('Enter');
    await card.getByRole('button', { name: /^Yes, stop/ }).press('Enter');
    await page.locator('#again').waitFor(); // the page reloads itself until then
    await service.ended(id);
    await page.goto(list());
    const past = page.locator('.history > li');
    assert.ok(await past.count() >= 4);
    assert.match(await past.first().textContent(), /Ended.*Stopped by.*It lasted/s);
    await past.first().getByRole('link').click();
    assert.match(await page.locator('#session').textContent(), /The session is over/);
}

async function many(t, owner) {
    const snapshots = service.path('service/snapshots');
    const records = writeRecords(snapshots, 120, () => ({ owner }));
    try {
        for (const javaScriptEnabled of [true, false]) {
            const context = await openContext(t, browser, { javaScriptEnabled });
            const page = await context.newPage();
            await page.goto(list());
            assert.equal(await page.locator('.session-row').count(), 50);
            await page.getByText('120 sessions').waitFor();
            await page.getByRole('link', { name: 'Next' }).click();
            await page.getByText('Page 2 of 3').waitFor();
            await page.getByRole('link', { name: 'Next' }).click();
            await page.getByText('Page 3 of 3').waitFor();
            assert.equal(await page.locator('.session-row').count(), 20);
            assert.equal(await page.locator('.history').count(), 0);
        }
    } finally {
        removeRecords(snapshots, records);
    }
}

test('the pages of sessions', async (t) => {
    service = await WebService.serve(t, 'qwd-server');
    browser = await openBrowser(t);
    let first, second, third;
    await t.test('progress, and the redirect to the desktop', async (part) => (first = await progress(part)));
    await t.test('the page of a session that runs does not redirect', (part) => later(part, first));
    await t.test('Stop asks for a confirmation', async (part) => {
        const page = await (await openContext(part, browser)).newPage();
        await page.goto(pageOf(first));
        await page.locator('.sure > summary').click();
        assert.equal(service.record(first).stop_requested_at, 0);
        await page.reload();
        await stopOnPage(page);
        await page.locator('#again').waitFor();
        await service.assertNothingLeft(first);
    });
    await t.test('Stay on this page, the title and notifications', async (part) => (second = await notify(part)));
    const { owner } = service.record(second);
    await t.test('Cancel', cancel);
    await t.test('cards of My sessions', async (part) => (third = await cards(part, second)));
    await t.test('without script; the history', (part) => withoutScript(part, third));
    await t.test('120 sessions', (part) => many(part, owner));
    await service.assertAllGone();
});
