// SPDX-License-Identifier: AGPL-3.0-or-later
// Mail servers for the tests of qwd-auth-imap, qwd-auth-smtp and qwd-mail: a real dovecot, and line servers of our own
// that speak as much IMAP or SMTP as a test wants, and misbehave on purpose. They use the
// well-known ports: each file of tests has a network of its own.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { isRoot, outputHas } from './programs.mjs';
import { within } from './wait.mjs';

// --- dovecot ---

const block = (name, lines) => [`${name} {`, ...lines, '}'];
const listener = (name, port, ssl) => block(`inet_listener ${name}`, [`port = ${port}`, ...(ssl ? ['ssl = yes'] : [])]);

function dovecotConfig(folder, certificate, relayPort) {
    const [user, group] = isRoot ? ['nobody', 'nogroup'] : [process.getuid(), process.getgid()];
    const self = os.userInfo().username;
    const ownGroup = spawnSync('id', ['-gn'], { encoding: 'utf8' }).stdout.trim();
    const account = isRoot ? [] : [`default_internal_user = ${self}`, `default_login_user = ${self}`,
                                   `default_internal_group = ${ownGroup}`];
    return [
        `base_dir = ${folder}/run`, `state_dir = ${folder}/state`, 'log_path = /dev/stderr', ...account,
        'protocols = imap submission', 'listen = 127.0.0.1, ::1', 'hostname = mail.example.org',
        'ssl = required', `ssl_cert = <${certificate.certificate}`, `ssl_key = <${certificate.key}`,
        'auth_mechanisms = plain login', 'auth_failure_delay = 0', 'auth_username_chars =', 'first_valid_uid = 1',
        ...block('passdb', ['driver = passwd-file', `args = scheme=PLAIN username_format=%u ${folder}/users`]),
        ...block('userdb', ['driver = static', `args = uid=${user} gid=${group} home=${folder}/mail/%u`]),
        `mail_location = maildir:${folder}/mail/%u`,
        ...block('service imap-login', ['chroot =', ...listener('imap', 143), ...listener('imaps', 993, true)]),
        ...block('service submission-login', ['chroot =', ...listener('submission', 587),
                                              ...listener('submissions', 465, true)]),
        // Without the penalty for wrong passwords that makes everybody from one address wait.
        ...block('service anvil', ['chroot =', ...block('unix_listener anvil-auth-penalty', ['mode = 0'])]),
        'submission_relay_host = 127.0.0.1', `submission_relay_port = ${relayPort}`, '',
    ].join('\n');
}

// A dovecot on the well-known ports of 127.0.0.1 and ::1, ready to answer; its log is in .err. `users` is
// {name: password}; its submission service hands over to relayPort.
export async function dovecot(t, folder, { certificate, users, relayPort = 2525 }) {
    fs.mkdirSync(path.join(folder, 'mail'), { recursive: true });
    if (isRoot)
        fs.chmodSync(path.join(folder, 'mail'), 0o777);
    const config = path.join(folder, 'dovecot.conf');
    const accounts = Object.entries(users).map(([user, password]) =>
        `${user}:{PLAIN.b64}${Buffer.from(password).toString('base64')}\n`);
    fs.writeFileSync(path.join(folder, 'users'), accounts.join(''));
    fs.writeFileSync(config, dovecotConfig(folder, certificate, relayPort));
    const child = spawn('dovecot', ['-F', '-c', config], { stdio: ['ignore', 'ignore', 'pipe'],
                                                           env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } });
    child.ended = once(child, 'close').then(([code, signal]) => ({ code, signal, err: child.err }));
    child.err = '';
    child.stderr.setEncoding('utf8').on('data', (text) => {
        child.err += text;
        child.emit('output');
    });
    t.after(async () => { // it ends its own processes
        child.kill('SIGTERM');
        await within('end of dovecot', child.ended);
    });
    await outputHas(child, 'err', /starting up/);
    return child;
}

// --- servers of our own ---

// What a server says and does next: a text to send, or one of these, or a list of them. Nothing: it says nothing.
export const START_TLS = Symbol('TLS begins');
export const CLOSE = Symbol('the connection ends');
export const SILENT = Symbol('nothing more is said');
export const RESET = Symbol('the connection breaks');

// A server that answers lines. answer(line, session) gives what it says and does; session is an object for its
// memory, with `tls` true once there is TLS. In .clear stands what it has heard without TLS, in .lines every line;
// .sessions has every connection's session. 'heard' is emitted on the server after each line.
export async function lineServer(t, { host = '127.0.0.1', port, certificate, tlsOptions, tlsFirst, greeting,
                                      answer = () => {} }) {
    const context = certificate && tls.createSecureContext({ key: fs.readFileSync(certificate.key),
                                                             cert: fs.readFileSync(certificate.certificate),
                                                             ...tlsOptions });
    const sockets = new Set();
    const server = net.createServer((socket) => {
        const session = { tls: false, raw: socket };
        server.sessions.push(session);
        sockets.add(socket);
        socket.on('error', () => {}).on('close', () => sockets.delete(socket));
        if (tlsFirst)
            secure(session);
        else
            listenTo(session, socket);
        act(session, greeting);
    });
    server.clear = '';
    server.lines = [];
    server.sessions = [];

    function secure(session) {
        session.raw.removeAllListeners('data');
        session.tls = true;
        const socket = new tls.TLSSocket(session.raw, { isServer: true, secureContext: context });
        socket.on('error', () => {});
        listenTo(session, socket);
    }

    function listenTo(session, socket) {
        session.socket = socket;
        let rest = '';
        socket.on('data', (data) => {
            if (!session.tls)
                server.clear += data.toString('latin1');
            rest += data.toString('latin1');
            for (let end = rest.indexOf('\n'); end >= 0 && session.socket === socket; end = rest.indexOf('\n')) {
                const line = rest.slice(0, end).replace(/\r$/, '');
                rest = rest.slice(end + 1);
                server.lines.push(line);
                act(session, answer(line, session));
                server.emit('heard');
            }
        });
    }

    function act(session, what) {
        if (session.isSilent)
            return;
        if (what === SILENT)
            session.isSilent = true;
        else if (Array.isArray(what))
            what.forEach((one) => act(session, one));
        else if (typeof what === 'function')
            what(session.socket);
        else if (what === START_TLS)
            secure(session);
        else if (what === CLOSE)
            session.socket.end();
        else if (what === RESET)
            session.raw.resetAndDestroy();
        else if (what !== undefined)
            session.socket.write(`${what}\r\n`);
    }

    server.stop = async () => {
        if (!server.listening)
            return;
        const closed = once(server, 'close');
        server.close();
        sockets.forEach((socket) => socket.destroy());
        await closed;
    };
    server.listen({ host, port });
    await once(server, 'listening');
    t.after(server.stop);
    return server;
}

const base64 = (text) => Buffer.from(text, 'base64').toString();

// --- IMAP ---

// Answers as an IMAP server that would let everybody in; options replace parts of it.
export const imap = ({ capabilities = 'IMAP4rev1 STARTTLS AUTH=PLAIN AUTH=LOGIN', starttls = ['OK Begin TLS', START_TLS],
                       login = 'OK Logged in' } = {}) => ({
    greeting: '* OK ready',
    answer(line, session) {
        if (session.tag) { // the credentials
            session.credentials = base64(line);
            const tag = session.tag;
            delete session.tag;
            return prefixed(tag, login);
        }
        const [tag, command] = line.split(' ');
        switch (command?.toUpperCase()) {
        case 'CAPABILITY':
            return [`* CAPABILITY ${capabilities}`, `${tag} OK done`];
        case 'STARTTLS':
            return prefixed(tag, starttls);
        case 'AUTHENTICATE':
            session.tag = tag;
            return '+ ';
        default:
            return `${tag} BAD what?`;
        }
    },
});

const prefixed = (tag, what) =>
    [what].flat().map((one) => (typeof one === 'string' && !/^\*/.test(one) ? `${tag} ${one}` : one));

// --- SMTP ---

// The words of an SMTP server that would let everybody in and takes every message. `replies` are by command, and BODY
// for the end of a message's text. Messages stand in .messages.
export const smtp = ({ extensions = ['STARTTLS', 'AUTH PLAIN LOGIN', 'SIZE 1000000'], replies = {} } = {}) => {
    const messages = [];
    const reply = (command, usual) => (command in replies ? replies[command] : usual);
    const ehlo = (session) => {
        const lines = ['mail.example.org', ...extensions.filter((one) => one !== 'STARTTLS' || !session.tls)];
        return lines.map((line, i) => `250${i < lines.length - 1 ? '-' : ' '}${line}`);
    };
    const body = (line, session) => {
        const { message } = session;
        if (line !== '.')
            return void message.lines.push(line.replace(/^\./, ''));
        session.hasBody = false;
        messages.push(message);
        return reply('BODY', '250 2.0.0 queued');
    };
    const commands = {
        EHLO: (line, session) => reply('EHLO', ehlo(session)),
        HELO: () => reply('HELO', '250 mail.example.org'),
        STARTTLS: () => reply('STARTTLS', ['220 go ahead', START_TLS]),
        AUTH(line, session) {
            session.wantsCredentials = true;
            return '334 ';
        },
        MAIL(line, session) {
            session.message = { from: line.match(/<(.*?)>/)?.[1], to: [], lines: [], tls: session.tls,
                                credentials: session.credentials };
            return reply('MAIL', '250 2.1.0 ok');
        },
        RCPT(line, session) {
            session.message.to.push(line.match(/<(.*?)>/)?.[1]);
            return reply('RCPT', '250 2.1.5 ok');
        },
        DATA(line, session) {
            const answer = reply('DATA', '354 go on');
            session.hasBody = String(answer).startsWith('354');
            return answer;
        },
        QUIT: () => reply('QUIT', ['221 bye', CLOSE]),
    };
    return {
        messages,
        greeting: '220 mail.example.org ready',
        answer(line, session) {
            if (session.hasBody)
                return body(line, session);
            if (session.wantsCredentials) {
                session.wantsCredentials = false;
                session.credentials = base64(line);
                return reply('AUTH', '235 2.7.0 welcome');
            }
            const command = commands[line.split(' ')[0].toUpperCase()];
            return command ? command(line, session) : '502 5.5.1 what?';
        },
    };
};
