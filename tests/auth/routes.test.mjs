// SPDX-License-Identifier: AGPL-3.0-or-later
// Every request that the program knows, tried as nobody, another user, the owner and an administrator.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { top } from '../lib/files.mjs';
import { Browser, LoginService, withoutKeys } from '../lib/login-service.mjs';

const service = new LoginService();
before(() => service.start({ settings: { snapshot_lifetime: '30d' } }));
after(() => service.end());

const browser = () => new Browser(service);
const absent = '0123456789abcdef0123456789abcdef';
const html = 'text/html', json = 'application/json';

// What each may do: action of the program's table, fields, statuses for nobody, another user, the owner and an
// administrator. `prepare` makes what the request needs, and its fields.
const walk = [
    { action: 'FORM_NOTHING', name: 'the form', method: 'GET', fields: {}, expect: [200, 200, 200, 200] },
    { action: 'FORM_NOTHING', name: 'a session', method: 'GET', fields: { session: 'ID' }, expect: [401, 404, 200, 200] },
    { action: 'FORM_NOTHING', name: 'a session, POST', method: 'POST', fields: { session: 'ID' }, expect: [401, 404, 200, 200] },
    { action: 'FORM_NOTHING', name: 'its state', method: 'GET', accept: json, fields: { session: 'ID' }, expect: [401, 404, 200, 200] },
    { action: 'FORM_NOTHING', name: 'its screen', method: 'GET', fields: { session: 'ID', picture: '5' }, prepare: aPicture, expect: [401, 404, 200, 200] },
    { action: 'FORM_MANAGE', name: 'sessions', method: 'GET', fields: { manage: '1' }, expect: [401, 200, 200, 200] },
    { action: 'FORM_MANAGE', name: 'sessions as JSON', method: 'GET', accept: json, fields: { manage: '1' }, expect: [401, 200, 200, 200] },
    { action: 'FORM_MONITOR', name: 'monitor', method: 'GET', fields: { monitor: '1' }, expect: [401, 403, 403, 200] },
    { action: 'FORM_MONITOR', name: 'monitor as JSON', method: 'GET', accept: json, fields: { monitor: '1' }, expect: [401, 403, 403, 200] },
    // This host's own programs may read them; who asks from elsewhere must be an administrator (tests/session/metrics).
    { action: 'FORM_METRICS', name: 'figures', method: 'GET', accept: 'text/plain', fields: { metrics: '1' }, expect: [200, 200, 200, 200] },
    { action: 'FORM_CREATE', name: 'create', fields: { create: '1', machine: 'echo.iso' }, expect: [401, 303, 303, 303] },
    { action: 'FORM_EXTEND', name: 'extend', fields: { session_extend: 'ID' }, expect: [401, 404, 303, 303] },
    { action: 'FORM_STAY', name: 'it is in use', fields: { session_stay: 'ID' }, expect: [401, 404, 303, 303] },
    { action: 'FORM_AGAIN', name: 'resume, while it runs', fields: { session_resume: 'ID' }, expect: [401, 404, 303, 303] },
    { action: 'FORM_DISCARD', name: 'discard, while it runs', fields: { session_discard: 'ID' }, expect: [401, 404, 409, 409] },
    { action: 'FORM_SAVE', name: 'save, where the service does not have it', fields: { session_save: 'ID', save_name: 'x' }, expect: [401, 404, 403, 403] },
    { action: 'FORM_REMOVE_SAVED', name: 'remove a machine that nobody has saved', fields: { saved_remove: 'nobody-x.qcow2' }, expect: [401, 404, 404, 404] },
    { action: 'FORM_SHARE', name: 'share', fields: { share: 'ID', role: 'view', label: 'x' }, expect: [401, 404, 303, 303] },
    { action: 'FORM_REVOKE', name: 'revoke', fields: { session: 'ID' }, prepare: aLink, expect: [401, 404, 303, 303] },
    { action: 'FORM_DISCONNECT', name: 'disconnect', fields: { session: 'ID' }, prepare: aViewer, expect: [401, 404, 303, 303] },
    { action: 'FORM_STOP', name: 'stop', fields: { session_stop: 'ID' }, prepare: aSession, expect: [401, 404, 303, 303] },
    { action: 'FORM_EXTEND_SELECTION', name: 'extend a selection', fields: { sessions_extend: 'selected', sessions: 'ID' }, expect: [401, 403, 403, 303] },
    { action: 'FORM_STOP_SELECTION', name: 'stop a selection', fields: { sessions_stop: 'selected', sessions: 'ID' }, prepare: aSession, expect: [401, 403, 403, 303] },
    { action: 'FORM_PURGE', name: 'purge', fields: { service_purge: '1', confirm: 'yes' }, expect: [401, 403, 403, 200] },
    { action: 'FORM_RESUME', name: 'a later step', fields: { pending: 'a.b', code: '000000' }, expect: [401, 401, 401, 401] },
    { action: 'FORM_VIEWER', name: 'the viewer', method: 'GET', fields: { view: 'ID' }, expect: [401, 404, 200, 200] },
    { action: 'FORM_SHARED_VIEWER', name: 'the viewer of links', method: 'GET', fields: { shared: '1' }, expect: [200, 200, 200, 200] },
    { action: 'FORM_LINK_STATE', name: 'state of a link', fields: { token: absent }, prepare: aToken, expect: [200, 200, 200, 200] },
    { action: 'FORM_LOGOUT', name: 'log out', fields: { logout: '1' }, expect: [303, 303, 303, 303] },
];
const roles = ['nobody', 'another', 'owner', 'administrator'];

async function aSession({ owner }) {
    return { id: (await owner.createRunning()).id };
}

async function aLink({ owner, id }) {
    const before = (await owner.sharing(id)).links;
    assert.equal((await owner.submit({ share: id, role: 'view', label: 'to revoke' })).status, 303);
    const link = (await owner.sharing(id)).links.find((one) => !before.some((old) => old.id === one.id));
    return { link_revoke: link.id };
}

async function aToken({ owner, id }) {
    return { token: (await owner.sharing(id)).links[0].viewer_url.split('#token=')[1] };
}

// Its first picture is not waited for longer than a second by one request.
async function aPicture({ owner, id }) {
    const end = performance.now() + 60000;
    while ((await owner.get({ session: id, picture: '5' })).status !== 200)
        assert.ok(performance.now() < end, 'a picture within a minute');
    return {};
}

async function aViewer({ owner, id }) {
    const token = new URL((await owner.sharing(id)).links[0].url).searchParams.get('path').split('=')[1];
    const before = service.record(id).viewers.map(({ serial }) => serial);
    const isNew = ({ serial }) => !before.includes(serial);
    await service.rfb(token);
    const record = await service.until(id, ({ viewers }) => viewers.some(isNew));
    return { viewer_disconnect: String(record.viewers.find(isNew).serial) };
}

const withId = (fields, id) => Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, value === 'ID' ? id : value]));

// What a request may have changed of a session.
const essence = (record) => record && JSON.stringify([record.state, record.ends_at, record.stop_requested_at, record.links.map((link) => link.id)]);

async function tryRoute(route, who, role, context) {
    const { id: fresh, ...more } = await route.prepare?.(context) ?? {};
    const id = fresh ?? context.id;
    const fields = { ...withId(route.fields, id), ...more };
    if (who.cookie && route.method !== 'GET')
        fields.csrf = await who.token();
    const before = essence(service.record(id));
    const response = await who.send(route.method ?? 'POST', fields, { Accept: route.accept ?? html });
    const expected = route.expect[roles.indexOf(role)];
    assert.equal(response.status, expected, `${route.name} as ${role}: ${response.text}`);
    if (expected >= 400)
        assert.equal(essence(service.record(id)), before, `${route.name} as ${role} has changed nothing`);
}

test('every route, as nobody, another user, the owner and an administrator', async (t) => {
    const owner = await browser().login('alice');
    const visitors = { nobody: browser(), another: await browser().login('bob'), owner, administrator: await browser().login('carol') };
    const context = { owner, id: (await owner.createRunning()).id };

    await t.test('the table has all of them', () => {
        const source = fs.readFileSync(path.join(top, 'src/cgi/actions.c'), 'utf8');
        const rows = source.match(/static const Route routes\[\] = \{([^]*?)\n\};/)[1];
        const actions = [...rows.matchAll(/\{(FORM_\w+),/g)].map((match) => match[1]);
        assert.ok(actions.length > 5);
        assert.deepEqual(actions.filter((action) => !walk.some((route) => route.action === action)), []);
    });

    for (const route of walk.filter(({ name }) => name !== 'purge'))
        await t.test(route.name, async () => {
            for (const role of roles) {
                if (route.action === 'FORM_LOGOUT')
                    await tryRoute(route, role === 'nobody' ? browser() : await browser().login('bob'), role, context);
                else
                    await tryRoute(route, visitors[role], role, context);
            }
        });

    await t.test('changes are not made by GET', async () => {
        const more = { FORM_REVOKE: { link_revoke: absent }, FORM_DISCONNECT: { viewer_disconnect: '1' } };
        for (const route of walk.filter(({ method, action }) => method !== 'GET' && action !== 'FORM_NOTHING')) {
            const fields = { ...withId(route.fields, context.id), ...more[route.action] };
            const before = essence(service.record(context.id));
            assert.equal((await owner.get({ ...fields, csrf: await owner.token() })).status, 405, route.name);
            assert.equal(essence(service.record(context.id)), before);
        }
    });

    await t.test('nobody learns whether somebody else\'s session exists', async () => {
        const record = service.record(context.id);
        const tries = [
            ['GET', { session: 'ID' }], ['GET', { view: 'ID' }], ['GET', { session: 'ID', qr: '1'.repeat(32) }], ['GET', { session: 'ID', picture: '5' }],
            ['POST', { session: 'ID' }], ['POST', { session_stop: 'ID' }],
            ['POST', { session_extend: 'ID' }], ['POST', { session_stay: 'ID' }], ['POST', { session_resume: 'ID' }],
            ['POST', { session_discard: 'ID' }], ['POST', { session_save: 'ID', save_name: 'x' }], ['POST', { share: 'ID', role: 'view' }],
            ['POST', { session: 'ID', link_revoke: record.links[0].id }], ['POST', { session: 'ID', viewer_disconnect: '1' }],
        ];
        for (const who of [visitors.another, visitors.nobody]) {
            const csrf = who.cookie ? { csrf: await who.token() } : {};
            const ask = async (method, fields, id, Accept) => {
                const response = await who.send(method, { ...withId(fields, id), ...csrf }, { Accept });
                // A page repeats the query in its links to other languages.
                return `${response.head}\n\n${withoutKeys(response.text).replaceAll(context.id, 'ID').replaceAll(absent, 'ID')}`;
            };
            for (const Accept of [html, json]) {
                for (const [method, fields] of tries)
                    assert.equal(await ask(method, fields, context.id, Accept), await ask(method, fields, absent, Accept),
                                 `${method} ${JSON.stringify(fields)}`);
            }
        }
    });

    await t.test('lists show one\'s own, and all to an administrator', async () => {
        const of = async (who) => (await who.json('GET', { manage: '1' })).sessions.map(({ owner }) => owner);
        assert.deepEqual([...new Set(await of(owner))], ['alice']);
        assert.deepEqual([...new Set(await of(visitors.another))], ['bob']);
        assert.deepEqual([...new Set(await of(visitors.administrator))].sort(), ['alice', 'bob', 'carol']);
    });

    await t.test('purge', async () => {
        const purge = walk.find(({ name }) => name === 'purge');
        for (const role of roles)
            await tryRoute(purge, visitors[role], role, context);
        for (const id of service.sessions())
            await service.ended(id);
    });
});
