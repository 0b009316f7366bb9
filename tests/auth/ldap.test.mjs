// SPDX-License-Identifier: AGPL-3.0-or-later
// qwd-auth-ldap against real slapds on loopback ports: what is yes (exit 0), what is no (1), and what is "unavailable"
// (2) with a reason.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { answerOf, ask, assertRefused, assertYes, credentials, helper, tryLogin } from '../lib/auth-programs.mjs';
import { authority } from '../lib/certificates.mjs';
import { dnOf, ldif, oddNames, slapd, suffix } from '../lib/directory.mjs';
import { tempFolder } from '../lib/files.mjs';
import { freePort, listen } from '../lib/network.mjs';
import { suite, visibleWhileAlive } from '../lib/programs.mjs';
import { inTime, within } from '../lib/wait.mjs';

const program = helper('ldap');
const fixture = {};
const whole = suite(after);
const people = `ou=people,${suffix}`;
const starttls = (server = fixture.good) =>
    ({ ldap_server: `ldap://127.0.0.1:${server.port}`, ldap_ca: fixture.ca.certificate, ldap_base: people });
const ldaps = (server = fixture.good) =>
    ({ ...starttls(server), ldap_server: `ldaps://127.0.0.1:${server.tlsPort}` });
const clear = (port) => ({ ldap_server: `127.0.0.1:${port}`, ldap_tls: 'none', ldap_base: people });
// With more patience than the service has, as no test but those of time is about it.
const login = (user, password, settings) => tryLogin(program, user, password, { settings: { check_user_deadline: '60s', ...settings } });

// What the directory's own log tells about one login. The log comes with a delay of its own.
async function logged(server, pattern) {
    await within(`${pattern} in slapd's log`, new Promise((resolve) => {
        const look = () => pattern.test(server.err) && resolve();
        server.on('output', look);
        look();
    }));
}

const secretFile = (name, text, mode = 0o600) => {
    const file = path.join(fixture.folder, name);
    fs.writeFileSync(file, text, { mode });
    fs.chmodSync(file, mode);
    return file;
};

before(async () => {
    const folder = fixture.folder = tempFolder(whole);
    const ca = fixture.ca = authority(folder, 'ca');
    fixture.otherCa = authority(folder, 'other');
    const local = 'IP:127.0.0.1,DNS:localhost';
    const certificates = {
        good: ca.issue('good', { names: local }),
        elsewhere: ca.issue('elsewhere', { names: 'DNS:elsewhere.example.org,IP:127.0.0.2' }),
        expired: ca.issue('expired', { names: local, from: '20200101000000Z', to: '20210101000000Z' }),
    };
    fixture.referred = [];
    const referral = await listen(whole, await freePort(), (socket) => fixture.referred.push(socket));
    const servers = { ...certificates, withoutTls: undefined };
    await Promise.all(Object.entries(servers).map(async ([name, tls]) => {
        const text = name === 'good' ? ldif(referral.address().port) : '';
        fs.mkdirSync(path.join(folder, `slapd-${name}`));
        fixture[name] = await slapd(whole, path.join(folder, `slapd-${name}`), { tls, ca, ldif: text });
    }));
});

describe('a connection', () => {
    const alice = { user: 'alice', name: 'Alice Élan', email: 'alice@example.org', groups: [] };

    it('StartTLS: the right password is yes, the wrong one no', async () => {
        assertYes(await login('alice', 'right-secret', starttls()), alice);
        assertRefused(await login('alice', 'wrong-secret', starttls()), 1, /wrong password/);
    });
    it('ldaps: the right password is yes, the wrong one no', async () => {
        assertYes(await login('alice', 'right-secret', ldaps()), alice);
        assertRefused(await login('alice', 'wrong-secret', ldaps()), 1, /wrong password/);
    });
    it('in clear, when set so: the right password is yes, the wrong one no', async () => {
        assertYes(await login('alice', 'right-secret', clear(fixture.good.port)), alice);
        assertRefused(await login('alice', 'wrong-secret', clear(fixture.good.port)), 1, /wrong password/);
    });
    it('the release build says the same', async () => {
        const release = (password, settings) => tryLogin(helper('ldap', 'release'), 'alice', password, { settings });
        assertYes(await release('right-secret', starttls()), alice);
        assertYes(await release('right-secret', ldaps()), alice);
        assertRefused(await release('wrong-secret', ldaps()), 1);
        assertRefused(await release('right-secret', { ...ldaps(), ldap_ca: fixture.otherCa.certificate }), 2);
    });
    it('a host name and separate settings for port and protection do as well as a URI', async () => {
        const settings = { ...ldaps(), ldap_server: '127.0.0.1', ldap_port: fixture.good.tlsPort, ldap_tls: 'ldaps' };
        assertYes(await login('alice', 'right-secret', settings), alice);
    });

    for (const [name, settings] of [['StartTLS', starttls], ['ldaps', ldaps]]) {
        it(`${name}: a certificate of another authority is refused`, async () => {
            const answer = await login('alice', 'right-secret', { ...settings(), ldap_ca: fixture.otherCa.certificate });
            assertRefused(answer, 2, /ldaps?:\/\/127\.0\.0\.1:\d+: cannot .*certificate/i);
        });
        it(`${name}: without ldap_ca the system's authorities count, and do not know ours`, async () => {
            assertRefused(await login('alice', 'right-secret', { ...settings(), ldap_ca: '' }), 2, /certificate/i);
        });
        it(`${name}: a certificate for another host is refused`, async () => {
            assertRefused(await login('alice', 'right-secret', settings(fixture.elsewhere)), 2, /hostname \(127\.0\.0\.1\) does not match/);
        });
        it(`${name}: an expired certificate is refused`, async () => {
            assertRefused(await login('alice', 'right-secret', settings(fixture.expired)), 2, /has expired, or/);
        });
        it(`${name}: the environment cannot switch verification off`, async () => {
            const env = { LDAPTLS_REQCERT: 'never', LDAPTLS_CACERT: fixture.ca.certificate, LDAPREFERRALS: 'on' };
            const wrong = { ...settings(), ldap_ca: fixture.otherCa.certificate };
            assertRefused(await tryLogin(program, 'alice', 'right-secret', { settings: wrong, env }), 2, /certificate/i);
        });
    }
    it('no password has reached a server whose certificate is refused', async () => {
        for (const server of [fixture.elsewhere, fixture.expired])
            assert.doesNotMatch(server.err, / BIND /);
    });
    it('a server without StartTLS is never asked in clear instead', async () => {
        assertRefused(await login('alice', 'right-secret', starttls(fixture.withoutTls)), 2, /cannot start TLS/);
        await logged(fixture.withoutTls, /closed/);
        assert.doesNotMatch(fixture.withoutTls.err, / BIND /);
    });
    it('a file of authorities that is missing or is none makes it unavailable', async () => {
        for (const file of ['/nonexistent/ca.pem', '/dev/null', '/etc/passwd'])
            assertRefused(await login('alice', 'right-secret', { ...ldaps(), ldap_ca: file }), 2);
    });
});

describe('a user', () => {
    it('an empty password is no', async () => {
        for (const [user, password] of [['alice', ''], ['', 'right-secret'], ['', '']])
            assertRefused(await login(user, password, starttls()), 1, /empty/);
    });
    it('an empty password is not even shown to the directory, which would say yes', async (t) => {
        let connections = 0;
        const server = await listen(t, await freePort(), () => connections++);
        assertRefused(await login('alice', '', clear(server.address().port)), 1, /empty/);
        const own = net.connect(server.address().port, '127.0.0.1').on('error', () => {});
        await within('our own connection', once(server, 'connection')); // comes after any other
        own.destroy();
        assert.equal(connections, 1);
    });
    it('an unknown user is no', async () => {
        assertRefused(await login('mallory', 'right-secret', starttls()), 1, /no such user/);
    });
    it('another user\'s password is no', async () => {
        assertRefused(await login('alice', 'bobs-secret', starttls()), 1, /wrong password/);
    });
    it('an entry without a password is no', async () => {
        assertRefused(await login('nopassword', 'right-secret', starttls()), 1, /wrong password/);
    });
    it('the mail address does as well as the name', async () => {
        assertYes(await login('alice@example.org', 'right-secret', starttls()), { user: 'alice' });
        assertRefused(await login('alice@example.org', 'wrong-secret', starttls()), 1);
        assertRefused(await login('alice@example.net', 'right-secret', starttls()), 1);
    });
    it('the name comes as the directory writes it', async () => {
        for (const typed of ['bobwrites', 'BOBWRITES', ' bobwrites ', 'bob.writes@EXAMPLE.org'])
            assertYes(await login(typed, 'bobs-secret', starttls()), { user: 'BobWrites', email: 'Bob.Writes@example.org' });
    });
    it('other attributes can be named', async () => {
        const settings = { ...starttls(), ldap_attribute_user: 'mail', ldap_attribute_name: 'sn', ldap_attribute_mail: '' };
        assertYes(await login('alice', 'right-secret', settings), { user: 'alice@example.org', name: 'Alice Élan', email: '' });
    });
    it('more than one entry is ambiguous, and nobody comes in', async () => {
        for (const mail of ['twins@example.org', 'triplets@example.org'])
            assertRefused(await login(mail, 'right-secret', starttls()), 2, /ambiguous/);
        assertYes(await login('twin1', 'right-secret', starttls()), { user: 'twin1', email: 'twins@example.org' });
    });
    it('an entry that names no user is unavailable', async () => {
        assertRefused(await login('noname@example.org', 'right-secret', starttls()), 2, /has no attribute uid/);
    });
});

describe('a hostile user name', () => {
    const injections = ['*', 'al*', 'alice*', '*)(uid=*', 'alice)(|(uid=*', '*))(|(cn=*', 'alice)(userPassword=*)',
                        '\\61lice', '\\2a', 'alice\\', '(|(uid=alice))', '%u', '%d', 'alice\n', '\nalice', 'a\tb', '\x01',
                        '\x7f', '\u202ealice', '😀', dnOf('Alice Élan'), `uid=alice,${people}`, '&', '!(uid=x)', 'a'.repeat(1024),
                        '*'.repeat(1000), ')'.repeat(1000)];

    it('matches nobody else', async () => {
        for (const user of injections) {
            if (!oddNames.includes(user))
                assertRefused(await login(user, 'right-secret', starttls()), 1, /no such user/);
        }
    });
    it('of 10 kB, with a NUL, or not UTF-8 is malformed', async () => {
        for (const user of ['x'.repeat(10240), 'alice\0', '\0alice', Buffer.from([0x61, 0xff]), Buffer.from([0xc0, 0xaa])])
            assertRefused(await login(user, 'right-secret', starttls()), 2, /Expected: user NUL password NUL/);
    });
    it('is fine when the directory has it', async () => {
        for (const user of oddNames) {
            assertYes(await login(user, 'right-secret', starttls()), { user, name: `Odd ${user}` });
            assertRefused(await login(user, 'wrong-secret', starttls()), 1);
        }
    });
    it('a hostile password is no', async () => {
        for (const password of ['*', '\\', '%u', '\n', ' ', 'right-secret ', 'right-secret\n', '{SSHA}', 'x'.repeat(1024), '😀'])
            assertRefused(await login('alice', password, starttls()), 1, /wrong password/);
    });
});

describe('who searches', () => {
    const hidden = () => ({ ...starttls(), ldap_base: suffix, ldap_bind_dn: `cn=search,${suffix}` });

    it('with a bind DN finds what anonymous does not', async () => {
        const file = secretFile('password', 'searchers-secret\n');
        assertRefused(await login('hana', 'right-secret', { ...starttls(), ldap_base: suffix }), 1);
        assertYes(await login('hana', 'right-secret', { ...hidden(), ldap_bind_password_file: file }), { user: 'hana' });
        assertRefused(await login('hana', 'wrong-secret', { ...hidden(), ldap_bind_password_file: file }), 1);
    });
    it('with a wrong password makes it unavailable', async () => {
        const file = secretFile('wrong', 'not-the-secret');
        const answer = await login('alice', 'right-secret', { ...hidden(), ldap_bind_password_file: file });
        assertRefused(answer, 2, /cannot bind as cn=search,dc=example,dc=org: Invalid credentials/);
        assert.doesNotMatch(answer.err, /not-the-secret/);
    });
    it('with a password file that is open to all, empty, missing or not set makes it unavailable', async () => {
        const cases = [[secretFile('open', 'searchers-secret', 0o644), /chmod o=/], [secretFile('empty', '\n'), /one line/],
                       ['/nonexistent/password', /Cannot open/], ['', /needs ldap_bind_password_file/]];
        for (const [file, reason] of cases) {
            const answer = await login('alice', 'right-secret', { ...hidden(), ldap_bind_password_file: file });
            assertRefused(answer, 2, reason);
            assert.doesNotMatch(answer.err, /searchers-secret/);
        }
    });
});

describe('wrong settings are unavailable with a reason', () => {
    const cases = [
        ['no server', { ldap_server: '' }, /Set ldap_server/],
        ['no base', { ldap_base: '' }, /Set ldap_base/],
        ['a base that is not there', { ldap_base: 'ou=nowhere,dc=example,dc=org' }, /below "ou=nowhere.*No such object/],
        ['a base that is no DN', { ldap_base: 'people' }, /cannot search/],
        ['a filter without %u', { ldap_filter: '(uid=alice)' }, /no %u/],
        ['a filter that is none', { ldap_filter: '(uid=%u' }, /search filter/i],
        ['contradicting protection', { ldap_tls: 'ldaps' }, /do not go together/],
        ['a key that does not exist', { ldap_sever: 'x' }, /no setting/],
    ];
    for (const [name, settings, reason] of cases)
        it(name, async () => assertRefused(await login('alice', 'right-secret', { ...starttls(), ...settings }), 2, reason));
    it('a base from ldap_domain is found', async () => {
        assertYes(await login('alice', 'right-secret', { ...starttls(), ldap_base: '', ldap_domain: 'example.org' }),
                  { user: 'alice' });
    });
    it('the settings file is read from QWD_CONFIG', async () => {
        const file = path.join(fixture.folder, 'qwd.conf');
        fs.writeFileSync(file, Object.entries(ldaps()).map(([key, value]) => `${key} = ${value}\n`).join(''));
        assertYes(await tryLogin(program, 'alice', 'right-secret', { env: { QWD_CONFIG: file } }), { user: 'alice' });
        fs.appendFileSync(file, 'ldap_base\n');
        assertRefused(await tryLogin(program, 'alice', 'right-secret', { env: { QWD_CONFIG: file } }), 2, /qwd\.conf, line/);
    });
});

describe('groups', () => {
    const grouped = (more) => ({ ...starttls(), ldap_group_base: `ou=groups,${suffix}`, ...more });
    const own = ['posix', 'staff', 'we,ird (*) \\'];

    it('of the user by DN and by name', async () => {
        assertYes(await login('alice', 'right-secret', grouped()), { user: 'alice', groups: own });
        assertYes(await login('alice@example.org', 'right-secret', grouped()), { groups: own });
        assertYes(await login('BOBWRITES', 'bobs-secret', grouped()), { groups: ['others'] });
        assertYes(await login('twin1', 'right-secret', grouped()), { groups: [] });
    });
    it('nested, with a circle among them', async () => {
        assertYes(await login('alice', 'right-secret', grouped({ ldap_group_nested: 'yes' })),
                  { groups: [...own, 'above the weird one', 'circle one', 'circle two', 'everybody'].sort() });
    });
    it('are not looked up for a wrong password', async () => {
        assertRefused(await login('alice', 'wrong-secret', grouped({ ldap_group_base: 'ou=nowhere' })), 1);
    });
    it('that cannot be looked up make it unavailable: a group might restrict', async () => {
        for (const more of [{ ldap_group_base: `ou=nowhere,${suffix}` }, { ldap_group_filter: '(member=%d' }])
            assertRefused(await login('alice', 'right-secret', grouped(more)), 2, /cannot search for groups/);
    });
    it('too many or too deep make it unavailable', async () => {
        assertRefused(await login('many', 'right-secret', grouped()), 2, /more than 512 groups/);
        assertRefused(await login('deep', 'right-secret', grouped({ ldap_group_nested: 'yes' })), 2, /nested deeper than 16/);
        assertYes(await login('deep', 'right-secret', grouped()), { groups: ['level 0'] });
    });
    it('are looked up by who searches, not by the user', async () => {
        const file = secretFile('password-groups', 'searchers-secret');
        const more = { ldap_bind_dn: `cn=search,${suffix}`, ldap_bind_password_file: file };
        assertYes(await login('alice', 'right-secret', grouped(more)), { groups: own });
        await logged(fixture.good, /BIND dn="cn=search/);
    });
});

describe('a referral', () => {
    it('is not followed', async () => {
        assertYes(await login('alice', 'right-secret', { ...starttls(), ldap_base: suffix }), { user: 'alice' });
        const answer = await login('alice', 'right-secret', { ...starttls(), ldap_base: `ou=elsewhere,${people}` });
        assertRefused(answer, 2, /Referral/);
        assert.equal(fixture.referred.length, 0);
    });
});

describe('a server that fails', () => {
    // Four fifths of it, and the start of a sanitized program on a busy machine. Without a bound it would be minutes.
    const isBounded = ({ ms }, seconds) => ms < seconds * 800 + 3000;
    const silentSettings = (port) => [clear(port), starttls({ port }), ldaps({ tlsPort: port })];

    it('down: unavailable at once', async () => {
        const port = await freePort();
        for (const settings of silentSettings(port)) {
            const answer = await login('alice', 'right-secret', settings);
            assertRefused(answer, 2, new RegExp(`ldaps?://127.0.0.1:${port}: cannot .*Can't contact LDAP server`));
        }
    });
    it('silent: unavailable before the deadline, and nothing shows the password meanwhile', async (t) => {
        const port = await freePort();
        let connected;
        await listen(t, port, () => connected());
        for (const settings of silentSettings(port))
            await inTime(1, async (seconds) => {
                const connection = new Promise((resolve) => { connected = resolve; });
                const child = ask(program, credentials('alice', 'right-secret'),
                                  { settings: { ...settings, check_user_deadline: `${seconds}s` } });
                await within('the connection, or the end', Promise.race([connection, child.ended]));
                const seen = visibleWhileAlive(child.pid);
                assert.doesNotMatch(seen, /right-secret/);
                const answer = await answerOf(child, 'right-secret');
                assertRefused(answer, 2, new RegExp(`127.0.0.1:${port}`));
                return seen && isBounded(answer, seconds);
            });
    });
    it('silent after each of its answers: unavailable before the deadline', async (t) => {
        let answers;
        const proxy = await listen(t, await freePort(), (client) => {
            const server = net.connect(fixture.good.port, '127.0.0.1').on('error', () => {});
            let left = answers;
            client.pipe(server);
            server.on('data', (data) => { if (left-- > 0) client.write(data); });
            client.on('close', () => server.destroy());
        });
        // Answers: to the anonymous bind, the search (its parts may come together), the user's bind.
        for (answers of [0, 1, 2])
            await inTime(1, async (seconds) => {
                const answer = await login('alice', 'right-secret', { ...clear(proxy.address().port), check_user_deadline: `${seconds}s` });
                assertRefused(answer, 2, /Timed out|no answer/);
                return isBounded(answer, seconds);
            });
    });
    it('that hangs up, or speaks something else: unavailable', async (t) => {
        const manners = [(socket) => socket.destroy(), (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'),
                         (socket) => socket.end(Buffer.alloc(100000, 0xff)), (socket) => socket.end(Buffer.alloc(3))];
        for (const manner of manners) {
            const server = await listen(t, await freePort(), manner);
            for (const settings of silentSettings(server.address().port))
                assertRefused(await login('alice', 'right-secret', settings), 2, /127\.0\.0\.1/);
        }
    });
    it('killed by its caller at a deadline of its own, the program is gone', async (t) => {
        const server = await listen(t, await freePort(), () => {});
        const connection = once(server, 'connection');
        const settings = { ...clear(server.address().port), check_user_deadline: '120s' };
        const child = ask(program, credentials('alice', 'right-secret'), { settings });
        await within('the connection', connection);
        child.kill('SIGTERM');
        const answer = await answerOf(child, 'right-secret');
        assert.equal(answer.signal, 'SIGTERM');
        assert.equal(answer.out, '');
    });
});
