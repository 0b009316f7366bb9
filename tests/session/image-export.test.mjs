// SPDX-License-Identifier: AGPL-3.0-or-later
// qwdctl save: what somebody has done in a session becomes a machine that others can start.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { tinyFolder } from '../lib/machines.mjs';
import { isRoot } from '../lib/programs.mjs';
import { useService } from '../lib/service.mjs';

const tiny = tinyFolder();

const service = useService({ settings: { snapshot_alloc_mem: '256M' } }, () => {
    fs.copyFileSync(path.join(tiny, 'tiny.qcow2'), image('base.qcow2'));
    if (isRoot)
        service.give('service/machines/base.qcow2');
    fs.appendFileSync(service.path('etc/machines.conf'), '[base.qcow2]\ndescription=Base\ndisk=scsi\ngpu=no\nmemory=256M, 512M\n');
});

const image = (name) => service.path('service/machines', name);

const qwdctl = (...words) => service.control(...words);

function info(name) {
    return JSON.parse(spawnSync('qemu-img', ['info', '--output=json', image(name)], { encoding: 'utf8' }).stdout);
}

async function running(machine) {
    const session = await service.createRunning({ machine });
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

test('a running session becomes machines, on its image and alone, and goes on', async () => {
    const session = await running('base.qcow2');
    assert.equal((await session.shell.run('echo first > /data/mark && sync')).status, 0);
    const kept = service.path('kept');
    fs.cpSync(path.join(service.snapshots, session.id), kept, { recursive: true });

    const based = await qwdctl('save', session.id, 'based.qcow2');
    assert.equal(based.code, 0, based.err);
    assert.match(based.out, /^Saved as based\.qcow2, an entry in .*config\.d\/based\.qcow2\.ini\./);
    const full = await qwdctl('save', session.id, 'full.qcow2', 'With a mark', '--standalone');
    assert.equal(full.code, 0, full.err);
    assert.equal((await session.shell.run('echo later > /data/mark && sync')).status, 0, 'the guest goes on');
    assertNoParts();

    assert.equal(info('based.qcow2')['backing-filename'], image('base.qcow2'));
    assert.equal(info('full.qcow2')['backing-filename'], undefined);
    assert.equal(info('based.qcow2')['virtual-size'], info('base.qcow2')['virtual-size']);
    assert.ok(fs.statSync(image('based.qcow2')).size < fs.statSync(image('base.qcow2')).size / 4, 'only what is different');
    const entry = fs.readFileSync(service.path('etc/config.d/full.qcow2.ini'), 'utf8');
    assert.match(entry, /^\[full\.qcow2\]\ndescription=With a mark\n/);
    for (const line of [/^disk=scsi$/m, /^gpu=no$/m, /^memory=256M, 512M$/m])
        assert.match(entry, line);
    assert.match(fs.readFileSync(service.path('etc/config.d/based.qcow2.ini'), 'utf8'), /^description=Base, saved \d{4}-\d\d-\d\d$/m);

    // names that are taken, or are none; sessions that are not there
    for (const [words, reason] of [[[session.id, 'based.qcow2'], /already/], [[session.id, 'base.qcow2'], /already/], [[session.id, '../x'], /no name/],
                                   [[session.id, '.hidden'], /no name/], [['0'.repeat(32), 'x.qcow2'], /no such session/],
                                   [[session.id, 'x.qcow2', 'two\nlines'], /one line/]]) {
        const refused = await qwdctl('save', ...words);
        assert.notEqual(refused.code, 0);
        assert.match(refused.err, reason);
    }
    const config = service.path('etc/config.d'), files = fs.readdirSync(config);
    const latin = ['sh', '-c', 'exec "$0" save "$1" x.qcow2 "$(printf "caf\\351")"', path.join(service.bin, 'qwdctl'), session.id];
    assert.match((await service.run(latin, { asRoot: true })).err, /one line of text/);
    fs.writeFileSync(path.join(config, 'x.qcow2.ini'), ';[x.qcow2]\n;users=teachers\n');
    const written = await qwdctl('save', session.id, 'x.qcow2');
    assert.match(written.err, /There is a file .*config\.d\/x\.qcow2\.ini already\. Choose another name, or move that file away/);
    assert.equal(fs.readFileSync(path.join(config, 'x.qcow2.ini'), 'utf8'), ';[x.qcow2]\n;users=teachers\n');
    fs.rmSync(path.join(config, 'x.qcow2.ini'));
    assert.deepEqual(fs.readdirSync(config), files);
    assert.ok(!fs.existsSync(image('x.qcow2')));
    await stop(session);
    const late = await qwdctl('save', session.id, 'late.qcow2');
    assert.match(late.err, /its disk is gone/);

    // the same from a folder that was kept
    const record = JSON.parse(fs.readFileSync(path.join(kept, 'session.json'), 'utf8'));
    fs.writeFileSync(path.join(kept, 'session.json'), JSON.stringify({ ...record, state: 'ended', processes: [], links: [] }));
    const again = path.join(service.snapshots, session.id);
    fs.cpSync(kept, again, { recursive: true });
    spawnSync('chown', ['-R', '--reference', service.snapshots, again]);
    fs.chmodSync(again, 0o700);
    const offline = await qwdctl('save', session.id, 'offline.qcow2');
    assert.equal(offline.code, 0, offline.err);
    assert.equal(info('offline.qcow2')['backing-filename'], image('base.qcow2'));
    fs.rmSync(again, { recursive: true });

    for (const machine of ['based.qcow2', 'full.qcow2', 'offline.qcow2']) {
        const next = await running(machine);
        assert.equal(next.plan.disk, 'scsi');
        assert.equal(await next.shell.text('cat /data/mark'), 'first', machine);
        await stop(next);
    }
    assertNoParts();
});

async function saveWithoutRoom(session) {
    const machines = service.path('service/small');
    fs.mkdirSync(machines);
    assert.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8M', 'tmpfs', machines]).status, 0);
    try {
        service.give('service/small');
        const refused = await qwdctl('save', session.id, 'x.qcow2', '--standalone', `--dir_machines=${machines}`);
        assert.notEqual(refused.code, 0);
        assert.match(refused.err, /The image needs .* where 8 MB are free/);
        assert.deepEqual(fs.readdirSync(machines), []);
    } finally {
        spawnSync('umount', [machines]);
    }
}

test('without room, and when the session ends meanwhile, nothing is left of it', async () => {
    const session = await running('base.qcow2');
    assert.equal((await session.shell.run('dd if=/dev/urandom of=/data/big bs=1M count=30 && sync')).status, 0);
    if (isRoot) // who may mount a small disk
        await saveWithoutRoom(session);
    const saving = qwdctl('save', session.id, 'y.qcow2', '--standalone');
    // It may be done before anybody has looked.
    await service.until(session.id, ({ save_name: name, save_state: state }) => name === 'y.qcow2' && state !== 'asked');
    await service.stop(session.id);
    const { code } = await saving;
    await service.ended(session.id);
    assertNoParts();
    assert.equal(fs.existsSync(image('y.qcow2')), code === 0, 'all or nothing');
    assert.equal(fs.existsSync(service.path('etc/config.d/y.qcow2.ini')), code === 0);
});

test('nothing is left', () => service.assertAllGone());
