// SPDX-License-Identifier: AGPL-3.0-or-later
// qwdctl gpu and gpu-unlock on machines of tests/fixtures/sysfs, in a folder that stands for /. What they print and
// write is compared with tests/fixtures/gpu/NAME.txt.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { assertGolden, build, tempFolder } from '../lib/files.mjs';
import { makeSysfs } from '../lib/sysfs.mjs';

const modules = '/etc/initramfs-tools/modules';
const files = {
    '/etc/default/grub': 'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\n',
    '/etc/default/grub.d/README': '',
    [modules]: '# List of modules that you want to include in your initramfs.\ndm_mod',
    '/etc/modprobe.d/mdadm.conf': 'options md_mod start_ro=1\n',
    '/etc/udev/rules.d/README': '',
    '/etc/security/limits.d/README': '',
    '/etc/systemd/system/README': '',
    '/lib/systemd/system/apache2.service': '[Service]\n',
};

// A Debian with this machine's devices.
function debian(t, machine, { cpu = 'GenuineIntel', without = [] } = {}) {
    const root = makeSysfs(tempFolder(t), machine);
    for (const [name, content] of Object.entries({ ...files, '/proc/cpuinfo': `vendor_id\t: ${cpu}\n` }))
        put(root, name, content);
    for (const name of ['update-initramfs', 'update-grub'])
        put(root, `/usr/sbin/${name}`, `#!/bin/sh\necho "${name}\${*:+ $*}" >>'${root}/commands'\n`, 0o755);
    without.forEach((name) => fs.rmSync(path.join(root, name)));
    return root;
}

function put(root, name, content, mode = 0o644) {
    fs.mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
    fs.writeFileSync(path.join(root, name), content, { mode });
}

// Runs qwdctl. The result has code, out and err, where the folder's name is left out.
function qwdctl(root, ...words) {
    const state = path.join(root, 'service');
    put(root, '/service/settings', '');
    const more = [`--dir_service=${state}`, `--dir_cfg=${state}/run`, '--service_user=www-data'];
    const { status, stdout, stderr } = spawnSync(path.join(build, 'qwdctl'), [...more, ...words], {
        input: '', encoding: 'utf8', env: { PATH: process.env.PATH, QWD_SYSROOT: root, QWD_CONFIG: path.join(state, 'settings') },
    });
    return { code: status, out: stdout.replaceAll(root, ''), err: stderr.replaceAll(root, '') };
}

// Name: content of all files in /etc, and folders.
function etc(root) {
    const all = {};
    for (const name of fs.readdirSync(path.join(root, 'etc'), { recursive: true }).sort()) {
        const file = path.join(root, 'etc', name);
        const { mode } = fs.statSync(file);
        all[name] = fs.statSync(file).isFile() ? `${mode.toString(8)} ${fs.readFileSync(file, 'latin1')}` : 'folder';
    }
    return all;
}

const golden = (name, text) => assertGolden(`gpu/${name}.txt`, text);

const commands = (root) => {
    const file = path.join(root, 'commands');
    return fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trim().split('\n') : [];
};

// --- the list ---

for (const machine of ['nvidia', 'twins', 'shared-group', 'intel', 'nouveau', 'no-iommu', 'mediated', 'virtual-functions']) {
    test(`the list of "${machine}"`, (t) => {
        const root = debian(t, machine);
        const { code, out, err } = qwdctl(root, 'gpu');
        assert.equal(err, '');
        assert.equal(code, 0);
        golden(`list-${machine}`, out);
    });
}

test('the list for programs', (t) => {
    golden('list-json', qwdctl(debian(t, 'mediated'), 'gpu', '--json').out);
    assert.deepEqual(JSON.parse(qwdctl(debian(t, 'nvidia'), 'gpu', '--json', '--service_gpu=no').out)[0].obstacle,
                     'The setting service_gpu is no.');
});

test('a server without a GPU', (t) => {
    const root = tempFolder(t);
    assert.equal(qwdctl(root, 'gpu').out, 'This server has no GPU.\n');
    assert.deepEqual(JSON.parse(qwdctl(root, 'gpu', '--json').out), []);
});

// --- preparing ---

function written(root, before) {
    const after = etc(root);
    return Object.keys(after).filter((name) => after[name] !== before[name] && after[name] !== 'folder'
        && !name.startsWith('qemu-web-desktop/')).map((name) => `==> /etc/${name} ${after[name]}`).join('');
}

test('prepare and undo: what is shown, what is written, and every byte as before', (t) => {
    const root = debian(t, 'nouveau');
    const before = etc(root);
    const prepared = qwdctl(root, 'gpu', '10DE:1e84', '--yes');
    assert.equal(prepared.code, 0, prepared.err);
    golden('prepare-nouveau', prepared.out);
    golden('files-nouveau', written(root, before));
    assert.deepEqual(commands(root), ['update-initramfs -u -k all', 'update-grub']);

    const once = etc(root);
    const again = qwdctl(root, 'gpu', '10de:1e84', '--yes');
    assert.equal(again.code, 0);
    assert.match(again.out, /This server is prepared already: nothing to change\.\n$/);
    assert.deepEqual(etc(root), once, 'twice changes nothing');
    assert.equal(commands(root).length, 2);

    const undone = qwdctl(root, 'gpu-unlock', '--yes');
    assert.equal(undone.code, 0, undone.err);
    golden('unlock-nouveau', undone.out);
    const { 'qemu-web-desktop': own, ...after } = etc(root);
    assert.deepEqual(after, before);
    assert.equal(commands(root).length, 4);
    assert.equal(qwdctl(root, 'gpu-unlock', '--yes').out, 'This server is not prepared for GPUs: nothing to undo.\n');
});

test('AMD, without Apache, without GRUB', (t) => {
    const root = debian(t, 'twins', { cpu: 'AuthenticAMD', without: ['lib/systemd/system/apache2.service', 'usr/sbin/update-grub'] });
    const before = etc(root);
    const prepared = qwdctl(root, 'gpu', '10de:1eb8', '--yes');
    golden('prepare-twins', prepared.out);
    golden('files-twins', written(root, before));
});

test('a second model joins the first; both go at once', (t) => {
    const root = debian(t, 'twins');
    const before = etc(root);
    qwdctl(root, 'gpu', '10de:1eb8', '--yes');
    const second = qwdctl(root, 'gpu', '1a03:2000', '--yes');
    assert.match(second.out, /Note: 0000:02:00\.0 shows this server's own console, which stays dark from then on\./);
    assert.match(second.out, /-options vfio-pci ids=10de:1eb8\n/);
    assert.match(second.out, /\+options vfio-pci ids=10de:1eb8,1a03:2000\n/);
    assert.equal(qwdctl(root, 'gpu-unlock', '--yes').code, 0);
    const { 'qemu-web-desktop': own, ...after } = etc(root);
    assert.deepEqual(after, before);
});

test('what the administrator should know first', (t) => {
    golden('prepare-shared-group', qwdctl(debian(t, 'shared-group'), 'gpu', '1002:67df', '--yes').out);
    golden('prepare-no-iommu', qwdctl(debian(t, 'no-iommu'), 'gpu', '10de:1e84', '--yes').out);
    const twins = debian(t, 'nvidia'); // a sound card elsewhere has the model of the card's own
    fs.writeFileSync(path.join(twins, 'sys/bus/pci/devices/0000:00:1f.6/device'), '0x10f8\n');
    fs.writeFileSync(path.join(twins, 'sys/bus/pci/devices/0000:00:1f.6/vendor'), '0x10de\n');
    assert.match(qwdctl(twins, 'gpu', '10de:1e84', '--yes').out,
                 /Note: 0000:00:1f\.6 NVIDIA Corporation TU104 HD Audio Controller has the model 10de:10f8 as well: /);
});

// --- no ---

test('without a yes nothing is changed', (t) => {
    const root = debian(t, 'nouveau');
    const before = etc(root);
    const { code, err } = qwdctl(root, 'gpu', '10de:1e84');
    assert.equal(code, 4);
    assert.match(err, /Nothing was changed\. To make these changes, add --yes/);
    assert.deepEqual(etc(root), before);
    assert.deepEqual(commands(root), []);
});

test('a model that is none, or not there', (t) => {
    const root = debian(t, 'nouveau');
    assert.match(qwdctl(root, 'gpu', 'nvidia', '--yes').err, /nvidia is not VENDOR:MODEL/);
    assert.match(qwdctl(root, 'gpu', '10de:ffff', '--yes').err, /This server has no GPU of the model 10de:ffff\. See: qwdctl gpu/);
    assert.match(qwdctl(root, 'gpu', '10de:10f8', '--yes').err, /This server has no GPU of the model 10de:10f8/); // it is its sound
    assert.match(qwdctl(root, 'gpu', '10de:1e84', '--yes', '--service_user=nobody-here').err, /There is no account nobody-here here\. See the setting service_user\./);
});

test('a file that was changed by hand: refused, then kept beside', (t) => {
    const root = debian(t, 'nouveau');
    qwdctl(root, 'gpu', '10de:1e84', '--yes');
    fs.appendFileSync(path.join(root, modules), 'by_hand\n');
    const once = etc(root);
    const refused = qwdctl(root, 'gpu-unlock', '--yes');
    assert.notEqual(refused.code, 0);
    assert.match(refused.err, /initramfs-tools\/modules was changed by hand since qwdctl wrote it\. Undo that, or give --force/);
    assert.deepEqual(etc(root), once);
    assert.match(qwdctl(root, 'gpu', '10de:1e84', '--yes').err, /was changed by hand/);
    assert.equal(qwdctl(root, 'gpu-unlock', '--yes', '--force').code, 0);
    assert.equal(fs.readFileSync(path.join(root, modules), 'utf8'), files[modules]);
    assert.match(fs.readFileSync(path.join(root, `${modules}.by-hand`), 'utf8'), /vfio_pci\nby_hand\n$/);
});

test('a file of ours that somebody has removed is no obstacle', (t) => {
    const root = debian(t, 'nouveau');
    const before = etc(root);
    qwdctl(root, 'gpu', '10de:1e84', '--yes');
    fs.rmSync(path.join(root, 'etc/modprobe.d/qemu-web-desktop-gpu.conf'));
    assert.match(qwdctl(root, 'gpu', '10de:1e84', '--yes').out, /\+options vfio-pci/); // made again
    fs.rmSync(path.join(root, 'etc/modprobe.d/qemu-web-desktop-gpu.conf'));
    assert.equal(qwdctl(root, 'gpu-unlock', '--yes').code, 0);
    const { 'qemu-web-desktop': own, ...after } = etc(root);
    assert.deepEqual(after, before);
});

test('a command that fails is run again the next time', (t) => {
    const root = debian(t, 'nouveau');
    const program = path.join(root, 'usr/sbin/update-grub');
    const good = fs.readFileSync(program);
    fs.writeFileSync(program, '#!/bin/sh\necho "no room" >&2\nexit 1\n');
    const failed = qwdctl(root, 'gpu', '10de:1e84', '--yes');
    assert.notEqual(failed.code, 0);
    assert.match(failed.err, /The files are written, and then: .*no room/);
    fs.writeFileSync(program, good);
    const again = qwdctl(root, 'gpu', '10de:1e84', '--yes');
    assert.equal(again.code, 0, again.err);
    assert.deepEqual(commands(root).slice(-2), ['update-initramfs -u -k all', 'update-grub']);
    assert.match(qwdctl(root, 'gpu', '10de:1e84', '--yes').out, /nothing to change/);
});

test('what cannot be kept is not overwritten; a lost old copy is said', (t) => {
    const root = debian(t, 'nouveau');
    put(root, modules, 'a\0b\n');
    assert.match(qwdctl(root, 'gpu', '10de:1e84', '--yes').err, /modules is not a text file/);
    assert.equal(fs.readFileSync(path.join(root, modules), 'latin1'), 'a\0b\n');
    put(root, modules, 'dm_mod\n');
    assert.equal(qwdctl(root, 'gpu', '10de:1e84', '--yes').code, 0);
    fs.rmSync(path.join(root, 'etc/qemu-web-desktop/gpu/etc_initramfs-tools_modules'));
    assert.match(qwdctl(root, 'gpu-unlock', '--yes').err, /the old copy of \/etc\/initramfs-tools\/modules, cannot be read/);
});
