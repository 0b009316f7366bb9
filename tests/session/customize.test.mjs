// SPDX-License-Identifier: AGPL-3.0-or-later
// Boot scripts put into the disk (script_method = customize). Programs stand in for virt-customize: one keeps the script, which a
// shell of the tiny machine then runs, and others misbehave. tests/machines/cloud.test.mjs has the real program and a whole
// Debian.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { bootDisk, echoIso, tinyFolder } from '../lib/machines.mjs';
import { processGone } from '../lib/programs.mjs';
import { useService } from '../lib/service.mjs';
import { untilFiles, within } from '../lib/wait.mjs';

const MINUTE_MS = 60000;
const method = 'script_method=customize';
const password = 'never on a disk';
const service = useService({
    images: { 'tiny.qcow2': path.join(tinyFolder(), 'tiny.qcow2'), 'cd.iso': echoIso() },
    machines: { 'tiny.qcow2': method, 'cd.iso': method, 'boot.raw': method, 'auto.raw': '', 'master.raw': method },
}, () => {
    for (const name of ['boot.raw', 'auto.raw', 'master.raw'])
        fs.writeFileSync(service.path('service/machines', name), bootDisk());
    service.give('service/machines/master.raw');
});
const noted = (name) => service.path('home', name);

function virtCustomize(then) {
    service.shim('virt-customize', `#!/bin/sh
echo "$@" > ${noted('arguments')}
while [ $# -gt 1 ]; do
    [ "$1" != --firstboot ] || cp "$2" ${noted('script')}
    shift
done
${then}
`);
}

const create = (machine, settings = {}, fields = {}) =>
    service.create({ machine, memory: '64M', user: 'alice', password, ...fields }, { config_script: 'exec:echo for @USER@ @PW@', ...settings });

async function refused(machine, settings, words) {
    const id = await create(machine, settings);
    const record = await service.state(id, 'running');
    assert.equal(record.scripts[0].state, 'failed');
    assert.match(record.scripts[0].output, words);
    const page = await service.get({ session: id });
    assert.match(page.text, words);
    await service.stop(id);
    await service.ended(id);
    await service.assertNothingLeft(record);
}

test('the program in the disk asks for the scripts, and holds no data of the session', async () => {
    virtCustomize('');
    const id = await create('tiny.qcow2', {}, { memory: '256M' });
    await service.state(id, 'running');
    const script = fs.readFileSync(noted('script'), 'utf8');
    for (const word of [password, 'alice', id])
        assert.ok(!script.includes(word), word);
    assert.deepEqual(fs.readdirSync(path.join(service.snapshots, id)).filter((name) => /seed|customize/.test(name)), []);
    const shell = await service.shell(id);
    assert.equal((await shell.run(`echo ${Buffer.from(script).toString('base64')} | base64 -d > /run/firstboot`)).status, 0);
    assert.equal(service.record(id).scripts[0].state, 'waiting', 'it comes neither from the agent nor from a seed');
    assert.equal((await shell.run('udevadm wait --timeout=60 /dev/vda && udevadm settle --timeout=60')).status, 0);
    assert.equal((await shell.run('sh /run/firstboot')).status, 0);
    const { scripts: [result] } = await service.until(id, ({ scripts }) => scripts[0].state === 'done');
    assert.deepEqual([result.method, result.exit_code, result.output], ['customize', 0, `for alice ${password}\n`]);
    await service.stop(id);
    await service.ended(id);
});

test('a session starts without scripts when its disk cannot be changed, and its page says why', async () => {
    virtCustomize('echo "virt-customize: error: <no> operating system" >&2; exit 1');
    await refused('boot.raw', {}, /virt-customize failed: (<|&lt;)no(>|&gt;) operating system/);
    await refused('cd.iso', {}, /This machine starts from a CD/);
    virtCustomize('exec tail -f /dev/null');
    await refused('boot.raw', { script_customize_deadline: '1s' }, /in time \(script_customize_deadline\)/);
});

test('the image itself is never changed', async () => {
    virtCustomize('');
    fs.rmSync(noted('arguments'), { force: true });
    const { code, err } = await service.control('start', 'master.raw', '--snapshot_use_master=yes', '--config_script=exec:true');
    assert.equal(code, 0, err);
    const id = service.sessions().find((name) => service.record(name)?.plan.use_master);
    const record = await service.until(id, ({ scripts }) => scripts[0].state === 'failed');
    assert.match(record.scripts[0].output, /changes the machine's image itself/);
    assert.ok(!fs.existsSync(noted('arguments')));
    await service.control('stop', id);
    await service.ended(id);
});

test('script_method auto does not change the disk; a stop does not wait for virt-customize', async () => {
    virtCustomize(`tail -f /dev/null & echo $! > ${noted('pid')}.new; mv ${noted('pid')}.new ${noted('pid')}; wait`);
    const auto = await create('auto.raw');
    await service.state(auto, 'running');
    assert.ok(!fs.existsSync(noted('pid')));
    await service.stop(auto);
    await service.ended(auto);
    const id = await create('boot.raw');
    await untilFiles([service.path('home')], () => fs.existsSync(noted('pid')), 'virt-customize begins');
    await service.stop(id);
    const past = await within('its end', service.ended(id), MINUTE_MS); // long before script_customize_deadline
    assert.equal(past.state, 'ended');
    await processGone(Number(fs.readFileSync(noted('pid'), 'utf8')));
});

test('nothing is left', () => service.assertAllGone());
