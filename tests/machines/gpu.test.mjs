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
const said = {}; // what the server has said, by mark
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
    fs.writeFileSync(path.join(root, 'usr/bin/websockify'), '#!/bin/sh\nexec tail -f /dev/null\n', { mode: 0o755 }); // nobody comes through it
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
            said[open].status = Number(rest);
            open = null;
        } else if (mark && rest) {
            said[mark] = rest;
        } else if (mark) {
            open = mark;
            said[mark] = { text: '' };
        } else if (open) {
            said[open].text += `${line}\n`;
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
    assert.ok(said.end, output.slice(-4000));
});

test('a server that is not prepared: the card is seen, and is not for sessions', () => {
    assert.match(said['list-before'].text, new RegExp(`^${card}  1234:1111`, 'm'));
    assert.match(said['list-before'].text, /card, driver none, IOMMU group \d+/);
    assert.match(said['list-before'].text, /not for sessions: It has no driver, and needs vfio-pci\./);
});

test('qwdctl gpu VENDOR:MODEL: the kernel binds the card as the file in modprobe.d says', () => {
    assert.equal(said.prepare.status, 0, said.prepare.text);
    assert.match(said.prepare.text, /\+options vfio-pci ids=1234:1111/);
    assert.equal(said.driver, 'vfio-pci');
});

test('the service account may not open it, and then it may', () => {
    assert.match(said['list-closed'].text, /not for sessions: \/dev\/vfio\/\d+: Permission denied\.\n/);
    assert.match(said['list-free'].text, /driver vfio-pci, IOMMU group \d+[^]*\n {4}free\n/);
});

test('too little memory can be locked: said before QEMU would say it', () => {
    assert.notEqual(said.limit.status, 0);
    assert.match(said.limit.text, /A machine of this size with a GPU locks 1\.1 GB of memory, and the service may lock 8 MB\./);
    assert.match(said['qemu-limit'].text, /VFIO_MAP_DMA failed: Cannot allocate memory/); // vm/explain.c knows it
    assert.notEqual(said['qemu-limit'].status, 0);
});

test('a session with the card: QEMU has it, without privileges and in its sandbox', () => {
    assert.equal(said.start.status, 0, said.start.text + output.slice(-2000));
    assert.match(said.start.text, /^http:\/\/localhost:/m);
    assert.match(said.status.text, /\| 01:00\.0 \| running/);
    assert.match(said['list-used'].text, /in use by root, session [0-9a-f]{32}/);
    assert.equal(said.user, 'www-data');
    assert.equal(said.seccomp, '2');
    assert.equal(said.devices, '2', 'the container and the group');
});

test('its display answers, and its BIOS has come to the end with the card in it', () => {
    assert.equal(said.vnc.text, 'heard RFB 003.008\n');
    assert.equal(said.guest.text, 'heard BOOTED\n');
});

test('nobody else gets the card meanwhile, and afterwards it is free', () => {
    assert.notEqual(said.second.status, 0);
    assert.match(said.second.text, /No GPU is free: sessions use the only one\./);
    assert.equal(said.stop.status, 0, said.stop.text);
    assert.match(said['list-after'].text, /\n {4}free\n/);
});
