// SPDX-License-Identifier: AGPL-3.0-or-later
// The monitor: sorting, searching and stopping sessions, and live updates, with script and without, on a large screen and
// on a phone. One session has processes, the others are records.
// Cores: 0.5

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { test } from 'node:test';
import { openBrowser, openContext, screenshot } from '../lib/browser.mjs';
import { checkWidth } from '../lib/page-checks.mjs';
import { removeRecords, samplesOf, someQueued, writeRecords } from '../lib/session-records.mjs';
import { WebService } from '../lib/web-service.mjs';

const target = '/cgi-bin/qemu-web-desktop.cgi?monitor=1';
const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

const users = (page) => page.locator('.monitor-table .who-cell').allTextContents();
const rows = (page) => page.locator('.monitor-table tbody tr');
const countIs = (page, text) => page.locator('#count', { hasText: text }).waitFor();

// The script replaces content without a navigation.
function countLoads(page) {
    const loads = [];
    page.on('request', (request) => request.isNavigationRequest() && loads.push(request.url()));
    return loads;
}

async function withScript(t, browser, service) {
    const context = await openContext(t, browser);
    const page = await context.newPage();
    const errors = [];
    page.on('pageerror', (error) => errors.push(String(error)));
    page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
    await page.goto(service.origin + target);
    await countIs(page, /^250 sessions$/);
    assert.equal(await rows(page).count(), 100);
    await screenshot(page, 'monitor', { fullPage: true });
    const loads = countLoads(page);

    await t.test('a click or Enter sorts the table, and a live region announces it', async () => {
        await page.getByRole('link', { name: 'User name', exact: true }).click();
        await page.locator('th[aria-sort=ascending]', { hasText: 'User name' }).waitFor();
        const sorted = await users(page);
        assert.deepEqual(sorted, [...sorted].sort());
        await page.getByRole('link', { name: 'User name', exact: true }).press('Enter');
        await page.locator('th[aria-sort=descending]', { hasText: 'User name' }).waitFor();
        assert.equal(await page.evaluate(() => document.activeElement.dataset.look), 'sort-user', 'the focus stays');
        assert.equal((await users(page))[0], 'user39');
        assert.match(await page.locator('#announce').textContent(), /250 sessions shown/);
    });

    await t.test('typing and the choice of a state filter the table', async () => {
        await page.getByLabel('Find user or machine').pressSequentially('user1');
        await countIs(page, /^\d\d of 250 sessions$/);
        assert.ok((await users(page)).every((user) => user.startsWith('user1')));
        assert.equal(await page.evaluate(() => document.activeElement.value), 'user1', 'the field keeps the focus');
        await page.getByLabel('State').selectOption('queued');
        await page.waitForFunction(() => [...document.querySelectorAll('.state-cell')].every(({ textContent }) => textContent === 'Queued'));
        assert.match(page.url(), /find=user1.*state=queued/, 'the address has the filter');
        await page.getByLabel('Find user or machine').fill('nobody');
        await page.getByText('No session matches.').waitFor();
        await page.getByRole('link', { name: 'Show all' }).click();
        await countIs(page, /^250 sessions$/);
        await page.getByRole('link', { name: 'Next' }).click();
        await page.getByText('Page 2 of 3').waitFor();
    });

    assert.deepEqual(loads, [], 'the page was not reloaded');
    assert.deepEqual(errors, []);
}

async function liveUpdates(t, browser, service, id) {
    const context = await openContext(t, browser);
    const page = await context.newPage();
    await page.goto(`${service.origin}${target}&find=${id}`);
    const row = page.locator(`tr[data-id="${id}"]`);
    await row.getByText('Running').waitFor();
    assert.equal(await row.locator('[data-cell=pid]').textContent(),
                 String(service.record(id).processes.find(({ name }) => name === 'qemu').pid));
    const loads = countLoads(page);

    await t.test('a live update keeps the selection', async () => {
        await row.getByRole('checkbox').check();
        await page.getByText('1 session selected').waitFor();
        const idle = await row.locator('[data-cell=idle]').textContent();
        await page.waitForFunction(([selector, text]) => document.querySelector(selector).textContent !== text,
                                   [`tr[data-id="${id}"] [data-cell=idle]`, idle]);
        assert.ok(await row.getByRole('checkbox').isChecked());
        assert.deepEqual(loads, []);
    });

    await t.test('Stop asks for a confirmation, and then the selected sessions disappear', async () => {
        const stop = page.locator('button[name=sessions_stop][value=selected]');
        await stop.click();
        assert.equal(service.record(id).stop_requested_at, 0, 'not without the confirmation');
        await page.getByLabel('Yes, stop them').check();
        const [answer] = await Promise.all([page.waitForNavigation(), stop.click()]);
        assert.match(await answer.text(), /Sessions asked to end: 1 of 1\./); // the next update removes it
        await service.ended(id);
        await page.getByText('No session matches.').waitFor();
    });
}

async function withoutScript(t, browser, service) {
    const context = await openContext(t, browser, { javaScriptEnabled: false });
    const page = await context.newPage();
    await page.goto(service.origin + target);
    await page.getByRole('link', { name: '#CPU' }).click();
    await page.locator('th[aria-sort=descending]', { hasText: '#CPU' }).waitFor();
    await page.getByLabel('Find user or machine').fill('user07');
    await page.getByRole('button', { name: 'Show', exact: true }).click();
    assert.deepEqual([...new Set(await users(page))], ['user07']);
    await rows(page).first().getByRole('checkbox').check();
    assert.ok(await page.locator('button[name=sessions_extend][value=selected]').isEnabled());
    await Promise.all([page.waitForNavigation(), page.locator('button[name=sessions_extend][value=selected]').click()]);
    await page.getByText(/Sessions extended: \d of 1/).waitFor();
    assert.deepEqual([...new Set(await users(page))], ['user07'], 'the filter stays');
}

async function onAPhone(t, browser, service) {
    for (const colorScheme of ['light', 'dark']) {
        const context = await openContext(t, browser, { ...phone, colorScheme });
        const page = await context.newPage();
        await page.goto(`${service.origin}${target}&find=user07`);
        await rows(page).first().waitFor();
        await checkWidth(page, 'a phone');
        const box = await rows(page).first().boundingBox();
        assert.ok(box.x >= 0 && box.x + box.width <= 390, 'the card of a session fits');
        const button = await rows(page).getByRole('button', { name: /^Stop/ }).first().boundingBox();
        assert.ok(button.height >= 40, 'large enough for a finger');
        await screenshot(page, `monitor-phone-${colorScheme}`, { fullPage: true });
    }
}

async function curves(browser, service, t) {
    const context = await openContext(t, browser);
    const page = await context.newPage();
    await page.goto(service.origin + target);
    const memory = page.getByRole('img', { name: 'Memory over the last 24 hours' });
    const line = await memory.locator('.chart-line').first().boundingBox(), frame = await memory.boundingBox();
    assert.ok(line.width > frame.width / 4 && line.height > 2, 'something is drawn');
    assert.equal(await memory.locator('.chart-line').count(), 2, 'a gap is a gap');
    for (const width of [1280, 1024, 800]) {
        await page.setViewportSize({ width, height: 800 });
        await checkWidth(page, `${width} pixels`);
        const box = await rows(page).getByRole('button', { name: /^Stop/ }).first().boundingBox();
        assert.ok(box.x + box.width <= width, 'the buttons stay visible');
    }
}

test('the monitor', async (t) => {
    const service = await WebService.serve(t, 'qwd-server', { service_max_session_nb: '200' });
    const snapshots = service.path('service/snapshots');
    const { uid, gid } = fs.statSync(service.path('service'));
    for (const folder of [snapshots, service.path('service/cache')]) {
        fs.mkdirSync(folder, { recursive: true });
        fs.chownSync(folder, uid, gid);
    }
    fs.writeFileSync(service.path('service/cache/monitor-samples.json'), JSON.stringify(samplesOf(23, (i) => i < 90 || i > 150)));
    execFileSync('chown', [`${uid}:${gid}`, service.path('service/cache/monitor-samples.json')]);
    const id = await service.create({ user: 'mallory' });
    await service.ready(id);
    const records = writeRecords(snapshots, 249, someQueued);
    try {
        const browser = await openBrowser(t);
        await t.test('with script', (part) => withScript(part, browser, service));
        await t.test('without script', (part) => withoutScript(part, browser, service));
        await t.test('on a phone', (part) => onAPhone(part, browser, service));
        await t.test('the curves, and narrower windows', (part) => curves(browser, service, part));
        await t.test('live updates', (part) => liveUpdates(part, browser, service, id));
    } finally {
        removeRecords(snapshots, records);
    }
    await service.assertNothingLeft(id);
});
