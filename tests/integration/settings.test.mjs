// SPDX-License-Identifier: AGPL-3.0-or-later
// What qwdctl says of settings with which no session could start, and of settings that nothing can be read from.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, beforeEach, describe, test } from 'node:test';
import { Root } from '../lib/qwdctl.mjs';

let root;
before(() => (root = new Root()));
after(() => root.end());
beforeEach(() => {
    root.reset();
    for (const name of fs.readdirSync(root.path('home')))
        fs.rmSync(root.path('home', name), { recursive: true });
    fs.rmSync(root.path('etc/scripts.conf'), { force: true });
});

const editor = (script) => ({ EDITOR: root.write('shim/test-editor', `#!/bin/sh\nexec sed -i '${script}' "$1"\n`, 0o755) });

async function broken(...options) {
    const { out, code } = await root.run(['doctor', '--json', ...options]);
    return { code, list: JSON.parse(out).filter(({ level }) => level === 'broken') };
}

describe('settings that refuse every session', () => {
    for (const [line, reason] of [
        ['qemu_exec_options = -vnc :1', /^qemu_exec_options: -vnc is refused/],
        ['config_script = touch /x', /^\[config_script\] script: write exec:/],
        ['dir_mounts = data:rw', /^dir_mounts: The folder data needs a path/],
        ['gpu_blacklist = nvidia', /^gpu_blacklist: "nvidia" is neither/],
        ['form_cpu = 1,many', /^form_cpu: cpu = 1,many is no list/],
    ])
        test(line, async () => {
            const before = root.read('etc/qemu-web-desktop.conf');
            const edited = await root.run(['edit', 'config'], { env: editor(`$a ${line}`) });
            assert.equal(edited.code, 2, edited.err);
            assert.match(edited.err, new RegExp(reason.source.slice(1)));
            assert.match(edited.err, /Nothing was put in place/);
            assert.equal(root.read('etc/qemu-web-desktop.conf'), before);
            fs.appendFileSync(root.path('etc/qemu-web-desktop.conf'), `${line}\n`);
            const checked = await root.run(['config', 'check']);
            assert.equal(checked.code, 2);
            assert.match(checked.err.replace('qwdctl: ', ''), reason);
            assert.doesNotMatch(checked.err, /accepted/);
            const { code, list } = await broken();
            assert.equal(code, 1);
            assert.deepEqual(list.map(({ part, mend }) => [part, mend]), [['settings', 'qwdctl edit config']]);
            assert.match(list[0].text, reason);
        });

    test('a display device that there is not', async () => {
        const { code, err } = await root.run(['config', 'check', '--qemu_video=std']);
        assert.equal(code, 2);
        assert.match(err, /qemu_video = std is not accepted\. Write one of: virtio-vga /);
    });

    test('all that is wrong at once', async () => {
        const { code, err } = await root.run(['config', 'check', '--qemu_exec_options=-gdb x', '--dir_mounts=a']);
        assert.equal(code, 2);
        assert.match(err, /^qwdctl: qemu_exec_options: .*\ndir_mounts: .*\n$/);
    });
});

test('a table is looked at, and keeps nobody from editing the settings', async () => {
    const table = root.write('etc/scripts.conf', '[a]\nscript = touch /x\nuser = alice\n');
    const option = `--file_scripts=${table}`;
    const checked = await root.run(['config', 'check', option]);
    assert.equal(checked.code, 2);
    assert.match(checked.err, /scripts\.conf: \[a\] script: write exec:/);
    const { list } = await broken(option);
    assert.deepEqual(list.map(({ part, mend }) => [part, mend]), [['settings', `editor ${table}`]]);
    const edited = await root.run(['edit', 'config'], { env: editor(`$a file_scripts = ${table}`.replaceAll('/', '\\/')) });
    assert.equal(edited.code, 0, edited.err);
    assert.match(edited.err, /scripts\.conf: \[a\] script: write exec:/);
    const groups = root.write('etc/groups.conf', '[a]\ncpus = 1\n');
    assert.deepEqual((await broken(`--file_groups=${groups}`, '--file_scripts=/nonexistent')).list.map(({ mend }) => mend), ['qwdctl edit groups']);
});

describe('a file of settings that is broken', () => {
    beforeEach(() => fs.appendFileSync(root.path('etc/qemu-web-desktop.conf'), 'no_such = 1\n'));
    const reason = /qemu-web-desktop\.conf, line \d+: There is no setting "no_such"/;

    test('is still opened to be mended, also when --config names it', async () => {
        const left = await root.run(['edit', 'config'], { env: editor('1s/^/# /') });
        assert.equal(left.code, 2);
        assert.match(left.err, reason);
        const env = { ...editor('/no_such/d'), QWD_CONFIG: '/nonexistent/qemu-web-desktop.conf' };
        const mended = await root.run(['edit', 'config', `--config=${root.path('etc/qemu-web-desktop.conf')}`], { env });
        assert.equal(mended.code, 0, mended.err);
        assert.doesNotMatch(root.read('etc/qemu-web-desktop.conf'), /no_such/);
        assert.ok(fs.existsSync(root.page), 'the page is made anew');
        assert.equal((await root.run(['config', 'check'])).code, 0);
    });

    test('is what the doctor finds', async () => {
        const { code, list } = await broken();
        assert.equal(code, 1);
        assert.deepEqual(list.map(({ part, mend }) => [part, mend]), [['settings', 'qwdctl edit config']]);
        assert.match(list[0].text, reason);
        const table = await root.run(['doctor']);
        assert.equal(table.code, 1);
        assert.match(table.out, /^broken +\| settings +\| .*no_such.*\| qwdctl edit config$/m);
    });

    test('does not keep help and version from anybody; everything else says why', async () => {
        for (const words of [['help'], ['help', 'settings'], ['help', 'edit'], ['--help'], ['version'], ['--version']])
            assert.equal((await root.run(words)).code, 0, words.join(' '));
        for (const words of [['status'], ['config', 'check'], ['edit', 'machines'], ['start', 'x'], ['refresh'], []]) {
            const { code, err } = await root.run(words);
            assert.equal(code, 2, words.join(' '));
            assert.match(err, reason, words.join(' '));
        }
    });

    test('a wrong setting on the command line is told by the command', async () => {
        for (const words of [['doctor'], ['edit', 'config']]) {
            root.configure();
            const { code, err } = await root.run([...words, '--accel=warp']);
            assert.equal(code, 2);
            assert.match(err, /^qwdctl: accel = warp is not accepted/);
        }
        assert.equal((await root.run(['version', '--accel=warp'])).code, 0);
    });
});
