// SPDX-License-Identifier: AGPL-3.0-or-later
// Logging in at the web face: cookies and form tokens, second factors, mail, back-off, and what the log says.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { command, top } from '../lib/files.mjs';
import { Browser, LoginService, codesOf, hidden, mailSink, notice, users, withoutKeys } from '../lib/login-service.mjs';
import { commandLines } from '../lib/programs.mjs';
import { until, within } from '../lib/wait.mjs';

const service = new LoginService();
before(() => service.start({ settings: { snapshot_lifetime: '30d' } }));
after(() => service.end());

const browser = (options) => new Browser(service, options);
const from = (address) => ({ REMOTE_ADDR: address });

// A browser whose failures and keys are its own, from an address of its own.
let addresses = 0;
const stranger = (settings = {}) => browser({ settings: service.variant(settings), env: from(`192.0.2.${++addresses}`) });

// --- cookies ---

test('the cookie', async (t) => {
    const alice = await browser().login('alice');

    await t.test('its attributes', async () => {
        assert.match(alice.cookieAttributes, /^Path=\/; HttpOnly; SameSite=Lax; Max-Age=28800$/);
        assert.equal(alice.cookieName, 'qwd_login');
        const secure = await browser({ env: { HTTPS: 'on' } }).login('alice');
        assert.match(secure.cookieAttributes, /^Path=\/; HttpOnly; SameSite=Lax; Max-Age=28800; Secure$/);
        assert.equal(secure.cookieName, '__Host-qwd_login');
        assert.equal((await secure.get({ manage: '1' })).status, 200);
    });

    await t.test('a forged one is nobody\'s', async () => {
        const [body, mac] = alice.cookie.split('.');
        const payload = JSON.parse(Buffer.from(body, 'base64url'));
        assert.equal(payload.user, 'alice');
        const encode = (object) => Buffer.from(JSON.stringify(object)).toString('base64url');
        const bob = await browser().login('bob');
        const forged = [
            `${encode({ ...payload, user: 'carol' })}.${mac}`, `${encode({ ...payload, groups: ['wheel'] })}.${mac}`,
            `${encode({ ...payload, exp: payload.exp + 1 })}.${mac}`, `${body}.${bob.cookie.split('.')[1]}`,
            `${body}.`, `${body}.${mac.slice(0, -1)}`, `${body}.${'A'.repeat(43)}`, body, `.${mac}`, mac, 'x', '.',
            'A'.repeat(9000), `${body}.${mac}; qwd_login=x`.replace(/^/, 'x; qwd_login='), alice.cookie.toLowerCase(),
        ];
        for (const cookie of forged) {
            const answer = await browser().get({ manage: '1' }, { Cookie: `qwd_login=${cookie}` });
            assert.equal(answer.status, 401, cookie);
        }
        assert.equal((await browser().get({ manage: '1' })).status, 401);
        assert.equal((await alice.get({ manage: '1' })).status, 200);
    });

    await t.test('after logging out it is worth nothing, wherever it is', async () => {
        const here = await browser().login('alice'), elsewhere = await browser().login('alice');
        const stolen = Object.assign(browser(), { cookie: here.cookie });
        assert.equal((await stolen.get({ manage: '1' })).status, 200);
        const answer = await here.submit({ logout: '1' });
        assert.equal(answer.status, 303);
        assert.equal(here.cookie, undefined);
        assert.match(here.cookieAttributes, /Max-Age=0/);
        assert.equal((await stolen.get({ manage: '1' })).status, 401);
        assert.equal((await elsewhere.get({ manage: '1' })).status, 200);
    });

    await t.test('an administrator who is one no more loses the right at once', async () => {
        const carol = await browser().login('carol');
        const later = Object.assign(browser({ settings: { user_admin: 'root' } }), { cookie: carol.cookie });
        assert.match((await carol.get({ manage: '1' })).text, /service_purge/);
        assert.doesNotMatch((await later.get({ manage: '1' })).text, /service_purge/);
        assert.equal((await later.submit({ service_purge: '1' })).status, 403);
    });

    await t.test('removing the key logs everybody out', async () => {
        const who = await stranger().login('alice');
        const key = who.overrides.match(/dir_login=(.*)/)[1];
        assert.equal(fs.statSync(path.join(key, 'key')).mode & 0o777, 0o600);
        fs.rmSync(path.join(key, 'key'));
        assert.equal((await who.get({ manage: '1' })).status, 401);
        await who.login('alice');
        fs.writeFileSync(path.join(key, 'key'), 'broken');
        const answer = await who.post({ user: 'alice', password: users.alice.password, manage: '1' });
        assert.equal(answer.status, 500);
        assert.doesNotMatch(answer.text, /login|\/tmp/);
        assert.match(answer.err, /key is not a key. Remove it/);
    });
});

// --- form tokens ---

test('form tokens', async (t) => {
    const alice = await browser().login('alice'), bob = await browser().login('bob');
    const other = await browser().login('alice');
    const refused = async (fields, headers) => {
        const answer = await alice.post({ create: '1', machine: 'echo.iso', ...fields }, headers);
        assert.equal(answer.status, 403, answer.text);
        assert.deepEqual(service.sessions(), []);
        return notice(answer.text);
    };

    await t.test('missing, wrong, or of another login', async () => {
        const own = await alice.token();
        for (const csrf of [undefined, '', 'x', await bob.token(), await other.token(), own.slice(1), `${own}A`])
            assert.match(await refused(csrf === undefined ? {} : { csrf }), /too old, or was not made by this service/);
    });

    await t.test('a form of another site, token or not', async () => {
        for (const Origin of ['http://evil.example', 'http://localhost.evil.example', 'null', 'http://localhost:81'])
            assert.match(await refused({ csrf: await alice.token() }, { Origin }), /another site/);
    });

    await t.test('another site cannot log a browser in as somebody else', async () => {
        const who = browser();
        const answer = await who.post({ user: 'bob', password: users.bob.password, manage: '1' }, { Origin: 'http://evil.example' });
        assert.equal(answer.status, 403);
        assert.equal(who.cookie, undefined);
    });

    await t.test('the right one', async () => {
        const answer = await alice.submit({ create: '1', machine: 'echo.iso' }, { Origin: 'http://localhost' });
        assert.equal(answer.status, 303);
    });

    await t.test('user and password in the request need none', async () => {
        const who = browser();
        const [id] = service.sessions();
        const answer = await who.post({ user: 'alice', password: users.alice.password, session_stop: id });
        assert.equal(answer.status, 303);
        assert.equal((await who.post({ user: 'alice', password: 'wrong', session_stop: id })).status, 401);
        await service.ended(id);
    });
});

// --- the login form ---

test('what was chosen survives a wrong password, and is done after the right one', async () => {
    const who = browser();
    const chosen = { create: 'Create', machine: 'echo.iso', cpu: '2', memory: '96M', snapshot_lifetime: '8h', oneshot: 'oneshot' };
    const wrong = await who.post({ user: 'alice', password: 'wrong', ...chosen });
    assert.equal(wrong.status, 401);
    assert.equal(notice(wrong.text), 'The user name or the password is not right.');
    assert.match(wrong.text, /name="user"[^>]* value="alice"/);
    const fields = hidden(wrong.text);
    for (const [name, value] of Object.entries(chosen))
        assert.ok(name === 'create' || name === 'oneshot' ? fields[name] : fields[name] === value, name);
    assert.ok(!wrong.text.includes('wrong"'), 'what was typed as password is not on the page');
    const right = await who.post({ ...fields, user: 'alice', password: users.alice.password });
    assert.equal(right.status, 303);
    const id = right.headers.location.match(/session=([0-9a-f]{32})/)[1];
    const { plan } = service.record(id);
    assert.deepEqual([plan.machine, plan.cpus, plan.memory_mib, plan.oneshot], ['echo.iso', 2, 96, true]);
    await who.submit({ session_stop: id });
    await service.ended(id);
});

test('a refusal does not say which half was wrong', async () => {
    const answers = [];
    for (const [user, password] of [['alice', 'wrong'], ['nobody', 'wrong'], ['nobody', users.alice.password], ['alice', `${users.alice.password} `]])
        answers.push(withoutKeys((await stranger().post({ user, password, manage: '1' })).text).replaceAll(user, 'USER'));
    assert.equal(new Set(answers).size, 1);
    assert.match(answers[0], /The user name or the password is not right\./);
});

test('names and passwords that mean harm', async () => {
    const harm = ['*)(uid=*', 'alice\nbob', 'alice\0', 'x'.repeat(10000), '../../etc/passwd', '<script>alert(1)</script>',
                  "' OR 1=1 --", '%n%n', 'élodie', '\u202ealice', '-rf', '$(id)', 'alice|', ' alice', ''];
    for (const text of harm) {
        const who = stranger();
        for (const fields of [{ user: text, password: 'x' }, { user: 'alice', password: text }]) {
            const answer = await who.post({ ...fields, manage: '1' });
            assert.ok([400, 401].includes(answer.status), `${JSON.stringify(fields)}: ${answer.status}`);
            assert.ok(!answer.text.includes('<script>alert'), answer.text);
            assert.equal(who.cookie, undefined);
        }
    }
    assert.ok(service.audit().every((line) => /^\[[^\]]+\] [A-Z]+ +(CPU|USER)=/.test(line)), 'one line for each event');
});

test('a way to log in that is out of order is no way in, and the log says why', async (t) => {
    const broken = { missing: ['/nonexistent/program', /Cannot start/], crash: [service.shim('crash', '#!/bin/sh\nkill -SEGV $$\n'), /exit code 139/],
                     late: [service.shim('late', '#!/bin/sh\nexec sleep 1000\n'), /late: /] };
    for (const [name, [program, pattern]] of Object.entries(broken))
        await t.test(name, async () => {
            const who = stranger({ check_user_custom: program, ...(name === 'late' && { check_user_deadline: '1s' }) });
            const answer = await who.post({ user: 'alice', password: users.alice.password, manage: '1' });
            assert.equal(answer.status, 401);
            assert.equal(notice(answer.text), 'The user name or the password is not right.');
            assert.match(answer.err, /Login with custom is not possible/);
            assert.match(answer.err, pattern);
            assert.equal(who.cookie, undefined);
        });
});

// Two children in sessions of their own: one holds the pipes, one does not. Its deadline is not longer for them.
test('a program of one\'s own ends at its deadline with all that it has started', async () => {
    const mark = `1000.${process.pid}`;
    const program = service.shim('daemons', `#!/bin/sh\nsetsid sleep ${mark} &\nsetsid sleep ${mark} >/dev/null 2>&1 &\nwait\n`);
    const who = stranger({ check_user_custom: program, check_user_deadline: '2s' });
    const answer = await who.post({ user: 'alice', password: users.alice.password, manage: '1' });
    assert.equal(answer.status, 401);
    assert.match(answer.err, /Login with custom is not possible: .*daemons: No answer within 2\.0 s\./);
    assert.ok(!commandLines().includes(mark));
});

// --- the documented example of a program of one's own ---

test('the program that CONFIGURE.md shows', async () => {
    const document = fs.readFileSync(path.join(top, 'CONFIGURE.md'), 'utf8');
    const users = service.path('etc/guests');
    const text = document.match(/```\n(#!\/bin\/sh\n# \/usr\/local\/lib\/qwd-check-file[^]*?)```/)[1]
        .replace('/etc/qemu-web-desktop/guests', users);
    fs.writeFileSync(users, '');
    command('htpasswd', ['-i', users, 'marie'], { input: 'her pass word\\' });
    const settings = { check_user_custom: service.shim('example', text), user_admin: '@guests' };
    const marie = await stranger(settings).login('marie', 'her pass word\\');
    assert.match((await marie.get({ manage: '1' })).text, /service_purge/, 'the group counts');
    for (const [user, password] of [['marie', 'her pass word'], ['marie', '\\'], ['pierre', 'her pass word\\'], ['marie', '$(id)']]) {
        const answer = await stranger(settings).post({ user, password, manage: '1' });
        assert.equal(answer.status, 401);
        assert.equal(answer.err, '');
    }
    fs.rmSync(users);
    const answer = await stranger(settings).post({ user: 'marie', password: 'her pass word\\', manage: '1' });
    assert.equal(answer.status, 401);
    assert.match(answer.err, /Login with custom is not possible: exit code 2: htpasswd cannot read/);
});

// --- secrets ---

test('passwords are nowhere but in the pipe', async () => {
    const who = browser(), gate = fs.promises.open(service.gate, 'w');
    const answer = who.post({ user: 'slow', password: users.slow.password, manage: '1' });
    const pipe = await within('the program asks', gate);
    const seen = commandLines();
    const running = fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name)).filter((pid) => {
        try {
            return fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(service.path('shim/check-user'));
        } catch {
            return false;
        }
    });
    const environments = running.map((pid) => fs.readFileSync(`/proc/${pid}/environ`, 'latin1')).join('\n');
    await pipe.close();
    assert.equal((await answer).status, 303);
    assert.ok(running.length > 0);
    assert.ok(environments.includes('PATH='));
    const typed = ['wr0ng-but-secret', ...Object.values(users).map(({ password }) => password)];
    await browser().post({ user: 'alice', password: typed[0], manage: '1' });
    const files = service.files();
    assert.ok(files.length > 3);
    for (const password of typed) {
        assert.ok(!seen.includes(password), 'in a command line');
        assert.ok(!environments.includes(password), 'in an environment');
        for (const { file, text } of files)
            assert.ok(!text.includes(password), `in ${file}`);
    }
});

// --- an authenticator app ---

// Programs get JSON for all of it: an answer that is a page, or a way to one, says nothing to them.
test('a login, its steps, its end and the end of all sessions as JSON', async () => {
    const settings = service.variant({ check_user_mfa: 'totp' });
    const env = from('192.0.2.210'), claim = { user: 'alice', password: users.alice.password };
    const who = browser({ settings, env });
    const page = await who.post({ ...claim, manage: '1' });
    const wrong = await who.json('POST', { ...hidden(page.text), code: '000000' });
    assert.equal(wrong.status, 401);
    assert.deepEqual([wrong.login.step, wrong.login.notice.kind], ['enrol', 'error']);
    assert.match(wrong.login.secret, /^[A-Z2-7]{32}$/);
    const done = await who.json('POST', { ...hidden(page.text), pending: wrong.login.pending, code: codesOf(wrong.login.secret)() });
    assert.equal(done.status, 200);
    assert.equal(done.login.step, 'recovery');
    assert.equal(done.login.codes.length, 8);
    assert.ok(who.cookie);
    const csrf = await who.token();
    const refused = await who.json('POST', { csrf: 'x', logout: '1' });
    assert.deepEqual([refused.status, refused.error.kind], [403, 'denied']);
    const out = await who.json('POST', { csrf, logout: '1' });
    assert.deepEqual([out.status, out.logged_out], [200, true]);
    assert.equal(who.cookie, undefined);
    assert.equal((await who.json('GET', { enter: '1' })).login.step, 'enter');

    const carol = await browser().login('carol');
    const unsure = await carol.json('POST', { csrf: await carol.token(), service_purge: '1' });
    assert.deepEqual([unsure.status, unsure.error.kind], [400, 'usage']);
    const purged = await carol.json('POST', { csrf: await carol.token(), service_purge: '1', confirm: '1' });
    assert.deepEqual([purged.status, purged.stopped], [200, 0]);
});

test('an authenticator app', async (t) => {
    const settings = service.variant({ check_user_mfa: 'totp' });
    const env = from('192.0.2.200');
    const claim = { user: 'alice', password: users.alice.password };
    const who = browser({ settings, env });
    let nextCode, code, recovery;

    await t.test('is set up at the first login', async () => {
        const page = await who.post({ ...claim, create: 'Create', machine: 'echo.iso', memory: '96M' });
        assert.equal(page.status, 200);
        assert.equal(who.cookie, undefined, 'a password alone is no login');
        assert.match(page.text, /<svg[^]*<path/);
        const secret = page.text.match(/<code>([A-Z2-7]{32})<\/code>/)[1];
        nextCode = codesOf(secret);
        const again = await who.post({ ...hidden(page.text), code: '000000' });
        assert.equal(again.status, 401);
        assert.match(notice(again.text), /The code is not right/);
        assert.equal(who.cookie, undefined);
        assert.ok(again.text.includes(secret), 'the same key, for the app has it by now');
        code = nextCode();
        const done = await who.post({ ...hidden(again.text), code });
        assert.equal(done.status, 200, done.text);
        assert.ok(who.cookie);
        recovery = [...done.text.matchAll(/<li><code>(\w+)<\/code>/g)].map((match) => match[1]);
        assert.equal(recovery.length, 8);
        const next = await who.post(hidden(done.text));
        assert.equal(next.status, 303, notice(next.text));
        const id = next.headers.location.match(/session=([0-9a-f]{32})/)[1];
        assert.equal(service.record(id).plan.memory_mib, 96, 'what was asked for at first');
        await who.submit({ session_stop: id });
        await service.ended(id);
    });

    await t.test('is asked for at the next one; a code counts once', async () => {
        const page = await browser({ settings, env }).post({ ...claim, manage: '1' });
        assert.equal(page.status, 200);
        assert.doesNotMatch(page.text, /<svg/);
        const used = await browser({ settings, env }).post({ ...hidden(page.text), code });
        assert.equal(used.status, 401);
        assert.match(notice(used.text), /count once/);
        const good = browser({ settings, env });
        code = nextCode();
        const answer = await good.post({ ...hidden(used.text), code });
        assert.equal(answer.status, 303, notice(answer.text));
        assert.match(answer.headers.location, /manage=1/);
        assert.equal((await good.get({ manage: '1' })).status, 200);
        const replay = browser({ settings, env });
        assert.equal((await replay.post({ ...hidden(used.text), code })).status, 401);
        assert.equal(replay.cookie, undefined);
    });

    await t.test('a recovery code stands in for it, once', async () => {
        for (const status of [303, 401]) {
            const page = await browser({ settings, env }).post({ ...claim, manage: '1' });
            assert.equal((await browser({ settings, env }).post({ ...hidden(page.text), code: recovery[0] })).status, status);
        }
    });

    await t.test('what a page holds between the steps is no login', async () => {
        const page = await browser({ settings, env }).post({ ...claim, manage: '1' });
        const { pending } = hidden(page.text);
        assert.equal((await browser({ settings }).get({ manage: '1' }, { Cookie: `qwd_login=${pending}` })).status, 401);
        assert.equal((await browser({ settings }).get({ enter: pending })).status, 401);
        assert.equal((await browser({ settings }).post({ pending: who.cookie, code })).status, 401);
    });

    await t.test('qwdctl totp reset forgets it', async () => {
        const control = (...words) => service.run([path.join(service.bin, 'qwdctl'), ...words, `--dir_login=${settings.dir_login}`]);
        const reset = await control('totp', 'reset', 'alice');
        assert.equal(reset.code, 0, reset.err);
        assert.match(reset.out, /alice sets up an authenticator app again/);
        assert.notEqual((await control('totp', 'reset', 'alice')).code, 0);
        const page = await browser({ settings, env }).post({ ...claim, manage: '1' });
        assert.match(page.text, /<svg/);
    });

    await t.test('is no way for a script to go around', async () => {
        const answer = await browser({ settings, env }).json('POST', { ...claim, create: '1', machine: 'echo.iso' });
        assert.equal(answer.status, 401);
        assert.match(answer.error.message, /second factor/);
        assert.deepEqual(service.sessions(), []);
    });

    await t.test('only for some groups', async () => {
        const some = service.variant({ check_user_mfa: 'totp', check_user_mfa_groups: 'staff' });
        assert.match((await browser({ settings: some }).post({ ...claim, manage: '1' })).text, /<svg/);
        await browser({ settings: some }).login('bob');
    });
});

// --- mail ---

// The link in a message: quoted-printable (RFC 2045, 6.7).
const linkIn = ({ text }) => text.replace(/=\n/g, '').replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)))
    .match(/^(https?:\/\/\S+\?enter=\S+)$/m)[1];

test('mail', async (t) => {
    const sink = await mailSink(t);
    const way = { smtp_server: '127.0.0.1', smtp_port: sink.address().port, smtp_use_ssl: 'none', email_method: 'port',
                  email_from: 'desk@example.org' };
    const mailTo = (address) => until(sink, 'mail', () => sink.messages.find(({ to, taken }) => !taken && to.includes(address)), `mail to ${address}`)
        .then((message) => Object.assign(message, { taken: true }));
    const seal = (link) => ({ enter: new URL(link).hash.slice(1) });

    await t.test('an address alone: the way in goes there', async () => {
        const settings = service.variant({ ...way, check_user_custom: '', check_user_with_email: 'yes', email_domains: 'example.org' });
        const who = browser({ settings });
        const landing = await who.get();
        assert.match(landing.text, /Mail address/);
        assert.doesNotMatch(landing.text, /type="password"/);
        const page = await who.post({ user: 'Dora@Example.ORG', create: '1', machine: 'echo.iso' });
        assert.equal(page.status, 200, page.text);
        assert.doesNotMatch(page.text, /enter=/);
        assert.equal(who.cookie, undefined);
        const mail = await mailTo('dora@example.org');
        const link = linkIn(mail);
        assert.ok(link.startsWith('http://localhost/cgi-bin/qemu-web-desktop.cgi?enter=1#'), link);
        assert.doesNotMatch(mail.text.match(/^Subject: .*$/m)[0], /enter|http/);

        const scanner = browser({ settings }); // looks at every link
        const opened = await scanner.get({ enter: '1' }); // what comes behind the # stays in the browser
        assert.match(opened.text, /<input id="enter" name="enter"/);
        const looks = [await scanner.post(seal(link)), await scanner.post({ enter: ` ${link} ` }), await scanner.get(seal(link))];
        assert.deepEqual(looks.map(({ status }) => status), [200, 200, 200]);
        assert.equal(looks[0].text, looks[1].text);
        assert.deepEqual(hidden(looks[0].text), hidden(looks[2].text), 'the links of older versions');
        assert.equal((await scanner.post(seal(link), { Origin: 'http://evil.example' })).status, 403);
        assert.equal(scanner.cookie, undefined);
        assert.deepEqual(service.sessions(), []);

        const reader = browser({ settings });
        const answer = await reader.post(hidden(looks[0].text));
        assert.equal(answer.status, 303, notice(answer.text));
        const [id] = service.sessions();
        assert.equal(service.record(id).owner, 'dora@example.org');
        assert.equal(service.record(id).plan.oneshot, true);

        for (const again of [await browser({ settings }).post(hidden(looks[0].text)), await browser({ settings }).post(seal(link))]) {
            assert.equal(again.status, 401);
            assert.match(notice(again.text), /This link has been used already/);
        }
        await reader.submit({ session_stop: id });
        await service.ended(id);
        for (const user of ['eve@example.com', 'dora@example.org.evil.com', 'dora', 'a@b@example.org'])
            assert.equal((await browser({ settings, env: from('192.0.2.201') }).post({ user, create: '1' })).status, 400, user);
        assert.deepEqual(sink.messages.filter(({ taken }) => !taken), []);
    });

    await t.test('as a second factor', async () => {
        const settings = service.variant({ ...way, check_user_mfa: 'email' });
        const who = browser({ settings });
        const page = await who.post({ user: 'alice', password: users.alice.password, manage: '1' });
        assert.equal(page.status, 200);
        assert.equal(who.cookie, undefined);
        const link = linkIn(await mailTo('alice@example.org'));
        assert.ok(!page.text.includes(link.slice(-20)));
        const opened = await who.post(seal(link));
        const answer = await who.post(hidden(opened.text));
        assert.equal(answer.status, 303);
        assert.match(answer.headers.location, /manage=1/);
        assert.equal((await who.get({ manage: '1' })).status, 200);
        const none = await browser({ settings }).post({ user: 'bob', password: users.bob.password, manage: '1' });
        assert.equal(none.status, 403);
        assert.match(notice(none.text), /none is known/);
    });

    await t.test('as a second factor beside single sign-on', async () => {
        const settings = service.variant({ ...way, check_user_custom: '', check_user_with_header: 'yes', check_user_mfa: 'email' });
        const who = browser({ settings, env: { REMOTE_USER: 'dora@example.org' } });
        for (const Accept of ['application/json', 'image/avif,image/webp,image/*,*/*;q=0.8']) // what pages ask for by themselves
            assert.equal((await who.get({ manage: '1' }, { Accept })).status, 401);
        assert.equal((await who.get({ manage: '1' })).status, 200);
        assert.equal(who.cookie, undefined);
        const opened = await who.post(seal(linkIn(await mailTo('dora@example.org'))));
        assert.match((await who.post(hidden(opened.text))).headers.location, /manage=1/);
        assert.match((await who.get({ manage: '1' })).text, /<span class="who">dora@example\.org<\/span>/);
        assert.deepEqual(sink.messages.filter(({ taken }) => !taken), [], 'one link is enough');
    });

    await t.test('that cannot be sent is said, and lets nobody in', async () => {
        const settings = service.variant({ ...way, email_from: '', check_user_with_email: 'yes' });
        const who = browser({ settings });
        const answer = await who.post({ user: 'dora@example.org', manage: '1' });
        assert.equal(answer.status, 503);
        assert.equal(who.cookie, undefined);
    });
});

// --- back-off ---

test('too many attempts slow down one address, and not another', async (t) => {
    const settings = service.variant();
    const at = (address) => browser({ settings, env: from(address) });
    const control = async (...words) => (await service.run([path.join(service.bin, 'qwdctl'), ...words, `--dir_login=${settings.dir_login}`])).out;
    const bad = at('198.51.100.1');

    await t.test('200 wrong ones', async () => {
        const statuses = [];
        for (let round = 0; round < 40; round++)
            statuses.push(...await Promise.all(Array.from({ length: 5 }, () =>
                bad.post({ user: 'bob', password: 'wrong', manage: '1' }).then(({ status }) => status))));
        const wrong = statuses.filter((status) => status === 401).length;
        assert.ok(wrong >= 5 && wrong < 15, `${wrong} were tried`);
        assert.equal(statuses.filter((status) => status === 429).length, 200 - wrong);
    });

    await t.test('the right one has to wait as well, and is told so', async () => {
        // One more that is tried: its time to wait begins now, and is long enough on any machine.
        for (let status; status !== 401;)
            ({ status } = await bad.post({ user: 'bob', password: 'wrong', manage: '1' }));
        const answer = await bad.post({ user: 'alice', password: users.alice.password, manage: '1' });
        assert.equal(answer.status, 429);
        assert.match(notice(answer.text), /^There were too many attempts to log in. Wait .+, then try again.$/);
        assert.ok(answer.headers['retry-after']);
        assert.equal(bad.cookie, undefined);
    });

    await t.test('others do not', async () => {
        await at('198.51.100.2').login('alice');
    });

    await t.test('qwdctl shows and clears it', async () => {
        assert.match(await control('backoff'), /address +\| +\d+ +\| .+\| 198\.51\.100\.1\n/);
        assert.match(await control('backoff'), /user +\| +\d+ +\| .+\| bob\n/);
        assert.match(await control('backoff', 'clear', '198.51.100.1'), /Forgotten: 1/);
        await at('198.51.100.1').login('alice');
        assert.match(await control('backoff', 'clear'), /Forgotten: 1/);
        assert.equal(await control('backoff'), '', 'nobody is left');
    });
});

// --- the log ---

test('one line for each event: who, from where, what, why', async () => {
    const settings = service.variant();
    const before = service.audit().length;
    const who = browser({ settings, env: from('203.0.113.7') });
    await who.post({ user: 'alice', password: 'wrong', manage: '1' });
    await who.login('alice');
    const { id } = await who.createRunning();
    await who.submit({ session_extend: id });
    await who.submit({ share: id, role: 'view', label: 'x' });
    const link = (await who.sharing(id)).links.at(-1).id;
    await who.submit({ session: id, link_revoke: link });
    await who.post({ session_stop: id });
    const bob = await browser({ settings, env: from('203.0.113.8') }).login('bob');
    await bob.submit({ session_stop: id });
    await who.submit({ session_stop: id });
    await who.submit({ logout: '1' });
    await who.post({ pending: 'a.b' });
    await service.ended(id);
    const lines = service.audit().slice(before).map((line) => line.replace(/^\[[^\]]+\] /, ''));
    const alice = 'USER=alice FROM=203.0.113.7', session = `WHAT=session ${id}`;
    assert.deepEqual(lines.filter((line) => !/^(START|STOP) /.test(line)), [
        `REFUSED ${alice} WHAT=login The user name or the password is not right.`,
        `LOGIN ${alice} WHAT=login`,
        `CREATE ${alice} ${session}`,
        `EXTEND ${alice} ${session}`,
        `SHARE ${alice} ${session}`,
        `REVOKE ${alice} ${session}`,
        `REFUSED ${alice} WHAT=END ${id} The form is too old, or was not made by this service. Go back, load the page again, and retry.`,
        'LOGIN USER=bob FROM=203.0.113.8 WHAT=login',
        lines.find((line) => line.startsWith(`REFUSED USER=bob FROM=203.0.113.8 WHAT=END ${id} There is no such session`)),
        `END ${alice} ${session}`,
        `LOGOUT ${alice} WHAT=session`,
        'REFUSED USER= FROM=203.0.113.7 WHAT=login Please log in again.',
    ]);
    assert.equal(lines.filter((line) => /^START .*USER=alice/.test(line)).length, 1);
    assert.equal(lines.filter((line) => /^STOP .*USER=alice/.test(line)).length, 1);
});
