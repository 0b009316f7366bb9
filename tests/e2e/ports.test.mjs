// SPDX-License-Identifier: AGPL-3.0-or-later
// The displays of a service, when other programs of the host have the ports that are written in its settings.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { freePort } from '../lib/network.mjs';
import { account, isRoot, start } from '../lib/programs.mjs';
import { WebService } from '../lib/web-service.mjs';
import { within } from '../lib/wait.mjs';

async function occupy(t, port) {
    const server = net.createServer((socket) => socket.destroy()).listen(port, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
}

// The name of the desktop that a new session of the service shows.
async function openNewDisplay(t, service) {
    const id = await service.create();
    const { ready } = await service.ready(id);
    const ws = await service.openDisplay(t, ready.url);
    assert.equal(ws.response?.status, 101);
    assert.equal(await service.displayName(ws), `QEMU (qwd-${id})`);
    ws.socket.destroy();
    return id;
}

for (const face of ['qwd-server', 'apache']) {
    test(`${face}: neither a foreign program at service_port nor a second service is in the way`, async (t) => {
        const service_port = await freePort();
        await occupy(t, service_port);
        const first = await WebService.serve(t, face, { service_port });
        const second = await WebService.serve(t, face, { service_port });
        const sessions = [];
        for (const service of [first, second, first])
            sessions.push([service, await openNewDisplay(t, service)]);
        assert.deepEqual([...first.listeners(), ...second.listeners()], [], 'neither sessions nor websockify listen on a port');
        for (const [service, id] of sessions)
            await service.stop(id);
        for (const [service, id] of sessions)
            await service.assertNothingLeft(id);
    });
}

test('other accounts of the host cannot use the socket', { skip: isRoot ? false : 'needs root' }, async (t) => {
    const service = await WebService.serve(t, 'qwd-server');
    const id = await openNewDisplay(t, service);
    const connect = async (...as) => {
        const code = `require('net').connect(${JSON.stringify(service.websockify)}).on('connect', () => process.exit(0))` +
            `.on('error', (error) => { console.error(error.code); process.exit(1); })`;
        const child = start(t, 'setpriv', [...as, '--clear-groups', '--', process.execPath, '-e', code], { env: { PATH: process.env.PATH } });
        await within('an answer of the socket', child.ended);
        return [child.exitCode, child.err.trim()];
    };
    assert.deepEqual(await connect('--reuid=65534', '--regid=65534'), [1, 'EACCES']);
    assert.deepEqual(await connect(`--reuid=${account}`, '--regid=65534'), [0, '']);
    await service.stop(id);
    await service.assertNothingLeft(id);
});

test('with direct links, doctor says that another program has the port', async (t) => {
    const service_port = await freePort();
    const service = await WebService.serve(t, 'qwd-server', { service_port, service_path: '' });
    const findings = async () => JSON.parse((await service.control('doctor', '--json')).out)
        .filter(({ part, text }) => part === 'display' && text.includes(`${service_port}`)).map(({ level }) => level);
    assert.deepEqual(await findings(), ['ok']);
    const id = await openNewDisplay(t, service);
    assert.deepEqual(await findings(), ['ok'], 'it is our own websockify');
    await service.stop(id);
    await service.assertNothingLeft(id);
    await occupy(t, service_port);
    assert.deepEqual(await findings(), ['broken']);
});
