// SPDX-License-Identifier: AGPL-3.0-or-later
// Buttons of the pages: Resume, Discard, Keep it running, Save as a machine, Remove, Stop all sessions. One session has
// processes, the others are records.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { openBrowser, openContext, screenshot } from '../lib/browser.mjs';
import { recordOf } from '../lib/session-records.mjs';
import { untilFiles } from '../lib/wait.mjs';
import { WebLoginService, logIn, requestUpdatesUntil } from '../lib/web-login.mjs';
import { script } from '../lib/web-service.mjs';

let service, browser;

class ActionsService extends WebLoginService {
    stage({ settings, ...options } = {}) {
        super.stage({ ...options, settings: { session_save: 'owner', snapshot_keep: '1d', user_admin: 'carol', snapshot_alloc_mem: '128M', ...settings } });
        this.saveMachine('alice', 'course.iso');
        this.give('service/machines');
    }
}

async function openPageAs(t, user, options = {}) {
    const page = await (await openContext(t, browser, options)).newPage();
    await logIn(page, service, user);
    return page;
}

const now = () => Math.floor(Date.now() / 1000);
const open = (page, query) => page.goto(`${service.origin}${script}?${query}`);
const press = (page, name) => page.getByRole('button', { name }).click();

async function screenshots(page, name) {
    for (const [size, width, height] of [['wide', 1280, 800], ['phone', 390, 844]]) {
        await page.setViewportSize({ width, height });
        await screenshot(page, `actions-${name}-${size}`, { fullPage: true });
    }
}

// A session whose QEMU crashed is resumed with its disk. After the next crash it is discarded.
async function resume(t) {
    const page = await openPageAs(t, 'alice');
    const crash = async (id) => {
        process.kill(service.record(id).processes.find(({ name }) => name === 'qemu').pid, 'SIGKILL');
        await page.getByRole('button', { name: /^Resume / }).waitFor();
    };
    await page.goto(`${service.origin}${script}`);
    await page.getByLabel(service.machine.description).check();
    await press(page, 'Create');
    await page.locator('#connect').waitFor();
    const id = new URL(page.url()).searchParams.get('session');
    await crash(id);
    await screenshots(page, 'kept');
    await press(page, /^Resume /);
    await page.locator('#connect').waitFor();
    assert.equal(service.record(id).state, 'running');
    await crash(id);
    await open(page, 'manage=1'); // the list has the button too
    await page.locator('summary', { hasText: 'Discard' }).click();
    await press(page, /^Yes, discard it/);
    await service.ended(id);
    await open(page, 'manage=1');
    assert.equal(await page.locator('summary', { hasText: 'Discard' }).count(), 0);
    await service.assertNothingLeft(id);
}

async function stay(t) {
    const records = service.writeRecords(1, { owner: 'alice', idle_stop_at: now() + 240 });
    const page = await openPageAs(t, 'alice');
    await open(page, `session=${records[0].id}`);
    await screenshots(page, 'idle');
    const before = now();
    await Promise.all([page.waitForNavigation(), press(page, /^Keep it running/)]);
    assert.ok(service.record(records[0].id).touched_at >= before, 'that counts as use');
    service.removeRecords(records);
}

async function save(t) {
    const plan = { ...recordOf(0).plan, machine: service.machine.name, image: path.join(service.machines, service.machine.name) };
    const records = service.writeRecords(1, { owner: 'alice', plan });
    const page = await openPageAs(t, 'alice');
    await open(page, `session=${records[0].id}`);
    await press(page, 'Save as a machine');
    assert.equal(service.record(records[0].id).save_state, '', 'not without a name');
    await page.getByLabel('Name, after alice:').fill('lesson');
    await page.getByLabel('What it is').fill('The first lesson');
    await Promise.all([page.waitForNavigation(), press(page, 'Save as a machine')]);
    await page.getByText('It is being saved as alice:lesson').waitFor();
    assert.match(service.record(records[0].id).save_name, /^alice:lesson/);
    service.removeRecords(records);
}

async function remove(t) {
    for (const javaScriptEnabled of [true, false]) {
        const page = await openPageAs(t, 'alice', { javaScriptEnabled });
        service.saveMachine('alice', 'other.iso');
        await open(page, 'manage=1');
        const card = page.locator('li', { hasText: 'alice:other.iso' });
        await card.locator('summary').click();
        await card.getByRole('button', { name: 'Remove it for good' }).click();
        const image = service.path('service/machines/alice:other.iso');
        await untilFiles([service.machines], () => !fs.existsSync(image), 'the image is removed');
        await open(page, 'manage=1');
        await page.getByText('alice:course.iso').waitFor();
        assert.equal(await page.getByText('alice:other.iso').count(), 0);
    }
}

async function purge(t) {
    for (const query of ['manage=1', 'monitor=1']) {
        const records = service.writeRecords(3, { owner: 'alice' });
        const asked = () => records.filter(({ id }) => service.record(id)?.stop_requested_at).length;
        const page = await openPageAs(t, 'carol');
        await open(page, query);
        await press(page, 'Stop all sessions');
        assert.equal(await page.evaluate(() => document.activeElement.id), 'sure-all', 'the browser asks for the confirmation');
        assert.equal(asked(), 0);
        await page.getByLabel('Yes, stop them all').check();
        records.push(...service.writeRecords(1, { owner: 'alice' }));
        if (query === 'monitor=1')
            await requestUpdatesUntil(page, 'the new session is shown', () => page.locator(`a[href*="${records[3].id}"]`).count());
        assert.ok(await page.getByLabel('Yes, stop them all').isChecked(), 'an update does not take the confirmation back');
        const [answer] = await Promise.all([page.waitForNavigation(), press(page, 'Stop all sessions')]);
        assert.match(await answer.text(), /Sessions asked to end: 4\./); // the monitor shows it until the next update
        assert.equal(asked(), 4);
        service.removeRecords(records);
    }
}

test('buttons that change something', async (t) => {
    service = await ActionsService.serve(t, 'qwd-server');
    browser = await openBrowser(t);
    await t.test('Resume and Discard', resume);
    await t.test('Keep it running', stay);
    await t.test('Save as a machine', save);
    await t.test('Remove a saved machine', remove);
    await t.test('Stop all sessions', purge);
});
