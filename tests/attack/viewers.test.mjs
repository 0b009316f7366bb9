// SPDX-License-Identifier: AGPL-3.0-or-later
// Viewers who stay although they were told to go, and viewers who come in although nobody can tell who they are.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { sh } from '../lib/files.mjs';
import { Browser, LoginService } from '../lib/login-service.mjs';
import { webSocket } from '../lib/network.mjs';
import { asAccount } from '../lib/programs.mjs';
import { within } from '../lib/wait.mjs';

const service = new LoginService();
const setup = {};
before(async () => {
    await service.start();
    setup.alice = await new Browser(service).login('alice');
    setup.session = await setup.alice.createRunning();
    const links = (await setup.alice.sharing(setup.session.id)).links;
    setup.token = new URL(links.find((link) => link.is_own).url).searchParams.get('path').match(/token=([0-9a-f]{32})$/)[1];
});
after(() => service.end());

const gone = (socket) => within('a viewer is disconnected', socket.destroyed || once(socket, 'close'));

test('viewers who are disconnected one quickly after the other are all disconnected', async () => {
    const { alice, session: { id }, token } = setup;
    const sockets = [];
    for (let i = 0; i < 4; i++) {
        sockets.push((await service.rfb(token)).socket);
        await service.until(id, ({ viewers }) => viewers.length === i + 1);
    }
    const supervisor = service.process(service.record(id), 'supervisor');
    const [stays, ...leave] = service.record(id).viewers.sort((a, b) => a.serial - b.serial);
    process.kill(supervisor, 'SIGSTOP'); // all requests are there before it sees the first
    try {
        for (const { serial } of leave)
            assert.equal((await alice.submit({ session: id, viewer_disconnect: String(serial) })).status, 303);
    } finally {
        process.kill(supervisor, 'SIGCONT');
    }
    await Promise.all(sockets.slice(1).map(gone));
    await service.until(id, ({ viewers }) => viewers.length === 1 && viewers[0].serial === stays.serial);
    assert.ok(!sockets[0].destroyed);
    sockets[0].destroy();
    await service.until(id, ({ viewers }) => viewers.length === 0);
});

test('who cannot be told is not let in', async (t) => {
    const { token } = setup;
    const open = (headers) => webSocket(t, service.websockify, `/websockify?token=${token}`, { headers });
    const own = await open({ Origin: 'http://localhost' });
    assert.equal((await own.received(12)).toString(), 'RFB 003.008\n');
    own.socket.destroy();

    // websockify's note of it is longer than the supervisor reads
    const long = await open({ Origin: 'http://evil.example', 'X-Forwarded-Host': 'a'.repeat(20000) });
    assert.equal(long.response?.status, 101);
    await within('the end of the connection', long.closed);
    assert.equal(long.length, 0, 'not one byte of the display');
});

// Connects as websockify's processes do, with what its plug-in has noted; says what it gets.
const noted = `
import os, socket, sys
note = os.memfd_create('qwd-viewer')
os.write(note, sys.argv[2].encode())
viewer = socket.socket(socket.AF_UNIX)
viewer.connect(sys.argv[1])
print(viewer.recv(12))
`;

test('a note that cannot be read lets nobody in', async () => {
    const socket = service.path('run/display', setup.token);
    const got = (note) => sh(...asAccount, '/usr/bin/python3', '-c', noted, socket, note);
    for (const note of ['{', '', '[]', 'x'.repeat(20000)])
        assert.equal(got(note), "b''\n", note.slice(0, 10));
    assert.equal(got('{}'), "b'RFB 003.008\\n'\n");
    assert.match(service.log(), /ERROR .*(note|JSON|line)/);
});

test('a viewer whose message has no end is disconnected, and the log says why', async (t) => {
    const { alice, session: { id }, token } = setup;
    const open = () => webSocket(t, service.websockify, `/websockify?token=${token}`, { headers: { Origin: 'http://localhost' } });
    const endless = await open();
    await endless.received(12);
    endless.socket.write(Buffer.concat([Buffer.from([0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4]), Buffer.alloc(100000)]));
    await within('the end of an endless frame', endless.closed);
    assert.equal(endless.closeFrame?.readUInt16BE(0), 1009);
    await service.logged(/ERROR .*A viewer at 127\.0\.0\.1 was disconnected: A message has more than 4 MB\./);

    const { socket } = await service.rfb(token); // which has shaken hands
    socket.write(Buffer.from([6, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff]));
    await gone(socket);
    await service.logged(/ERROR .*was disconnected: It sent a clipboard of more than 4 MB\./);
    await service.until(id, ({ viewers }) => viewers.length === 0);
    assert.equal((await alice.get({ manage: '1' })).status, 200);
});
