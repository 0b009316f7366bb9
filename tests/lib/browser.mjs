// SPDX-License-Identifier: AGPL-3.0-or-later
// Headless Chromium, and noVNC's page in it.

import { EventEmitter } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { afterEach } from 'node:test';
import { chromium } from 'playwright-core';
import { makeFolder, top } from './files.mjs';
import { isFull } from './tiers.mjs';
import { timeoutMs, until } from './wait.mjs';

const args = [
    '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage',
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1',
];

// Its libraries keep files of their own (sound, fonts), which go with it.
export async function openBrowser(t) {
    const home = makeFolder('browser-');
    fs.chmodSync(home, 0o700);
    const browser = await chromium.launch({
        executablePath: '/usr/bin/chromium', headless: true, chromiumSandbox: false, args, timeout: timeoutMs,
        env: { ...process.env, HOME: home, XDG_RUNTIME_DIR: home },
    });
    t.after(() => browser.close().finally(() => fs.rmSync(home, { recursive: true, force: true, maxRetries: 5 })));
    return browser;
}

// --- screenshots ---

const folder = path.join(top, 'build/screenshots');

export async function saveScreenshot(page, name, options = {}) {
    fs.mkdirSync(folder, { recursive: true });
    await page.screenshot({ path: path.join(folder, `${name}.png`), animations: 'disabled', ...options });
}

// The full tier saves screenshots of all states for a reader. They cost much processor time.
export const screenshot = (page, name, options) => (isFull ? saveScreenshot(page, name, options) : undefined);

const contexts = new Set();

// A row that fails leaves a screenshot of each open page.
afterEach(async (t) => {
    if (t.passed !== false)
        return;
    const pages = [...contexts].flatMap((context) => context.pages());
    for (const [i, page] of pages.entries()) {
        const name = `failed-${t.name.replace(/[^a-z0-9]+/gi, '-').slice(0, 60)}-${i + 1}`;
        const isSaved = await saveScreenshot(page, name, { timeout: 20000 }).then(() => true, () => false);
        t.diagnostic(`${page.url().replace(/#.*/, '')}${isSaved ? `: build/screenshots/${name}.png` : ''}`);
    }
});

// --- contexts ---

// A browser profile of its own. Unless it `follows`, the page of a session stays when the machine is ready.
export async function openContext(t, browser, { follows = false, ...options } = {}) {
    const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1280, height: 800 }, ...options });
    if (!follows)
        await context.addInitScript(() => localStorage.getItem('qwd-stay') ?? localStorage.setItem('qwd-stay', 'yes'));
    context.setDefaultTimeout(timeoutMs);
    contexts.add(context);
    t.after(async () => {
        contexts.delete(context);
        for (const one of [context, ...context.pages()])
            await one.unrouteAll({ behavior: 'ignoreErrors' }).catch(() => {}); // a request may be in flight, or the page closed
        await context.close();
    });
    return context;
}

// The service's answer to a request that a test has intercepted. Returns null when there was none; the page has its error.
export async function answerTo(route, options) {
    try {
        return await route.fetch({ maxRetries: 3, timeout: timeoutMs, ...options }); // an idle connection may just have been closed
    } catch {
        await route.abort();
        return null;
    }
}

// Presses Stop and confirms it, on the page of a session or on the only card of a list.
export async function stopOnPage(page) {
    await page.locator('.sure > summary', { hasText: 'Stop' }).click();
    await page.getByRole('button', { name: /^Yes, stop/ }).click();
}

// --- noVNC's page ---

// Characters that a US keyboard types with Shift, and their keys.
const shifted = Object.fromEntries([...'~!@#$%^&*()_+{}|:"<>?'].map((sign, i) => [sign, [...'`1234567890-=[]\\;\',./'][i]]));

const PAINT_POLL_MS = 100; // a canvas has no event

// Emits 'sent' after each message to the server, and 'lost' when a connection is closed.
export class Desktop extends EventEmitter {
    canvas = '#noVNC_container canvas';

    static async open(context, url) {
        const desktop = new this();
        desktop.page = await context.newPage();
        await desktop.watch();
        await desktop.page.goto(url);
        return desktop;
    }

    watch() {
        this.sent = []; // first bytes of the messages
        this.opened = 0;
        this.lost = 0;
        this.page.on('websocket', (socket) => {
            this.opened++;
            socket.on('framesent', ({ payload }) => {
                this.sent.push(Buffer.from(payload)[0]);
                this.emit('sent');
            });
            socket.on('close', () => {
                this.lost++;
                this.emit('lost');
            });
        });
    }

    // Colour of a point, in parts of the canvas's width and height: '#rrggbb'. Null before there is a picture.
    colour(x, y) {
        return this.page.evaluate(pixelColour, [this.canvas, x, y]);
    }

    // The condition runs in the page.
    waitInPage(condition, argument) {
        return this.page.waitForFunction(condition, argument, { polling: PAINT_POLL_MS });
    }

    waitForColour(x, y, colour) {
        return this.waitInPage(pixelColour, [this.canvas, x, y, colour]);
    }

    // The desktop behind the windows: on the right, above the task bar.
    waitForBackground(colour) {
        return this.waitForColour(0.9, 0.8, colour);
    }

    // Waits for a terminal that has printed something: dark, with enough of light text.
    waitForTerminal() {
        return this.waitInPage((selector) => {
            const canvas = document.querySelector(selector);
            if (!canvas?.width)
                return false;
            const { data } = canvas.getContext('2d').getImageData(60, 70, 500, 120);
            let dark = 0, light = 0;
            for (let i = 0; i < data.length; i += 4) {
                const sum = data[i] + data[i + 1] + data[i + 2];
                dark += sum < 120;
                light += sum > 380;
            }
            return dark > 30000 && light > 500;
        }, this.canvas);
    }

    async connected() {
        await this.page.locator('html.noVNC_connected').waitFor({ state: 'attached' });
    }

    // A click on the terminal gives it the keyboard.
    async focusTerminal() {
        await this.page.mouse.click(300, 150);
    }

    // Presses the keys of a text: noVNC and QEMU use the codes of keys, not only their characters.
    async type(text) {
        for (const sign of text) {
            if (shifted[sign])
                await this.strike('Shift', shifted[sign]);
            else
                await this.strike({ '\n': 'Enter', ' ': 'Space' }[sign] ?? sign);
        }
    }

    // Keys go down and up without a pause. A host that is slow in between would hold the key down, which then repeats.
    strike(...keys) {
        const { keyboard } = this.page;
        return Promise.all([...keys.map((key) => keyboard.down(key)), ...keys.reverse().map((key) => keyboard.up(key))]);
    }

    // Types into a terminal and waits for the echo of each character: a machine that gets little processor time loses keys
    // that come faster.
    async write(text) {
        for (const sign of text) {
            const before = await this.terminal();
            await this.type(sign);
            if (sign !== '\n')
                await this.page.waitForFunction(terminalSum, [this.canvas, before], { polling: 30 });
        }
    }

    // A number that changes with the content of the terminal.
    terminal() {
        return this.page.evaluate(terminalSum, [this.canvas]);
    }

    count(type) {
        return this.sent.filter((one) => one === type).length;
    }

    // Waits until `count` messages of a type have been sent (RFC 6143, 7.5).
    waitForSent(type, count) {
        return until(this, 'sent', () => this.count(type) >= count, `${count} messages of type ${type} are sent`);
    }
}

// Runs in a page. Returns the colour of a pixel, or whether it is the wanted one.
function pixelColour([selector, x, y, wanted]) {
    const canvas = document.querySelector(selector);
    if (!canvas?.width)
        return null;
    const { data } = canvas.getContext('2d').getImageData(Math.floor(canvas.width * x), Math.floor(canvas.height * y), 1, 1);
    const colour = `#${[...data.slice(0, 3)].map((value) => value.toString(16).padStart(2, '0')).join('')}`;
    return wanted === undefined ? colour : colour === wanted;
}

// Runs in a page. Returns a number that stands for the content of the terminal, or whether it differs from an earlier one.
function terminalSum([selector, before]) {
    const { data } = document.querySelector(selector).getContext('2d').getImageData(40, 30, 700, 480);
    let sum = 0;
    for (let i = 0; i < data.length; i += 4)
        sum = (31 * sum + data[i]) | 0;
    return before === undefined ? sum : sum !== before;
}
