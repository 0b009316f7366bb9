// SPDX-License-Identifier: AGPL-3.0-or-later
// Folders of the server in machines, seen from both sides: which folders a session has, what its guest can read and write, and
// that no link leads out of them. One Linux guest shows what a guest sees; the other rows run a boot sector.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { bootDisk, tinyFolder } from '../lib/machines.mjs';
import { account, descriptorsOf, isRoot } from '../lib/programs.mjs';
import { useService } from '../lib/service.mjs';
import { fullTest, isFull } from '../lib/tiers.mjs';

const tiny = tinyFolder();
const checker = '#!/bin/sh\nuser=$(tr "\\0" "\\n" | head -n 1)\nprintf \'{"user": "%s", "groups": ["%s"]}\' "$user" "${user%%-*}"\n';

const service = useService({
    images: { 'tiny.iso': path.join(tiny, 'tiny.iso'), 'other.iso': path.join(tiny, 'tiny.iso') },
    machines: { 'boot.raw': '' },
}, () => {
    fs.writeFileSync(service.path('service/machines/boot.raw'), bootDisk());
    service.checker = service.shim('checker', checker);
    for (const name of ['course', 'results', 'class', 'course/deeper'])
        fs.mkdirSync(service.path(name));
    fs.writeFileSync(service.path('secret'), 'SECRET\n');
    fs.writeFileSync(service.path('course/text'), 'from the server\n');
    fs.symlinkSync(service.path('secret'), service.path('course/link')); // as a user with access to the folder could plant
    fs.symlinkSync(service.root, service.path('course/deeper/way-out'));
    fs.symlinkSync(service.path('course'), service.path('course-link'));
    if (isRoot)
        service.give('results');
    fs.writeFileSync(service.path('etc/folders.conf'), `
[results]
path = ${service.path('results')}
write = yes
machine = tiny.*
[class]
path = ${service.path('class')}
group = teacher
`);
});

const folderSettings = () => ({ check_user_custom: service.checker, dir_users: service.path('service/users'), dir_mounts: `course=${service.path('course')}` });

async function start(user, machine = 'boot.raw', settings = {}, chosen = null) {
    const memory = machine === 'boot.raw' ? '64M' : '256M';
    const fields = new URLSearchParams({ create: 'Create', machine, memory, user, password: 'x', ...(chosen ? { folders: 'yes' } : {}) });
    chosen?.forEach((name) => fields.append('folder', name));
    const answer = await service.json('POST', fields.toString(), { ...folderSettings(), ...settings });
    assert.equal(answer.status, 200, JSON.stringify(answer));
    return service.state(answer.session.id, 'running');
}

async function mounted(record) {
    const { scripts: [mount] } = await service.until(record.id, ({ scripts }) => ['done', 'failed'].includes(scripts[0].state));
    assert.equal(mount.name, 'folders');
    assert.equal(mount.exit_code, 0, mount.output);
    return { shell: await service.shell(record.id), folders: mount.output.trim().split('\n').sort() };
}

async function stop(record, user) {
    const QWD_OVERRIDES = Object.entries(folderSettings()).map(([key, value]) => `${key}=${value}\n`).join('');
    await service.post({ session_stop: record.id, user, password: 'x' }, { QWD_OVERRIDES });
    await service.ended(record.id);
    await service.assertNothingLeft(record);
}

test('a user has the folders for this user and machine, and no way out of them', async () => {
    const record = await start('teacher-1', 'tiny.iso');
    const { shell, folders } = await mounted(record);
    assert.deepEqual(folders, ['/mnt/class', '/mnt/course', '/mnt/personal', '/mnt/results']);

    // read-only folders
    assert.equal(await shell.text('cat /mnt/course/text'), 'from the server');
    for (const command of ['echo x > /mnt/course/new', 'echo x >> /mnt/course/text', 'rm /mnt/course/text', 'mkdir /mnt/course/d',
                           'mount -o remount,rw /mnt/course; chmod 777 /mnt/course/text', 'mv /mnt/course/text /mnt/course/t'])
        assert.notEqual((await shell.run(`${command} 2> /dev/null`)).status, 0, command);
    assert.deepEqual(fs.readdirSync(service.path('course')).sort(), ['deeper', 'link', 'text']);

    // links of the host
    for (const name of ['course/link', 'course/deeper/way-out/secret', 'course/../secret', 'course/deeper/../../secret'])
        assert.equal(await shell.text(`cat /mnt/${name} 2> /dev/null`), '', name);

    // files of the guest belong to the service account, and its links are no links on the host
    assert.equal((await shell.run(`echo kept > /mnt/personal/file && chown 7:7 /mnt/personal/file && chmod 4777 /mnt/personal/file`)).status, 0);
    assert.equal((await shell.run(`ln -s ${service.path('secret')} /mnt/personal/out && ln -s / /mnt/results/root`)).status, 0);
    assert.equal(await shell.text(`cat /mnt/personal/out 2> /dev/null; cat /mnt/results/root${service.path('secret')} 2> /dev/null`), '');
    assert.equal(await shell.text('stat -c "%u %a" /mnt/personal/file; readlink /mnt/results/root'), '7 4777\n/');
    const own = service.path('service/users/teacher-1');
    assert.equal(fs.readFileSync(path.join(own, 'file'), 'utf8'), 'kept\n');
    assert.ok(fs.lstatSync(path.join(own, 'out')).isFile() && fs.lstatSync(service.path('results/root')).isFile());
    assert.equal(fs.statSync(path.join(own, 'file')).mode & 0o7177, 0o600 & 0o7177, 'no rights on the host');
    assert.equal(fs.statSync(own).mode & 0o777, 0o700);
    assert.equal(fs.statSync(path.join(own, 'file')).uid, Number(spawnSync('id', ['-u', account], { encoding: 'utf8' }).stdout));

    // a link that appears in a folder in use
    fs.rmSync(path.join(own, 'file'));
    fs.symlinkSync(service.path('secret'), path.join(own, 'file'));
    assert.doesNotMatch(await shell.text('cat /mnt/personal/file 2> /dev/null'), /SECRET/);
    assert.notEqual((await shell.run('echo x > /mnt/personal/file')).status, 1 - 1);
    assert.equal(fs.readFileSync(service.path('secret'), 'utf8'), 'SECRET\n');
    fs.rmSync(path.join(own, 'file'));
    assert.equal((await shell.run('echo kept > /mnt/personal/kept')).status, 0);
    const page = await service.json('POST', { session: record.id, user: 'teacher-1', password: 'x' }, folderSettings());
    assert.deepEqual(page.session.folders.list.find(({ name }) => name === 'course'), { name: 'course', writable: false });
    await stop(record, 'teacher-1');

    // the next session has the same personal folder, read-only while it is too full; what a link leads to does not count
    fs.writeFileSync(path.join(own, 'large'), Buffer.alloc(3 * 1024 * 1024, 1));
    const next = await start('teacher-1', isFull ? 'other.iso' : 'boot.raw', { dir_users_quota: '2M' });
    assert.match(next.note, /^Your personal folder takes 3 MB, and may take 2 MB: in this session it can only be read\. Ask /);
    assert.deepEqual(next.folders.map(({ name }) => name).sort(), ['class', 'course', 'personal']);
    assert.equal(next.folders.find(({ name }) => name === 'personal').writable, false);
    assert.deepEqual(sharedFolder(next, 'personal'), { path: own, isReadOnly: true });
    if (isFull)
        await assertPersonalIsReadOnly(next);
    await stop(next, 'teacher-1');
});

async function assertPersonalIsReadOnly(record) {
    const { shell, folders } = await mounted(record);
    assert.deepEqual(folders, ['/mnt/class', '/mnt/course', '/mnt/personal']);
    assert.notEqual((await shell.run('echo x > /mnt/personal/new || rm /mnt/personal/large')).status, 0);
    assert.equal(await shell.text('cat /mnt/personal/kept; readlink /mnt/personal/out'), `kept\n${service.path('secret')}`);
}

// A folder as QEMU shares it.
function sharedFolder(record, name) {
    const pid = service.process(record, 'qemu');
    const words = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    const { fsdev } = JSON.parse(words.find((word) => word.includes(`"mount_tag":"host_${name}"`)));
    const option = words.find((word) => word.startsWith(`local,id=${fsdev},`));
    const [, fd] = option.match(/,path=\/proc\/self\/fd\/(\d+),/);
    return { path: new Map(descriptorsOf(pid)).get(fd), isReadOnly: option.endsWith(',readonly=on') };
}

test('a user whose name would lead out of the users\' folder has a folder in it', async () => {
    const record = await start('..', 'tiny.iso');
    assert.deepEqual(record.folders.map(({ name }) => name).sort(), ['course', 'personal', 'results']);
    assert.ok(fs.statSync(service.path('service/users/%2E.')).isDirectory());
    assert.deepEqual(sharedFolder(record, 'personal'), { path: service.path('service/users/%2E.'), isReadOnly: false });
    await stop(record, '..');
});

// The row above shows this folder from the host.
fullTest('the guest of a user whose name would lead out of the users\' folder sees that folder', async () => {
    const record = await start('..', 'tiny.iso');
    const { shell, folders } = await mounted(record);
    assert.deepEqual(folders, ['/mnt/course', '/mnt/personal', '/mnt/results']);
    assert.equal(await shell.text('ls -A /mnt/personal'), '');
    assert.equal(await shell.text('ls -d /sys/bus/virtio/drivers/9pnet_virtio/virtio* | wc -l'), '3');
    await stop(record, '..');
});

test('a user may leave folders out', async () => {
    for (const [chosen, has] of [[['course', 'results', 'class', 'none'], ['course']], [['personal'], ['personal']], [[], []]]) {
        const record = await start('student-1', 'boot.raw', {}, chosen);
        assert.deepEqual(record.folders.map(({ name }) => name), has, `${chosen}`);
        assert.equal(record.scripts.length, has.length ? 1 : 0);
        await stop(record, 'student-1');
    }
    // the form for users who have not logged in yet does not choose for them
    const QWD_OVERRIDES = Object.entries(folderSettings()).map(([key, value]) => `${key}=${value}\n`).join('');
    const { text } = await service.get({}, { QWD_OVERRIDES });
    assert.match(text, /name="create"/);
    assert.doesNotMatch(text, /name="folders?"/);
    const refused = await service.json('POST', 'create=Create&machine=boot.raw&user=bob&password=x&folders=yes&folder=../x', folderSettings());
    assert.equal(refused.status, 400);
    assert.match(refused.error.message, /^folder: write the name of a folder/);
});

test('a session without a login has no personal folder, and one without folders no script', async () => {
    const id = await service.create({ machine: 'boot.raw', user: 'teacher-1' }, { dir_users: service.path('service/users') });
    const record = await service.state(id, 'running');
    assert.deepEqual([record.folders, record.scripts], [[], []]);
    await service.stop(id);
    await service.ended(id);
});

test('a session fails for a path with a symbolic link, a missing folder, or a personal folder that others can read', async () => {
    const asked = async (settings, user = 'bob') => {
        const answer = await service.json('POST', { create: 'Create', machine: 'boot.raw', user, password: 'x' }, { ...folderSettings(), ...settings });
        return (await service.ended(answer.session.id)).reason;
    };
    assert.match(await asked({ dir_mounts: service.path('course-link') }), /has a symbolic link/);
    assert.match(await asked({ dir_mounts: `x=${service.path('course-link/deeper')}` }), /has a symbolic link/);
    assert.match(await asked({ dir_mounts: service.path('missing') }), /"missing" cannot be given to the machine\. Cannot open/);
    const users = service.path('service/users');
    fs.symlinkSync(service.path('course'), path.join(users, 'mallory'));
    assert.match(await asked({}, 'mallory'), /"personal" cannot be given to the machine/);
    fs.mkdirSync(path.join(users, 'eve'), { mode: 0o755 });
    assert.match(await asked({}, 'eve'), /must belong to the service account alone/);
});

test('nothing is left', () => service.assertAllGone());
