// SPDX-License-Identifier: AGPL-3.0-or-later
// qwd-auth-local against real accounts of this machine, made for the test and removed after it. Needs root: making
// accounts does, and so does pam_unix.

import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { answerOf, ask, assertRefused, assertYes, credentials, helper, tryLogin } from '../lib/auth-programs.mjs';
import { builds, command, tempFolder, top } from '../lib/files.mjs';
import { suite, untilProcess, visibleOf } from '../lib/programs.mjs';
import { inTime } from '../lib/wait.mjs';

const program = helper('local');
const service = '/etc/pam.d/qemu-web-desktop';
const password = crypto.randomBytes(12).toString('hex');
const fixture = {};
const whole = suite(after);
const login = (user, secret = password, options) => tryLogin(program, user, secret, options);

// Its name says whose it is, should the machine lose power in the middle.
function account(label, ...options) {
    const name = `qwdtest-${label}-${crypto.randomBytes(3).toString('hex')}`;
    command('/usr/sbin/useradd', ['--no-create-home', '--no-log-init', '--home-dir', '/nonexistent', '--shell', '/bin/sh',
                                  '--user-group', ...options, name]);
    whole.after(() => command('/usr/sbin/userdel', [name]));
    command('/usr/sbin/chpasswd', [], { input: `${name}:${password}\n` });
    return name;
}

function group() {
    const name = `qwdtest-${crypto.randomBytes(3).toString('hex')}`;
    command('/usr/sbin/groupadd', [name]);
    whole.after(() => command('/usr/sbin/groupdel', [name]));
    return name;
}

const allowsSetuid = (folder) =>
    !command('findmnt', ['--noheadings', '--output', 'OPTIONS', '--target', folder]).includes('nosuid');

// A copy of the release build: sanitizers and setuid do not go together.
function setuidCopy(name, mode) {
    const copy = path.join(fixture.folder, name);
    fs.copyFileSync(helper('local', 'release'), copy);
    command('chown', ['root:www-data', copy]);
    fs.chmodSync(copy, mode);
    return copy;
}

before(() => {
    assert.equal(process.getuid(), 0, 'these tests make accounts and need root');
    fixture.folder = tempFolder(whole, 'local-', [os.tmpdir(), '/var/tmp', builds].find(allowsSetuid));
    if (!fs.existsSync(service)) {
        fs.copyFileSync(path.join(top, 'etc/pam.d/qemu-web-desktop'), service);
        whole.after(() => fs.rmSync(service));
    }
    fixture.group = group();
    fixture.user = account('user', '--comment', '& Tést,Room 1,,', '--groups', fixture.group);
    fixture.setuid = setuidCopy('qwd-auth-local', 0o4750);
    fixture.caller = { uid: Number(command('id', ['-u', 'www-data'])), gid: Number(command('id', ['-g', 'www-data'])),
                       cwd: '/' };
});

describe('a password', () => {
    it('right is yes, with the account\'s name, full name and groups', async () => {
        assertYes(await login(fixture.user), {
            user: fixture.user,
            name: `Q${fixture.user.slice(1)} Tést`,
            email: '',
            groups: [fixture.group, fixture.user].sort(),
        });
    });
    it('wrong is no, at once: PAM\'s own delay is left to the caller', async () => {
        await inTime(1, async () => { // pam_unix asks for 1 to 3 s
            const answer = await login(fixture.user, `${password}x`);
            assertRefused(answer, 1, /PAM refuses the password: /);
            return answer.ms < 1000;
        });
    });
    it('empty is no', async () => {
        assertRefused(await login(fixture.user, ''), 1, /empty/);
        assertRefused(await login('', password), 1, /empty/);
    });
    it('near the right one, hostile, or long is no', async () => {
        for (const secret of [password.toUpperCase(), ` ${password}`, `${password}\n`, '*', '!', 'x', '%s%n', 'x'.repeat(1024), '😀'])
            assertRefused(await login(fixture.user, secret), 1);
    });
    it('of 10 kB is malformed', async () => {
        assertRefused(await login(fixture.user, 'x'.repeat(10240)), 2, /Expected/);
    });
});

describe('an account', () => {
    it('that is locked is no', async () => {
        const user = account('locked');
        assertYes(await login(user), { user });
        command('passwd', ['--lock', '--quiet', user]);
        assertRefused(await login(user), 1, /PAM/);
    });
    it('that has expired is no', async () => {
        const user = account('expired');
        command('chage', ['--expiredate', '2020-01-01', user]);
        assertRefused(await login(user), 1, /PAM refuses the account/);
        assertRefused(await login(user, 'wrong'), 1, /PAM refuses the password/);
    });
    it('whose password must be changed first is no', async () => {
        const user = account('stale');
        command('chage', ['--lastday', '0', user]);
        assertRefused(await login(user), 1, /PAM refuses the account/);
    });
    it('without a password is no, whatever is typed', async () => {
        const user = account('open');
        command('passwd', ['--delete', '--quiet', user]);
        for (const secret of ['', password, 'x'])
            assertRefused(await login(user, secret), 1);
    });
    it('of the system, root or unknown is no', async () => {
        const system = account('system', '--system');
        const cases = [['root', /not one for people/], [system, /not one for people/], ['www-data', /not one for people/],
                       ['nosuchuser', /No such account/]];
        for (const [user, reason] of cases) {
            assertRefused(await login(user), 1, reason);
            assertRefused(await login(user, 'wrong'), 1, reason);
        }
    });
    it('that is unknown takes as long as a wrong password', async () => {
        let known = Infinity, unknown = Infinity; // the quickest of each, in turn: more of them where a busy machine blurs it
        const quicker = async (user, ms) => Math.min(ms, (await tryLogin(helper('local', 'release'), user, 'wrong')).ms);
        const areAlike = () => unknown > known / 2.5 && unknown < known * 2.5;
        for (let i = 0; i < 7 || (i < 70 && !areAlike()); i++)
            [known, unknown] = [await quicker(fixture.user, known), await quicker('nosuchuser', unknown)];
        assert.ok(areAlike(), `${known} ms known, ${unknown} ms unknown`);
    });
    it('with a hostile name is no', async () => {
        const names = ['*', '%s', '../root', 'root\n', `${fixture.user}\n`, ` ${fixture.user}`, `${fixture.user}:x`,
                       fixture.user.toUpperCase(), '0', '-h', '日本', '\x01', '+', '@group', 'x'.repeat(1024)];
        for (const name of names)
            assertRefused(await login(name), 1, /No such account/);
        for (const name of [`${fixture.user}\0`, 'x'.repeat(10240), Buffer.from([0xff])])
            assertRefused(await login(name), 2, /Expected/);
    });
});

describe('setuid root, for the service account', () => {
    const asService = (user, secret = password, options = {}) =>
        tryLogin(fixture.setuid, user, secret, { ...fixture.caller, ...options });

    it('right is yes, wrong is no', async () => {
        assertYes(await asService(fixture.user), { user: fixture.user });
        assertRefused(await asService(fixture.user, 'wrong'), 1);
        assertRefused(await asService('root'), 1, /not one for people/);
    });
    it('other accounts cannot start it', async () => {
        const nobody = { uid: 65534, gid: 65534, cwd: '/' };
        await assert.rejects(tryLogin(fixture.setuid, fixture.user, password, nobody), { code: 'EACCES' });
    });
    it('a mode that lets everybody start it is refused', async () => {
        const open = setuidCopy('open', 0o4755);
        assertRefused(await tryLogin(open, fixture.user, password, fixture.caller), 2, /must be 4750/);
        assertRefused(await tryLogin(open, fixture.user, password, { uid: 65534, gid: 65534, cwd: '/' }), 2, /must be 4750/);
    });
    it('without setuid it is unavailable, and says what to do', async () => {
        const plain = setuidCopy('plain', 0o755);
        assertRefused(await tryLogin(plain, fixture.user, password, fixture.caller), 2, /root:GROUP 4750/);
    });
    it('without setuid an account can be checked by itself', async () => {
        const plain = setuidCopy('own', 0o755);
        const self = { uid: Number(command('id', ['-u', fixture.user])), gid: Number(command('id', ['-g', fixture.user])), cwd: '/' };
        assertYes(await tryLogin(plain, fixture.user, password, self), { user: fixture.user });
        assertRefused(await tryLogin(plain, fixture.user, 'wrong', self), 1);
    });
    it('environment, arguments, settings, folder and signals of the caller do not matter', async () => {
        const env = { QWD_CONFIG: path.join(fixture.folder, 'hostile.conf'), QWD_OVERRIDES: 'nonsense=1\n', LD_PRELOAD: '/tmp/x.so',
                      G_DEBUG: 'fatal-warnings', G_MESSAGES_DEBUG: 'all', LANG: 'xx', PATH: fixture.folder, TZ: '/etc/shadow',
                      MALLOC_CHECK_: '3', LOCALDOMAIN: 'x', RES_OPTIONS: 'x', NLSPATH: fixture.folder };
        fs.writeFileSync(env.QWD_CONFIG, 'nonsense\n');
        assertYes(await asService(fixture.user, password, { env, args: ['--help', '/etc/shadow', '-x'] }), { user: fixture.user });
    });
    // It waits for the end of its input, in read(2) (0 on x86-64, 63 on aarch64) of descriptor 0: all that comes before is done.
    const readsInput = (pid) => /^(0|63) 0x0 /.test(fs.readFileSync(`/proc/${pid}/syscall`, 'latin1'));
    const waiting = async (t) => {
        const file = fs.openSync('/etc/hostname', 'r');
        t.after(() => fs.closeSync(file));
        const child = ask(fixture.setuid, credentials(fixture.user, password),
                          { ...fixture.caller, stdio: ['pipe', 'pipe', 'pipe', file, file], more: true });
        t.after(() => child.kill('SIGKILL')); // it waits for its input until then
        await untilProcess(child, 'reading its input', (pid) => readsInput(pid) && !fs.readdirSync(`/proc/${pid}/fd`).some((fd) => fd > 2));
        return child;
    };
    // Signals 32 and 33 are the C library's own, which no program can change.
    const signalsIn = (status, name) => BigInt(`0x${status.match(new RegExp(`${name}:\t(.*)`))[1]}`) & ~(3n << 31n);
    it('closes inherited descriptors, shows no password, and leaves no trace to debuggers', async (t) => {
        const child = await waiting(t);
        assert.ok(!visibleOf(child.pid).includes(password));
        assert.equal(fs.statSync(`/proc/${child.pid}/mem`).uid, 0); // not dumpable: /proc belongs to root
        assert.match(fs.readFileSync(`/proc/${child.pid}/limits`, 'utf8'), /Max core file size +0 +0/);
        const status = fs.readFileSync(`/proc/${child.pid}/status`, 'utf8');
        assert.match(status, /Groups:\t *\n/);
        assert.equal(signalsIn(status, 'SigBlk'), 0n);
        assert.equal(signalsIn(status, 'SigIgn'), 0n);
        assert.match(status, /Umask:\t0077\n/);
        child.stdin.end();
        assertYes(await answerOf(child, password), { user: fixture.user });
    });
    it('can be ended by its caller', async (t) => {
        const child = await waiting(t);
        command('sh', ['-c', 'kill -KILL "$1"', 'sh', child.pid], fixture.caller);
        assert.equal((await answerOf(child, password)).signal, 'SIGKILL');
    });
});

describe('the PAM service', () => {
    const manners = (manner) => {
        const module = path.join(fixture.folder, 'pam_manners.so');
        if (!fs.existsSync(module))
            command('gcc', ['-shared', '-fPIC', '-o', module, path.join(top, 'tests/auth/pam_manners.c')]);
        return `auth required ${module} ${manner}\naccount required pam_permit.so\n`;
    };
    // Another service file, or none, until the test ends.
    const serviceIs = (t, text) => {
        const aside = `${service}.qwd-test`;
        fs.renameSync(service, aside);
        t.after(() => fs.renameSync(aside, service));
        if (text)
            fs.writeFileSync(service, text);
    };
    const shipped = fs.readFileSync(path.join(top, 'etc/pam.d/qemu-web-desktop'), 'utf8');

    it('that has no file of its own is not asked', async (t) => {
        serviceIs(t, null);
        assertRefused(await login(fixture.user), 2, /no PAM service file/);
    });
    it('whose module is missing is unavailable', async (t) => {
        serviceIs(t, 'auth required pam_no_such_module.so\naccount required pam_permit.so\n');
        assertRefused(await login(fixture.user), 2, /Module is unknown/);
    });
    it('can let in the members of one group alone, as the shipped file shows', async (t) => {
        const restricted = shipped.replace(/^#(account .*ingroup) .*/m, `$1 ${fixture.group}`);
        assert.notEqual(restricted, shipped);
        serviceIs(t, restricted);
        assertYes(await login(fixture.user), { user: fixture.user });
        assertRefused(await login(account('outside')), 1, /PAM refuses the account/);
    });
    it('is answered once, with the password, and nothing else', async (t) => {
        serviceIs(t, manners('messages'));
        assertYes(await login(fixture.user, 'told'), { user: fixture.user });
        assertRefused(await login(fixture.user, 'not told'), 1);
        for (const manner of ['twice', 'echo']) {
            fs.writeFileSync(service, manners(manner));
            assertRefused(await login(fixture.user, 'told'), 1);
        }
    });
    it('cannot make another user of one', async (t) => {
        serviceIs(t, manners('twice'));
        for (const other of [account('other'), 'root']) {
            fs.writeFileSync(service, manners(`rename=${other}`));
            assertRefused(await login(fixture.user), 1);
        }
        fs.writeFileSync(service, manners(`rename=${fixture.user}`));
        assertYes(await login(fixture.user), { user: fixture.user });
    });
    it('that never answers ends with its caller\'s patience', async (t) => {
        serviceIs(t, manners('hang'));
        const child = ask(fixture.setuid, credentials(fixture.user, password), fixture.caller);
        await untilProcess(child, 'in the module', (pid) =>
            fs.readFileSync(`/proc/${pid}/maps`, 'utf8').includes('pam_manners.so'));
        command('sh', ['-c', 'kill -TERM "$1"', 'sh', child.pid], fixture.caller);
        assert.equal((await answerOf(child, password)).signal, 'SIGTERM');
    });
    it('cannot let in root, whatever it says', async (t) => {
        serviceIs(t, 'auth required pam_permit.so\naccount required pam_permit.so\n');
        assertYes(await login(fixture.user, 'anything'), { user: fixture.user }); // it is the administrator's to say
        assertRefused(await login('root', 'anything'), 1, /not one for people/);
    });
});
