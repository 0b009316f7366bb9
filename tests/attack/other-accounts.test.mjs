// SPDX-License-Identifier: AGPL-3.0-or-later
// Another account of the host looks for what belongs to users of the service.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Browser, LoginService } from '../lib/login-service.mjs';
import { noteDisk, notepad } from '../lib/machines.mjs';
import { isRoot } from '../lib/programs.mjs';

const service = new LoginService();
const image = (...names) => service.path('service/machines', ...names);

before(async () => {
    await service.start({ settings: { session_save: 'owner', snapshot_keep: '1h' }, machines: { 'base.qcow2': '' } });
    const raw = service.path('home/raw');
    fs.writeFileSync(raw, noteDisk());
    assert.equal(spawnSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, image('base.qcow2')]).status, 0);
});
after(() => service.end());

// What an account that has nothing to do with the service can read or list of its folders.
function readable() {
    const folders = ['service', 'run'].map((name) => service.path(name));
    const found = spawnSync('setpriv', ['--reuid=nobody', '--regid=nogroup', '--clear-groups', 'find', ...folders,
                                        '-readable', '-not', '-type', 'l', '-printf', '%P\n'], { encoding: 'utf8' });
    return found.stdout.split('\n').filter(Boolean).sort();
}

const saved = async (user, id, name) => {
    assert.equal((await user.submit({ session_save: id, save_name: name }, { Accept: 'text/html' })).status, 303);
    const record = await service.until(id, ({ save_state: state, save_name: as }) =>
        as.includes(name) && ['done', 'failed'].includes(state));
    assert.equal(record.save_state, 'done', record.save_reason);
};

test('users\' sessions, disks, machines and logs can be read by the service account alone', { skip: !isRoot && 'needs root' }, async () => {
    const alice = await new Browser(service).login('alice');
    const { id } = await alice.createRunning({ machine: 'base.qcow2' });
    await service.printed(id, /BOOTED /);
    await notepad(service.serial(id)).write('secret');
    await saved(alice, id, 'course');
    const ofAdministrators = readable().filter((name) => /^(machines|machines\/base\.qcow2|snapshots)$/.test(name));
    assert.ok(ofAdministrators.includes('machines/base.qcow2'), 'the account gets there');
    assert.deepEqual(readable(), ofAdministrators, 'while it runs');

    process.kill(service.process(service.record(id), 'supervisor'), 'SIGTERM');
    await service.until(id, ({ kept_until: until }) => until > 0);
    await saved(alice, id, 'late');
    assert.deepEqual(readable(), ofAdministrators, 'when its disk is kept');
    assert.deepEqual(fs.readdirSync(image('saved.d')).sort(), ['alice:course.qcow2.ini', 'alice:late.qcow2.ini']);
    assert.equal((await alice.submit({ session_discard: id })).status, 303);
});

test('what earlier versions left open is closed by clean, and links of administrators stay', { skip: !isRoot && 'needs root' }, async () => {
    const [folder, entry, disk] = [image('saved.d'), image('saved.d/alice:course.qcow2.ini'), image('alice:course.qcow2')];
    fs.chmodSync(folder, 0o755);
    fs.chmodSync(entry, 0o644);
    fs.chmodSync(disk, 0o644);
    const elsewhere = service.path('home/elsewhere');
    fs.writeFileSync(elsewhere, 'x', { mode: 0o644 });
    fs.symlinkSync(elsewhere, image('alice:linked.qcow2'));
    fs.writeFileSync(image('saved.d/alice:linked.qcow2.ini'), '[alice:linked.qcow2]\nusers=alice\n', { mode: 0o600 });
    service.give('home', 'service/machines/saved.d');
    const cleaned = await service.control('clean');
    assert.equal(cleaned.code, 0, cleaned.err);
    assert.match(cleaned.out, /^Closed 3 files of users' machines to other accounts\.$/m);
    for (const file of [folder, entry, disk])
        assert.equal(fs.statSync(file).mode & 0o077, 0, path.basename(file));
    assert.equal(fs.statSync(elsewhere).mode & 0o777, 0o644);
    assert.doesNotMatch((await service.control('clean')).out, /Closed/);
});
