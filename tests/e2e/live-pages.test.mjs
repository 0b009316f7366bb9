// SPDX-License-Identifier: AGPL-3.0-or-later
// What comes anew on a page that somebody works with: the keyboard, what is open and what is typed stay where they are,
// and a service that has trouble for a moment takes nothing away. The sessions are records, nothing boots.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { answerTo, openBrowser, openContext, screenshot } from '../lib/browser.mjs';
import { replaceFile } from '../lib/files.mjs';
import { eventually } from '../lib/wait.mjs';
import { WebLoginService, logIn, lookAgain } from '../lib/web-login.mjs';
import { script } from '../lib/web-service.mjs';

let service, browser;

class Desks extends WebLoginService {
    stage({ settings, ...options } = {}) {
        super.stage({ ...options, settings: { session_save: 'owner', user_admin: 'carol', ...settings } });
        this.saveMachine('alice', 'course.iso');
    }

    // Changes records that are there all the time.
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

async function visitor(t, user, options = {}) {
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

// Stands for "nobody looks"; the page is told.
const hide = (page, hidden) => page.evaluate((is) => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => is });
    document.dispatchEvent(new Event('visibilitychange'));
}, hidden);

// Whether the page has been loaded again since it was marked.
const mark = (page) => page.evaluate(() => { globalThis.isMarked = true; });
const isMarked = (page) => page.evaluate(() => globalThis.isMarked === true);

async function keyboard(t) {
    let records = service.writeRecords(4, { owner: 'alice' });
    const page = await visitor(t, 'alice');
    const third = records[2].id;
    const news = async (condition) => {
        await lookAgain(page);
        await eventually('news', condition);
    };
    await page.locator(`li:has(#page-${third}) button[aria-label^="Extend"]`).focus();
    const added = service.writeRecords(1, { owner: 'alice' });
    await news(() => page.locator(`#page-${added[0].id}`).count());
    assert.equal(await focused(page, 'session'), third, 'the same button of the same card');
    assert.match(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), /^Extend/);
    records = [...records.filter(({ id }) => id !== third), ...service.change([records[2]], { state: 'stopping', stop_requested_at: now() })];
    await news(() => page.locator(`li:has(#page-${third}) .badge-stopping`).count());
    assert.equal(await focused(page, 'id'), `page-${third}`, 'where that has gone, its card');
    service.removeRecords([...records, ...added]);
    await news(async () => !await page.locator('.cards li').count());
    assert.equal(await focused(page, 'id'), 'start', 'where the card has gone, what there is');
}

async function question(t) {
    const page = await visitor(t, 'alice');
    await page.locator('summary[aria-label="Remove the machine alice:course.iso"]').click();
    await page.getByRole('button', { name: 'Remove it for good' }).focus();
    for (const [name, width, height] of [['wide', 1280, 800], ['phone', 390, 844]]) {
        await page.setViewportSize({ width, height });
        await screenshot(page, `news-remove-${name}`, { fullPage: true });
    }
    const records = service.writeRecords(1, { owner: 'alice' });
    await lookAgain(page);
    await page.locator(`#page-${records[0].id}`).waitFor();
    assert.ok(await page.getByText('The machine and all that is on its disk go for good.').isVisible(), 'the question stays open');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Remove it for good');
    service.removeRecords(records);
    fs.rmSync(service.path('service/machines/saved.d/alice:course.iso.ini'));
    await lookAgain(page);
    await page.getByText('Machines you have saved').waitFor({ state: 'detached' });
}

// The time that is left is news although the service has none.
async function title(t) {
    const page = await visitor(t, 'alice');
    await page.clock.install({ time: new Date() });
    await page.addInitScript((name) => { // when it asks, by its own clock
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
    await eventually('the title counts', async () => /^Ends in (9|10) minutes - /.test(await page.title()));
    assert.ok(await page.evaluate(() => globalThis.asked.length) > 0);
    await page.route(`**${script}*`, (route) => route.abort());
    await hide(page, true);
    const hiddenAt = await page.evaluate(() => Date.now());
    await page.clock.runFor(15000);
    const asked = await page.evaluate((since) => globalThis.asked.filter((at) => at > since && at < since + 15000), hiddenAt);
    assert.deepEqual(asked, [], 'the service is left alone when nobody looks');
    await page.clock.fastForward(225000);
    await eventually('it goes on when nobody looks', async () => /^Ends in [1-6] minutes - /.test(await page.title()));
    service.removeRecords(records);
}

// Behind a proxy: the state comes, and the page right after it does not.
async function trouble(t) {
    const records = service.writeRecords(1, { owner: 'alice' });
    for (const [user, query, content] of [['alice', 'manage=1', '#sessions'], ['carol', 'monitor=1', '#monitor']]) {
        const page = await visitor(t, user);
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
        await lookAgain(page);
        await page.locator('#trouble').waitFor();
        assert.ok(refused > 0);
        await page.unroute(`**${script}*`);
        await lookAgain(page);
        await page.locator('#trouble').waitFor({ state: 'hidden' });
        await page.locator(`a[href*="${more[0].id}"]`).first().waitFor({ state: 'attached' });
        assert.ok(await isMarked(page), 'the page was never loaded again');
        service.removeRecords(more);
    }
    service.removeRecords(records);
}

// Other news are on their way while something is looked for.
async function search(t) {
    const records = [...service.writeRecords(2, { owner: 'alice' }), ...service.writeRecords(3, { owner: 'bob' })];
    const page = await visitor(t, 'carol');
    await page.addInitScript(() => { // what is held here is waited for
        AbortSignal.timeout = () => new AbortController().signal;
    });
    await page.goto(`${service.origin}${script}?monitor=1`);
    await page.locator('#count', { hasText: '5 sessions' }).waitFor();
    const held = [];
    await page.route(`**${script}*`, (route) => (held.length < 2 ? held.push(route) : route.continue()));
    records.push(...service.writeRecords(1, { owner: 'bob' }));
    await lookAgain(page);
    await eventually('the figures are asked for', () => held.length === 1);
    await page.getByLabel('Find user or machine').fill('alice');
    await eventually('something is looked for', () => held.length === 2);
    await Promise.all([page.waitForResponse(held[0].request().url()), held[0].continue()]);
    await page.evaluate(() => fetch('/qemu-web-desktop/static/icon.svg').then((answer) => answer.text())); // the script has them by now
    await held[1].continue();
    await page.locator('#count', { hasText: '2 of 6 sessions' }).waitFor();
    assert.match(page.url(), /find=alice/);
    assert.deepEqual([...new Set(await page.locator('.who-cell').allTextContents())], ['alice']);
    service.removeRecords(records);
}

// The links of a session in its viewer; the first person comes by the code on the screen.
async function code(t) {
    const [record] = service.writeRecords(1, { owner: 'alice' });
    const page = await visitor(t, 'alice');
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
    await screenshot(page, 'news-code');
    sharing.viewers = [{ serial: 1, address: '192.0.2.9', link_label: 'Anna', role_text: 'Watch only', since: { iso: new Date().toISOString(), text: '' } }];
    await page.locator('#viewers', { hasText: '192.0.2.9' }).waitFor();
    assert.ok(await page.locator('#links svg').isVisible(), 'the code stays for the others');
    assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'QR code: Anna');
    await page.locator('#share-label').fill('Bert');
    await page.getByRole('button', { name: 'Make a link' }).click();
    await page.getByText('No more links.').waitFor();
    assert.equal(await page.locator('#share-label').inputValue(), 'Bert', 'what was refused is not lost');
    isRefused = false;
    sharing.links = [link, { ...link, id: '3'.repeat(32), label: 'Bert' }];
    await page.getByRole('button', { name: 'Make a link' }).click();
    await page.locator('#links', { hasText: 'Bert' }).waitFor();
    assert.equal(await page.locator('#links svg').count(), 1);
    await eventually('done', async () => await page.locator('#share-label').inputValue() === '');
    service.removeRecords([record]);
}

test('news of pages that somebody works with', async (t) => {
    service = await Desks.serve(t, 'qwd-server');
    browser = await openBrowser(t);
    await t.test('the keyboard stays where it is', keyboard);
    await t.test('a question stays open', question);
    await t.test('the title counts when nobody looks', title);
    await t.test('a service in trouble for a moment', trouble);
    await t.test('a search is not lost', search);
    await t.test('a code stays when somebody has used it', code);
});
