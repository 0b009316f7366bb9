// SPDX-License-Identifier: AGPL-3.0-or-later
// A start page made for the original service, whose form sends itself as multipart/form-data, in a browser.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, test } from 'node:test';
import { openBrowser, openContext } from '../lib/browser.mjs';
import { suite } from '../lib/programs.mjs';
import { WebService } from '../lib/web-service.mjs';

const page = `<!DOCTYPE html>
<html><head><title>DARTS</title></head><body>
<form id="form" method="post" action="/cgi-bin/qemu-web-desktop.pl" enctype="multipart/form-data">
{{> csrf.html}}
<select id="machine" name="machine">{{layout_machines_list}}</select>
<select id="cpu" name="cpu">{{layout_cpu}}</select>
<select id="memory" name="memory">{{layout_memory}}</select>
<select id="snapshot_lifetime" name="snapshot_lifetime">{{layout_lifetime}}</select>
<input type="submit" name="create" value="Create">
<input type="submit" name="manage" value="Manage sessions">
</form>
</body></html>
`;

const setup = {};
const whole = suite(after);
before(async () => Object.assign(setup, { browser: await openBrowser(whole) }));

for (const face of ['qwd-server', 'apache']) {
    test(`its form creates a session and lists it, behind ${face}`, async (t) => {
        const service = await WebService.serve(t, face);
        fs.mkdirSync(service.path('etc/html'));
        fs.writeFileSync(service.path('etc/html/landing.html'), page);
        const refreshed = await service.control('refresh');
        assert.deepEqual([refreshed.code, refreshed.err], [0, '']);
        const context = await openContext(t, setup.browser);
        const tab = await context.newPage();
        await tab.goto(`${service.origin}/qemu-web-desktop/`);
        await tab.locator('#memory').selectOption({ index: 0 });
        await Promise.all([tab.waitForNavigation(), tab.getByRole('button', { name: 'Create' }).click()]);
        const id = new URL(tab.url()).searchParams.get('session');
        assert.ok(id, await tab.locator('body').textContent());
        await service.ready(id);
        await tab.goto(`${service.origin}/qemu-web-desktop/`);
        await Promise.all([tab.waitForNavigation(), tab.getByRole('button', { name: 'Manage' }).click()]);
        await tab.locator(`a[href*="${id}"]`).first().waitFor();
        await service.stop(id);
        await service.assertNothingLeft(id);
    });
}
