// SPDX-License-Identifier: AGPL-3.0-or-later
// A service behind a proxy that takes a prefix off: browsers see /desk/..., the service's web server does not. A browser walks
// from the form to a viewer, and asks for nothing outside.

import assert from 'node:assert/strict';
import { before, after, test } from 'node:test';
import { Desktop, openBrowser, openContext } from '../lib/browser.mjs';
import { freePort } from '../lib/network.mjs';
import { suite } from '../lib/programs.mjs';
import { startProxy } from '../lib/proxies.mjs';
import { Viewer } from '../lib/viewer-page.mjs';
import { WebService } from '../lib/web-service.mjs';
import { createByForm } from './scenarios.mjs';

const prefix = '/desk';
const setup = {};
const whole = suite(after);
before(async () => Object.assign(setup, { browser: await openBrowser(whole) }));

// The addresses that the pages of a context ask for, and the answers that are failures, but for a file that Debian's noVNC 1.3
// asks for and does not have.
function watch(context, origin) {
    const seen = { outside: [], failures: [] };
    const note = (url) => {
        const { protocol, host, pathname } = new URL(url);
        if (protocol !== 'data:' && (host !== new URL(origin).host || !pathname.startsWith(`${prefix}/`)))
            seen.outside.push(url);
    };
    context.on('page', (page) => page.on('websocket', (socket) => note(socket.url())));
    context.on('request', (request) => note(request.url()));
    context.on('response', (response) => response.status() >= 400 && !response.url().endsWith('/package.json') && seen.failures.push(`${response.status()} ${response.url()}`));
    return seen;
}

for (const face of ['qwd-server', 'apache']) {
    test(`from the form to a viewer below ${prefix}, behind ${face}`, async (t) => {
        const port = await freePort(), origin = `http://127.0.0.1:${port}`;
        const service = await WebService.serve(t, face, { service_prefix: prefix, server_name: '127.0.0.1,localhost', service_open: 'yes', layout_title: 'Desks' });
        await startProxy(t, 'nginx', service.httpPort, { prefix, port });
        const context = await openContext(t, setup.browser);
        const seen = watch(context, origin);
        const page = await context.newPage();

        for (const way of ['the program makes the form', 'the form is a file']) {
            if (way === 'the form is a file')
                assert.equal((await service.control('refresh')).code, 0);
            const id = await createByForm(page, service, { origin: `${origin}${prefix}` });
            await page.locator('#connect').waitFor();
            const { session } = await page.evaluate(async () => (await fetch(location.href, { headers: { Accept: 'application/json' } })).json());
            const viewer = await Viewer.open(context, new URL(session.ready.connect, page.url()).href);
            await viewer.shown();
            await viewer.page.close();
            const guest = await Viewer.open(context, session.ready.viewer_url);
            await guest.shown();
            assert.ok(guest.page.url().startsWith(`${origin}${prefix}/darts/viewer`));
            await guest.page.close();
            const stock = await Desktop.open(context, session.ready.url);
            await stock.connected();
            await stock.page.close();
            await page.goto(`${origin}${prefix}/cgi-bin/qemu-web-desktop.cgi?manage=1`);
            await page.locator(`a[href*="${id}"]`).first().waitFor();
            await service.stop(id);
            await service.assertNothingLeft(id);
        }

        for (const path of ['/qemu-web-desktop', ...(face === 'apache' ? [] : ['/', '/darts'])]) {
            const { status, headers } = await service.fetch('GET', path, { headers: { Host: new URL(origin).host } });
            assert.ok([301, 302].includes(status), path);
            assert.ok(new URL(headers.location, origin).pathname.startsWith(`${prefix}/`), headers.location);
        }
        await page.goto(`${origin}${prefix}/qemu-web-desktop/?lang=fr`);
        await page.getByRole('link', { name: 'Français' }).click();
        assert.equal(await page.locator('html').getAttribute('lang'), 'fr');
        assert.deepEqual(seen, { outside: [], failures: [] });
    });
}
