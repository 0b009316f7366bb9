// SPDX-License-Identifier: AGPL-3.0-or-later
// Sessions with a physical GPU, on machines of tests/fixtures/sysfs: which sessions have it, and the messages of the others. A
// program that only answers stands in for QEMU, since the GPU is not there.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { top } from '../lib/files.mjs';
import { isRoot } from '../lib/programs.mjs';
import { useService } from '../lib/service.mjs';
import { makeSysfs } from '../lib/sysfs.mjs';

// Writes down how it was called, greets, answers, and ends when it is asked to.
const wellBehavedQemu = `#!/usr/bin/python3
import json, os, socket, sys
name = sys.argv[sys.argv.index('-name') + 1].split(',')[0][4:]
with open(os.path.join(os.path.dirname(sys.argv[0]), '../notes', name), 'w') as notes:
    json.dump(sys.argv[1:], notes)
vnc = next(word for word in sys.argv if word.startswith('unix:')).split(',')[0][5:]
display = socket.socket(socket.AF_UNIX)
display.bind(vnc)
display.listen()
monitor = socket.socket(fileno=3)
def say(message): monitor.sendall(json.dumps(message).encode() + b'\\r\\n')
say({'QMP': {'version': {}, 'capabilities': []}})
for line in monitor.makefile():
    command = json.loads(line)
    say({'return': {}, 'id': command['id']})
    if command['execute'] == 'quit':
        break
`;

let machine = 'nvidia';
const roots = {};
const service = useService({ machines: { 'no-gpu.iso': 'gpu = no', 'old.iso': 'disk = ide' } }, () => {
    for (const name of ['no-gpu.iso', 'old.iso'])
        fs.copyFileSync(service.path('service/machines/echo.iso'), service.path('service/machines', name));
    fs.mkdirSync(service.path('notes'));
    fs.chmodSync(service.path('notes'), 0o777);
    service.shim('qemu', wellBehavedQemu);
    compileLimits();
    const plain = service.environment.bind(service);
    service.environment = (more = {}) => plain({ QWD_SYSROOT: rootOf(machine), ...more });
});

// Only root may raise the limit of locked memory, and not everywhere. A library shows supervisors another limit.
function compileLimits() {
    const source = path.join(top, 'tests/session/memlock.c');
    const made = spawnSync('gcc', ['-shared', '-fPIC', '-O1', '-o', service.path('memlock.so'), source], { encoding: 'utf8' });
    assert.equal(made.status, 0, made.stderr);
}

// A dir_lib whose supervisors may lock that much.
function libWith(limit) {
    const folder = service.path(`lib-${limit}`);
    if (!fs.existsSync(folder)) {
        fs.mkdirSync(folder);
        for (const name of fs.readdirSync(service.lib).filter((file) => file !== 'qwd-session'))
            fs.symlinkSync(path.join(service.lib, name), path.join(folder, name));
        const script = `#!/bin/sh\nexport LD_PRELOAD=${service.path('memlock.so')} FAKE_MEMLOCK_MIB=${limit}\n`
            + `exec ${service.lib}/qwd-session "$@"\n`;
        fs.writeFileSync(path.join(folder, 'qwd-session'), script, { mode: 0o755 });
    }
    return folder;
}

function rootOf(name) {
    if (!roots[name]) {
        fs.mkdirSync(service.path('machine', name), { recursive: true });
        roots[name] = makeSysfs(service.path('machine', name), name);
    }
    return roots[name];
}

const settings = (more = {}) => ({ qemu_exec: service.path('shim/qemu'), dir_lib: libWith(4096), ...more });

// Creates a session, with a GPU unless the fields say otherwise. Returns the answer.
const ask = (fields = {}, more = {}) => service.json('POST', { create: 'Create', gpu: 'gpu', ...fields }, settings(more));

async function stopAll() {
    for (const id of service.sessions()) {
        await service.stop(id);
        await service.ended(id);
    }
    await service.assertAllGone();
}

const vfioOf = (id) => JSON.parse(fs.readFileSync(service.path('notes', id), 'utf8'))
    .filter((word) => word.includes('"vfio-pci"')).map((word) => JSON.parse(word));

// --- one session ---

test('the GPU of a session is in its record, in QEMU\'s arguments, on its page, in the log and in qwdctl', async () => {
    machine = 'nvidia';
    const answer = await ask({ user: 'alice' });
    assert.equal(answer.status, 200, JSON.stringify(answer));
    const { id } = answer.session;
    const record = await service.state(id, 'running');
    const name = 'NVIDIA Corporation TU104 [GeForce RTX 2070 SUPER]';
    assert.equal(record.plan.gpu_name, name);
    assert.equal(record.plan.gpu_devices, '0000:01:00.0 0000:01:00.1 0000:01:00.2 0000:01:00.3');
    assert.deepEqual(vfioOf(id), [0, 1, 2, 3].map((i) => ({
        driver: 'vfio-pci', host: `0000:01:00.${i}`, bus: 'gpu0', addr: `0.${i}`, ...(i ? {} : { multifunction: true }),
    })));
    assert.equal((await service.json('GET', { session: id })).session.gpu, name);
    assert.match((await service.get({ session: id })).text, /<dt>GPU<\/dt><dd>NVIDIA Corporation TU104 \[GeForce/);
    await service.logged(new RegExp(`START CPU=1 MEM=64 GPU=0000:01:00.0 USER=alice VM=echo.iso NAME=${id}`));
    const [gpu] = JSON.parse((await service.run([service.qwdctl, 'gpu', '--json'])).out);
    assert.deepEqual(gpu.session, { id, owner: 'alice' });
    assert.match((await service.run([service.qwdctl, 'status'])).out, /\| 01:00.0 \| running/);
    await stopAll();
    assert.match(service.log(), new RegExp(`STOP {2}CPU=1 MEM=64 GPU=0000:01:00.0 USER=alice VM=echo.iso NAME=${id}`));
});

test('a session has a mediated device as its GPU', async () => {
    machine = 'mediated';
    const { session } = await ask();
    const record = await service.state(session.id, 'running');
    assert.equal(record.plan.gpu_name, 'NVIDIA Corporation TU104GL [Tesla T4], GRID T4-1B');
    assert.deepEqual(vfioOf(session.id), [{
        driver: 'vfio-pci', sysfsdev: '/sys/bus/mdev/devices/11111111-2222-4333-8444-555555555501', bus: 'gpu0', addr: '0.0',
    }]);
    await stopAll();
});

test('a session that asks for no GPU has none', async () => {
    machine = 'nvidia';
    const answer = await service.json('POST', { create: 'Create' }, settings());
    const record = await service.state(answer.session.id, 'running');
    assert.equal(record.plan.gpu_devices, '');
    assert.deepEqual(vfioOf(record.id), []);
    assert.equal((await service.json('GET', { session: record.id })).session.gpu, null);
    await stopAll();
});

// --- many ---

for (const [name, count] of [['nvidia', 1], ['twins', 2], ['virtual-functions', 2]]) {
    test(`${count} of 20 requests at once on the machine "${name}" have a GPU each`, async () => {
        machine = name;
        const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => ask({ user: `user${i}` })));
        const created = answers.filter(({ status }) => status === 200);
        assert.equal(created.length, count);
        for (const { status, error } of answers.filter((answer) => answer.status !== 200)) {
            assert.equal(status, 429);
            assert.match(JSON.stringify(error), /No GPU is free: sessions use (the only one|all of them)\. The next one is due to end at /);
        }
        const records = await Promise.all(created.map(({ session }) => service.state(session.id, 'running')));
        assert.equal(new Set(records.map(({ plan }) => plan.gpu_devices)).size, count);
        assert.equal(service.sessions().length, count, 'a refused request leaves nothing');
        await stopAll();
        const again = await ask({ user: 'next' });
        assert.equal(again.status, 200, 'free again');
        await service.state(again.session.id, 'running');
        await stopAll();
    });
}

test('a user has at most service_max_gpu_nb_per_user GPUs', async () => {
    machine = 'twins';
    const limit = { service_max_gpu_nb_per_user: 1 };
    const first = await ask({ user: 'alice' }, limit);
    assert.equal(first.status, 200);
    const second = await ask({ user: 'alice' }, limit);
    assert.equal(second.status, 429);
    assert.match(JSON.stringify(second.error), /GPUs for one user: 1 at once; you have 1\. .* Stopping a session of yours makes room\./);
    assert.equal((await ask({ user: 'bob' }, limit)).status, 200);
    await Promise.all(service.sessions().map((id) => service.state(id, 'running')));
    await stopAll();
});

test('a session waits for a GPU in the queue, and sessions without one do not wait for it', async () => {
    machine = 'nvidia';
    const queue = { service_queue: 'yes' };
    const first = (await ask({ user: 'alice' }, queue)).session.id;
    await service.state(first, 'running');
    const second = (await ask({ user: 'bob' }, queue)).session.id;
    assert.equal(service.record(second).state, 'queued');
    assert.equal(service.record(second).plan.gpu_devices, '');
    const { session } = await service.json('GET', { session: second }, settings(queue));
    assert.deepEqual([session.queue.reason, session.queue.expected], ['No GPU is free.', null]);
    const third = (await service.json('POST', { create: 'Create', user: 'carol' }, settings(queue))).session.id;
    await service.state(third, 'running');
    assert.equal(service.record(second).state, 'queued');
    await service.stop(first);
    await service.ended(first);
    const record = await service.state(second, 'running');
    assert.equal(record.plan.gpu_devices.split(' ')[0], '0000:01:00.0');
    assert.equal(record.plan.gpu_name, 'NVIDIA Corporation TU104 [GeForce RTX 2070 SUPER]');
    assert.equal(vfioOf(second).length, 4);
    const never = await ask({ user: 'dave' }, { ...queue, gpu_blacklist: '10de:1e84' });
    assert.equal(never.status, 503, 'a session that can never have one does not wait');
    await stopAll();
});

// --- refusals ---

const refusals = {
    'no GPU for sessions': [{}, {}, 503, /This service has no GPU for sessions\. Create the session without one\./, 'nouveau'],
    'the setting says no': [{}, { service_gpu: 'no' }, 503, /This service has no GPU for sessions/],
    'the blacklist has it': [{}, { gpu_blacklist: '10de:1e84' }, 503, /This service has no GPU for sessions/],
    'the blacklist is wrong': [{}, { gpu_blacklist: 'nvidia' }, 500, /./],
    'the machine says no': [{ machine: 'no-gpu.iso' }, {}, 400, /gpu: no-gpu\.iso does not run with a GPU\./],
    'the machine has no PCI Express': [{ machine: 'old.iso' }, {}, 400, /gpu: old\.iso does not run with a GPU\./],
};

for (const [what, [fields, more, status, text, name = 'nvidia']] of Object.entries(refusals)) {
    test(`refused: ${what}`, async () => {
        machine = name;
        const answer = await ask(fields, more);
        assert.equal(answer.status, status, JSON.stringify(answer));
        assert.match(JSON.stringify(answer.error), text);
        assert.deepEqual(service.sessions(), []);
    });
}

test('the form offers a GPU when there is one', async () => {
    for (const [name, offered] of [['nvidia', true], ['intel', false], ['mediated', true], ['shared-group', false]]) {
        machine = name;
        assert.equal((await service.get()).text.includes('name="gpu"'), offered, name);
    }
});

// --- what the host lacks ---

async function failureOf(more) {
    const { session } = await ask({}, more);
    const past = await service.ended(session.id);
    assert.equal(past.state, 'failed');
    await service.assertAllGone();
    return past.reason;
}

test('a session fails before QEMU runs when too little memory can be locked', async () => {
    machine = 'nvidia';
    const reason = await failureOf({ dir_lib: libWith(512) });
    assert.equal(reason, 'A machine of this size with a GPU locks 1.1 GB of memory, and the service may lock 512 MB. '
        + 'Choose less memory, or tell the administrator: the limit memlock, in GPU.md.');
});

test('a session fails when the device of the group is missing or not for the service', async () => {
    machine = 'nvidia';
    const device = path.join(rootOf('nvidia'), 'dev/vfio/1');
    const advice = 'Please tell the administrator: `qwdctl gpu` shows the server\'s GPUs, and GPU.md what they need.';
    fs.chmodSync(device, 0);
    if (isRoot)
        assert.equal(await failureOf(), `The GPU cannot be used: ${device}: Permission denied. ${advice}`);
    const listed = await service.run([service.qwdctl, 'gpu']);
    assert.match(listed.out, /not for sessions: \S*\/dev\/vfio\/1: Permission denied\.\n/);
    fs.rmSync(device);
    assert.equal(await failureOf(), `The GPU cannot be used: ${device}: No such file or directory. ${advice}`);
    fs.writeFileSync(device, '');
    fs.chmodSync(device, 0o666);
});

test('a session fails with a message when the real QEMU finds no such device', async () => {
    machine = 'nvidia';
    const { session } = await ask({}, { qemu_exec: '' });
    const past = await service.ended(session.id);
    assert.equal(past.state, 'failed');
    assert.match(past.reason, /^The machine could not be started\. The GPU cannot be used\. Please tell the server's administrator: /);
    await service.assertAllGone();
});
