// SPDX-License-Identifier: AGPL-3.0-or-later
// scripts/run, which `make run` calls: a service that ends with all of its sessions, and one of them in a folder.
// Cores: 1

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { tempFolder, top } from '../lib/files.mjs';
import { freePort, http } from '../lib/network.mjs';
import { outputHas, start } from '../lib/programs.mjs';
import { within } from '../lib/wait.mjs';

const script = '/cgi-bin/qemu-web-desktop.cgi';

function serve(t, folder, port) {
    return start(t, path.join(top, 'scripts/run'), [String(port)], { env: { ...process.env, QWD_RUN: folder } });
}

test('Ctrl-C ends the service and its sessions; a second one in the folder is refused', async (t) => {
    const folder = tempFolder(t), port = await freePort();
    const first = serve(t, folder, port);
    await outputHas(first, 'out', /http:\/\/127\.0\.0\.1:/);
    const answer = await http(port, 'POST', script, {
        headers: { Accept: 'application/json', 'Content-Type': 'application/x-www-form-urlencoded', Host: `localhost:${port}` },
        body: 'create=Create&machine=tiny.iso&user=marie',
    });
    assert.equal(answer.status, 200, answer.text);
    const { id } = JSON.parse(answer.text).session;

    const settings = fs.readFileSync(path.join(folder, 'etc/qemu-web-desktop.conf'), 'utf8');
    fs.appendFileSync(path.join(folder, 'etc/qemu-web-desktop.conf'), '# mine\n');
    const second = serve(t, folder, await freePort());
    assert.notEqual((await within('the end of the second', second.ended)).code, 0);
    assert.match(second.err, /runs from .* already\. End it with Ctrl-C, or run another one beside it: QWD_RUN=/);
    assert.equal(fs.readFileSync(path.join(folder, 'etc/qemu-web-desktop.conf'), 'utf8'), `${settings}# mine\n`);
    assert.ok(fs.existsSync(path.join(folder, 'service/snapshots', id)), 'the session goes on');

    first.kill('SIGINT');
    await within('the end of the first', first.ended);
    assert.match(first.out, new RegExp(`Stopped ${id}`));
    assert.ok(!fs.existsSync(path.join(folder, 'service/snapshots', id)));
});
