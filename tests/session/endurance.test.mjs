// SPDX-License-Identifier: AGPL-3.0-or-later
// Many sessions at once, and many one after another. (All rows of the fault matrix: lib/faults.mjs)

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { assertOnlyLocksLeft, assertShows, clean, fastQemu, historyOf, stopAll } from '../lib/faults.mjs';
import { bootDisk } from '../lib/machines.mjs';
import { useService } from '../lib/service.mjs';
import { fullTest } from '../lib/tiers.mjs';

const service = useService({ machines: { 'boot.raw': '' } }, () => {
    fs.writeFileSync(service.path('service/machines/boot.raw'), bootDisk());
});

// Does `body` with each of `items`, some at once.
async function severalAtOnce(items, width, body) {
    const left = [...items];
    await Promise.all(Array.from({ length: width }, async () => {
        while (left.length)
            await body(left.shift());
    }));
}

test('7 of 100 requests at once start a session against a limit of 7, and 93 are refused', async (t) => {
    t.after(() => stopAll(service));
    const names = Array.from({ length: 100 }, (_, i) => `user${i}`);
    const ask = (user) => service.json('POST', { create: 'Create', machine: 'boot.raw', memory: '32M', user }, { service_max_session_nb: '7' });
    const answers = await Promise.all(names.map(ask));
    const good = answers.filter(({ status }) => status === 200);
    assert.equal(good.length, 7);
    for (const { status, error } of answers.filter((answer) => answer.status !== 200)) {
        assert.equal(status, 429);
        assert.equal(error.kind, 'limit');
        assert.match(error.message, /^Sessions on this service: 7 at once; 7 run\. The next one is due to end at .*\. Try again later\.$/);
        assert.match(error.advice, /try again later/);
    }
    const ids = good.map(({ session }) => session.id).sort();
    assert.deepEqual(service.sessions().sort(), ids);
    const records = await Promise.all(ids.map((id) => service.state(id, 'running')));
    assert.equal(new Set(records.map((record) => service.process(record, 'qemu'))).size, 7);
    for (const { id, owner } of records) {
        const { session } = await service.json('GET', { session: id, user: owner });
        const [, control] = decodeURIComponent(session.ready.url).match(/token=([0-9a-f]{32})/);
        await assertShows(service, control, id);
    }
    const [one] = records;
    assert.equal((await ask('late')).status, 429);
    await stopAll(service, [one.id]);
    const late = await ask('late');
    assert.equal(late.status, 200, 'there is room after the end of a session');
    await service.state(late.session.id, 'running');
    await stopAll(service);
    await assertOnlyLocksLeft(service);
});

// What a process of ours holds: descriptors, and memory of its own in KiB.
function holdings(pid) {
    const [, kib] = fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1').match(/^Private_Dirty: +(\d+) kB$/m);
    return { descriptors: fs.readdirSync(`/proc/${pid}/fd`).length, memory: Number(kib) };
}

// The cache of records comes when there is one that is old enough.
const filesIn = (folder) => fs.readdirSync(folder, { recursive: true }).filter((name) => !/\.new$|\.json\.|^records\.cache/.test(name)).length;

fullTest('1,000 sessions come and go: files, descriptors and memory stay as they are', async (t) => {
    const rounds = Number(process.env.QWD_SESSIONS ?? 1000), width = 8, settings = fastQemu(service);
    // One session and websockify live through it all.
    const witness = await service.createRunning({ machine: 'boot.raw' });
    const websockify = JSON.parse(fs.readFileSync(service.path('run/websockify-socket.json'), 'utf8')).pid;
    const holders = { supervisor: service.process(witness, 'supervisor'), qemu: service.process(witness, 'qemu'), websockify };
    const measure = () => Object.fromEntries(Object.entries(holders).map(([name, pid]) => [name, holdings(pid)]));
    const cycle = async () => {
        const id = await service.create({}, settings);
        await service.state(id, 'running');
        assert.equal((await service.stop(id)).status, 200);
        await service.ended(id);
        return id;
    };
    await severalAtOnce(Array.from({ length: 20 }), width, cycle); // all caches are warm
    const before = { ...measure(), run: filesIn(service.path('run')), snapshots: filesIn(service.snapshots) };

    const begin = Date.now(), ids = [];
    await severalAtOnce(Array.from({ length: rounds }), width, async () => ids.push(await cycle()));
    const seconds = (Date.now() - begin) / 1000;
    t.diagnostic(`${rounds} sessions within ${seconds.toFixed(1)} s`);

    assert.deepEqual(service.sessions(), [witness.id]);
    assert.equal(new Set(ids).size, rounds);
    assert.match(historyOf(service, ids.at(-1))[0].reason, /^Stopped by /);
    const files = { run: filesIn(service.path('run')), snapshots: filesIn(service.snapshots) };
    assert.deepEqual(files, { run: before.run, snapshots: before.snapshots });
    for (const [name, now] of Object.entries(measure())) {
        assert.equal(now.descriptors, before[name].descriptors, `descriptors of ${name}`);
        assert.ok(now.memory < before[name].memory + 2048, `memory of ${name}: ${before[name].memory} then ${now.memory} KiB`);
    }
    assert.ok(fs.statSync(path.join(service.snapshots, '.qemu-web-desktop.history')).size < 600 * 1024);
    assert.ok(fs.statSync(service.path('run/records.cache')).size < 64 * 1024);
    assert.equal(JSON.parse(fs.readFileSync(service.path('run/websockify-socket.json'), 'utf8')).pid, websockify, 'the same websockify');
    await assertShows(service, witness.control, witness.id);
    await stopAll(service);
    await clean(service);
    await assertOnlyLocksLeft(service);
});
