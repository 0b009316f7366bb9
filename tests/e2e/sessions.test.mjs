// SPDX-License-Identifier: AGPL-3.0-or-later
// The page of a session and "My sessions": progress with the screen, on to the desktop, notifications, cancelling and
// stopping, cards with pictures, pages of many, and what has been; with a script and without, on a desk and on a phone.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { holdStarts } from './scenarios.mjs';
import { answerTo, openBrowser, openContext, screenshot, stopOnPage } from '../lib/browser.mjs';
import { top } from '../lib/files.mjs';
import { removeRecords, writeRecords } from '../lib/session-records.mjs';
import { eventually } from '../lib/wait.mjs';
import { WebService } from '../lib/web-service.mjs';

const program = '/cgi-bin/qemu-web-desktop.cgi';
const sizes = { wide: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };
const axe = fs.readFileSync(path.join(top, 'tests/node_modules/axe-core/axe.min.js'), 'utf8');

let service, browser;

const pageOf = (id, more = '') => `${service.origin}${program}?session=${id}${more}`;
const list = (more = '') => `${service.origin}${program}?manage=1${more}`;
const isDrawn = (page, selector) => eventually(`a picture in ${selector}`, () =>
    page.evaluate((one) => (document.querySelector(one)?.naturalWidth ?? 0) > 100, selector));

// In both colour schemes: nothing is wider than the screen, and axe finds nothing serious.
async function check(page, name) {
    for (const colorScheme of ['light', 'dark']) {
        await page.emulateMedia({ colorScheme });
        await screenshot(page, `${name}-${colorScheme}`, { fullPage: true });
        const [wide, seen] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
        assert.ok(wide <= seen, `${name}: ${wide} in ${seen}`);
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() => globalThis.axe.run());
        const serious = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact));
        assert.deepEqual(serious.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), [], `${name} ${colorScheme}`);
    }
}

// A page whose notifications are noted instead of shown.
async function openListener(t, options = {}) {
    const context = await openContext(t, browser, options);
    await context.addInitScript(() => {
        globalThis.told = [];
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
                    globalThis.told.push([title, body]);
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
    const troubles = [];
    page.on('pageerror', (error) => troubles.push(String(error)));
    await page.goto(pageOf(id, '&new=1'));
    await page.locator('.step-now', { hasText: 'Starting the machine' }).waitFor();
    assert.equal(new URL(page.url()).searchParams.has('new'), false, 'the address can be sent to somebody');
    assert.equal(await page.getByRole('button', { name: /^Cancel/ }).count(), 1);
    for (const [name, size] of Object.entries(sizes)) {
        await page.setViewportSize(size);
        await check(page, `sessions-progress-${name}`);
    }
    await Promise.all([page.waitForURL(/\?view=/), release()]);
    await page.goBack();
    await page.locator('#connect').waitFor();
    await isDrawn(page, '#picture');
    const shown = await page.locator('#picture').getAttribute('src');
    await eventually('another picture', async () => await page.locator('#picture').getAttribute('src') !== shown);
    assert.equal(await page.getByRole('img', { name: /^The screen of / }).count(), 1);
    assert.ok(page.url().includes('?session='), 'who comes back stays');
    assert.deepEqual(troubles, []);
    return id;
}

async function later(t, id) {
    const context = await openContext(t, browser, { follows: true });
    const page = await context.newPage();
    const answered = page.waitForResponse((answer) => answer.headers()['content-type']?.startsWith('application/json'));
    await page.goto(pageOf(id));
    await answered;
    await isDrawn(page, '#picture');
    assert.ok(page.url().includes('?session='), 'nobody is sent on who comes to a session that runs');
    assert.doesNotMatch(await page.title(), /^Ready/);
    for (const [name, size] of Object.entries(sizes)) {
        await page.setViewportSize(size);
        await check(page, `sessions-ready-${name}`);
    }
}

async function notifications(t) {
    const release = await holdStarts(t, service);
    const id = await service.create();
    const page = await openListener(t, { follows: true });
    await page.goto(pageOf(id, '&new=1'));
    await page.getByLabel('Stay on this page when the machine is ready').check();
    assert.equal(await page.evaluate(() => globalThis.asked ?? 0), 0, 'nobody is asked who has not pressed');
    await page.getByRole('button', { name: 'Tell me when it is ready' }).click();
    await page.getByRole('button', { name: /^You will be told/, pressed: true }).waitFor();
    assert.equal(await page.evaluate(() => globalThis.asked), 1);
    await release();
    await page.locator('#connect').waitFor();
    await eventually('the title says so', async () => /^Ready - /.test(await page.title()));
    const told = await page.evaluate(() => globalThis.told);
    assert.deepEqual(told.map(([, body]) => body), ['Your machine is ready']);
    assert.ok(page.url().includes('?session='), 'it stays');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'connect');
    await page.getByRole('button', { name: 'You will be told before it ends', pressed: true }).click();
    await page.getByRole('button', { name: 'Tell me before it ends', pressed: false }).click();
    await page.getByRole('button', { name: 'You will be told before it ends', pressed: true }).waitFor();
    assert.deepEqual((await page.evaluate(() => globalThis.told)).at(-1)[1], 'You will be told before it ends', 'which shows that it can be');

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
    await eventually('the title counts', async () => /^Ends in (9|10) minutes - /.test(await page.title()));
    assert.deepEqual((await page.evaluate(() => globalThis.told)).at(-1)[1], 'The time is nearly over. Extend it.');
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
    for (const [name, size] of Object.entries(sizes)) {
        await page.setViewportSize(size);
        await check(page, `sessions-cards-${name}`);
    }
    // What comes anew leaves open what somebody has opened.
    const other = await service.create();
    await page.locator(`#page-${other}`).waitFor();
    await page.locator(`.session-row:has(#page-${other}) .badge`, { hasText: 'Running' }).waitFor();
    assert.ok(await card.locator('details').evaluate((details) => details.open));
    assert.deepEqual(loads, [], 'the script brings the page up to date, not a reload');
    assert.equal(service.record(id).state, 'running', 'a question is no answer');
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
    await page.locator('#again').waitFor(); // until then, the page loads itself again
    await eventually('it is over', async () => !service.record(id));
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
    await t.test('progress with the screen, then on to the desktop', async (part) => (first = await progress(part)));
    await t.test('who comes later stays', (part) => later(part, first));
    await t.test('on a session\'s page, Stop asks first', async (part) => {
        const page = await (await openContext(part, browser)).newPage();
        await page.goto(pageOf(first));
        await page.locator('.sure > summary').click();
        assert.equal(service.record(first).stop_requested_at, 0);
        await page.reload();
        await stopOnPage(page);
        await page.locator('#again').waitFor();
        await service.assertNothingLeft(first);
    });
    await t.test('Stay here, title and notifications', async (part) => (second = await notifications(part)));
    const { owner } = service.record(second);
    await t.test('Cancel', cancel);
    await t.test('cards', async (part) => (third = await cards(part, second)));
    await t.test('without a script; history', (part) => withoutScript(part, third));
    await t.test('many', (part) => many(part, owner));
    await service.assertAllGone();
});
