// SPDX-License-Identifier: AGPL-3.0-or-later
// What the integration tests share: programs that end with their test, temporary folders, waiting for an event with a
// deadline (never sleeping), raw HTTP, and a websocket client that can misbehave.

import { spawn } from 'node:child_process';
import crypto from 'node:crypto';
import dgram from 'node:dgram';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const top = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const variant = process.env.VARIANT ?? 'release';
export const build = process.env.QWD_BUILD ?? path.join(top, 'build', variant);

// Deadlines are said for a quiet machine of today; others share theirs, and what is waited for comes all the same.
export const slack = 3;

// The promise's value, or an error that says what was waited for.
export const within = (quiet, what, promise) => promptly(quiet * slack, what, promise);

// The same, where the time is what has been promised: no machine gets more.
export async function promptly(ms, what, promise) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`${what}: nothing within ${ms} ms`)), ms);
    });
    try {
        return await Promise.race([promise, late]);
    } finally {
        clearTimeout(timer);
    }
}

// Checks now and after each `event` of the emitter, until the condition gives something true.
export function until(emitter, event, condition, ms = 20000, what = event) {
    let check;
    const met = new Promise((resolve) => {
        check = () => {
            const value = condition();
            if (value)
                resolve(value);
        };
        emitter.on(event, check);
        check();
    });
    return within(ms, what, met).finally(() => emitter.off(event, check));
}

// A folder that other accounts can read, removed after the test.
export function tempFolder(t) {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'qwd-test-'));
    fs.chmodSync(folder, 0o755);
    t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
    return folder;
}

// Whoever reads the file meanwhile, as a page's poll may, has the old text or the new one.
export function replaceFile(file, text) {
    fs.writeFileSync(`${file}.new`, text);
    fs.renameSync(`${file}.new`, file);
}

// Waits until a file has content.
export async function fileWritten(file, ms = 20000) {
    const read = () => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '');
    const watcher = fs.watch(path.dirname(file));
    try {
        return await until(watcher, 'change', read, ms, `${file} written`);
    } finally {
        watcher.close();
    }
}

// A program that is killed (by pid, it alone) when the test ends. Its output is kept in .out and .err; 'output' is
// emitted on the child when some has come.
export function start(t, command, args = [], options = {}) {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    child.out = child.err = '';
    for (const [stream, name] of [[child.stdout, 'out'], [child.stderr, 'err']]) {
        stream?.setEncoding('utf8').on('data', (text) => {
            child[name] += text;
            child.emit('output');
        });
    }
    child.ended = once(child, 'close').then(([code, signal]) => ({ code, signal, out: child.out, err: child.err }));
    child.ended.catch(() => {});
    t.after(async () => {
        if (child.exitCode === null && child.signalCode === null)
            child.kill('SIGKILL');
        child.stdout?.destroy();
        child.stderr?.destroy();
    });
    return child;
}

// Runs a program to its end.
export const run = (t, command, args, options, ms = 20000) =>
    within(ms, `end of ${command}`, start(t, command, args, options).ended);

// Waits for a text in a program's output; fails at once when the program ends without it.
export const outputHas = (child, name, pattern, ms = 20000) =>
    Promise.race([
        until(child, 'output', () => child[name].match(pattern), ms, `${pattern} in ${name} of ${child.spawnfile}`),
        child.ended.then(({ code, signal, err }) => child[name].match(pattern) ??
            Promise.reject(new Error(`${child.spawnfile} ended (${code ?? signal}): ${err}`))),
    ]);

// Whether the port could be taken; what takes it is let go, or held for as long as this process lives.
async function canTake(socket, begin, isHeld = false) {
    try {
        begin(socket);
        await once(socket, 'listening');
    } catch {
        return false;
    }
    socket.unref();
    if (!isHeld)
        await new Promise((resolve) => socket.close(resolve));
    return true;
}

// A port of 127.0.0.1 for a server that comes later. It is none that the kernel gives to who connects somewhere, or
// wants any (ip(7)), and none of another test's beside: each of them holds the same one of UDP, which nobody uses.
export async function freePort() {
    for (;;) {
        const port = 20000 + crypto.randomInt(12768);
        if (await canTake(dgram.createSocket('udp4'), (socket) => socket.bind(port, '127.0.0.1'), true) &&
            await canTake(net.createServer(), (server) => server.listen(port, '127.0.0.1')))
            return port;
    }
}

// A server of the test's own, on a port of 127.0.0.1 or on a path, ended with the test.
export async function listen(t, where, onConnection) {
    const sockets = new Set();
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
        sockets.add(socket.on('error', () => {}).on('close', () => sockets.delete(socket)));
        onConnection(socket);
    });
    server.listen(typeof where === 'number' ? { port: where, host: '127.0.0.1' } : { path: where });
    await once(server, 'listening');
    t.after(() => {
        sockets.forEach((socket) => socket.destroy());
        server.close();
    });
    return server;
}

export const isAlive = (pid) => {
    try {
        return !/^\d+ \(.*\) [ZX]/s.test(fs.readFileSync(`/proc/${pid}/stat`, 'latin1'));
    } catch {
        return false;
    }
};

// What a process has open, by descriptor; one that is closed meanwhile leads nowhere.
export function descriptorsOf(pid) {
    const target = (fd) => {
        try {
            return fs.readlinkSync(`/proc/${pid}/fd/${fd}`);
        } catch {
            return '';
        }
    };
    return fs.existsSync(`/proc/${pid}/fd`) ? fs.readdirSync(`/proc/${pid}/fd`).map((fd) => [fd, target(fd)]) : [];
}

// --- HTTP, byte by byte ---

// Sends the text as it is and reads until the server closes. Half-closing after the request says that no more comes.
export async function rawHttp(port, text, { ms = 20000, host = '127.0.0.1', end = false } = {}) {
    const socket = net.connect({ port, host, allowHalfOpen: true });
    const chunks = [];
    socket.on('data', (chunk) => chunks.push(chunk)).on('error', () => {});
    socket.write(text);
    if (end)
        socket.end();
    try {
        await within(ms, 'end of the answer', new Promise((resolve) => socket.on('end', resolve).on('close', resolve)));
    } finally {
        socket.destroy();
    }
    return parseResponse(Buffer.concat(chunks));
}

export function parseResponse(buffer) {
    const at = buffer.indexOf('\r\n\r\n');
    const head = buffer.subarray(0, at < 0 ? buffer.length : at).toString('latin1');
    const [line, ...lines] = head.split('\r\n');
    const headers = {};
    for (const field of lines) {
        const name = field.slice(0, field.indexOf(':')).toLowerCase();
        const value = field.slice(field.indexOf(':') + 1).trim();
        headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
    }
    return {
        status: Number(line.split(' ')[1] ?? 0),
        headers,
        head,
        body: at < 0 ? Buffer.alloc(0) : buffer.subarray(at + 4),
        get text() {
            return this.body.toString();
        },
    };
}

// One request on a connection of its own. The target goes out as it is given.
export const http = (port, method, target, { headers = {}, body = '', ms } = {}) => {
    const all = { Host: `127.0.0.1:${port}`, Connection: 'close', ...headers };
    if (body.length > 0 && !all['Content-Length'])
        all['Content-Length'] = Buffer.byteLength(body);
    const lines = Object.entries(all).flatMap(([name, value]) =>
        value === undefined ? [] : [value].flat().map((one) => `${name}: ${one}\r\n`));
    return rawHttp(port, Buffer.concat([Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n`),
                                        Buffer.from(body)]), { ms });
};

// --- websocket (RFC 6455) ---

export function webSocketHead(port, target, headers = {}) {
    const all = {
        Host: `127.0.0.1:${port}`,
        Upgrade: 'websocket',
        Connection: 'keep-alive, Upgrade',
        'Sec-WebSocket-Key': crypto.randomBytes(16).toString('base64'),
        'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Protocol': 'binary',
        ...headers,
    };
    const lines = Object.entries(all).map(([name, value]) => (value === undefined ? '' : `${name}: ${value}\r\n`));
    return `GET ${target} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

export function webSocketFrame(payload, opcode = 2) {
    const data = Buffer.from(payload);
    const mask = crypto.randomBytes(4);
    const head = data.length < 126 ? Buffer.from([0x80 | opcode, 0x80 | data.length])
        : data.length < 65536 ? Buffer.from([0x80 | opcode, 0xfe, data.length >> 8, data.length & 255])
        : Buffer.concat([Buffer.from([0x80 | opcode, 0xff, 0, 0, 0, 0]), Buffer.alloc(4)]);
    if (data.length >= 65536)
        head.writeUInt32BE(data.length, 6);
    return Buffer.concat([head, mask, data.map((byte, i) => byte ^ mask[i & 3])]);
}

// Takes whole frames off the front: [[opcode, payload]..., rest]. Servers do not mask.
function takeFrames(buffer) {
    const frames = [];
    for (;;) {
        let length = buffer.length < 2 ? -1 : buffer[1] & 127, at = 2;
        if (length === 126) {
            length = buffer.length < 4 ? -1 : buffer.readUInt16BE(2);
            at = 4;
        } else if (length === 127) {
            length = buffer.length < 10 ? -1 : Number(buffer.readBigUInt64BE(2));
            at = 10;
        }
        if (length < 0 || buffer.length < at + length)
            return [frames, buffer];
        frames.push([buffer[0] & 15, buffer.subarray(at, at + length)]);
        buffer = buffer.subarray(at + length);
    }
}

// Opens a websocket. `early` goes out together with the handshake. The result has: response (parsed head), and when
// its status is 101: data (bytes received), socket, send(payload), received(count), closed (promise).
export async function webSocket(t, port, target, { headers, early = Buffer.alloc(0), ms = 20000 } = {}) {
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true }).on('error', () => {});
    t.after(() => socket.destroy());
    const ws = { socket, chunks: [], length: 0, closeFrame: null };
    let rest = Buffer.alloc(0);
    socket.on('data', (chunk) => {
        rest = rest.length ? Buffer.concat([rest, chunk]) : chunk;
        if (!ws.response && rest.includes('\r\n\r\n')) {
            ws.response = parseResponse(rest);
            rest = ws.response.status === 101 ? ws.response.body : rest;
        }
        if (ws.response?.status === 101) {
            const [frames, left] = takeFrames(rest);
            rest = left;
            for (const [opcode, payload] of frames) {
                if (opcode === 8)
                    ws.closeFrame = payload;
                else
                    ws.chunks.push(payload);
                ws.length += opcode === 8 ? 0 : payload.length;
            }
        }
        socket.emit('progress');
    });
    ws.closed = new Promise((resolve) => socket.on('end', resolve).on('close', resolve));
    ws.closed.then(() => socket.emit('progress'));
    ws.send = (payload, opcode) => socket.write(webSocketFrame(payload, opcode));
    ws.received = async (count, patience = ms) => {
        await until(socket, 'progress', () => ws.length >= count, patience, `${count} bytes`);
        return Buffer.concat(ws.chunks);
    };
    socket.write(Buffer.concat([Buffer.from(webSocketHead(port, target, headers)), early]));
    await until(socket, 'progress', () => ws.response || socket.readableEnded || socket.destroyed, ms, 'handshake');
    if (ws.response && ws.response.status !== 101) {
        const whole = () => parseResponse(rest).body.length >= Number(ws.response.headers['content-length']);
        await until(socket, 'progress', () => whole() || socket.readableEnded || socket.destroyed, ms, 'the refusal');
        ws.response = parseResponse(rest);
    }
    return ws;
}
