// SPDX-License-Identifier: AGPL-3.0-or-later
// Forms that are sent twice, by a double click or a browser that asks again: what they ask for is done once, and both
// answers lead to the same session.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, afterEach, before, test } from 'node:test';
import { Browser, LoginService, hidden, users } from '../lib/login-service.mjs';

const service = new LoginService();
const alice = new Browser(service), bob = new Browser(service), carol = new Browser(service);
before(async () => {
    await service.start({ settings: { snapshot_lifetime: '30d', session_extension: '1h', session_save: 'owner' } });
    await Promise.all([alice.login('alice'), bob.login('bob'), carol.login('carol')]);
});
after(() => service.end());
afterEach(() => service.removeSessions());

const newKey = () => randomBytes(16).toString('hex');
const machine = { create: 'Create', machine: 'echo.iso' };
const idOf = (answer) => answer.headers.location?.match(/session=([0-9a-f]{32})/)?.[1];
const times = (count, act) => Promise.all(Array.from({ length: count }, act));

async function created(answer) {
    assert.equal(answer.status, 303, answer.text);
    return idOf(answer);
}

// The hidden fields of the form on a page that has this one.
function formWith(page, name) {
    const form = page.split('<form').find((text) => text.includes(`name="${name}"`));
    return hidden(`<form${form}`);
}

test('a form to create a session', async (t) => {
    await t.test('has another key each time, with the same ETag', async () => {
        const [first, second] = [await alice.get(), await alice.get()];
        const keys = [first, second].map(({ text }) => formWith(text, 'machine').idempotency_key);
        assert.match(keys[0], /^[0-9a-f]{32}$/);
        assert.notEqual(keys[0], keys[1]);
        assert.equal(first.headers['cache-control'], 'no-store');
        assert.equal((await alice.get({}, { 'If-None-Match': first.headers.etag })).status, 304);
    });

    await t.test('sent several times at once, and once more after its session has ended, makes one', async () => {
        const fields = { ...formWith((await alice.get()).text, 'machine'), ...machine };
        const ids = await Promise.all((await times(4, () => alice.post(fields))).map(created));
        assert.deepEqual(ids, Array(4).fill(ids[0]));
        assert.deepEqual(service.sessions(), [ids[0]]);
        await alice.submit({ session_stop: ids[0] });
        await service.ended(ids[0]);
        assert.equal(idOf(await alice.post(fields)), ids[0]);
        assert.deepEqual(service.sessions(), []);
        const { session } = await alice.json('POST', fields);
        assert.deepEqual([session.id, session.state], [ids[0], 'ended']);
    });

    await t.test('with another choice, another key or without one makes another', async () => {
        const idempotency_key = newKey();
        const ids = [];
        for (const more of [{ idempotency_key }, { idempotency_key, memory: '96M' }, { idempotency_key: newKey() }, {}, {}])
            ids.push(await created(await alice.submit({ ...machine, ...more })));
        assert.equal(new Set(ids).size, 5);
        assert.equal(service.sessions().length, 5);
    });

    await t.test('of another user leads nowhere else', async () => {
        const idempotency_key = newKey();
        const ids = [];
        for (const who of [alice, bob, carol])
            ids.push(await created(await who.submit({ ...machine, idempotency_key })));
        assert.deepEqual(ids.map((id) => service.record(id).owner), ['alice', 'bob', 'carol']);
    });

    await t.test('that was refused can be sent again', async () => {
        const idempotency_key = newKey();
        const full = new Browser(service, { settings: { service_max_session_nb_per_user: 1, service_queue: 'no' } });
        await full.login('alice');
        const other = await full.create({ machine: 'echo.iso' });
        for (const [who, fields, status] of [[alice, { machine: 'none.iso' }, 404], [alice, { cpu: 'x' }, 400], [full, {}, 429]])
            assert.equal((await who.submit({ ...machine, idempotency_key, ...fields })).status, status);
        await alice.submit({ session_stop: other });
        await service.ended(other);
        const id = await created(await full.submit({ ...machine, idempotency_key }));
        assert.notEqual(id, other);
        assert.equal(await created(await full.submit({ ...machine, idempotency_key })), id);
        assert.deepEqual(service.sessions(), [id]);
    });

    await t.test('with user and password, as on a start page that is a file', async () => {
        const fields = { ...machine, user: 'alice', password: users.alice.password, idempotency_key: newKey() };
        const ids = await Promise.all((await times(2, () => new Browser(service).post(fields))).map(created));
        assert.equal(ids[0], ids[1]);
    });

    await t.test('goes on as one after a login', async () => {
        const page = await new Browser(service).post({ ...machine, user: 'alice', password: 'wrong' });
        assert.equal(page.status, 401);
        const fields = { ...hidden(page.text), user: 'alice', password: users.alice.password };
        const ids = await Promise.all((await times(2, () => new Browser(service).post(fields))).map(created));
        assert.equal(ids[0], ids[1]);
    });

    await t.test('with a key that is none is refused', async () => {
        const answer = await alice.submit({ ...machine, idempotency_key: 'x y' });
        assert.equal(answer.status, 400);
        assert.match(answer.text, /32 hexadecimal digits/);
    });
});

test('a form that changes a session', async (t) => {
    let id;
    const page = async () => (await alice.get({ session: id })).text;
    const twice = async (fields) => {
        for (const answer of await times(2, () => alice.post(fields)))
            assert.deepEqual([answer.status, idOf(answer)], [303, id], answer.text);
        return service.record(id);
    };
    const start = async (settings = {}) => {
        const who = Object.assign(new Browser(service, { settings }), { cookie: alice.cookie });
        ({ id } = await who.createRunning({ machine: 'echo.iso' }));
    };

    await t.test('extends it once; the next form extends it again', async () => {
        await start();
        const before = service.record(id);
        await twice(formWith(await page(), 'session_extend'));
        assert.equal(service.record(id).extensions, 1);
        const once = service.record(id).ends_at - before.ends_at;
        assert.ok(once > 0);
        await twice(formWith(await page(), 'session_extend'));
        assert.equal(service.record(id).extensions, 2);
        for (const answer of await times(2, () => alice.submit({ session_extend: id })))
            assert.equal(answer.status, 303, 'without a key as ever');
        assert.equal(service.record(id).extensions, 4);
    });

    await t.test('makes, revokes and makes anew a link once', async () => {
        await start();
        const count = service.record(id).links.length;
        const shared = await twice({ ...formWith(await page(), 'share'), role: 'view', label: 'guests' });
        assert.equal(shared.links.length, count + 1);
        const link = shared.links.find(({ label }) => label === 'guests');
        const csrf = await alice.token();
        const revoked = await twice({ csrf, idempotency_key: newKey(), session: id, link_revoke: link.id });
        assert.equal(revoked.links.length, count);
        const own = revoked.links.find((one) => one.is_own);
        const renewed = await twice({ csrf, idempotency_key: newKey(), session: id, link_revoke: own.id });
        assert.equal(renewed.links.filter((one) => one.is_own && one.id !== own.id).length, 1);
        const again = await alice.post({ csrf, idempotency_key: newKey(), session: id, link_revoke: own.id });
        assert.equal(again.status, 404, 'another form, for a link that has gone');
    });

    await t.test('saves it as a machine once', async () => {
        await start({ snapshot_keep: '1h' });
        process.kill(service.process(service.record(id), 'supervisor'), 'SIGTERM');
        await service.state(id, 'ended');
        const saved = await twice({ ...formWith(await page(), 'session_save'), save_name: `double-${newKey()}` });
        assert.match(saved.save_state, /./);
    });

    await t.test('resumes it, and discards its disk', async () => {
        await start({ snapshot_keep: '1h', session_save: 'no' });
        const end = async () => {
            process.kill(service.process(service.record(id), 'supervisor'), 'SIGTERM');
            await service.state(id, 'ended');
        };
        await end();
        await twice(formWith(await page(), 'session_resume'));
        await service.state(id, 'running');
        await end();
        const form = formWith(await page(), 'session_discard');
        await twice(form);
        assert.deepEqual(service.sessions(), []);
        const { idempotency_key: _, ...program } = form;
        assert.equal((await alice.post(program)).status, 409, 'a program is told that there is none');
    });

    await t.test('of an administrator\'s selection extends each once', async () => {
        const ids = [(await alice.createRunning({ machine: 'echo.iso' })).id, (await bob.createRunning({ machine: 'echo.iso' })).id];
        const ends = ids.map((one) => service.record(one).ends_at);
        const form = formWith((await carol.get({ monitor: '1' })).text, 'sessions');
        const fields = new URLSearchParams({ csrf: form.csrf, idempotency_key: form.idempotency_key, sessions_extend: 'selected' });
        ids.forEach((one) => fields.append('sessions', one));
        const answers = await times(2, () => carol.post(fields));
        assert.deepEqual(answers.map(({ status, headers }) => [status, headers.location.match(/result=([^&]*)/)[1]]),
                         Array(2).fill([303, 'extend-2-2']));
        assert.deepEqual(ids.map((one, i) => service.record(one).ends_at - ends[i]), [3600, 3600]);
    });
});
