// SPDX-License-Identifier: AGPL-3.0-or-later
// The whole way through the service for who has no mouse, and for whose browser has no script: create, connect, share,
// stop. Also what a screen reader is told on the way.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { holdStarts } from './scenarios.mjs';
import { openBrowser, openContext, screenshot } from '../lib/browser.mjs';
import { eventually } from '../lib/wait.mjs';
import { WebService } from '../lib/web-service.mjs';

const script = '/cgi-bin/qemu-web-desktop.cgi';
const CONTROLS = 'Control+Alt+Shift+KeyM';
const STOPS_MAX = 80; // of the Tab key on one page

/* globals document, getComputedStyle, MutationObserver */

// Where the focus is: null when it is nowhere.
function focused() {
    const element = document.activeElement;
    if (!element || element === document.body || element === document.documentElement)
        return null;
    const hasRing = (one) => one && getComputedStyle(one).outlineStyle !== 'none' && parseFloat(getComputedStyle(one).outlineWidth) >= 2;
    const box = element.getBoundingClientRect();
    return {
        words: (element.getAttribute('aria-label') ?? (element.labels?.[0] ?? element).textContent).trim().replace(/\s+/g, ' '),
        isSeen: (element.localName === 'canvas' || element.matches(':focus-visible') && [element, element.closest('label')].some(hasRing)) &&
            box.bottom > 0 && box.top < innerHeight,
        isSkipped: element.matches('.skip'),
        isInMain: element.closest('main') !== null,
    };
}

// A person at the keyboard.
class Walker {
    constructor(page) {
        this.page = page;
    }

    press(key) {
        return this.page.keyboard.press(key);
    }

    focus() {
        return this.page.evaluate(focused);
    }

    isOn(selector) {
        return this.page.evaluate((selector) => document.activeElement?.matches(selector) ?? false, selector);
    }

    // On with the Tab key until the focus is on what is looked for. It is seen wherever it stops.
    async to(selector) {
        await this.page.locator(selector).first().waitFor();
        for (let i = 0; i < STOPS_MAX && !await this.isOn(selector); i++) {
            await this.press('Tab');
            const place = await this.focus();
            assert.ok(place === null || place.isSeen, `the focus is seen on "${place?.words}"`);
        }
        assert.ok(await this.isOn(selector), `the Tab key leads to ${selector}`);
        assert.ok((await this.focus()).isSeen, `the focus is seen on ${selector}`);
    }

    async toAndPress(selector, key = 'Enter') {
        await this.to(selector);
        await this.press(key);
    }

    // The same where it leads to another page.
    async follow(selector) {
        await this.to(selector);
        await Promise.all([this.page.waitForNavigation(), this.press('Enter')]);
    }

    async skips() {
        await this.press('Tab');
        assert.ok((await this.focus())?.isSkipped, 'the first stop leads past what is on every page');
        assert.ok((await this.focus()).isSeen);
        await this.press('Enter');
        await this.press('Tab');
        assert.ok((await this.focus())?.isInMain, 'the next stop is in the content');
    }

    id() {
        return new URL(this.page.url()).searchParams.get('session');
    }
}

// Chooses the other machine and goes back, as arrows do, and creates a session.
async function create(walker, service) {
    const { page } = walker;
    await page.goto(`${service.origin}${script}`);
    await walker.skips();
    await walker.to('input[type=radio][name=machine]:checked');
    const chosen = () => page.evaluate(() => document.querySelector('input[name=machine]:checked').value);
    const first = await chosen();
    await walker.press('ArrowDown');
    assert.notEqual(await chosen(), first);
    await walker.press('ArrowUp');
    assert.equal(await chosen(), first);
    await walker.follow('button[name=create]');
    assert.ok(walker.id(), `Create led to ${page.url()}`);
    return walker.id();
}

// On the page of a session: one more link.
async function share(walker, label) {
    await walker.to('#sharing input[name=label]');
    await walker.page.keyboard.type(label);
    await walker.follow('#sharing form:has(input[name=label]) button[type=submit]');
    await walker.page.locator('#sharing li', { hasText: label }).waitFor();
}

// A session that runs may be asked for first.
async function stop(walker, id) {
    const field = `input[name=session_stop][value="${id}"]`, question = `details:has(${field}) > summary`;
    if (await walker.page.locator(question).count() > 0)
        await walker.toAndPress(question);
    await walker.follow(`form:has(${field}) button`);
}

// --- with script ---

async function inViewer(viewer) {
    const { page } = viewer;
    await page.locator('#screen.shown').waitFor();
    await page.locator('#screen canvas').waitFor();
    await viewer.press(CONTROLS);
    await page.locator('#controls').waitFor();
    assert.ok(await page.evaluate(() => document.getElementById('controls').contains(document.activeElement)), 'the focus is in the controls');
    await viewer.toAndPress('#share');
    await page.locator('#share-dialog').waitFor();
    assert.ok(await viewer.isOn('#share-dialog *'), 'the focus is in the dialog');
    await viewer.to('#share-dialog input[name=label]');
    await page.keyboard.type('Anna');
    await viewer.toAndPress('#share-form button[type=submit]');
    await page.locator('#share-dialog li', { hasText: 'Anna' }).waitFor();
    assert.ok(await viewer.isOn('#share-dialog *'), 'and stays there');
    await viewer.press('Escape');
    await page.locator('#share-dialog').waitFor({ state: 'hidden' });
    await page.locator('#screen canvas:focus').waitFor(); // the machine has the keyboard again
    await viewer.press(CONTROLS);
    await viewer.toAndPress('#stop');
    await page.locator('#stop-dialog').waitFor();
    await viewer.to('#stop-dialog [data-close]');
    await viewer.toAndPress('#stop-yes', 'Space');
    await page.locator('#status:not([hidden])', { hasText: /over/i }).waitFor();
    await viewer.to('#again');
}

// Collects what is put into the live regions of a page.
const listen = (context) => context.addInitScript(() => {
    globalThis.heard = [];
    new MutationObserver((changes) => {
        for (const { target } of changes) {
            const region = (target.nodeType === 1 ? target : target.parentElement)?.closest('[aria-live], [role=status], [role=alert]');
            const words = region && !region.hidden ? region.textContent.trim() : '';
            if (words && globalThis.heard.at(-1) !== words)
                globalThis.heard.push(words);
        }
    }).observe(document, { subtree: true, childList: true, characterData: true });
});

async function withScript(t, service, browser) {
    const context = await openContext(t, browser, { locale: 'en-US' });
    await listen(context);
    const walker = new Walker(await context.newPage());
    const { page } = walker;
    const heard = () => page.evaluate(() => globalThis.heard);
    const release = await holdStarts(t, service);
    const id = await create(walker, service);
    await eventually('a screen reader is told what goes on', async () => (await heard()).length > 0);
    const before = (await heard()).length;
    await release();
    await page.locator('#connect').waitFor();
    await eventually('and that the machine is ready', async () => (await heard()).length > before);
    t.diagnostic(`said: ${(await heard()).join(' / ')}`);
    await screenshot(page, 'walk-ready');
    await share(walker, 'Paul');
    await walker.skips();
    await walker.to('#connect');
    const [viewerPage] = await Promise.all([context.waitForEvent('page'), walker.press('Enter')]);
    await inViewer(new Walker(viewerPage));
    await page.bringToFront();
    await page.locator('#again').waitFor();
    await eventually('and that it is over', async () => /over|end|stop/i.test((await heard()).at(-1) ?? ''));
    assert.notEqual(await walker.focus(), null, 'what had the focus has gone; something else has it');
    await walker.follow('#again');
    await eventually('the session has ended', () => service.record(id)?.state !== 'running');
}

// --- without ---

async function withoutScript(t, service, browser) {
    const context = await openContext(t, browser, { locale: 'en-US', javaScriptEnabled: false });
    const walker = new Walker(await context.newPage());
    const { page } = walker;
    const release = await holdStarts(t, service);
    const id = await create(walker, service);
    await page.locator('[aria-current=step]').waitFor();
    await release();
    await page.locator('#connect').waitFor(); // the page has loaded itself again
    await share(walker, 'Paul');
    const link = page.locator('#connect');
    assert.match(await link.getAttribute('href'), /view=/);
    const viewer = await context.newPage();
    await viewer.goto(new URL(await link.getAttribute('href'), service.origin).href);
    await viewer.getByText(/needs JavaScript/).waitFor();
    await viewer.close();
    await stop(walker, id);
    await page.locator('#again').waitFor();
    await screenshot(page, 'walk-over');
    await page.goto(`${service.origin}${script}?manage=1`);
    await page.locator('main', { hasText: /tiny|nothing runs/i }).waitFor(); // among those that have ended
    assert.equal(await page.locator(`input[name=session_stop][value="${id}"]`).count(), 0);
    await walker.skips();
}

test('by keyboard alone', async (t) => {
    const service = await WebService.serve(t, 'qwd-server', { form_memory: '128M', snapshot_alloc_mem: '128M' });
    fs.symlinkSync(fs.readlinkSync(service.path('service/machines/tiny.iso')), service.path('service/machines/other.iso'));
    fs.appendFileSync(service.path('etc/machines.conf'), '[other.iso]\ndescription=Another machine\n');
    const browser = await openBrowser(t);
    const told = (result) => result.catch((error) => {
        t.diagnostic(service.lastLines());
        throw error;
    });
    await t.test('with script', (t) => told(withScript(t, service, browser)));
    await t.test('without script', (t) => told(withoutScript(t, service, browser)));
});
