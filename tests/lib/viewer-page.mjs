// SPDX-License-Identifier: AGPL-3.0-or-later
// A page with the viewer, as a person uses it.

import { Desktop } from './browser.mjs';


export const TINY = '#31586b';
export const CLIPBOARD_MESSAGES = 6; // RFC 6143, 7.5; QEMU's extended key events

// What the viewer says goes by itself after some seconds. Here it stays until something else is said, for a test may be
// held up for longer than that.
function keepToasts() {
    const later = globalThis.setTimeout;
    globalThis.setTimeout = (run, ...more) => (String(run).includes('toast.replaceChildren') ? 0 : later(run, ...more));
}

export class Viewer extends Desktop {
    static async open(context, url) {
        const viewer = new Viewer();
        viewer.page = await context.newPage();
        await viewer.page.addInitScript(keepToasts);
        viewer.sent = [];
        viewer.opened = 0;
        viewer.lost = 0;
        viewer.troubles = [];
        viewer.requests = [];
        viewer.page.on('websocket', (socket) => {
            viewer.opened++;
            socket.on('framesent', ({ payload }) => viewer.sent.push(Buffer.from(payload)[0]));
            socket.on('close', () => viewer.lost++);
        });
        viewer.page.on('pageerror', (error) => viewer.troubles.push(String(error)));
        viewer.page.on('console', (message) => /Content Security Policy/i.test(message.text()) && viewer.troubles.push(message.text()));
        viewer.page.on('request', (request) => viewer.requests.push(request.url()));
        await viewer.page.goto(url);
        return viewer;
    }

    canvas = '#screen.shown canvas';

    // Width and height of the machine's screen.
    size() {
        return this.page.evaluate(() => {
            const canvas = document.querySelector('#screen canvas');
            return [canvas?.width, canvas?.height].join('x');
        });
    }

    shown() {
        return this.page.locator('#screen.shown').waitFor();
    }

    // What it says in place of the display.
    async says(words) {
        await this.page.locator('#status:not([hidden])', { hasText: words }).waitFor();
    }

    // What is in the terminal's line is not run.
    async dropLine() {
        await this.page.locator('#screen canvas').focus();
        await this.page.keyboard.press('Control+KeyC');
    }

    count(type) {
        return this.sent.filter((one) => one === type).length;
    }

    async openControls() {
        if (await this.page.locator('#controls').isHidden())
            await this.page.locator('#handle').click();
    }

    async press(name) {
        await this.openControls();
        await this.page.locator('#bar').getByRole('button', { name, exact: true }).click();
    }
}

export const viewerPage = (service, id) => `${service.origin}/cgi-bin/qemu-web-desktop.cgi?view=${id}`;

export async function newSession(service, memory = '512M', more = {}) {
    const id = await service.create({ memory, ...more });
    const { ready } = await service.ready(id);
    return { id, ...ready };
}
