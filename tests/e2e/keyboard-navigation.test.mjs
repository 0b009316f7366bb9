// SPDX-License-Identifier: AGPL-3.0-or-later
// A session from Create to its end with the keyboard alone, with script and without: create, connect, share, stop. The
// live regions announce each change to a screen reader.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { holdStarts } from './scenarios.mjs';
import { openBrowser, openContext, screenshot } from '../lib/browser.mjs';
import { WebService } from '../lib/web-service.mjs';

const script = '/cgi-bin/qemu-web-desktop.cgi';
const CONTROLS = 'Control+Alt+Shift+KeyM';
const STOPS_MAX = 80; // of the Tab key on one page

/* globals document, getComputedStyle, MutationObserver */

// The element that has the focus, or null.
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

// Uses a page with the keyboard.
class KeyboardUser {
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

    // Presses Tab until the focus is on an element that matches. The focus is visible at each stop.
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

    // The same for an element that leads to another page.
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

// Moves between the machines with the arrow keys and creates a session. Returns its id.
async function create(user, service) {
    const { page } = user;
    await page.goto(`${service.origin}${script}`);
    await user.skips();
    await user.to('input[type=radio][name=machine]:checked');
    const chosen = () => page.evaluate(() => document.querySelector('input[name=machine]:checked').value);
    const first = await chosen();
    await user.press('ArrowDown');
    assert.notEqual(await chosen(), first);
    await user.press('ArrowUp');
    assert.equal(await chosen(), first);
    await user.follow('button[name=create]');
    assert.ok(user.id(), `Create led to ${page.url()}`);
    return user.id();
}

// Creates another link on the page of a session.
async function share(user, label) {
    await user.to('#sharing input[name=label]');
    await user.page.keyboard.type(label);
    await user.follow('#sharing form:has(input[name=label]) button[type=submit]');
    await user.page.locator('#sharing li', { hasText: label }).waitFor();
}

// Stops a session, which asks for a confirmation when the session runs.
async function stop(user, id) {
    const field = `input[name=session_stop][value="${id}"]`, question = `details:has(${field}) > summary`;
    if (await user.page.locator(question).count() > 0)
        await user.toAndPress(question);
    await user.follow(`form:has(${field}) button`);
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

// Collects the texts of the live regions of a page.
const recordAnnouncements = (context) => context.addInitScript(() => {
    globalThis.announced = [];
    new MutationObserver((changes) => {
        for (const { target } of changes) {
            const region = (target.nodeType === 1 ? target : target.parentElement)?.closest('[aria-live], [role=status], [role=alert]');
            const words = region && !region.hidden ? region.textContent.trim() : '';
            if (words && globalThis.announced.at(-1) !== words)
                globalThis.announced.push(words);
        }
    }).observe(document, { subtree: true, childList: true, characterData: true });
});

async function withScript(t, service, browser) {
    const context = await openContext(t, browser, { locale: 'en-US' });
    await recordAnnouncements(context);
    const user = new KeyboardUser(await context.newPage());
    const { page } = user;
    const announced = () => page.evaluate(() => globalThis.announced);
    const release = await holdStarts(t, service);
    const id = await create(user, service);
    await page.waitForFunction(() => globalThis.announced.length > 0);
    const before = (await announced()).length;
    await release();
    await page.locator('#connect').waitFor();
    await page.waitForFunction((count) => globalThis.announced.length > count, before); // the machine is ready
    t.diagnostic(`announced: ${(await announced()).join(' / ')}`);
    await screenshot(page, 'keyboard-ready');
    await share(user, 'Paul');
    await user.skips();
    await user.to('#connect');
    const [viewerPage] = await Promise.all([context.waitForEvent('page'), user.press('Enter')]);
    await inViewer(new KeyboardUser(viewerPage));
    await page.bringToFront();
    await page.locator('#again').waitFor();
    await page.waitForFunction(() => /over|end|stop/i.test(globalThis.announced.at(-1) ?? ''));
    assert.notEqual(await user.focus(), null, 'another element has the focus, since the one before has gone');
    await user.follow('#again');
    await service.ended(id);
}

// --- without ---

async function withoutScript(t, service, browser) {
    const context = await openContext(t, browser, { locale: 'en-US', javaScriptEnabled: false });
    const user = new KeyboardUser(await context.newPage());
    const { page } = user;
    const release = await holdStarts(t, service);
    const id = await create(user, service);
    await page.locator('[aria-current=step]').waitFor();
    await release();
    await page.locator('#connect').waitFor(); // the page has loaded itself again
    await share(user, 'Paul');
    const link = page.locator('#connect');
    assert.match(await link.getAttribute('href'), /view=/);
    const viewer = await context.newPage();
    await viewer.goto(new URL(await link.getAttribute('href'), service.origin).href);
    await viewer.getByText(/needs JavaScript/).waitFor();
    await viewer.close();
    await stop(user, id);
    await page.locator('#again').waitFor();
    await screenshot(page, 'keyboard-over');
    await page.goto(`${service.origin}${script}?manage=1`);
    await page.locator('main', { hasText: /halted|nothing runs/i }).waitFor(); // among those that have ended
    assert.equal(await page.locator(`input[name=session_stop][value="${id}"]`).count(), 0);
    await user.skips();
}

test('by keyboard alone', async (t) => {
    const service = await WebService.serve(t, 'qwd-server', { form_memory: '128M', snapshot_alloc_mem: '128M' });
    fs.symlinkSync(fs.readlinkSync(path.join(service.machines, service.machine.name)), path.join(service.machines, 'other.raw'));
    fs.appendFileSync(service.path('etc/machines.conf'), '[other.raw]\ndescription=Another machine\n');
    const browser = await openBrowser(t);
    await t.test('with script', (t) => withScript(t, service, browser));
    await t.test('without script', (t) => withoutScript(t, service, browser));
});
