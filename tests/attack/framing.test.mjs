// SPDX-License-Identifier: AGPL-3.0-or-later
// Requests on whose end two servers may not agree (RFC 9112, 11.2): qwd-server behind a proxy refuses them and closes,
// so that nothing that follows on the connection is taken for another visitor's request.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { rawHttp } from '../lib/network.mjs';
import { within } from '../lib/wait.mjs';
import { WebService, script } from '../lib/web-service.mjs';

const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n'; // 404
const form = 'Content-Type: application/x-www-form-urlencoded\r\n';

// Heads of which one server may read more, or fewer, bytes of body than another.
const unclear = {
    'a blank before the colon': ['Content-Length : 30\r\n'],
    'a tab before the colon': ['Content-Length\t: 30\r\n', 'Transfer-Encoding\t: chunked\r\n'],
    'a blank before the colon of Transfer-Encoding': ['Transfer-Encoding : chunked\r\n'],
    'a blank before the name': [' Content-Length: 30\r\n', '\tTransfer-Encoding: chunked\r\n'],
    'a folded line': ['Transfer-Encoding:\r\n chunked\r\n', 'Transfer-Encoding:\r\n\tchunked\r\n', 'Content-Length:\r\n 30\r\n', 'X-A: b\r\n Content-Length: 30\r\n',
                      'Content-Length: 3\r\n 0\r\n', 'X-A: b\r\n c\r\n d\r\n'],
    'a name that is no token': ['Content-Length\x0b: 30\r\n', 'Content Length: 30\r\n', '"Content-Length": 30\r\n', 'Content-Length\xa0: 30\r\n', '(x): 1\r\n',
                                '\x01Content-Length: 30\r\n'],
    'a line without a colon': ['Content-Length\r\n', 'X-A\r\n'],
    'an empty name': [': 30\r\n'],
    'a NUL': ['X-A: b\0c\r\n', 'X-A\0: b\r\n', 'Content-Length\0: 30\r\n', 'Content-Length: 30\0\r\n'],
    'a CR that ends no line': ['X-A: b\rContent-Length: 30\r\n', 'X-A: b\rTransfer-Encoding: chunked\r\n', 'X-A: b\r\r\n'],
    'two lengths': ['Content-Length: 5\r\nContent-Length: 30\r\n', 'Content-Length: 0\r\nContent-Length: 0\r\n', 'Content-Length: 5, 5\r\n',
                    'Content-Length: 0\r\ncontent-length: 30\r\n'],
    'a length and chunks': ['Content-Length: 30\r\nTransfer-Encoding: chunked\r\n', 'Transfer-Encoding: chunked\r\nContent-Length: 30\r\n'],
    'a length that is no number': ['Content-Length: +0\r\n', 'Content-Length: -0\r\n', 'Content-Length: 0x0\r\n', 'Content-Length: 0 0\r\n', 'Content-Length: \r\n',
                                   'Content-Length: 99999999999999999999\r\n'],
    'another encoding': ['Transfer-Encoding: gzip, chunked\r\n', 'Transfer-Encoding: xchunked\r\n', 'Transfer-Encoding: identity\r\n', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n',
                         'Transfer-Encoding: \x0bchunked\r\n', 'Transfer-Encoding: chunked;q=1\r\n', 'Transfer-Encoding: \r\n'],
    'two hosts': ['Host: evil.example\r\n', 'Host: localhost\r\n'],
    'a control character in a value': ['X-A: b\x01c\r\n', 'X-A: b\x0bContent-Length: 30\r\n', 'X-A: b\x7f\r\n'],
};

test('qwd-server', async (t) => {
    const service = await WebService.serve(t, 'qwd-server', { service_open: 'yes' });
    const send = (head, rest = smuggled) => rawHttp(service.httpPort, Buffer.from(head + rest, 'latin1'), { end: true });
    const statuses = (response) => (response.head + response.text).match(/(?<=HTTP\/1\.1 )\d{3}/g) ?? [];

    for (const [what, heads] of Object.entries(unclear))
        for (const method of ['POST', 'GET'])
            await t.test(`${method} with ${what}`, async () => {
                for (const head of heads) {
                    // Refused where the head ends, whatever the body may be: nothing of it is read as a request.
                    const response = await send(`${method} ${script} HTTP/1.1\r\nHost: localhost\r\n${form}${head}\r\n`);
                    const where = JSON.stringify(head);
                    assert.ok([400, 413].includes(response.status), `${where}: ${response.status}`);
                    // libmicrohttpd itself refuses some lengths, and writes the head of that answer twice.
                    assert.deepEqual([...new Set(statuses(response))], [String(response.status)], `${where}: what follows is answered`);
                    assert.match(response.head, /^connection: close\r?$/im, where);
                }
            });

    await t.test('the first field may be the wrong one', async () => {
        for (const head of ['Content-Length : 30\r\n', ' X: y\r\n', 'X\r\n'])
            assert.equal((await send(`GET ${script} HTTP/1.1\r\n${head}Host: localhost\r\n\r\n`)).status, 400, head);
    });

    // The library ends such lines where a proxy may not, and shows nothing of it.
    await t.test('a body in chunks', async () => {
        const chunked = `POST ${script} HTTP/1.1\r\nHost: localhost\r\n${form}Transfer-Encoding: chunked\r\n\r\n`;
        const bodies = {
            'as it should be': ['8\r\nmanage=1\r\n0\r\n\r\n', '0\r\n\r\n'],
            'a bare LF behind a size': ['8\nmanage=1\r\n0\r\n\r\n', '8\r\nmanage=1\r\n0\n\r\n', '8;x=y\nmanage=1\r\n0\r\n\r\n'],
            'a bare CR behind a size': ['8\rmanage=1\r\n0\r\n\r\n'],
            'another end of a chunk': ['8\r\nmanage=1\n0\r\n\r\n', '8\r\nmanage=1\r\r0\r\n\r\n'],
            'a trailer whose name is no token': ['8\r\nmanage=1\r\n0\r\nX A: b\r\n\r\n', '0\r\n(x): b\r\n\r\n', '0\r\nContent-Length : 30\r\n\r\n'],
            'a trailer that ends in a bare LF': ['8\r\nmanage=1\r\n0\r\nX-A: b\n\r\n', '0\r\nX-A: b\n\n'],
        };
        for (const [what, texts] of Object.entries(bodies))
            for (const text of texts) {
                const response = await send(chunked + text);
                assert.deepEqual(statuses(response), ['411'], `${what}: ${JSON.stringify(text)}`);
                assert.match(response.head, /^connection: close\r?$/im, what);
                assert.match(response.text, /Content-Length/);
            }
    });

    await t.test('a head that does not end', async () => {
        const response = await send(`GET ${script} HTTP/1.1\r\nHost: localhost\r\nX-A: ${'b'.repeat(100000)}\r\n\r\n`);
        assert.ok([431, 0].includes(response.status), response.head);
    });

    await t.test('what other servers are asked for', async () => {
        for (const target of ['http://evil.example/', '//evil.example/', 'evil.example:443', '*', '/%00', '/\x80', '/a\0b'])
            assert.ok([400, 404].includes((await send(`GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`, '')).status), target);
    });

    await t.test('requests that are clear are answered, one after the other', async () => {
        const body = 'manage=1';
        const response = await send(`GET ${script}?manage=1 HTTP/1.1\r\nHost: localhost\r\nX-A:\tb c\t\r\nX-Empty:\r\nX-Bytes: \xe9\r\n\r\n`
            + `POST ${script} HTTP/1.1\r\nHost: localhost\r\n${form}Content-Length: ${body.length}\r\n\r\n${body}`
            + `GET ${script}?manage=1 HTTP/1.1\r\nHost: localhost\r\n\r\n`);
        assert.equal(response.status, 200);
        assert.deepEqual(statuses(response), ['200', '200', '200', '404']);
    });

    await t.test('so are long ones, in however many parts they come', async () => {
        const fields = Array.from({ length: 60 }, (_, i) => `X-Field-${i}: ${'v'.repeat(i * 10)}\r\n`).join('');
        const one = `GET ${script}?manage=1 HTTP/1.1\r\nHost: localhost\r\n${fields}Cookie: a=${'c'.repeat(4000)}; b=1\r\n\r\n`;
        const socket = net.connect({ port: service.httpPort, host: '127.0.0.1', noDelay: true });
        const chunks = [];
        socket.on('data', (chunk) => chunks.push(chunk));
        for (const text of [one, one, smuggled])
            for (let at = 0; at < text.length; at += 1000)
                await new Promise((resolve) => { socket.write(text.slice(at, at + 1000), () => setImmediate(resolve)); });
        socket.end();
        await within('the answers', once(socket, 'close'));
        assert.deepEqual(Buffer.concat(chunks).toString('latin1').match(/(?<=HTTP\/1\.1 )\d{3}/g), ['200', '200', '404']);
    });
});
