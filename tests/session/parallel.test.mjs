// SPDX-License-Identifier: AGPL-3.0-or-later
// Many sessions at once: each has a machine of its own, and a user sees the own sessions alone.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { bootDisk } from '../lib/machines.mjs';
import { webSocket } from '../lib/network.mjs';
import { rfbHandshake } from '../lib/rfb.mjs';
import { useService } from '../lib/service.mjs';

const sessionCount = 10;
const service = useService({ machines: { 'boot.raw': '' } }, () => {
    fs.writeFileSync(service.path('service/machines/boot.raw'), bootDisk());
});

// A websocket with the interface of a socket, for the RFB handshake.
async function throughWebsockify(t, token) {
    const ws = await webSocket(t, service.websockify, `/websockify?token=${token}`);
    assert.equal(ws.response.status, 101);
    let seen = 0;
    const listeners = [];
    const pass = () => {
        const data = Buffer.concat(ws.chunks).subarray(seen);
        seen += data.length;
        if (data.length)
            listeners.forEach((listener) => listener(data));
    };
    ws.socket.on('progress', pass);
    const socket = {
        on: (name, listener) => {
            if (name === 'data') {
                listeners.push(listener);
                setImmediate(pass);
            } else {
                ws.socket.on(name, listener);
            }
            return socket;
        },
        off: (name, listener) => ws.socket.off(name, listener),
        emit: (...what) => ws.socket.emit(...what),
        write: (data) => ws.send(data),
    };
    return socket;
}

test(`${sessionCount} sessions created at once: ${sessionCount} machines, and each link shows its own`, async (t) => {
    const requests = Array.from({ length: sessionCount }, (_, i) => ({ user: `user${i}`, machine: 'boot.raw', memory: '32M' }));
    const begin = Date.now();
    const sessions = await Promise.all(requests.map((fields) => service.createRunning(fields)));
    t.diagnostic(`all run after ${Date.now() - begin} ms`);
    assert.equal(new Set(sessions.map((session) => session.id)).size, sessionCount);
    assert.equal(new Set(sessions.flatMap((session) => [session.control, session.view])).size, 2 * sessionCount);
    assert.equal(new Set(sessions.map((session) => service.process(session, 'qemu'))).size, sessionCount);
    assert.deepEqual(sessions.map((session) => session.owner), requests.map(({ user }) => user));

    for (const session of sessions) {
        const direct = await service.rfb(session.control);
        assert.equal(direct.name, `QEMU (qwd-${session.id})`);
        direct.socket.destroy();
        const { name } = await rfbHandshake(await throughWebsockify(t, session.control));
        assert.equal(name, `QEMU (qwd-${session.id})`);
    }

    assert.deepEqual(service.listeners(), [], 'neither sessions nor websockify listen on a port');

    const { sessions: listed } = await service.json('GET', { manage: '1', user: 'user3' });
    assert.deepEqual(listed.map((session) => session.id), [sessions[3].id], 'a user sees the own sessions');

    await Promise.all(sessions.map((session) => service.stop(session.id)));
    await Promise.all(sessions.map((session) => service.ended(session.id)));
    for (const session of sessions)
        await service.assertNothingLeft(session, [session.control, session.view]);
    await service.assertAllGone();
});

test('websockify serves sessions that start while others end', async () => {
    for (let round = 0; round < 4; round++) {
        const coming = [service.createRunning({ machine: 'boot.raw' }), service.createRunning({ machine: 'boot.raw' })];
        const [first, second] = await Promise.all(coming);
        await Promise.all([service.stop(first.id), service.createRunning({ machine: 'boot.raw' }).then(async (third) => {
            assert.equal((await service.rfb(third.control)).name, `QEMU (qwd-${third.id})`);
            assert.deepEqual(service.listeners(), []);
            await service.stop(third.id);
            await service.ended(third.id);
        })]);
        await service.stop(second.id);
        await Promise.all([service.ended(first.id), service.ended(second.id)]);
    }
    await service.assertAllGone();
});
