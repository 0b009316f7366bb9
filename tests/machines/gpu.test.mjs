// SPDX-License-Identifier: AGPL-3.0-or-later
// A session with a GPU by real VFIO: a server (the machine gpu-host) with an IOMMU and a display card, both emulated,
// prepares itself with qwdctl, binds the card to vfio-pci and gives it to a session, whose QEMU runs inside.
// Tier: full
// Images: gpu-host
// Memory: 2500 MiB

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test, before } from 'node:test';
import { build, top } from '../lib/files.mjs';
import { bootDisk } from '../lib/machines.mjs';
import { bootTimeoutMs, within } from '../lib/wait.mjs';

const card = '0000:01:00.0';
const results = {}; // of the script on the server, by mark
let output = '';

const sh = (command, ...words) => execFileSync(command, words, { cwd: top, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

// The programs of this source, the script, and a disk for the session, as an initramfs.
function packPrograms(folder) {
    const root = path.join(folder, 'root');
    sh('make', '--no-print-directory', '-s', 'install', `B=${build}`, `DESTDIR=${root}`, 'UNITDIR=/usr/lib/systemd/system');
    fs.mkdirSync(path.join(root, 'test'));
    fs.copyFileSync(path.join(top, 'tests/machines/gpu-host.sh'), path.join(root, 'test/run'));
    fs.writeFileSync(path.join(root, 'test/boot.raw'), bootDisk());
    sh('gcc', '-O1', '-static', '-o', path.join(root, 'test/hear'), 'tests/machines/hear.c');
    fs.writeFileSync(path.join(root, 'usr/bin/websockify'), '#!/bin/sh\nexec tail -f /dev/null\n', { mode: 0o755 }); // no client uses it
    fs.writeFileSync(path.join(root, 'etc/qemu-web-desktop/qemu-web-desktop.conf'), [
        'accel = tcg', 'network = restricted', 'service_path =', 'session_start_deadline = 120', 'session_stop_grace = 0', '',
    ].join('\n'));
    sh('sh', '-c', 'cd "$0" && find . | cpio -o -H newc -R 0:0 --quiet >"$1"', root, path.join(folder, 'programs'));
    return path.join(folder, 'programs');
}

async function runServer(folder) {
    const [initrd, kernel] = sh('machines/build', 'gpu-host').trim().split('\n').sort();
    const both = path.join(folder, 'initrd');
    const first = fs.readFileSync(initrd);
    const gap = Buffer.alloc(4 - first.length % 4); // the kernel wants the second one aligned
    fs.writeFileSync(both, Buffer.concat([first, gap, fs.readFileSync(packPrograms(folder))]));
    const qemu = spawn('qemu-system-x86_64', [
        '-nodefaults', '-no-user-config', '-machine', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2', '-m', '1536M',
        '-display', 'none', '-serial', 'stdio', '-no-reboot', '-kernel', kernel, '-initrd', both,
        // On a busy host the timer may stand still for a while, and a kernel that checks it would panic.
        '-append', 'console=ttyS0 quiet intel_iommu=on iommu=pt panic=-1 no_timer_check nowatchdog',
        '-device', 'intel-iommu,intremap=on,caching-mode=on',
        '-device', 'pcie-root-port,id=upper,bus=pcie.0,chassis=1', '-device', 'secondary-vga,bus=upper',
    ], { stdio: ['ignore', 'pipe', 'inherit'] });
    qemu.stdout.on('data', (data) => { output += data; });
    try {
        await within('the end of the server', once(qemu, 'close'), bootTimeoutMs);
    } finally {
        qemu.kill('SIGKILL');
    }
}

// "== MARK TEXT", or "== MARK", its output and "== status N".
function sortOut(text) {
    let open = null;
    for (const line of text.replaceAll('\r', '').split('\n')) {
        const [, mark, rest] = line.match(/^== (\S+) ?(.*)/) ?? [];
        if (mark === 'status' && rest && open) {
            results[open].status = Number(rest);
            open = null;
        } else if (mark && rest) {
            results[mark] = rest;
        } else if (mark) {
            open = mark;
            results[mark] = { text: '' };
        } else if (open) {
            results[open].text += `${line}\n`;
        }
    }
}

before(async () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'qwd-gpu-'));
    try {
        await runServer(folder);
    } finally {
        fs.rmSync(folder, { recursive: true, force: true });
    }
    sortOut(output);
    assert.ok(results.end, output.slice(-4000));
});

test('a server that is not prepared lists the card as unusable', () => {
    assert.match(results['list-before'].text, new RegExp(`^${card}  1234:1111`, 'm'));
    assert.match(results['list-before'].text, /card, driver none, IOMMU group \d+/);
    assert.match(results['list-before'].text, /not for sessions: It has no driver, and needs vfio-pci\./);
});

test('qwdctl gpu VENDOR:MODEL writes the file in modprobe.d, by which the kernel binds the card', () => {
    assert.equal(results.prepare.status, 0, results.prepare.text);
    assert.match(results.prepare.text, /\+options vfio-pci ids=1234:1111/);
    assert.equal(results.driver, 'vfio-pci');
});

test('the service account needs the permission to open the card', () => {
    assert.match(results['list-closed'].text, /not for sessions: \/dev\/vfio\/\d+: Permission denied\.\n/);
    assert.match(results['list-free'].text, /driver vfio-pci, IOMMU group \d+[^]*\n {4}free\n/);
});

test('a limit of locked memory that is too low is reported before QEMU starts', () => {
    assert.notEqual(results.limit.status, 0);
    assert.match(results.limit.text, /A machine of this size with a GPU locks 1\.1 GB of memory, and the service may lock 8 MB\./);
    assert.match(results['qemu-limit'].text, /VFIO_MAP_DMA failed: Cannot allocate memory/); // vm/explain.c knows it
    assert.notEqual(results['qemu-limit'].status, 0);
});

test('the QEMU of a session has the card, without privileges and in its sandbox', () => {
    assert.equal(results.start.status, 0, results.start.text + output.slice(-2000));
    assert.match(results.start.text, /^http:\/\/localhost:/m);
    assert.match(results.status.text, /\| 01:00\.0 \| running/);
    assert.match(results['list-used'].text, /in use by root, session [0-9a-f]{32}/);
    assert.equal(results.user, 'www-data');
    assert.equal(results.seccomp, '2');
    assert.equal(results.devices, '2', 'the container and the group');
});

test('the display of the session answers, and its BIOS boots with the card', () => {
    assert.equal(results.vnc.text, 'heard RFB 003.008\n');
    assert.equal(results.guest.text, 'heard BOOTED\n');
});

test('no other session gets the card, and it is free afterwards', () => {
    assert.notEqual(results.second.status, 0);
    assert.match(results.second.text, /No GPU is free: sessions use the only one\./);
    assert.equal(results.stop.status, 0, results.stop.text);
    assert.match(results['list-after'].text, /\n {4}free\n/);
});
