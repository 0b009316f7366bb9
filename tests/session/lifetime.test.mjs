// SPDX-License-Identifier: AGPL-3.0-or-later
// The life-time of sessions: warnings, the end of unused sessions, extension, and resumption with the same disk. Users log in,
// because mail goes to users whose address is known. The guest is a boot sector, which rests between two ticks of its clock.
// Cores: 0.5

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Browser, LoginService, mailSink } from '../lib/login-service.mjs';
import { noteDisk, notepad } from '../lib/machines.mjs';
import { processGone } from '../lib/programs.mjs';
import { fullTest } from '../lib/tiers.mjs';
import { timeoutMs, until, untilFiles } from '../lib/wait.mjs';

const service = new LoginService();
const image = () => service.path('service/machines/note.raw');
let alice, bob, carol, mail;

before(async (t) => {
    mail = await mailSink(t);
    await service.start({
        settings: { machine: 'note.raw', snapshot_lifetime: '4d', email_from: 'desk@example.org', smtp_server: '127.0.0.1', email_method: 'port',
                    smtp_port: mail.address().port, smtp_use_ssl: 'none' },
        machines: { 'note.raw': '' },
    });
    fs.writeFileSync(image(), noteDisk());
    const login = (name, settings) => new Browser(service, { settings }).login(name);
    [alice, bob, carol] = await Promise.all(['alice', 'bob', 'carol'].map((name) => login(name)));
});
after(() => service.end());

// A browser with the same login. The settings apply to its requests and to the sessions that it creates.
function under(browser, settings) {
    const other = new Browser(service, { settings });
    return Object.assign(other, { cookie: browser.cookie, csrf: browser.csrf });
}

const form = async (browser, fields) => browser.json('POST', { csrf: await browser.token(), ...fields });
const state = (browser, id) => browser.json('GET', { session: id }).then(({ session }) => session);
const tokenOf = (url) => decodeURIComponent(url).match(/token=([0-9a-f]{32})/)[1];
const clean = () => service.control('clean');

async function viewer(browser, id, which = 'url') {
    const { ready } = await state(browser, id);
    return (await service.rfb(tokenOf(ready[which]))).socket;
}

// RFC 6143, 7.5.4: the key a goes down and up.
const press = (socket) => socket.write(Buffer.from([4, 1, 0, 0, 0, 0, 0, 0x61, 4, 0, 0, 0, 0, 0, 0, 0x61]));

async function stop(id) {
    await form(carol, { session_stop: id });
    return service.ended(id);
}

// The first mail about this session, decoded, which is due at a time (ms).
async function mailAbout(id, dueAt = Date.now()) {
    const found = () => mail.messages.find(({ text }) => text.replaceAll('=\n', '').includes(id));
    const { to, text } = await until(mail, 'mail', found, `mail about ${id}`, timeoutMs + Math.max(dueAt - Date.now(), 0));
    return { to, text: text.replaceAll('=\n', '').replaceAll('=3D', '=') };
}

const warned = (id) => service.until(id, (record) => record.idle_stop_at > 0);
// Waits until a warning is withdrawn. The next one may be there already.
const inUseSince = ({ id, idle_stop_at: end }) => service.until(id, (record) => record.idle_stop_at !== end);

describe('idle sessions', { concurrency: true }, () => {
    test('an unused session has a warning on its page and by mail', async () => {
        const idle = under(alice, { session_idle_stop: '2s', session_idle_grace: '1h' });
        const { id } = await idle.createRunning();
        const record = await warned(id);
        const { ending } = await state(idle, id);
        assert.equal(ending.kind, 'idle');
        assert.equal(ending.may_stay, true);
        assert.equal(Date.parse(ending.time.iso) / 1000, record.idle_stop_at);
        const page = await idle.get({ session: id });
        assert.match(page.text, /Nobody has used this session for a while/);
        assert.match(page.text, /name="session_stay"/);
        const { to, text } = await mailAbout(id);
        assert.deepEqual(to, ['alice@example.org']);
        assert.match(text, /Subject: Nobody uses your desktop note\.raw/);
        assert.ok(text.includes(`http://localhost/cgi-bin/qemu-web-desktop.cgi?session=${id}`), text);
        assert.match(text, /going to be stopped/);
        assert.match(text, /goes with it/);
        await stop(id);
    });

    test('an unused session ends after its grace, with the reason', async () => {
        const past = await service.ended(await under(alice, { session_idle_stop: '2s', session_idle_grace: '4s' }).create());
        assert.equal(past.state, 'ended');
        assert.equal(past.reason, 'Nobody had used it for 6 s.');
        assert.ok(past.ended_at >= past.ready_at + 6, 'not before its time');
        assert.ok(past.ended_at <= past.ready_at + 66, `and soon after it: ${past.ended_at - past.ready_at} s`);
    });

    test('a key press withdraws the warning, an open viewer does not', async () => {
        const idle = under(bob, { session_idle_stop: '2s', session_idle_grace: '1h' });
        const { id } = await idle.createRunning();
        const [control, view] = await Promise.all([viewer(idle, id), viewer(idle, id, 'view_url')]);
        const first = await warned(id); // with two viewers
        const { ending } = await state(idle, id);
        press(view);
        press(control);
        await inUseSince(first);
        assert.notEqual((await state(idle, id)).ending?.time.iso, ending.time.iso);
        await warned(id); // and later once more
        assert.equal(service.record(id).state, 'running');
        await stop(id);
    });

    test('a new viewer that controls, the button and an extension count as use; one that only watches does not', async () => {
        const idle = under(bob, { session_idle_stop: '2s', session_idle_grace: '1h' });
        const { id } = await idle.createRunning();
        const first = await warned(id);
        await viewer(idle, id, 'view_url');
        const seen = await service.until(id, (record) => record.viewers.length === 1);
        assert.equal(seen.idle_stop_at, first.idle_stop_at);
        await viewer(idle, id);
        await inUseSince(first);
        const second = await warned(id);
        assert.equal((await form(idle, { session_stay: id })).status, 200);
        await inUseSince(second);
        const third = await warned(id);
        assert.equal((await form(idle, { session_extend: id, snapshot_lifetime: '60' })).status, 200);
        await inUseSince(third);
        await stop(id);
    });

    test('without a grace an unused session ends without a warning', async () => {
        const id = await under(bob, { session_idle_stop: '2s', session_idle_grace: '0' }).create();
        assert.equal((await service.ended(id)).reason, 'Nobody had used it for 2 s.');
    });
});

describe('unused sessions', { concurrency: true }, () => {
    test('a session that no viewer connects to has a warning, and ends', async () => {
        const browser = under(alice, { session_unused_stop: '1h' });
        const { id } = await browser.createRunning();
        await service.until(id, (record) => record.unused_stop_at > 0);
        const { ending } = await state(browser, id);
        assert.equal(ending.kind, 'unused');
        await stop(id);
        const past = await service.ended(await under(alice, { session_unused_stop: '4s' }).create());
        assert.equal(past.reason, 'Nobody had connected to it for 4 s.');
        assert.ok(past.ended_at - past.ready_at >= 4);
    });

    test('one-shot sessions have a time-out of their own; a viewer that connects lifts it', async () => {
        const left = await under(bob, { session_unused_stop: '1h', oneshot_unused_stop: '5s' }).create({ oneshot: '1' });
        const browser = under(bob, { session_unused_stop: '1h', oneshot_unused_stop: '10m' });
        const { id, ready_at: ready } = await browser.createRunning({ oneshot: '1' });
        await service.until(id, (record) => record.unused_stop_at > ready && record.unused_stop_at < ready + 1200);
        const socket = await viewer(browser, id);
        await service.until(id, (record) => record.viewers.length === 1 && record.unused_stop_at === 0);
        assert.equal((await service.ended(left)).reason, 'Nobody had connected to it for 5 s.');
        assert.equal(service.record(id).state, 'running');
        socket.destroy();
        assert.match((await service.ended(id)).reason, /^Its viewer left/);
    });
});

describe('the end of the life-time', { concurrency: true }, () => {
    // This row takes minutes. The first row of this file shows the mail, and test_life the moment.
    fullTest('the user is warned on the page and by mail; an extension withdraws the warning', async () => {
        // The checks after the warning need time before the end.
        const { id, ends_at } = await alice.createRunning({ snapshot_lifetime: '3m' });
        const { to, text } = await mailAbout(id, (ends_at - 45) * 1000);
        assert.deepEqual(to, ['alice@example.org']);
        assert.match(text, /Subject: Your desktop note\.raw ends soon/);
        assert.match(text, /You can extend it/);
        const left = ends_at - Date.now() / 1000;
        assert.ok(left > 0 && left < 46, `a quarter of its life before the end: ${left} s`);
        const { ending } = await state(alice, id);
        assert.deepEqual([ending.kind, ending.offers_extension], ['time', true]);
        assert.equal((await form(alice, { session_extend: id })).status, 200);
        assert.equal((await state(alice, id)).ending, null);
        await stop(id);
    });

    test('the limits of extension apply to users, and each refusal says what to do', async () => {
        const { id, ends_at } = await bob.createRunning();
        const cases = [
            [{ session_extension: '0' }, 403, /cannot be extended here.*ask the administrator/],
            [{ session_total_max: '2h' }, 409, /how long one may go on in all.*ask the administrator/],
            [{ snapshot_lifetime: '1h' }, 409, /longest life-time.*extended later/],
        ];
        for (const [settings, status, words] of cases) {
            const answer = await form(under(bob, settings), { session_extend: id });
            assert.equal(answer.status, status, answer.error?.message);
            assert.match(answer.error.message, words);
        }
        const twice = under(bob, { session_extensions_max: '2', session_extension: '1h' });
        assert.equal((await form(twice, { session_extend: id, snapshot_lifetime: '2h' })).status, 400);
        assert.equal((await form(twice, { session_extend: id })).status, 200);
        assert.equal((await form(twice, { session_extend: id, snapshot_lifetime: '30m' })).status, 200);
        assert.equal(service.record(id).ends_at, ends_at + 5400);
        const refused = await form(twice, { session_extend: id });
        assert.equal(refused.status, 409);
        assert.match(refused.error.message, /has been extended 2 times/);
        assert.doesNotMatch((await twice.get({ session: id })).text, /name="session_extend"/);

        const admin = await form(under(carol, { session_extensions_max: '2' }), { session_extend: id, snapshot_lifetime: '30d' });
        assert.equal(admin.status, 200);
        assert.equal(service.record(id).ends_at, ends_at + 5400 + 30 * 86400, 'beyond snapshot_lifetime');
        await stop(id);
    });

    test('qwdctl extends a session', async () => {
        const { id, ends_at } = await bob.createRunning();
        const extend = (...words) => service.control('extend', ...words);
        const done = await extend(id, '9d');
        assert.equal(done.code, 0, done.err);
        assert.match(done.out, new RegExp(`^${id} of bob ends on .*, in 9 d( \\d h)?\\.\n$`));
        assert.equal(service.record(id).ends_at, ends_at + 9 * 86400);
        assert.equal((await extend(id)).code, 0);
        assert.equal(service.record(id).ends_at, ends_at + 10 * 86400);
        for (const [words, code, pattern] of [[[id, '5x'], 2, /DURATION: write/], [[id, '0'], 2, /DURATION: write/],
                                              [['0'.repeat(32), '1h'], 3, /no such session/], [[], 2, /Usage/]]) {
            const refused = await extend(...words);
            assert.equal(refused.code, code, refused.err);
            assert.match(refused.err, pattern);
        }
        await stop(id);
        assert.equal((await extend(id, '1h')).code, 4, 'it has ended');
    });
});

describe('retained disks', () => {
    const keep = { snapshot_keep: '1h', session_unused_stop: '3s' };
    const disk = (id) => path.join(service.snapshots, id, 'disk.qcow2');

    // A session whose disk is retained, because no viewer connected.
    async function endedSession(browser, settings = {}, fields = {}) {
        return service.state(await under(browser, { ...keep, ...settings }).create(fields), 'ended');
    }

    test('a resumed session has what was written before; other users cannot resume it', async () => {
        const browser = under(alice, { snapshot_keep: '1h', session_idle_stop: '0' });
        const first = await browser.createRunning({ memory: '48M' });
        await service.printed(first.id, /BOOTED \r\n/);
        await notepad(service.serial(first.id)).write('ANOTHER LIFE');
        process.kill(service.process(first, 'supervisor'), 'SIGTERM'); // as when the server goes down
        const ended = await service.state(first.id, 'ended');
        assert.equal(ended.reason, 'The server ended it.');
        assert.ok(Math.abs(ended.kept_until - ended.ended_at - 3600) <= 1);
        for (const { pid } of first.processes)
            await processGone(pid);
        assert.ok(!fs.existsSync(service.path('run', first.id)), 'no socket is left');
        assert.deepEqual(ended.processes, []);
        assert.deepEqual(ended.links, []);

        const page = await browser.get({ session: first.id });
        assert.match(page.text, /The server ended it\./);
        assert.match(page.text, /name="session_resume"/);
        assert.match(page.text, /name="session_discard"/);
        const list = await browser.json('GET', { manage: '1' });
        assert.deepEqual(list.kept.map(({ id }) => id), [first.id]);
        assert.ok(!list.sessions.some(({ id }) => id === first.id));
        for (const field of ['session_resume', 'session_discard'])
            assert.equal((await form(bob, { [field]: first.id })).status, 404);
        assert.ok(!(await bob.json('GET', { manage: '1' })).kept.length);

        assert.equal((await form(browser, { session_resume: first.id })).status, 200);
        const second = await service.state(first.id, 'running');
        assert.equal(second.created_at, first.created_at);
        assert.equal(second.plan.memory_mib, 48);
        assert.ok(Math.abs(second.ends_at - Date.now() / 1000 - 7200) < 600, 'with the same life-time');
        assert.equal((await form(browser, { session_resume: first.id })).status, 200, 'a second request changes nothing');
        await service.printed(first.id, /BOOTED ANOTHER LIFE\r\n/);
        assert.equal((await service.rfb(tokenOf((await state(browser, first.id)).ready.url))).name, `QEMU (qwd-${first.id})`);
        await form(browser, { session_stop: first.id });
        const past = await service.ended(first.id); // a disk is not retained after a stop
        assert.match(past.reason, /^Stopped by alice/);
        assert.match((await form(browser, { session_resume: first.id })).error.message, /not kept any more/);
    });

    test('a discarded session is gone, and its end is still known', async () => {
        const { id } = await endedSession(bob);
        assert.ok(fs.existsSync(disk(id)));
        assert.equal((await form(bob, { session_discard: id })).status, 200);
        assert.ok(!fs.existsSync(path.dirname(disk(id))));
        const page = await bob.get({ session: id });
        assert.match(page.text, /Nobody had connected to it/);
        assert.doesNotMatch(page.text, /session_resume/);
    });

    test('qwdctl clean removes a retained disk when its time is over, not before', async () => {
        const long = await endedSession(bob), short = await endedSession(bob);
        const file = path.join(path.dirname(disk(short.id)), 'session.json');
        fs.writeFileSync(file, JSON.stringify({ ...short, kept_until: Math.floor(Date.now() / 1000) }));
        const refused = await form(bob, { session_resume: short.id });
        assert.equal(refused.status, 409, 'its time is over, whether or not it is removed');
        const cleaned = await clean();
        assert.equal(cleaned.code, 0, cleaned.err);
        assert.equal(cleaned.out, `Removed the disk of ${short.id} of bob: the time to resume it is over.\n`);
        assert.ok(!fs.existsSync(disk(short.id)));
        assert.ok(fs.existsSync(disk(long.id)));
        assert.equal((await clean()).out, '');
        await form(bob, { session_discard: long.id });
    });

    test('the disk of a session whose supervisor was killed is retained too', async () => {
        const browser = under(bob, { snapshot_keep: '1h' });
        const session = await browser.createRunning();
        await service.kill(session, 'supervisor');
        await processGone(service.process(session, 'qemu'));
        const cleaned = await service.run([service.qwdctl, 'clean'],
                                        { asRoot: true, env: { QWD_OVERRIDES: 'snapshot_keep=1h\n' } });
        assert.match(cleaned.out, new RegExp(`^Ended ${session.id}`));
        assert.equal(service.record(session.id).state, 'failed');
        assert.equal((await form(browser, { session_resume: session.id })).status, 200);
        await service.state(session.id, 'running');
        await stop(session.id);
    });

    test('the oldest retained disk goes when a user has too many', async () => {
        const ids = [];
        for (let i = 0; i < 3; i++)
            ids.push((await endedSession(bob, { snapshot_keep_max: '2', session_unused_stop: '1s' })).id);
        assert.deepEqual(ids.map((id) => fs.existsSync(disk(id))), [false, true, true]);
        await Promise.all(ids.slice(1).map((id) => form(bob, { session_discard: id })));
    });

    test('the disks of one-shot and of stopped sessions are not retained', async () => {
        const browser = under(bob, keep);
        const id = await under(bob, { snapshot_keep: '1h', oneshot_unused_stop: '2s' }).create({ oneshot: '1' });
        const stopped = await under(bob, { snapshot_keep: '1h' }).createRunning();
        await form(browser, { session_stop: stopped.id });
        await Promise.all([service.ended(id), service.ended(stopped.id)]);
    });

    test('a session on a changed image is not resumed, and its disk stays', async () => {
        const { id } = await endedSession(bob);
        fs.renameSync(image(), service.path('home/note.raw'));
        fs.copyFileSync(service.path('home/note.raw'), image());
        const browser = under(bob, { snapshot_keep: '1h' });
        const why = /The image of note\.raw has been changed since/;
        for (const page of [await browser.get({ session: id }), await browser.get({ manage: '1' })]) {
            assert.match(page.text, why);
            assert.doesNotMatch(page.text, /name="session_resume"|name="session_save"/);
            assert.match(page.text, /name="session_discard"/);
        }
        assert.match((await state(browser, id)).over.kept.obstacle, why);
        assert.equal((await form(browser, { session_resume: id })).status, 200);
        const failed = await untilFiles([path.dirname(disk(id))], () => {
            const record = service.record(id);
            return record?.state === 'failed' && record.kept_until ? record : null;
        }, 'failure');
        assert.match(failed.reason, /The image of note\.raw has been changed since/);
        assert.ok(fs.existsSync(disk(id)));
        fs.renameSync(service.path('home/note.raw'), image());
        assert.equal((await state(browser, id)).over.kept.obstacle, null);
        assert.equal((await form(browser, { session_resume: id })).status, 200);
        await service.state(id, 'running');
        await stop(id);
    });
});

test('nothing is left', () => service.assertAllGone());
