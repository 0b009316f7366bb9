// SPDX-License-Identifier: AGPL-3.0-or-later
// Boot scripts in the machine debian-cloud: by cloud-init, by the first of cloud-init and the agent, and by its disk.
// session/scripts has the agent alone.
// Tier: full
// Images: debian-cloud
// Memory: 3000 MiB

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { top } from '../lib/files.mjs';
import { readUntil } from '../lib/programs.mjs';
import { useSharedService } from '../lib/service.mjs';
import { bootTimeoutMs } from '../lib/wait.mjs';

const made = spawnSync(path.join(top, 'machines/build'), ['debian-cloud'], { encoding: 'utf8' });
assert.equal(made.status, 0, made.stderr);

const kernel = spawnSync(path.join(top, 'tests/machines/kernel'), { encoding: 'utf8' });
assert.equal(kernel.status, 0, kernel.stderr);
const kernelFolder = kernel.stdout.trim(), version = fs.readdirSync(`${kernelFolder}/lib/modules`)[0];

const methods = ['cloud-init', 'auto', 'customize'];
const service = useSharedService({
    settings: { script_deadline: '1h', script_customize_deadline: '1h' }, // the test has a time-out of its own
    images: Object.fromEntries(methods.map((method) => [`${method}.qcow2`, made.stdout.trim()])),
    machines: Object.fromEntries(methods.map((method) => [`${method}.qcow2`, `script_method=${method}`])),
}, () => {
    // The real program, with a kernel that need not be installed here.
    service.shim('virt-customize', `#!/bin/sh\nexport SUPERMIN_KERNEL=${kernelFolder}/boot/vmlinuz-${version}\n`
        + `export SUPERMIN_MODULES=${kernelFolder}/lib/modules/${version}\nexec /usr/bin/virt-customize "$@"\n`);
});

// The script has run once, also after the end of cloud-init.
async function ranOnce(socket) {
    socket.write('\n');
    await readUntil(socket, /of-alice login: |debian login: /, 'a login on the serial console', bootTimeoutMs);
    for (const line of ['root', 'root', 'cloud-init status --wait; echo "LINES $(wc -l < /root/ran)"'])
        socket.write(`${line}\n`) && await readUntil(socket, line.startsWith('cloud') ? /LINES 1/ : /Password: |# $/);
}

for (const method of methods) {
    test(method, async () => {
        const script = 'bash:echo ran >> /root/ran; hostnamectl hostname "of-"@USER@; hostname; id -un; [[ $(wc -l < /root/ran) = 1 ]]';
        const id = await service.create({ machine: `${method}.qcow2`, memory: '1024M', user: 'alice', script }, { form_script: 'text' });
        const record = await service.until(id, ({ scripts }) => ['done', 'failed'].includes(scripts[0]?.state), bootTimeoutMs);
        const [result] = record.scripts;
        assert.equal(result.state, 'done', result.output);
        assert.equal(result.output, 'of-alice\nroot\n');
        assert.equal(result.exit_code, 0);
        if (method !== 'auto')
            assert.equal(result.method, method);
        if (method === 'auto')
            await ranOnce(service.serial(id));
        await service.stop(id);
        await service.ended(id);
        await service.assertNothingLeft(record);
    });
}
