// SPDX-License-Identifier: AGPL-3.0-or-later
// What the tests of qwdctl share: a scratch root with an installed tree, transcripts against golden files
// (tests/fixtures/ctl), and a web server that misbehaves on purpose.

import { spawn } from 'node:child_process';
import crypto from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import path from 'node:path';
import { assertGolden, sh } from './files.mjs';
import { account, isRoot } from './programs.mjs';
import { Staging } from './staging.mjs';
import { within } from './wait.mjs';

export class Root extends Staging {
    constructor() {
        super('c-');
        this.program = this.qwdctl;
        this.page = this.path('service/index.html');
        this.configure();
    }

    // Back to a root without machines.
    reset() {
        for (const folder of ['service/machines', 'service/snapshots', 'etc/config.d'])
            for (const name of fs.readdirSync(this.path(folder)))
                fs.rmSync(this.path(folder, name), { recursive: true });
        fs.rmSync(this.path('etc/html'), { recursive: true, force: true });
        for (const file of [this.path('etc/machines.conf'), this.page])
            fs.rmSync(file, { force: true });
        this.configure();
    }

    write(name, text, mode = 0o644) {
        fs.writeFileSync(this.path(name), text, { mode });
        fs.chmodSync(this.path(name), mode);
        return this.path(name);
    }

    read(name) {
        return fs.readFileSync(this.path(name), 'utf8');
    }

    // The record of a session on an image, as a supervisor would have left it. Returns its id.
    record(image, more = {}) {
        const id = crypto.randomBytes(16).toString('hex'), folder = this.path('service/snapshots', id);
        const record = { schema: 1, id, owner: 'alice', state: 'running', plan: { machine: path.basename(image), image }, ...more };
        fs.mkdirSync(folder, { mode: 0o700 });
        fs.writeFileSync(path.join(folder, 'session.json'), JSON.stringify(record));
        if (isRoot)
            sh('chown', '-R', account, folder);
        return id;
    }

    environment(more = {}) {
        return super.environment({ TMPDIR: this.path('home'), ...more });
    }

    spawn(words, env = {}) {
        return spawn(this.program, words, { env: this.environment(env), cwd: this.path('home'), stdio: 'pipe' });
    }

    // The input is a text, or a function of what it has said: when that returns a text, that is the input.
    async collect(child, what, { input = '' } = {}) {
        const out = [], err = [], answer = typeof input === 'function' ? input : () => input;
        const reply = () => {
            const text = child.stdin.writableEnded ? undefined : answer(Buffer.concat(out).toString());
            if (text !== undefined)
                child.stdin.end(text);
        };
        child.stdout.on('data', (chunk) => out.push(chunk));
        child.stderr.on('data', (chunk) => err.push(chunk));
        child.stdin.on('error', () => {});
        child.stdout.on('data', reply);
        reply();
        try {
            const [code] = await within(what, once(child, 'close'));
            return { code, out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() };
        } finally {
            if (child.exitCode === null)
                child.kill('SIGKILL');
        }
    }

    run(words, { env, ...options } = {}) {
        return this.collect(this.spawn(words, env), words.join(' '), options);
    }

    // On a terminal of its own: what is typed is the input. Both outputs come out together.
    terminal(words, { env, ...options } = {}) {
        const quoted = [this.program, ...words].map((word) => `'${word}'`).join(' ');
        const child = spawn('script', ['-qec', quoted, '/dev/null'],
                            { env: this.environment({ TERM: 'xterm', ...env }), cwd: this.path('home'), stdio: 'pipe' });
        return this.collect(child, words.join(' '), options);
    }

    // What differs from run to run gets names.
    plain(text) {
        return text.replaceAll(this.root, 'ROOT').replaceAll(this.installed, 'ROOT/root').replace(/localhost:\d+/g, 'localhost:PORT')
            .replace(/\b\d+(\.\d)? [KM]B\b/g, 'SIZE').replace(/"size": \d+/g, '"size": SIZE').replace(/ +\|/g, ' |')
            .replace(/^qemu-web-desktop [\d.]+$/m, 'qemu-web-desktop VERSION');
    }

    // Runs the commands one after the other and compares all they say with a golden file.
    async transcript(name, commands) {
        let text = '';
        for (const words of commands) {
            const { code, out, err } = await this.run(words);
            const lines = (mark, of) => this.plain(of).split(/(?<=\n)/).map((line) => `${mark} ${line.trimEnd()}`.trimEnd() + '\n').join('');
            text += `$ qwdctl ${this.plain(words.map((word) => (/[\s']/.test(word) ? `"${word}"` : word)).join(' '))}\n`;
            text += `${out && lines('  ', out)}${err && lines('! ', err)}= ${code}\n`;
        }
        assertGolden(`ctl/${name}.txt`, text);
    }
}

// --- images ---

// Not much larger than `size`, and different every time.
export function randomImage(file, size = 1024 * 1024) {
    fs.writeFileSync(`${file}.raw`, crypto.randomBytes(size));
    sh('qemu-img', 'convert', '-q', '-f', 'raw', '-O', 'qcow2', `${file}.raw`, file);
    fs.rmSync(`${file}.raw`);
    return fs.readFileSync(file);
}

// A raw image to look at, whose first bytes say that it is a qcow2 over another file.
export function pretendingImage(file, backing = '/etc/shadow') {
    sh('qemu-img', 'create', '-q', '-f', 'qcow2', '-u', '-b', backing, '-F', 'raw', file, '10M');
    return fs.readFileSync(file);
}

// A qcow2 over another one of the same folder.
export function overlay(folder, base, name) {
    sh('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', path.join(folder, base), '-F', 'qcow2', path.join(folder, name));
}

export const sha256 = (bytes) => crypto.createHash('sha256').update(bytes).digest('hex');

// --- the web server ---

// An authority of the test's own, and a certificate of localhost.
function certificates(folder) {
    const at = (name) => path.join(folder, name);
    const subject = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    sh('openssl', 'req', '-x509', ...subject, '-subj', '/CN=Test authority', '-keyout', at('ca.key'), '-out', at('ca.pem'));
    sh('openssl', 'req', '-x509', ...subject, '-subj', '/CN=localhost', '-CA', at('ca.pem'), '-CAkey', at('ca.key'),
       '-addext', 'subjectAltName=DNS:localhost', '-keyout', at('key.pem'), '-out', at('cert.pem'));
    return { key: fs.readFileSync(at('key.pem')), cert: fs.readFileSync(at('cert.pem')), ca: at('ca.pem') };
}

// Serves files from memory: each name has { body, etag, ranges, type, cut, stall, length, redirect, status, twist }.
// With `together` set, nobody is answered before so many have asked.
export class Web extends EventEmitter {
    async start(folder) {
        const { key, cert, ca } = certificates(folder);
        this.ca = ca;
        this.files = {};
        this.requests = [];
        this.held = [];
        this.most = this.open = this.together = 0;
        this.sockets = new Set();
        this.secure = https.createServer({ key, cert }, (request, response) => this.answer(request, response));
        this.clear = http.createServer((request, response) => this.answer(request, response));
        this.proxy = http.createServer().on('connect', (request, socket) => this.connect(request, socket));
        this.tunnels = [];
        for (const server of [this.secure, this.clear, this.proxy]) {
            server.on('connection', (socket) => this.sockets.add(socket.on('error', () => {})));
            server.listen(0, '127.0.0.1');
            await once(server, 'listening');
        }
        return this;
    }

    url(name, server = this.secure) {
        return `${server === this.secure ? 'https' : 'http'}://localhost:${server.address().port}/images/${name}`;
    }

    connect(request, socket) {
        this.tunnels.push(request.url);
        const [host, port] = request.url.split(':');
        const far = net.connect({ host: host === 'localhost' ? '127.0.0.1' : host, port }, () => {
            socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
            far.pipe(socket).pipe(far);
        }).on('error', () => socket.destroy());
        this.sockets.add(far);
        socket.on('error', () => far.destroy());
    }

    // The part that is asked for, if the file is still the one that is meant.
    range(file, request) {
        const begin = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
        const isSame = request.headers['if-range'] === file.etag;
        return file.ranges && isSame ? begin : 0;
    }

    answer(request, response) {
        const name = decodeURIComponent(request.url.split('/').pop().split('?')[0]);
        const file = this.files[name];
        this.requests.push({ name, range: request.headers.range, condition: request.headers['if-range'] });
        request.socket.on('close', () => this.emit(`closed ${name}`));
        this.most = Math.max(this.most, ++this.open);
        response.on('close', () => this.open--);
        if (this.together) {
            this.held.push([file, request, response]);
            if (this.held.length === this.together)
                this.held.splice(0).forEach((one) => this.reply(...one));
            return;
        }
        this.reply(file, request, response);
    }

    reply(file, request, response) {
        if (!file || file.status || file.redirect) {
            response.writeHead(file ? file.status ?? 302 : 404, file?.redirect ? { Location: file.redirect } : {});
            response.end('no');
            return;
        }
        const begin = this.range(file, request);
        if (begin >= file.body.length) {
            response.writeHead(416, { 'Content-Range': `bytes */${file.body.length}` }).end();
            return;
        }
        let body = file.body.subarray(begin);
        if (begin && file.twist)
            body = Buffer.from(body).fill(0xee, 0, 10);
        const headers = { 'Content-Type': file.type ?? 'application/octet-stream', Connection: 'close' };
        if (file.length !== null)
            headers['Content-Length'] = (file.length ?? file.body.length) - begin;
        if (file.etag)
            headers.ETag = file.etag;
        if (begin)
            headers['Content-Range'] = `bytes ${begin}-${file.body.length - 1}/${file.body.length}`;
        response.writeHead(begin ? 206 : 200, headers);
        this.send(file, body, response);
    }

    send(file, body, response) {
        const cut = file.cut && body.length > file.cut;
        response.on('error', () => {});
        if (!cut && !file.stall) {
            response.end(body);
            return;
        }
        response.write(body.subarray(0, file.cut ?? file.stall), () => {
            this.emit('sent');
            if (cut && !file.stall)
                response.socket?.destroy();
        });
    }

    // Cuts every connection.
    drop() {
        this.sockets.forEach((socket) => socket.destroy());
    }

    end() {
        this.drop();
        for (const server of [this.secure, this.clear, this.proxy])
            server.close();
    }
}
