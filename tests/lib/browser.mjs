// SPDX-License-Identifier: AGPL-3.0-or-later
// Headless Chromium, and what a person does with a desktop in it: look, type, click.

import fs from 'node:fs';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { top } from './files.mjs';
import { eventually, timeoutMs } from './wait.mjs';

const args = [
    '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage',
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1',
];

export async function openBrowser(t) {
    const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', headless: true, chromiumSandbox: false, args, timeout: timeoutMs });
    t.after(() => browser.close());
    return browser;
}

export async function screenshot(page, name, options = {}) {
    const folder = path.join(top, 'build/screenshots');
    fs.mkdirSync(folder, { recursive: true });
    await page.screenshot({ path: path.join(folder, `${name}.png`), animations: 'disabled', ...options });
}

// A visitor with a browser profile of their own, who is patient, and stays on the page of a session when it is ready
// (unless they follow).
export async function openContext(t, browser, { follows = false, ...options } = {}) {
    const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1280, height: 800 }, ...options });
    if (!follows)
        await context.addInitScript(() => localStorage.getItem('qwd-stay') ?? localStorage.setItem('qwd-stay', 'yes'));
    context.setDefaultTimeout(timeoutMs);
    t.after(async () => {
        for (const one of [context, ...context.pages()])
            await one.unrouteAll({ behavior: 'ignoreErrors' }).catch(() => {}); // a page may just be asking; or all is closed
        await context.close();
    });
    return context;
}

// The service's answer to a question of a page that a test has taken; null where it got none, which the page then knows.
export async function answerTo(route, options) {
    try {
        return await route.fetch({ maxRetries: 3, timeout: timeoutMs, ...options }); // an idle connection may just have been closed
    } catch {
        await route.abort();
        return null;
    }
}

// Stop, and yes, on the page of a session or on the only card of a list.
export async function stopOnPage(page) {
    await page.locator('.sure > summary', { hasText: 'Stop' }).click();
    await page.getByRole('button', { name: /^Yes, stop/ }).click();
}

// Characters that a US keyboard types with Shift, and the keys they are on.
const shifted = Object.fromEntries([...'~!@#$%^&*()_+{}|:"<>?'].map((sign, i) => [sign, [...'`1234567890-=[]\\;\',./'][i]]));

// noVNC's page, showing a machine's desktop.
export class Desktop {
    canvas = '#noVNC_container canvas';

    static async open(context, url) {
        const desktop = new Desktop();
        desktop.page = await context.newPage();
        desktop.sent = []; // first bytes of the messages that went out
        desktop.lost = 0;
        desktop.page.on('websocket', (socket) => {
            socket.on('framesent', ({ payload }) => desktop.sent.push(Buffer.from(payload)[0]));
            socket.on('close', () => desktop.lost++);
        });
        await desktop.page.goto(url);
        return desktop;
    }

    // Colour of a place, in parts of the picture's width and height: '#rrggbb'. Null before there is a picture.
    colour(x, y) {
        return this.page.evaluate(([selector, atX, atY]) => {
            const canvas = document.querySelector(selector);
            if (!canvas)
                return null;
            const { data } = canvas.getContext('2d').getImageData(Math.floor(canvas.width * atX), Math.floor(canvas.height * atY), 1, 1);
            return `#${[...data.slice(0, 3)].map((value) => value.toString(16).padStart(2, '0')).join('')}`;
        }, [this.canvas, x, y]);
    }

    // The desktop behind the windows: on the right, above the task bar.
    waitForBackground(colour) {
        return this.waitForPicture(`background ${colour}`, async () => await this.colour(0.9, 0.8) === colour);
    }

    // A terminal that has printed something: dark, with enough of light text on it.
    waitForTerminal() {
        return this.waitForPicture('a terminal with text', () => this.page.evaluate((selector) => {
            const canvas = document.querySelector(selector);
            if (!canvas)
                return false;
            const { data } = canvas.getContext('2d').getImageData(60, 70, 500, 120);
            let dark = 0, light = 0;
            for (let i = 0; i < data.length; i += 4) {
                const sum = data[i] + data[i + 1] + data[i + 2];
                dark += sum < 120;
                light += sum > 380;
            }
            return dark > 30000 && light > 500;
        }, this.canvas));
    }

    async waitForPicture(what, condition) {
        try {
            await eventually(what, condition);
        } catch (error) {
            await screenshot(this.page, `failed-${what.replace(/[^a-z0-9]+/gi, '-')}`);
            throw error;
        }
    }

    async connected() {
        await this.page.locator('html.noVNC_connected').waitFor({ state: 'attached' });
    }

    // A click on the terminal gives it the keyboard.
    async takeTerminal() {
        await this.page.mouse.click(300, 150);
    }

    // Keys as a person presses them: noVNC and QEMU look at the keys, not only at the signs on them.
    async type(text) {
        for (const sign of text) {
            if (shifted[sign])
                await this.strike('Shift', shifted[sign]);
            else
                await this.strike({ '\n': 'Enter', ' ': 'Space' }[sign] ?? sign);
        }
    }

    // Goes down and up without a pause: whoever is held up in between would hold the key down, which then repeats.
    strike(...keys) {
        const { keyboard } = this.page;
        return Promise.all([...keys.map((key) => keyboard.down(key)), ...keys.reverse().map((key) => keyboard.up(key))]);
    }

    // Into a terminal, each sign once the one before is to be seen: a machine that gets little of a busy processor loses
    // keys that come faster than it takes them.
    async write(text) {
        for (const sign of text) {
            const before = await this.terminal();
            await this.type(sign);
            if (sign !== '\n')
                await this.waitForPicture(`an echo of "${sign}"`, async () => await this.terminal() !== before);
        }
    }

    // A number that is another one when the terminal looks otherwise.
    terminal() {
        return this.page.evaluate((selector) => {
            const { data } = document.querySelector(selector).getContext('2d').getImageData(40, 30, 700, 480);
            let sum = 0;
            for (let i = 0; i < data.length; i += 4)
                sum = (31 * sum + data[i]) | 0;
            return sum;
        }, this.canvas);
    }

    // Until so many messages of a type have gone out (RFC 6143, 7.5).
    waitForSent(type, count) {
        return eventually(`${count} messages of type ${type} sent`, () => this.sent.filter((one) => one === type).length >= count);
    }
}
