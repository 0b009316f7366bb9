// SPDX-License-Identifier: AGPL-3.0-or-later
// qwd-auth-imap against a real dovecot, and against servers that misbehave.
// Cores: 0.25

import { after, before, describe } from 'node:test';
import { loginSuite, prepare } from './mail-login.mjs';
import { CLOSE, SILENT, START_TLS, imap } from '../lib/mail-servers.mjs';
import { suite } from '../lib/programs.mjs';

const fixture = {};
const capabilities = (text) => imap({ capabilities: text });
const login = (reply) => imap({ login: reply });

// The same with something said instead of the answer to one command.
const instead = (command, reply) => {
    const words = imap();
    return { ...words, answer: (line, session) => {
        const [tag, name] = line.split(' ');
        return name?.toUpperCase() === command ? reply(tag) : words.answer(line, session);
    } };
};

const protocol = {
    name: 'imap',
    tlsPort: 993,
    startPort: 143,
    settings: (port) => ({ imap_server: '127.0.0.1', imap_port: port }),
    words: imap,
    withoutStarttls: { capabilities: 'IMAP4rev1 AUTH=PLAIN AUTH=LOGIN' },
    silentTls: { starttls: ['OK Begin TLS', SILENT] },
    reply: (login) => ({ login: login ?? [] }),
    chatter: '* OK still here\r\n',
    starttlsCases: {
        'no capabilities at all': capabilities(''),
        'STARTTLS refused': imap({ starttls: 'NO not today' }),
        'STARTTLS not understood': imap({ starttls: 'BAD what?' }),
        'no TLS after STARTTLS': imap({ starttls: ['OK Begin TLS', '* OK and now your password'] }),
        'words pushed in behind STARTTLS': instead('STARTTLS', (tag) =>
            [`${tag} OK go\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nA003 OK\r\n* OK`, START_TLS]),
        'logged in before asked': { ...imap(), greeting: '* PREAUTH welcome, alice' },
        'turned away': { ...imap(), greeting: ['* BYE too many connections', CLOSE] },
        'another protocol': { ...imap(), greeting: '220 mail.example.org SMTP', hangs: true },
    },
    answers: {
        'OK': { words: login('OK Logged in'), code: 0 },
        'OK with capabilities before': { words: login(['* CAPABILITY IMAP4rev1', 'OK [CAPABILITY IMAP4rev1] in']), code: 0 },
        'NO with the code of RFC 5530': { words: login('NO [AUTHENTICATIONFAILED] no'), code: 1, reason: /refuses the login/ },
        'NO without a code': { words: login('NO LOGIN failed'), code: 1 },
        'NO, the password is too old': { words: login('NO [EXPIRED] renew it'), code: 1 },
        'NO, not allowed here': { words: login('NO [AUTHORIZATIONFAILED] not you'), code: 1 },
        'NO for the moment': { words: login('NO [UNAVAILABLE] Temporary failure'), code: 2, reason: /NO UNAVAILABLE/ },
        'NO, too many': { words: login('NO [LIMIT] too many connections'), code: 2, reason: /NO LIMIT/ },
        'BAD': { words: login('BAD what?'), code: 2 },
        'BYE': { words: login(['* BYE going down', CLOSE]), code: 2 },
        'nonsense': { words: login('MAYBE'), code: 2 },
        'an echo of the password': { words: login('NO right-secret AGFsaWNlAHJpZ2h0LXNlY3JldA=='), code: 1 },
        'an answer to nothing, then the end': { words: login(['* OK Logged in', CLOSE]), code: 2 },
        'AUTHENTICATE refused': { words: instead('AUTHENTICATE', (tag) => `${tag} BAD unknown mechanism`), code: 2 },
        'let in before asked': { words: instead('CAPABILITY', (tag) => [`* PREAUTH hello`, `${tag} OK`]), code: 2 },
        'no mechanism for passwords': { words: capabilities('IMAP4rev1 STARTTLS AUTH=GSSAPI AUTH=EXTERNAL'), code: 2,
                                        reason: /does not ask for a password/ },
        'only challenges': { words: capabilities('IMAP4rev1 STARTTLS AUTH=CRAM-MD5 AUTH=NTLM AUTH=DIGEST-MD5'), code: 2 },
        'only tokens': { words: capabilities('IMAP4rev1 STARTTLS AUTH=XOAUTH2 AUTH=OAUTHBEARER'), code: 2 },
        'no mechanism at all': { words: capabilities('IMAP4rev1 STARTTLS LOGINDISABLED'), code: 2 },
        'Kerberos and PLAIN': { words: capabilities('IMAP4rev1 STARTTLS AUTH=GSSAPI AUTH=EXTERNAL AUTH=PLAIN'), code: 0 },
    },
};

const whole = suite(after);
before(() => prepare(whole, fixture));
describe('qwd-auth-imap', () => loginSuite(protocol, fixture));
