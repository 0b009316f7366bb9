// SPDX-License-Identifier: AGPL-3.0-or-later
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openBrowser, openContext } from './browser.mjs';
import { Service } from './service.mjs';
import { newSession, Viewer, viewerPage } from './viewer.mjs';

test('an end that is near is told in the viewer, with what can be done', async (t) => {
    const service = await Service.start(t, 'qwd-server');
    const browser = await openBrowser(t);
    const session = await newSession(service, '128M', { snapshot_lifetime: '80' });
    const context = await openContext(t, browser);
    const owner = await Viewer.open(context, viewerPage(service, session.id)), guest = await Viewer.open(context, session.watch_url);
    await guest.page.locator('#toast', { hasText: /ends in/ }).waitFor();
    assert.equal(await guest.page.locator('#toast button').count(), 0);
    await owner.page.locator('#toast', { hasText: /nearly over.*in less than a minute/ }).waitFor();
    await owner.page.locator('#toast').getByRole('button', { name: /^Extend by/ }).click();
    await owner.page.locator('#toast', { hasText: /^Extended: .* left/ }).waitFor();
    await service.stop(session.id);
    await service.assertNothingLeft(session.id);
});
