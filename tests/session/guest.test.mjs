// SPDX-License-Identifier: AGPL-3.0-or-later
// What is seen from inside: disks of every format and on every bus, firmware, power, and changes that stay.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { bootDisk, tinyFolder } from '../lib/machines.mjs';
import { isRoot } from '../lib/programs.mjs';
import { useSharedService } from '../lib/service.mjs';

const tiny = tinyFolder();

function qemuImg(...words) {
    const made = spawnSync('qemu-img', words, { encoding: 'utf8' });
    assert.equal(made.status, 0, made.stderr);
    return made.stdout;
}

const formats = ['qcow2', 'raw', 'vdi', 'vmdk', 'vpc', 'vhdx', 'qed'];
const buses = ['virtio', 'sata', 'ide', 'scsi', 'nvme'];

// Two sessions that live while the other tests run: one is extended, and one is not.
let short, extended;
const service = useSharedService({
    settings: { snapshot_alloc_disk: '3G' },
    images: { 'tiny.iso': path.join(tiny, 'tiny.iso'), 'tiny.qcow2': path.join(tiny, 'tiny.qcow2') },
    machines: {
        ...Object.fromEntries(formats.map((format) => [`boot.${format}`, ''])),
        ...Object.fromEntries(buses.map((bus) => [`bus-${bus}`, `disk=${bus}`])),
        'efi.raw': 'firmware=uefi',
        'arm.raw': 'arch=aarch64',
        'other-display.raw': 'display=VGA',
    },
}, async () => {
    extended = await service.createRunning({ snapshot_lifetime: '60' });
    assert.equal((await service.json('POST', { session_extend: extended.id })).status, 200);
    assert.equal(service.record(extended.id).ends_at, extended.ends_at + 86400);
    short = await service.createRunning({ snapshot_lifetime: '60' });
    const machines = service.path('service/machines'), disk = path.join(machines, 'boot.raw');
    fs.writeFileSync(disk, bootDisk());
    for (const format of formats.filter((name) => name !== 'raw'))
        qemuImg('convert', '-q', '-f', 'raw', '-O', format, disk, path.join(machines, `boot.${format}`));
    for (const name of [...buses.map((bus) => `bus-${bus}`), 'efi.raw', 'arm.raw', 'other-display.raw'])
        fs.symlinkSync(disk, path.join(machines, name));
});

async function stop(session) {
    await service.stop(session.id);
    const past = await service.ended(session.id);
    await service.assertNothingLeft(session);
    return past;
}

// Starts the machine and waits for words on its serial console. Firmware says them once, as soon as it begins.
async function boots(machine, words) {
    const session = await service.createRunning({ machine, memory: '128M' });
    await service.printed(session.id, words);
    return session;
}

describe('formats', () => {
    for (const format of formats)
        test(`a disk in the format ${format} is booted from, and not changed`, async () => {
            const image = service.path('service/machines', `boot.${format}`), before = fs.readFileSync(image);
            await stop(await boots(`boot.${format}`, /BOOTED/));
            assert.ok(before.equals(fs.readFileSync(image)));
        });
});

describe('buses', () => {
    for (const bus of buses)
        test(`a disk on the bus ${bus} is booted from`, async () => {
            const session = await boots(`bus-${bus}`, /BOOTED/);
            assert.equal(session.plan.disk, bus);
            await stop(session);
        });
});

test('another display device', async () => {
    const session = await boots('other-display.raw', /BOOTED/);
    const { width } = await service.rfb(session.control);
    assert.ok(width > 0);
    await stop(session);
});

describe('firmware', { concurrency: true }, () => {
    test('a machine with UEFI', async () => {
        const session = await boots('efi.raw', /BdsDxe|UEFI/);
        assert.equal(session.plan.firmware, 'uefi');
        assert.ok(fs.existsSync(path.join(service.snapshots, session.id, 'firmware-vars.fd')), 'it has settings of its own');
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

describe('a Linux machine', { concurrency: true }, () => {
    test('from an ISO: an empty disk of the size that is set; switched off from inside', async () => {
        const session = await service.createRunning({ machine: 'tiny.iso', memory: '256M' });
        const shell = await service.shell(session.id);
        await shell.run('udevadm wait --timeout=60 /dev/vda');
        assert.equal(await shell.text('cat /sys/block/vda/size'), String(3 * 1024 * 1024 * 2));
        assert.equal(await shell.text('head -c 1000000 /dev/vda | tr -d "\\0" | wc -c'), '0');
        assert.equal((await shell.run('echo x > /dev/vda && sync')).status, 0);
        assert.equal(await shell.text('head -c 1 /dev/vda'), 'x');
        shell.socket.write('poweroff -f\n');
        const past = await service.ended(session.id);
        assert.equal(past.state, 'ended');
        assert.equal(past.reason, 'The machine was shut down from inside.');
        await service.assertNothingLeft(session, [session.control, session.view]);
    });

    test('from a disk: a stop lets it shut itself down', async () => {
        const session = await service.createRunning({ machine: 'tiny.qcow2', memory: '256M' }, { session_stop_grace: '1h' });
        const shell = await service.shell(session.id);
        await shell.run('udevadm settle'); // then somebody listens to the power button
        const past = await stop(session); // long before its grace is over
        assert.equal(past.state, 'ended');
        assert.match(past.reason, /^Stopped by /);
    });
});

test('snapshot_use_master: what is written stays, and nobody else uses the image meanwhile', async () => {
    const master = service.path('service/machines/own.qcow2');
    fs.copyFileSync(path.join(tiny, 'tiny.qcow2'), master);
    qemuImg('resize', '-q', master, '+1M');
    const size = JSON.parse(qemuImg('info', '--output=json', master))['virtual-size'];
    if (isRoot)
        service.give('service/machines/own.qcow2');
    fs.appendFileSync(service.path('etc/machines.conf'), '[own.qcow2]\n');
    const options = ['--snapshot_use_master=yes', '--snapshot_alloc_mem=256M', '--session_stop_grace=30s'];
    const qwdctl = path.join(service.bin, 'qwdctl');

    const started = await service.run([qwdctl, 'start', 'own.qcow2', ...options], { asRoot: true });
    assert.equal(started.code, 0, started.err);
    const id = service.sessions().find((name) => service.record(name)?.plan.use_master); // some end meanwhile
    const session = service.record(id);

    const again = await service.run([qwdctl, 'start', 'own.qcow2', ...options], { asRoot: true });
    assert.equal(again.code, 4);
    assert.match(again.err, /The image of own.qcow2 is in use by a session that works on the image itself/);
    const other = await service.json('POST', { create: 'Create', machine: 'own.qcow2' });
    assert.equal(other.status, 409);

    const shell = await service.shell(id);
    await shell.run('udevadm wait --timeout=60 /dev/vda');
    const sector = size / 512 - 1;
    assert.equal((await shell.run(`printf 'IT STAYS' | dd of=/dev/vda bs=512 seek=${sector} conv=notrunc && sync`)).status, 0);
    shell.socket.write('poweroff -f\n');
    await service.ended(id);
    await service.assertNothingLeft(session);
    const raw = service.path('service/machines/own.raw');
    qemuImg('convert', '-q', '-f', 'qcow2', '-O', 'raw', master, raw);
    const end = fs.readFileSync(raw).subarray(-512);
    assert.equal(end.subarray(0, 8).toString(), 'IT STAYS');

    await service.createRunning({ machine: 'own.qcow2' }).then(stop); // and now it can be the base of another one
});

test('snapshot_use_master of an ISO, and of an image that must not be written', async () => {
    const qwdctl = path.join(service.bin, 'qwdctl');
    const iso = await service.run([qwdctl, 'start', 'tiny.iso', '--snapshot_use_master=yes'], { asRoot: true });
    assert.notEqual(iso.code, 0);
    assert.match(iso.err, /tiny\.iso is an ISO image, which cannot be changed/);
    // what a guest has put at the beginning of its raw disk
    fs.copyFileSync(path.join(tiny, 'tiny.qcow2'), service.path('service/machines/private.qcow2'));
    qemuImg('create', '-q', '-f', 'qcow2', '-b', 'private.qcow2', '-F', 'qcow2', service.path('service/machines/planted.raw'));
    if (isRoot)
        service.give('service/machines/planted.raw');
    const planted = await service.run([qwdctl, 'start', 'planted.raw', '--snapshot_use_master=yes'], { asRoot: true });
    assert.notEqual(planted.code, 0);
    assert.match(planted.err, /refers to another file .*private\.qcow2/);
    if (isRoot) {
        const disk = await service.run([qwdctl, 'start', 'tiny.qcow2', '--snapshot_use_master=yes'], { asRoot: true });
        assert.notEqual(disk.code, 0);
        assert.match(disk.err, /cannot be written by the service/);
    }
});

test('when the life-time is over, the session ends; one that was extended goes on', async () => {
    assert.equal(short.ends_at, short.created_at + 60);
    const past = await service.ended(short.id);
    assert.equal(past.state, 'ended');
    assert.equal(past.reason, 'Its life-time was over.');
    let { ended_at: ended, ends_at: end } = past;
    for (let tries = 4; ended - end > 2 && tries > 0; tries--) // this machine was busy then
        ({ ended_at: ended, ends_at: end } = await service.ended(await service.create({ snapshot_lifetime: '60' })));
    assert.ok(ended >= end && ended - end <= 2, 'in time');
    await service.assertNothingLeft(short, [short.control, short.view]);
    assert.equal(service.record(extended.id).state, 'running');
    assert.equal((await service.json('POST', { session_extend: short.id })).status, 409);
    await stop(extended);
});
