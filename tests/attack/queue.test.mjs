// SPDX-License-Identifier: AGPL-3.0-or-later
// One user asks for as many sessions as the service takes: the others are served all the same.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { bootDisk } from '../lib/machines.mjs';
import { useService } from '../lib/service.mjs';

const service = useService({ machines: { 'boot.raw': '' } }, () => {
    fs.writeFileSync(service.path('service/machines', 'boot.raw'), bootDisk());
});
const boot = (user) => ({ user, machine: 'boot.raw', memory: '32M' });
const queueMax = 4;
const queue = { service_queue: 'yes', service_queue_max: queueMax };

// Asks as often as the whole queue would take, and once more.
async function ask(user, settings) {
    const answers = [];
    for (let i = 0; i <= queueMax; i++)
        answers.push(await service.json('POST', { create: 'Create', ...boot(user) }, settings));
    return answers;
}

async function stopAll() {
    const ids = service.sessions();
    await Promise.all(ids.map((id) => service.stop(id)));
    await Promise.all(ids.map((id) => service.ended(id)));
    await service.assertAllGone();
}

test('sessions that wait for a limit of their own user take no place in the queue, and newcomers start at once', async () => {
    const settings = { ...queue, service_max_session_nb_per_user: 1 };
    await service.createRunning(boot('greedy'), settings);
    assert.deepEqual((await ask('greedy', settings)).map(({ status }) => status), Array(queueMax + 1).fill(200));
    assert.equal(service.sessions().length, queueMax + 2);
    await service.createRunning(boot('modest'), settings);
    await stopAll();
});

test('one user has a part of the queue only, and a refusal says how many', async () => {
    const settings = { ...queue, service_max_session_nb: 1, service_queue_max_per_user: 2 };
    await service.createRunning(boot('early'), settings);
    const answers = await ask('greedy', settings);
    assert.deepEqual(answers.map(({ status }) => status), [200, 200, 429, 429, 429]);
    assert.equal(answers[2].error.message,
                 'Sessions of one user in the queue: 2 at most; you have 2. Cancel one of them, or try again when one has started.');
    assert.deepEqual(answers[2].sessions.map((session) => session.state), ['queued', 'queued'], 'they can be cancelled');
    const modest = await service.create(boot('modest'), settings);
    assert.equal(service.record(modest).state, 'queued');
    assert.equal(service.sessions().length, 4, 'a refused request leaves nothing');
    await stopAll();
});
