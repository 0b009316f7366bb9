// SPDX-License-Identifier: AGPL-3.0-or-later
// Single sign-on: a real Apache with the configuration that we ship logs people in (here with passwords of its own, by
// mod_auth_basic, or by a client certificate; others set REMOTE_USER the same way), and the service takes its word, and
// nobody else's.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import https from 'node:https';
import { after, before, test } from 'node:test';
import { apacheProgram, writeApacheConfiguration } from '../lib/apache.mjs';
import { authority } from '../lib/certificates.mjs';
import { command } from '../lib/files.mjs';
import { Browser, LoginService, codesOf, hidden, notice, users } from '../lib/login-service.mjs';
import { freePort, http } from '../lib/network.mjs';
import { account, isRoot, processGone, start, suite } from '../lib/programs.mjs';
import { until } from '../lib/wait.mjs';
import { script } from '../lib/web-service.mjs';

const open = '/cgi-bin/qemu-web-desktop.pl'; // the same program, at a place where Apache asks nobody
const service = new LoginService();
const certificates = {}; // where client certificates are asked for: port, and authorities
const whole = suite(after);
whole.after(() => service.end());

const protection = (file) => `
<Location ${script}>
    AuthType Basic
    AuthName Lab
    AuthUserFile ${file}
    Require valid-user
</Location>
`;

// What CONFIGURE.md shows for client certificates.
const certificateHost = ({ port, authority: { certificate: accepted } }, { certificate, key }) => `
Listen 127.0.0.1:${port}
<VirtualHost *:${port}>
    SSLEngine on
    SSLCertificateFile ${certificate}
    SSLCertificateKeyFile ${key}
    SSLCACertificateFile ${accepted}
    SSLVerifyClient require
    SSLVerifyDepth 2
    SSLUserName SSL_CLIENT_S_DN_CN
</VirtualHost>
`;

before(async () => {
    await service.start({ settings: { check_user_custom: '', check_user_with_header: 'yes', user_admin: 'carol' } });
    Object.assign(service, { httpPort: await freePort(), tlsPort: await freePort() });
    const passwords = service.path('etc/htpasswd');
    fs.writeFileSync(passwords, '');
    for (const [name, { password }] of Object.entries(users))
        command('htpasswd', ['-i', passwords, name], { input: password });
    const file = writeApacheConfiguration(service, isRoot ? account : null);
    const folder = service.path('logs');
    Object.assign(certificates, { port: await freePort(), authority: authority(folder, 'users'), others: authority(folder, 'others') });
    const host = certificates.others.issue('localhost', { names: 'DNS:localhost' });
    // This one is not about how long Apache waits.
    fs.appendFileSync(file, 'Timeout 120\n' + protection(passwords) + certificateHost(certificates, host));
    const server = start(whole, apacheProgram(), ['-f', file, '-D', 'FOREGROUND'], { cwd: '/' });
    whole.after(async () => {
        server.kill('SIGTERM'); // with its children, the CGI daemon among them
        await processGone(server.pid);
    });
    // It answers once it has written down its pid and listens; the log says so.
    const log = service.path('logs/error.log');
    fs.writeFileSync(log, '', { flag: 'a' });
    const watcher = fs.watch(log);
    whole.after(() => watcher.close());
    await until(watcher, 'change', () => /resuming normal operations/.test(fs.readFileSync(log, 'utf8')), 'Apache runs');
    await service.run([`${service.bin}/qwdctl`, 'refresh']);
});

const basic = (user, password = users[user].password) =>
    ({ Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` });

// A browser that Apache has logged in sends its name and password along with everything.
class Signed extends Browser {
    constructor(user, options = {}) {
        super(service, { port: service.httpPort, ...options });
        this.headers = user ? basic(user) : {};
    }

    send(method, fields, headers) {
        return super.send(method, fields, { ...this.headers, ...headers });
    }
}

const ownOrigin = () => ({ Origin: `http://127.0.0.1:${service.httpPort}` });

test('who is logged in there is logged in here, without our form', async () => {
    const alice = new Signed('alice');
    const page = await alice.get();
    assert.equal(page.status, 200);
    assert.match(page.text, /<span class="who">alice<\/span>/);
    assert.doesNotMatch(page.text, /type="password"|name="user"/);
    assert.match(alice.cookieAttributes, /HttpOnly; SameSite=Lax/);
    assert.equal((await alice.get({ manage: '1' })).status, 200);
    assert.doesNotMatch((await alice.get({ manage: '1' })).text, /service_purge/);
    assert.match((await new Signed('carol').get({ manage: '1' })).text, /service_purge/);
    assert.equal(service.audit(/LOGIN USER=alice FROM=127\.0\.0\.1 WHAT=login/).length, 1, 'once, not at every request');
});

test('whom Apache refuses does not get here', async () => {
    assert.equal((await new Signed().get()).status, 401);
    const eve = new Signed('alice');
    eve.headers = basic('alice', 'wrong');
    assert.equal((await eve.get({ manage: '1' })).status, 401);
    assert.equal(eve.cookie, undefined);
});

test('a name that the client itself sends is not believed', async () => {
    const names = ['Remote-User', 'REMOTE_USER', 'Remote_User', 'X-Remote-User', 'X-Forwarded-User', 'Redirect-Remote-User', 'Http-Remote-User'];
    for (const name of names) {
        const eve = new Browser(service, { port: service.httpPort, target: open });
        const answer = await eve.get({ manage: '1' }, { [name]: 'alice' });
        assert.equal(answer.status, 401, name);
        assert.match(notice(answer.text), /Please log in/);
        assert.equal(eve.cookie, undefined);
        const signed = new Signed('bob'); // and does not replace the one that Apache says
        assert.match((await signed.get({ manage: '1' }, { [name]: 'alice' })).text, /<span class="who">bob<\/span>/);
    }
    // What Apache passes on without having checked it is no login either.
    const eve = new Browser(service, { port: service.httpPort, target: open });
    assert.equal((await eve.get({ manage: '1' }, basic('alice'))).status, 401);
});

test('the start page is a file; its form works, and only from there', async (t) => {
    const start = await http(service.httpPort, 'GET', '/qemu-web-desktop/');
    assert.equal(start.status, 200);
    assert.match(start.text, /name="create"/);
    assert.doesNotMatch(start.text, /name="(user|password|csrf)"/);
    const alice = new Signed('alice');
    const fields = { create: 'Create', machine: 'echo.iso' };
    for (const who of [new Signed('alice'), alice]) // before the first cookie, and with one
        for (const headers of [{ Origin: 'http://evil.example' }, { Origin: 'null' }, {}])
            assert.equal((await who.post(fields, headers)).status, 403, JSON.stringify(headers));
    assert.deepEqual(service.sessions(), []);
    for (const who of [new Signed('bob'), alice]) {
        const answer = await who.post(fields, ownOrigin());
        assert.equal(answer.status, 303, notice(answer.text));
    }
    const ids = service.sessions();
    assert.equal(ids.length, 2);

    await t.test('other changes need their token', async () => {
        const id = ids.find((one) => service.record(one).owner === 'alice');
        assert.equal((await alice.post({ session_stop: id }, ownOrigin())).status, 403);
        assert.equal((await new Signed('bob').submit({ session_stop: id })).status, 404);
        assert.equal((await alice.submit({ session_stop: id })).status, 303);
        await service.ended(id);
        const unsure = await new Signed('carol').submit({ service_purge: '1' });
        assert.equal(unsure.status, 400);
        assert.match(unsure.text, /needs a yes/);
        await new Signed('carol').submit({ service_purge: '1', confirm: 'yes' });
        await service.ended(ids.find((one) => one !== id));
    });
});

test('a client certificate is a login as well', async () => {
    const get = async (issuer, name) => {
        const { certificate, key } = name ? issuer.issue(name, { names: `DNS:${name}` }) : {};
        const request = https.get({ host: '127.0.0.1', port: certificates.port, path: `${open}?manage=1`, rejectUnauthorized: false,
                                    agent: false, headers: { Host: 'localhost', Accept: 'text/html' },
                                    ...(name && { cert: fs.readFileSync(certificate), key: fs.readFileSync(key) }) });
        const [response] = await once(request, 'response');
        const chunks = await response.setEncoding('utf8').toArray();
        return { status: response.statusCode, text: chunks.join(''), cookie: response.headers['set-cookie']?.[0] };
    };
    const page = await get(certificates.authority, 'alice');
    assert.equal(page.status, 200);
    assert.match(page.text, /<span class="who">alice<\/span>/);
    assert.match(page.cookie, /; Secure$/);
    await assert.rejects(get(certificates.others, 'alice'), 'of an authority that counts for nothing here');
    await assert.rejects(get(null, null), 'none at all');
});

test('another user at the same browser is another user', async () => {
    const alice = new Signed('alice');
    await alice.get();
    const bob = Object.assign(new Signed('bob'), { cookie: alice.cookie });
    const page = await bob.get({ manage: '1' });
    assert.match(page.text, /<span class="who">bob<\/span>/);
    assert.notEqual(bob.cookie, alice.cookie);
});

test('a second factor is asked for beside it', async () => {
    const configuration = service.path('etc/qemu-web-desktop.conf');
    const before = fs.readFileSync(configuration);
    fs.appendFileSync(configuration, 'check_user_mfa = totp\n');
    try {
        const alice = new Signed('alice');
        const page = await alice.get({ manage: '1' });
        assert.match(page.text, /Set up your authenticator app/);
        assert.equal(alice.cookie, undefined);
        const bob = Object.assign(new Signed('bob'), { cookie: (await cookieBefore('alice', before, configuration)) });
        const other = await bob.get({ manage: '1' }); // with somebody else's login in the browser
        assert.match(other.text, /Set up your authenticator app/);
        assert.doesNotMatch(other.text, /alice|name="csrf"/);

        const create = { create: 'Create', machine: 'echo.iso' };
        assert.equal((await new Signed('alice').post(create, { Origin: 'http://evil.example' })).status, 403);
        const start = await alice.post(create, ownOrigin());
        const nextCode = codesOf(start.text.match(/<code>([A-Z2-7]{32})<\/code>/)[1]), code = nextCode();
        const step = hidden(start.text);
        assert.equal((await alice.post({ ...step, code }, { Origin: 'http://evil.example' })).status, 403);
        assert.equal((await alice.post({ ...step, code: '000000' }, ownOrigin())).status, 401);
        const recovery = await alice.post({ ...step, code }, ownOrigin());
        assert.match(recovery.text, /Your recovery codes/);
        assert.ok(alice.cookie, 'that was all');
        const created = await alice.post(hidden(recovery.text), ownOrigin());
        assert.equal(created.status, 303, notice(created.text));
        const [id] = service.sessions();
        assert.equal(service.record(id).owner, 'alice');
        await alice.submit({ session_stop: id });
        await service.ended(id);
        const later = new Signed('alice');
        const asked = await later.get({ manage: '1' });
        assert.doesNotMatch(asked.text, /<svg/, 'it is set up');
        const answer = await later.post({ ...hidden(asked.text), code: nextCode() }, ownOrigin());
        assert.equal(answer.status, 303, notice(answer.text));
        assert.match((await later.get({ manage: '1' })).text, /<span class="who">alice<\/span>/);
    } finally {
        fs.writeFileSync(configuration, before);
    }
});

// A login from before the second factor was asked for.
async function cookieBefore(user, before, configuration) {
    const now = fs.readFileSync(configuration);
    fs.writeFileSync(configuration, before);
    const who = new Signed(user);
    await who.get();
    fs.writeFileSync(configuration, now);
    return who.cookie;
}

test('logs have no token, and nothing of the program went wrong', async () => {
    const log = fs.readFileSync(service.path('logs/error.log'), 'utf8');
    assert.doesNotMatch(log, /AddressSanitizer|LeakSanitizer|runtime error/);
    const access = fs.readFileSync(service.path('logs/service.log'), 'utf8');
    assert.doesNotMatch(access, /session=|enter=|manage=/);
    assert.match(access, /qemu-web-desktop\.cgi/);
});
