// SPDX-License-Identifier: AGPL-3.0-or-later
// The viewer's page in a browser.

import { Desktop } from './browser.mjs';

export const CLIPBOARD_MESSAGES = 6; // RFC 6143, 7.5; QEMU's extended key events

// A message of the viewer disappears after some seconds. Here it stays until the next one, because the host may stop the
// test for longer than that.
function keepToasts() {
    const later = globalThis.setTimeout;
    globalThis.setTimeout = (run, ...more) => (String(run).includes('toast.replaceChildren') ? 0 : later(run, ...more));
}

export class Viewer extends Desktop {
    canvas = '#screen.shown canvas';

    async watch() {
        super.watch();
        this.errors = [];
        this.requests = [];
        this.page.on('pageerror', (error) => this.errors.push(String(error)));
        this.page.on('console', (message) => /Content Security Policy/i.test(message.text()) && this.errors.push(message.text()));
        this.page.on('request', (request) => this.requests.push(request.url()));
        await this.page.addInitScript(keepToasts);
    }

    // Waits until the machine's screen has a size.
    hasSize(width, height) {
        return this.waitInPage((size) => {
            const canvas = document.querySelector('#screen canvas');
            return [canvas?.width, canvas?.height].join() === size;
        }, [width, height].join());
    }

    shown() {
        return this.page.locator('#screen.shown').waitFor();
    }

    // Waits for the status that replaces the display.
    async says(words) {
        await this.page.locator('#status:not([hidden])', { hasText: words }).waitFor();
    }

    // Discards the command line of the terminal.
    async discardLine() {
        await this.page.locator('#screen canvas').focus();
        await this.page.keyboard.press('Control+KeyC');
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
