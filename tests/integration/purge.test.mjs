// SPDX-License-Identifier: AGPL-3.0-or-later
// qwdctl purge: what goes, and what anybody needs.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { sh } from '../lib/files.mjs';
import { account, isRoot } from '../lib/programs.mjs';
import { Root, overlay, randomImage } from '../lib/qwdctl.mjs';

let root;
before(() => (root = new Root()));
after(() => root.end());
beforeEach(() => root.reset());

test('what nobody needs, with sizes; asks first; keeps what others are based on', async () => {
    root.write('etc/machines.conf', '[top.qcow2]\n;[off.raw]\n');
    randomImage(path.join(root.machines, 'base.qcow2'), 65536);
    overlay(root.machines, 'base.qcow2', 'top.qcow2');
    root.write('service/machines/off.raw', 'x'.repeat(5000));
    root.write('service/machines/orphan.raw', Buffer.alloc(2 * 1024 * 1024, 1));
    root.write('service/machines/dead.iso.part', 'x'.repeat(100));
    root.write('service/machines/dead.iso.part.json', '{}');
    fs.mkdirSync(root.path('service/snapshots/broken-1'));
    root.write('service/snapshots/broken-1/session.json', 'broken');
    if (isRoot)
        sh('chown', '-R', account, root.path('service'));
    await root.transcript('purge', [['purge'], ['purge', 'top.qcow2'], ['purge', 'base.qcow2', '--yes'], ['status']]);
    assert.equal(JSON.parse((await root.run(['purge', '--json'])).out).length, 4);

    const no = await root.terminal(['purge'], { input: 'n\n' });
    assert.equal(no.code, 1);
    assert.match(no.out, /Nothing was changed\./);
    assert.match(no.out, /Remove them for good\? \[y\/N\]/);
    assert.equal(fs.readdirSync(root.machines).length, 6);
    const yes = await root.terminal(['purge'], { input: 'y\n' });
    assert.equal(yes.code, 0, yes.out);
    assert.deepEqual(fs.readdirSync(root.machines).sort(), ['base.qcow2', 'off.raw', 'top.qcow2']);
    assert.deepEqual(fs.readdirSync(root.path('service/snapshots')), []);
    assert.match((await root.run(['purge', 'off.raw'])).err, /Nothing was removed\. To remove them: qwdctl purge 'off\.raw' --yes\n$/);
    const off = await root.run(['purge', 'off.raw', '--yes']);
    assert.equal(off.code, 0, off.err);
    assert.deepEqual(fs.readdirSync(root.machines).sort(), ['base.qcow2', 'top.qcow2']);
});

test('a machine that others stand on is not removed, though it is disabled itself', async () => {
    root.write('etc/machines.conf', ';[base.qcow2]\n;[top.qcow2]\n');
    randomImage(path.join(root.machines, 'base.qcow2'), 65536);
    overlay(root.machines, 'base.qcow2', 'top.qcow2');
    if (isRoot)
        sh('chown', '-R', account, root.path('service'));
    const base = await root.run(['purge', 'base.qcow2', '--yes']);
    assert.equal(base.code, 4);
    assert.match(base.err, /base\.qcow2 is in use by the machine top\.qcow2\. First remove that machine/);
    const id = root.record(path.join(root.machines, 'top.qcow2'));
    for (const name of ['top.qcow2', 'base.qcow2']) {
        const used = await root.run(['purge', name, '--yes']);
        assert.equal(used.code, 4);
        assert.match(used.err, new RegExp(name === 'top.qcow2' ? `by the session ${id} of alice` : 'by the machine top'));
    }
    fs.rmSync(root.path('service/snapshots', id), { recursive: true });
    for (const name of ['top.qcow2', 'base.qcow2'])
        assert.equal((await root.run(['purge', name, '--yes'])).code, 0);
    assert.deepEqual(fs.readdirSync(root.machines), []);
});

test('the part of a machine that is being saved stays, also when that begins after the question', async () => {
    const part = (name) => root.write(`service/machines/.${name}.part`, 'x'.repeat(5000));
    const [field] = fs.readFileSync('/proc/self/stat', 'utf8').split(') ').slice(-1);
    const own = { name: 'save', pid: process.pid, start_ticks: Number(field.split(' ')[19]) };
    const image = path.join(root.machines, 'x.raw'), saving = { save_state: 'running' };
    root.write('etc/machines.conf', '[x.raw]\n');
    root.write('service/machines/x.raw', 'x');
    for (const name of ['running', 'kept', 'dead', 'late'])
        part(name);
    root.record(image, { ...saving, save_name: 'running' });
    root.record(image, { ...saving, save_name: 'kept', state: 'ended', processes: [own] });
    root.record(image, { ...saving, save_name: 'dead', state: 'ended', processes: [{ ...own, start_ticks: 1 }] });
    const found = JSON.parse((await root.run(['purge', '--json'])).out);
    assert.deepEqual(found.map((one) => path.basename(one.path)).sort(), ['.dead.part', '.late.part']);
    assert.equal(found[0].why, 'a saved machine that broke off');

    const late = (said) => said.includes('Remove them for good?') && root.record(image, { ...saving, save_name: 'late' });
    assert.equal((await root.terminal(['purge'], { input: (said) => (late(said) ? 'y\n' : undefined) })).code, 0);
    assert.deepEqual(fs.readdirSync(root.machines).sort(), ['.kept.part', '.late.part', '.running.part', 'x.raw']);
});
