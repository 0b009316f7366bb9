// SPDX-License-Identifier: AGPL-3.0-or-later
// Guests and QEMUs that write without end, the logs of ended sessions, qwdctl log, rotation by the real logrotate, syslog.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { bootDisk } from '../lib/machines.mjs';
import { account, isRoot, processGone, readUntil } from '../lib/programs.mjs';
import { useService } from '../lib/service.mjs';
import { untilFiles } from '../lib/wait.mjs';

const MiB = 1024 * 1024;
const service = useService({ settings: { session_log_max: '1M' } }, (s) => {
    fs.writeFileSync(s.path('service/machines/flood.img'), floodDisk());
    fs.writeFileSync(s.path('service/machines/boot.img'), bootDisk());
    fs.appendFileSync(s.path('etc/machines.conf'), '[flood.img]\n[boot.img]\n');
});
const qwdctl = (...words) => service.control(...words);

// A disk of 4 MiB whose first sector writes on the first serial port without end: ESC [ 2 J and line ends among it.
function floodDisk() {
    const code = Buffer.from('31c0' + '8ed8' + 'fc'         // ax = ds = 0, forwards
        + 'be147c'                                          // start: si = text
        + 'ac' + '84c0' + '74f8' + 'baf803' + 'ee' + 'ebf5' // a character to port 0x3f8; start again at 0
        + '90', 'hex');
    const disk = Buffer.alloc(4 * MiB);
    Buffer.concat([code, Buffer.from('flooding \x1b[2J\r\n\0')]).copy(disk);
    disk.writeUInt16LE(0xaa55, 510);
    return disk;
}

const sizes = (folder, name) => [name, `${name}.1`].map((file) => fs.statSync(path.join(folder, file), { throwIfNoEntry: false })?.size ?? 0);

// Waits until a log has been rotated so many times. Returns the largest size that it had.
async function exchanged(folder, name, count) {
    let previous, exchanges = 0, most = 0;
    await untilFiles([folder], () => {
        const [now, older] = sizes(folder, name);
        const inode = fs.statSync(path.join(folder, `${name}.1`), { throwIfNoEntry: false })?.ino;
        most = Math.max(most, now + older);
        exchanges += inode !== undefined && inode !== previous;
        previous = inode;
        return exchanges >= count;
    }, `${name} has begun anew ${count} times`);
    return most;
}

const cpuSeconds = (pid) => {
    const fields = fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').pop().split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100;
};

const kept = (id, ...names) => path.join(service.path('service/logs'), id, ...names);

function assertPrivate(file, mode) {
    const st = fs.statSync(file);
    assert.equal(st.mode & 0o777, mode, file);
    if (isRoot)
        assert.equal(st.uid, Number(spawnSync('id', ['-u', account], { encoding: 'utf8' }).stdout), file);
}

// --- floods ---

test('the log of a guest that floods its serial console stays within its limit, and nothing is slowed down', async (t) => {
    const session = await service.createRunning({ machine: 'flood.img' });
    const folder = path.join(service.snapshots, session.id);
    const supervisor = service.process(session, 'supervisor');
    const begin = Date.now(), before = cpuSeconds(supervisor);
    const most = await exchanged(folder, 'serial.log', 3);
    const wall = (Date.now() - begin) / 1000, used = cpuSeconds(supervisor) - before;
    t.diagnostic(`${wall.toFixed(1)} s, the supervisor used ${used.toFixed(2)} s; at most ${most} bytes`);
    assert.ok(most <= MiB, `${most} bytes`);
    assert.ok(used < wall / 4, `the supervisor used ${used} s in ${wall} s`);
    assert.match(fs.readFileSync(path.join(folder, 'serial.log.1'), 'latin1'), /flooding \x1b\[2J\r\n/);

    const serial = service.serial(session.id); // the console itself is still there
    await readUntil(serial, /flooding /);
    serial.destroy();
    assert.equal((await service.rfb(session.control)).name, `QEMU (qwd-${session.id})`, 'the display answers');
    await service.stop(session.id);
    const past = await service.ended(session.id);
    assert.equal(past.state, 'ended');
    await service.assertNothingLeft(session, [session.control]);
    const [now, older] = sizes(kept(session.id), 'serial.log');
    assert.ok(now + older <= MiB && older === MiB / 2);
});

test('the log of a QEMU that floods its messages stays within its limit', async (t) => {
    const flooder = service.shim('qemu-flood', '#!/bin/sh\nyes "qemu: warning" >&2 &\nexec qemu-system-x86_64 "$@"\n');
    const session = await service.createRunning({}, { qemu_exec: flooder });
    const folder = path.join(service.snapshots, session.id);
    const begin = Date.now();
    const most = await exchanged(folder, 'qemu.log', 6);
    t.diagnostic(`6 times half a MiB in ${Date.now() - begin} ms; at most ${most} bytes`);
    assert.ok(most <= MiB, `${most} bytes`);
    assert.ok(Date.now() - begin > 500, 'it is slowed down'); // 4 halves at 3.2 MB/s, and a part of another one
    await service.stop(session.id);
    assert.equal((await service.ended(session.id)).state, 'ended');
    await service.assertNothingLeft(session);
    const [now, older] = sizes(kept(session.id), 'qemu.log');
    assert.ok(now + older <= MiB && older === MiB / 2);
});

// --- logs of ended sessions ---

test('logs are kept after the end, for the service account alone, until their time is over', async () => {
    const session = await service.createRunning({ machine: 'boot.img' });
    const folder = path.join(service.snapshots, session.id);
    await readUntil(service.serial(session.id), /BOOTED/);
    assert.ok(fs.existsSync(path.join(folder, 'serial.log')));
    await service.stop(session.id);
    await service.ended(session.id);
    await service.assertNothingLeft(session);
    assert.match(fs.readFileSync(kept(session.id, 'serial.log'), 'latin1'), /BOOTED\r\n/);
    assertPrivate(kept(session.id), 0o700);
    assertPrivate(kept(session.id, 'serial.log'), 0o600);

    assert.equal((await qwdctl('clean')).out, '');
    assert.ok(fs.existsSync(kept(session.id, 'serial.log')), 'its time is not over');
    const then = Date.now() / 1000 - 7 * 86400 - 60;
    fs.utimesSync(kept(session.id), then, then);
    assert.equal((await qwdctl('clean')).out, '');
    assert.ok(!fs.existsSync(kept(session.id)), 'its time is over');
});

test('logs are kept of a machine that fails, and of a supervisor that is killed', async () => {
    const failing = service.shim('qemu-fails', '#!/bin/sh\necho "qemu: these are my last words" >&2\nexit 1\n');
    const failed = await service.create({}, { qemu_exec: failing });
    assert.match((await service.ended(failed)).reason, /these are my last words/);
    assert.equal(fs.readFileSync(kept(failed, 'qemu.log'), 'utf8'), 'qemu: these are my last words\n');

    const killed = await service.createRunning({ machine: 'boot.img' });
    const file = path.join(service.snapshots, killed.id, 'serial.log');
    await untilFiles([path.dirname(file)], () => fs.existsSync(file) && fs.statSync(file).size > 100, 'lines in serial.log');
    await service.kill(killed, 'supervisor');
    await processGone(service.process(killed, 'qemu'));
    assert.match((await qwdctl('clean')).out, new RegExp(`Ended ${killed.id}`));
    assert.match(fs.readFileSync(kept(killed.id, 'serial.log'), 'latin1'), /BOOTED/);
});

test('no log is kept with session_log_keep = 0', async () => {
    const session = await service.createRunning({ machine: 'boot.img' }, { session_log_keep: '0' });
    await readUntil(service.serial(session.id), /BOOTED/);
    await service.stop(session.id);
    await service.ended(session.id);
    assert.ok(!fs.existsSync(kept(session.id)));
});

// --- qwdctl log ---

test('qwdctl log prints the end of the log, and all logs of a session while it runs and afterwards', async () => {
    const session = await service.createRunning({ machine: 'flood.img' });
    const folder = path.join(service.snapshots, session.id);
    await untilFiles([folder], () => sizes(folder, 'serial.log')[1] > 0, 'a full serial.log');
    const end = await qwdctl('log');
    assert.equal(end.code, 0, end.err);
    assert.match(end.out, new RegExp(`\\] START CPU=1 MEM=64 GPU= USER=\\S* VM=flood.img NAME=${session.id}\n$`));

    const check = async (place) => {
        for (const word of [session.id, session.id.slice(0, 8)]) {
            const { code, out, err } = await qwdctl('log', word);
            assert.equal(code, 0, err);
            assert.ok(out.startsWith(`--- Session ---\n${session.id}\n--- Log ---\n`));
            assert.match(out, /\] START CPU=1 /);
            assert.ok(out.includes(`--- QEMU: ${place}/qemu.log ---\n`));
            assert.ok(out.includes(`--- Serial console: ${place}/serial.log ---\n`));
            assert.match(out, /\nflooding \^\[\[2J\nflooding /);
            assert.doesNotMatch(out, /[\x00-\x08\x0b-\x1f\x7f-\x9f]/, 'no control character reaches the terminal');
            assert.doesNotMatch(out, new RegExp(`NAME=(?!${session.id})`), 'nothing of other sessions');
        }
    };
    await check(folder);
    await service.stop(session.id);
    await service.ended(session.id);
    await check(kept(session.id));
    assert.match((await qwdctl('log', session.id)).out, /\] STOP  CPU=1 .* Stopped by /);
    fs.rmSync(kept(session.id), { recursive: true });
    assert.match((await qwdctl('log', session.id)).out, /STOP {2}CPU=1 [^]*\nNo more is known: the session has ended/);
});

test('qwdctl log refuses a session that does not exist or is not clear', async () => {
    for (const [word, code, pattern] of [
        ['0'.repeat(32), 3, /No session is known whose id is, or begins with, 0{32}\./],
        ['01234567', 3, /No session is known/],
        ['0123456', 2, /not the id of a session, nor its first 8 digits or more/],
        ['../../../etc/passwd', 2, /not the id of a session/],
    ]) {
        const answer = await qwdctl('log', word);
        assert.equal(answer.code, code);
        assert.match(answer.err, pattern);
        assert.equal(answer.out, '');
    }
    const nowhere = await qwdctl('log', '--file_log=/nonexistent/log');
    assert.equal(nowhere.code, 3);
    assert.match(nowhere.err, /\/nonexistent\/log/);
});

// --- rotation ---

// The shipped configuration, for a log in a folder that, as /var/log, belongs to root. logrotate is made to rest after it has
// given a file another name: the moments when there is no log to write to are long enough to be met.
function rotation(folder) {
    const shipped = fs.readFileSync(path.join(path.dirname(service.bin), '../etc/logrotate.d/qemu-web-desktop'), 'utf8');
    assert.match(shipped, /^\/var\/log\/qemu-web-desktop\.log \{/m);
    const configuration = path.join(folder, 'rotate.conf');
    const own = isRoot ? shipped : shipped.replace(/^ *create .*$/m, '    create 0640');
    fs.writeFileSync(configuration, own.replace('/var/log/', `${folder}/`), { mode: 0o644 });
    fs.chmodSync(configuration, 0o644);
    const slowly = ['strace', '-qq', '-o', path.join(folder, 'trace'), '-e', 'trace=rename', '-e', 'inject=rename:delay_exit=50000'];
    return () => service.run([...slowly, '/usr/sbin/logrotate', '--force', '--state', path.join(folder, 'state'), configuration],
                             { asRoot: true });
}

test('lines go to the new file after a rotation, and no line is lost meanwhile', async () => {
    const folder = service.path('var-log');
    const log = path.join(folder, 'qemu-web-desktop.log');
    fs.mkdirSync(folder, { mode: 0o755 });
    spawnSync('install', [...(isRoot ? ['-o', account, '-g', 'adm'] : []), '-m', '640', '/dev/null', log]);
    const rotate = rotation(folder);
    // An end of a session that does not exist is refused, with a line in the log.
    const refuse = async (number) => {
        const answer = await service.request('POST', { session_stop: String(number).padStart(32, '0') },
                                             { QWD_OVERRIDES: `file_log=${log}\n` });
        assert.equal(answer.status, 404);
        return answer.err;
    };
    await refuse(1);
    let done = false, count = 1;
    const writers = [0, 1].map(async (writer) => {
        for (let i = 0; !done; i++, count++)
            assert.equal(await refuse(1000000 * (writer + 1) + i), '', 'the log can be written');
    });
    for (let round = 0; round < 6; round++) {
        const result = await rotate();
        assert.equal(result.code, 0, result.err);
        const size = fs.statSync(log).size;
        await untilFiles([folder], () => fs.statSync(log).size > size, 'a line in the new file');
    }
    done = true;
    await Promise.all(writers);

    const st = fs.statSync(log);
    assert.equal(st.mode & 0o777, 0o640);
    const names = fs.readdirSync(folder).sort();
    assert.ok(names.includes('qemu-web-desktop.log.1') && names.includes('qemu-web-desktop.log.2.gz'), String(names));
    const texts = names.filter((name) => name.startsWith('qemu-web-desktop.log'))
        .map((name) => spawnSync(name.endsWith('.gz') ? 'zcat' : 'cat', [path.join(folder, name)], { encoding: 'utf8' }).stdout);
    // All are still there: the shipped configuration keeps twelve.
    const lines = texts.join('').split('\n').filter(Boolean);
    assert.equal(lines.length, count);
    assert.equal(new Set(lines.map((line) => line.match(/END (\d{32})/)[1])).size, count);
});

// --- syslog ---

// A nearly empty /dev, in a mount namespace of its own, whose programs the service becomes for this test. `script` runs
// there, and has to say that it is ready.
async function ownDev(t, script) {
    const dev = fs.mkdtempSync(service.path('dev-'));
    const mount = 'set -e; mount -t tmpfs -o mode=755 none "$1"\n'
        + 'for f in null zero random urandom; do : >"$1/$f"; mount --bind "/dev/$f" "$1/$f"; done\n'
        + 'mount --rbind "$1" /dev; exec python3 -c "$2"\n';
    const child = spawn('unshare', [isRoot ? '-m' : '-rm', 'sh', '-c', mount, 'sh', dev, script],
                        { stdio: ['pipe', 'pipe', 'inherit'] });
    t.after(async () => {
        service.wrap = [];
        child.kill('SIGKILL');
        await once(child, 'close');
    });
    await readUntil(child.stdout, /ready\n/, 'a /dev of its own');
    service.wrap = ['nsenter', ...(isRoot ? [] : ['-U', '--preserve-credentials']), '-m', '-t', String(child.pid), '--'];
    return child.stdout;
}

// Something is refused, which is a line in the log.
async function refuse(id) {
    const answer = await service.request('POST', { session_stop: id }, { QWD_OVERRIDES: 'log_to=syslog\n' });
    assert.equal(answer.status, 404);
    return answer;
}

test('syslog takes the lines instead of the file', async (t) => {
    const syslog = await ownDev(t, 'import os, socket\n'
        + 's = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind("/dev/log"); os.chmod("/dev/log", 0o666)\n'
        + 'print("ready", flush=True)\n'
        + 'while True: print(s.recv(65536).decode().rstrip("\\0"), flush=True)\n');
    const before = service.log();
    assert.equal((await refuse('f'.repeat(32))).err, '');
    // <29>: facility daemon (3 * 8) and severity notice (5), as in RFC 3164
    await readUntil(syslog, /^<29>\w{3} [ \d]\d [\d:]{8} qemu-web-desktop\[\d+\]: REFUSED USER=\S* FROM=127\.0\.0\.1 WHAT=END f{32} There is no such session.*\n/m);
    assert.equal(service.log(), before, 'the file is left alone');
    const hint = await qwdctl('log', '--log_to=syslog');
    assert.equal(hint.code, 5);
    assert.match(hint.err, /journalctl -t qemu-web-desktop/);
});

test('lines go to standard error when nothing listens to syslog', async (t) => {
    await ownDev(t, 'import sys\nprint("ready", flush=True)\nsys.stdin.read()\n');
    assert.match((await refuse('e'.repeat(32))).err, /^REFUSED USER=.* WHAT=END e{32} /m);
});
