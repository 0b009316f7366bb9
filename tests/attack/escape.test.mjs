// SPDX-License-Identifier: AGPL-3.0-or-later
// Somebody has taken over a session's QEMU: a library that comes first tries what belongs to another session, to the
// service and to its users. The same attempts succeed without qemu_confine, so each of them is one.
// Cores: 1

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { before, test } from 'node:test';
import { sh, top } from '../lib/files.mjs';
import { bootDisk } from '../lib/machines.mjs';
import { account, asAccount, isRoot } from '../lib/programs.mjs';
import { useSharedService } from '../lib/service.mjs';

const asTheAccount = (...words) => sh(asAccount[0], ...asAccount.slice(1), ...words);
let library, other;

const service = useSharedService({ settings: { service_max_load: 0 } }, async () => {
    fs.writeFileSync(path.join(service.machines, 'boot.raw'), bootDisk());
    fs.writeFileSync(path.join(service.machines, 'other.raw'), bootDisk());
    fs.appendFileSync(service.path('etc/machines.conf'), '[boot.raw]\n[other.raw]\n');
    library = service.path('escape.so');
    sh('gcc', '-shared', '-fPIC', '-o', library, path.join(top, 'tests/attack/escape.c'));
    other = await service.createRunning({ machine: 'other.raw', user: 'bob' });
});

before(() => assert.ok(isRoot, 'the service runs as its account'));

// What the account may do, and a session must not. The victims are made anew each time.
function attempts() {
    const of = (name) => path.join(service.snapshots, other.id, name);
    const login = service.path('service/login/victim'), secret = service.path('etc/secret'), folder = service.path('folder-of-bob');
    asTheAccount('mkdir', '-p', path.dirname(login));
    fs.writeFileSync(secret, '');
    sh('chown', account, secret);
    for (const file of [login, of('victim'), of('removed'), of('opened'), secret])
        asTheAccount('sh', '-c', `echo ${'secret'.repeat(10)} >"${file}" && chmod 600 "${file}"`);
    fs.mkdirSync(folder, { recursive: true });
    const qemu = service.process(other, 'qemu');
    return [
        ['read', of('disk.qcow2')], ['write', of('disk.qcow2')], ['write', of('session.json')], ['truncate', of('victim')],
        ['remove', of('removed')], ['chmod', of('opened')], ['make', path.join(service.snapshots, 'made')],
        ['list', service.snapshots], ['list', service.machines], ['read', path.join(service.machines, 'other.raw')],
        ['list', service.path('run')], ['connect', path.join(service.path('run'), other.id, 'vnc')],
        ['plant', path.join(service.path('run'), other.id, 'vnc')],
        ['read', login], ['read', secret], ['list', folder],
        ['list', '/proc'], ['read', `/proc/${qemu}/cmdline`], ['read', '/proc/net/unix'],
        ['signal', qemu], ['queue', qemu],
        ['netlink', '-'], ['internet', '-'], ['ring', '-'],
    ].map((words) => words.join(' '));
}

// The results, by attempt, of a session whose QEMU does this.
async function escape(list, settings) {
    const program = service.path('taken-over');
    fs.writeFileSync(program, `#!/bin/sh\nexec env LD_PRELOAD='${library}' QWD_ESCAPE='${list.join('\n')}' qemu-system-x86_64 "$@"\n`,
                     { mode: 0o755 });
    const session = await service.createRunning({ machine: 'boot.raw', user: 'alice' }, {
        qemu_exec: program, metrics_token_file: service.path('etc/secret'), ...settings,
    });
    await service.printed(session.id, /BOOTED/);
    const log = fs.readFileSync(path.join(service.snapshots, session.id, 'qemu.log'), 'utf8');
    await service.stop(session.id);
    await service.ended(session.id);
    return Object.fromEntries([...log.matchAll(/^ESCAPE (.*): (\w+)$/mg)].map(([, what, result]) => [what, result]));
}

const expected = (list, result) => Object.fromEntries(list.map((what) => [what, result(what)]));

test('whoever takes over QEMU has its session alone', async () => {
    fs.writeFileSync(service.path('etc/folders.conf'), `[bobs]\npath=${service.path('folder-of-bob')}\nuser=bob\n`);
    const list = attempts(), results = await escape(list, {});
    const reasons = { netlink: 'EAFNOSUPPORT', internet: 'EAFNOSUPPORT', ring: 'ENOSYS' };
    for (const what of ['chmod', 'signal', 'queue'])
        reasons[what] = 'EPERM';
    assert.deepEqual(results, expected(list, (what) => reasons[what.split(' ')[0]] ?? 'EACCES'));
});

test('without qemu_confine, the same attempts succeed', async () => {
    const list = attempts();
    assert.deepEqual(await escape(list, { qemu_confine: 'no' }), expected(list, () => 'done'));
});
