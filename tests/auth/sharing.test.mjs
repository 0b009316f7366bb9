// SPDX-License-Identifier: AGPL-3.0-or-later
// Links into a session, over real websockets: through qwd-server, and at websockify's own socket. The machine prints what
// is typed.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { build } from '../lib/files.mjs';
import { Browser, LoginService } from '../lib/login-service.mjs';
import { freePort, webSocket } from '../lib/network.mjs';
import { outputHas, run, start, suite } from '../lib/programs.mjs';
import { inTime, timeoutMs, within } from '../lib/wait.mjs';

const service = new LoginService();
const setup = {};
const whole = suite(after);
whole.after(() => service.end());

before(async () => {
    await service.start({ settings: { display_connections: 2 } });
    setup.port = await freePort();
    const server = start(whole, path.join(service.bin, 'qwd-server'),
                         [`--config=${service.path('etc/qemu-web-desktop.conf')}`, `--port=${setup.port}`], { env: service.environment() });
    await outputHas(server, 'out', /http:/);
    setup.alice = await new Browser(service, { port: setup.port }).login('alice');
    setup.id = (await setup.alice.createRunning()).id;
});

// --- links ---

const tokenOf = (link) => new URL(link.url).searchParams.get('path').match(/token=([0-9a-f]{32})$/)[1];

async function share(fields) {
    const { alice, id } = setup;
    const before = (await alice.sharing(id)).links;
    const answer = await alice.submit({ share: id, ...fields });
    assert.equal(answer.status, 303, answer.text);
    // A page may come before the supervisor has opened it; there is no address yet then.
    const isNew = ({ id: one }) => !before.some((old) => old.id === one);
    await service.until(id, ({ links }) => links.some((link) => isNew(link) && link.hash));
    return (await alice.sharing(id)).links.find(isNew);
}

const revoke = (link) => setup.alice.submit({ session: setup.id, link_revoke: link.id });
async function ownLink() {
    await service.until(setup.id, ({ links }) => links.some((link) => link.is_own && link.hash));
    return (await setup.alice.sharing(setup.id)).links.find((link) => link.is_own);
}

// The viewers that the page names, once there are so many.
async function viewers(count) {
    await service.until(setup.id, ({ viewers: seen }) => seen.length === count);
    return (await setup.alice.sharing(setup.id)).viewers;
}

// Changes the session's record as the service does: under its lock, all at once.
async function changeRecord(change) {
    const file = service.path('service/snapshots', setup.id, 'session.json');
    const holder = spawn('flock', ['--no-fork', path.join(path.dirname(file), 'lock'), 'sh', '-c', 'echo held; read line'],
                         { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(holder.stdout, 'data');
    const record = JSON.parse(fs.readFileSync(file));
    const { uid, gid } = fs.statSync(file);
    change(record);
    fs.writeFileSync(`${file}.new`, JSON.stringify(record), { mode: 0o600 });
    fs.chownSync(`${file}.new`, uid, gid);
    fs.renameSync(`${file}.new`, file);
    holder.stdin.end();
    await once(holder, 'exit');
}

// --- viewers ---

const through = (link, headers = {}) => ({ port: setup.port, target: `/darts/websockify?token=${tokenOf(link)}`,
                                           headers: { Origin: `http://127.0.0.1:${setup.port}`, ...headers } });
const directly = (link, headers = {}) => ({ port: service.websockify, target: `/websockify?token=${tokenOf(link)}`,
                                            headers: { Origin: 'http://localhost', ...headers } });
const open = (t, { port, target, headers }) => webSocket(t, port, target, { headers });

// Connected, with the first words of the display (RFC 6143, 7.1.1).
async function connect(t, way) {
    const ws = await open(t, way);
    assert.equal(ws.response?.status, 101);
    assert.equal((await ws.received(12)).toString(), 'RFB 003.008\n');
    return ws;
}

// What ends these connections does so within a time, of which act() says the beginning; everything is done anew when this
// machine was busy. connected() opens them.
async function endSoon(seconds, connected, act) {
    await inTime(seconds, async () => {
        const open = await connected();
        const since = performance.now();
        const answer = act();
        await Promise.all(open.map((ws) => within('end of a connection', ws.closed)));
        const ms = performance.now() - since;
        assert.equal((await answer).status, 303);
        return ms < seconds * 1000;
    });
}

// Not one byte of the display.
async function assertRefused(t, way) {
    const ws = await open(t, way);
    if (ws.response?.status === 101)
        await within(`end of what is refused: ${JSON.stringify(way)}`, ws.closed);
    assert.equal(ws.length ?? 0, 0);
    return ws.response?.status;
}

const probe = (t, link, ...words) =>
    run(t, path.join(build, 'tests/vnc-probe'), [`ws://127.0.0.1:${setup.port}/darts/websockify?token=${tokenOf(link)}`, '--wait-frame', ...words], {});

// The first character on the screen (9 x 16 pixels): the cursor below an empty place, and the bar of a minus.
const deadline = ['--deadline', String(timeoutMs)];
const cursor = ['--wait-color', '3,13,a8a8a8,8', ...deadline], minus = ['--wait-color', '3,7,a8a8a8,8', ...deadline];

// --- tests ---

test('a control link and a view-only link', async (t) => {
    const control = await share({ role: 'control', label: 'Bob <b>', link_lifetime: '1h' });
    const view = await share({ role: 'view', label: 'The class', link_lifetime: '8h' });

    await t.test('are listed with what they are for', async () => {
        assert.deepEqual([control.label, control.role_text, control.is_own], ['Bob <b>', 'Control', false]);
        assert.deepEqual([view.label, view.role_text, view.is_own], ['The class', 'Watch only', false]);
        for (const [link, seconds] of [[control, 3600], [view, 8 * 3600]])
            assert.ok(Math.abs(Date.parse(link.end.iso) - Date.now() - seconds * 1000) < 60000, link.end.iso);
        const page = (await setup.alice.get({ session: setup.id })).text;
        assert.ok(page.includes('Bob &lt;b&gt;') && !page.includes('Bob <b>'));
    });

    await t.test('the record has no token', () => {
        const text = fs.readFileSync(service.path('service/snapshots', setup.id, 'session.json'), 'utf8');
        for (const link of [control, view])
            assert.ok(!text.includes(tokenOf(link)));
        assert.notEqual(tokenOf(control), tokenOf(view));
    });

    // Had the `c` come through, it would stand at the place of the minus.
    await t.test('view-only shows, and its keys do nothing; control does', async (t) => {
        const watched = await probe(t, view, ...cursor, '--type', 'c', '--click', '5,5', '--cut-text', 'x');
        assert.equal(watched.code, 0, watched.out + watched.err);
        const controlled = await probe(t, control, ...cursor, '--type', '-', ...minus);
        assert.equal(controlled.code, 0, controlled.out + controlled.err);
        const seen = await probe(t, view, ...minus);
        assert.equal(seen.code, 0, seen.out + seen.err);
    });

    await t.test('viewers are listed; one can be disconnected and come back', async (t) => {
        await viewers(0);
        const one = await connect(t, through(control));
        let first, second;
        await endSoon(2, async () => {
            await viewers(1);
            const other = await connect(t, directly(view));
            const seen = await viewers(2);
            [first, second] = ['Bob <b>', 'The class'].map((label) => seen.find(({ link_label: name }) => name === label));
            return [other];
        }, () => setup.alice.submit({ session: setup.id, viewer_disconnect: String(second.serial) }));
        assert.deepEqual([first.address, first.role_text], ['127.0.0.1', 'Control']);
        assert.deepEqual([second.address, second.role_text], ['127.0.0.1', 'Watch only']);
        assert.ok(Math.abs(Date.parse(first.since.iso) - Date.now()) < 5 * 60000);
        assert.equal((await viewers(1))[0].serial, first.serial);
        assert.ok(!one.socket.destroyed && !one.socket.readableEnded);
        assert.equal((await setup.alice.submit({ session: setup.id, viewer_disconnect: String(second.serial) })).status, 404);
        (await connect(t, through(view))).socket.destroy();
        one.socket.destroy();
        await viewers(0);
    });

    await t.test('revoking closes what is open within a second', async (t) => {
        const kept = await connect(t, through(control));
        let link = view;
        await endSoon(1, async () => {
            link ??= await share({ role: 'view', label: 'once more' });
            const open = [await connect(t, through(link)), await connect(t, directly(link))];
            await viewers(3);
            return open;
        }, () => {
            const answer = revoke(link);
            link = undefined;
            return answer;
        });
        await assertRefused(t, through(view));
        await assertRefused(t, directly(view));
        assert.equal((await revoke(view)).status, 404);
        assert.ok(!kept.socket.destroyed && !kept.socket.readableEnded);
        kept.socket.destroy();
        await viewers(0);
    });
});

test('a link whose time is over is refused, and gone from the page', async (t) => {
    const link = await share({ role: 'view', label: 'short', link_lifetime: '30m' });
    (await connect(t, through(link))).socket.destroy();
    await viewers(0);
    await changeRecord((record) => {
        record.links.find(({ id }) => id === link.id).expires_at = Math.floor(Date.now() / 1000) - 1;
    });
    await service.until(setup.id, ({ links }) => !links.some(({ id }) => id === link.id));
    await assertRefused(t, through(link));
    assert.ok(!(await setup.alice.sharing(setup.id)).links.some(({ id }) => id === link.id));
});

test('the owner\'s own link can be made anew', async (t) => {
    let old;
    await endSoon(2, async () => {
        old = await ownLink();
        const ws = await connect(t, through(old));
        await viewers(1);
        return [ws];
    }, () => revoke(old));
    const link = await ownLink();
    assert.notEqual(tokenOf(link), tokenOf(old));
    await assertRefused(t, through(old));
    (await connect(t, through(link))).socket.destroy();
    await viewers(0);
});

test('pages of other sites cannot connect, even with the link', async (t) => {
    const link = await ownLink();
    const foreign = ['http://evil.example', 'null', `http://127.0.0.1.evil.example:${setup.port}`, `http://127.0.0.1:${setup.port + 1}`];
    for (const Origin of foreign) {
        assert.equal(await assertRefused(t, through(link, { Origin })), 403, Origin);
        await assertRefused(t, directly(link, { Origin }));
    }
    for (const Origin of foreign.filter((name) => name.includes('evil'))) { // whose name leads here (DNS rebinding)
        const Host = new URL(Origin).host;
        assert.notEqual(await assertRefused(t, through(link, { Origin, Host })), 101, Origin);
        await assertRefused(t, directly(link, { Origin, Host }));
    }
    for (const way of [through(link), directly(link), directly(link, { Origin: undefined })])
        (await connect(t, way)).socket.destroy();
    await viewers(0);
});

test('one link has so many viewers at once, and no more', async (t) => {
    const link = await share({ role: 'view', label: 'two' }), other = await share({ role: 'view', label: 'others' });
    const [first] = [await connect(t, through(link)), await connect(t, directly(link))];
    await viewers(2);
    await assertRefused(t, through(link));
    (await connect(t, through(other))).socket.destroy();
    first.socket.destroy();
    await viewers(1);
    await connect(t, through(link));
});

test('there is an end to links', async () => {
    let status;
    for (let i = 0; i < 40 && status !== 429; i++)
        ({ status } = await setup.alice.submit({ share: setup.id, role: 'view', label: `link ${i}` }));
    assert.equal(status, 429);
    const { links } = await setup.alice.sharing(setup.id);
    assert.equal(links.length, 32);
    assert.equal(new Set(links.map(tokenOf)).size, 32);
});

test('one-shot sessions and ended ones are not shared', async (t) => {
    const { alice } = setup;
    const oneshot = await alice.createRunning({ oneshot: '1' });
    assert.equal(await alice.sharing(oneshot.id), null);
    const page = (await alice.get({ session: oneshot.id })).text;
    assert.doesNotMatch(page, /view_only|name="share"/);
    const link = { url: (await alice.json('GET', { session: oneshot.id })).session.ready.url };
    (await connect(t, through(link))).socket.destroy();
    await service.ended(oneshot.id);
    assert.equal((await alice.submit({ share: oneshot.id, role: 'view' })).status, 409);
    await assertRefused(t, through(link));
});

test('with its session, every link ends', async (t) => {
    const link = await ownLink(), ws = await connect(t, through(link));
    await setup.alice.submit({ session_stop: setup.id });
    await within('end of the display', ws.closed);
    await service.ended(setup.id);
    await assertRefused(t, through(link));
    assert.deepEqual(fs.readdirSync(service.display), []);
});
