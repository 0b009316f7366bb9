// SPDX-License-Identifier: AGPL-3.0-or-later
// Disks that are full, read-only or gone, and broken files: the user has an error message, a stop works, and other sessions are not
// affected. The disks are small file systems in memory. (All rows of the fault matrix: lib/faults.mjs)

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { assertOnlyLocksLeft, assertShows, clean, fastQemu, historyOf, stopAll } from '../lib/faults.mjs';
import { bootDisk, noteDisk, notepad } from '../lib/machines.mjs';
import { webSocket } from '../lib/network.mjs';
import { isRoot, processGone, readUntil } from '../lib/programs.mjs';
import { useService } from '../lib/service.mjs';
import { untilFiles, within } from '../lib/wait.mjs';

const service = useService({
    machines: { 'boot.raw': '', 'note.raw': '' },
    settings: { machine: 'boot.raw' },
}, () => {
    fs.writeFileSync(service.path('service/machines/boot.raw'), bootDisk());
    fs.writeFileSync(service.path('service/machines/note.raw'), noteDisk(40));
});

// --- disks ---

function mount(...words) {
    const made = spawnSync('mount', words, { encoding: 'utf8' });
    assert.equal(made.status, 0, made.stderr);
}

// Mounts a small disk on one of the service's folders until the test is over.
function smallDisk(t, folder, options) {
    mount('-t', 'tmpfs', '-o', `${options},mode=755`, 'none', service.path(folder));
    service.give(folder);
    t.after(() => spawnSync('umount', ['-l', service.path(folder)]));
}

// Makes a folder read-only, except for files that are open already.
function readOnly(t, folder) {
    mount('--bind', folder, folder);
    t.after(() => spawnSync('umount', ['-l', folder]));
    mount('-o', 'remount,bind,ro', folder);
}

// Writes to a file until it has a size, or the disk is full. Returns a function that removes it.
function write(file, size) {
    const wall = Buffer.alloc(4096);
    fs.writeFileSync(file, '');
    try {
        for (let written = 0; written < size; written += wall.length)
            fs.appendFileSync(file, wall.subarray(0, size - written));
    } catch (error) {
        assert.equal(error.code, 'ENOSPC');
    }
    return () => fs.rmSync(file);
}

// Fills a disk up to a number of free bytes. Other programs may use some of them meanwhile.
function fill(folder, leave) {
    const { bavail, bsize } = fs.statfsSync(service.path(folder));
    return write(service.path(folder, 'other-file'), bavail * bsize - leave);
}

// Fills a disk completely.
const fillUp = (folder) => write(service.path(folder, 'the-rest'), Infinity);

const boot = (settings = {}) => service.createRunning({ machine: 'boot.raw' }, settings);

// A new session is refused with this reason.
async function assertRefused(why) {
    const before = service.sessions();
    const answer = await service.json('POST', { create: 'Create', machine: 'boot.raw' });
    assert.equal(answer.status, 503);
    assert.equal(answer.error.kind, 'unavailable');
    assert.match(answer.error.message, why);
    assert.match(answer.error.advice, /tell the administrator/);
    assert.deepEqual(service.sessions(), before, 'nothing is left of it');
}

const fullNote = /^The server's disk is full: /;

describe('disks', { skip: !isRoot && 'needs root: file systems are mounted' }, () => {
    test('a session is refused with a reason when the sessions\' disk is full', async (t) => {
        smallDisk(t, 'service/snapshots', 'size=2m');
        const free = fillUp('service/snapshots');
        await assertRefused(/The server's disk does not take a new session\. Cannot .*: No space left on device/);
        free();
        const session = await boot();
        await assertShows(service, session.control, session.id);
        await stopAll(service);
        await assertOnlyLocksLeft(service);
    });

    test('a session fails without room for its disk, and the history has its reason', async (t) => {
        smallDisk(t, 'service/snapshots', 'size=2m');
        const free = fill('service/snapshots', 32768);
        const id = await service.create({ machine: 'boot.raw' });
        await service.ended(id);
        await service.supervisorsGone(id);
        assert.equal(historyOf(service, id).length, 1);
        const [{ state, reason }] = historyOf(service, id);
        assert.equal(state, 'failed');
        assert.match(reason, /No space left on device/);
        free();
        await assertOnlyLocksLeft(service);
    });

    test('a session is refused with a reason when the sessions\' disk has no inodes', async (t) => {
        smallDisk(t, 'service/snapshots', 'nr_inodes=5');
        fs.writeFileSync(path.join(service.snapshots, '.qemu-web-desktop.lock'), '');
        service.give('service/snapshots/.qemu-web-desktop.lock');
        for (let count = 0; fs.statfsSync(service.snapshots).ffree > 0; count++)
            fs.writeFileSync(path.join(service.snapshots, `other-${count}`), '');
        await assertRefused(/does not take a new session\. .*: No space left on device/);
    });

    // Starts a session whose guest writes 39 MiB to its disk, and waits until the sessions' disk is full.
    async function writingGuest() {
        const session = await service.createRunning({ machine: 'note.raw' });
        await service.printed(session.id, /BOOTED/);
        const guest = notepad(service.serial(session.id));
        guest.fill();
        await service.logged(new RegExp(`NAME=${session.id} The server's disk is full`));
        return { session, guest };
    }

    test('a full disk pauses a machine that writes; the machine goes on when there is room', async (t) => {
        smallDisk(t, 'service/snapshots', 'size=40m');
        const free = fill('service/snapshots', 16 * 1024 * 1024);
        const { session, guest } = await writingGuest();
        assert.equal(service.record(session.id).state, 'running', 'the record can be read');
        const { session: seen } = await service.json('GET', { session: session.id });
        assert.equal(seen.state, 'running');
        assert.match(seen.note, fullNote);
        assert.match((await service.get({ session: session.id })).text, /The server&#39;s disk is full|The server's disk is full/);
        const freeRest = fillUp('service/snapshots');
        await assertRefused(/No space left on device/);
        const longest = { session_total_max: '1m' }; // whatever the guest took
        assert.equal((await service.json('POST', { session_extend: session.id }, longest)).status, 409);
        freeRest();
        free();
        mount('-o', 'remount,size=100m', service.snapshots);
        await readUntil(guest.socket, /FULL/);
        const { size } = fs.statSync(service.path('service/snapshots', session.id, 'disk.qcow2'));
        assert.ok(size > 39 * 1024 * 1024, 'the guest has written all of it');
        await guest.write('no write has failed');
        await service.until(session.id, (record) => record.note === '');
        await service.stop(session.id);
        assert.match((await service.ended(session.id)).reason, /^Stopped by /);
        await assertOnlyLocksLeft(service);
    });

    test('a stop works on a full disk, is in the history, and makes room', async (t) => {
        smallDisk(t, 'service/snapshots', 'size=40m');
        const free = fill('service/snapshots', 16 * 1024 * 1024);
        const other = await boot();
        const { session } = await writingGuest();
        const answer = await service.json('POST', { session_stop: session.id }, {});
        assert.equal(answer.status, 200, JSON.stringify(answer));
        const past = await service.ended(session.id);
        assert.match(past.reason, /^Stopped (on request|by .*)\.$/);
        await service.assertNothingLeft(session, [session.control, session.view]);
        await assertShows(service, other.control, other.id);
        assert.equal((await service.json('GET', { session: other.id })).session.note, null, 'there is room again');
        await stopAll(service);
        free();
        await assertOnlyLocksLeft(service);
    });

    test('a disk is retained when the record cannot be written; the next clean writes it', async (t) => {
        smallDisk(t, 'service/snapshots', 'size=20m');
        const session = await boot({ snapshot_keep: '1h' });
        const disk = service.path('service/snapshots', session.id, 'disk.qcow2');
        const free = fillUp('service/snapshots');
        process.kill(service.process(session, 'supervisor'), 'SIGTERM');
        await processGone(service.process(session, 'supervisor'));
        assert.match(service.log(), new RegExp(`STOP .*NAME=${session.id} The server ended it\\.`));
        assert.ok(fs.existsSync(disk), 'the user may resume the session');
        free();
        const cleaned = await service.run([service.qwdctl, 'clean'],
                                        { asRoot: true, env: { QWD_OVERRIDES: 'snapshot_keep=1h\n' } });
        assert.match(cleaned.out, new RegExp(`^Ended ${session.id}`));
        assert.ok(service.record(session.id).kept_until > 0);
        assert.ok(fs.existsSync(disk));
    });

    test('a stop ends the machine on a read-only disk; a clean removes the rest once the disk is writable', async (t) => {
        smallDisk(t, 'service/snapshots', 'size=20m');
        const session = await boot();
        readOnly(t, service.snapshots);
        await assertRefused(/Read-only file system/);
        assert.equal((await service.json('GET', { session: session.id })).session.state, 'running');
        await assertShows(service, session.control, session.id);
        assert.equal((await service.stop(session.id)).status, 200);
        for (const name of ['qemu', 'supervisor'])
            await processGone(service.process(session, name));
        assert.match(service.log(), new RegExp(`STOP .*NAME=${session.id} Stopped on request`));
        spawnSync('umount', ['-l', service.snapshots]);
        assert.match(await clean(service), new RegExp(`Ended ${session.id}`));
        assert.match(historyOf(service, session.id)[0].reason, /^It was cut off: .* or its disk failed\.$/);
        await assertOnlyLocksLeft(service);
    });

    test('sessions end when their folder is removed, and new sessions work', async () => {
        const session = await boot();
        fs.renameSync(service.snapshots, service.path('away'));
        fs.rmSync(service.path('away'), { recursive: true });
        for (const name of ['qemu', 'supervisor'])
            await processGone(service.process(session, name));
        const [{ state, reason }] = historyOf(service, session.id);
        assert.equal(state, 'failed');
        assert.equal(reason, 'Its folder on the server was removed.');
        await service.assertNothingLeft(session, [session.control, session.view]);
        const next = await boot();
        await assertShows(service, next.control, next.id);
        await stopAll(service);
        await assertOnlyLocksLeft(service);
    });

    test('a full disk of sockets fails new sessions with a reason; running sessions go on', async (t) => {
        smallDisk(t, 'run', 'size=1m');
        const free = fillUp('run');
        const failed = await service.ended(await service.create({ machine: 'boot.raw' }));
        assert.equal(failed.state, 'failed');
        assert.match(failed.reason, /^Cannot write .*websockify-socket\.json: No space left on device/);
        await service.assertNothingLeft({ id: failed.id, processes: [] });
        await service.assertAllGone();
        free();
        const session = await boot();
        const again = fillUp('run');
        await assertShows(service, session.control, session.id);
        const ws = await webSocket(t, service.websockify, `/websockify?token=${session.control}`);
        assert.equal((await ws.received(12)).toString(), 'RFB 003.008\n', 'browsers come in');
        await stopAll(service);
        assert.match(historyOf(service, session.id)[0].reason, /^Stopped by /);
        await service.assertNothingLeft(session, [session.control, session.view]);
        again();
        await clean(service, { later: 120 });
        await assertOnlyLocksLeft(service);
    });

    test('a disk of sockets without inodes fails new sessions with a reason', async (t) => {
        smallDisk(t, 'run', 'nr_inodes=4');
        const failed = await service.ended(await service.create({ machine: 'boot.raw' }));
        assert.equal(failed.state, 'failed');
        assert.match(failed.reason, /No space left on device/);
        await service.assertAllGone();
    });

    test('a session ends although a file in its folder cannot be removed; the rest is quarantined and does not count', async () => {
        const session = await boot({ service_max_session_nb: 1 });
        const folder = path.join(service.snapshots, session.id), aside = path.join(service.snapshots, `broken-${session.id}`);
        fs.mkdirSync(path.join(folder, 'of-root'), { mode: 0o700 });
        fs.writeFileSync(path.join(folder, 'of-root', 'file'), '');
        await service.stop(session.id);
        await untilFiles([service.snapshots], () => fs.existsSync(aside), 'the quarantine');
        for (const name of ['qemu', 'supervisor'])
            await processGone(service.process(session, name));
        assert.deepEqual(fs.readdirSync(aside), ['of-root'], 'the rest is removed');
        assert.match(historyOf(service, session.id)[0].reason, /^Stopped by /);
        assert.match(service.log(), new RegExp(`ERROR .*NAME=${session.id} .*Cannot .* put aside as ${aside}\\.`));
        const next = await boot({ service_max_session_nb: 1 });
        await stopAll(service, [next.id]);
        assert.equal(await clean(service, { later: 120 }), '', 'a clean leaves it alone');
        assert.equal(historyOf(service, session.id).length, 1);

        assert.match((await service.control('doctor')).out, /broken-ID is what is left of a session.*: 1 in all\..*qwdctl purge/);
        const purge = await service.control('purge', '--yes');
        assert.notEqual(purge.code, 0);
        assert.match(purge.out, /what is left of a session/);
        assert.ok(purge.err.includes(`Left are these files of other accounts: '${aside}'`), purge.err);
        fs.rmSync(aside, { recursive: true });
        assert.doesNotMatch((await service.control('doctor')).out, /broken-ID/);
        await assertOnlyLocksLeft(service);
    });
});

// --- the log ---

for (const [name, make] of Object.entries({
    'is on a full disk': () => '/dev/full',
    'is a pipe without a reader': () => {
        const pipe = service.path('log-pipe');
        spawnSync('mkfifo', ['-m', '666', pipe]);
        return pipe;
    },
    'is a folder': () => service.path('service'),
})) {
    test(`no session fails when the log ${name}`, async () => {
        const session = await service.createRunning({}, { ...fastQemu(service), file_log: make() });
        const folder = path.join(service.snapshots, session.id);
        const begun = () => fs.readFileSync(path.join(folder, 'supervisor.log'), 'utf8').includes('START ');
        await untilFiles([folder], begun, 'the line in its own log');
        await service.stop(session.id);
        assert.match((await service.ended(session.id)).reason, /^Stopped by /);
        await service.assertNothingLeft(session, [session.control, session.view]);
    });
}

// --- files that are not what they should be ---

const newId = () => crypto.randomBytes(16).toString('hex');

// Each makes the record of a session that is broken in one way.
const brokenFolders = {
    'a text': (file) => fs.writeFileSync(file, 'nonsense'),
    'empty': (file) => fs.writeFileSync(file, ''),
    'half a record': (file, other) => fs.writeFileSync(file, fs.readFileSync(other).subarray(0, 200)),
    'no object': (file) => fs.writeFileSync(file, '[]'),
    'very deep': (file) => fs.writeFileSync(file, '{"a":'.repeat(12000)),
    'another schema': (file) => fs.writeFileSync(file, '{"schema": 99}'),
    'the record of another session': (file, other) => fs.copyFileSync(other, file),
    'a link to the record of another session': (file, other) => fs.symlinkSync(other, file),
    'a link to an endless file': (file) => fs.symlinkSync('/dev/zero', file),
    'a folder': (file) => fs.mkdirSync(file),
    'a pipe': (file) => spawnSync('mkfifo', ['-m', '666', file]),
    'a gigabyte': (file) => {
        fs.writeFileSync(file, '');
        fs.truncateSync(file, 2 ** 30);
    },
};

function plant(make, other) {
    const id = newId(), folder = path.join(service.snapshots, id);
    fs.mkdirSync(folder, { mode: 0o700 });
    make(path.join(folder, 'session.json'), other);
    if (isRoot)
        spawnSync('chown', ['-Rh', 'www-data:www-data', folder]);
    return id;
}

test('broken records affect their session alone, and a clean quarantines and reports them', async () => {
    const good = await service.createRunning({ machine: 'boot.raw', user: 'alice' });
    const other = path.join(service.snapshots, good.id, 'session.json');
    const broken = Object.fromEntries(Object.entries(brokenFolders).map(([name, make]) => [plant(make, other), name]));
    const file = newId(), dangling = newId();
    fs.writeFileSync(path.join(service.snapshots, file), 'a file');
    fs.symlinkSync('/nonexistent', path.join(service.snapshots, dangling));
    if (isRoot) {
        const foreign = newId();
        fs.mkdirSync(path.join(service.snapshots, foreign), { mode: 0o700 });
        broken[foreign] = 'of root';
    }

    const { sessions } = await within('the list', service.json('GET', { manage: '1', user: 'alice' }));
    assert.deepEqual(sessions.map(({ id }) => id), [good.id]);
    for (const [id, name] of Object.entries(broken)) {
        const answers = [service.json('GET', { session: id }), service.stop(id), service.json('POST', { session_extend: id })];
        for (const answer of await within(name, Promise.all(answers))) {
            assert.equal(answer.status, 503, name);
            assert.match(answer.error.message, /^The record of this session cannot be read\. /);
        }
    }
    const status = await within('the status', service.control('status'));
    assert.equal(status.code, 0, status.err);
    const next = await service.createRunning({ machine: 'boot.raw' });
    await stopAll(service, [next.id]);

    // However long all that took, these are new.
    Object.keys(broken).concat(file, dangling).forEach((id) => fs.lutimesSync(path.join(service.snapshots, id), new Date(), new Date()));
    assert.equal(await clean(service), '', 'a new folder may belong to a session that begins');
    const output = await within('the clean', clean(service, { later: 120 }));
    for (const [id, name] of Object.entries(broken)) {
        const lines = output.split('\n').filter((line) => line.includes(id));
        assert.equal(lines.length, 1, name);
        assert.match(lines[0], new RegExp(`^Put aside as .*/broken-${id}: The record of this session cannot be read\\. \\S`), name);
    }
    assert.equal(await clean(service, { later: 120 }), '', 'each is reported once');
    assert.equal(service.record(good.id).state, 'running');
    await assertShows(service, good.control, good.id);
    await stopAll(service, [good.id]);
    const kept = fs.readdirSync(service.snapshots).filter((name) => name.startsWith('broken-'));
    await assertOnlyLocksLeft(service, kept);
    assert.ok(kept.length >= Object.keys(broken).length);
    for (const name of kept)
        fs.rmSync(path.join(service.snapshots, name), { recursive: true });
});

test('a running session with a broken record fails with a reason; the others go on', async () => {
    const [session, other] = [await boot(), await boot()];
    const file = path.join(service.snapshots, session.id, 'session.json');
    fs.writeFileSync(`${file}.new`, 'nonsense', { mode: 0o644 });
    fs.renameSync(`${file}.new`, file);
    const { state, reason } = await service.ended(session.id);
    assert.equal(state, 'failed');
    assert.match(reason, /^The record of this session cannot be read\. /);
    await service.assertNothingLeft(session, [session.control, session.view]);
    await assertShows(service, other.control, other.id);
    await stopAll(service, [other.id]);
});

for (const [name, make] of Object.entries({
    'a pipe': (file) => spawnSync('mkfifo', ['-m', '666', file]),
    'a folder': (file) => fs.mkdirSync(file),
    'a gigabyte': (file) => {
        fs.writeFileSync(file, '');
        fs.chmodSync(file, 0o666);
        fs.truncateSync(file, 2 ** 30);
    },
})) {
    test(`sessions start and end when the history is ${name}`, async (t) => {
        const file = path.join(service.snapshots, '.qemu-web-desktop.history');
        fs.rmSync(file, { force: true });
        make(file);
        t.after(() => fs.rmSync(file, { recursive: true, force: true }));
        const session = await service.createRunning({}, fastQemu(service));
        await service.stop(session.id);
        await untilFiles([service.snapshots], () => !service.sessions().includes(session.id), 'its end');
        await service.assertAllGone(); // service.ended() would read the history
        assert.ok([200, 404].includes((await within('an answer', service.get({ session: session.id }))).status));
    });
}

