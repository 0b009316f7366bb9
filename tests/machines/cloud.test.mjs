// SPDX-License-Identifier: AGPL-3.0-or-later
// The machine debian-cloud in a session: boot scripts on a whole Debian, by cloud-init, by whichever of it and the agent
// comes first, and by way of its disk. session/scripts has the agent alone.
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

const made = spawnSync(path.join(top, 'machines/build'), ['debian-cloud'], { encoding: 'utf8' });
assert.equal(made.status, 0, made.stderr);

const kernel = spawnSync(path.join(top, 'tests/machines/kernel'), { encoding: 'utf8' });
assert.equal(kernel.status, 0, kernel.stderr);
const kernelFolder = kernel.stdout.trim(), version = fs.readdirSync(`${kernelFolder}/lib/modules`)[0];

const methods = ['cloud-init', 'auto', 'customize'];
const service = useSharedService({
    settings: { script_deadline: '1h', script_customize_deadline: '1h' }, // the test has its own
    images: Object.fromEntries(methods.map((method) => [`${method}.qcow2`, made.stdout.trim()])),
    machines: Object.fromEntries(methods.map((method) => [`${method}.qcow2`, `script_method=${method}`])),
}, () => {
    // The real program, with a kernel that need not be installed here.
    service.shim('virt-customize', `#!/bin/sh\nexport SUPERMIN_KERNEL=${kernelFolder}/boot/vmlinuz-${version}\n`
        + `export SUPERMIN_MODULES=${kernelFolder}/lib/modules/${version}\nexec /usr/bin/virt-customize "$@"\n`);
});

// Also when cloud-init has come to its end.
async function ranOnce(socket) {
    socket.write('\n');
    await readUntil(socket, /of-alice login: |debian login: /);
    for (const line of ['root', 'root', 'cloud-init status --wait; echo "LINES $(wc -l < /root/ran)"'])
        socket.write(`${line}\n`) && await readUntil(socket, line.startsWith('cloud') ? /LINES 1/ : /Password: |# $/);
}

for (const method of methods) {
    test(method, async () => {
        const script = 'bash:echo ran >> /root/ran; hostnamectl hostname "of-"@USER@; hostname; id -un; [[ $(wc -l < /root/ran) = 1 ]]';
        const id = await service.create({ machine: `${method}.qcow2`, memory: '1024M', user: 'alice', script }, { form_script: 'text' });
        const record = await service.until(id, ({ scripts }) => ['done', 'failed'].includes(scripts[0]?.state));
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
