// SPDX-License-Identifier: AGPL-3.0-or-later
// A browser that asks for French gets French pages, scripts and errors. The sessions are records, nothing boots.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openBrowser, openContext, screenshot } from '../lib/browser.mjs';
import { removeRecords, writeRecords } from '../lib/session-records.mjs';
import { WebService } from '../lib/web-service.mjs';

const script = '/cgi-bin/qemu-web-desktop.cgi';
const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };
const visitor = { locale: 'fr-FR' };
const ENGLISH = /\b(the|and|is|are|your|you|with|this|that|it|not|log|password|start|stop|stopping|share|time|left|state|user|running|starting|ended|queued|show|keys|close|hide|keyboard|picture|extend|copy|save|select|sort by|memory|load|processor|cores|host|now|machines on|full|own|size|viewers|idle)\b/i;

// All texts of a page and its accessible names.
const wordsOf = (page) => page.evaluate(() => {
    const texts = [document.title];
    for (const element of document.querySelectorAll('body, body *')) {
        if (element.closest('[lang]:not(html)') || element.matches('script, style'))
            continue;
        for (const name of ['aria-label', 'title', 'placeholder', 'data-label'])
            texts.push(element.getAttribute(name) ?? '');
        for (const node of element.childNodes)
            texts.push(node.nodeType === Node.TEXT_NODE ? node.data.trim() : '');
    }
    return [...new Set(texts.filter(Boolean))];
});

async function isFrench(page, what, known = []) {
    assert.equal(await page.locator('html').getAttribute('lang'), 'fr', what);
    const words = (await wordsOf(page)).filter((text) => !known.includes(text));
    assert.ok(words.length > 5, `${what} says something`);
    assert.deepEqual(words.filter((text) => ENGLISH.test(text)), [], `${what} is in French`);
    const [wide, seen] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
    assert.ok(wide <= seen, `${what}: ${wide} in ${seen}`);
}

async function logIn(t, browser) {
    const service = await WebService.serve(t, 'qwd-server', { check_user_with_imap: 'yes', imap_server: 'imap.example.org', check_user_with_email: 'yes', email_from: 'desk@example.org' });
    for (const [name, size] of [['wide', {}], ['phone', phone]]) {
        const context = await openContext(t, browser, { ...visitor, ...size });
        const page = await context.newPage();
        await page.goto(`${service.origin}${script}?manage=1`);
        await page.getByRole('button', { name: 'Se connecter' }).waitFor();
        await isFrench(page, 'the login');
        await screenshot(page, `french-login-${name}`, { fullPage: true });
    }
}

async function monitor(t, browser, service) {
    for (const [name, size] of [['wide', {}], ['phone', phone]]) {
        const context = await openContext(t, browser, { ...visitor, ...size });
        const page = await context.newPage();
        await page.goto(`${service.origin}${script}?monitor=1`);
        await page.getByText('12 sessions', { exact: true }).waitFor();
        await page.locator('input[name=sessions]').first().check();
        await page.getByText('1 session choisie').waitFor();
        await isFrench(page, 'the monitor');
        await screenshot(page, `french-monitor-${name}`, { fullPage: true });
    }
}

async function viewer(t, browser, service, id) {
    const context = await openContext(t, browser, visitor);
    const page = await context.newPage();
    const errors = [];
    page.on('pageerror', (error) => errors.push(String(error)));
    await page.goto(`${service.origin}${script}?view=${id}`);
    await page.getByRole('heading', { name: 'Préparation de la machine' }).waitFor();
    await page.locator('#status-text', { hasText: 'Préparation du disque' }).waitFor();
    await page.locator('#handle').click();
    await page.getByRole('button', { name: 'Touches' }).click();
    await page.getByRole('button', { name: 'Échap' }).waitFor();
    await isFrench(page, 'the viewer', ['English (US)', 'English (UK)']);
    await screenshot(page, 'french-viewer');
    assert.deepEqual(errors, []);
}

async function languageLinks(t, browser, service) {
    const context = await openContext(t, browser, { locale: 'en-GB', javaScriptEnabled: false });
    const page = await context.newPage();
    await page.goto(`${service.origin}${script}?monitor=1&find=user`);
    assert.equal(await page.locator('html').getAttribute('lang'), 'en');
    await page.getByRole('link', { name: 'Français' }).click();
    await page.locator('html[lang=fr]').waitFor();
    assert.equal(await page.locator('#find').inputValue(), 'user', 'it is the same page');
    await page.goto(`${service.origin}${script}?manage=1`);
    assert.equal(await page.locator('html').getAttribute('lang'), 'fr', 'the choice is remembered');
    await page.getByRole('link', { name: 'English' }).click();
    await page.locator('html[lang=en]').waitFor();
}

async function errors(service) {
    const ask = async (query, language, more = {}) => JSON.parse((await service.fetch('GET', `${script}?${query}`, {
        headers: { Accept: 'application/json', 'Accept-Language': language, ...more } })).text).error;
    const french = await ask(`session=${'0'.repeat(32)}`, 'fr-CH, fr;q=0.9, en;q=0.8');
    assert.equal(french.kind, 'not-found', 'the kind does not depend on the language');
    assert.match(french.message, /^Cette session n'existe pas\. /);
    assert.doesNotMatch(french.advice, ENGLISH);
    assert.match((await ask(`session=${'0'.repeat(32)}`, 'de, en;q=0.5')).message, /^There is no such session\. /);
    const { message } = JSON.parse((await service.postCreate({ cpu: 'many' }, { 'Accept-Language': 'fr' })).text).error;
    assert.equal(message, 'cpu : écrivez un nombre entier de 1 à 256.');
    const choice = JSON.parse((await service.postCreate({ machine: 'none.iso' }, { 'Accept-Language': 'fr' })).text).error;
    assert.equal(choice.message, 'Il n\'y a pas de machine « none.iso » ici. Choisissez-en une dans la liste.');
    assert.match((await ask(`session=${'0'.repeat(32)}`, 'en', { Cookie: 'qwd_lang=fr' })).message, /^Cette session/);
}

// Mails are sent later, by programs that no browser talks to.
async function remembered(service) {
    const { session: { id } } = JSON.parse((await service.postCreate({}, { 'Accept-Language': 'fr' })).text);
    assert.equal(service.record(id).language, 'fr');
    await service.stop(id);
    await service.assertNothingLeft(id);
}

test('languages', async (t) => {
    const service = await WebService.serve(t, 'qwd-server');
    const records = writeRecords(service.snapshots, 12);
    try {
        const browser = await openBrowser(t);
        await t.test('the login', (part) => logIn(part, browser));
        await t.test('the monitor', (part) => monitor(part, browser, service));
        await t.test('the viewer', (part) => viewer(part, browser, service, records.find(({ state }) => state === 'starting').id));
        await t.test('the links in the footer choose a language without script', (part) => languageLinks(part, browser, service));
        await t.test('errors', () => errors(service));
        await t.test('the record of a session knows the language', () => remembered(service));
    } finally {
        removeRecords(service.snapshots, records);
    }
});
