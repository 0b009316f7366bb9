// SPDX-License-Identifier: AGPL-3.0-or-later
// Machines of every kind, seen from inside: disks on every bus, firmware, power, and images that sessions may change. The end
// of a life-time has its row here, since the other rows fill the minute that it takes. (Formats of images: formats)
// Cores: 0.5

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { bootDisk, noteDisk, notepad, tinyFolder } from '../lib/machines.mjs';
import { isRoot } from '../lib/programs.mjs';
import { useSharedService } from '../lib/service.mjs';

function qemuImg(...words) {
    const made = spawnSync('qemu-img', words, { encoding: 'utf8' });
    assert.equal(made.status, 0, made.stderr);
    return made.stdout;
}

const buses = ['virtio', 'sata', 'ide', 'scsi', 'nvme'];

// Two sessions that live while the other tests run: one is extended, and one is not.
let short, extended;
const service = useSharedService({
    settings: { snapshot_alloc_disk: '3G' },
    images: { 'tiny.iso': path.join(tinyFolder(), 'tiny.iso') },
    machines: {
        ...Object.fromEntries(buses.map((bus) => [`bus-${bus}`, `disk=${bus}`])),
        'efi.raw': 'firmware=uefi',
        'arm.raw': 'arch=aarch64',
        'note.raw': '',
        'own.qcow2': '',
        'other-display.raw': 'display=VGA',
    },
}, async () => {
    const machines = service.path('service/machines'), disk = path.join(machines, 'boot.raw');
    fs.writeFileSync(disk, bootDisk());
    fs.writeFileSync(path.join(machines, 'note.raw'), noteDisk());
    qemuImg('convert', '-q', '-f', 'raw', '-O', 'qcow2', path.join(machines, 'note.raw'), path.join(machines, 'own.qcow2'));
    if (isRoot)
        service.give('service/machines/own.qcow2');
    for (const name of [...buses.map((bus) => `bus-${bus}`), 'efi.raw', 'arm.raw', 'other-display.raw'])
        fs.symlinkSync(disk, path.join(machines, name));
    extended = await service.createRunning({ machine: 'note.raw', snapshot_lifetime: '60' });
    assert.equal((await service.json('POST', { session_extend: extended.id })).status, 200);
    assert.equal(service.record(extended.id).ends_at, extended.ends_at + 86400);
    short = await service.createRunning({ machine: 'note.raw', snapshot_lifetime: '60' });
});

async function stop(session) {
    await service.stop(session.id);
    const past = await service.ended(session.id);
    await service.assertNothingLeft(session);
    return past;
}

// Starts the machine and waits for text on its serial console.
async function boots(machine, words) {
    const session = await service.createRunning({ machine, memory: '128M' });
    await service.printed(session.id, words);
    return session;
}

describe('buses', () => {
    for (const bus of buses)
        test(`a machine boots from a disk on the bus ${bus}`, async () => {
            const session = await boots(`bus-${bus}`, /BOOTED/);
            assert.equal(session.plan.disk, bus);
            await stop(session);
        });
});

test('a machine has another display device', async () => {
    const session = await boots('other-display.raw', /BOOTED/);
    const { width } = await service.rfb(session.control);
    assert.ok(width > 0);
    await stop(session);
});

describe('firmware', { concurrency: true }, () => {
    test('a machine boots with UEFI', async () => {
        const session = await boots('efi.raw', /BdsDxe|UEFI/);
        assert.equal(session.plan.firmware, 'uefi');
        assert.ok(fs.existsSync(path.join(service.snapshots, session.id, 'firmware-vars.fd')), 'the session has variables of its own');
        await stop(session);
    });

    test('an aarch64 machine is emulated, with its own firmware and a display', async () => {
        const session = await boots('arm.raw', /BdsDxe|UEFI/);
        assert.equal(session.plan.arch, 'aarch64');
        assert.equal(session.plan.firmware, 'uefi');
        assert.equal(session.accelerator, 'tcg');
        const { name, width } = await service.rfb(session.control);
        assert.equal(name, `QEMU (qwd-${session.id})`);
        assert.ok(width > 0);
        await stop(session);
    });
});

test('a machine that its guest switches off ends its session', async () => {
    const session = await boots('note.raw', /BOOTED/);
    notepad(service.serial(session.id)).switchOff();
    const past = await service.ended(session.id);
    assert.equal(past.state, 'ended');
    assert.equal(past.reason, 'The machine was shut down from inside.');
    await service.assertNothingLeft(session, [session.control, session.view]);
});

test('a Linux machine from an ISO has an empty disk of the size that is set; a stop lets it shut itself down', async () => {
    const session = await service.createRunning({ machine: 'tiny.iso', memory: '256M' }, { session_stop_grace: '1h' });
    const shell = await service.shell(session.id);
    await shell.run('udevadm wait --timeout=60 /dev/vda');
    assert.equal(await shell.text('cat /sys/block/vda/size'), String(3 * 1024 * 1024 * 2));
    assert.equal(await shell.text('head -c 1000000 /dev/vda | tr -d "\\0" | wc -c'), '0');
    assert.equal((await shell.run('echo x > /dev/vda && sync')).status, 0);
    assert.equal(await shell.text('head -c 1 /dev/vda'), 'x');
    await shell.run('udevadm settle'); // now acpid listens to the power button
    const past = await stop(session); // long before the grace is over
    assert.equal(past.state, 'ended');
    assert.match(past.reason, /^Stopped by /);
});

test('snapshot_use_master: the guest writes to the image itself, and no other session uses the image meanwhile', async () => {
    const options = ['--snapshot_use_master=yes', '--snapshot_alloc_mem=64M', '--session_stop_grace=30s'];
    const started = await service.control('start', 'own.qcow2', ...options);
    assert.equal(started.code, 0, started.err);
    const id = service.sessions().find((name) => service.record(name)?.plan.use_master); // other sessions may end meanwhile
    const session = service.record(id);

    const again = await service.control('start', 'own.qcow2', ...options);
    assert.equal(again.code, 4);
    assert.match(again.err, /The image of own.qcow2 is in use by a session that works on the image itself/);
    const other = await service.json('POST', { create: 'Create', machine: 'own.qcow2' });
    assert.equal(other.status, 409);

    await service.printed(id, /BOOTED \r\n/);
    const guest = notepad(service.serial(id));
    await guest.write('IT STAYS');
    guest.switchOff();
    await service.ended(id);
    await service.assertNothingLeft(session);
    await stop(await boots('own.qcow2', /BOOTED IT STAYS\r\n/)); // now it can be the base of another session
});

test('snapshot_use_master of an ISO image, of one that refers to another file, and of one that is read-only is refused', async () => {
    const start = (machine) => service.control('start', machine, '--snapshot_use_master=yes');
    const iso = await start('tiny.iso');
    assert.notEqual(iso.code, 0);
    assert.match(iso.err, /tiny\.iso is an ISO image, which cannot be changed/);
    // A guest can write such a header to the beginning of its raw disk.
    fs.copyFileSync(service.path('service/machines/own.qcow2'), service.path('service/machines/private.qcow2'));
    qemuImg('create', '-q', '-f', 'qcow2', '-b', 'private.qcow2', '-F', 'qcow2', service.path('service/machines/planted.raw'));
    if (isRoot)
        service.give('service/machines/planted.raw');
    const planted = await start('planted.raw');
    assert.notEqual(planted.code, 0);
    assert.match(planted.err, /refers to another file .*private\.qcow2/);
    if (isRoot) {
        const disk = await start('bus-virtio');
        assert.notEqual(disk.code, 0);
        assert.match(disk.err, /cannot be written by the service/);
    }
});

test('a session ends with its life-time; an extended session goes on', async () => {
    assert.equal(short.ends_at, short.created_at + 60);
    const past = await service.ended(short.id);
    assert.equal(past.state, 'ended');
    assert.equal(past.reason, 'Its life-time was over.');
    let { ended_at: ended, ends_at: end } = past;
    for (let tries = 4; ended - end > 2 && tries > 0; tries--) // the host was slow
        ({ ended_at: ended, ends_at: end } = await service.ended(await service.create({ machine: 'note.raw', snapshot_lifetime: '60' })));
    assert.ok(ended >= end && ended - end <= 2, 'in time');
    await service.assertNothingLeft(short, [short.control, short.view]);
    assert.equal(service.record(extended.id).state, 'running');
    assert.equal((await service.json('POST', { session_extend: short.id })).status, 409);
    await stop(extended);
});
