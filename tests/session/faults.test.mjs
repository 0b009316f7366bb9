// SPDX-License-Identifier: AGPL-3.0-or-later
// Programs that misbehave: QEMUs that exit, hang, or write nonsense, and a helper that hangs at each start step. The session ends
// soon in each case, with a reason, and nothing is left.
// Cores: 0.5

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fastQemu } from '../lib/faults.mjs';
import { command } from '../lib/files.mjs';
import { useService } from '../lib/service.mjs';
import { within } from '../lib/wait.mjs';

const service = useService();
const MINUTE_MS = 60000;
const hang = '#!/bin/sh\nexec sleep 1000\n';
const halfAnswer = '#!/bin/sh\nprintf "\\000\\000\\000\\052half" >&3\nexec sleep 1000\n';

// The setting of a QEMU that is this script.
let count = 0;
const qemu = (script) => ({ qemu_exec: service.shim(`qemu-${++count}`, script) });

// Creates a session that must fail, and not because its start takes too long. Returns what its history says.
async function failure(settings) {
    const id = await service.create({}, { session_start_deadline: '1h', ...settings });
    const past = await service.ended(id);
    assert.equal(past.state, 'failed');
    await service.assertNothingLeft({ id, processes: [] });
    await service.assertAllGone();
    return past;
}

// --- QEMUs that fail ---

const lastMessages = {
    'Could not access KVM kernel module: Permission denied\nqemu: failed to initialize kvm: Permission denied':
        'The machine could not be started. The server\'s accelerator cannot be used. Please tell its administrator: '
        + 'accel. Its last words: qemu: failed to initialize kvm: Permission denied',
    'qemu: cannot set up guest memory \'pc.ram\': Cannot allocate memory':
        'The machine could not be started. The server has not enough free memory for it. Choose less memory, or try again '
        + 'later. Its last words: qemu: cannot set up guest memory \'pc.ram\': Cannot allocate memory',
    'qemu: error: failed to set MSR 0x10a to 0x0':
        'The machine could not be started. The server\'s accelerator does not work with this processor model. Please tell '
        + 'its administrator: accel. Its last words: qemu: error: failed to set MSR 0x10a to 0x0',
    'qemu: something new': 'The machine could not be started. Its last words: qemu: something new',
};

test('the last message of a QEMU that exits at once is explained', async () => {
    for (const [words, reason] of Object.entries(lastMessages)) {
        const script = `#!/bin/sh\ncat >&2 <<'END'\n${words}\nEND\nexit 1\n`;
        assert.equal((await failure(qemu(script))).reason, reason);
    }
});

test('a session fails when QEMU dies of a signal without a message', async () => {
    const past = await failure(qemu('#!/bin/sh\nkill -SEGV $$\n'));
    assert.equal(past.reason, 'The machine could not be started. It ended without a word.');
});

test('a session fails when QEMU floods its log with bytes that are no text', async () => {
    const past = await failure(qemu('#!/bin/sh\nhead -c 3000000 /dev/urandom | tr \'\\n\' x >&2\nexit 1\n'));
    assert.match(past.reason, /^The machine could not be started\. (.* )?Its last words: /);
    assert.ok(past.reason.length < 600, past.reason);
});

test('a session fails when QEMU is missing', async () => {
    const past = await failure({ qemu_exec: '/nonexistent/qemu' });
    assert.match(past.reason, /^Cannot start \/nonexistent\/qemu: /);
});

test('a session whose QEMU does not answer fails after session_start_deadline', async () => {
    const begin = Date.now();
    const past = await failure({ ...qemu(hang), session_start_deadline: '1s' });
    assert.ok(Date.now() - begin >= 1000);
    assert.equal(past.reason, 'The machine does not answer. No answer within 1.0 s.');
});

test('a session fails when the monitor of QEMU writes nonsense', async () => {
    const past = await failure(qemu('#!/bin/sh\necho nonsense >&3\nexec sleep 1000\n'));
    assert.match(past.reason, /^The machine does not answer\. /);
});

// A QEMU with a monitor that runs `then` for each command.
const wellBehavedQemu = (then) => `#!/usr/bin/python3
import json, os, signal, socket, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
monitor = socket.socket(fileno=3)
def say(message): monitor.sendall(json.dumps(message).encode() + b'\\r\\n')
say({'QMP': {'version': {}, 'capabilities': []}})
for line in monitor.makefile():
    command = json.loads(line)
    name = command['execute']
    if name == 'qmp_capabilities':
        say({'return': {}, 'id': command['id']})
        continue
${then}
signal.pause()
`;

test('a QEMU that hangs when it is asked to quit is killed', async () => {
    const session = await service.createRunning({}, qemu(wellBehavedQemu('    pass\n')));
    await service.stop(session.id);
    assert.equal((await service.ended(session.id)).state, 'ended');
    await service.assertNothingLeft(session);
});

test('a QEMU that refuses to quit is killed', async () => {
    const refuse = '    say({\'error\': {\'class\': \'GenericError\', \'desc\': \'no\'}, \'id\': command[\'id\']})\n';
    const session = await service.createRunning({}, qemu(wellBehavedQemu(refuse)));
    await service.stop(session.id);
    assert.equal((await service.ended(session.id)).state, 'ended');
    await service.assertNothingLeft(session);
});

// Another process holds websockify's lock: the display step waits for it.
async function holdDisplayStep(body) {
    fs.mkdirSync(service.path('run'), { recursive: true });
    const lock = path.join(service.path('run'), 'websockify.lock');
    const [first, ...rest] = ['setpriv', '--reuid=www-data', '--regid=www-data', '--clear-groups', '--'];
    const words = process.getuid() === 0 ? [first, ...rest] : [];
    words.push('flock', lock, '-c', 'echo held; exec cat');
    const holder = spawn(words[0], words.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] });
    await within('the lock', once(holder.stdout, 'data'));
    let release = () => {
        holder.stdin.end();
        return once(holder, 'close');
    };
    try {
        return await body(() => {
            const done = release();
            release = () => {};
            return done;
        });
    } finally {
        await release();
    }
}

test('a session fails when QEMU exits before its display can be used', async () => {
    await holdDisplayStep(async (release) => {
        const id = await service.create();
        const record = await service.until(id, ({ step }) => step === 'display');
        process.kill(service.process(record, 'qemu'), 'SIGKILL');
        await release();
        const past = await service.ended(id);
        assert.equal(past.state, 'failed');
        assert.match(past.reason, /^The machine ended unexpectedly\./);
        await service.assertNothingLeft(record);
    });
});

// --- the end is asked for while a step hangs ---

// How each step is made to hang: settings, and perhaps a program that goes before the real one. By themselves
// most would give up later than after a minute.
const hangingSteps = {
    accelerator: { settings: () => ({ ...qemu(hang), accel: 'kvm' }) },
    disk: { settings: () => ({}), program: 'qemu-img' },
    network: { settings: () => ({ network: 'auto' }), program: 'passt' },
    'network, half an answer': { settings: () => ({ network: 'auto' }), program: 'passt', script: halfAnswer },
    starting: { settings: () => ({ ...qemu(hang), session_start_deadline: '1h' }) },
};

const enders = {
    'SIGTERM to the supervisor': async (record) => {
        process.kill(service.process(record, 'supervisor'), 'SIGTERM');
        return /^The server ended it\.$/;
    },
    'a stop': async (record) => {
        assert.equal((await service.stop(record.id)).status, 200);
        return /^Stopped by /;
    },
};

for (const [title, { settings, program, script = hang }] of Object.entries(hangingSteps)) {
    const [step] = title.split(',');
    for (const [name, end] of Object.entries(enders)) {
        test(`${name} ends the session at once while the step "${title}" hangs`, async (t) => {
            if (program) {
                const file = service.shim(program, script);
                t.after(() => fs.rmSync(file));
            }
            const id = await service.create({}, settings());
            const record = await service.until(id, (now) => now.step === step);
            assert.equal(record.state, 'starting');
            const reason = await end(record);
            const past = await within('its end', service.ended(id), MINUTE_MS);
            assert.equal(past.state, 'ended');
            assert.match(past.reason, reason);
            await service.assertNothingLeft(record);
            await service.assertAllGone();
        });
    }
}

test('SIGTERM to the supervisor ends the session while the display waits for its turn', async () => {
    await holdDisplayStep(async (release) => {
        const id = await service.create();
        const record = await service.until(id, ({ step }) => step === 'display');
        process.kill(service.process(record, 'supervisor'), 'SIGTERM');
        await release();
        const past = await service.ended(id);
        assert.equal(past.state, 'ended');
        assert.equal(past.reason, 'The server ended it.');
        await service.assertNothingLeft(record);
        await service.assertAllGone();
    });
});

// --- a packet filter that ends ---

// The helpers' folder with another packet filter.
function withFilter(script) {
    const library = service.path(`lib-${++count}`);
    fs.mkdirSync(library);
    for (const name of fs.readdirSync(service.lib).filter((file) => file !== 'qwd-net-filter'))
        fs.symlinkSync(path.join(service.lib, name), path.join(library, name));
    fs.writeFileSync(path.join(library, 'qwd-net-filter'), script, { mode: 0o755 });
    return { ...fastQemu(service), dir_lib: library };
}

const failingFilter = '#!/bin/sh\necho "There is no room." >&2\nexit 5\n';

test('a packet filter that does not start is a network that does not', async () => {
    const record = await service.createRunning({}, { ...withFilter(failingFilter), network: 'auto' });
    assert.equal(record.note, 'This machine has no network. (qwd-net-filter does not start: There is no room.)');
    await service.stop(record.id);
    await service.ended(record.id);
    const past = await failure({ ...withFilter(failingFilter), network: 'passt' });
    assert.equal(past.reason, 'qwd-net-filter does not start: There is no room.');
});

test('a session whose packet filter fails before QEMU answers says so in its note and in the log', async () => {
    const gate = service.path('gate'), { qemu_exec } = fastQemu(service);
    command('mkfifo', ['-m', '666', gate]);
    const id = await service.create({}, { ...qemu(`#!/bin/sh\nread -r go <${gate}\nexec ${qemu_exec} "$@"\n`), network: 'passt',
                                          session_start_deadline: '1h' });
    const filter = service.process(await service.until(id, (record) => service.process(record, 'net-filter')), 'net-filter');
    process.kill(filter, 'SIGKILL');
    const note = 'The machine has lost its network. A new session has one again.';
    await service.until(id, (record) => record.state === 'starting' && record.note === note);
    fs.writeFileSync(gate, 'go\n');
    assert.equal((await service.state(id, 'running')).note, note);
    assert.match(service.log(), new RegExp(`ERROR .*NAME=${id} qwd-net-filter: .*signal 9`));
    await service.stop(id);
    await service.ended(id);
    await service.assertAllGone();
});

// --- missing parts ---

test('a session is refused when the supervisor is missing', async () => {
    const answer = await service.json('POST', { create: 'Create' }, { dir_lib: '/nonexistent' });
    assert.equal(answer.status, 503);
    assert.deepEqual(service.sessions(), []);
});

test('a session fails when dir_cfg cannot be written', async () => {
    assert.match((await failure({ dir_cfg: '/proc/qwd' })).reason, /^Cannot make the folder \/proc\/qwd/);
});

test('a session fails when the path of dir_cfg is too long for sockets', async () => {
    const dir_cfg = service.path('service', 'x'.repeat(90));
    const past = await failure({ dir_cfg });
    assert.equal(past.reason, `The path ${dir_cfg} is too long for sockets. Choose a shorter dir_cfg.`);
});
