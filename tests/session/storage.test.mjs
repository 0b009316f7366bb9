// SPDX-License-Identifier: AGPL-3.0-or-later
// Disks that are full, read-only or gone, and files that are not what they should be: the user is told, a stop works,
// and it concerns nobody else. The disks are small file systems in memory. (All rows: matrix.mjs)

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { assertOnlyLocksLeft, assertShows, clean, fastQemu, historyOf, stopAll } from '../lib/faults.mjs';
import { bootDisk, tinyFolder } from '../lib/machines.mjs';
import { isRoot, processGone, readUntil } from '../lib/programs.mjs';
import { useService } from '../lib/service.mjs';
import { untilFiles, within } from '../lib/wait.mjs';

const service = useService({
    machines: { 'boot.raw': '' },
    images: isRoot ? { 'tiny.iso': path.join(tinyFolder(), 'tiny.iso') } : {},
    settings: { snapshot_alloc_disk: '1G' },
}, () => {
    fs.writeFileSync(service.path('service/machines/boot.raw'), bootDisk());
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

// What is open stays writable, as after an error of the disk nothing else would.
function readOnly(t, folder) {
    mount('--bind', folder, folder);
    t.after(() => spawnSync('umount', ['-l', folder]));
    mount('-o', 'remount,bind,ro', folder);
}

// Writes to a file until it has a size, or the disk has no room left. Returns what makes room again.
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

// Fills what is left, but for some bytes. What else writes there may take of them.
function fill(folder, leave) {
    const { bavail, bsize } = fs.statfsSync(service.path(folder));
    return write(service.path(folder, 'somebody-elses'), bavail * bsize - leave);
}

// Fills all that is left, whatever a guest's write that did not fit has left.
const fillUp = (folder) => write(service.path(folder, 'the-rest'), Infinity);

const boot = (settings = {}) => service.createRunning({ machine: 'boot.raw' }, settings);

// Whoever asks for a session is told why there is none.
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

describe('disks', { skip: !isRoot && 'file systems are mounted by root' }, () => {
    test('the sessions\' disk is full: no session, and the words say why', async (t) => {
        smallDisk(t, 'service/snapshots', 'size=2m');
        const free = fillUp('service/snapshots');
        await assertRefused(/The server's disk does not take a new session\. Cannot .*: No space left on device/);
        free();
        const session = await boot();
        await assertShows(service, session.control, session.id);
        await stopAll(service);
        await assertOnlyLocksLeft(service);
    });

    test('no room for the machine\'s disk: the session has failed, and this is remembered', async (t) => {
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

    test('no inodes: the same', async (t) => {
        smallDisk(t, 'service/snapshots', 'nr_inodes=5');
        fs.writeFileSync(path.join(service.snapshots, '.qemu-web-desktop.lock'), '');
        service.give('service/snapshots/.qemu-web-desktop.lock');
        for (let count = 0; fs.statfsSync(service.snapshots).ffree > 0; count++)
            fs.writeFileSync(path.join(service.snapshots, `other-${count}`), '');
        await assertRefused(/does not take a new session\. .*: No space left on device/);
    });

    // The disk fills up while a guest writes to its own.
    async function writingGuest() {
        const session = await service.createRunning({ machine: 'tiny.iso', memory: '256M' });
        const shell = await service.shell(session.id);
        await shell.run('udevadm wait --timeout=60 /dev/vda');
        shell.socket.write('dd if=/dev/urandom of=/dev/vda bs=1M count=40 conv=fsync 2>/dev/null; echo WRO\'\'TE=$?\n');
        await untilFiles([service.path('service')], () => service.log().includes(`NAME=${session.id} The server's disk is full`),
                       'a line of the log');
        return { session, shell };
    }

    test('it becomes full while sessions run: the machine stands still, and goes on when there is room', async (t) => {
        smallDisk(t, 'service/snapshots', 'size=40m');
        const free = fill('service/snapshots', 16 * 1024 * 1024);
        const { session, shell } = await writingGuest();
        assert.equal(service.record(session.id).state, 'running', 'the record can be read');
        const { session: seen } = await service.json('GET', { session: session.id });
        assert.equal(seen.state, 'running');
        assert.match(seen.note, fullNote);
        assert.match((await service.get({ session: session.id })).text, /The server&#39;s disk is full|The server's disk is full/);
        const freeRest = fillUp('service/snapshots');
        await assertRefused(/No space left on device/);
        const longest = { session_total_max: '1m' }; // however long the guest took
        assert.equal((await service.json('POST', { session_extend: session.id }, longest)).status, 409);
        freeRest();
        free();
        mount('-o', 'remount,size=100m', service.snapshots);
        const [, status] = await readUntil(shell.socket, /WROTE=(\d+)/);
        assert.equal(status, '0', 'the guest has noticed nothing');
        await service.until(session.id, (record) => record.note === '');
        await service.stop(session.id);
        assert.match((await service.ended(session.id)).reason, /^Stopped by /);
        await assertOnlyLocksLeft(service);
    });

    test('a stop works on a full disk, is remembered, and makes room', async (t) => {
        smallDisk(t, 'service/snapshots', 'size=40m');
        const free = fill('service/snapshots', 16 * 1024 * 1024);
        const other = await boot();
        const { session } = await writingGuest();
        const answer = await service.json('POST', { session_stop: session.id }, {});
        assert.equal(answer.status, 200, JSON.stringify(answer));
        const told = await service.ended(session.id);
        assert.match(told.reason, /^Stopped (on request|by .*)\.$/);
        await service.assertNothingLeft(session, [session.control, session.view]);
        await assertShows(service, other.control, other.id);
        assert.equal((await service.json('GET', { session: other.id })).session.note, null, 'there is room again');
        await stopAll(service);
        free();
        await assertOnlyLocksLeft(service);
    });

    test('a disk that is to be kept stays when that cannot be noted; the next clean notes it', async (t) => {
        smallDisk(t, 'service/snapshots', 'size=20m');
        const session = await boot({ snapshot_keep: '1h' });
        const disk = service.path('service/snapshots', session.id, 'disk.qcow2');
        const free = fillUp('service/snapshots');
        process.kill(service.process(session, 'supervisor'), 'SIGTERM');
        await processGone(service.process(session, 'supervisor'));
        assert.match(service.log(), new RegExp(`STOP .*NAME=${session.id} The server ended it\\.`));
        assert.ok(fs.existsSync(disk), 'it was promised');
        free();
        const swept = await service.run([path.join(service.bin, 'qwdctl'), 'clean'],
                                        { asRoot: true, env: { QWD_OVERRIDES: 'snapshot_keep=1h\n' } });
        assert.match(swept.out, new RegExp(`^Ended ${session.id}`));
        assert.ok(service.record(session.id).kept_until > 0);
        assert.ok(fs.existsSync(disk));
    });

    test('it becomes read-only: a stop ends the machine; the rest goes when it can be written again', async (t) => {
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

    test('it goes away: its sessions end, and new ones work', async () => {
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

    test('the sockets\' disk is full: new sessions fail and say why, the others go on', async (t) => {
        smallDisk(t, 'run', 'size=1m');
        const free = fillUp('run');
        const failed = await service.ended(await service.create({ machine: 'boot.raw' }));
        assert.equal(failed.state, 'failed');
        assert.match(failed.reason, /^Cannot write .*websockify\.json: No space left on device/);
        await service.assertNothingLeft({ id: failed.id, processes: [] });
        await service.assertAllGone();
        free();
        const session = await boot();
        const again = fillUp('run');
        await assertShows(service, session.control, session.id);
        await stopAll(service);
        assert.match(historyOf(service, session.id)[0].reason, /^Stopped by /);
        await service.assertNothingLeft(session, [session.control, session.view]);
        again();
        await clean(service, { later: 120 });
        await assertOnlyLocksLeft(service);
    });

    test('the sockets\' disk has no inodes: the same', async (t) => {
        smallDisk(t, 'run', 'nr_inodes=4');
        const failed = await service.ended(await service.create({ machine: 'boot.raw' }));
        assert.equal(failed.state, 'failed');
        assert.match(failed.reason, /No space left on device/);
        await service.assertAllGone();
    });

    test('something in a session\'s folder cannot be removed: it is over all the same, and counts no more', async () => {
        const session = await boot({ service_max_session_nb: 1 });
        const folder = path.join(service.snapshots, session.id), aside = path.join(service.snapshots, `broken-${session.id}`);
        fs.mkdirSync(path.join(folder, 'of-root'), { mode: 0o700 });
        fs.writeFileSync(path.join(folder, 'of-root', 'file'), '');
        await service.stop(session.id);
        await untilFiles([service.snapshots], () => fs.existsSync(aside), 'it is put aside');
        for (const name of ['qemu', 'supervisor'])
            await processGone(service.process(session, name));
        assert.deepEqual(fs.readdirSync(aside), ['of-root'], 'the rest is gone');
        assert.match(historyOf(service, session.id)[0].reason, /^Stopped by /);
        assert.match(service.log(), new RegExp(`ERROR .*NAME=${session.id} .*Cannot .* put aside as ${aside}\\.`));
        const next = await boot({ service_max_session_nb: 1 });
        await stopAll(service, [next.id]);
        assert.equal(await clean(service, { later: 120 }), '', 'there is nothing more to do for it');
        assert.equal(historyOf(service, session.id).length, 1);

        const qwdctl = (...words) => service.run([path.join(service.bin, 'qwdctl'), ...words], { asRoot: true });
        assert.match((await qwdctl('doctor')).out, /broken-ID is what is left of a session.*: 1 in all\..*qwdctl purge/);
        const purge = await qwdctl('purge', '--yes');
        assert.notEqual(purge.code, 0);
        assert.match(purge.out, /what is left of a session/);
        assert.ok(purge.err.includes(`As root: rm -r '${aside}'`), purge.err);
        fs.rmSync(aside, { recursive: true });
        assert.doesNotMatch((await qwdctl('doctor')).out, /broken-ID/);
        await assertOnlyLocksLeft(service);
    });
});

// --- the log ---

for (const [name, make] of Object.entries({
    'is on a full disk': () => '/dev/full',
    'is a pipe that nobody reads': () => {
        const pipe = service.path('log-pipe');
        spawnSync('mkfifo', ['-m', '666', pipe]);
        return pipe;
    },
    'is a folder': () => service.path('service'),
})) {
    test(`the log ${name}: no session fails for it`, async () => {
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

// Each makes a folder (or what stands in its place) of a session that is broken in one way.
const brokenFolders = {
    'nothing but words': (file) => fs.writeFileSync(file, 'nonsense'),
    'empty': (file) => fs.writeFileSync(file, ''),
    'half a record': (file, other) => fs.writeFileSync(file, fs.readFileSync(other).subarray(0, 200)),
    'no object': (file) => fs.writeFileSync(file, '[]'),
    'very deep': (file) => fs.writeFileSync(file, '{"a":'.repeat(12000)),
    'another schema': (file) => fs.writeFileSync(file, '{"schema": 99}'),
    'somebody else\'s record': (file, other) => fs.copyFileSync(other, file),
    'a link to somebody else\'s record': (file, other) => fs.symlinkSync(other, file),
    'a link to what never ends': (file) => fs.symlinkSync('/dev/zero', file),
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

test('broken records concern their session alone, hang nobody, and are moved aside and reported', async () => {
    const good = await service.createRunning({ machine: 'boot.raw', user: 'alice' });
    const other = path.join(service.snapshots, good.id, 'session.json');
    const broken = Object.fromEntries(Object.entries(brokenFolders).map(([name, make]) => [plant(make, other), name]));
    const file = newId(), dangling = newId();
    fs.writeFileSync(path.join(service.snapshots, file), 'a file');
    fs.symlinkSync('/nonexistent', path.join(service.snapshots, dangling));
    if (isRoot) {
        const foreign = newId();
        fs.mkdirSync(path.join(service.snapshots, foreign), { mode: 0o700 });
        broken[foreign] = 'root\'s';
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
    const status = await within('the status', service.run([path.join(service.bin, 'qwdctl'), 'status'], { asRoot: true }));
    assert.equal(status.code, 0, status.err);
    const next = await service.createRunning({ machine: 'boot.raw' });
    await stopAll(service, [next.id]);

    // However long all that took.
    Object.keys(broken).concat(file, dangling).forEach((id) => fs.lutimesSync(path.join(service.snapshots, id), new Date(), new Date()));
    assert.equal(await clean(service), '', 'what is new may still be in the making');
    const said = await within('the clean', clean(service, { later: 120 }));
    for (const [id, name] of Object.entries(broken)) {
        const lines = said.split('\n').filter((line) => line.includes(id));
        assert.equal(lines.length, 1, name);
        assert.match(lines[0], new RegExp(`^Put aside as .*/broken-${id}: The record of this session cannot be read\\. \\S`), name);
    }
    assert.equal(await clean(service, { later: 120 }), '', 'once');
    assert.equal(service.record(good.id).state, 'running');
    await assertShows(service, good.control, good.id);
    await stopAll(service, [good.id]);
    const kept = fs.readdirSync(service.snapshots).filter((name) => name.startsWith('broken-'));
    await assertOnlyLocksLeft(service, kept);
    assert.ok(kept.length >= Object.keys(broken).length);
    for (const name of kept)
        fs.rmSync(path.join(service.snapshots, name), { recursive: true });
});

test('the record of a running session is broken: it ends, its user is told, the others go on', async () => {
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
    test(`the history is ${name}: sessions come and go all the same`, async (t) => {
        const file = path.join(service.snapshots, '.qemu-web-desktop.history');
        fs.rmSync(file, { force: true });
        make(file);
        t.after(() => fs.rmSync(file, { recursive: true, force: true }));
        const session = await service.createRunning({}, fastQemu(service));
        await service.stop(session.id);
        await untilFiles([service.snapshots], () => !service.sessions().includes(session.id), 'its end');
        await service.assertNothingLeft(session, [session.control, session.view]);
        assert.ok([200, 404].includes((await within('an answer', service.get({ session: session.id }))).status));
    });
}

