// SPDX-License-Identifier: AGPL-3.0-or-later
// A session from its creation to its end, whatever ends it. The guest is a boot sector, which ignores the power button and rests
// between two ticks of its clock.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { bootDisk } from '../lib/machines.mjs';
import { webSocket } from '../lib/network.mjs';
import { isAlive, processGone } from '../lib/programs.mjs';
import { useService } from '../lib/service.mjs';
import { untilFiles, within } from '../lib/wait.mjs';

const service = useService({ settings: { machine: 'boot.raw' }, machines: { 'boot.raw': '' } },
                           () => fs.writeFileSync(service.path('service/machines/boot.raw'), bootDisk()));

test('a session is created, runs and is stopped; its record has each step, and only a line of the history is left', async () => {
    const id = await service.create({ user: 'alice', cpu: '1', memory: '48M' });
    assert.match(id, /^[0-9a-f]{32}$/);
    const record = await service.state(id, 'running');
    assert.equal(record.owner, 'alice');
    assert.equal(record.remote_host, '127.0.0.1');
    assert.equal(record.accelerator, 'tcg');
    assert.equal(record.plan.machine, 'boot.raw');
    assert.equal(record.plan.memory_mib, 48);
    assert.ok(record.ready_at >= record.started_at && record.started_at >= record.created_at);
    assert.deepEqual(Object.keys(record.steps),
                     ['prepare', 'accelerator', 'disk', 'network', 'folders', 'script', 'starting', 'display']);
    for (const { name, pid } of record.processes)
        assert.ok(isAlive(pid), `${name} runs`);

    const tokens = await service.tokens(id);
    const text = fs.readFileSync(path.join(service.snapshots, id, 'session.json'), 'utf8');
    for (const token of [tokens.control, tokens.view]) {
        assert.match(token, /^[0-9a-f]{32}$/);
        assert.ok(fs.existsSync(path.join(service.display, token)));
        assert.ok(!text.includes(token), 'the record has no token');
    }
    assert.equal(fs.statSync(service.display).mode & 0o777, 0o700);
    assert.equal(fs.statSync(service.path('run', id)).mode & 0o777, 0o700);

    assert.equal((await service.stop(id)).status, 200);
    const past = await service.ended(id);
    assert.equal(past.state, 'ended');
    assert.match(past.reason, /^Stopped by /);
    await service.assertNothingLeft(record, [tokens.control, tokens.view]);

    const page = await service.get({ session: id });
    assert.equal(page.status, 200);
    assert.match(page.text, /Stopped by /);
    const when = '\\[\\w{3} \\w{3} [ \\d]\\d \\d\\d:\\d\\d:\\d\\d \\d{4}\\]';
    const what = `CPU=1 MEM=48 GPU= USER=alice VM=boot.raw NAME=${id}`;
    assert.match(service.log(), new RegExp(`^${when} START ${what}$`, 'm'));
    assert.match(service.log(), new RegExp(`^${when} STOP  ${what} Stopped by `, 'm'));
});

test('a session has a display of its own, and its record has the viewers', async () => {
    const session = await service.createRunning();
    const first = await service.rfb(session.control);
    assert.equal(first.name, `QEMU (qwd-${session.id})`);
    assert.ok(first.width >= 640);
    const second = await service.rfb(session.view);
    assert.equal(second.name, first.name);
    await service.until(session.id, (record) => record.viewers.length === 2);
    first.socket.destroy();
    await service.until(session.id, (record) => record.viewers.length === 1 && record.viewers[0].role === 'view');
    await service.stop(session.id);
    await service.ended(session.id);
    await within('the viewer is disconnected', second.socket.destroyed || once(second.socket, 'close'));
});

test('a one-shot session goes on when its viewer reconnects', async () => {
    const session = await service.createRunning({ oneshot: 'oneshot' }, { oneshot_left_stop: '1h' });
    const first = await service.rfb(session.control);
    await service.until(session.id, (record) => record.viewers.length === 1);
    first.socket.destroy();
    await service.until(session.id, (record) => record.viewers.length === 0);
    const again = await service.rfb(session.control);
    await service.until(session.id, (record) => record.viewers.length === 1 && record.state === 'running');
    again.socket.destroy();
    await service.stop(session.id);
    await service.ended(session.id);
});

test('a one-shot session ends when its viewer leaves and does not reconnect', async () => {
    const session = await service.createRunning({ oneshot: 'oneshot' });
    assert.equal(session.plan.oneshot, true);
    const viewer = await service.rfb(session.control);
    await service.until(session.id, (record) => record.viewers.length === 1);
    viewer.socket.destroy();
    const past = await service.ended(session.id);
    assert.equal(past.state, 'ended');
    assert.equal(past.reason, 'Its viewer left, and it was a one-shot session.');
    await service.assertNothingLeft(session, [session.control]);
});

test('a guest that ignores the power button is switched off after the grace', async () => {
    const [short, long] = await Promise.all(['2s', '1h'].map((grace) => service.createRunning({}, { session_stop_grace: grace })));
    await service.stop(long.id);
    const begin = Date.now();
    await service.stop(short.id);
    const past = await service.ended(short.id);
    assert.ok(Date.now() - begin >= 1900, 'not before its grace is over');
    assert.equal(past.state, 'ended');
    await service.assertNothingLeft(short);
    const { state } = await service.until(long.id, (record) => record.state !== 'running');
    assert.equal(state, 'stopping', 'a longer grace is longer');
    assert.ok(isAlive(service.process(long, 'qemu')));
    await service.kill(long, 'qemu');
    await service.ended(long.id);
});

test('SIGTERM to the supervisor ends the session', async () => {
    const session = await service.createRunning();
    process.kill(service.process(session, 'supervisor'), 'SIGTERM');
    const past = await service.ended(session.id);
    assert.equal(past.state, 'ended');
    assert.equal(past.reason, 'The server ended it.');
    await service.assertNothingLeft(session, [session.control, session.view]);
});

test('a session that is stopped before its supervisor runs starts no machine', async () => {
    // The supervisor of this session waits for the pipe.
    const pipe = service.path('gate');
    await service.run(['mkfifo', '-m', '666', pipe], { asRoot: true });
    fs.mkdirSync(service.path('lib'));
    fs.writeFileSync(service.path('lib/qwd-session'), `#!/bin/sh\nread -r _ < ${pipe}\nexec ${service.lib}/qwd-session "$@"\n`,
                     { mode: 0o755 });
    const id = await service.create({}, { dir_lib: service.path('lib') });
    assert.equal(service.record(id).state, 'starting');
    const page = await service.get({ session: id });
    assert.match(page.text, /Preparing the disk/);
    const answer = await service.stop(id);
    assert.equal(answer.status, 200);
    fs.writeFileSync(pipe, 'go\n');
    const past = await service.ended(id);
    assert.equal(past.state, 'ended');
    assert.match(past.reason, /^Stopped by /);
    assert.deepEqual(past.steps, {});
    await service.assertNothingLeft({ id, processes: [] });
});

test('a session fails when QEMU is killed, and its page has the reason', async () => {
    const session = await service.createRunning();
    process.kill(service.process(session, 'qemu'), 'SIGKILL');
    const past = await service.ended(session.id);
    assert.equal(past.state, 'failed');
    assert.equal(past.reason, 'The machine ended unexpectedly. It ended without a word.');
    await service.assertNothingLeft(session, [session.control, session.view]);
    assert.equal((await service.sessionState(session.id)).state, 'failed');
    assert.match((await service.get({ session: session.id })).text, /The machine ended unexpectedly/);
    assert.match(service.log(), new RegExp(`ERROR CPU=1 MEM=64 .*NAME=${session.id} The machine ended unexpectedly`));
});

test('the machine ends with its killed supervisor, and qwdctl clean removes the rest', async () => {
    const session = await service.createRunning();
    const other = await service.createRunning();
    await service.kill(session, 'supervisor');
    await processGone(service.process(session, 'qemu'));
    const clean = await service.control('clean');
    assert.equal(clean.code, 0, clean.err);
    assert.match(clean.out, new RegExp(`Ended ${session.id}`));
    await service.assertNothingLeft(session, [session.control, session.view]);
    assert.equal(service.history(session.id).state, 'failed');
    assert.match((await service.get({ session: session.id })).text, /It was cut off/);
    assert.equal((await service.rfb(other.control)).name, `QEMU (qwd-${other.id})`, 'the other session goes on');
    await service.stop(other.id);
    await service.ended(other.id);
});

test('a killed websockify is started again, and displays can be reached', async (t) => {
    const session = await service.createRunning();
    const file = service.path('run/websockify-socket.json');
    const running = () => JSON.parse(fs.readFileSync(file, 'utf8')).pid;
    const banner = async () => {
        const ws = await webSocket(t, service.websockify, `/websockify?token=${session.control}`);
        assert.equal(ws.response.status, 101);
        assert.equal((await ws.received(12)).toString(), 'RFB 003.008\n');
        ws.socket.destroy();
    };
    await banner();
    const before = running();
    process.kill(before, 'SIGKILL');
    await untilFiles([service.path('run')], () => running() !== before && isAlive(running()), 'another websockify');
    await banner();
    await service.stop(session.id);
    await service.ended(session.id);
});

test('a life-time is extended up to the longest one, and no further', async () => {
    const session = await service.createRunning({ snapshot_lifetime: '3d' });
    assert.equal((await service.json('POST', { session_extend: session.id })).status, 200);
    const { ends_at: end } = service.record(session.id), longest = 4 * 86400;
    assert.ok(end >= session.created_at + longest && end <= Date.now() / 1000 + longest);
    const answer = await service.json('POST', { session_extend: session.id });
    assert.equal(answer.status, 409);
    assert.match(answer.error.message, /longest life-time/);
    await service.stop(session.id);
    await service.ended(session.id);
});
