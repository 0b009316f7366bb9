// SPDX-License-Identifier: AGPL-3.0-or-later
// Guests that crash, and clocks that are wrong or are set: the session goes on. (All rows of the fault matrix: lib/faults.mjs)

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { assertOnlyLocksLeft, assertShows, clean, fastQemu, historyOf, stopAll } from '../lib/faults.mjs';
import { readIfThere, replaceFile } from '../lib/files.mjs';
import { tinyFolder } from '../lib/machines.mjs';
import { descriptorsOf, readUntil } from '../lib/programs.mjs';
import { useSharedService } from '../lib/service.mjs';
import { fullTest, isFull } from '../lib/tiers.mjs';

// A disk whose first sector prints BOOTED on the first serial port and then runs `ending`, in machine code.
function crashingDisk(ending) {
    const text = 0x7c13 + ending.length / 2;
    const address = Buffer.from([text & 255, text >> 8]).toString('hex');
    const code = Buffer.from('31c0' + '8ed8' + 'fc'                             // ax = ds = 0, forwards
        + 'be' + address                                                        // si = text
        + 'ac' + '84c0' + '7406' + 'baf803' + 'ee' + 'ebf5' + ending, 'hex');   // a character to port 0x3f8, until one is 0
    const disk = Buffer.alloc(4 * 1024 * 1024);
    Buffer.concat([code, Buffer.from('BOOTED\r\n\0')]).copy(disk);
    disk.writeUInt16LE(0xaa55, 510);
    return disk;
}

const endings = {
    'a triple fault': ['triple.raw', '0f011e007d' + 'cc'],       // an empty table of interrupts, and an interrupt
    'a reboot': ['reboot.raw', 'b0fe' + 'e664' + 'f4' + 'ebfd'], // the keyboard controller resets the processor
};
const crashed = ['crashed.raw', 'fa' + 'f4' + 'ebfd'];               // interrupts off, for ever

const service = useSharedService({
    machines: Object.fromEntries([...Object.values(endings), crashed].map(([name]) => [name, ''])),
    images: isFull ? { 'tiny.iso': path.join(tinyFolder(), 'tiny.iso') } : {},
    settings: { machine: crashed[0] },
}, () => {
    for (const [name, ending] of [...Object.values(endings), crashed])
        fs.writeFileSync(service.path('service/machines', name), crashingDisk(ending));
});

async function stopsWell(session) {
    await stopAll(service, [session.id]);
    assert.match(historyOf(service, session.id)[0].reason, /^Stopped by /);
    await service.assertNothingLeft(session, [session.control, session.view]);
}

describe('guests', { concurrency: true }, () => {
    for (const [what, [machine]] of Object.entries(endings)) {
        test(`the machine starts again after ${what}, and the session goes on`, async () => {
            const session = await service.createRunning({ machine });
            await readUntil(service.serial(session.id), /BOOTED[^]*BOOTED[^]*BOOTED/);
            assert.equal(service.record(session.id).state, 'running');
            await assertShows(service, session.control, session.id);
            await stopsWell(session);
        });
    }

    test('a guest that has crashed still has its screen, and can be stopped', async () => {
        const session = await service.createRunning({ machine: crashed[0] }, { session_stop_grace: '1s' });
        await service.printed(session.id, /BOOTED/);
        assert.equal(service.record(session.id).state, 'running');
        await assertShows(service, session.control, session.id);
        await stopsWell(session);
    });

    // For the service a kernel that has crashed is a processor that does nothing, as in the row above.
    fullTest('a guest whose Linux kernel has crashed still has its screen, and can be stopped', async () => {
        const session = await service.createRunning({ machine: 'tiny.iso', memory: '256M' }, { session_stop_grace: '1s' });
        const shell = await service.shell(session.id);
        shell.socket.write('echo c >/proc/sysrq-trigger\n');
        await readUntil(shell.socket, /Kernel panic - not syncing/);
        assert.equal(service.record(session.id).state, 'running');
        await assertShows(service, session.control, session.id);
        await stopsWell(session);
    });
});

// --- clocks ---

const day = 86400;

// A request by a CGI program whose clock is wrong.
async function withClock(seconds, body) {
    service.cgi = ['env', 'NO_FAKE_STAT=1', 'faketime', '-f', `${seconds < 0 ? '' : '+'}${seconds}s`, service.cgiProgram];
    try {
        return await body();
    } finally {
        service.cgi = [service.cgiProgram];
    }
}

test('a session created with a clock that was ahead goes on, and its pages have no negative times', async () => {
    const session = await withClock(10 * day, () => service.createRunning({}, fastQemu(service)));
    assert.ok(session.created_at > session.started_at);
    for (const fields of [{ session: session.id }, { manage: '1' }]) {
        const page = await service.get(fields);
        assert.equal(page.status, 200);
        assert.doesNotMatch(page.text, /-\d+ (s|min|h|d)|NaN|-\d+ (second|minute|hour|day)/);
    }
    assert.equal(await clean(service), '', 'its supervisor runs');
    await stopsWell(session);
});

test('a session created with a clock that was behind ends at once, with the reason', async () => {
    const id = await withClock(-10 * day, () => service.create({}, fastQemu(service)));
    const { state, reason } = await service.ended(id);
    assert.equal(state, 'ended');
    assert.equal(reason, 'Its life-time was over.');
    await service.assertNothingLeft({ id, processes: [] });
});

test('a clean whose clock is a year ahead or behind leaves a running session alone', async () => {
    const session = await service.createRunning();
    for (const later of [366 * day, -366 * day])
        assert.equal(await clean(service, { later }), '');
    await assertShows(service, session.control, session.id);
    await stopsWell(session);
});

// Supervisors whose clock is in a file.
function clockedLibrary() {
    const library = service.path('lib'), file = service.path('home/clock');
    fs.mkdirSync(library);
    for (const name of fs.readdirSync(service.lib).filter((entry) => entry !== 'qwd-session'))
        fs.symlinkSync(path.join(service.lib, name), path.join(library, name));
    fs.writeFileSync(file, '+0s\n');
    fs.writeFileSync(path.join(library, 'qwd-session'), `#!/bin/sh
export FAKETIME_TIMESTAMP_FILE=${file} FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 NO_FAKE_STAT=1
exec env LD_PRELOAD=libfaketime.so.1 LD_LIBRARY_PATH=$(echo /usr/lib/*/faketime) ${service.lib}/qwd-session "$1"
`, { mode: 0o755 });
    return { library, set: (seconds) => replaceFile(file, `${seconds < 0 ? '' : '+'}${seconds}s\n`) };
}

test('a running session goes on when the clock is set, and its times stay in order', async () => {
    const { library, set } = clockedLibrary();
    const qemu_exec = service.shim('qemu-unclocked', '#!/bin/sh\nunset LD_PRELOAD\nexec qemu-system-x86_64 "$@"\n');
    const session = await service.createRunning({}, { qemu_exec, dir_lib: library, snapshot_lifetime: '3d' });
    for (const seconds of [day, -day, 0]) {
        set(seconds);
        const viewer = await service.rfb(session.control);
        await service.until(session.id, (record) => record.viewers.length === 1);
        viewer.socket.destroy();
        await service.until(session.id, (record) => record.viewers.length === 0);
        assert.equal(service.record(session.id).state, 'running');
    }
    set(day);
    await service.stop(session.id);
    const past = await service.ended(session.id);
    assert.match(past.reason, /^Stopped by /);
    assert.ok(past.ended_at - session.ready_at > day - 60, 'its clock was the one that was set');
    assert.ok(Object.values(past.steps).every((ms) => ms >= 0 && ms < 3600000));
});

// A test cannot set the clock of the host: that the kernel follows it is not tested.
test('the timer of the life-time follows the clock of the host', async () => {
    const session = await service.createRunning({}, fastQemu(service));
    const pid = service.process(session, 'supervisor');
    const read = () => descriptorsOf(pid).filter(([, target]) => target.includes('timerfd'))
        .map(([fd]) => readIfThere(`/proc/${pid}/fdinfo/${fd}`));
    let timers = read();
    // With each change of the record it is set anew, the last of its start among them.
    for (let tries = 0; tries < 100 && (timers.length !== 1 || !timers[0]); tries++) {
        await service.get({ session: session.id });
        timers = read();
    }
    assert.equal(timers.length, 1);
    assert.match(timers[0], /^clockid: 0$/m, 'CLOCK_REALTIME');
    assert.match(timers[0], /^settime flags: 01$/m, 'TFD_TIMER_ABSTIME');
    await stopsWell(session);
    await assertOnlyLocksLeft(service);
});
