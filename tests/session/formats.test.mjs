// SPDX-License-Identifier: AGPL-3.0-or-later
// Images of every format: qwdctl enables them, sessions boot from them and leave them unchanged, qwdctl removes them.
// An image that refers to another file is refused by both. An image in use is not removed.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { sh } from '../lib/files.mjs';
import { bootDisk, echoIso, tinyFolder } from '../lib/machines.mjs';
import { account, isRoot } from '../lib/programs.mjs';
import { pretendingImage } from '../lib/qwdctl.mjs';
import { useSharedService } from '../lib/service.mjs';
import { fullTest } from '../lib/tiers.mjs';

// QEMU's name of the format of each suffix.
const formats = { qcow2: 'qcow2', raw: 'raw', vdi: 'vdi', vmdk: 'vmdk', vhd: 'vpc', vhdx: 'vhdx', qed: 'qed' };

const service = useSharedService({}, () => {
    fs.mkdirSync(service.path('files'));
    fs.writeFileSync(service.path('files/boot'), bootDisk());
});
const qwdctl = (...words) => service.control(...words);

async function enable(file) {
    const result = await qwdctl('enable', file, 'Boot');
    assert.equal(result.code, 0, result.err);
    assert.equal(result.out.trim(), path.basename(file));
    return path.join(service.path('service/machines'), path.basename(file));
}

const commandLine = (session) => fs.readFileSync(`/proc/${service.process(session, 'qemu')}/cmdline`, 'utf8').split('\0');

async function stop(session) {
    await service.stop(session.id);
    await service.ended(session.id);
    await service.assertNothingLeft(session);
}

describe('formats', { concurrency: 2 }, () => {
    for (const [suffix, format] of Object.entries(formats))
        test(`a session boots from an image in the format ${format} and does not change it`, async () => {
            const file = service.path('files', `boot.${suffix}`);
            sh('qemu-img', 'convert', '-q', '-f', 'raw', '-O', format, service.path('files/boot'), file);
            const image = await enable(file), before = fs.readFileSync(image);
            fs.rmSync(file);
            const session = await service.createRunning({ machine: `boot.${suffix}` });
            await service.printed(session.id, /BOOTED/);
            await stop(session);
            assert.ok(fs.readFileSync(image).equals(before), 'the image is as it was');
            assert.equal((await qwdctl('disable', `boot.${suffix}`)).code, 0);
            assert.equal((await qwdctl('purge', `boot.${suffix}`, '--yes')).code, 0);
            assert.ok(!fs.existsSync(image));
        });
});

// The rows above show the way from a file to a session, and e2e/viewer a desktop of tiny.iso.
fullTest('a Linux machine from an image that qwdctl has enabled reaches its desktop', async () => {
    await enable(path.join(tinyFolder(), 'tiny.qcow2'));
    const session = await service.createRunning({ machine: 'tiny.qcow2', memory: '512M' });
    await service.printed(session.id, /TINY-DESKTOP-UP/);
    await stop(session);
});

test('an image with dots in its name is enabled and started', async () => {
    fs.copyFileSync(echoIso(), service.path('files/a..b.iso'));
    await enable(service.path('files/a..b.iso'));
    await stop(await service.createRunning({ machine: 'a..b.iso' }));
});

test('qwdctl neither purges nor replaces an ISO image that a session uses', async () => {
    fs.copyFileSync(echoIso(), service.path('files/used.iso'));
    const image = await enable(service.path('files/used.iso'));
    const session = await service.createRunning({ machine: 'used.iso' });
    assert.equal((await qwdctl('disable', 'used.iso')).code, 0);
    const purge = await qwdctl('purge', 'used.iso', '--yes');
    assert.equal(purge.code, 4);
    assert.match(purge.err, new RegExp(`used\\.iso is in use by the session ${session.id}`));
    fs.appendFileSync(service.path('etc/machines.conf'), '[used.iso]\nurl=https://localhost:1/used.iso\n');
    const download = await qwdctl('download', 'used.iso');
    assert.equal(download.code, 4);
    assert.match(download.err, /is in use by the session/);
    const names = await qwdctl('names', 'sessions');
    assert.equal(names.out, `${session.id}\n`);
    assert.ok(fs.existsSync(image));
    await stop(session);
});

test('an image based on /etc/shadow is refused by qwdctl, and by a session when it is listed anyway', async () => {
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

// Each value differs from the default, and none stands for two of them.
test('what the request, the machine and the settings say reaches QEMU', async () => {
    fs.appendFileSync(service.path('etc/machines.conf'), '[planned.iso]\nos=windows\ndisplay=cirrus-vga\ndisk=nvme\n');
    fs.symlinkSync(echoIso(), path.join(service.path('service/machines'), 'planned.iso'));
    const session = await service.createRunning({ machine: 'planned.iso', cpu: '2', memory: '96M' }, { display_clipboard: 'no' });
    const words = commandLine(session);
    const values = (option) => words.filter((word, index) => words[index - 1] === option);
    const devices = values('-device').map((device) => JSON.parse(device));
    assert.deepEqual(values('-smp'), ['cpus=2']);
    assert.deepEqual(values('-m'), ['size=96M']);
    assert.deepEqual(values('-rtc'), ['base=localtime']);
    assert.equal(devices.find(({ id }) => id === 'video').driver, 'cirrus-vga');
    assert.equal(devices.find(({ id }) => id === 'disk').driver, 'nvme');
    assert.ok(!words.some((word) => word.includes('vdagent')), 'no clipboard');
    await stop(session);
});

test('qemu_exec_options reach QEMU; options that would undo the isolation are refused', async () => {
    const tools = service.path('service/machines/tools.raw'), drive = `driver=file,node-name=tools,filename=${tools}`;
    fs.writeFileSync(tools, '');
    fs.chmodSync(tools, 0o666);
    const options = `-blockdev ${drive} -smbios "type=1,product=my desk"`;
    const session = await service.createRunning({ machine: 'echo.iso', memory: '64M' }, { qemu_exec_options: options });
    assert.deepEqual(commandLine(session).slice(-5), ['-blockdev', drive, '-smbios', 'type=1,product=my desk', '']);
    await service.stop(session.id);
    await service.ended(session.id);
    const id = await service.create({ machine: 'echo.iso', memory: '64M' }, { qemu_exec_options: '-vnc :7' });
    const past = await service.ended(id);
    assert.equal(past.state, 'failed');
    assert.match(past.reason, /-vnc is refused/);
});
