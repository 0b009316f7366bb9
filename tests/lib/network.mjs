// SPDX-License-Identifier: AGPL-3.0-or-later
// Ports, servers of a test, raw HTTP, and a websocket client that can misbehave.

import crypto from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { until, within } from './wait.mjs';

let nextPort = 20000 + crypto.randomInt(5000);

// A port of 127.0.0.1 for a server that starts later. It is below those that the kernel hands out (ip(7)). Each file of
// tests has a network of its own, so that nobody else takes it.
export async function freePort() {
    for (;;) {
        const server = net.createServer();
        try {
            server.listen(nextPort++, '127.0.0.1');
            await once(server, 'listening');
        } catch {
            continue;
        }
        const { port } = server.address();
        await new Promise((resolve) => server.close(resolve));
        return port;
    }
}

// A server of the test's own, on a port of 127.0.0.1 or on a path that every account can use, ended with the test.
export async function listen(t, where, onConnection) {
    const sockets = new Set();
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
        sockets.add(socket.on('error', () => {}).on('close', () => sockets.delete(socket)));
        onConnection(socket);
    });
    server.listen(typeof where === 'number' ? { port: where, host: '127.0.0.1' } : { path: where, readableAll: true, writableAll: true });
    await once(server, 'listening');
    t.after(() => {
        sockets.forEach((socket) => socket.destroy());
        server.close();
    });
    return server;
}

const clientPorts = new Map();

// The client's port of a connection that this process holds as long as it lives, from an address of the loopback
// interface to itself. A program that is called as a CGI program finds its browser there. 0 for other addresses.
export function clientPort(address = '127.0.0.1') {
    const host = /^(::ffff:)?(127(\.\d+){3})$/.exec(address)?.[2] ?? (address === '::1' ? address : null);
    if (!clientPorts.has(host))
        clientPorts.set(host, host ? holdConnection(host) : Promise.resolve(0));
    return clientPorts.get(host);
}

async function holdConnection(host) {
    const server = net.createServer((socket) => socket.unref().on('error', () => {})).listen(0, host).unref();
    await once(server, 'listening');
    const client = net.connect({ port: server.address().port, host, localAddress: host }).unref().on('error', () => {});
    await once(client, 'connect');
    return client.localPort;
}

// --- HTTP, byte by byte ---

// Sends the text as it is and reads until the server closes. Half-closing after the request says that no more comes.
export async function rawHttp(port, text, { host = '127.0.0.1', end = false } = {}) {
    const socket = net.connect({ port, host, allowHalfOpen: true });
    const chunks = [];
    socket.on('data', (chunk) => chunks.push(chunk)).on('error', () => {});
    socket.write(text);
    if (end)
        socket.end();
    try {
        await within('end of the answer', new Promise((resolve) => socket.on('end', resolve).on('close', resolve)));
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
export const http = (port, method, target, { headers = {}, body = '' } = {}) => {
    const all = { Host: `127.0.0.1:${port}`, Connection: 'close', ...headers };
    if (body.length > 0 && !all['Content-Length'])
        all['Content-Length'] = Buffer.byteLength(body);
    const lines = Object.entries(all).flatMap(([name, value]) =>
        value === undefined ? [] : [value].flat().map((one) => `${name}: ${one}\r\n`));
    return rawHttp(port, Buffer.concat([Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n`),
                                        Buffer.from(body)]));
};

// --- websocket (RFC 6455) ---

export function webSocketHead(port, target, headers = {}) {
    const all = {
        Host: typeof port === 'number' ? `127.0.0.1:${port}` : 'localhost',
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

// Opens a websocket to a port, or to the path of a UNIX socket. `early` goes out together with the handshake. The result has: response (parsed head), and when
// its status is 101: data (bytes received), socket, send(payload), received(count), closed (promise).
export async function webSocket(t, port, target, { headers, early = Buffer.alloc(0) } = {}) {
    const where = typeof port === 'number' ? { port, host: '127.0.0.1' } : { path: port };
    const socket = net.connect({ ...where, allowHalfOpen: true }).on('error', () => {});
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
    ws.received = async (count) => {
        await until(socket, 'progress', () => ws.length >= count, `${count} bytes`);
        return Buffer.concat(ws.chunks);
    };
    socket.write(Buffer.concat([Buffer.from(webSocketHead(port, target, headers)), early]));
    await until(socket, 'progress', () => ws.response || socket.readableEnded || socket.destroyed, 'handshake');
    if (ws.response && ws.response.status !== 101) {
        const whole = () => parseResponse(rest).body.length >= Number(ws.response.headers['content-length']);
        await until(socket, 'progress', () => whole() || socket.readableEnded || socket.destroyed, 'the refusal');
        ws.response = parseResponse(rest);
    }
    return ws;
}
