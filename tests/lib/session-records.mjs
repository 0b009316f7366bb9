// SPDX-License-Identifier: AGPL-3.0-or-later
// Sessions that are records on disk and nothing else, as many as one wants, and a day of samples of the host: for what
// has to show or to bear many.

import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

const states = ['running', 'running', 'running', 'running', 'running', 'running', 'starting', 'stopping', 'running'];
const hour = 3600;

// A process that is there for as long as the tests are, and that takes no signals from us: whoever looks at a session
// whose supervisor is gone ends it.
function aliveProcess() {
    const fields = fs.readFileSync('/proc/1/stat', 'utf8').replace(/^.*\) /s, '').split(' ');
    return { pid: 1, start_ticks: Number(fields[19]) };
}

// Record number `i`, as the service writes it; `more` replaces what it would be.
export function recordOf(i, more = {}) {
    const now = Math.floor(Date.now() / 1000);
    const state = states[i % states.length];
    const image = `/machines/${['debian-desktop.qcow2', 'windows-11.qcow2', 'tiny.iso'][i % 3]}`;
    return {
        schema: 1, id: crypto.randomBytes(16).toString('hex'), state, owner: `user${String(i % 40).padStart(2, '0')}`,
        remote_host: '192.0.2.7', base: 'http://192.0.2.1/', language: 'en', accelerator: 'kvm',
        created_at: now - (i % 90) * 600, admitted_ms: (now - (i % 90) * 600) * 1000, started_at: now - (i % 90) * 600,
        ready_at: now - (i % 90) * 600, ends_at: now + (1 + i % 48) * hour, last_input_at: now - (i % 70) * 60,
        ...(state === 'stopping' ? { stop_requested_at: now } : {}),
        plan: {
            machine: path.basename(image), title: path.basename(image), image, arch: 'x86_64', firmware: 'bios', disk: 'virtio',
            display: 'virtio-vga', accel: 'auto', os: 'linux', network: 'restricted', cpus: 1 + i % 4, memory_mib: 1024 * (1 + i % 8),
            disk_mib: 10240, lifetime_s: 4 * 24 * hour, lifetime_max_s: 4 * 24 * hour, clipboard: true,
        },
        links: [{ id: '1'.repeat(32), hash: 'a'.repeat(64), created_at: now, is_own: true, role: 'control' }],
        viewers: i % 5 ? [] : [{ serial: i + 1, link_id: '1'.repeat(32), address: '192.0.2.8', since: now, role: 'control' }],
        processes: [{ name: 'supervisor', ...aliveProcess() }, { name: 'qemu', pid: 4194301, start_ticks: 1 }],
        steps: { prepare: 12, accelerator: 3, disk: 12, network: 5, folders: 1, script: 1, starting: 80, display: 12 },
        scripts: [],
        folders: [],
        ...more,
    };
}

// Writes records below `snapshots`, which belong to the folder's owner as it were the service; each comes and goes whole,
// for whoever reads them meanwhile. Returns them.
export function writeRecords(snapshots, count, more = () => ({})) {
    const { uid, gid } = fs.statSync(snapshots);
    const staging = fs.mkdtempSync(path.join(path.dirname(snapshots), 'coming-'));
    const records = Array.from({ length: count }, (_, i) => {
        const record = recordOf(i, more(i));
        const folder = path.join(staging, record.id);
        const file = path.join(folder, 'session.json');
        fs.mkdirSync(folder, { mode: 0o700 });
        fs.writeFileSync(file, JSON.stringify(record, null, 1), { mode: 0o600 });
        fs.chownSync(folder, uid, gid);
        fs.chownSync(file, uid, gid);
        fs.renameSync(folder, path.join(snapshots, record.id));
        return record;
    });
    fs.rmdirSync(staging);
    return records;
}

export function removeRecords(snapshots, records) {
    const staging = fs.mkdtempSync(path.join(path.dirname(snapshots), 'going-'));
    for (const { id } of records)
        fs.renameSync(path.join(snapshots, id), path.join(staging, id));
    fs.rmSync(staging, { recursive: true });
}

// For writeRecords: some of them wait for a place. The end of a real session would start them, unless the service is full.
export const someQueued = (i) => (i % 9 === 8 ? { state: 'queued' } : {});

// Samples of the last `hours` as core/samples.h keeps them; those for which `isThere` says no are a gap.
export function samplesOf(hours, isThere = () => true) {
    const slot = Math.floor(Date.now() / 300000);
    const wave = (i, least, most, length) => least + (most - least) * (0.5 + 0.5 * Math.sin(i / length));
    const samples = [];
    let busy = 100000;
    for (let i = 0; i < hours * 12; i++) {
        busy += Math.round(60000 * wave(i, 0.05, 0.9, 31));
        if (isThere(i))
            samples.push([(slot - hours * 12 + i) * 300 + 2, wave(i, 0.1, 2.3, 23), busy, 200000 + i * 60000,
                          Math.round(wave(i, 4000, 15000, 47)), 60000 + i * 40, Math.round(wave(i, 2, 14, 40)), 0]);
    }
    return { schema: 1, samples };
}
