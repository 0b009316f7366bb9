// SPDX-License-Identifier: AGPL-3.0-or-later
// The pages of a service in each of their states pass the checks of page-checks.mjs. page-fixtures.test.mjs has the golden
// pages. The screenshots are build/screenshots/NAME-WIDTH-SCHEME.png.
// Tier: full

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { holdStarts } from './scenarios.mjs';
import { openBrowser, openContext } from '../lib/browser.mjs';
import { replaceFile } from '../lib/files.mjs';
import { checkPage, openCheckedPage } from '../lib/page-checks.mjs';
import { servePageFixtures } from '../lib/page-fixtures.mjs';
import { removeRecords, samplesOf, someQueued, writeRecords } from '../lib/session-records.mjs';
import { WebService } from '../lib/web-service.mjs';

const script = '/cgi-bin/qemu-web-desktop.cgi';
const english = { locale: 'en-US' };

class Visit {
    constructor(t, service, browser) {
        Object.assign(this, { t, service, browser });
    }

    async open() {
        this.context = await openContext(this.t, this.browser, english);
        this.page = await openCheckedPage(this.context);
        return this;
    }

    go(query = '') {
        return this.page.goto(this.service.origin + (query.startsWith('/') ? query : script + query));
    }

    // expected: errors of the console to ignore. number: one of the views (checkPage).
    check(name, page = this.page, { expected = null, number = null } = {}) {
        return this.t.test(name, async () => assert.deepEqual((await checkPage(page, name, number)).filter((one) => !expected?.test(one)), []));
    }

    // Presses a button that leads to another page.
    async press(locator) {
        await Promise.all([this.page.waitForNavigation(), locator.click()]);
    }

}

const link = (state, label) => state.sharing.links.find((one) => one.label === label);

async function startPages(visit) {
    const { service } = visit;
    const image = path.join(service.machines, service.machine.name);
    fs.renameSync(image, service.path('moved.raw'));
    await visit.go();
    await visit.check('start-none');
    fs.renameSync(service.path('moved.raw'), image);
    await visit.go();
    await visit.check('start-one');
    const machines = fs.readFileSync(service.path('etc/machines.conf'), 'utf8');
    const more = ['Debian 12 with the programs of the beamline, and what is needed to write about what was measured', 'Ubuntu', '', 'Windows', 'A_name_that_has_no_place_at_which_it_could_be_broken_into_lines'];
    more.forEach((description, i) => {
        fs.symlinkSync(fs.readlinkSync(image), service.path(`service/machines/more-${i}.raw`));
        fs.appendFileSync(service.path('etc/machines.conf'), `[more-${i}.raw]\ndescription=${description}\n`);
    });
    await service.control('refresh');
    await visit.go('/qemu-web-desktop/');
    await visit.check('start-many');
    more.forEach((_, i) => fs.rmSync(service.path(`service/machines/more-${i}.raw`)));
    replaceFile(service.path('etc/machines.conf'), machines);
}

async function errorPages(visit) {
    await visit.go(`?session=${'0'.repeat(32)}`);
    await visit.check('error-404');
    await visit.go(`?token=${'0'.repeat(32)}`);
    await visit.check('error-405');
}

async function sessionPages(visit) {
    const { service } = visit;
    await visit.go('?manage=1');
    await visit.check('sessions-none');
    const release = await holdStarts(visit.t, service);
    const id = await service.create();
    await visit.go(`?session=${id}`);
    await visit.check('session-starting');
    await release();
    await service.ready(id);
    await visit.press(visit.page.getByRole('button', { name: 'Make a link' }));
    await visit.check('session-ready');
    return id;
}

async function viewerPages(visit, id) {
    const { service } = visit;
    const owner = await openCheckedPage(visit.context), guest = await openCheckedPage(visit.context);
    const shown = (page) => page.locator('#screen.shown').waitFor();
    const press = async (name) => {
        if (await owner.locator('#controls').isHidden())
            await owner.locator('#handle').click();
        await owner.locator('#bar').getByRole('button', { name, exact: true }).click();
    };
    const says = (page, words) => page.locator('#status:not([hidden])', { hasText: words }).waitFor();
    await owner.goto(`${service.origin}${script}?view=${id}`);
    await shown(owner);
    await visit.check('viewer-own', owner);
    await press('Keys');
    await visit.check('viewer-keys', owner);
    await press('Share');
    const dialog = owner.locator('#share-dialog');
    await dialog.getByLabel('Another link, for').fill('Paul');
    await dialog.getByRole('button', { name: 'Make a link' }).click();
    await dialog.getByRole('textbox', { name: 'Link: Paul' }).waitFor();
    await visit.check('viewer-share', owner);
    await guest.goto(link(await service.sessionState(id), 'Paul').viewer_url);
    await shown(guest);
    await visit.check('viewer-watching', guest);
    await visit.go(`?session=${id}`);
    await visit.check('session-watched');
    await visit.go('?manage=1');
    await visit.check('sessions-own');
    await dialog.getByRole('button', { name: 'Revoke: Paul' }).click();
    await says(guest, 'This link does not work any more');
    await visit.check('viewer-revoked', guest, { expected: /^console: .*status of 404/ });
    await owner.keyboard.press('Escape');
    await press('Stop');
    await visit.check('viewer-stop', owner);
    return { owner, says };
}

async function limits(visit, id) {
    const { service, page } = visit;
    service.override({ service_max_session_nb: 1, service_queue: 'yes' });
    const waiting = await service.create();
    await visit.go(`?session=${waiting}`);
    await visit.check('session-queued');
    await service.stop(waiting);
    await visit.go();
    await visit.check('start-full');
    service.override({ service_max_session_nb_per_user: 1 });
    await visit.go();
    await visit.press(page.locator('button[name=create]').first());
    await page.getByRole('heading', { name: /room/ }).waitFor();
    await visit.check('error-limit');
    service.override({});
    await visit.go(`?session=${id}`);
}

async function ends(visit, { owner, says }, id) {
    await owner.locator('#stop-yes').click();
    await says(owner, 'The session is over');
    await visit.check('viewer-over', owner);
    await visit.page.locator('#again').waitFor();
    await visit.check('session-ended');
    await visit.service.assertNothingLeft(id);
}

async function monitorPages(visit) {
    const { service, page } = visit;
    const snapshots = service.path('service/snapshots'), samples = service.path('service/cache/monitor-samples.json');
    const { uid, gid } = fs.statSync(service.path('service'));
    await visit.go('?monitor=1');
    await visit.check('monitor-none');
    fs.writeFileSync(samples, JSON.stringify(samplesOf(23, (i) => i < 90 || i > 150)));
    fs.chownSync(samples, uid, gid);
    const records = writeRecords(snapshots, 1000, someQueued);
    try {
        await visit.go('?monitor=1');
        await visit.check('monitor-many');
        await page.locator('.monitor-table tbody').getByRole('checkbox').nth(1).check();
        await visit.check('monitor-selected', page, { number: 0 });
        await visit.go('?manage=1&all=1');
        await visit.check('sessions-all');
    } finally {
        removeRecords(snapshots, records);
    }
    const file = execFileSync(service.cgiProgram, ['--service_monitor=1'], { env: service.environment(), encoding: 'utf8' });
    await page.goto(`${await servePageFixtures(visit.t, { 'monitor-now': file })}/page/monitor-now`);
    await visit.check('monitor-file');
}

// --- with a login ---

async function loginPages(visit) {
    const { service, page } = visit;
    const logIn = async (password) => {
        await page.getByLabel('User name').fill('marie');
        await page.getByLabel('Password').fill(password);
        await visit.press(page.locator('main').getByRole('button', { name: 'Log in' }));
    };
    const enter = async (code) => {
        await page.locator('input[name=code]').fill(code);
        await visit.press(page.locator('main form button[type=submit]').first());
    };
    const check = service.shim('check-user', `#!/bin/sh\ntr '\\0' '\\n' | { read -r user; read -r password; [ "$password" = right ] || exit 1; echo '{"user": "marie"}'; }\n`);
    service.override({ check_user_custom: check, check_user_mfa: 'totp' });
    await visit.go();
    await visit.check('start-login');
    await visit.go('?manage=1');
    await visit.check('login');
    await logIn('wrong');
    await visit.check('login-wrong');
    await logIn('right');
    await visit.check('enrol');
    const secret = (await page.locator('main').textContent()).match(/\b[A-Z2-7]{32}\b/)[0];
    await enter(execFileSync('oathtool', ['--totp', '-b', secret], { encoding: 'utf8' }).trim());
    await visit.check('recovery');
    await visit.go('?manage=1');
    await visit.check('sessions-login');
    await page.locator('header input[name=csrf]').evaluate((field) => field.remove());
    await visit.press(page.getByRole('button', { name: 'Log out' }));
    assert.match(await page.locator('main').textContent(), /form|again/i);
    await visit.check('error-403');
    await visit.context.clearCookies();
    await visit.go('?manage=1');
    await logIn('right');
    await visit.check('code');
    await enter('000000');
    await visit.check('code-wrong');
}

test('the pages of a service', async (t) => {
    const service = await WebService.serve(t, 'qwd-server');
    const visit = await new Visit(t, service, await openBrowser(t)).open();
    await startPages(visit);
    await errorPages(visit);
    const id = await sessionPages(visit);
    const viewer = await viewerPages(visit, id);
    await limits(visit, id);
    await ends(visit, viewer, id);
    await monitorPages(visit);
    await loginPages(visit);
});
