// SPDX-License-Identifier: AGPL-3.0-or-later
// Another user of the host makes the folder that qwdctl start is going to use, and waits for what is put into it.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { bootDisk } from '../lib/machines.mjs';
import { freePort } from '../lib/network.mjs';
import { isRoot } from '../lib/programs.mjs';
import { Service } from '../lib/service.mjs';
import { untilFiles } from '../lib/wait.mjs';

const service = new Service();
const victim = 65534, attacker = 12345;
const skip = !isRoot && 'needs root';
const shared = () => service.path('shared'); // as /tmp
const folder = () => path.join(shared(), `qemu-web-desktop-${victim}`);

before(async () => {
    await service.start({ machines: { 'boot.raw': '' } });
    fs.writeFileSync(service.path('service/machines/boot.raw'), bootDisk());
    fs.mkdirSync(shared());
    fs.chmodSync(shared(), 0o1777);
    fs.mkdirSync(service.path('user'), { mode: 0o700 });
    if (isRoot)
        fs.chownSync(service.path('user'), victim, victim);
});
afterEach(() => fs.rmSync(folder(), { recursive: true, force: true }));
after(() => service.end());

async function byVictim(words, env = {}) {
    return service.run(['setpriv', `--reuid=${victim}`, `--regid=${victim}`, '--clear-groups', '--', service.qwdctl, ...words,
                        `--dir_lib=${service.lib}`, `--dir_html=${service.html}`, '--network=restricted', `--service_port=${await freePort()}`,
                        '--session_stop_grace=0s', '--snapshot_alloc_mem=64M', '--oneshot_left_stop=1s'],
                       { env: { QWD_CONFIG: undefined, HOME: service.path('user'), TMPDIR: shared(), XDG_RUNTIME_DIR: undefined, ...env },
                         asRoot: true });
}
const start = (env) => byVictim(['start', service.path('service/machines/boot.raw')], env);
const snapshots = () => service.path('user/.local/state/qemu-web-desktop/snapshots');

function assertRefused(result, reason) {
    assert.notEqual(result.code, 0);
    assert.equal(result.out, '', 'no link is printed');
    assert.match(result.err, reason);
    assert.match(result.err, /Set XDG_RUNTIME_DIR to a folder of yours with mode 0700, such as \/run\/user\/65534\.$/m);
}

test('a folder that another user has made is refused, with the reason and what to do', { skip }, async () => {
    fs.mkdirSync(folder());
    fs.chownSync(folder(), attacker, attacker);
    fs.chmodSync(folder(), 0o777);
    assertRefused(await start(), /belongs to another user \(uid 12345\)/);
    assertRefused(await byVictim(['status']), /belongs to another user \(uid 12345\)/);
    assert.deepEqual(fs.readdirSync(folder()), [], 'nothing is put into it');
});

test('so is a link that another user has made, and a folder of one\'s own that others can write to', { skip }, async () => {
    fs.mkdirSync(path.join(shared(), 'mine'));
    fs.chownSync(path.join(shared(), 'mine'), victim, victim);
    fs.symlinkSync('mine', folder());
    fs.lchownSync(folder(), attacker, attacker);
    assertRefused(await start(), /belongs to another user/);
    fs.rmSync(folder());
    fs.mkdirSync(folder());
    fs.chownSync(folder(), victim, victim);
    fs.chmodSync(folder(), 0o777);
    assertRefused(await start(), /Other users can write to .* \(mode 0777\)/);
    assert.deepEqual(fs.readdirSync(folder()), []);
});

test('every folder on the way is looked at', { skip }, async () => {
    const way = path.join(shared(), 'theirs');
    fs.mkdirSync(path.join(way, 'runtime'), { recursive: true });
    fs.chownSync(way, attacker, attacker);
    fs.chmodSync(way, 0o755);
    fs.chownSync(path.join(way, 'runtime'), victim, victim);
    fs.chmodSync(path.join(way, 'runtime'), 0o700);
    assertRefused(await start({ XDG_RUNTIME_DIR: path.join(way, 'runtime') }), /theirs belongs to another user/);
    assert.deepEqual(fs.readdirSync(path.join(way, 'runtime')), []);
});

test('without any of that, the folder is made for its user alone', { skip }, async () => {
    const result = await start();
    assert.equal(result.code, 0, result.err);
    const { mode, uid } = fs.statSync(folder());
    assert.deepEqual([(mode & 0o777).toString(8), uid], ['700', victim]);
    assert.equal((await byVictim(['stop', '--all', '--yes'])).code, 0);
    await untilFiles([snapshots()], () => fs.readdirSync(snapshots()).every((name) => !/^[0-9a-f]{32}$/.test(name)), 'the end of the session');
    await service.supervisorsGone();
});
