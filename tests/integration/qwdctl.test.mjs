// SPDX-License-Identifier: AGPL-3.0-or-later
// qwdctl as an administrator uses it, in a scratch root. What it says is compared with tests/fixtures/ctl.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { sh, top } from '../lib/files.mjs';
import { account, isRoot } from '../lib/programs.mjs';
import { Root, pretendingImage, randomImage } from '../lib/qwdctl.mjs';

let root;
before(() => (root = new Root()));
after(() => root.end());
beforeEach(() => root.reset());

const entries = `; The machines of the lab.
#
[tiny.iso]
description=Tiny <b> & "quoted"
; a comment within
url=https://example.org/tiny.iso

;[old.iso]
;description=Out of date

[windows.vhdx]\r
os=windows\r
`;

function withMachines() {
    root.write('etc/machines.conf', entries);
    root.write('service/machines/tiny.iso', 'tiny');
    root.write('service/machines/alone.raw', 'alone');
}

// --- what it says ---

describe('verbs, with golden outputs', () => {
    test('nothing there yet', async () => {
        await root.transcript('empty', [['status'], ['status', '--json'], ['names', 'machines'], ['names', 'sessions'],
                                        ['download'], ['purge'], ['purge', '--yes'], ['refresh'], ['clean'], ['backoff'],
                                        ['backoff', '--json'], ['stop']]);
        assert.match(fs.readFileSync(root.page, 'utf8'), /No machine is on offer yet\..*qwdctl enable/);
    });

    test('machines', async () => {
        withMachines();
        await root.transcript('machines', [['status'], ['status', '--json'], ['names', 'machines'],
                                           ['disable', 'tiny.iso'], ['disable', 'tiny.iso'], ['status'],
                                           ['enable', 'tiny.iso'], ['enable', 'tiny.iso', 'Another description'],
                                           ['enable', 'alone.raw', 'Alone'], ['enable', 'old.iso'], ['status']]);
    });

    test('what is refused', async () => {
        withMachines();
        root.write('home/not an image', 'x');
        await root.transcript('refused', [
            ['nonsense'], ['--nonsense'], ['enable'], ['enable', 'a', 'b', 'c'], ['disable'], ['disable', 'nobody.iso'],
            ['disable', '../machines.conf'], ['enable', 'nobody.iso'], ['enable', '/no/such/file.iso'],
            ['enable', '../machines.conf'], ['enable', 'x.part'], ['enable', '.hidden'], ['enable', '--sha256', 'x'],
            ['enable', 'ftp://localhost/x.iso'], ['enable', 'https://localhost:1/x.iso'],
            ['enable', 'https://localhost:1/'], ['enable', 'https://localhost:1/a/?x=y.iso'],
            ['enable', 'https://localhost:1/..%2f..%2f.bashrc'],
            ['enable', 'tiny.iso', 'two\nlines'], ['download', 'nobody.iso'], ['download', 'windows.vhdx'],
            ['download', 'alone.raw'], ['edit', 'nobody.iso'], ['purge', 'tiny.iso', '--yes'], ['purge', 'nobody.iso'],
            ['config'], ['config', 'get'], ['config', 'get', 'no_such'], ['config', 'set'], ['names', 'x'], ['help', 'x'],
            ['status', '--nonsense'], ['status', '--js'], ['status', '--json=1'], ['purge', '--yes=no'], ['version', 'x']]);
        assert.equal(root.read('etc/machines.conf'), entries);
        assert.deepEqual(fs.readdirSync(root.path('etc/config.d')), []);
    });

    test('help, and the names of the original', async () => {
        await root.transcript('help', [['help', 'enable'], ['help', 'update'], ['--help', 'purge'], ['version'], ['--version']]);
        const help = await root.run(['help']);
        const status = await root.run([]);
        assert.deepEqual(await root.run(['--help']), help);
        assert.deepEqual(await root.run(['--status']), status);
        assert.deepEqual(await root.run(['status']), status);
        assert.deepEqual(await root.run(['--update']), await root.run(['download']));
        for (const [, name] of help.out.matchAll(/^ {2}([a-z-]+)/gm))
            assert.equal((await root.run(['help', name])).code, 0, name);
    });

    test('what cannot be written is an error, and nothing pretends to be done', () => {
        root.write('etc/machines.conf', '[a.raw]\n');
        const programs = [['status'], ['status', '--json'], ['metrics'], ['config', 'list'], ['config', 'get', 'accel'], ['names', 'machines'],
                          ['help'], ['help', 'settings'], ['version'], ['doctor', '--json'], ['gpu', '--json']].map((words) => [root.program, ...words]);
        programs.push([path.join(root.bin, 'qwd-server'), '--help'], [path.join(root.bin, 'qwd-server'), '--version']);
        for (const words of programs) {
            const { status, stderr } = spawnSync('sh', ['-c', 'exec "$@" >/dev/full', 'sh', ...words], { env: root.environment(), encoding: 'utf8' });
            assert.equal(status, 5, words.join(' '));
            assert.match(stderr, /: Cannot write the output/, words.join(' '));
            const head = spawnSync('bash', ['-c', 'set -o pipefail; "$@" | true', 'bash', ...words], { env: root.environment(), encoding: 'utf8' });
            assert.doesNotMatch(head.stderr, /Cannot write/, 'a reader that has gone needs no message');
        }
    });

    const verbs = async () => [...(await root.run(['help'])).out.matchAll(/^ {2}([a-z-]+)/gm)].map(([, name]) => name);

    test('each verb explains itself, whatever else is on its line', async () => {
        for (const name of await verbs())
            for (const option of ['--help', '-h']) {
                const { code, out, err } = await root.run([name, option]);
                assert.equal(code, 0, name);
                assert.equal(err, '');
                assert.match(out, new RegExp(`^qwdctl ${name}\\b[^]*^Options:\\n[^]*--json[^]*^Examples:\\n  qwdctl ${name}`, 'm'));
            }
        assert.match((await root.run(['stop', '--all', '--help'])).out, /--yes +Do not ask/);
        assert.match((await root.run(['purge', 'a', 'b', 'c', '-h'])).out, /^qwdctl purge/);
    });

    test('with --json there is one JSON value on standard output, and nothing else', async () => {
        withMachines();
        const cases = [['stop', 'x'], ['stop', '--all'], ['extend', '01234567'], ['extend', 'x'], ['save', 'x'], ['save', '01234567', 'y.raw'],
                       ['start', 'no-such.iso'], ['disable', 'tiny.iso'], ['enable', 'tiny.iso'], ['enable', 'nobody.iso'], ['download', 'nobody.iso'],
                       ['purge', 'tiny.iso'], ['config', 'get', 'dir_machines'], ['config', 'get', 'x'], ['config', 'check'], ['backoff', 'clear', 'x'],
                       ['totp', 'reset', 'x'], ['gpu', 'x'], ['gpu', '10de:ffff', '--yes'], ['docs', 'x'], ['help', 'stop'], ['names', 'x'], ['nonsense'],
                       ['log', '01234567'], ['edit', 'nobody.iso'], ['status', '--nonsense'], ['config', 'check', '--accel=warp'],
                       ...(await verbs()).filter((name) => name !== 'edit').map((name) => [name])];
        for (const words of cases) {
            const { code, out, err } = await root.run([...words, '--json']);
            const value = JSON.parse(out);
            assert.equal(typeof value, 'object', words.join(' '));
            if (code === 0 || Array.isArray(value))
                continue;
            assert.equal(value.error.exit_code, code, words.join(' '));
            assert.ok(err.includes(value.error.message.split('\n')[0]), `${words}: ${err} ${out}`);
            assert.match(value.error.advice, /\S/);
        }
        const version = JSON.parse((await root.run(['version', '--json'])).out);
        assert.equal(version.command, 'version');
        assert.match(version.done[0], /^qemu-web-desktop /);
    });

    test('config', async () => {
        root.configure({ boot_delay: '5', qemu_exec_options: "-smbios 'type=1,product=my desk'", service_open: 'yes' });
        await root.transcript('config', [['config', 'get', 'dir_machines'], ['config', 'get', 'boot_delay'],
                                         ['config', 'get', 'qemu_exec_options'], ['config', 'check'],
                                         ['config', 'check', '--qemu_exec_options=-vnc :1'],
                                         ['config', 'check', '--accel=warp'], ['config', 'check', '--boot_delay=soon']]);
        const list = await root.run(['config', 'list']);
        assert.match(list.out, /^boot_delay = 5s$/m);
        const json = JSON.parse((await root.run(['config', 'list', '--json'])).out);
        assert.equal(list.out, Object.entries(json).map(([key, value]) => `${key} = ${value}\n`).join(''));
        fs.appendFileSync(root.path('etc/qemu-web-desktop.conf'), '\n\nnonsense\n');
        const broken = await root.run(['config', 'check']);
        assert.equal(broken.code, 2);
        assert.match(broken.err, /qemu-web-desktop\.conf, line 14: "nonsense" is not of the form key = value/);
    });
});

// --- files ---

describe('entries', () => {
    test('disable and enable leave every other byte as it was; owner and mode stay', async () => {
        withMachines();
        fs.chmodSync(root.path('etc/machines.conf'), 0o640);
        if (isRoot)
            sh('chown', `root:${account}`, root.path('etc/machines.conf'));
        const before = fs.statSync(root.path('etc/machines.conf'));
        assert.equal((await root.run(['disable', 'tiny.iso'])).code, 0);
        assert.equal(root.read('etc/machines.conf'), entries
            .replace('[tiny.iso]\n', ';[tiny.iso]\n').replace('description=Tiny', ';description=Tiny')
            .replace('; a comment', ';; a comment').replace('url=', ';url='));
        assert.equal((await root.run(['enable', 'tiny.iso'])).code, 0);
        assert.equal(root.read('etc/machines.conf'), entries);
        const now = fs.statSync(root.path('etc/machines.conf'));
        assert.deepEqual([now.mode, now.uid, now.gid], [before.mode, before.uid, before.gid]);
        assert.deepEqual(fs.readdirSync(root.path('etc')).sort(), ['config.d', 'machines.conf', 'qemu-web-desktop.conf']);
    });

    test('a new machine gets a file of its own, and the page shows it at once', async () => {
        root.write('service/machines/a b.raw', 'x');
        const result = await root.run(['enable', 'a b.raw', 'Ünïcode; <i>&"']);
        assert.equal(result.code, 0, result.err);
        assert.equal(root.read('etc/config.d/a b.raw.ini'), '[a b.raw]\ndescription=Ünïcode; <i>&"\n');
        assert.equal(fs.statSync(root.path('etc/config.d/a b.raw.ini')).mode & 0o7777, 0o644);
        assert.match(root.read('service/index.html'), /Ünïcode; &lt;i&gt;&amp;&quot;/);
        await root.run(['disable', 'a b.raw']);
        assert.doesNotMatch(root.read('service/index.html'), /Ünïcode/);
        await root.run(['enable', 'a b.raw']);
        assert.match(root.read('service/index.html'), /Ünïcode/);
    });

    test('a machine that is listed twice is disabled twice, and the entry that counts comes back', async () => {
        root.write('service/machines/x.raw', 'x');
        root.write('etc/machines.conf', '[x.raw]\ndescription=first\n');
        root.write('etc/config.d/x.ini', '[x.raw]\ndescription=second\n');
        assert.equal((await root.run(['disable', 'x.raw'])).code, 0);
        assert.equal(JSON.parse((await root.run(['status', '--json'])).out).machines[0].state, 'disabled');
        await root.run(['enable', 'x.raw']);
        assert.equal(JSON.parse((await root.run(['status', '--json'])).out).machines[0].description, 'second');
        assert.equal(root.read('etc/config.d/x.ini'), '[x.raw]\ndescription=second\n');
    });

    test('a page that cannot be written undoes nothing, and is told', async () => {
        root.write('service/machines/x.raw', 'x');
        const nowhere = '--file_page=/proc/nowhere/index.html', editor = root.shim('editor', '#!/bin/sh\necho "cost=1 EUR" >>"$1"\n');
        for (const [words, done] of [[['enable', 'x.raw'], /Enabled in/], [['edit', 'x.raw'], /is in place/], [['disable', 'x.raw'], /Disabled in/]]) {
            const { code, err } = await root.run([...words, nowhere], { env: { EDITOR: editor } });
            assert.equal(code, 0, err);
            assert.match(err, done);
            assert.match(err, /The page is still the old one: .*nowhere.* The change itself is made\. Once this is mended: qwdctl refresh/);
        }
        const files = fs.readdirSync(root.path('etc/config.d')).map((name) => root.read(`etc/config.d/${name}`));
        assert.deepEqual(files, [';[x.raw]\n;cost=1 EUR\n']);
        assert.notEqual((await root.run(['refresh', nowhere])).code, 0);
    });

    test('a file with mistakes is not made worse', async () => {
        root.write('service/machines/x.raw', 'x');
        root.write('etc/machines.conf', '[x.raw]\n[y.raw]\ncolour=red\n');
        const result = await root.run(['disable', 'x.raw']);
        assert.notEqual(result.code, 0);
        assert.match(result.err, /machines\.conf, line 3: \[y\.raw\] has an unknown attribute "colour"/);
        const status = await root.run(['status']);
        assert.equal(status.code, 2);
        assert.match(status.err, /^No session runs\.$/m, 'the sessions are shown all the same');
        assert.match(status.err, /unknown attribute "colour"/);
    });
});

describe('enable FILE', () => {
    test('a file from elsewhere is copied, readable for all, the service account\'s, and only then listed', async () => {
        const bytes = randomImage(root.path('logs/own.qcow2'));
        fs.chmodSync(root.path('logs/own.qcow2'), 0o600);
        const result = await root.run(['enable', root.path('logs/own.qcow2'), 'My own']);
        assert.equal(result.code, 0, result.err);
        assert.equal(result.out, 'own.qcow2\n');
        const copy = path.join(root.machines, 'own.qcow2'), stat = fs.statSync(copy);
        assert.ok(fs.readFileSync(copy).equals(bytes));
        assert.equal(stat.mode & 0o7777, 0o644);
        if (isRoot)
            assert.equal(stat.uid, Number(sh('id', '-u', account)));
        assert.deepEqual(fs.readdirSync(root.machines), ['own.qcow2'], 'nothing else is left');
        const again = await root.run(['enable', root.path('logs/own.qcow2')]);
        assert.equal(again.code, 4);
        assert.match(again.err, /exists already\. To enable it: qwdctl enable own\.qcow2/);
    });

    test('by its path in the folder, by file://, and in the current folder; holes stay holes', async () => {
        randomImage(path.join(root.machines, 'in place.qcow2'), 65536);
        assert.equal((await root.run(['enable', path.join(root.machines, 'in place.qcow2')])).code, 0);
        root.write('home/sparse.raw', 'x');
        fs.truncateSync(root.path('home/sparse.raw'), 1024 ** 3);
        assert.equal((await root.run(['enable', 'sparse.raw'])).code, 0);
        const { size, blocks } = fs.statSync(path.join(root.machines, 'sparse.raw'));
        assert.equal(size, 1024 ** 3);
        assert.ok(blocks * 512 < 64 * 1024 * 1024, `${blocks} blocks`);
        root.write('home/by url.raw', 'y');
        assert.equal((await root.run(['enable', `file://${root.path('home')}/by%20url.raw`])).code, 0);
        assert.equal(fs.readFileSync(path.join(root.machines, 'by url.raw'), 'utf8'), 'y');
    });

    test('an image that pretends to be based on /etc/shadow is refused, and not kept', async () => {
        pretendingImage(root.path('home/evil.raw'));
        const result = await root.run(['enable', root.path('home/evil.raw')]);
        assert.equal(result.code, 4);
        assert.match(result.err, /refers to another file \(\/etc\/shadow\)/);
        assert.deepEqual(fs.readdirSync(root.machines), []);
        pretendingImage(path.join(root.machines, 'evil.raw'));
        const inPlace = await root.run(['enable', 'evil.raw']);
        assert.equal(inPlace.code, 4);
        assert.match(inPlace.err, /\/etc\/shadow/);
        assert.deepEqual(fs.readdirSync(root.path('etc/config.d')), []);
    });

    test('an image that is cut off is refused, from elsewhere and in place, and so is one whose base is missing', async () => {
        const whole = root.path('home/whole.qcow2'), cut = path.join(root.machines, 'cut.qcow2');
        sh('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', root.write('home/content', 'x'.repeat(4 * 1024 * 1024)), whole);
        fs.writeFileSync(root.path('home/part.qcow2'), fs.readFileSync(whole).subarray(0, 100_000));
        for (const file of [root.path('home/part.qcow2'), `file://${root.path('home/part.qcow2')}`]) {
            const result = await root.run(['enable', file]);
            assert.equal(result.code, 4);
            assert.match(result.err, /part\.qcow2.* is incomplete: its header promises more than the file has\. Download or copy it again/);
            assert.deepEqual(fs.readdirSync(root.machines), []);
        }
        fs.copyFileSync(root.path('home/part.qcow2'), cut);
        assert.match((await root.run(['enable', 'cut.qcow2'])).err, /cut\.qcow2 is incomplete/);
        sh('qemu-img', 'create', '-q', '-u', '-f', 'qcow2', '-F', 'qcow2', '-b', 'gone.qcow2', path.join(root.machines, 'based.qcow2'), '1M');
        const based = await root.run(['enable', 'based.qcow2']);
        assert.equal(based.code, 3);
        assert.match(based.err, /based\.qcow2 needs the file .*\/machines\/gone\.qcow2, which is not there/);
        assert.deepEqual(fs.readdirSync(root.path('etc/config.d')), []);
    });

    test('what is no file is refused at once', async () => {
        const pipes = [root.path('home/pipe.qcow2'), path.join(root.machines, 'here.qcow2')];
        sh('mkfifo', '-m', '666', ...pipes);
        // a pipe that has a writer, and one that has none
        for (const writer of [null, fs.openSync(pipes[0], 'r+')]) {
            for (const word of [...pipes, 'pipe.qcow2', 'here.qcow2', '/dev/null', '/dev/zero', root.path('home')]) {
                const result = await root.run(['enable', word]);
                assert.notEqual(result.code, 0, word);
                assert.match(result.err, /n(ot a|o) regular file|is not there|no image/, `${word}: ${result.err}`);
            }
            if (writer !== null)
                fs.closeSync(writer);
        }
        assert.deepEqual(fs.readdirSync(root.path('etc/config.d')), []);
    });

    test('an image that the service account cannot read is not offered', { skip: !isRoot && 'needs root' }, async () => {
        root.write('service/machines/closed.raw', 'x', 0o600);
        sh('chown', 'root:root', path.join(root.machines, 'closed.raw'));
        const result = await root.run(['enable', 'closed.raw']);
        assert.notEqual(result.code, 0);
        assert.match(result.err, /Permission denied/);
    });
});

// --- edit ---

// An editor that does to the file what a sed script says, a different one at each call.
function editor(...scripts) {
    scripts.forEach((script, i) => root.write(`home/edit-${i}.sed`, script));
    root.write('home/count', '0');
    return root.write('shim/test-editor', `#!/bin/sh
n=$(cat ${root.path('home/count')})
echo $((n + 1)) >${root.path('home/count')}
echo "$@" >${root.path('home/edited')}
for file; do :; done
exec sed -i -f ${root.path('home')}/edit-$n.sed "$file"
`, 0o755);
}

const copies = () => fs.readdirSync(root.path('home')).filter((name) => name.startsWith('qwdctl-edit-'));

describe('edit', () => {
    beforeEach(() => {
        withMachines();
        copies().forEach((name) => fs.rmSync(root.path('home', name), { recursive: true }));
    });

    test('what is accepted takes its place, and the page is made anew', async () => {
        const VISUAL = `${editor('s/^description=.*/description=Edited/')} --wait`;
        const result = await root.run(['edit'], { env: { VISUAL, EDITOR: '/bin/false' } });
        assert.equal(result.code, 0, result.err);
        assert.equal(root.read('etc/machines.conf'), entries.replace(/^description=.*/m, 'description=Edited'));
        assert.match(root.read('service/index.html'), /Edited/);
        assert.match(root.read('home/edited'), /^--wait \S+\/machines\.conf\n$/);
        assert.deepEqual(copies(), []);
    });

    test('what is not: the line, the copy, and nothing changed', async () => {
        const result = await root.run(['edit', 'machines'], { env: { EDITOR: editor('4s/.*/colour=red/') } });
        assert.equal(result.code, 2);
        assert.match(result.err, /machines\.conf, line 4: \[tiny\.iso\] has an unknown attribute "colour"/);
        assert.equal(root.read('etc/machines.conf'), entries);
        const [copy] = copies();
        assert.match(result.err, new RegExp(`what you wrote is in \\S*${copy}/machines\\.conf`));
        assert.match(root.read(`home/${copy}/machines.conf`), /^colour=red$/m);
    });

    test('on a terminal it offers to go on, with what was written', async () => {
        const result = await root.terminal(['edit', 'machines'], {
            env: { EDITOR: editor('4s/.*/colour=red/', '4s/colour=red/description=At last/') }, input: 'y\n',
        });
        assert.equal(result.code, 0, result.out);
        assert.match(result.out, /line 4: .*\r\n.*Edit it again\? \[Y\/n\]/s);
        assert.match(root.read('etc/machines.conf'), /^description=At last$/m);
        assert.deepEqual(copies(), []);
        const given = await root.terminal(['edit', 'machines'], { env: { EDITOR: editor('1s/.*/words/') }, input: 'n\n' });
        assert.equal(given.code, 2);
        assert.equal(copies().length, 1);
    });

    test('settings, the page, and the file of one machine', async () => {
        const bad = await root.run(['edit', 'config'], { env: { EDITOR: editor('$a accel = warp') } });
        assert.equal(bad.code, 2);
        assert.match(bad.err, /qemu-web-desktop\.conf, line 9: accel = warp is not accepted/);
        const good = await root.run(['edit', 'config'], { env: { EDITOR: editor('$a snapshot_lifetime = 2d') } });
        assert.equal(good.code, 0, good.err);
        assert.match(root.read('etc/qemu-web-desktop.conf'), /^snapshot_lifetime = 2d$/m);
        const broken = await root.run(['edit', 'web'], { env: { EDITOR: editor('$a {{no_such_value}}') } });
        assert.notEqual(broken.code, 0);
        assert.match(broken.err, /landing\.html.*no_such_value/);
        const page = await root.run(['edit', 'web'], { env: { EDITOR: editor('s/Start a desktop/Begin a desktop/') } });
        assert.equal(page.code, 0, page.err);
        assert.match(root.read('service/index.html'), /Begin a desktop/);
        assert.match(root.read('etc/html/landing.html'), /Begin a desktop/, 'the package keeps its own');
        root.write('etc/config.d/more.ini', '[alone.raw]\n');
        const machine = await root.run(['edit', 'alone.raw'], { env: { EDITOR: editor('$a os=other') } });
        assert.equal(machine.code, 0, machine.err);
        assert.equal(root.read('etc/config.d/more.ini'), '[alone.raw]\nos=other\n');
    });

    test('a start page made for the original', async () => {
        fs.mkdirSync(root.path('etc/html'));
        const theirs = '<select name="machine">\n{{layout_machines_list}}\n</select>\n';
        root.write('etc/html/landing.html', theirs);
        const known = await root.run(['refresh']);
        assert.equal(known.code, 0, known.err);
        assert.deepEqual(known.err.trim().split('\n').map((line) => line.replace(/^.*landing\.html: /, '')), [
            'its form does not lead to /cgi-bin/qemu-web-desktop.cgi: write action="{{script}}".',
            'its form is not sent with POST: write method="post".',
            'its form lacks the field "create": write <input type="hidden" name="create" value="Create">.',
            'its form does not work for those who have logged in: write {{> csrf.html}} into it.']);
        assert.match(root.read('service/index.html'), /^<select name="machine">\n(<option value="[^"]+".*<\/option>\n)*<\/select>\n$/);
        root.write('etc/html/landing.html', `${theirs}{{layout_host}}\n`);
        const unknown = await root.run(['refresh']);
        assert.match(unknown.err, /landing\.html:4: no value is given for "layout_host"; CONFIGURE\.md, Looks/);
    });

    test('what a start page of the administrator lacks to work is told by refresh', async () => {
        fs.mkdirSync(root.path('etc/html'), { recursive: true });
        const form = (attributes, inside) => `<form ${attributes}>\n${inside}</form>\n`;
        const post = 'method="post" enctype="multipart/form-data" action="/cgi-bin/qemu-web-desktop.pl"';
        const fields = '<select name="machine">{{layout_machines_list}}</select>{{> csrf.html}}<input type="submit" name="create" value="Create">';
        const lacks = async (page, ...options) => {
            root.write('etc/html/landing.html', page);
            const { code, err } = await root.run(['refresh', ...options]);
            assert.equal(code, 0, err);
            return err;
        };
        assert.equal(await lacks(form(post, fields)), '');
        assert.equal(await lacks(`<!-- <script>x</script> <style>a{}</style> -->${form(post, fields)}`), '');
        assert.equal(await lacks(fs.readFileSync(path.join(root.html, 'landing.html'), 'utf8'), '--check_user_with_local=yes', '--layout_terms=All'), '');
        const cases = [
            [form(post, fields), /does not lead to \/desk\/cgi-bin/, '--service_prefix=/desk'],
            [form(post.replace('post', 'get'), fields), /not sent with POST/],
            [form(post, fields), /lacks the field "user"/, '--check_user_with_local=yes'],
            [form(post, fields), /lacks the field "terms"/, '--layout_terms=All'],
            [form(post, fields.replace('machine"', 'maschine"')), /lacks the field "machine"/],
            [`<!-- ${form(post, fields)} -->`, /does not lead to/],
            [`<script>x()</script>${form(post, fields)}`, /scripts within it/],
            [`<p onclick="x()">${form(post, fields)}`, /scripts within it/],
            [`<p style="color: red">${form(post, fields)}`, /styles within it/],
            [`<link rel="stylesheet" href="https://cdn.example/a.css">${form(post, fields)}`, /from other servers/],
            [form(post, `${fields}<input type="file" name="f">`), /sends files/],
        ];
        for (const [page, wanted, ...options] of cases)
            assert.match(await lacks(page, ...options), wanted);
        fs.rmSync(root.path('etc/html/landing.html'));
    });

    test('an editor that fails, one that changes nothing, and somebody else at the same time', async () => {
        const failed = await root.run(['edit'], { env: { EDITOR: '/bin/false' } });
        assert.equal(failed.code, 1);
        assert.match(failed.err, /The editor \/bin\/false failed/);
        const same = await root.run(['edit'], { env: { EDITOR: editor('') } });
        assert.equal(same.code, 0);
        assert.match(same.err, /Nothing was changed/);
        const meanwhile = root.write('shim/meanwhile', `#!/bin/sh
echo '# mine' >>"$1"
echo '# theirs' >>${root.path('etc/machines.conf')}
`, 0o755);
        const both = await root.run(['edit'], { env: { EDITOR: meanwhile } });
        assert.equal(both.code, 4);
        assert.match(both.err, /was changed by somebody else meanwhile/);
        assert.equal(root.read('etc/machines.conf'), `${entries}# theirs\n`);
    });
});

// --- saved machines ---

test('a machine that a user has saved: disabled and enabled in its place, and removed with its entry', async () => {
    const name = 'alice:x.qcow2', entry = `service/machines/saved.d/${name}.ini`;
    const text = `[${name}]\ndescription=Mine\ngpu=no\nusers=alice\n`;
    const machine = async () => JSON.parse((await root.run(['status', '--json'])).out).machines.find((one) => one.name === name);
    fs.mkdirSync(path.join(root.machines, 'saved.d'));
    root.write(entry, text);
    randomImage(path.join(root.machines, name), 65536);
    if (isRoot)
        sh('chown', '-R', account, root.path('service'));
    const refused = await root.run(['purge', name, '--yes']);
    assert.match(refused.err, /is on offer\. First: qwdctl disable alice:x\.qcow2/);
    for (const [words, state, now] of [[['disable', name], 'disabled', text.replaceAll(/^(?=.)/mg, ';')], [['enable', name], 'enabled', text],
                                       [['enable', name, 'Hers'], 'enabled', text.replace('Mine', 'Hers')]]) {
        const done = await root.run(words);
        assert.equal(done.code, 0, done.err);
        assert.equal(root.read(entry), now);
        assert.equal((await machine()).state, state);
    }
    assert.deepEqual(fs.readdirSync(root.path('etc/config.d')), []);

    root.write(entry, 'broken');
    const findings = JSON.parse((await root.run(['doctor', '--json'])).out);
    assert.ok(findings.some(({ text: told }) => /The entry of alice:x\.qcow2 is broken/.test(told)));
    assert.match((await root.run(['purge'])).err, /There is nothing to remove/);
    root.write(entry, text);
    await root.run(['disable', name]);
    const purged = await root.run(['purge', name, '--yes']);
    assert.equal(purged.code, 0, purged.err);
    assert.deepEqual(fs.readdirSync(path.join(root.machines, 'saved.d')), []);
    assert.ok(!fs.existsSync(path.join(root.machines, name)) && !await machine());
});

// --- terminals and pipes ---

test('colour on a terminal only, and not with NO_COLOR; a pipe gets rows and nothing else', async () => {
    withMachines();
    const escape = /\x1b\[/;
    assert.match((await root.terminal(['status'])).out, escape);
    assert.doesNotMatch((await root.terminal(['status'], { env: { NO_COLOR: '1' } })).out, escape);
    const piped = await root.run(['status']);
    assert.doesNotMatch(piped.out + piped.err, escape);
    assert.ok(piped.out.trimEnd().split('\n').every((line) => /^(enabled|disabled|missing|orphan) +\| /.test(line)), piped.out);
});

describe('completion', () => {
    const complete = (...words) => {
        const script = `compopt() { :; }; . "$0"
            COMP_WORDS=(qwdctl "$@"); COMP_CWORD=$#; _qwdctl; printf '%s\\n' "\${COMPREPLY[@]}"`;
        const made = spawnSync('bash', ['-c', script, `${top}/etc/bash-completion/qwdctl`, ...words],
                               { env: root.environment(), cwd: root.path('home'), encoding: 'utf8' });
        assert.equal(made.stderr, '');
        return made.stdout.trim().split('\n').filter(Boolean).sort();
    };

    test('commands, their words, machines, settings and files', () => {
        withMachines();
        assert.deepEqual(complete('d'), ['disable', 'docs', 'doctor', 'download']);
        assert.deepEqual(complete('disable', 't'), ['tiny.iso']);
        assert.deepEqual(complete('edit', 'm'), ['machines']);
        assert.deepEqual(complete('status', '--j'), ['--json']);
        assert.deepEqual(complete('enable', 'x', '--sh'), ['--sha256=']);
        assert.deepEqual(complete('config', 'ch'), ['check']);
        assert.deepEqual(complete('config', 'get', 'dir_sn'), ['dir_snapshots']);
        assert.deepEqual(complete('start', 'x', '--dir_sn'), ['--dir_snapshots=']);
        root.write('home/file-to-enable', '');
        assert.deepEqual(complete('enable', 'file-'), ['file-to-enable']);
        assert.deepEqual(complete('enable', '~/file-'), ['~/file-to-enable']);
        assert.deepEqual(complete('help', 'pu'), ['purge']);
        assert.deepEqual(complete('download', 'nobody'), []);
    });

    test('names are words and never commands', async () => {
        const hostile = ['$(touch${IFS}x)', '`touch y`', '*', 'a;touch z', '"', 'new\nline'];
        withMachines();
        for (const name of hostile) {
            root.write(`service/machines/${name}`, 'x');
            root.write(`home/${name}`, 'x');
        }
        root.write('service/machines/my lab.raw', 'x');
        const machines = ['alone.raw', 'my\\ lab.raw', 'old.iso', 'tiny.iso', 'windows.vhdx'];
        assert.deepEqual((await root.run(['names', 'machines'])).out.trim().split('\n').sort(),
                         ['alone.raw', 'my lab.raw', 'old.iso', 'tiny.iso', 'windows.vhdx']);
        assert.deepEqual(complete('disable', ''), machines);
        for (const begun of ['my', 'my lab', 'my\\ l'])
            assert.deepEqual(complete('disable', begun), ['my\\ lab.raw']);
        for (const command of ['start', 'enable', 'purge', 'edit'])
            complete(command, '');
        assert.deepEqual(complete('enable', '$'), ['\\$\\(touch\\$\\{IFS\\}x\\)']);
        assert.deepEqual(complete('enable', 'a;'), ['a\\;touch\\ z']);
        assert.deepEqual(['x', 'y', 'z'].filter((name) => fs.existsSync(root.path('home', name))), []);
        hostile.forEach((name) => fs.rmSync(root.path('home', name)));
    });
});

// --- doctor ---

const stranger = 'nobody';

describe('doctor', () => {
    async function findings(env = {}, ...options) {
        const result = await root.run(['doctor', '--json', ...options], { env });
        const list = JSON.parse(result.out);
        return { code: result.code, list, of: (level, part) => list.filter((one) => one.level === level && one.part === part) };
    }

    test('a service that is whole', async () => {
        withMachines();
        await root.run(['refresh']);
        const { code, list } = await findings({ APACHE_CONFDIR: '/nonexistent' });
        assert.deepEqual(list.filter(({ level }) => level === 'broken'), []);
        assert.equal(code, 0);
        for (const part of ['account', 'accelerator', 'QEMU', 'display', 'network', 'folders', 'log', 'sockets', 'room', 'machines',
                            'page', 'login', 'Apache', 'clock', 'cleaning'])
            assert.ok(list.some((one) => one.part === part), part);
        assert.ok(list.filter(({ level }) => level !== 'ok' && level !== 'warning').length === 0);
        assert.ok(list.some(({ text }) => text === 'A guest that breaks out of QEMU has its own session alone.'));
        assert.match((await findings({ APACHE_CONFDIR: '/nonexistent' }, '--qemu_confine=no')).of('warning', 'QEMU')[0].text, /^qemu_confine = no: /);
        const table = await root.run(['doctor']);
        assert.equal(table.code, 0);
        assert.match(table.err, /^Level +\| Part +\| What was found/);
        assert.ok(table.out.trimEnd().split('\n').every((line) => /^(ok|warning) +\| /.test(line)));
    });

    test('images that cannot be started do not count among those that can', async () => {
        const cut = path.join(root.machines, 'cut.qcow2'), based = path.join(root.machines, 'based.qcow2');
        const content = root.write('home/content', 'x'.repeat(4 * 1024 * 1024));
        sh('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', content, cut);
        sh('qemu-img', 'create', '-q', '-u', '-f', 'qcow2', '-F', 'qcow2', '-b', 'gone.qcow2', based, '1M');
        sh('mkfifo', path.join(root.machines, 'pipe.raw'));
        root.write('service/machines/good.raw', 'x');
        root.write('etc/machines.conf', '[cut.qcow2]\nurl=https://example.org/cut.qcow2\n[based.qcow2]\n[good.raw]\n[pipe.raw]\n');
        fs.truncateSync(cut, 100_000);
        const { code, of } = await findings({ APACHE_CONFDIR: '/nonexistent' });
        assert.equal(code, 1);
        assert.deepEqual(of('ok', 'machines').map(({ text }) => text), ['1 can be started.']);
        const [broken, ...more] = of('broken', 'machines').sort((a, b) => a.mend < b.mend ? 1 : -1);
        assert.match(broken.text, /cut\.qcow2 is incomplete/);
        assert.equal(broken.mend, 'qwdctl download cut.qcow2');
        assert.match(more[0].text, /needs the file .*gone\.qcow2, which is not there/);
        assert.equal(more[0].mend, 'qwdctl disable based.qcow2');
    });

    test('what is broken, with the command that mends it', async () => {
        root.write('etc/login-password', 'secret', 0o644);
        root.write('etc/metrics-token', 'secret', 0o644);
        fs.rmSync(root.page, { force: true });
        root.write('service/machines/closed.raw', 'x', 0o600);
        root.write('service/machines/own.raw', 'x', 0o200);
        root.write('etc/machines.conf', '[closed.raw]\n[own.raw]\n[gone.iso]\nurl=https://example.org/gone.iso\n');
        if (isRoot) { // what belongs to root there can be changed by nobody without a risk
            sh('chown', 'root', path.join(root.machines, 'closed.raw'));
            sh('chown', account, path.join(root.machines, 'own.raw'));
        }
        fs.mkdirSync(root.path('open'));
        fs.chmodSync(root.path('open'), 0o777);
        fs.mkdirSync(root.path('closed/cache'), { recursive: true });
        fs.chmodSync(root.path('closed'), 0o700);
        const { code, list, of } = await findings({ APACHE_CONFDIR: '/nonexistent' },
            `--email_password_file=${root.path('etc/login-password')}`, `--metrics_token_file=${root.path('etc/metrics-token')}`, '--dir_websockify=/nonexistent/websockify',
            '--dir_novnc=/nonexistent', `--dir_cache=${root.path('open')}`, `--dir_login=/proc/nowhere`,
            `--dir_cfg=${root.path('run')}/${'x'.repeat(100)}`, '--service_open=yes',
            '--qemu_exec_options=-gdb tcp::1');
        assert.equal(code, 1);
        const broken = list.filter(({ level }) => level === 'broken').map(({ part, mend }) => `${part}: ${root.plain(mend)}`);
        for (const expected of ['display: apt install websockify', 'display: apt install novnc', 'folders: chmod o-w ROOT/open',
                                'sockets: qwdctl edit config', 'secrets: chmod o= ROOT/etc/login-password',
                                'secrets: chmod o= ROOT/etc/metrics-token',
                                'settings: qwdctl edit config',
                                ...(isRoot ? ['machines: qwdctl enable FILE', `machines: runuser -u ${account} -- chmod a+r ROOT/service/machines/own.raw`] : [])])
            assert.ok(broken.includes(expected), `${expected} in ${broken.join('\n')}`);
        assert.ok(broken.some((one) => one.startsWith('folders: install -d -o ') && one.endsWith('/proc/nowhere')));
        assert.deepEqual(of('warning', 'page').map(({ mend }) => mend), ['qwdctl refresh']);
        assert.ok(of('warning', 'machines').some(({ mend }) => mend === 'qwdctl download gone.iso'));
        assert.ok(of('warning', 'login').some(({ text }) => /Whoever reaches the service/.test(text)));
        fs.rmSync(root.path('etc/login-password'));
        fs.rmSync(root.path('etc/metrics-token'));
        fs.rmSync(root.path('open'), { recursive: true });
        if (isRoot)
            assert.ok((await findings({}, `--dir_cache=${root.path('closed/cache')}`)).of('broken', 'folders')
                .some(({ mend }) => mend === `chmod a+x ${root.path('closed')}`));
        fs.rmSync(root.path('closed'), { recursive: true });
    });

    test('what looks right and does not work is found, since the service account tries it', { skip: !isRoot && 'needs root' }, async (t) => {
        withMachines();
        const disk = (name, options) => {
            fs.mkdirSync(root.path(name));
            sh('mount', '-t', 'tmpfs', '-o', `mode=777,${options}`, 'tmpfs', root.path(name));
            t.after(() => sh('umount', root.path(name)));
            return root.path(name);
        };
        const readOnly = disk('read-only', 'size=1m'), full = disk('full', 'size=8k');
        for (const folder of [readOnly, full])
            sh('chown', account, folder);
        fs.chmodSync(readOnly, 0o755);
        fs.chmodSync(full, 0o700);
        fs.writeFileSync(path.join(full, 'filling'), Buffer.alloc(8192));
        sh('mount', '-o', 'remount,ro', readOnly);
        root.write('etc/own-password', 'secret', 0o600);
        const { code, of } = await findings({ APACHE_CONFDIR: '/nonexistent' }, `--dir_cache=${readOnly}`, `--dir_login=${full}`,
            `--dir_snapshots=${full}/snapshots`, `--email_password_file=${root.path('etc/own-password')}`, `--metrics_token_file=${root.path('etc/none')}`);
        assert.equal(code, 1);
        const broken = (part) => of('broken', part).map(({ text }) => text.replaceAll(root.root, 'ROOT'));
        assert.deepEqual(broken('folders'), [`dir_cache = ROOT/read-only cannot be written by ${account}: Read-only file system.`,
                                             `dir_login = ROOT/full cannot be written by ${account}: No space left on device.`]);
        assert.deepEqual(broken('secrets'), [`email_password_file = ROOT/etc/own-password cannot be read by ${account}: Permission denied.`,
                                             `metrics_token_file = ROOT/etc/none cannot be read by ${account}: No such file or directory.`]);

        const file = root.path('etc/qemu-web-desktop.conf');
        fs.chmodSync(file, 0o600);
        const closed = await findings({ APACHE_CONFDIR: '/nonexistent' });
        fs.chmodSync(file, 0o644);
        assert.match(closed.of('broken', 'settings')[0].text, /^Every page fails, since .* cannot read the settings: .*Permission denied/);
        fs.rmSync(root.path('etc/own-password'));
        assert.deepEqual((await findings({ APACHE_CONFDIR: '/nonexistent' })).of('broken', 'settings'), []);
    });

    test('Apache\'s modules', async () => {
        const enabled = (...files) => {
            fs.rmSync(root.path('apache'), { recursive: true, force: true });
            for (const folder of ['mods-enabled', 'conf-enabled'])
                fs.mkdirSync(root.path('apache', folder), { recursive: true });
            files.forEach((file) => root.write(`apache/${file}`, ''));
            return findings({ APACHE_CONFDIR: root.path('apache') });
        };
        const all = ['cgid', 'alias', 'proxy', 'proxy_http', 'proxy_wstunnel', 'headers', 'rewrite', 'setenvif'].map((name) => `mods-enabled/${name}.load`);
        const conf = 'conf-enabled/qemu-web-desktop.conf';
        assert.equal((await enabled(...all)).of('warning', 'Apache')[0].mend, 'a2enconf qemu-web-desktop && systemctl reload apache2');
        assert.equal((await enabled(conf, ...all)).of('ok', 'Apache').length, 2);
        const logging = await enabled(conf, ...all.filter((file) => !file.includes('rewrite')));
        assert.equal(logging.of('warning', 'Apache')[0].mend, 'a2enmod rewrite && systemctl restart apache2');
        assert.match(logging.of('warning', 'Apache')[0].text, /tokens of displays are in addresses/);
        await enabled(conf, ...all);
        const logged = async (text) => {
            fs.mkdirSync(root.path('apache/sites-enabled'), { recursive: true });
            root.write('apache/sites-enabled/000-default.conf', text);
            return (await findings({ APACHE_CONFDIR: root.path('apache') })).of('ok', 'Apache').map(({ text }) => text).join();
        };
        assert.match(await logged('<VirtualHost *:80>\n\tCustomLog /x.log combined\n</VirtualHost>\n'), /The logs of .*000-default.conf show whole addresses/);
        assert.match(await logged('CustomLog /x.log combined env=!qemu-web-desktop\n# CustomLog /x combined\n'), /No log shows/);
        const without = await enabled(conf, ...all.slice(1).filter((file) => !file.includes('wstunnel')));
        assert.equal(without.of('broken', 'Apache')[0].mend, 'a2enmod cgid proxy_wstunnel && systemctl restart apache2');
        assert.equal(without.code, 1);

        const unit = 'sysroot/lib/systemd/system/apache2.service.d/x.conf';
        fs.mkdirSync(root.path('sysroot/run/systemd/system'), { recursive: true });
        fs.mkdirSync(root.path(unit, '..'), { recursive: true });
        root.write(unit, '[Service]\n#KillMode=process\n');
        const withUnit = () => findings({ APACHE_CONFDIR: root.path('apache'), QWD_SYSROOT: root.path('sysroot') });
        assert.equal((await withUnit()).of('warning', 'Apache')[0].mend, 'systemctl edit apache2');
        root.write(unit, '[Service]\nKillMode=process\n');
        const { of } = await withUnit();
        assert.deepEqual([of('warning', 'Apache').length, of('ok', 'Apache').length], [0, 2]);
    });

    test('an account that is not there, or root', { skip: !isRoot && 'needs root' }, async () => {
        for (const name of ['no-such-account', 'root']) {
            const { code, of } = await findings({}, `--service_user=${name}`);
            assert.equal(code, 1);
            assert.equal(of('broken', 'account').length, 1);
        }
        const { of } = await findings({}, `--service_user=${stranger}`);
        assert.ok(of('broken', 'folders').length > 0, 'folders are another account\'s');
    });
});
