// SPDX-License-Identifier: AGPL-3.0-or-later
// kill -9 of every part and at every moment: one `qwdctl clean` removes what is left, the history is true, and no link shows the
// desktop of another session. (All rows of the fault matrix: lib/faults.mjs)

import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { assertOnlyLocksLeft, assertShows, clean, fastQemu, historyOf, stopAll } from '../lib/faults.mjs';
import { bootDisk } from '../lib/machines.mjs';
import { freePort, webSocket } from '../lib/network.mjs';
import { isAlive, kill, outputHas, processGone, start } from '../lib/programs.mjs';
import { useService } from '../lib/service.mjs';
import { untilFiles } from '../lib/wait.mjs';

const service = useService({ machines: { 'boot.raw': '' } }, () => {
    fs.writeFileSync(service.path('service/machines/boot.raw'), bootDisk());
    for (const folder of ['plan', 'done'])
        fs.mkdirSync(service.path('home', folder), { mode: 0o777 });
    spawnLibrary();
});

// --- the supervisor, at each of its system calls ---

// The helpers' folder, where the supervisor is one that asks for a plan and is killed by strace as it says.
function spawnLibrary() {
    const library = service.path('lib'), home = service.path('home');
    fs.mkdirSync(library);
    for (const name of fs.readdirSync(service.lib).filter((file) => file !== 'qwd-session'))
        fs.symlinkSync(path.join(service.lib, name), path.join(library, name));
    fs.writeFileSync(path.join(library, 'qwd-session'), `#!/bin/sh
mkfifo ${home}/plan/$1
read -r inject <${home}/plan/$1
strace -o /dev/null --inject="$inject" ${service.lib}/qwd-session "$1"
echo $? >${home}/done/new.$1
mv ${home}/done/new.$1 ${home}/done/$1
`, { mode: 0o755 });
    for (const folder of ['plan', 'done'])
        fs.chmodSync(path.join(home, folder), 0o777);
}

// The exit code of a supervisor, once it has one.
const outcome = (id) => {
    const file = service.path('home/done', id);
    return fs.existsSync(file) ? Number(fs.readFileSync(file, 'utf8')) : null;
};

// Runs a session whose supervisor is killed at its `count`th call of `name`. Returns its id, and whether it was killed.
async function liveUntilKilled(name, count) {
    const id = await service.create({}, { ...fastQemu(service), dir_lib: service.path('lib') });
    const pipe = service.path('home/plan', id);
    await untilFiles([path.dirname(pipe)], () => fs.existsSync(pipe), 'the supervisor');
    await fs.promises.writeFile(pipe, `${name}:signal=KILL:when=${count}\n`);
    const folders = [service.path('home/done'), path.join(service.snapshots, id)];
    await untilFiles(folders, () => outcome(id) !== null || service.record(id)?.state === 'running', `start, ${name} ${count}`);
    if (outcome(id) === null) {
        await service.stop(id);
        await untilFiles(folders, () => outcome(id) !== null, `end, ${name} ${count}`);
    }
    return { id, where: `${name} ${count}`, killed: outcome(id) !== 0 };
}

async function killAtEach(name, most) {
    const lives = [];
    for (let count = 1; count <= most; count++) {
        lives.push(await liveUntilKilled(name, count));
        if (!lives.at(-1).killed)
            break;
    }
    return lives;
}

// Calls that change what others see.
const calls = { rename: 80, mkdir: 12, flock: 60, clone: 10, bind: 10, listen: 10, sendto: 10, unlink: 10, pidfd_open: 20, unlinkat: 12 };

test('one clean is enough after kill -9 of the supervisor at each system call that changes something', async (t) => {
    const lives = (await Promise.all(Object.entries(calls).map(([name, most]) => killAtEach(name, most)))).flat();
    const killed = lives.filter((life) => life.killed);
    t.diagnostic(`killed at ${killed.length} calls; left to live ${lives.length - killed.length} times`);
    assert.ok(killed.length > 50);
    await clean(service, { later: 120 });
    await assertOnlyLocksLeft(service);
    for (const { id, where, killed: wasKilled } of lives) {
        const lines = historyOf(service, id);
        assert.equal(lines.length, 1, `${where}: one line of history`);
        const [{ state, reason }] = lines;
        const wanted = state === 'ended' ? /^Stopped by / : /^It was cut off: /;
        assert.match(reason, wanted, where);
        assert.ok(wasKilled || state === 'ended', where);
        const { session } = await service.json('GET', { session: id });
        assert.equal(session.over.reason, reason, where);
    }
});

// --- the CGI, the same ---

const requests = { mkdir: 10, rename: 10, fsync: 10, flock: 10, clone: 10, clone3: 10, openat: 80, write: 20 };

async function createKilled(name, count) {
    service.cgi = ['strace', '-o', '/dev/null', `--inject=${name}:signal=KILL:when=${count}`, service.cgiProgram];
    try {
        await service.create({ machine: 'boot.raw' }, fastQemu(service));
        return false;
    } catch (error) {
        assert.equal(error.code, 'ERR_ASSERTION');
        return true;
    } finally {
        service.cgi = [service.cgiProgram];
    }
}

// Until each supervisor that a Create has left is at work or has given up: a clean that trusts what is new must not come
// between. Before it is one, such a process looks like the CGI.
async function begunOrGone() {
    const commands = Object.entries(service.processes());
    await Promise.all(commands.filter(([, command]) => command.includes(service.cgiProgram)).map(([pid]) => processGone(pid)));
    const ids = Object.values(service.processes()).map((command) => command.match(/qwd-session ([0-9a-f]{32})/)?.[1]);
    await Promise.all(service.sessions().filter((id) => ids.includes(id)).map((id) => untilFiles(
        [service.snapshots, path.join(service.snapshots, id)],
        () => !fs.existsSync(path.join(service.snapshots, id)) || service.record(id)?.state === 'running', `session ${id}`)));
}

test('one clean is enough after kill -9 of the CGI program at each system call of a Create', async (t) => {
    let killed = 0;
    await Promise.all(Object.entries(requests).map(async ([name, most]) => {
        for (let count = 1; count <= most && await createKilled(name, count); count++)
            killed++;
    }));
    t.diagnostic(`killed at ${killed} calls`);
    assert.ok(killed > 30);
    await begunOrGone();
    // Some of those have started a session without an answer. It is in its owner's list.
    const begun = service.sessions().filter((id) => service.record(id));
    const alive = begun.filter((id) => isAlive(service.process(service.record(id), 'supervisor')) || service.record(id).state === 'queued');
    assert.ok(alive.length > 0);
    const orphans = service.sessions();
    const { sessions } = await service.json('GET', { manage: '1' });
    assert.deepEqual(sessions.map(({ id }) => id).sort(), begun.sort());
    await clean(service, { later: 120 });
    await stopAll(service);
    await clean(service, { later: 120 });
    await assertOnlyLocksLeft(service);
    for (const id of orphans)
        assert.ok(historyOf(service, id).length <= 1);
});

// --- parts of a running session ---

for (const part of ['passt', 'net-filter']) {
    test(`a session goes on without a network after kill -9 of ${part}, with a note`, async () => {
        const session = await service.createRunning({ machine: 'boot.raw' }, { network: 'passt' });
        process.kill(service.process(session, part), 'SIGKILL');
        const { note } = await service.until(session.id, (record) => record.note !== '');
        assert.equal(note, 'The machine has lost its network. A new session has one again.');
        assert.equal((await service.json('GET', { session: session.id })).session.note, note);
        await assertShows(service, session.control, session.id);
        await stopAll(service, [session.id]);
        await service.assertNothingLeft(session, [session.control, session.view]);
        assert.equal(historyOf(service, session.id)[0].state, 'ended');
    });
}

test('kill -9 of QEMU in the grace of a stop ends the stop', async () => {
    const session = await service.createRunning({ machine: 'boot.raw' }, { session_stop_grace: '1h' });
    await service.stop(session.id);
    await service.state(session.id, 'stopping');
    process.kill(service.process(session, 'qemu'), 'SIGKILL');
    const past = await service.ended(session.id);
    assert.equal(past.state, 'ended');
    assert.match(past.reason, /^Stopped by /);
    await service.assertNothingLeft(session, [session.control, session.view]);
});

const websockify = (kind = '-socket') => JSON.parse(fs.readFileSync(service.path(`run/websockify${kind}.json`), 'utf8')).pid;
const childrenOf = (pid) => fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);

// A viewer in a browser; its banner is that of the gate.
async function view(t, port, token, folder = '') {
    const ws = await webSocket(t, port, `${folder}/websockify?token=${token}`);
    assert.equal(ws.response.status, 101);
    assert.equal((await ws.received(12)).toString(), 'RFB 003.008\n');
    return ws;
}

test('the other viewers and websockify go on after kill -9 of one viewer\'s process', async (t) => {
    const session = await service.createRunning({ machine: 'boot.raw' });
    const first = await view(t, service.websockify, session.control), before = websockify();
    const [child, ...others] = childrenOf(before);
    assert.equal(others.length, 0);
    const second = await view(t, service.websockify, session.control);
    await service.until(session.id, (record) => record.viewers.length === 2);
    process.kill(child, 'SIGKILL');
    await first.closed;
    await service.until(session.id, (record) => record.viewers.length === 1);
    assert.ok(!second.socket.destroyed && !second.socket.readableEnded);
    second.send('RFB 003.008\n');
    assert.ok((await second.received(14)).length >= 14, 'it is answered');
    await view(t, service.websockify, session.control);
    assert.equal(websockify(), before);
    await stopAll(service, [session.id]);
    await service.assertNothingLeft(session, [session.control, session.view]);
});

test('a killed websockify is started again when its port is free again', async (t) => {
    const session = await service.createRunning({ machine: 'boot.raw' }, { service_path: '' });
    const supervisor = service.process(session, 'supervisor'), before = websockify('');
    process.kill(supervisor, 'SIGSTOP');
    await kill(before);
    const thief = net.createServer().listen(service.port, '127.0.0.1');
    await once(thief, 'listening');
    process.kill(supervisor, 'SIGCONT');
    const line = new RegExp(`^.* ERROR .*NAME=${session.id} Port ${service.port} of 127.0.0.1 is used by another program`, 'gm');
    await untilFiles([service.path('service/log')], () => service.log().match(line), 'a line of the log');
    thief.close();
    await once(thief, 'close');
    const back = () => fs.existsSync(service.path('run/websockify.json')) && websockify('') !== before && isAlive(websockify(''));
    await untilFiles([service.path('run')], back, 'another websockify');
    await view(t, service.port, session.control);
    assert.equal(service.log().match(line).length, 1, 'logged once');
    await stopAll(service, [session.id]);
    await service.assertNothingLeft(session, [session.control, session.view]);
});

test('sessions go on after kill -9 of qwd-server, and viewers connect to the next one', async (t) => {
    const session = await service.createRunning({ machine: 'boot.raw' });
    const port = await freePort();
    const serve = async () => {
        const words = [`--config=${service.path('etc/qemu-web-desktop.conf')}`, `--port=${port}`];
        const server = start(t, path.join(service.bin, 'qwd-server'), words, { env: service.environment(), cwd: '/' });
        await outputHas(server, 'out', /http:\/\//);
        return server;
    };
    const first = await serve();
    const viewer = await view(t, port, session.control, '/darts');
    const before = websockify();
    first.kill('SIGKILL');
    await Promise.all([viewer.closed, first.ended]);
    await service.until(session.id, (record) => record.viewers.length === 0);
    const begin = Date.now(), second = await serve();
    await view(t, port, session.control, '/darts'); // at the first try
    t.diagnostic(`a viewer was back ${Date.now() - begin} ms after qwd-server was started`);
    assert.equal(websockify(), before, 'websockify had no part in it');
    assert.equal(service.record(session.id).state, 'running');
    second.kill('SIGKILL');
    await second.ended;
    await stopAll(service, [session.id]);
    await service.assertNothingLeft(session, [session.control, session.view]);
});

test('a clean starts the next session of the queue after kill -9 of a supervisor', async (t) => {
    const settings = { service_max_session_nb: '1', service_queue: 'yes' };
    const first = await service.createRunning({ machine: 'boot.raw' }, settings);
    const second = await service.create({ machine: 'boot.raw' }, settings);
    assert.equal(service.record(second).state, 'queued');
    await kill(service.process(first, 'supervisor'));
    // The service's own settings are those of a clean.
    const configuration = service.path('etc/qemu-web-desktop.conf'), before = fs.readFileSync(configuration, 'utf8');
    t.after(() => fs.writeFileSync(configuration, before));
    fs.appendFileSync(configuration, 'service_max_session_nb = 1\nservice_queue = yes\n');
    await clean(service);
    assert.match(historyOf(service, first.id)[0].reason, /^It was cut off: /);
    await service.state(second, 'running'); // its supervisor has read its settings
    fs.writeFileSync(configuration, before);
    await stopAll(service);
    await assertOnlyLocksLeft(service);
});

// --- whoever looks at a session without a supervisor ---

const cutOff = /^It was cut off: /;
const looks = {
    'its page': async ({ id }) => {
        const session = await service.sessionState(id);
        assert.deepEqual([session.state, session.ready, session.may_stop], ['failed', null, false]);
        assert.match(session.over.reason, cutOff);
    },
    'its page, for people': async ({ id }) => {
        const { text } = await service.get({ session: id });
        assert.match(text, /The session has failed/);
        assert.doesNotMatch(text, /is ready|session_stop/);
    },
    'a stop': async ({ id }) => {
        const { session } = await service.stop(id);
        assert.equal(session.state, 'failed');
    },
    'the list of sessions': async () => assert.deepEqual((await service.json('GET', { manage: '1' })).sessions, []),
    'the start page': async ({ id }) => assert.ok(!(await service.get()).text.includes(id)),
    'the monitor': async () => assert.deepEqual((await service.json('GET', { monitor: '1' })).monitor.sessions, []),
    'the link of its display': async ({ control }) => {
        const { link } = await service.json('POST', { token: control });
        assert.equal(link.state, 'failed');
        assert.match(link.over.reason, cutOff);
        assert.equal(link.end, null);
    },
    'qwdctl status': async () => assert.deepEqual(JSON.parse((await service.control('status', '--json')).out).sessions, []),
    'a new session that has no room otherwise': async ({ id }) => {
        const next = await service.create({ machine: 'boot.raw' }, { ...fastQemu(service), service_max_session_nb: '1', service_queue: 'no' });
        assert.notEqual(next, id);
        await stopAll(service, [next]);
    },
    'ten at once': ({ id }) => Promise.all(Array.from({ length: 10 }, () => service.json('GET', { session: id }))),
};

for (const [name, look] of Object.entries(looks)) {
    test(`a session whose supervisor was killed has ended for ${name}`, async () => {
        const session = await service.createRunning({ machine: 'boot.raw' }, fastQemu(service));
        const tokens = await service.tokens(session.id);
        await kill(service.process(session, 'supervisor'));
        await look({ id: session.id, ...tokens });
        const lines = historyOf(service, session.id);
        assert.deepEqual(lines.map(({ state }) => state), ['failed']);
        assert.match(lines[0].reason, cutOff);
        assert.equal(service.log().match(new RegExp(`ERROR .*NAME=${session.id} It was cut off`, 'g'))?.length, 1);
        await service.assertNothingLeft(session, [tokens.control, tokens.view]);
    });
}

test('a session that has no supervisor yet is left alone by all who look', async () => {
    const id = await service.create({}, { ...fastQemu(service), dir_lib: service.path('lib') });
    const pipe = service.path('home/plan', id);
    await untilFiles([path.dirname(pipe)], () => fs.existsSync(pipe), 'the supervisor');
    assert.equal((await service.json('GET', { session: id })).session.state, 'starting');
    assert.deepEqual((await service.json('GET', { manage: '1' })).sessions.map((one) => one.id), [id]);
    await fs.promises.writeFile(pipe, 'fsync:signal=KILL:when=9999\n');
    await service.state(id, 'running');
    await stopAll(service, [id]);
});

test('the next session of the queue starts when somebody has looked at a session whose supervisor was killed', async () => {
    const settings = { service_max_session_nb: '1', service_queue: 'yes' };
    const first = await service.createRunning({ machine: 'boot.raw' }, settings);
    const second = await service.create({ machine: 'boot.raw' }, settings);
    assert.equal(service.record(second).state, 'queued');
    await kill(service.process(first, 'supervisor'));
    await service.json('GET', { session: first.id }, settings);
    await service.state(second, 'running');
    await stopAll(service, [second]);
});

// --- everything ---

for (const [name, empties] of [['the service is killed', false], ['the server is switched off and on', true]]) {
    test(`one clean is enough when ${name}, and old links show nothing, not even of new sessions`, async (t) => {
        const owners = ['alice', 'bob', 'carol'];
        const before = await Promise.all(owners.map((user) => service.createRunning({ user, machine: 'boot.raw' })));
        await assertShows(service, before[0].control, before[0].id);
        await service.killProcesses();
        if (empties)
            for (const entry of fs.readdirSync(service.path('run')))
                fs.rmSync(service.path('run', entry), { recursive: true });
        const output = await clean(service);
        for (const { id, owner } of before) {
            assert.match(output, new RegExp(`^Ended ${id} of ${owner}: its supervisor was gone\\.$`, 'm'));
            const [{ state, reason, ended_at: ended, ...record }, ...others] = historyOf(service, id);
            assert.equal(others.length, 0);
            assert.equal(state, 'failed');
            assert.equal(reason, 'It was cut off: the server was restarted, a part of the service was killed, or its disk failed.');
            assert.ok(ended >= record.ready_at);
        }
        await assertOnlyLocksLeft(service);

        const after = await Promise.all(owners.map((user) => service.createRunning({ user, machine: 'boot.raw' })));
        for (const { control, view: watch } of before)
            for (const token of [control, watch]) {
                assert.ok(!fs.existsSync(path.join(service.display, token)));
                const ws = await webSocket(t, service.websockify, `/websockify?token=${token}`);
                assert.equal(ws.length, 0, 'there is no answer');
                assert.notEqual(ws.response?.status, 101);
            }
        for (const { control, id } of after)
            await assertShows(service, control, id);
        await stopAll(service);
        await clean(service);
        await assertOnlyLocksLeft(service);
    });
}
