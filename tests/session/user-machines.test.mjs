// SPDX-License-Identifier: AGPL-3.0-or-later
// Owners save sessions as machines of their own from the page: running sessions, and the retained disks of ended ones. The guest
// is a boot sector that keeps a note on its disk.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { clean } from '../lib/faults.mjs';
import { Browser, LoginService, notice } from '../lib/login-service.mjs';
import { noteDisk, notepad } from '../lib/machines.mjs';
import { isRoot, kill } from '../lib/programs.mjs';
import { untilFiles } from '../lib/wait.mjs';

const html = { Accept: 'text/html' };
const service = new LoginService();
const image = (...names) => service.path('service/machines', ...names);
const settings = { session_save: 'owner', session_save_max: 2, snapshot_keep: '1h' };

before(async () => {
    await service.start({ settings, machines: { 'base.qcow2': 'description=Base\ndisk=scsi\n' } });
    const raw = service.path('home/raw');
    fs.writeFileSync(raw, noteDisk());
    assert.equal(spawnSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, image('base.qcow2')]).status, 0);
    if (isRoot)
        service.give('service/machines/base.qcow2');
});
after(() => service.end());

const login = (user, options) => new Browser(service, options).login(user);

// Starts a session and waits until its guest has printed the note.
async function running(user, machine, note = '') {
    const session = await user.createRunning({ machine });
    await service.printed(session.id, new RegExp(`BOOTED ${note}\\r\\n`));
    return session;
}

const save = (user, id, name, more = {}) => user.submit({ session_save: id, save_name: name, ...more }, html);
const saved = (id) => service.until(id, ({ save_state: state }) => ['done', 'failed'].includes(state));
const page = async (user, id) => (await user.get({ session: id })).text;
const offers = async (user, machine) => (await user.get()).text.includes(`"${machine}"`);

async function stop(user, id) {
    assert.equal((await user.submit({ session_stop: id })).status, 303);
    await service.ended(id);
}

test('an owner saves a session as a machine that no other user has', async () => {
    const [alice, bob, carol] = [await login('alice'), await login('bob'), await login('carol')];
    const session = await running(alice, 'base.qcow2');
    await notepad(service.serial(session.id)).write('first');
    assert.match(await page(alice, session.id), /Name, after alice:/);

    const answer = await save(alice, session.id, 'course', { save_description: 'My <b>course' });
    assert.equal(answer.status, 303, answer.text);
    const record = await saved(session.id);
    assert.equal(record.save_state, 'done', record.save_reason);
    assert.match(await page(alice, session.id), /It is saved as alice:course\.qcow2/);
    const entry = fs.readFileSync(image('saved.d/alice:course.qcow2.ini'), 'utf8');
    assert.match(entry, /^\[alice:course\.qcow2\]\ndescription=My <b>course\n/);
    assert.match(entry, /^disk=scsi$/m);
    assert.match(entry, /^users=alice$/m);

    for (const [user, may] of [[alice, true], [bob, false], [carol, true], [new Browser(service), false]])
        assert.equal(await offers(user, 'alice:course.qcow2'), may);
    const refresh = await service.control('refresh');
    assert.equal(refresh.code, 0, refresh.err);
    const file = fs.readFileSync(refresh.out.trim(), 'utf8');
    assert.ok(file.includes('"base.qcow2"') && !file.includes('alice:'), 'the start page for all users has no machine of one');
    const foreign = await bob.submit({ create: '1', machine: 'alice:course.qcow2' });
    const absent = await bob.submit({ create: '1', machine: 'alice:absent.qcow2' });
    assert.deepEqual([foreign.status, notice(foreign.text).replace('course', 'absent')], [absent.status, notice(absent.text)]);
    assert.equal(foreign.status, 404);

    // a refused name changes nothing
    for (const [name, status, words] of [['course', 409, /already/], ['course.qcow2', 409, /already/], ['', 400, /no name/],
                                         ['a/b', 400, /save_name/], ['a:b', 400, /save_name/], ['x'.repeat(61), 400, /save_name/]]) {
        const refused = await save(alice, session.id, name);
        assert.equal(refused.status, status, name);
        assert.match(refused.text, words);
    }
    assert.equal((await save(bob, session.id, 'x')).status, 404);
    assert.equal((await alice.post({ session_save: session.id, save_name: 'x' })).status, 403, 'without the form\'s token');
    assert.deepEqual(fs.readdirSync(image('saved.d')), ['alice:course.qcow2.ini']);

    // the server ends the session: the retained disk can be saved too
    process.kill(service.process(session, 'supervisor'), 'SIGTERM');
    await service.state(session.id, 'ended');
    await service.until(session.id, ({ kept_until: until }) => until > 0);
    assert.match(await page(alice, session.id), /Name, after alice:/);
    const late = await save(alice, session.id, 'late');
    assert.equal(late.status, 303, late.text);
    assert.equal((await saved(session.id)).save_state, 'done');
    assert.match(await page(alice, session.id), /It is saved as alice:late\.qcow2/);
    const third = await save(alice, session.id, 'third');
    assert.ok(third.status >= 400);
    assert.match(third.text, /alice has 2 saved machines, as many as one may have/);

    for (const machine of ['alice:course.qcow2', 'alice:late.qcow2']) {
        const next = await running(alice, machine, 'first');
        assert.equal(next.plan.disk, 'scsi');
        const refused = await alice.submit({ saved_remove: machine }, html);
        assert.equal(refused.status, 409);
        assert.match(refused.text, /is in use by a session of alice/);
        await stop(alice, next.id);
    }
    assert.equal((await alice.submit({ session_discard: session.id })).status, 303);
    assert.deepEqual(parts(), []);

    // the owner removes a machine that no session uses
    const list = async (user) => (await user.get({ manage: '1' })).text;
    assert.match(await list(alice), /My &lt;b&gt;course[^]*alice:course\.qcow2, [^]*name="saved_remove" value="alice:course\.qcow2"/);
    assert.doesNotMatch(await list(bob), /saved_remove/);
    assert.equal((await bob.submit({ saved_remove: 'alice:course.qcow2' })).status, 404);
    assert.equal((await alice.post({ saved_remove: 'alice:course.qcow2' })).status, 403, 'without the form\'s token');
    assert.equal((await alice.submit({ saved_remove: 'base.qcow2' })).status, 404);
    assert.ok(fs.existsSync(image('alice:course.qcow2')) && fs.existsSync(image('base.qcow2')));
    assert.equal((await alice.submit({ saved_remove: 'alice:course.qcow2' })).status, 303);
    assert.ok(!fs.existsSync(image('alice:course.qcow2')));
    assert.doesNotMatch(await list(alice), /alice:course/);
    assert.ok(!await offers(alice, 'alice:course.qcow2') && await offers(alice, 'alice:late.qcow2'));
});

test('a session and a retained disk whose image was replaced are not saved on the new image', async () => {
    const alice = await login('alice', { settings: { session_save_max: 0 } });
    const session = await running(alice, 'base.qcow2');
    await notepad(service.serial(session.id)).write('first');
    const aside = service.path('home/aside'), other = service.path('home/other');
    fs.copyFileSync(image('base.qcow2'), other);
    if (isRoot)
        service.give('home/other');
    fs.renameSync(image('base.qcow2'), aside);
    fs.renameSync(other, image('base.qcow2'));
    assert.equal((await save(alice, session.id, 'alone')).status, 303);
    const record = await saved(session.id);
    assert.equal(record.save_state, 'done', record.save_reason);
    const { stdout } = spawnSync('qemu-img', ['info', '--output=json', image('alice:alone.qcow2')], { encoding: 'utf8' });
    assert.equal(JSON.parse(stdout)['backing-filename'], undefined);

    process.kill(service.process(session, 'supervisor'), 'SIGTERM');
    await service.state(session.id, 'ended');
    await service.until(session.id, ({ kept_until: until }) => until > 0);
    const refused = await save(alice, session.id, 'x');
    assert.equal(refused.status, 409);
    assert.match(refused.text, /The image of base\.qcow2 has been changed since/);
    fs.renameSync(aside, image('base.qcow2'));
    assert.equal((await alice.submit({ session_discard: session.id })).status, 303);
    const next = await running(alice, 'alice:alone.qcow2', 'first');
    await stop(alice, next.id);
    assert.equal((await alice.submit({ saved_remove: 'alice:alone.qcow2' })).status, 303);
    assert.deepEqual(parts(), []);
});

const parts = () => fs.readdirSync(image()).filter((name) => name.endsWith('.part'));

test('qwdctl clean removes the parts of a killed supervisor and of a killed copy; the disk of a failed session can be saved', async () => {
    const alice = await login('alice');
    const session = await alice.createRunning({ machine: 'base.qcow2' });
    const processOf = (name) => service.record(session.id).processes.find((one) => one.name === name).pid;
    process.kill(processOf('qemu'), 'SIGSTOP'); // it does not answer, so the copy does not end
    assert.equal((await save(alice, session.id, 'cut')).status, 303);
    await untilFiles([image()], () => parts().length, 'a part');
    assert.deepEqual(parts(), ['.alice:cut.qcow2.part']);
    await kill(processOf('supervisor'));
    await clean(service);
    assert.deepEqual(parts(), []);
    await service.state(session.id, 'failed');

    const gate = service.path('home/gate');
    assert.equal(spawnSync('mkfifo', ['-m', '666', gate]).status, 0);
    const cutCopy = async (notice) => {
        const copier = service.shim('qemu-img', `#!/bin/sh
[ "$1" = convert ] || exec /usr/bin/qemu-img "$@"
for part; do :; done
echo half > "$part"
exec cat ${gate}
`);
        try {
            assert.equal((await save(alice, session.id, 'cut')).status, 303);
            await untilFiles([image()], () => parts().length, 'a part');
            assert.match(await page(alice, session.id), /is being saved/);
            await kill(service.record(session.id).processes.find(({ name }) => name === 'save').pid);
        } finally {
            fs.rmSync(copier);
            fs.closeSync(fs.openSync(gate, 'r+')); // its reader goes on
        }
        await notice();
        assert.deepEqual(parts(), []);
        assert.match(await page(alice, session.id), /Copying the disk was interrupted/);
    };
    await cutCopy(async () => assert.match(await clean(service), /Gave up saving .* as alice:cut\.qcow2/));
    await cutCopy(() => page(alice, session.id)); // so does whoever looks at it

    // nothing prevents another try, although the session has failed
    assert.equal((await save(alice, session.id, 'cut')).status, 303);
    assert.equal((await saved(session.id)).save_state, 'done');
    assert.equal((await alice.submit({ session_discard: session.id })).status, 303);
    const next = await running(alice, 'alice:cut.qcow2');
    await kill(service.process(next, 'qemu'));
    await service.state(next.id, 'failed');
    await service.until(next.id, ({ kept_until: until }) => until > 0);
    assert.match(await page(alice, next.id), /session_resume/);
    assert.equal((await alice.submit({ session_discard: next.id })).status, 303);
});

test('saving is refused where session_save is off, and without enough disk space', async () => {
    const alice = await login('alice', { settings: { session_save: 'no' } });
    const { id } = await alice.createRunning();
    assert.doesNotMatch(await page(alice, id), /Save as a machine/);
    const refused = await save(alice, id, 'x');
    assert.equal(refused.status, 403);
    assert.match(refused.text, /does not let users save/);
    if (isRoot) // only root can mount a small disk
        await saveWithoutRoom(id);
    assert.equal(service.record(id).save_state, '');
    await stop(alice, id);
});

async function saveWithoutRoom(id) {
    const machines = service.path('service/small');
    fs.mkdirSync(machines);
    assert.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4k', 'tmpfs', machines]).status, 0);
    try {
        service.give('service/small');
        fs.writeFileSync(path.join(machines, 'full'), 'x'.repeat(4096));
        const alice = await login('alice', { settings: { session_save_max: 0, dir_machines: machines } });
        const refused = await save(alice, id, 'x');
        assert.ok(refused.status >= 400);
        assert.match(refused.text, /The image needs .* where .* are free/);
    } finally {
        spawnSync('umount', [machines]);
    }
}

test('nothing is left', () => service.assertAllGone());
