// SPDX-License-Identifier: AGPL-3.0-or-later
// qwd-mail: the messages that arrive at a mail server, every way to reach one, and what must not get through.
// Cores: 0.25

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { answerOf, ask } from '../lib/auth-programs.mjs';
import { authority } from '../lib/certificates.mjs';
import { builds, tempFolder, top } from '../lib/files.mjs';
import { CLOSE, SILENT, dovecot, lineServer, smtp } from '../lib/mail-servers.mjs';
import { suite, visibleWhileAlive } from '../lib/programs.mjs';
import { inTime, until } from '../lib/wait.mjs';

const program = path.join(builds, 'asan', 'qwd-mail');
const fixture = {};
const host = '127.0.0.3';
const deadline_ms = 20000;

const link = 'https://desk.example.org/cgi-bin/qemu-web-desktop.cgi?session=0123456789abcdef&key=seCretKey';
const values = { service: 'desk.example.org', user: 'zoé', machine: 'Debian 12 <XFCE>', link,
                 end: '21 Nov 2026 22:00 CET', extend: true, kept: '1 d' };
const templated = (more) => ({ to: 'zoe@example.org', template: 'session-ready', values, ...more });
const plain = (more) => ({ to: 'zoe@example.org', subject: 'Hello', text: 'Good morning', ...more });

const settings = (more) => ({ dir_html: path.join(top, 'html'), smtp_server: host, email_from: 'desk@example.org',
                              email_method: 'port', mail_ca: fixture.ca.certificate, ...more });
const begin = (request, more) =>
    ask(program, typeof request === 'string' ? request : JSON.stringify(request), { settings: settings(more) });
const send = (request, more) => answerOf(begin(request, more), 'seCretKey', 40000);

function assertSent(answer) {
    assert.deepEqual({ code: answer.code, out: answer.out, err: answer.err }, { code: 0, out: '', err: '' });
}

function assertNotSent(answer, code, pattern) {
    assert.equal(answer.code, code, answer.err);
    assert.equal(answer.out, '');
    assert.match(answer.err, /^qwd-mail: [^\n]+\n$/);
    if (pattern)
        assert.match(answer.err, pattern);
}

// A mail server of the test's own on 127.0.0.3; { messages } are what it has taken.
async function mailServer(t, port, { words = smtp(), certificate = fixture.good } = {}) {
    const server = await lineServer(t, { host, port, certificate, tlsFirst: port === 465, ...words });
    return Object.assign(server, { messages: words.messages });
}

const passwordFile = (text, mode = 0o600) => {
    const file = path.join(fixture.folder, 'password');
    fs.rmSync(file, { force: true });
    fs.writeFileSync(file, text, { mode });
    fs.chmodSync(file, mode);
    return file;
};
const account = (more) => ({ email_user: 'alice', email_password_file: passwordFile('mail-secret\n'), ...more });

// --- reading mail (RFC 5322, 2045, 2047) ---

function split(lines) {
    const empty = lines.indexOf('');
    const headers = {};
    const fields = lines.slice(0, empty).join('\r\n').replace(/\r\n[ \t]/g, ' ').split('\r\n');
    for (const field of fields) {
        const name = field.slice(0, field.indexOf(':')).toLowerCase();
        assert.ok(!(name in headers), `${name} twice`);
        headers[name] = field.slice(field.indexOf(':') + 1).trim();
    }
    return { headers, lines: lines.slice(empty + 1) };
}

const words = (text) => text.replace(/\?= +=\?/g, '?==?').replace(/=\?UTF-8\?B\?(.*?)\?=/g, (_, base64) =>
    Buffer.from(base64, 'base64').toString('latin1')); // bytes, joined before they are read as UTF-8
const decoded = (text) => Buffer.from(words(text), 'latin1').toString();

function quotedPrintable(lines) {
    const bytes = lines.join('\r\n').replace(/=\r\n/g, '').replace(/=([0-9A-F]{2})/g, (_, hex) =>
        String.fromCharCode(parseInt(hex, 16)));
    return Buffer.from(bytes, 'latin1').toString();
}

// {headers, text, html, subject} of a message as it arrived.
function read(message) {
    for (const line of message.lines) {
        assert.match(line, /^[\t -~]*$/, 'only printable ASCII');
        assert.ok(line.length <= 78 || /^Content-Type:/.test(line), line);
    }
    const { headers, lines } = split(message.lines);
    const boundary = headers['content-type'].match(/^multipart\/alternative; boundary="?([^"]+)"?$/)[1];
    const marks = lines.flatMap((line, i) => (line.startsWith(`--${boundary}`) ? [i] : []));
    assert.equal(lines[marks.at(-1)], `--${boundary}--`);
    const parts = marks.slice(0, -1).map((mark, i) => split(lines.slice(mark + 1, marks[i + 1])));
    for (const part of parts) {
        assert.equal(part.headers['content-transfer-encoding'], 'quoted-printable');
        assert.ok(!('content-disposition' in part.headers));
    }
    const types = parts.map((part) => part.headers['content-type']);
    assert.deepEqual(types, ['text/plain; charset=utf-8', 'text/html; charset=utf-8'].slice(0, parts.length));
    const [text, html] = parts.map((part) => quotedPrintable(part.lines));
    return { headers, subject: decoded(headers.subject), from: decoded(headers.from), text, html };
}

function messageSuite() {
    it('from a template: headers, two parts, the link in both and not in the subject', async (t) => {
        const server = await mailServer(t, 587);
        assertSent(await send(templated(), { email_from: 'Büro der Desktops <desk@example.org>' }));
        const [message] = server.messages;
        assert.deepEqual([message.from, message.to, message.tls], ['desk@example.org', ['zoe@example.org'], true]);
        const { headers, subject, from, text, html } = read(message);
        assert.deepEqual(Object.keys(headers).sort(), ['auto-submitted', 'content-type', 'date', 'from', 'message-id',
                                                       'mime-version', 'subject', 'to']);
        assert.equal(subject, 'Your desktop Debian 12 <XFCE> is ready');
        assert.equal(from, 'Büro der Desktops <desk@example.org>');
        assert.equal(headers.to, '<zoe@example.org>');
        assert.equal(headers['mime-version'], '1.0');
        assert.equal(headers['auto-submitted'], 'auto-generated');
        assert.match(headers['message-id'], /^<[0-9a-f]{32}@example\.org>$/);
        assert.match(headers.date, /^[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}$/);
        assert.ok(Math.abs(Date.parse(headers.date) - Date.now()) < 60000);
        assert.ok(text.includes(`\r\n${link}\r\n`) && text.includes('zoé') && text.includes('Debian 12 <XFCE>'), text);
        assert.ok(html.includes(`href="${link.replace('&', '&amp;')}"`) && html.includes('Debian 12 &lt;XFCE&gt;'), html);
    });
    it('every template', async (t) => {
        const server = await mailServer(t, 587);
        const files = fs.readdirSync(path.join(top, 'html/mail')).filter((name) => name.endsWith('.subject'));
        const templates = files.map((name) => name.slice(0, -'.subject'.length));
        assert.ok(['session-ready', 'login-link', 'session-ending', 'session-idle'].every((name) => templates.includes(name)));
        for (const template of templates) {
            assertSent(await send(templated({ template })));
            const { subject, text, html } = read(server.messages.at(-1));
            assert.ok(!subject.includes('seCretKey') && subject.length > 10);
            assert.ok(text.includes(link) && html.includes(link.replace('&', '&amp;')));
        }
    });
    it('a subject template that names the link is an error', async (t) => {
        const server = await mailServer(t, 587);
        const folder = path.join(fixture.folder, 'html');
        fs.cpSync(path.join(top, 'html'), folder, { recursive: true });
        fs.writeFileSync(path.join(folder, 'mail/session-ready.subject'), 'Go to {{link}}');
        assertNotSent(await send(templated(), { dir_html: folder }), 2, /no value is given for "link"/);
        assert.equal(server.messages.length, 0);
    });
    it('an administrator\'s templates and texts; ours in place of what is broken', async (t) => {
        const server = await mailServer(t, 587);
        const folder = path.join(fixture.folder, 'layout');
        const put = (files) => Object.entries(files).forEach(([name, text]) => fs.writeFileSync(path.join(folder, name), text));
        fs.mkdirSync(path.join(folder, 'mail'), { recursive: true });
        fs.mkdirSync(path.join(folder, 'i18n'));
        put({ 'mail/session-ready.subject': 'Beamline 7:\r\nBcc: all@example.org\n{{machine}}\n', 'mail/foot.txt': 'Ask Ada.\n',
              'mail/session-ready.html': '<p>{{#user}}</p>', 'i18n/en.json': '{"Hello [user],": "Dear [user],"}' });
        assertSent(await send(templated(), { dir_layout: folder }));
        const { headers, subject, text, html } = read(server.messages[0]);
        assert.equal(subject, 'Beamline 7:  Bcc: all@example.org Debian 12 <XFCE>', 'it is one line');
        assert.equal(headers.bcc, undefined);
        assert.match(text, /^Dear zoé,\r\n/);
        assert.match(text, /\r\nAsk Ada\.\s*$/);
        assert.match(html, /<p>Dear zoé,<\/p>/);
        put({ 'mail/session-ready.subject': 'Go to {{link}}' });
        assertSent(await send(templated(), { dir_layout: folder }));
        assert.match(read(server.messages[1]).subject, /^Your desktop/, 'the link is not for subjects');
    });
    it('given words, with and without HTML', async (t) => {
        const server = await mailServer(t, 587);
        assertSent(await send(plain()));
        assertSent(await send(plain({ html: '<p>Good <b>morning</b></p>' })));
        const [first, second] = server.messages.map(read);
        assert.deepEqual([first.subject, first.text, first.html], ['Hello', 'Good morning', undefined]);
        assert.deepEqual([second.text, second.html], ['Good morning', '<p>Good <b>morning</b></p>']);
    });
    it('UTF-8, long lines and lines of dots arrive as they were', async (t) => {
        const server = await mailServer(t, 587);
        const text = ['.', '..', '.hidden', 'é'.repeat(2000), 'x'.repeat(5000), '= =3D =\t', 'trailing ', '', '日本 🖥',
                      '-- ', 'From here', ''].join('\n');
        const subject = 'Grüße aus 日本 🖥 — '.repeat(15).trim();
        assertSent(await send(plain({ subject, text, html: text })));
        const message = read(server.messages[0]);
        assert.equal(message.subject, subject);
        assert.equal(message.text, text.replace(/\n/g, '\r\n'));
        assert.equal(message.html, message.text);
    });
    it('every line end is CR LF', async (t) => {
        const server = await mailServer(t, 25);
        assertSent(await send(plain({ text: 'a\nb\rc\r\nd\n\r' }), { email_method: 'simple' }));
        assert.doesNotMatch(server.clear, /[^\r]\n|\r[^\n]/);
        assert.equal(read(server.messages[0]).text, 'a\r\nb\r\nc\r\nd\r\n\r\n');
    });
    it('through the submission service of dovecot', async (t) => {
        const words = smtp();
        await lineServer(t, { port: 2525, ...words });
        fs.mkdirSync(path.join(fixture.folder, 'dovecot'));
        await dovecot(t, path.join(fixture.folder, 'dovecot'),
                      { certificate: fixture.good, users: { alice: 'mail-secret' }, relayPort: 2525 });
        for (const more of [{ email_method: 'auto' }, { email_method: 'ssl' }, { email_method: 'port' }])
            assertSent(await send(templated(), account({ smtp_server: 'localhost', ...more })));
        assert.equal(words.messages.length, 3);
        for (const { lines } of words.messages) { // it puts a field of its own before ours
            assert.match(lines[0], /^Received: from /);
            assert.ok(read({ lines: lines.slice(lines.findIndex((line, i) => i && !/^\s/.test(line))) }).text.includes(link));
        }
        const wrong = { ...account(), email_password_file: passwordFile('wrong-secret') };
        assertNotSent(await send(templated(), { ...wrong, smtp_server: 'localhost' }), 2);
        assert.equal(words.messages.length, 3);
    });
}

function methodSuite() {
    const none = 'without anybody there';
    const table = [ // method, more settings, ports that answer, where it must arrive, with TLS
        ['ssl', {}, [465, 587, 25], 465, true],
        ['port', {}, [465, 587, 25], 587, true],
        ['port', { smtp_port: 465 }, [465, 587], 465, true],
        ['port', { smtp_port: 2587, smtp_use_ssl: 'starttls' }, [465, 2587], 2587, true],
        ['port', { smtp_port: 2525, smtp_use_ssl: 'none' }, [465, 587, 2525], 2525, false],
        ['simple', {}, [465, 587, 25], 25, false],
        ['auto', {}, [465, 587, 25], 465, true],
        ['auto', {}, [587, 25], 587, true],
        ['auto', {}, [25], 25, false],
        ['ssl', {}, [587, 25], none],
        ['port', {}, [465, 25], none],
        ['simple', {}, [465, 587], none],
        ['auto', {}, [], none],
    ];
    for (const [method, more, ports, expected, isTls] of table) {
        const what = Object.entries(more).map(([key, value]) => `, ${key}=${value}`).join('');
        it(`${method}${what}, with ${ports.join(', ') || 'none'} there: ${expected}`, async (t) => {
            const servers = await Promise.all(ports.map((port) => mailServer(t, port)));
            const answer = await send(plain(), { email_method: method, ...more });
            if (expected === none)
                assertNotSent(answer, 2, /nobody answers there/);
            else
                assertSent(answer);
            const arrived = ports.filter((port, i) => servers[i].messages.length);
            assert.deepEqual(arrived, expected === none ? [] : [expected]);
            assert.equal(servers[ports.indexOf(expected)]?.messages[0].tls, isTls);
        });
    }
    it('with an account: the login goes over TLS', async (t) => {
        for (const [method, port] of [['ssl', 465], ['port', 587], ['auto', 465]]) {
            const server = await mailServer(t, port);
            assertSent(await send(plain(), account({ email_method: method })));
            assert.equal(server.messages[0].credentials, '\0alice\0mail-secret');
            assert.ok(server.messages[0].tls);
            await server.stop();
        }
    });
    it('with an account nothing goes without TLS', async (t) => {
        const plainServer = await mailServer(t, 25);
        const noTls = await mailServer(t, 587, { words: smtp({ extensions: ['AUTH PLAIN LOGIN'] }) });
        assertNotSent(await send(plain(), account({ email_method: 'auto' })), 2, /offers no STARTTLS/);
        assertNotSent(await send(plain(), account({ email_method: 'simple' })), 2, /without TLS/);
        assertNotSent(await send(plain(), account({ email_method: 'port', smtp_use_ssl: 'none' })), 2, /without TLS/);
        assert.equal(plainServer.sessions.length, 0);
        assert.doesNotMatch(noTls.clear, /AUTH|MAIL|alice/);
    });
    it('auto goes on where no STARTTLS or no TLS is, without an account', async (t) => {
        await lineServer(t, { host, port: 465, ...smtp() }); // no TLS there
        await mailServer(t, 587, { words: smtp({ extensions: ['SIZE 1000000'] }) });
        const last = await mailServer(t, 25);
        assertSent(await send(plain(), { email_method: 'auto' }));
        assert.equal(last.messages.length, 1);
    });
    it('auto does not go on after a certificate that cannot be trusted', async (t) => {
        for (const certificate of [fixture.stranger, fixture.elsewhere]) {
            const servers = [await mailServer(t, 465, { certificate }), await mailServer(t, 587), await mailServer(t, 25)];
            assertNotSent(await send(templated(), { email_method: 'auto' }), 2, /465: SSL.*certificate/);
            assert.deepEqual(servers.map(({ sessions }) => sessions.length), [1, 0, 0]);
            await Promise.all(servers.map((server) => server.stop()));
        }
    });
    it('auto does not go on after a refusal', async (t) => {
        await mailServer(t, 465, { words: smtp({ replies: { RCPT: '550 5.1.1 no such user' } }) });
        const next = await mailServer(t, 587);
        assertNotSent(await send(plain(), { email_method: 'auto' }), 1, /no such user/);
        assert.equal(next.sessions.length, 0);
    });
}

function refusalSuite() {
    const cases = [ // replies, exit code, reason, not to be told
        [{ MAIL: '553 5.1.8 sender unknown' }, 1, /sender unknown/],
        [{ RCPT: '550 5.1.1 <zoe@example.org>: User unknown' }, 1, /127\.0\.0\.3:587 does not take .*User unknown/],
        [{ RCPT: '550-5.1.1 first line\r\n550 5.1.1 last line' }, 1, /last line/],
        [{ RCPT: '550 5.1.1 \x1b[31mred\x07' }, 1, /550 5\.1\.1 {2}\[31mred/],
        [{ DATA: '554 5.7.1 no valid recipients' }, 1, /no valid/],
        [{ BODY: `554 5.7.1 spam: ${link}` }, 1, /554 5\.7\.1\n/],
        [{ BODY: '552 5.3.4 too big' }, 1, /552 5\.3\.4/],
        [{ BODY: '451 4.3.0 later' }, 2, /451 4\.3\.0/],
        [{ RCPT: '450 4.2.0 greylisted' }, 2, /greylisted/],
        [{ MAIL: '452 4.3.1 disk full' }, 2, /disk full/],
        [{ MAIL: '530 5.7.0 Authentication required' }, 2, /Authentication required/],
        [{ MAIL: '503 5.5.1 EHLO first' }, 2],
        [{ MAIL: ['421 4.3.2 bye', CLOSE] }, 2],
        [{ BODY: CLOSE }, 2],
        [{ DATA: CLOSE }, 2],
        [{ EHLO: '550 5.7.1 go away' }, 2],
    ];
    for (const [replies, code, reason] of cases) {
        const title = Object.values(replies).flat().map((reply) => reply.description ?? reply).join(', ');
        it(`${Object.keys(replies)}: ${title.replace(/[^ -~]/g, ' ')}`, async (t) => {
            const server = await mailServer(t, 587, { words: smtp({ replies }) });
            const answer = await send(templated());
            assertNotSent(answer, code, reason);
            assert.ok(!answer.err.includes('cgi-bin'));
            assert.equal(server.sessions.length, 1);
        });
    }
    for (const greeting of ['554 5.3.2 no service here', '421 4.3.2 busy', 'hello?']) {
        it(`greeted with ${greeting}`, async (t) => {
            await mailServer(t, 587, { words: { ...smtp(), greeting: [greeting, CLOSE] } });
            assertNotSent(await send(plain()), 2);
        });
    }
    it('a login that is refused', async (t) => {
        const server = await mailServer(t, 587, { words: smtp({ replies: { AUTH: '535 5.7.8 mail-secret' } }) });
        const answer = await send(plain(), account());
        assertNotSent(answer, 2);
        assert.ok(!answer.err.includes('mail-secret'), answer.err);
        assert.equal(server.messages.length, 0);
    });
    it('a certificate that cannot be trusted, for every method with TLS', async (t) => {
        for (const [method, port] of [['ssl', 465], ['port', 587]]) {
            const server = await mailServer(t, port, { certificate: fixture.stranger });
            assertNotSent(await send(plain(), account({ email_method: method })), 2, /certificate/);
            assert.doesNotMatch(server.clear + server.lines, /AUTH|MAIL|alice/);
        }
    });
}

function injectionSuite() {
    const addresses = ['zoe@example.org\r\nBcc: x@example.com', 'zoe@example.org\nRCPT TO:<x@example.com>',
                       'zoe@example.org>\r\nDATA', 'zoe@example.org, x@example.com', 'zoe@example.org x@example.com',
                       '<zoe@example.org>', 'Zoe <zoe@example.org>', '"zoe"@example.org', 'zoe', 'zoé@example.org',
                       'zoe@exämple.org', 'zoe@example', 'zoe@[127.0.0.1]', '', 'zoe@example.org.', 'a@b@example.org',
                       'zoe@example.org SIZE=1', '@example.org', 'x'.repeat(1000) + '@example.org'];
    it('addresses that are none, or more than one', async (t) => {
        const server = await mailServer(t, 587);
        for (const to of addresses)
            assertNotSent(await send(plain({ to })), 1, /not a mail address that we can write to/);
        for (const to of [null, 5, [], ['zoe@example.org'], {}])
            assertNotSent(await send(plain({ to })), 1);
        assert.equal(server.sessions.length, 0);
    });
    it('subjects of more than one line', async (t) => {
        const server = await mailServer(t, 587);
        for (const subject of ['a\r\nBcc: x@example.com', 'a\nb', 'a\rb', 'a\0b', 'a\tb', 'a\x1b[31m', 'x'.repeat(501)])
            assertNotSent(await send(plain({ subject })), 1, /subject must be one line|NUL|u0000/);
        assert.equal(server.sessions.length, 0);
    });
    it('values of a template', async (t) => {
        const server = await mailServer(t, 587);
        const machine = 'x\r\nBcc: x@example.com\r\n\r\n.\r\nMAIL FROM:<x@example.com>\u2028\u0085';
        assertSent(await send(templated({ values: { ...values, machine, user: '<script>alert(1)</script>{{link}}' } })));
        assert.equal(server.messages.length, 1);
        const { headers, subject, text, html } = read(server.messages[0]);
        assert.ok(!('bcc' in headers));
        assert.match(subject, /^Your desktop x {2}Bcc: x@example\.com {4}\. {2}MAIL FROM:<x@example\.com> {2} is ready$/);
        assert.ok(!subject.includes('\n') && !/\nBcc/.test(text) && !html.includes('<script'));
        assert.ok(text.includes('Hello <script>alert(1)</script>{{link}},'));
    });
    it('a text that would like to be a second message', async (t) => {
        const server = await mailServer(t, 587);
        const text = 'a\r\n.\r\nMAIL FROM:<x@example.com>\r\nRCPT TO:<y@example.com>\r\nDATA\r\nSpam\r\n.\r\n';
        assertSent(await send(plain({ text, html: text })));
        assert.equal(server.messages.length, 1);
        assert.deepEqual(server.messages[0].to, ['zoe@example.org']);
        assert.equal(read(server.messages[0]).text, text);
    });
    it('senders of the settings', async (t) => {
        const server = await mailServer(t, 587);
        for (const email_from of ['desk', 'desk@example', 'a@b.example, c@d.example', 'désk@example.org', 'x <y>'])
            assertNotSent(await send(plain(), { email_from }), 2, /email_from/);
        assertNotSent(await send(plain(), { email_from: '' }), 2, /email_from is not set/);
        assertSent(await send(plain(), { email_from: 'A, B: "C" <x@evil.example> <desk@example.org>' }));
        const { from, headers } = read(server.messages[0]);
        assert.equal(from, 'A, B: "C" <x@evil.example> <desk@example.org>');
        assert.match(headers.from, /^=\?UTF-8\?B\?[^ ]+\?= <desk@example\.org>$/);
    });
    it('requests that are none', async (t) => {
        const server = await mailServer(t, 587);
        for (const request of ['', 'x', '[]', '{', '"x"', '{"to": "zoe@example.org"}\0', 'x'.repeat(2 * 1024 * 1024)])
            assertNotSent(await send(request), 1);
        for (const request of [plain({ text: undefined }), plain({ subject: undefined }), plain({ text: 5 }),
                               templated({ values: undefined }), templated({ values: [] }), templated({ template: '' }),
                               templated({ template: '../session' }), templated({ template: 'session-ready.html' })])
            assertNotSent(await send(request), 1);
        assertNotSent(await send(templated({ template: 'no-such' })), 2, /no-such\.subject/);
        assertNotSent(await send(templated({ values: { service: 'x' } })), 2, /no value is given/);
        assert.equal(server.sessions.length, 0);
    });
}

function secretSuite() {
    it('the file of the password belongs to the service account alone', async (t) => {
        const server = await mailServer(t, 587);
        for (const [file, reason] of [['/nonexistent/x', /Cannot open/], [fixture.folder, /not a regular file/],
                                      ['', /needs email_password_file/]])
            assertNotSent(await send(plain(), { email_user: 'alice', email_password_file: file }), 2, reason);
        for (const [text, mode, reason] of [['mail-secret', 0o644, /Every account/], ['mail-secret', 0o602, /Every account/],
                                            ['', 0o600, /one line/], ['\n', 0o600, /one line/]]) {
            const email_password_file = passwordFile(text, mode);
            assertNotSent(await send(plain(), { email_user: 'alice', email_password_file }), 2, reason);
        }
        assert.equal(server.sessions.length, 0);
        assertSent(await send(plain(), { email_user: 'alice', email_password_file: passwordFile('mail-secret', 0o640) }));
    });
    it('nothing shows them while it runs', async (t) => {
        const server = await mailServer(t, 587, { words: smtp({ replies: { RCPT: [] } }) });
        await inTime(deadline_ms / 1000, async () => { // it is its own deadline, and may be over before we look
            server.sessions.length = 0;
            const child = begin(templated(), account());
            t.after(() => child.kill('SIGKILL'));
            await until(server, 'heard', () => server.sessions[0]?.message?.to.length, 'the addressee');
            assert.equal(server.sessions[0].credentials, '\0alice\0mail-secret');
            const seen = visibleWhileAlive(child.pid);
            assert.doesNotMatch(seen, /seCretKey|mail-secret|zoe@/);
            return seen;
        });
    });
    it('settings that name no server', async () => {
        for (const [smtp_server, reason] of [['', /smtp_server is not set/], ['a b', /not a host name/],
                                             ['nobody-knows-this.invalid', /no host of that name/]])
            assertNotSent(await send(plain(), { smtp_server }), 2, reason);
        assertNotSent(await send(plain(), { no_such_key: '1' }), 2);
    });
}

// Servers that say nothing at some point, all at once: each costs the whole deadline.
function silenceSuite() {
    const cases = {
        'at the beginning': {},
        'at STARTTLS': smtp({ replies: { STARTTLS: ['220 go ahead', SILENT] } }),
        'at MAIL': smtp({ replies: { MAIL: [] } }),
        'at DATA': smtp({ replies: { DATA: [] } }),
        'or talks nonsense': smtp({ replies: { RCPT: 'nonsense' } }),
        'after the message': smtp({ replies: { BODY: [] } }),
    };
    it(`silent ${Object.keys(cases).join(', ')}`, async (t) => {
        const answers = await Promise.all(Object.values(cases).map(async (words, i) => {
            const port = 3000 + i;
            await lineServer(t, { host, port, certificate: fixture.good, ...words });
            return send(plain(), { smtp_port: port });
        }));
        for (const answer of answers) {
            assertNotSent(answer, 2, /in time/);
            assert.ok(answer.ms < 2 * deadline_ms + 3000, `${answer.ms} ms`); // who was held up meanwhile as well
        }
    });
    it('silent at QUIT: sent all the same, and soon', async (t) => {
        const server = await mailServer(t, 587, { words: smtp({ replies: { QUIT: [] } }) });
        await inTime(5, async () => {
            server.messages.length = 0;
            const answer = await send(plain());
            assertSent(answer);
            assert.equal(server.messages.length, 1);
            return answer.ms < 5000;
        });
    });
    it('silent at QUIT after a refusal', async (t) => {
        await mailServer(t, 587, { words: smtp({ replies: { RCPT: '550 5.1.1 unknown', QUIT: [] } }) });
        const answer = await send(plain());
        assertNotSent(answer, 1, /unknown/);
        assert.ok(answer.ms < 2 * deadline_ms + 3000, `${answer.ms} ms`);
    });
}

const whole = suite(after);
before(() => {
    const folder = fixture.folder = tempFolder(whole);
    const names = 'IP:127.0.0.1,IP:::1,IP:127.0.0.3,DNS:localhost';
    fixture.ca = authority(folder, 'ca');
    fixture.good = fixture.ca.issue('good', { names });
    fixture.elsewhere = fixture.ca.issue('elsewhere', { names: 'DNS:mail.example.org,IP:127.0.0.9' });
    fixture.stranger = authority(folder, 'other').issue('stranger', { names });
});
describe('qwd-mail', () => {
    describe('what arrives', messageSuite);
    describe('email_method', methodSuite);
    describe('refused', refusalSuite);
    describe('injection', injectionSuite);
    describe('secrets', secretSuite);
    describe('silence', silenceSuite);
});
