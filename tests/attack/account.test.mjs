// SPDX-License-Identifier: AGPL-3.0-or-later
// The service account against root: what it puts in the way of qwdctl and of the package's scripts. The account runs
// QEMU, so it is what an attacker holds first.
// Cores: 0.5

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { command, readIfThere, sh, top } from '../lib/files.mjs';
import { freePort, http } from '../lib/network.mjs';
import { account, allPids, asAccount, isRoot, outputHas, start } from '../lib/programs.mjs';
import { Root, Web, randomImage } from '../lib/qwdctl.mjs';
import { eventually, within } from '../lib/wait.mjs';

const own = 'alice:own.qcow2', entry = `[${own}]\ndescription=mine\nusers=alice\n`;
let root;

before(() => {
    assert.ok(isRoot, 'these tests are about root');
    root = new Root();
});
after(() => root?.end());
beforeEach(() => {
    root.reset();
    fs.rmSync(root.path('treasure'), { recursive: true, force: true });
});

// As the account would do it.
const asTheAccount = (...words) => sh(asAccount[0], ...asAccount.slice(1), ...words);
const uidOf = (file) => fs.lstatSync(file).uid;

// A folder of root with a file that everybody may read.
function treasure(name, text) {
    fs.mkdirSync(root.path('treasure'));
    return root.write(`treasure/${name}`, text);
}

// The entry of a user's machine, in the account's folder.
function savedEntry() {
    const folder = path.join(root.machines, 'saved.d');
    asTheAccount('mkdir', '-p', folder);
    return path.join(folder, `${own}.ini`);
}

describe('links in the place of entries', () => {
    test('edit does not write through a link', async () => {
        const target = treasure('other.conf', entry), file = savedEntry();
        asTheAccount('ln', '-s', target, file);
        const editor = root.shim('editor', '#!/bin/sh\necho "cost=1 EUR" >>"$1"\n');
        const { code, err } = await root.run(['edit', own], { env: { EDITOR: editor } });
        assert.equal(code, 0, err);
        assert.equal(fs.readFileSync(target, 'utf8'), entry);
        assert.match(fs.readFileSync(file, 'utf8'), /cost=1 EUR/);
        assert.equal(uidOf(file), uidOf(root.machines));
    });

    test('edit does not read what the account may not', async () => {
        const target = treasure('secret.conf', entry.replace('mine', 'secret')), file = savedEntry();
        fs.chmodSync(target, 0o600);
        asTheAccount('ln', '-s', target, file);
        const seen = root.path('home/seen'), editor = root.shim('editor', '#!/bin/sh\ncp "$1" "$SEEN"\n');
        const { code } = await root.run(['edit', own], { env: { EDITOR: editor, SEEN: seen } });
        assert.notEqual(code, 0);
        assert.ok(!fs.existsSync(seen));
    });

    for (const verb of ['disable', 'enable']) {
        test(`${verb} does not write into a folder behind a link`, async () => {
            const text = verb === 'enable' ? entry.replace(/^(?=.)/gm, ';') : entry;
            const target = treasure(`${own}.ini`, text), inode = fs.statSync(target).ino;
            randomImage(path.join(root.machines, own), 65536);
            root.give('service/machines');
            asTheAccount('ln', '-s', root.path('treasure'), path.join(root.machines, 'saved.d'));
            const { code, err } = await root.run([verb, own]);
            assert.notEqual(code, 0);
            assert.match(err, /Cannot write/);
            assert.equal(fs.readFileSync(target, 'utf8'), text);
            assert.equal(fs.statSync(target).ino, inode);
            assert.deepEqual(fs.readdirSync(root.path('treasure')), [`${own}.ini`]);
        });
    }

    test('enable does not hand a file of root to the account', async () => {
        const target = treasure('secret.raw', Buffer.alloc(65536, 's'));
        fs.chmodSync(target, 0o600);
        asTheAccount('ln', '-s', target, root.path('home/image.raw'));
        const linked = await root.run(['enable', root.path('home/image.raw')]);
        assert.equal(linked.code, 4, linked.err);
        assert.match(linked.err, /there is a symbolic link of another account/);
        fs.rmSync(root.path('home/image.raw'));
        fs.renameSync(target, root.path('home/image.raw'));
        const moved = await root.run(['enable', root.path('home/image.raw')]);
        assert.equal(moved.code, 4, moved.err);
        assert.match(moved.err, /is for root alone/);
        assert.deepEqual(fs.readdirSync(root.machines), []);
        fs.rmSync(root.path('home/image.raw'));
        const own = root.write('home/own.raw', Buffer.alloc(65536, 'o'), 0o600);
        root.give('home');
        assert.equal((await root.run(['enable', own])).code, 0);
        fs.rmSync(own);
    });

    test('enable does not follow another account\'s link into a folder of root', async () => {
        treasure('secret.raw', Buffer.alloc(65536, 's')); // its mode is 0644
        fs.chmodSync(root.path('treasure'), 0o700);
        const home = root.path('home');
        asTheAccount('ln', '-s', root.path('treasure/secret.raw'), path.join(home, 'image.raw'));
        asTheAccount('ln', '-s', root.path('treasure'), path.join(home, 'folder'));
        for (const file of ['image.raw', 'folder/secret.raw']) {
            const { code, err } = await root.run(['enable', path.join(home, file)]);
            assert.equal(code, 4, err);
            assert.match(err, /there is a symbolic link of another account/);
            assert.deepEqual(fs.readdirSync(root.machines), []);
        }
        asTheAccount('mkfifo', path.join(home, 'fifo.raw'));
        const { code, err } = await root.run(['enable', path.join(home, 'fifo.raw')]);
        assert.equal(code, 2, err);
        assert.match(err, /is no regular file/);
        fs.symlinkSync(home, root.path('link-of-root'));
        asTheAccount('sh', '-c', `head -c 65536 /dev/zero >${home}/own.raw`);
        assert.equal((await root.run(['enable', root.path('link-of-root/own.raw')])).code, 0);
        for (const file of ['home/image.raw', 'home/folder', 'home/fifo.raw', 'home/own.raw', 'link-of-root'])
            fs.rmSync(root.path(file));
    });

    test('refresh does not write into a folder behind a link', async () => {
        treasure('kept', '');
        asTheAccount('ln', '-s', root.path('treasure'), root.path('service/www'));
        const { code, err } = await root.run(['refresh', `--file_page=${root.path('service/www/index.html')}`]);
        fs.rmSync(root.path('service/www'));
        assert.notEqual(code, 0, err);
        assert.deepEqual(fs.readdirSync(root.path('treasure')), ['kept']);
    });
});

// An access control list (acl(5)) as the kernel stores it: the account may write; the mode shows that for the group.
function openByList(folder) {
    const entries = `(1,7,-1),(2,7,${command('id', ['-u', account]).trim()}),(4,5,-1),(16,7,-1),(32,5,-1)`;
    sh('python3', '-c', `import os, struct, sys
os.setxattr(sys.argv[1], 'system.posix_acl_access', struct.pack('<I', 2) +
            b''.join(struct.pack('<HHi', *entry) for entry in [${entries}]))`, folder);
}

describe('folders that look like root\'s', () => {
    test('a folder that an access control list opens is not root\'s', async () => {
        const folder = root.path('listed'), target = treasure('other', 'untouched');
        fs.mkdirSync(folder, { mode: 0o775 });
        fs.chmodSync(folder, 0o775);
        openByList(folder);
        const page = path.join(folder, 'index.html'), { code, err } = await root.run(['refresh', `--file_page=${page}`]);
        assert.equal(code, 0, err);
        assert.equal(uidOf(page), uidOf(root.machines), 'the account has written it');
        assert.equal(fs.readFileSync(target, 'utf8'), 'untouched');
        fs.rmSync(folder, { recursive: true });
    });

    test('a file in a folder such as /tmp is made by the account', async () => {
        const folder = root.path('sticky');
        fs.mkdirSync(folder);
        fs.chmodSync(folder, 0o1777);
        const page = path.join(folder, 'index.html'), { code, err } = await root.run(['refresh', `--file_page=${page}`]);
        assert.equal(code, 0, err);
        assert.equal(uidOf(page), uidOf(root.machines));
        fs.rmSync(folder, { recursive: true });
    });
});

// Whoever copies them is root.
describe('commands that are printed for root', () => {
    const mends = async (...settings) => JSON.parse((await root.run(['doctor', '--json', ...settings])).out)
        .map(({ mend }) => mend).filter((mend) => mend.includes(root.root));

    test('doctor has root change nothing where the account could put a link', async () => {
        const own = root.path('home'), closed = path.join(own, 'closed');
        asTheAccount('mkdir', '-p', path.join(closed, 'snapshots'));
        asTheAccount('chmod', '000', closed);
        asTheAccount('mkdir', '-m', '777', path.join(own, 'open'));
        fs.mkdirSync(path.join(own, 'of-root'), { mode: 0o755 });
        root.write('home/log', '');
        root.write('service/machines/closed.raw', 'x', 0o600);
        root.write('service/machines/own.raw', 'x', 0o600);
        sh('chown', account, root.path('service/machines/own.raw'));
        fs.chmodSync(root.path('service/machines/own.raw'), 0o200);
        root.write('etc/machines.conf', '[closed.raw]\n[own.raw]\n');
        asTheAccount('sh', '-c', `echo secret >${own}/password && chmod 644 ${own}/password`);
        const found = await mends(`--dir_cache=${own}/open`, `--dir_login=${own}/of-root`, `--dir_snapshots=${closed}/snapshots`,
                                  `--dir_cfg=${own}/new/run`, `--file_log=${own}/log`, `--email_password_file=${own}/password`);
        const byAccount = `runuser -u ${account} -- `;
        assert.deepEqual(found.filter((mend) => !mend.startsWith(byAccount)), []);
        assert.deepEqual(found.map((mend) => mend.slice(byAccount.length).replaceAll(root.root, 'ROOT')).sort(),
                         ['chmod a+r ROOT/service/machines/own.raw', 'chmod a+x ROOT/home/closed', 'chmod o-w ROOT/home/open',
                          'chmod o= ROOT/home/password']);
        for (const name of ['closed', 'open', 'of-root', 'log', 'password'])
            fs.rmSync(path.join(own, name), { recursive: true });
    });

    test('purge has root remove nothing there', async () => {
        const left = path.join(root.snapshots, 'broken-0123');
        fs.mkdirSync(path.join(left, 'of-root'), { recursive: true });
        root.write('service/snapshots/broken-0123/of-root/file', 'x');
        const { code, err } = await root.run(['purge', '--yes']);
        assert.notEqual(code, 0);
        assert.match(err, /Left are these files of other accounts: '.*broken-0123'/);
        assert.doesNotMatch(err, /rm -r/);
    });
});

// The account's moment is right before a folder is made: programs that come first in PATH are that moment.
test('the scripts of the package give away no folder of root', () => {
    const state = '/var/lib/qemu-web-desktop', victim = root.path('victim');
    fs.mkdirSync(victim);
    fs.mkdirSync(state, { recursive: true });
    sh('mount', '-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', state);
    const apache = '/usr/share/apache2', hasApache = fs.existsSync(apache);
    if (hasApache) // its configuration is none of this test's business
        sh('mount', '-t', 'tmpfs', 'tmpfs', apache);
    sh('chown', account, state);
    for (const name of ['install', 'mkdir', 'chown'])
        root.shim(name, `#!/bin/sh
for last; do :; done
case "$last" in ${state}/*) [ -e "$last" ] || ${asAccount.join(' ')} ln -s ${victim} "$last" ;; esac
exec /usr/bin/${name} "$@"
`);
    for (const name of ['dpkg-statoverride', 'adduser', 'getent'])
        root.shim(name, '#!/bin/sh\nexit 0\n');
    const log = '/var/log/qemu-web-desktop.log', hadLog = fs.existsSync(log), run = '/run/qemu-web-desktop', hadRun = fs.existsSync(run);
    try {
        const { stderr } = spawnSync('sh', [path.join(top, 'debian/qemu-web-desktop.postinst'), 'configure'],
                                     { env: { PATH: root.environment().PATH }, encoding: 'utf8' });
        assert.equal(uidOf(victim), 0);
        for (const name of ['machines', 'snapshots', 'cache'])
            assert.equal(uidOf(path.join(state, name)), uidOf(state), stderr);
    } finally {
        sh('umount', state);
        if (hasApache)
            sh('umount', apache);
        if (!hadLog)
            fs.rmSync(log, { force: true });
        if (!hadRun)
            fs.rmSync(run, { recursive: true, force: true });
        for (const name of fs.readdirSync(root.path('shim')))
            fs.rmSync(root.path('shim', name));
    }
});

describe('the terminal of root', () => {
    const accountUid = Number(command('id', ['-u', account]));
    const read = (pid, name) => fs.readFileSync(`/proc/${pid}/${name}`, 'latin1');
    const ofTheAccount = () => allPids().filter((pid) => {
        try {
            return Number(/^Uid:\t(\d+)/m.exec(read(pid, 'status'))[1]) === accountUid;
        } catch {
            return false; // it has just ended
        }
    });

    // None has a terminal, by its session or as a descriptor, and no other process of the account can trace it.
    function assertHarmless(pids) {
        assert.ok(pids.length > 0);
        for (const pid of pids) {
            const name = read(pid, 'cmdline').replaceAll('\0', ' ');
            assert.equal(read(pid, 'stat').split(') ').at(-1).split(' ')[4], '0', `${name}has a terminal`);
            const open = fs.readdirSync(`/proc/${pid}/fd`).map((fd) => fs.readlinkSync(`/proc/${pid}/fd/${fd}`));
            assert.deepEqual(open.filter((file) => /^\/dev\/(pts|tty)/.test(file)), [], name);
            const tracer = spawnSync(asAccount[0], [...asAccount.slice(1), 'cat', `/proc/${pid}/environ`]);
            assert.notEqual(tracer.status, 0, `${name}can be traced`);
        }
    }

    const inTerminal = (t, ...words) => start(t, 'script', ['-qec', `exec ${words.map((word) => `'${word}'`).join(' ')}`, '/dev/null'],
        { env: root.environment({ TERM: 'xterm' }), stdio: ['pipe', 'pipe', 'pipe'] });

    test('a command that waits for an answer', async (t) => {
        root.write('service/machines/orphan.raw', 'x'.repeat(5000));
        root.give('service/machines');
        const child = inTerminal(t, root.program, 'purge');
        await outputHas(child, 'out', /Remove them for good\?/);
        assertHarmless(ofTheAccount());
        child.stdin.end('y\n');
        assert.equal((await within('the end of purge', child.ended)).code, 0);
        assert.deepEqual(fs.readdirSync(root.machines), []);
    });

    test('Ctrl-C at a question ends the command, and nothing is removed', async (t) => {
        root.write('service/machines/orphan.raw', 'x'.repeat(5000));
        root.give('service/machines');
        const child = inTerminal(t, root.program, 'purge');
        await outputHas(child, 'out', /Remove them for good\?/);
        child.stdin.write('\x03');
        assert.notEqual((await within('the end of purge', child.ended)).code, 0);
        await eventually('the end of the account\'s part', () => ofTheAccount().length === 0);
        assert.deepEqual(fs.readdirSync(root.machines), ['orphan.raw']);
    });

    test('a command whose part the account has stopped ends with a signal', async (t) => {
        const child = start(t, path.join(root.bin, 'qwd-server'), [`--port=${await freePort()}`], { env: root.environment() });
        await outputHas(child, 'out', /http:\/\//);
        const [serving] = ofTheAccount();
        asTheAccount('kill', '-STOP', String(serving));
        child.kill('SIGTERM');
        await within('the end of the server', child.ended);
        assert.deepEqual(ofTheAccount(), []);
    });

    test('a reader that does not read keeps nobody from ending a command', async (t) => {
        for (let i = 0; i < 3000; i++)
            fs.writeFileSync(path.join(root.machines, `${'m'.repeat(90)}-${i}.raw`), '');
        const fifo = root.path('home/fifo');
        sh('mkfifo', fifo);
        const stdout = fs.openSync(fifo, 'r+');
        const child = start(t, root.program, ['names', 'machines'], { env: root.environment(), stdio: ['ignore', stdout, 'pipe'] });
        await eventually('a full pipe', () => ofTheAccount().some((pid) => /pipe/.test(readIfThere(`/proc/${pid}/wchan`))));
        child.kill('SIGTERM');
        assert.equal((await within('the end of names', child.ended)).signal, 'SIGTERM');
        fs.closeSync(stdout);
        fs.rmSync(fifo);
    });

    test('a download', async (t) => {
        const web = await new Web().start(root.path('home'));
        t.after(() => web.end());
        web.files = { 'a.qcow2': { body: randomImage(root.path('home/a.qcow2')), stall: 1000 } };
        const sent = new Promise((resolve) => web.once('sent', resolve));
        const child = inTerminal(t, root.program, 'enable', web.url('a.qcow2', web.clear));
        await within('the first bytes', sent);
        assertHarmless(ofTheAccount());
        child.kill('SIGKILL');
        await eventually('the end of the download', () => ofTheAccount().length === 0);
    });

    test('qwd-server', async (t) => {
        const child = inTerminal(t, path.join(root.bin, 'qwd-server'), `--port=${await freePort()}`);
        await outputHas(child, 'out', /http:\/\//);
        assertHarmless(ofTheAccount());
        child.stdin.write('\x03');
        assert.equal((await within('the end of the server', child.ended)).code, 0);
        assert.deepEqual(ofTheAccount(), []);
    });
});

test('streams that are closed give their numbers to no other file', async (t) => {
    const server = start(t, 'sh', ['-c', `exec '${path.join(root.bin, 'qwd-server')}' --port=0 <&- 2>&-`], { env: root.environment() });
    await outputHas(server, 'out', /http:\/\/127\.0\.0\.1:[1-9]/);
    const [, port] = /:(\d+)\//.exec(server.out);
    assert.equal((await http(Number(port), 'GET', '/qemu-web-desktop/static/style.css')).status, 200);
    server.kill('SIGTERM');
    assert.equal((await within('the end of the server', server.ended)).code, 0);
    root.write('etc/machines.conf', '[a.qcow2]\n');
    const status = (redirections) => spawnSync('sh', ['-c', `exec '${root.program}' status ${redirections}`], { env: root.environment(), encoding: 'utf8' });
    assert.equal(status('2>&-').status, 0);
    assert.equal(status('2>/dev/full').status, 0);
    assert.notEqual(status('>&-').status, 0);
    assert.notEqual(status('>/dev/full').status, 0);
});

describe('texts of the account', () => {
    test('too much of it makes no command of root wait', async () => {
        const folder = path.join(root.machines, 'saved.d');
        asTheAccount('mkdir', '-p', folder);
        for (let i = 0; i < 300; i++)
            fs.writeFileSync(path.join(folder, `alice:${i}.qcow2.ini`), `[alice:${i}.qcow2]\ndescription=${'x'.repeat(64000)}\n`);
        root.give('service/machines');
        const { code } = await root.run(['refresh']);
        assert.equal(code, 0);
    });

    // The record of an ended session whose disk was kept.
    function keptSession(plan) {
        const image = path.join(root.machines, 'base.qcow2');
        randomImage(image, 65536);
        root.write('etc/machines.conf', '[base.qcow2]\n');
        const { size, mtimeNs } = fs.statSync(image, { bigint: true });
        const version = `${size}-${mtimeNs / 1000000000n}.${String(mtimeNs % 1000000000n).padStart(9, '0')}`;
        const id = root.record(image, { state: 'ended', image_version: version, plan: { machine: 'base.qcow2', image, title: 'Base', ...plan } });
        sh('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', image, '-F', 'qcow2',
           root.path('service/snapshots', id, 'disk.qcow2'));
        root.give('service');
        return id;
    }

    test('the record of a session adds no entry for another machine', async () => {
        for (const title of ['x\n[other.qcow2]\nurl=http://localhost/x', 'x\nusers=mallory', 'x\rusers=mallory']) {
            const { code, err } = await root.run(['save', keptSession({ title }), 'new.qcow2']);
            assert.notEqual(code, 0);
            assert.match(err, /not a line of text/);
            assert.deepEqual(fs.readdirSync(root.path('etc/config.d')), []);
        }
        const { code, err } = await root.run(['save', keptSession({}), 'new.qcow2']);
        assert.equal(code, 0, err);
        assert.match(root.read('etc/config.d/new.qcow2.ini'), /^\[new\.qcow2\]\ndescription=Base, saved /);
    });

    test('what root writes can be read by the service under any umask', async () => {
        const closed = (...words) => root.collect(spawn('sh', ['-c', 'umask 077 && exec "$@"', 'sh', root.program, ...words], {
            env: root.environment(), stdio: 'pipe',
        }), words.join(' '));
        const id = keptSession({});
        fs.rmSync(root.path('etc/config.d'), { recursive: true });
        for (const words of [['enable', 'base.qcow2'], ['save', id, 'new.qcow2'], ['refresh']]) {
            const { code, err } = await closed(...words);
            assert.equal(code, 0, err);
        }
        for (const file of ['etc/machines.conf', 'etc/config.d', 'etc/config.d/new.qcow2.ini', 'service/index.html'])
            assert.equal(fs.statSync(root.path(file)).mode & 0o044, 0o044, file);
    });

    test('a carriage return within a value is refused', async () => {
        root.write('etc/machines.conf', '[base.qcow2]\ndescription=one\rusers=mallory\n');
        const machines = await root.run(['names', 'machines']);
        assert.equal(machines.code, 2);
        assert.match(machines.err, /line 2: There is a control character \(0x0d\)/);
        root.write('etc/machines.conf', '[base.qcow2]\r\ndescription=one\r\n');
        assert.equal((await root.run(['names', 'machines'])).code, 0);
        root.write('etc/machines.conf', '');
        assert.notEqual((await root.run(['config', 'get', 'machine', '--machine=one\rtwo'])).code, 0);
    });

    test('commands to copy are quoted', async () => {
        const folder = root.path('open; touch pwned $(touch pwned)');
        fs.mkdirSync(folder);
        fs.chmodSync(folder, 0o777);
        const { out } = await root.run(['doctor', '--json', `--dir_cache=${folder}`, `--dir_login=${folder}'/no`]);
        const lines = JSON.parse(out).filter(({ text }) => text.includes('pwned')).map(({ mend }) => mend).filter(Boolean);
        assert.ok(lines.length > 0, out);
        for (const line of lines) {
            const words = command('sh', ['-c', `printf '%s\\n' ${line}`]).split('\n');
            assert.ok(words.some((word) => word.startsWith(folder)), line);
        }
        fs.rmSync(folder, { recursive: true });
    });

    test('a pipe in the place of a log, a lock or a record makes no command of root wait', async (t) => {
        const id = root.record('/x', { owner: 'alice' }), logs = root.path('service/logs', id), login = root.path('service/login');
        asTheAccount('mkdir', '-p', '-m', '700', logs, login);
        const pipes = [root.path('service/log'), root.path('service/log.1'), path.join(logs, 'supervisor.log'),
                       path.join(login, 'backoff.lock'), path.join(login, 'totp.lock')];
        const remove = () => asTheAccount('rm', '-f', ...pipes);
        remove();
        t.after(remove);
        asTheAccount('mkfifo', ...pipes);
        for (const words of [['log', id], ['log'], ['status'], ['metrics'], ['backoff'], ['backoff', 'clear'], ['totp', 'reset', 'alice'], ['doctor']])
            await within(words.join(' '), root.run(words));
    });

    test('no escape sequence reaches a terminal or a file', async () => {
        asTheAccount('touch', path.join(root.machines, 'a\x1b]0;pwned\x07b\nc.qcow2'));
        const plan = { machine: 'm\x1b[31m', image: '/x' };
        const id = root.record('/x', { owner: 'ali\x1b[2Jce', plan });
        for (const words of [['metrics'], ['status'], ['purge'], ['log', id], ['doctor'], ['names', 'machines'], ['names', 'sessions'], ['backoff']]) {
            const plain = await root.run(words), shown = await root.terminal(words, { input: '\n' });
            for (const text of [plain.out, plain.err, shown.out])
                assert.ok(!/\x1b(?!\[\d*m)|\x07/.test(text), JSON.stringify(text));
        }
        assert.ok((await root.run(['status'])).out.includes('a^[]0;pwned^Gb^Jc.qcow2'));
    });
});
