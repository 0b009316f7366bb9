// SPDX-License-Identifier: AGPL-3.0-or-later
// The start page: a file for all visitors, and a page of the program for users who are logged in; with script and
// without, in both languages, on a large screen and on a phone; and the branding of an administrator. All sessions but
// one are records.
// Cores: 1.5

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { test } from 'node:test';
import { openBrowser, openContext, screenshot } from '../lib/browser.mjs';
import { replaceFile } from '../lib/files.mjs';
import { checkAxe, checkWidth } from '../lib/page-checks.mjs';
import { isFull } from '../lib/tiers.mjs';
import { eventually, until } from '../lib/wait.mjs';
import { WebLoginService, logIn, requestUpdate, requestUpdatesUntil } from '../lib/web-login.mjs';
import { script } from '../lib/web-service.mjs';

const start = '/qemu-web-desktop/';
const desk = { viewport: { width: 1280, height: 800 } };
const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };
const FIRST_VISIT_MAX_BYTES = 100000; // with all headers
const full = /^Sessions on this service: 3 at once; 3 run\. .*, in (\d+) min\. Stopping a session of yours makes room\.$/;

const picture = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 5"><rect width="8" height="5" fill="#3465a4"/></svg>';

class StartPageService extends WebLoginService {
    stage({ settings, ...options } = {}) {
        fs.mkdirSync(this.path('etc/html/pictures'), { recursive: true });
        fs.mkdirSync(this.path('etc/html/i18n'));
        fs.writeFileSync(this.path('etc/html/pictures/halted.svg'), picture);
        super.stage({ ...options, settings: { service_max_session_nb: 3, service_max_session_nb_per_user: 2, form_lifetime: '2h,8h', ...settings } });
        fs.writeFileSync(this.path('etc/groups.conf'), '[physics]\nlifetime=2d\n');
        for (const name of ['small.iso', 'secret.iso'])
            this.copyMachine(name);
        this.offer(`[halted.raw]\ndescription=A halted machine\npicture=halted.svg\ncost=2 credits an hour\n
[small.iso]\ndescription=For short tests\ncpu=1\nmemory=128M,256M\nlifetime=2h\ngpu=no\n
[secret.iso]\ndescription=The beamline of physics\ngroups=physics\n`);
    }

    // Replaces the machines and settings, and creates the file again.
    offer(machines, settings = {}) {
        replaceFile(this.path('etc/machines.conf'), machines);
        this.set(settings);
    }

    set(settings) {
        this.override(settings);
        return this.command('refresh');
    }

    command(...words) {
        const { status, stdout, stderr } = spawnSync(this.qwdctl, words, { env: this.environment(), encoding: 'utf8' });
        return { status, text: stdout + stderr };
    }
}

// A page, logged in as `user` unless that is empty, and the errors of its console.
async function openPageAs(t, browser, service, user, options = {}) {
    const context = await openContext(t, browser, { locale: 'en-GB', ...options });
    const page = await context.newPage();
    const errors = [];
    page.on('pageerror', (error) => errors.push(String(error)));
    page.on('console', (message) => message.type() === 'error' && !message.text().includes('401') && errors.push(message.text()));
    if (user)
        await logIn(page, service, user);
    return { context, page, errors };
}

const machines = (page) => page.locator('input[name=machine]').evaluateAll((all) => all.map((one) => one.value));
const options = (page, name) => page.locator(`select[name=${name}] option:not(:disabled)`).evaluateAll((all) => all.map((one) => one.value));

// --- the file ---

async function firstVisit(t, browser, service) {
    const { context, page, errors } = await openPageAs(t, browser, service, '');
    const session = await context.newCDPSession(page);
    await session.send('Network.enable');
    let bytes = 0, finished = 0;
    const files = [], statuses = [];
    session.on('Network.loadingFinished', ({ encodedDataLength }) => {
        bytes += encodedDataLength;
        finished++;
    });
    page.on('requestfinished', (request) => files.push(new URL(request.url()).pathname));
    page.on('response', (answer) => new URL(answer.url()).pathname === script && statuses.push(answer.status()));
    await page.goto(service.origin + start, { waitUntil: 'networkidle' });
    for (const wanted of [start, 'static/style.css', 'static/landing.js', 'pictures/halted.svg', 'static/machine.svg', script])
        await until(page, 'requestfinished', () => files.some((file) => file.endsWith(wanted)), `${wanted} is loaded`);
    await until(session, 'Network.loadingFinished', () => finished >= files.length, 'the bytes of all files');
    assert.ok(bytes > 5000 && bytes < FIRST_VISIT_MAX_BYTES, `a first visit transfers ${bytes} bytes`);
    t.diagnostic(`a first visit transfers ${bytes} bytes in ${files.length} files`);
    assert.equal(statuses[0], 200);
    const asked = await page.evaluate((name) => performance.getEntriesByType('resource').filter((one) => one.name.endsWith(name))
        .map(({ startTime, responseEnd }) => [startTime, responseEnd]), script);
    asked.forEach(([begin], i) => assert.ok(i === 0 || begin - asked[i - 1][1] > 14000, 'one request, until the next poll'));
    await page.getByText('Places free: 1 of 3').waitFor();
    assert.deepEqual(await machines(page), ['halted.raw', 'small.iso'], 'the machines of all users');
    assert.equal(await page.locator('#mine').count(), 0);
    await page.getByText('2 credits an hour').waitFor();
    await screenshot(page, 'start-page-file', { fullPage: true });
    assert.deepEqual(errors, []);
}

async function withoutScript(t, browser, service) {
    const { page, context } = await openPageAs(t, browser, service, '', { javaScriptEnabled: false });
    await page.goto(service.origin + start);
    await page.getByRole('link', { name: 'Français' }).click();
    await page.waitForURL(/index\.fr\.html$/);
    assert.equal(await page.locator('html').getAttribute('lang'), 'fr');
    await page.getByRole('heading', { name: 'Démarrer un bureau' }).waitFor();
    await screenshot(page, 'start-page-file-fr', { fullPage: true });
    await page.locator('#user').fill('alice');
    await page.locator('#password').fill('alice-secret');
    await page.locator('button[name=manage]').click();
    await page.locator('.who', { hasText: 'alice' }).waitFor();
    assert.equal(await page.locator('html').getAttribute('lang'), 'fr', 'the form has the language of its page');
    assert.equal((await context.cookies()).find(({ name }) => name === 'qwd_lang')?.value, 'fr');
    await page.goto(service.origin + start);
    await page.getByRole('link', { name: 'Log in to see your sessions' }).click();
    await page.getByRole('heading', { name: 'Vos sessions' }).waitFor();
    await page.locator('.brand').click();
    await page.locator('#mine').waitFor();
    assert.ok((await machines(page)).includes('secret.iso'));
    await page.locator('#mine a.primary').first().waitFor();
}

async function languages(t, browser, service) {
    const { page } = await openPageAs(t, browser, service, '', { locale: 'fr-CH' });
    await page.goto(service.origin + start);
    await page.waitForURL(/index\.fr\.html$/);
    await page.getByRole('link', { name: 'English' }).click();
    await page.getByRole('heading', { name: 'Start a desktop' }).waitFor();
    await page.goto(service.origin + start, { waitUntil: 'networkidle' });
    assert.equal(await page.locator('html').getAttribute('lang'), 'en', 'the choice is remembered');
    service.set({ check_user_with_header: 'yes' });
    const asked = [];
    page.on('request', (request) => request.url().includes(script) && asked.push(request.url()));
    await page.goto(service.origin + start, { waitUntil: 'networkidle' });
    assert.deepEqual(asked, [], 'a request would open the password dialog of the web server');
    service.set({});
    for (const target of ['index.de.html', 'index.html.html', 'index.', 'index.fr.htmlx', 'index.fr.html/x', 'pictures/'])
        assert.equal((await service.fetch('GET', start + target)).status, 404, target);
    assert.equal((await service.fetch('GET', `${start}pictures/..%2f..%2fservice.conf`)).status, 400);
}

// --- logged in ---

async function ownPage(t, browser, service) {
    const { page, errors } = await openPageAs(t, browser, service, 'alice');
    const statuses = [];
    page.on('response', (answer) => new URL(answer.url()).pathname === script && statuses.push(answer.status()));
    const loads = [];
    await page.goto(service.origin + start);
    page.on('request', (request) => request.isNavigationRequest() && loads.push(request.url()));
    await page.locator('.who', { hasText: 'alice' }).waitFor();
    assert.equal(await page.locator('#password').count(), 0, 'the file becomes the page of the user');
    assert.ok(await page.locator('#create-form input[name=csrf]').inputValue());
    assert.deepEqual(await machines(page), ['halted.raw', 'small.iso', 'secret.iso']);
    assert.deepEqual(await options(page, 'snapshot_lifetime'), ['2h', '8h', '172800s'], 'the life-times of the group');
    assert.equal(await page.locator('#mine li').count(), 1, 'only sessions of the user');
    await page.getByText('Places free: 1 of 3').waitFor();
    await page.getByText('Your sessions: 1 of 2').waitFor();
    assert.match(await page.locator('#mine a.primary').getAttribute('href'), /\?view=[0-9a-f]{32}$/);
    await screenshot(page, 'start-page-own', { fullPage: true });

    await t.test('a full service says when a place will be free', async () => {
        await page.locator('select[name=cpu]').selectOption('2');
        const records = service.writeRecords(1, { owner: 'carol', ends_at: Math.floor(Date.now() / 1000) + 1800 });
        const notice = page.locator('#capacity .notice', { hasText: full });
        await requestUpdatesUntil(page, 'the service is full', () => notice.isVisible());
        const minutes = Number((await notice.textContent()).match(full)[1]);
        assert.ok(minutes > 25 && minutes <= 30, `in ${minutes} minutes`);
        assert.equal(await page.locator('select[name=cpu]').inputValue(), '2', 'an update does not change the form');
        await screenshot(page, 'start-page-full', { fullPage: true });
        await eventually('an unchanged page is not sent again', async () => {
            const before = statuses.length;
            await requestUpdatesUntil(page, 'an answer', () => statuses.length > before);
            return statuses.at(-1) === 304; // unless a minute has passed on the way
        });
        service.removeRecords(records);
        await requestUpdatesUntil(page, 'a place is free', async () => await notice.count() === 0);
    });

    await t.test('the limit of a user is shown', async () => {
        const records = service.writeRecords(1, { owner: 'alice' });
        await requestUpdatesUntil(page, 'the limit', () => page.getByText('Sessions for one user: 2 at once; you have 2.').isVisible());
        assert.equal(await page.locator('#mine li').count(), 2);
        service.removeRecords(records);
        await requestUpdate(page);
    });
    assert.deepEqual(loads, []);
    assert.deepEqual(errors, []);
}

async function choice(t, browser, service) {
    const { page } = await openPageAs(t, browser, service, 'alice');
    await page.goto(service.origin + start);
    await page.locator('.who', { hasText: 'alice' }).waitFor();
    await page.locator('select[name=cpu]').selectOption('2');
    await page.getByLabel('For short tests').check();
    assert.deepEqual(await options(page, 'cpu'), ['1'], 'only the values of the machine can be chosen');
    assert.deepEqual(await options(page, 'memory'), ['128M', '256M']);
    assert.equal(await page.locator('select[name=cpu]').inputValue(), '1');
    await page.locator('select[name=memory]').selectOption('128M');
    await page.getByLabel('One-shot: ends when its window is closed').check();
    const records = service.writeRecords(1, { owner: 'carol' });
    await page.getByRole('button', { name: 'Create' }).click();
    await page.getByRole('heading', { name: 'There is no room right now' }).waitFor();
    await page.getByRole('alert').filter({ hasText: /^Sessions on this service: 3 at once; 3 run\. / }).waitFor();
    service.removeRecords(records);
    for (const target of [start, script]) {
        await page.goto(service.origin + target);
        await page.locator('.who', { hasText: 'alice' }).waitFor();
        await page.locator('input[name=machine][value="small.iso"]:checked').waitFor({ state: 'attached' });
        assert.equal(await page.locator('select[name=memory]').inputValue(), '128M', target);
        assert.ok(await page.locator('input[name=oneshot]').isChecked());
    }
}

// Another tab of the same browser logs in again, as another user, and chooses a language.
async function anotherTab(t, browser, service) {
    const { page, context } = await openPageAs(t, browser, service, 'alice');
    const other = await context.newPage();
    const again = async (user) => {
        await other.goto(service.origin + script);
        await Promise.all([other.waitForNavigation(), other.getByRole('button', { name: 'Log out' }).click()]);
        await logIn(other, service, user);
    };
    const records = service.writeRecords(1, { owner: 'carol' });
    const token = () => page.evaluate(() => document.querySelector('#create-form [name=csrf]')?.value);
    await page.goto(service.origin + script);
    await page.locator('select[name=cpu]').selectOption('2');
    const before = await token();
    await again('alice');
    await requestUpdatesUntil(page, 'the form has the token of the new login', async () => ![before, undefined].includes(await token()));
    await again('bob');
    await requestUpdatesUntil(page, 'the page of the other user', () => page.locator('.who', { hasText: 'bob' }).isVisible());
    await page.locator('#create-form [name=csrf]').waitFor({ state: 'attached' });
    assert.deepEqual(await machines(page), ['halted.raw', 'small.iso'], 'the machines of the other user');
    await other.goto(`${service.origin}${script}?lang=fr`);
    await requestUpdatesUntil(page, 'the page in French', () => page.getByRole('heading', { name: 'Démarrer un bureau' }).isVisible());
    assert.equal(await page.locator('html').getAttribute('lang'), 'fr');
    await other.goto(`${service.origin}${script}?lang=en`);
    await requestUpdatesUntil(page, 'the page in English', () => page.getByRole('heading', { name: 'Start a desktop' }).isVisible()); // updates go on
    assert.equal(await page.locator('select[name=cpu]').inputValue(), '2', 'the choice stays');
    await page.getByRole('button', { name: 'Create' }).click();
    await page.getByRole('heading', { name: 'There is no room right now' }).waitFor(); // not: the form is too old
    service.removeRecords(records);
}

// --- branding ---

async function branding(t, browser, service) {
    const halted = '[halted.raw]\ndescription=A halted machine\n';
    const { page, errors } = await openPageAs(t, browser, service, 'alice');
    const post = (fields) => service.postCreate({ user: 'alice', password: 'alice-secret', ...fields });

    await t.test('name, logo, header, footer and terms', async () => {
        const done = service.set({ layout_title: 'Beamline desktops', layout_logo: 'halted.svg', layout_header: 'Down on Friday & Saturday <b>',
                                   layout_footer: 'Ask desk@example.org', layout_terms: 'Only for work.' });
        assert.equal(done.status, 0, done.text);
        fs.writeFileSync(service.path('etc/html/i18n/fr.json'), '{"Create": "Allons-y"}\n');
        await page.goto(service.origin + start);
        await page.locator('.who', { hasText: 'alice' }).waitFor();
        assert.match(await page.title(), / - Beamline desktops$/);
        assert.match(await page.locator('.brand img').getAttribute('src'), /pictures\/halted\.svg$/);
        assert.equal(await page.locator('.site-header').textContent().then((text) => text.trim()), 'Down on Friday & Saturday <b>');
        await page.getByText('Ask desk@example.org').waitFor();
        await screenshot(page, 'start-page-looks', { fullPage: true });
        await page.getByRole('button', { name: 'Create' }).click();
        assert.equal(await page.locator('input[name=terms]').evaluate((box) => box.validity.valueMissing), true);
        assert.equal(page.url(), service.origin + start, 'the form is not sent without the terms');
        const refused = await post();
        assert.equal(refused.status, 400);
        assert.match(refused.text, /terms: agree to the terms of use/);
        await page.goto(`${service.origin}${script}?lang=fr`);
        await page.getByRole('button', { name: 'Allons-y' }).waitFor();
        await page.goto(`${service.origin}${script}?lang=en`);
    });

    await t.test('layout_level removes fields, and a single machine is one click', async () => {
        service.offer(halted, { layout_level: 1 });
        await page.goto(service.origin + start);
        await page.locator('.who', { hasText: 'alice' }).waitFor();
        assert.equal(await page.locator('input[type=radio]').count(), 0);
        assert.equal(await page.locator('select').count(), 3);
        assert.equal(await page.locator('input[name=oneshot]').count(), 0);
        service.set({ layout_level: 0, form_memory: '128M' });
        await page.reload();
        await page.locator('.who', { hasText: 'alice' }).waitFor();
        assert.equal(await page.locator('main select, main input:visible').count(), 0);
        await screenshot(page, 'start-page-one', { fullPage: true });
        await page.getByRole('button', { name: 'Create' }).click();
        await page.waitForURL(/\?session=[0-9a-f]{32}$/);
        const id = page.url().slice(-32);
        await page.locator('#connect').waitFor();
        assert.equal(service.record(id).plan.machine, 'halted.raw');
        service.command('stop', id);
        await service.assertNothingLeft(id);
    });

    await t.test('folders of the server can be left out', async () => {
        for (const name of ['course', 'data'])
            fs.mkdirSync(service.path(name));
        service.set({ form_memory: '128M', dir_mounts: `${service.path('course')},${service.path('data')}`, dir_users: service.path('service/users') });
        await page.goto(service.origin + start);
        await page.locator('.who', { hasText: 'alice' }).waitFor();
        const folders = () => page.locator('input[name=folder]:checked').evaluateAll((all) => all.map(({ value }) => value));
        assert.deepEqual(await folders(), ['personal', 'course', 'data']);
        await page.getByLabel('course (read only)').uncheck();
        await screenshot(page, 'start-page-folders', { fullPage: true });
        await page.getByRole('button', { name: 'Create' }).click();
        await page.waitForURL(/\?session=[0-9a-f]{32}$/);
        const id = page.url().slice(-32);
        await page.locator('#connect').waitFor();
        assert.deepEqual(service.record(id).folders.map(({ name }) => name), ['personal', 'data']);
        await page.goto(service.origin + start);
        await page.locator('.who', { hasText: 'alice' }).waitFor();
        assert.deepEqual(await folders(), ['personal', 'data'], 'the last choice');
        service.command('stop', id);
        await service.assertNothingLeft(id);
    });

    await t.test('a template of the administrator is used, and a broken one is reported', async () => {
        const own = (name, text) => fs.writeFileSync(service.path('etc/html', name), text);
        own('footer.html', '<p id="house">{{_ Create}} &amp; rest</p>\n');
        assert.equal(service.set({}).status, 0);
        await page.goto(service.origin + script);
        assert.equal(await page.locator('#house').textContent(), 'Create & rest');
        own('header.html', '<p>fine</p>\n{{#header}}\n{{nonsense}}\n');
        const logged = service.logText().length;
        const { text } = service.set({ layout_header: 'shown by ours' });
        assert.match(text, /html\/header\.html:2: the section "header" is never ended.*Ours is used/);
        await page.goto(service.origin + script);
        assert.equal(await page.locator('.site-header').textContent().then((one) => one.trim()), 'shown by ours');
        assert.equal(await page.locator('#house').count(), 1, 'the other templates are still used');
        await until(service.front, 'output', () => /header\.html:2: the section "header"/.test(service.logText().slice(logged)), 'the warning in the log');
        const doctor = service.command('doctor');
        assert.notEqual(doctor.status, 0);
        assert.match(doctor.text, /looks .*header\.html:2/);
        own('header.html', '<p>{{nonsense}}</p>\n');
        assert.match(service.command('doctor').text, /header\.html:1: no value is given for "nonsense"/);
        fs.rmSync(service.path('etc/html/header.html'));
        own('i18n/fr.json', '{"Create": \n');
        assert.match(service.command('doctor').text, /fr\.json: Not JSON/);
        await page.goto(`${service.origin}${script}?lang=fr`);
        await page.getByRole('heading', { name: 'Démarrer un bureau' }).waitFor();
        fs.rmSync(service.path('etc/html/i18n/fr.json'));
        fs.rmSync(service.path('etc/html/footer.html'));
    });
    assert.deepEqual(errors, []);
}

// The full tier has each size, colour scheme and language. The quick tier has each of them once.
async function access(t, browser, service) {
    service.set({ layout_header: 'Down on Friday', layout_terms: 'Only for work.', form_script: 'text' });
    const storageState = await (await openPageAs(t, browser, service, 'alice')).context.storageState();
    for (const [name, size, colorScheme, lang] of accessViews(isFull)) {
        const { page, context } = await openPageAs(t, browser, service, '', { ...size, colorScheme, storageState });
        await context.addCookies([{ name: 'qwd_lang', value: lang, url: service.origin }]);
        await page.goto(service.origin + start);
        await page.locator('.who', { hasText: 'alice' }).waitFor();
        await checkAccess(page, `start-page-${name}-${colorScheme}-${lang}`);
        await context.close();
        const file = await openPageAs(t, browser, service, '', { ...size, colorScheme });
        await file.page.goto(service.origin + start, { waitUntil: 'networkidle' });
        await checkAccess(file.page, `start-page-file-${name}-${colorScheme}`);
        await file.context.close();
    }
}

function accessViews(isAll) {
    const all = Object.entries({ desk, phone }).flatMap(([name, size]) => ['light', 'dark'].flatMap((colorScheme) =>
        ['en', 'fr'].map((lang) => [name, size, colorScheme, lang])));
    return isAll ? all : [all[0], all.at(-1)];
}

async function checkAccess(page, name) {
    await screenshot(page, name, { fullPage: true });
    await checkWidth(page, name);
    await checkAxe(page, name);
}

// Apache serves the same files by its own configuration.
async function behindApache(t) {
    const service = await StartPageService.serve(t, 'apache');
    service.set({});
    const types = { '': 'text/html', 'index.fr.html': 'text/html', 'pictures/halted.svg': 'image/svg+xml', 'static/landing.js': 'javascript' };
    for (const [name, type] of Object.entries(types)) {
        const answer = await service.fetch('GET', start + name);
        assert.equal(answer.status, 200, name);
        assert.ok(answer.headers['content-type'].includes(type), name);
        if (type === 'text/html')
            assert.match(answer.headers['content-security-policy'], /^default-src 'self'/, name);
    }
    assert.match((await service.fetch('GET', `${start}index.fr.html`)).text, /<html lang="fr">/);
    for (const name of ['index.de.html', 'pictures/', 'pictures/none.png', 'index..html'])
        assert.ok([403, 404].includes((await service.fetch('GET', start + name)).status), name);
}

// A double click sends one form, which creates one session; who comes back to the page has another form. In the file the
// script puts the key in.
async function doubleClick(t, browser, service) {
    service.set({ service_max_session_nb: 0, service_max_session_nb_per_user: 0 });
    const { page, errors } = await openPageAs(t, browser, service, '');
    const keys = [];
    page.on('request', (request) => {
        if (request.method() === 'POST')
            keys.push(new URLSearchParams(request.postData()).get('idempotency_key'));
    });
    const press = async (address, act) => {
        keys.length = 0;
        await act(page.getByRole('button', { name: 'Create' }));
        await page.waitForURL((url) => url.href !== address && /session=|view=/.test(url.search));
        assert.match(keys[0] ?? '', /^[0-9a-f]{32}$/);
        assert.deepEqual([...new Set(keys)], [keys[0]]);
        return keys[0];
    };
    const before = service.sessions().length;
    await page.goto(service.origin + start, { waitUntil: 'networkidle' });
    await page.locator('#user').fill('alice');
    await page.locator('#password').fill('alice-secret');
    const first = await press(page.url(), (button) => button.dblclick());
    assert.equal(service.sessions().length, before + 1);
    await page.goto(service.origin + script);
    const second = await press(page.url(), (button) => button.dblclick());
    assert.equal(service.sessions().length, before + 2);
    await page.goBack();
    const third = await press(page.url(), (button) => button.click());
    assert.equal(new Set([first, second, third]).size, 3);
    assert.equal(service.sessions().length, before + 3);
    assert.deepEqual(errors, []);
}

test('the start page', async (t) => {
    const service = await StartPageService.serve(t, 'qwd-server');
    service.set({});
    const records = [...service.writeRecords(1, { owner: 'alice' }), ...service.writeRecords(1, { owner: 'bob' })];
    const browser = await openBrowser(t);
    await t.test('a first visit', (part) => firstVisit(part, browser, service));
    await t.test('without script', (part) => withoutScript(part, browser, service));
    await t.test('languages', (part) => languages(part, browser, service));
    await t.test('the page of a user who is logged in', (part) => ownPage(part, browser, service));
    await t.test('the last choice is proposed again', (part) => choice(part, browser, service));
    await t.test('another tab of the same browser', (part) => anotherTab(part, browser, service));
    await t.test('accessibility', (part) => access(part, browser, service));
    service.removeRecords(records);
    await t.test('a double click', (part) => doubleClick(part, browser, service));
    await service.removeSessions();
    await t.test('branding', (part) => branding(part, browser, service));
    await t.test('behind Apache', (part) => behindApache(part));
});
