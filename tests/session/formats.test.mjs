// SPDX-License-Identifier: AGPL-3.0-or-later
// From a file in somebody's folder to a desktop: an image of every format is enabled with qwdctl and started, two at a
// time. What pretends to be something else is refused at both. What a session uses is not purged.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { sh } from '../lib/files.mjs';
import { tinyFolder } from '../lib/machines.mjs';
import { account, isRoot } from '../lib/programs.mjs';
import { pretendingImage } from '../lib/qwdctl.mjs';
import { useSharedService } from '../lib/service.mjs';

const tiny = tinyFolder();
const formats = { qcow2: 'qcow2', raw: 'raw', vdi: 'vdi', vmdk: 'vmdk', vhd: 'vpc', vhdx: 'vhdx' };

const service = useSharedService({ settings: { snapshot_alloc_mem: '512M' } }, () => fs.mkdirSync(service.path('files')));
const qwdctl = (...words) => service.run([path.join(service.bin, 'qwdctl'), ...words], { asRoot: true });

async function enable(file) {
    const result = await qwdctl('enable', file, 'Tiny');
    assert.equal(result.code, 0, result.err);
    assert.equal(result.out.trim(), path.basename(file));
    return path.join(service.path('service/machines'), path.basename(file));
}

async function reachesDesktop(machine, meanwhile = async () => {}) {
    const session = await service.createRunning({ machine });
    await service.printed(session.id, /TINY-DESKTOP-UP/);
    await meanwhile(session);
    await service.stop(session.id);
    await service.ended(session.id);
    await service.assertNothingLeft(session);
    return session;
}

describe('every format reaches its desktop', { concurrency: 2 }, () => {
    for (const [suffix, format] of Object.entries(formats))
        test(suffix, async () => {
            const file = service.path('files', `tiny.${suffix}`);
            sh('qemu-img', 'convert', '-q', '-f', 'qcow2', '-O', format, path.join(tiny, 'tiny.qcow2'), file);
            const image = await enable(file), before = fs.readFileSync(image);
            fs.rmSync(file);
            await reachesDesktop(`tiny.${suffix}`);
            assert.ok(fs.readFileSync(image).equals(before), 'the image is as it was');
            assert.equal((await qwdctl('disable', `tiny.${suffix}`)).code, 0);
            assert.equal((await qwdctl('purge', `tiny.${suffix}`, '--yes')).code, 0);
        });
});

test('an ISO does, too; qwdctl neither purges nor replaces what its session uses', async () => {
    fs.copyFileSync(path.join(tiny, 'tiny.iso'), service.path('files/tiny.iso'));
    const image = await enable(service.path('files/tiny.iso'));
    await reachesDesktop('tiny.iso', async (session) => {
        assert.equal((await qwdctl('disable', 'tiny.iso')).code, 0);
        const purge = await qwdctl('purge', 'tiny.iso', '--yes');
        assert.equal(purge.code, 4);
        assert.match(purge.err, new RegExp(`tiny\\.iso is in use by the session ${session.id}`));
        fs.appendFileSync(service.path('etc/machines.conf'), '[tiny.iso]\nurl=https://localhost:1/tiny.iso\n');
        const download = await qwdctl('download', 'tiny.iso');
        assert.equal(download.code, 4);
        assert.match(download.err, /is in use by the session/);
        const names = await qwdctl('names', 'sessions');
        assert.equal(names.out, `${session.id}\n`);
        assert.ok(fs.existsSync(image));
    });
});

test('an image that says it is based on /etc/shadow: refused by qwdctl, and by the session of somebody who listed it', async () => {
    const image = path.join(service.path('service/machines'), 'evil.raw');
    pretendingImage(image);
    if (isRoot)
        sh('chown', account, image);
    const enabled = await qwdctl('enable', 'evil.raw');
    assert.equal(enabled.code, 4);
    assert.match(enabled.err, /refers to another file \(\/etc\/shadow\)/);
    fs.appendFileSync(service.path('etc/machines.conf'), '[evil.raw]\n');
    const id = await service.create({ machine: 'evil.raw' });
    const past = await service.ended(id);
    assert.equal(past.state, 'failed');
    assert.match(past.reason, /refers to another file \(\/etc\/shadow\) that is not in the machines' folder/);
    assert.ok(!past.processes.some(({ name }) => name === 'qemu'));
});

test('the administrator\'s own options reach QEMU; those that would undo the isolation stop the session', async () => {
    const options = '-smbios "type=1,product=my desk"';
    const session = await service.createRunning({ machine: 'echo.iso', memory: '64M' }, { qemu_exec_options: options });
    const words = fs.readFileSync(`/proc/${service.process(session, 'qemu')}/cmdline`, 'utf8').split('\0');
    assert.deepEqual(words.slice(-3), ['-smbios', 'type=1,product=my desk', '']);
    await service.stop(session.id);
    await service.ended(session.id);
    const id = await service.create({ machine: 'echo.iso', memory: '64M' }, { qemu_exec_options: '-vnc :7' });
    const past = await service.ended(id);
    assert.equal(past.state, 'failed');
    assert.match(past.reason, /-vnc is refused/);
});
