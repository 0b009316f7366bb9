// SPDX-License-Identifier: AGPL-3.0-or-later
// Limits, which are checked when a session is reserved, and the queue of sessions that wait for room.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { bootDisk } from '../lib/machines.mjs';
import { useService } from '../lib/service.mjs';

const places = 2;
const service = useService({
    settings: { service_max_session_nb: places },
    machines: { 'boot.raw': '', 'small.raw': 'cpu = 1\nmemory = 64M\nlifetime = 1h\n', 'theirs.raw': 'groups = physics\n' },
}, () => {
    for (const name of ['boot.raw', 'small.raw', 'theirs.raw'])
        fs.writeFileSync(service.path('service/machines', name), bootDisk());
});
const queue = { service_queue: 'yes' };
const boot = (user, more = {}) => ({ user, machine: 'boot.raw', memory: '32M', ...more });

async function stopAll(...ids) {
    await Promise.all(ids.map((id) => service.stop(id)));
    await Promise.all(ids.map((id) => service.ended(id)));
}

async function fill() {
    const sessions = await Promise.all(Array.from({ length: places }, () => service.createRunning(boot('early'))));
    return sessions.map(({ id }) => id);
}

test('without a queue, a session beyond the limit is refused with the figures and with sessions that the user can stop', async () => {
    const [first, second] = await fill();
    const refused = await service.json('POST', { create: 'Create', ...boot('early') });
    assert.equal(refused.status, 429);
    assert.match(refused.error.message, new RegExp(`^Sessions on this service: ${places} at once; ${places} run\\. `
        + 'The next one is due to end at .*, in .*\\. Stopping a session of yours makes room\\.$'));
    assert.deepEqual(refused.sessions.map(({ id }) => id).sort(), [first, second].sort());
    const page = await service.post({ create: 'Create', ...boot('early') });
    assert.equal(page.status, 429);
    assert.match(page.text, new RegExp(`name="session_stop" value="${first}"`));
    const other = await service.json('POST', { create: 'Create', ...boot('late') });
    assert.equal(other.status, 429);
    assert.deepEqual(other.sessions, [], 'sessions of other users are not shown');
    assert.equal(service.sessions().length, places);
    await stopAll(first, second);
    await service.assertAllGone();
});

test('30 requests at once start as many sessions as the limit allows', async () => {
    const answers = await Promise.all(Array.from({ length: 30 }, (_, i) =>
        service.json('POST', { create: 'Create', ...boot(`user${i}`) })));
    const created = answers.filter(({ status }) => status === 200).map(({ session }) => session.id);
    assert.equal(created.length, places);
    assert.equal(answers.filter(({ status }) => status === 429).length, 30 - places);
    await Promise.all(created.map((id) => service.state(id, 'running')));
    await stopAll(...created);
    await service.assertAllGone();
});

test('with a queue, sessions wait in fair order, show their place, and start by themselves', async () => {
    const running = await fill();
    const [greedy1, greedy2] = [await service.create(boot('greedy'), queue), await service.create(boot('greedy'), queue)];
    const modest = await service.create(boot('modest'), queue);
    const place = async (id) => (await service.json('GET', { session: id }, queue)).session.queue;
    assert.deepEqual(await Promise.all([greedy1, modest, greedy2].map(async (id) => (await place(id)).position)), [1, 2, 3]);
    assert.ok((await place(greedy1)).is_next);
    const ends = running.map((id) => service.record(id).ends_at).sort();
    const expected = await Promise.all([greedy1, modest, greedy2].map(async (id) => (await place(id)).expected));
    assert.deepEqual(expected.slice(0, places).map(({ iso }) => Date.parse(iso) / 1000), ends);
    assert.equal(expected[places], null, 'the end of a waiting session is not known');
    assert.equal((await place(greedy1)).reason, `Sessions on this service: ${places} at once; ${places} run.`);
    const extended = await service.json('POST', { session_extend: modest }, queue);
    assert.equal(extended.status, 409);
    assert.match(extended.error.message, /waits for room.* nothing to extend yet/);
    assert.equal(service.record(modest).extensions, 0);
    const page = await service.get({ session: modest }, { QWD_OVERRIDES: 'service_queue=yes\n' });
    assert.match(page.text, /Waiting for room/);
    assert.match(page.text, /You are number 2 in the queue\./);
    assert.match(page.text, /Room is expected at /);
    assert.doesNotMatch(page.text, /at the latest/);
    assert.match(page.text, /Cancel<\/button>/);
    for (const id of [greedy1, greedy2, modest])
        assert.equal(service.record(id).state, 'queued');

    await stopAll(running[0]);
    const begun = await service.state(greedy1, 'running');
    const { ended_at: free } = service.history(running[0]);
    assert.ok(begun.ends_at >= free + begun.plan.lifetime_s, 'its life begins when there is room');
    assert.equal(service.record(modest).state, 'queued');
    await stopAll(running[1]);
    await service.state(modest, 'running');
    assert.equal((await place(greedy2)).position, 1);

    assert.equal((await service.stop(greedy2)).session.state, 'ended');
    assert.deepEqual(await service.ended(greedy2).then(({ reason, state }) => [state, reason]), ['ended', 'Taken out of the queue.']);
    await stopAll(greedy1, modest);
    await service.assertAllGone();
});

test('a user at the limit per user waits for the end of an own session', async () => {
    const { id, ends_at } = await service.createRunning(boot('early'));
    const own = { ...queue, service_max_session_nb: 0, service_max_session_nb_per_user: 1 };
    const other = await service.createRunning(boot('other', { snapshot_lifetime: '60' }), own);
    const waiting = await service.create(boot('early'), own);
    const { session } = await service.json('GET', { session: waiting }, own);
    assert.deepEqual([session.queue.reason, session.queue.is_own], ['Sessions for one user: 1 at once; you have 1.', true]);
    assert.equal(Date.parse(session.queue.expected.iso) / 1000, ends_at);
    await service.stop(waiting);
    await stopAll(id, other.id);
    await service.assertAllGone();
});

test('qwdctl clean starts the next session of the queue when a supervisor was killed', async () => {
    const running = await fill();
    const waiting = await service.create(boot('late'), queue);
    await service.kill(service.record(running[0]), 'supervisor');
    const cleaned = await service.run([service.qwdctl, 'clean']);
    assert.equal(cleaned.code, 0, cleaned.err);
    assert.match(cleaned.out, new RegExp(`^Ended ${running[0]} of early`));
    await service.state(waiting, 'running');
    await stopAll(running[1], waiting);
    await service.assertAllGone();
});

test('a full queue refuses sessions, and a session that can never start is refused at once', async () => {
    const running = await fill();
    const waiting = await service.create(boot('late'), queue);
    const full = await service.json('POST', { create: 'Create', ...boot('later') }, { ...queue, service_queue_max: 1 });
    assert.equal(full.status, 429);
    assert.match(full.error.message, /^There is no room, and the queue is full: 1 waiting\./);
    const never = await service.json('POST', { create: 'Create', ...boot('later', { memory: '128M' }) },
                                     { ...queue, service_max_mem_fraction_nb_per_user: 0.000001 });
    assert.equal(never.status, 429);
    assert.match(never.error.message,
                 /^Memory for one user: 64 MB at once; you use 0 MB and ask for 128 MB\. Ask for at most 64 MB\.$/);
    await stopAll(waiting, ...running);
    await service.assertAllGone();
});

test('the server refuses values that the form does not offer', async () => {
    const ask = async (fields, settings) => {
        const answer = await service.json('POST', { create: 'Create', user: 'marie', ...fields }, settings);
        return `${answer.status} ${answer.error?.message}`;
    };
    assert.match(await ask({ machine: 'small.raw', cpu: 2 }), /^400 cpu: you may choose at most 1\. /);
    assert.match(await ask({ machine: 'small.raw', memory: '65M' }), /^400 memory: you may choose at most 64 MB\. /);
    assert.match(await ask({ machine: 'small.raw', snapshot_lifetime: '2h' }), /^400 snapshot_lifetime: .* to 1 h\./);
    assert.match(await ask({ machine: 'boot.raw', memory: '2G' }, { form_memory: '512M,1' }), /^400 memory: you may choose at most 1 GB\./);
    assert.match(await ask({ machine: 'theirs.raw' }), /^404 There is no machine "theirs\.raw" here\./);
    assert.match(await ask({ machine: 'boot.raw' }, { file_groups: '/dev/null' }), /^200 /);
    await stopAll(...service.sessions());
    await service.assertAllGone();
});
