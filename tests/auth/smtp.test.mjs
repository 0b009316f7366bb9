// SPDX-License-Identifier: AGPL-3.0-or-later
// qwd-auth-smtp against dovecot's real submission service, and against servers that misbehave.
// Cores: 0.25

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { loginSuite, prepare } from './mail-login.mjs';
import { assertRefused, assertYes, helper, tryLogin } from '../lib/auth-programs.mjs';
import { CLOSE, SILENT, START_TLS, lineServer, smtp } from '../lib/mail-servers.mjs';
import { freePort } from '../lib/network.mjs';
import { suite } from '../lib/programs.mjs';

const fixture = {};
const extensions = (...list) => smtp({ extensions: list });
const replies = (replies) => smtp({ replies });
const auth = (AUTH) => replies({ AUTH });

const protocol = {
    name: 'smtp',
    tlsPort: 465,
    startPort: 587,
    settings: (port) => ({ smtp_server: '127.0.0.1', smtp_port: port }),
    words: smtp,
    withoutStarttls: { extensions: ['AUTH PLAIN LOGIN', 'SIZE 1000'] },
    silentTls: { replies: { STARTTLS: ['220 go ahead', SILENT] } },
    reply: (AUTH) => ({ replies: { AUTH } }),
    chatter: '250-still here\r\n',
    starttlsCases: {
        'no extensions at all': replies({ EHLO: '502 what?' }),
        'STARTTLS refused': replies({ STARTTLS: '454 4.7.0 not today' }),
        'STARTTLS not understood': replies({ STARTTLS: '502 5.5.1 what?' }),
        'no TLS after STARTTLS': replies({ STARTTLS: ['220 go ahead', '220 and now your password'] }),
        'words pushed in behind STARTTLS': replies({ STARTTLS: [
            '220 go\r\n250-mail.example.org\r\n250 AUTH PLAIN\r\n334 \r\n235 2.7.0 welcome', START_TLS] }),
        'turned away': { ...smtp(), greeting: ['554 5.3.2 no service here', CLOSE] },
        'busy': { ...smtp(), greeting: ['421 4.3.2 too busy', CLOSE] },
        'another protocol': { ...smtp(), greeting: '* OK IMAP4rev1 ready', hangs: true },
    },
    answers: {
        '235': { words: auth('235 2.7.0 welcome'), code: 0 },
        '535': { words: auth('535 5.7.8 wrong'), code: 1, reason: /refuses the login: 535 5\.7\.8/ },
        '535 in several lines': { words: auth('535-5.7.8 wrong\r\n535 5.7.8 see http://x'), code: 1 },
        '534, no password for this account': { words: auth('534 5.7.9 app password'), code: 1 },
        '525, switched off': { words: auth('525 5.7.13 disabled'), code: 1 },
        '454 for the moment': { words: auth('454 4.7.0 Temporary failure'), code: 2, reason: /454 4\.7\.0/ },
        '421': { words: auth(['421 4.3.2 bye', CLOSE]), code: 2 },
        '250, which is no answer to a login': { words: auth('250 ok'), code: 2 },
        '503': { words: auth('503 5.5.1 later'), code: 2 },
        '538': { words: auth('538 5.7.11 encryption required'), code: 2 },
        'nonsense': { words: auth('welcome'), code: 2, hangs: true },
        'an echo of the password': { words: auth('535 right-secret AGFsaWNlAHJpZ2h0LXNlY3JldA=='), code: 1 },
        'no login offered': { words: extensions('STARTTLS', 'SIZE 1000'), code: 2, reason: /does not ask for a password/ },
        'no mechanism for passwords': { words: extensions('STARTTLS', 'AUTH GSSAPI EXTERNAL'), code: 2 },
        'only challenges': { words: extensions('STARTTLS', 'AUTH CRAM-MD5 NTLM DIGEST-MD5'), code: 2 },
        'only tokens': { words: extensions('STARTTLS', 'AUTH XOAUTH2 OAUTHBEARER'), code: 2 },
        'Kerberos and PLAIN': { words: extensions('STARTTLS', 'AUTH GSSAPI EXTERNAL PLAIN'), code: 0 },
        'PLAIN refused': { words: extensions('STARTTLS', 'AUTH XPLAIN'), code: 2 },
    },
};

const whole = suite(after);
before(() => prepare(whole, fixture));
describe('qwd-auth-smtp', () => {
    loginSuite(protocol, fixture);

    describe('smtp_use_ssl', () => {
        const login = (settings) =>
            tryLogin(helper('smtp'), 'alice', 'right-secret', { settings: { smtp_server: '127.0.0.3',
                                                                            mail_ca: fixture.ca.certificate, check_user_deadline: '60s', ...settings } });
        const server = (t, port, options) =>
            lineServer(t, { host: '127.0.0.3', port, certificate: fixture.good, ...smtp(), ...options });

        it('ssl is TLS from the start on any port', async (t) => {
            const port = await freePort();
            const { clear } = await server(t, port, { tlsFirst: true });
            assertYes(await login({ smtp_port: port, smtp_use_ssl: 'ssl' }), { user: 'alice' });
            assert.equal(clear, '');
        });
        it('ssl never falls back to STARTTLS', async (t) => {
            const fake = await server(t, 587);
            assertRefused(await login({ smtp_port: 587, smtp_use_ssl: 'ssl', check_user_deadline: '2s' }), 2);
            assert.doesNotMatch(fake.clear, /EHLO|AUTH/);
        });
        it('none has no way for a password, on any port', async (t) => {
            for (const port of [465, 587, 25]) {
                const fake = await server(t, port);
                assertRefused(await login({ smtp_port: port, smtp_use_ssl: 'none' }), 2, /without TLS/);
                assert.equal(fake.sessions.length, 0);
            }
        });
    });
});
