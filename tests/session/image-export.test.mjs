// SPDX-License-Identifier: AGPL-3.0-or-later
// qwdctl save: the disk of a session becomes an image that other sessions start from. The guest is a boot sector that keeps a
// note on its disk, and in one row a Linux with an agent, which freezes its file system meanwhile.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { noteDisk, notepad, tinyFolder } from '../lib/machines.mjs';
import { isRoot } from '../lib/programs.mjs';
import { useService } from '../lib/service.mjs';
import { isFull } from '../lib/tiers.mjs';

const MiB = 1024 * 1024;
const attributes = 'description=Base\ndisk=scsi\ngpu=no\nmemory=64M, 512M\n';

const service = useService({ machines: { 'base.qcow2': attributes, 'linux.qcow2': attributes, 'old.qcow2': attributes, 'written.qcow2': attributes } }, () => {
    const raw = service.path('home/raw'), disk = noteDisk(32);
    fs.writeFileSync(raw, crypto.randomFillSync(disk, MiB)); // an image of some size
    assert.equal(spawnSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, image('base.qcow2')]).status, 0);
    fs.copyFileSync(path.join(tinyFolder(), 'tiny.qcow2'), image('linux.qcow2'));
    if (isRoot)
        service.give('service/machines');
});

const image = (name) => service.path('service/machines', name);
const save = (...words) => service.control('save', ...words);

function info(name) {
    return JSON.parse(spawnSync('qemu-img', ['info', '--output=json', image(name)], { encoding: 'utf8' }).stdout);
}

// Starts a session and waits until its guest has printed the note.
async function running(machine, note = '', settings = {}) {
    const session = await service.createRunning({ machine }, settings);
    await service.printed(session.id, new RegExp(`BOOTED ${note}\\r\n`));
    return { ...session, guest: notepad(service.serial(session.id)) };
}

// The same with the tiny machine, whose second partition is /data.
async function runningLinux(machine) {
    const session = await service.createRunning({ machine, memory: '256M' });
    const shell = await service.shell(session.id);
    await shell.run('udevadm wait --timeout=60 /dev/sda2; grep -q " /data " /proc/mounts || mount /dev/sda2 /data');
    assert.equal((await shell.run('grep -q " /data " /proc/mounts')).status, 0);
    return { ...session, shell };
}

async function stop(session) {
    await service.stop(session.id);
    await service.ended(session.id);
    await service.assertNothingLeft(session);
}

function assertNoParts() {
    assert.deepEqual(fs.readdirSync(service.path('service/machines')).filter((name) => name.endsWith('.part')), []);
}

test('a running session is saved as an image on its base and as a standalone one; its guest goes on', async () => {
    const session = await running('base.qcow2', '', { snapshot_keep: '1h' });
    await session.guest.write('first');

    const based = await save(session.id, 'based.qcow2');
    assert.equal(based.code, 0, based.err);
    assert.match(based.out, /^Saved as based\.qcow2, an entry in .*config\.d\/based\.qcow2\.ini\./);
    const full = await save(session.id, 'full.qcow2', 'With a mark', '--standalone');
    assert.equal(full.code, 0, full.err);
    await session.guest.write('later');
    assertNoParts();

    assert.equal(info('based.qcow2')['backing-filename'], image('base.qcow2'));
    assert.equal(info('full.qcow2')['backing-filename'], undefined);
    assert.equal(info('based.qcow2')['virtual-size'], info('base.qcow2')['virtual-size']);
    assert.ok(fs.statSync(image('based.qcow2')).size < fs.statSync(image('base.qcow2')).size / 4, 'it has only the difference');
    const entry = fs.readFileSync(service.path('etc/config.d/full.qcow2.ini'), 'utf8');
    assert.match(entry, /^\[full\.qcow2\]\ndescription=With a mark\n/);
    for (const line of [/^disk=scsi$/m, /^gpu=no$/m, /^memory=64M, 512M$/m])
        assert.match(entry, line);
    assert.match(fs.readFileSync(service.path('etc/config.d/based.qcow2.ini'), 'utf8'), /^description=Base, saved \d{4}-\d\d-\d\d$/m);

    // names that are taken or invalid, sessions that do not exist
    for (const [words, reason] of [[[session.id, 'based.qcow2'], /already/], [[session.id, 'base.qcow2'], /already/], [[session.id, '../x'], /no name/],
                                   [[session.id, '.hidden'], /no name/], [['0'.repeat(32), 'x.qcow2'], /no such session/],
                                   [[session.id, 'x.qcow2', 'two\nlines'], /one line/]]) {
        const refused = await save(...words);
        assert.notEqual(refused.code, 0);
        assert.match(refused.err, reason);
    }
    const config = service.path('etc/config.d'), files = fs.readdirSync(config);
    const latin = ['sh', '-c', 'exec "$0" save "$1" x.qcow2 "$(printf "caf\\351")"', service.qwdctl, session.id];
    assert.match((await service.run(latin, { asRoot: true })).err, /one line of text/);
    fs.writeFileSync(path.join(config, 'x.qcow2.ini'), ';[x.qcow2]\n;users=teachers\n');
    const written = await save(session.id, 'x.qcow2');
    assert.match(written.err, /There is a file .*config\.d\/x\.qcow2\.ini already\. Choose another name, or move that file away/);
    assert.equal(fs.readFileSync(path.join(config, 'x.qcow2.ini'), 'utf8'), ';[x.qcow2]\n;users=teachers\n');
    fs.rmSync(path.join(config, 'x.qcow2.ini'));
    assert.deepEqual(fs.readdirSync(config), files);
    assert.ok(!fs.existsSync(image('x.qcow2')));
    // the retained disk of a session that has ended
    process.kill(service.process(session, 'supervisor'), 'SIGTERM');
    await service.state(session.id, 'ended');
    await service.supervisorsGone(session.id);
    const offline = await save(session.id, 'offline.qcow2');
    assert.equal(offline.code, 0, offline.err);
    assert.equal(info('offline.qcow2')['backing-filename'], image('base.qcow2'));
    assert.equal((await service.json('POST', { session_discard: session.id })).status, 200);
    const late = await save(session.id, 'late.qcow2');
    assert.match(late.err, /its disk is gone/);

    for (const [machine, note] of [['based.qcow2', 'first'], ['full.qcow2', 'first'], ['offline.qcow2', 'later']]) {
        const next = await running(machine, note);
        assert.equal(next.plan.disk, 'scsi');
        await stop(next);
    }
    assertNoParts();
});

// A full image of some size, with the note's boot sector.
function makeFull(name) {
    const raw = service.path('home', `${name}.raw`);
    fs.writeFileSync(raw, crypto.randomFillSync(noteDisk(8), MiB));
    assert.equal(spawnSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, image(name)]).status, 0);
    service.give(`service/machines/${name}`);
    return fs.readFileSync(raw);
}

// What the image has where no guest writes.
function contentOf(name) {
    const raw = service.path('home/content');
    assert.equal(spawnSync('qemu-img', ['convert', '-O', 'raw', image(name), raw]).status, 0);
    return fs.readFileSync(raw).subarray(MiB);
}

test('a session whose image was replaced is saved standing alone; its retained disk only when the image is back', async () => {
    const content = makeFull('old.qcow2').subarray(MiB);
    makeFull('new.qcow2');
    const session = await running('old.qcow2', '', { snapshot_keep: '1h' });
    await session.guest.write('first');
    const aside = service.path('home/aside');
    fs.renameSync(image('old.qcow2'), aside);
    fs.renameSync(image('new.qcow2'), image('old.qcow2'));
    const saved = await save(session.id, 'alone.qcow2');
    assert.equal(saved.code, 0, saved.err);
    assert.match(saved.err, /Note: The image of old\.qcow2 has been replaced since the session began, so the new machine stands alone/);
    assert.equal(info('alone.qcow2')['backing-filename'], undefined);
    assert.ok(contentOf('alone.qcow2').equals(content), 'it has what the guest sees');
    fs.renameSync(image('old.qcow2'), image('new.qcow2'));
    const missing = await save(session.id, 'missing.qcow2'); // with no image in its place at all
    assert.equal(missing.code, 0, missing.err);
    assert.ok(contentOf('missing.qcow2').equals(content));
    fs.renameSync(image('new.qcow2'), image('old.qcow2'));

    process.kill(service.process(session, 'supervisor'), 'SIGTERM');
    await service.state(session.id, 'ended');
    await service.supervisorsGone(session.id);
    for (const words of [[], ['--standalone']]) {
        const refused = await save(session.id, 'x.qcow2', ...words);
        assert.notEqual(refused.code, 0);
        assert.match(refused.err, /The image of old\.qcow2 has been changed since, so the disk that was kept does not fit it any more/);
    }
    assert.ok(!fs.existsSync(image('x.qcow2')));
    fs.renameSync(aside, image('old.qcow2'));
    const restored = await save(session.id, 'restored.qcow2');
    assert.equal(restored.code, 0, restored.err);
    assert.doesNotMatch(restored.err, /Note/);
    assert.ok(contentOf('restored.qcow2').equals(content));
    assert.equal((await service.json('POST', { session_discard: session.id })).status, 200);
    await stop(await running('alone.qcow2', 'first'));

    // a saved machine is not started over another image than it was saved over
    await stop(await running('restored.qcow2', 'first'));
    fs.renameSync(image('old.qcow2'), aside);
    makeFull('old.qcow2');
    const past = await service.ended(await service.create({ machine: 'restored.qcow2' }));
    assert.equal(past.state, 'failed');
    assert.match(past.reason, /restored\.qcow2 was saved over .*old\.qcow2, which has been changed or replaced since/);
    fs.renameSync(aside, image('old.qcow2'));
    await stop(await running('restored.qcow2', 'first'));
    assertNoParts();
});

test('a session whose image was written to is saved only standing alone, with a warning', async () => {
    makeFull('written.qcow2');
    const session = await running('written.qcow2');
    const later = new Date(Date.now() + 60_000);
    fs.utimesSync(image('written.qcow2'), later, later);
    const refused = await save(session.id, 'x.qcow2');
    assert.notEqual(refused.code, 0);
    assert.match(refused.err, /The image of written\.qcow2 has been written to since this session began.*qwdctl save --standalone/);
    assert.ok(!fs.existsSync(image('x.qcow2')));
    const saved = await save(session.id, 'whole.qcow2', '--standalone');
    assert.equal(saved.code, 0, saved.err);
    assert.match(saved.err, /Note: The image of written\.qcow2 has been written to since the session began/);
    assert.equal(info('whole.qcow2')['backing-filename'], undefined);
    await stop(session);
    assertNoParts();
});

async function saveWithoutRoom(session) {
    const machines = service.path('service/small');
    fs.mkdirSync(machines);
    assert.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8M', 'tmpfs', machines]).status, 0);
    try {
        service.give('service/small');
        const refused = await save(session.id, 'x.qcow2', '--standalone', `--dir_machines=${machines}`);
        assert.notEqual(refused.code, 0);
        assert.match(refused.err, /The image needs .* where 8 MB are free/);
        assert.deepEqual(fs.readdirSync(machines), []);
    } finally {
        spawnSync('umount', [machines]);
    }
}

test('an image without enough disk space, or whose session ends meanwhile, leaves nothing', async () => {
    const session = await running('base.qcow2');
    if (isRoot) // only root can mount a small disk
        await saveWithoutRoom(session);
    const saving = save(session.id, 'y.qcow2', '--standalone');
    // It may be done before the test sees it.
    await service.until(session.id, ({ save_name: name, save_state: state }) => name === 'y.qcow2' && state !== 'asked');
    await service.stop(session.id);
    const { code } = await saving;
    await service.ended(session.id);
    assertNoParts();
    assert.equal(fs.existsSync(image('y.qcow2')), code === 0, 'all or nothing');
    assert.equal(fs.existsSync(service.path('etc/config.d/y.qcow2.ini')), code === 0);
});

test('a Linux guest with an agent goes on writing to its file system after a save', async () => {
    const session = await runningLinux('linux.qcow2');
    assert.equal((await session.shell.run('echo first > /data/mark && sync')).status, 0);
    const saved = await save(session.id, 'saved.qcow2');
    assert.equal(saved.code, 0, saved.err);
    assert.equal((await session.shell.run('echo later > /data/mark && sync')).status, 0);
    await stop(session);
    if (!isFull) // the first row boots saved images
        return;
    const next = await runningLinux('saved.qcow2');
    assert.equal(await next.shell.text('cat /data/mark'), 'first');
    await stop(next);
});

test('nothing is left', () => service.assertAllGone());
