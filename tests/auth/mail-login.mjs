// SPDX-License-Identifier: AGPL-3.0-or-later
// What qwd-auth-imap and qwd-auth-smtp have in common, tested for both: right and wrong passwords against dovecot,
// certificates, silence at every point, servers that would like to see a password without TLS, hostile names.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { answerOf, ask, assertRefused, assertYes, credentials, helper, tryLogin } from '../lib/auth-programs.mjs';
import { authority } from '../lib/certificates.mjs';
import { tempFolder } from '../lib/files.mjs';
import { CLOSE, RESET, dovecot, lineServer } from '../lib/mail-servers.mjs';
import { freePort } from '../lib/network.mjs';
import { visibleWhileAlive } from '../lib/programs.mjs';
import { inTime, until } from '../lib/wait.mjs';

const users = {
    'alice': 'right-secret',
    'bob@example.org': 'bobs-secret',
    'zoé@example.org': 'zoés-secret',
    'odd': 'a "quoted\\" {pass}  word %s ☃',
    'semi;auth=login': 'semis-secret',
    '日本': '日本-secret',
};

// Starting a process of the sanitizer's takes its time, too, on a machine that is busy.
const isInTime = ({ ms }, seconds) => ms < seconds * 1000 + 1000;

// Certificates and a dovecot for a whole file.
export async function prepare(t, fixture) {
    const folder = fixture.folder = tempFolder(t);
    const ca = fixture.ca = authority(folder, 'ca');
    const local = 'IP:127.0.0.1,IP:127.0.0.3,IP:::1,DNS:localhost';
    fixture.otherCa = authority(folder, 'other');
    fixture.good = ca.issue('good', { names: local });
    fixture.badCertificates = {
        'of another authority': fixture.otherCa.issue('stranger', { names: local }),
        'of another name': ca.issue('elsewhere', { names: 'DNS:mail.example.org,DNS:*.localhost,IP:127.0.0.2' }),
        'that is over': ca.issue('expired', { names: local, from: '20200101000000Z', to: '20210101000000Z' }),
        'that is not valid yet': ca.issue('future', { names: local, from: '20900101000000Z', to: '20910101000000Z' }),
    };
    fs.mkdirSync(path.join(folder, 'dovecot'));
    fixture.dovecot = await dovecot(t, path.join(folder, 'dovecot'), { certificate: fixture.good, users });
}

// `protocol` is {name, tlsPort, startPort, settings(port)}; words(options) are the greeting and answers of a line server,
// with the options `withoutStarttls`, `silentTls` and reply(x): x is the answer to the credentials; starttlsCases
// {title: words}; answers {title: {words, code, reason}}; chatter is what a server may say that never ends an answer.
// What `hangs` is waited for to the end of the time.
export function loginSuite(protocol, fixture) {
    const program = helper(protocol.name);
    const settings = (port, more) => ({ ...protocol.settings(port), mail_ca: fixture.ca.certificate,
                                        check_user_deadline: '60s', ...more });
    const ports = { 'TLS from the start': protocol.tlsPort, STARTTLS: protocol.startPort };
    const login = (port, user, password, more) =>
        tryLogin(program, user, password, { settings: settings(port, more) });
    // A server on 127.0.0.3, where dovecot does not listen.
    const fake = (t, port, options) => lineServer(t, { host: '127.0.0.3', port, tlsFirst: port === protocol.tlsPort,
                                                       certificate: fixture.good, ...options });
    const fakeSettings = (port, more) => settings(port, { [`${protocol.name}_server`]: '127.0.0.3', ...more });
    const fakeLogin = (port, more) => tryLogin(program, 'alice', 'right-secret', { settings: fakeSettings(port, more) });
    const atMost = (seconds) => ({ check_user_deadline: `${seconds}s` });
    const bothPorts = (title, test) => {
        for (const [name, port] of Object.entries(ports))
            it(`${title} (${name})`, (t) => test(t, port));
    };
    const unseen = (server) => {
        const heard = server.clear + server.lines.join('\n');
        for (const secret of ['right-secret', Buffer.from('\0alice\0right-secret').toString('base64').slice(0, 20),
                              Buffer.from('right-secret').toString('base64'), 'alice'])
            assert.ok(!heard.includes(secret), heard);
    };

    describe('dovecot', () => {
        bothPorts('right password', async (t, port) => {
            assertYes(await login(port, 'alice', 'right-secret'), { user: 'alice', name: '', email: '', groups: [] });
        });
        bothPorts('a user who is a mail address', async (t, port) => {
            assertYes(await login(port, 'bob@example.org', 'bobs-secret'),
                      { user: 'bob@example.org', email: 'bob@example.org' });
        });
        bothPorts('UTF-8 in name and password; such an address is no mail address to us', async (t, port) => {
            assertYes(await login(port, 'zoé@example.org', 'zoés-secret'), { user: 'zoé@example.org', email: '' });
            assertYes(await login(port, '日本', '日本-secret'), { user: '日本' });
        });
        bothPorts('passwords with characters that mean something elsewhere', async (t, port) => {
            assertYes(await login(port, 'odd', users.odd), { user: 'odd' });
            assertYes(await login(port, 'semi;auth=login', 'semis-secret'), { user: 'semi;auth=login' });
        });
        bothPorts('wrong password', async (t, port) => {
            const wrong = ['wrong-secret', 'right-secre', 'right-secret ', 'Right-secret', '*', 'bobs-secret'];
            for (const answer of await Promise.all(wrong.map((password) => login(port, 'alice', password))))
                assertRefused(answer, 1, /refuses the login/);
        });
        bothPorts('unknown user', async (t, port) => {
            assertRefused(await login(port, 'nobody', 'right-secret'), 1, /refuses the login/);
            assertRefused(await login(port, 'alice ', 'right-secret'), 1);
        });
        bothPorts('hostile names that are only unknown', async (t, port) => {
            const names = ['élodie', '*', '%', 'alice)(', 'alice"', 'alice\\', '"alice"', '{5}', 'alice;AUTH=EXTERNAL',
                           '../alice', '-oProxy', '\u202ealice', 'a'.repeat(1000)];
            for (const answer of await Promise.all(names.map((name) => login(port, name, 'right-secret'))))
                assertRefused(answer, 1, /refuses the login/);
        });
        it('by IPv6 address and by name', async () => {
            for (const host of ['::1', 'localhost', 'LOCALHOST'])
                assertYes(await login(protocol.tlsPort, 'alice', 'right-secret', { [`${protocol.name}_server`]: host }), {});
        });
        it('many at once', async () => {
            const answers = await Promise.all([...Array(10).keys()].map((i) =>
                login(protocol.tlsPort, 'alice', i % 2 ? 'right-secret' : 'wrong-secret')));
            assert.deepEqual(answers.map(({ code }) => code), [1, 0, 1, 0, 1, 0, 1, 0, 1, 0]);
        });
    });

    describe('before anything is sent', () => {
        it('an empty password, an empty name, control characters are no', async (t) => {
            const server = await fake(t, protocol.tlsPort, protocol.words());
            const options = { settings: fakeSettings(protocol.tlsPort) };
            for (const [user, password] of [['alice', ''], ['', 'right-secret'], ['', ''], ['alice\r\nx NOOP', 'right-secret'],
                                            ['alice\nQUIT', 'right-secret'], ['ali\x7fce', 'right-secret'],
                                            ['alice\t', 'right-secret'], ['\x1b[31malice', 'right-secret']])
                assertRefused(await tryLogin(program, user, password, options), 1);
            for (const bytes of [credentials('ali\0ce', 'right-secret'), credentials('a'.repeat(10240), 'right-secret'),
                                 credentials('alice', 'p'.repeat(10240)), Buffer.from('alice'), Buffer.alloc(0),
                                 credentials(Buffer.from([0xff, 0xfe]), 'right-secret')])
                assertRefused(await answerOf(ask(program, bytes, options), 'right-secret'), 2, /Expected: user NUL/);
            assert.equal(server.sessions.length, 0);
        });
        it('settings that make no sense', async () => {
            const key = `${protocol.name}_server`;
            for (const [server, reason] of [['', /is not set/], ['a/b', /not a host name/], ['a@b', /not a host name/],
                                            ['a b', /not a host name/], ['imap://x', /not a host name/],
                                            ['x?y', /not a host name/], ['x#y', /not a host name/], ['a%0a', /not a host/],
                                            ['[::1]', /not a host name/], ['nobody-knows-this.invalid', /no host of that/]])
                assertRefused(await login(protocol.tlsPort, 'alice', 'right-secret', { [key]: server }), 2, reason);
            assertRefused(await login(protocol.tlsPort, 'alice', 'right-secret', { no_such_key: '1' }), 2);
        });
        it('nobody there', async () => {
            for (const port of [protocol.tlsPort, protocol.startPort])
                assertRefused(await fakeLogin(port), 2, /127\.0\.0\.3:\d+: nobody answers there/);
        });
    });

    describe('certificates', () => {
        for (const name of ['of another authority', 'of another name', 'that is over', 'that is not valid yet']) {
            bothPorts(`one ${name}`, async (t, port) => {
                const certificate = fixture.badCertificates[name];
                const server = await fake(t, port, { ...protocol.words(), certificate });
                assertRefused(await fakeLogin(port), 2, /certificate/);
                unseen(server);
            });
        }
        bothPorts('the authorities are those of mail_ca alone', async (t, port) => {
            assertRefused(await login(port, 'alice', 'right-secret', { mail_ca: fixture.otherCa.certificate }), 2,
                          /certificate/);
            assertRefused(await login(port, 'alice', 'right-secret', { mail_ca: '' }), 2, /certificate/);
            assertRefused(await login(port, 'alice', 'right-secret', { mail_ca: '/nonexistent/ca.pem' }), 2, /mail_ca/);
            assertRefused(await login(port, 'alice', 'right-secret', { mail_ca: '/etc/hostname' }), 2);
        });
        it('old TLS is not spoken', async (t) => {
            const server = await fake(t, protocol.tlsPort, { ...protocol.words(), tlsOptions: { minVersion: 'TLSv1', maxVersion: 'TLSv1.1',
                                                                                     ciphers: 'DEFAULT@SECLEVEL=0' } });
            assertRefused(await fakeLogin(protocol.tlsPort), 2);
            unseen(server);
        });
    });

    describe('without TLS nothing is said', () => {
        const cases = {
            'no STARTTLS offered': protocol.words(protocol.withoutStarttls),
            ...protocol.starttlsCases,
        };
        for (const [name, words] of Object.entries(cases)) {
            it(name, async (t) => {
                const server = await fake(t, protocol.startPort, words);
                await inTime(words.hangs ? 5 : 60, async (seconds) => {
                    server.sessions.length = 0;
                    assertRefused(await fakeLogin(protocol.startPort, atMost(seconds)), 2);
                    return server.sessions.length === 1;
                });
                unseen(server);
            });
        }
        it('a server without TLS on the port for TLS', async (t) => {
            const server = await fake(t, protocol.tlsPort, { ...protocol.words(), tlsFirst: false });
            assertRefused(await fakeLogin(protocol.tlsPort), 2);
            unseen(server);
        });
        it('a redirection, a proxy, a .netrc are not followed', async (t) => {
            const proxy = await fake(t, 8080, { greeting: 'x' });
            const names = ['all_proxy', 'ALL_PROXY', 'https_proxy', 'http_proxy', `${protocol.name}_proxy`,
                           `${protocol.name}s_proxy`];
            const env = Object.fromEntries(names.map((name) => [name, 'http://127.0.0.3:8080']));
            fs.writeFileSync(path.join(fixture.folder, '.netrc'), 'default login alice password right-secret\n');
            for (const [password, code] of [['right-secret', 0], ['wrong-secret', 1]]) {
                const answer = await tryLogin(program, 'alice', password,
                                              { settings: settings(protocol.tlsPort),
                                                env: { ...env, HOME: fixture.folder } });
                assert.equal(answer.code, code, answer.err);
            }
            assert.equal(proxy.sessions.length, 0);
        });
    });

    describe('what counts is what the server says about the credentials', () => {
        for (const [name, { words, code, reason, hangs }] of Object.entries(protocol.answers)) {
            bothPorts(`${name}: exit code ${code}`, async (t, port) => {
                const server = await fake(t, port, words);
                const answer = await fakeLogin(port, hangs && atMost(5));
                if (code === 0)
                    assertYes(answer, { user: 'alice' });
                else
                    assertRefused(answer, code, reason);
                if (!server.sessions[0]?.credentials)
                    unseen(server);
            });
        }
        bothPorts('the credentials are PLAIN (RFC 4616)', async (t, port) => {
            const server = await fake(t, port, protocol.words());
            assertYes(await fakeLogin(port), { user: 'alice' });
            assert.equal(server.sessions[0].credentials, '\0alice\0right-secret');
            assert.ok(server.sessions[0].tls);
        });
    });

    describe('in time', () => {
        const bounded = (port, least = 2) => inTime(least, async (seconds) => {
            const answer = await fakeLogin(port, atMost(seconds));
            assertRefused(answer, 2);
            return isInTime(answer, seconds);
        });
        bothPorts('a server that says nothing at all', async (t, port) => {
            await fake(t, port, { tlsFirst: false });
            await bounded(port);
        });
        bothPorts('one that says nothing after its greeting', async (t, port) => {
            await fake(t, port, { greeting: protocol.words().greeting });
            await bounded(port);
        });
        it('one that begins TLS and never goes on', async (t) => {
            await fake(t, protocol.startPort, protocol.words({ ...protocol.silentTls }));
            await bounded(protocol.startPort);
        });
        bothPorts('one that never judges; meanwhile nothing shows the password', async (t, port) => {
            const server = await fake(t, port, protocol.words(protocol.reply(undefined)));
            await inTime(2, async (seconds) => {
                server.sessions.length = 0;
                const child = ask(program, credentials('alice', 'right-secret'), { settings: fakeSettings(port, atMost(seconds)) });
                const said = until(server, 'heard', () => server.sessions[0]?.credentials, 'the credentials, or the end');
                await Promise.race([said, child.ended]);
                const seen = visibleWhileAlive(child.pid);
                assert.ok(!seen.includes('secret'));
                const answer = await answerOf(child, 'right-secret');
                assertRefused(answer, 2, /in time/);
                said.catch(() => {});
                return seen && server.sessions[0]?.credentials && isInTime(answer, seconds);
            });
        });
        bothPorts('one that never stops talking', async (t, port) => {
            const flood = (socket) => {
                const more = () => {
                    while (socket.writable && socket.write(protocol.chatter.repeat(1000)));
                };
                socket.on('drain', more);
                more();
            };
            await fake(t, port, { greeting: [protocol.words().greeting], answer: () => flood });
            await bounded(port);
        });
        bothPorts('one that sends a line without end', async (t, port) => {
            await fake(t, port, { greeting: (socket) => {
                const more = () => {
                    while (socket.writable && socket.write('x'.repeat(65536)));
                };
                socket.on('drain', more);
                more();
            } });
            await bounded(port);
        });
        bothPorts('one that hangs up', async (t, port) => {
            for (const words of [{ greeting: CLOSE }, { greeting: [protocol.words().greeting, CLOSE] },
                                 { greeting: RESET }, { ...protocol.words(protocol.reply(CLOSE)) },
                                 { ...protocol.words(protocol.reply(RESET)) }]) {
                const server = await fake(t, port, words);
                await bounded(port);
                await server.stop();
            }
        });
        it('the shortest deadline', async (t) => {
            await fake(t, protocol.tlsPort, { tlsFirst: false });
            await bounded(protocol.tlsPort, 1);
        });
    });

    it('on another port than the well-known ones it is STARTTLS', async (t) => {
        const port = await freePort();
        const server = await lineServer(t, { host: '127.0.0.3', port, certificate: fixture.good, ...protocol.words() });
        assertYes(await fakeLogin(port), { user: 'alice' });
        assert.match(server.clear, /STARTTLS/);
        assert.ok(server.sessions[0].tls);
    });
}
