// SPDX-License-Identifier: AGPL-3.0-or-later
// RFB, as far as the name of the desktop (RFC 6143, section 7).

import assert from 'node:assert/strict';
import { until } from './wait.mjs';

const rfbReaders = new WeakMap();

// Takes `length` bytes off a socket.
function take(socket, length) {
    if (!rfbReaders.has(socket)) {
        const reader = { data: Buffer.alloc(0), closed: false };
        rfbReaders.set(socket, reader);
        socket.on('data', (chunk) => {
            reader.data = Buffer.concat([reader.data, chunk]);
            socket.emit('bytes');
        }).on('close', () => {
            reader.closed = true;
            socket.emit('bytes');
        }).on('error', () => {});
    }
    const reader = rfbReaders.get(socket);
    const ready = () => reader.closed || reader.data.length >= length;
    return until(socket, 'bytes', ready, `${length} bytes of RFB`).then(() => {
        assert.ok(reader.data.length >= length, 'the display closed the connection');
        const taken = reader.data.subarray(0, length);
        reader.data = reader.data.subarray(length);
        return taken;
    });
}

// Shakes hands over anything that is written and emits data. Returns the desktop's name and size.
export async function rfbHandshake(socket) {
    assert.equal((await take(socket, 12)).toString(), 'RFB 003.008\n');
    socket.write('RFB 003.008\n');
    const [count] = await take(socket, 1);
    assert.ok([...await take(socket, count)].includes(1), 'no password is asked for');
    socket.write(Buffer.from([1]));
    assert.deepEqual([...await take(socket, 4)], [0, 0, 0, 0]);
    socket.write(Buffer.from([1])); // shared
    const init = await take(socket, 24);
    const name = (await take(socket, init.readUInt32BE(20))).toString();
    return { name, width: init.readUInt16BE(0), height: init.readUInt16BE(2) };
}
