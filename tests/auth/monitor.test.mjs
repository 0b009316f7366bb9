// SPDX-License-Identifier: AGPL-3.0-or-later
// The monitor of a service with users: administrators see and end sessions of everybody, others nothing.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Browser, LoginService, notice } from '../lib/login-service.mjs';

const service = new LoginService();
before(() => service.start({ settings: { snapshot_lifetime: '30d' } }));
after(() => service.end());

const browser = () => new Browser(service);
const rowOf = (page, id) => page.match(new RegExp(`<tr data-id="${id}">.*</tr>`))?.[0];

test('an administrator stops a selection, and others are refused', async () => {
    const [alice, bob, carol] = [await browser().login('alice'), await browser().login('bob'), await browser().login('carol')];
    const mine = [await alice.createRunning(), await bob.createRunning(), await alice.createRunning()];
    const page = (await carol.get({ monitor: '1', sort: 'user' })).text;
    for (const { id, owner } of mine)
        assert.match(rowOf(page, id), new RegExp(`>${owner}<.*>Running<.*sessions_stop" value="${id}"`));

    const body = async (who, verb, ...ids) =>
        [['csrf', await who.token()], [verb, 'selected'], ['sort', 'user'], ['find', 'a & b'], ...ids.map((id) => ['sessions', id])];
    const ids = mine.map(({ id }) => id);
    for (const who of [alice, bob]) {
        for (const verb of ['sessions_stop', 'sessions_extend']) {
            const refused = await who.post(await body(who, verb, ...ids));
            assert.equal(refused.status, 403);
            assert.match(refused.text, /Only an administrator may see the monitor\./);
        }
        assert.equal((await who.get({ monitor: '1' })).status, 403);
    }
    assert.equal((await carol.post([['csrf', 'x'], ['sessions_stop', 'selected'], ['sessions', ids[0]]])).status, 403,
                 'not without the token of the form');
    assert.ok(ids.every((id) => service.record(id).stop_requested_at === 0), 'nothing has been stopped');

    const extended = await carol.post(await body(carol, 'sessions_extend', ids[2], '0'.repeat(32)));
    assert.equal(extended.status, 303);
    assert.match(notice((await carol.get(new URLSearchParams(extended.headers.location.split('?')[1]))).text),
                 /^Sessions extended: [01] of 2\. The others had ended, or have the longest life-time already\.$/);

    const stopped = await carol.post(await body(carol, 'sessions_stop', ids[0], ids[1]));
    assert.equal(stopped.status, 303);
    assert.equal(stopped.headers.location, '/cgi-bin/qemu-web-desktop.cgi?monitor=1&find=a%20%26%20b&sort=user&result=stop-2-2');
    assert.equal(notice((await carol.get(new URLSearchParams(stopped.headers.location.split('?')[1]))).text),
                 'Sessions asked to end: 2 of 2.');
    await Promise.all([service.ended(ids[0]), service.ended(ids[1])]);
    assert.equal(service.record(ids[2]).state, 'running', 'what was not selected goes on');
    assert.equal(service.history(ids[0]).stop_by, 'carol');
    assert.equal(service.audit(new RegExp(`END USER=carol FROM=127\\.0\\.0\\.1 WHAT=session ${ids[0]} ${ids[1]}`)).length, 1);
    assert.ok(service.audit(/REFUSED USER=bob .*WHAT=END.*Only an administrator/).length > 0);

    const one = await carol.post([['csrf', await carol.token()], ['sessions_stop', ids[2]], ['sessions', ids[1]]]);
    assert.match(one.headers.location, /result=stop-1-1$/, 'the button of a row stops that one, whatever is selected');
    await service.ended(ids[2]);
});

test('who comes without a login gets to the monitor by way of it', async () => {
    const carol = browser();
    const asked = await carol.get({ monitor: '1' });
    assert.equal(asked.status, 401);
    assert.match(asked.text, /<input type="hidden" name="monitor" value="monitor" \/>/);
    const entered = await carol.post({ user: 'carol', password: 'car0l-admin-pw', monitor: 'monitor' });
    assert.equal(entered.status, 303);
    assert.match(entered.headers.location, /\?monitor=1$/);
    assert.equal((await carol.get({ monitor: '1' })).status, 200);
});

test('the machine called monitor leads there, as scripts for the original have it', async () => {
    const carol = await browser().post({ user: 'carol', password: 'car0l-admin-pw', machine: 'monitor' });
    assert.equal(carol.status, 303);
    assert.match(carol.headers.location, /\?monitor=1$/);
    const bob = await browser().post({ user: 'bob', password: 'b0b-another-pw', machine: 'monitor' }, { Accept: 'application/json' });
    assert.equal(bob.status, 403);
    assert.equal(service.sessions().length, 0);
});
