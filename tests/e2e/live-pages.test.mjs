// SPDX-License-Identifier: AGPL-3.0-or-later
// Live updates of a page that is in use: focus, open details and typed text stay, and a short failure of the service
// removes nothing. The sessions are records, nothing boots.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { answerTo, openBrowser, openContext, screenshot } from '../lib/browser.mjs';
import { replaceFile } from '../lib/files.mjs';
import { eventually } from '../lib/wait.mjs';
import { WebLoginService, logIn, requestUpdate } from '../lib/web-login.mjs';
import { script } from '../lib/web-service.mjs';

let service, browser;

class LivePagesService extends WebLoginService {
    stage({ settings, ...options } = {}) {
        super.stage({ ...options, settings: { session_save: 'owner', user_admin: 'carol', ...settings } });
        this.saveMachine('alice', 'course.iso');
    }

    // Replaces records. A reader finds either the old or the new one.
    change(records, more) {
        return records.map((record) => {
            const file = this.path('service/snapshots', record.id, 'session.json'), { uid, gid } = fs.statSync(file);
            const changed = { ...record, ...more };
            fs.writeFileSync(`${file}.new`, '', { mode: 0o600 });
            fs.chownSync(`${file}.new`, uid, gid);
            replaceFile(file, JSON.stringify(changed, null, 1));
            return changed;
        });
    }
}

async function openPageAs(t, user, options = {}) {
    const context = await openContext(t, browser, options);
    const page = await context.newPage();
    await logIn(page, service, user);
    return page;
}

const now = () => Math.floor(Date.now() / 1000);
const focused = (page, what) => page.evaluate((name) => {
    const { activeElement: element } = document;
    return name === 'session' ? element.form?.elements.session_extend?.value ?? element.closest('li')?.querySelector('h2 a')?.id.slice(5) : element[name];
}, what);

// Makes the page hidden or visible, as another tab does.
const hide = (page, hidden) => page.evaluate((is) => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => is });
    document.dispatchEvent(new Event('visibilitychange'));
}, hidden);

// A reload removes the mark.
const mark = (page) => page.evaluate(() => { globalThis.isMarked = true; });
const isMarked = (page) => page.evaluate(() => globalThis.isMarked === true);

async function keyboard(t) {
    let records = service.writeRecords(4, { owner: 'alice' });
    const page = await openPageAs(t, 'alice');
    const third = records[2].id;
    const updated = async (locator, state = 'attached') => {
        await requestUpdate(page);
        await locator.first().waitFor({ state });
    };
    await page.locator(`li:has(#page-${third}) button[aria-label^="Extend"]`).focus();
    const added = service.writeRecords(1, { owner: 'alice' });
    await updated(page.locator(`#page-${added[0].id}`));
    assert.equal(await focused(page, 'session'), third, 'the same button of the same card');
    assert.match(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), /^Extend/);
    records = [...records.filter(({ id }) => id !== third), ...service.change([records[2]], { state: 'stopping', stop_requested_at: now() })];
    await updated(page.locator(`li:has(#page-${third}) .badge-stopping`));
    assert.equal(await focused(page, 'id'), `page-${third}`, 'its card, when the button has gone');
    service.removeRecords([...records, ...added]);
    await updated(page.locator('.cards li'), 'detached');
    assert.equal(await focused(page, 'id'), 'start', 'the start link, when the card has gone');
}

async function question(t) {
    const page = await openPageAs(t, 'alice');
    await page.locator('summary[aria-label="Remove the machine alice:course.iso"]').click();
    await page.getByRole('button', { name: 'Remove it for good' }).focus();
    for (const [name, width, height] of [['wide', 1280, 800], ['phone', 390, 844]]) {
        await page.setViewportSize({ width, height });
        await screenshot(page, `live-pages-remove-${name}`, { fullPage: true });
    }
    const records = service.writeRecords(1, { owner: 'alice' });
    await requestUpdate(page);
    await page.locator(`#page-${records[0].id}`).waitFor();
    assert.ok(await page.getByText('The machine and all that is on its disk go for good.').isVisible(), 'the question stays open');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Remove it for good');
    service.removeRecords(records);
    fs.rmSync(service.path('service/machines/saved.d/alice:course.iso.ini'));
    await requestUpdate(page);
    await page.getByText('Machines you have saved').waitFor({ state: 'detached' });
}

// The page counts the remaining time itself, without an update of the service.
async function title(t) {
    const page = await openPageAs(t, 'alice');
    await page.clock.install({ time: new Date() });
    await page.addInitScript((name) => { // collects the instants of its requests, on its clock
        const { fetch } = globalThis;
        globalThis.asked = [];
        globalThis.fetch = (address, ...more) => {
            if (String(address).includes(name))
                globalThis.asked.push(Date.now());
            return fetch(address, ...more);
        };
    }, script);
    const records = service.writeRecords(1, { owner: 'alice', created_at: now() - 36000, started_at: now() - 36000, ends_at: now() + 590 });
    await page.goto(`${service.origin}${script}?session=${records[0].id}`);
    await page.waitForFunction(() => /^Ends in (9|10) minutes - /.test(document.title));
    assert.ok(await page.evaluate(() => globalThis.asked.length) > 0);
    await page.route(`**${script}*`, (route) => route.abort());
    await hide(page, true);
    const hiddenAt = await page.evaluate(() => Date.now());
    await page.clock.runFor(15000);
    const asked = await page.evaluate((since) => globalThis.asked.filter((at) => at > since && at < since + 15000), hiddenAt);
    assert.deepEqual(asked, [], 'a hidden page does not ask the service');
    await page.clock.fastForward(225000);
    await eventually('the title of a hidden page goes on', async () => /^Ends in [1-6] minutes - /.test(await page.title()));
    service.removeRecords(records);
}

// Behind a proxy: the state arrives, and the page that is fetched after it does not.
async function failedUpdates(t) {
    const records = service.writeRecords(1, { owner: 'alice' });
    for (const [user, query, content] of [['alice', 'manage=1', '#sessions'], ['carol', 'monitor=1', '#monitor']]) {
        const page = await openPageAs(t, user);
        await page.goto(`${service.origin}${script}?${query}`);
        await page.locator(content).waitFor();
        await mark(page);
        let refused = 0;
        await page.route(`**${script}*`, (route) => {
            const wantsPage = route.request().headers().accept.startsWith('text/html');
            refused += wantsPage;
            return wantsPage ? route.fulfill({ status: refused % 2 ? 502 : 429, body: 'Bad gateway' }) : route.continue();
        });
        const more = service.writeRecords(1, { owner: 'alice' });
        await requestUpdate(page);
        await page.locator('#trouble').waitFor();
        assert.ok(refused > 0);
        await page.unroute(`**${script}*`);
        await requestUpdate(page);
        await page.locator('#trouble').waitFor({ state: 'hidden' });
        await page.locator(`a[href*="${more[0].id}"]`).first().waitFor({ state: 'attached' });
        assert.ok(await isMarked(page), 'the page was not reloaded');
        service.removeRecords(more);
    }
    service.removeRecords(records);
}

// An update is in flight while the search changes.
async function search(t) {
    const records = [...service.writeRecords(2, { owner: 'alice' }), ...service.writeRecords(3, { owner: 'bob' })];
    const page = await openPageAs(t, 'carol');
    await page.addInitScript(() => { // a request that is held must not time out
        AbortSignal.timeout = () => new AbortController().signal;
    });
    await page.goto(`${service.origin}${script}?monitor=1`);
    await page.locator('#count', { hasText: '5 sessions' }).waitFor();
    const held = [];
    await page.route(`**${script}*`, (route) => (held.length < 2 ? held.push(route) : route.continue()));
    records.push(...service.writeRecords(1, { owner: 'bob' }));
    await requestUpdate(page);
    await eventually('the figures are asked for', () => held.length === 1);
    await page.getByLabel('Find user or machine').fill('alice');
    await eventually('the search is sent', () => held.length === 2);
    await Promise.all([page.waitForResponse(held[0].request().url()), held[0].continue()]);
    await page.evaluate(() => fetch('/qemu-web-desktop/static/icon.svg').then((answer) => answer.text())); // by now the script has received them
    await held[1].continue();
    await page.locator('#count', { hasText: '2 of 6 sessions' }).waitFor();
    assert.match(page.url(), /find=alice/);
    assert.deepEqual([...new Set(await page.locator('.who-cell').allTextContents())], ['alice']);
    service.removeRecords(records);
}

// The links of a session in its viewer, while a guest uses the QR code on the screen.
async function code(t) {
    const [record] = service.writeRecords(1, { owner: 'alice' });
    const page = await openPageAs(t, 'alice');
    const link = { id: '2'.repeat(32), label: 'Anna', role_text: 'Watch only', viewer_url: `${service.origin}/v#token=x`, end: null, is_own: false };
    const sharing = { id: record.id, links: [link], viewers: [] };
    let isRefused = true;
    await page.route(new RegExp(`session=${record.id}|cgi$`), async (route) => {
        const request = route.request(), { searchParams } = new URL(request.url());
        if (request.method() === 'POST' && isRefused)
            return route.fulfill({ status: 409, json: { error: { message: 'No more links.' } } });
        if (searchParams.has('qr'))
            return route.fulfill({ json: { qr: { size: 21, path: 'M0 0h7v7h-7z' } } });
        if (searchParams.has('picture') || !request.headers().accept.startsWith('application/json') && request.method() === 'GET')
            return route.continue();
        const answer = await answerTo(route, { url: `${service.origin}${script}?session=${record.id}`, method: 'GET', postData: undefined });
        if (!answer)
            return undefined;
        const json = await answer.json();
        json.session.sharing = sharing;
        return route.fulfill({ json });
    });
    await page.goto(`${service.origin}${script}?view=${record.id}`);
    await page.locator('#handle').click();
    await page.locator('#share').click();
    await page.getByRole('button', { name: 'QR code: Anna' }).click();
    await page.locator('#links svg').waitFor();
    await screenshot(page, 'live-pages-code');
    sharing.viewers = [{ serial: 1, address: '192.0.2.9', link_label: 'Anna', role_text: 'Watch only', since: { iso: new Date().toISOString(), text: '' } }];
    await page.locator('#viewers', { hasText: '192.0.2.9' }).waitFor();
    assert.ok(await page.locator('#links svg').isVisible(), 'the code stays visible');
    assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'QR code: Anna');
    await page.locator('#share-label').fill('Bert');
    await page.getByRole('button', { name: 'Make a link' }).click();
    await page.getByText('No more links.').waitFor();
    assert.equal(await page.locator('#share-label').inputValue(), 'Bert', 'the field keeps its text after a refusal');
    isRefused = false;
    sharing.links = [link, { ...link, id: '3'.repeat(32), label: 'Bert' }];
    await page.getByRole('button', { name: 'Make a link' }).click();
    await page.locator('#links', { hasText: 'Bert' }).waitFor();
    assert.equal(await page.locator('#links svg').count(), 1);
    await page.waitForFunction(() => document.getElementById('share-label').value === '');
    service.removeRecords([record]);
}

test('live updates of a page that is in use', async (t) => {
    service = await LivePagesService.serve(t, 'qwd-server');
    browser = await openBrowser(t);
    await t.test('the focus stays', keyboard);
    await t.test('an open question stays open', question);
    await t.test('the title of a hidden page counts the minutes', title);
    await t.test('a failed update is shown, and the next one repairs the page', failedUpdates);
    await t.test('an update that is in flight does not undo a search', search);
    await t.test('a QR code stays after its first use', code);
});
