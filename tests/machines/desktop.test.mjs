// SPDX-License-Identifier: AGPL-3.0-or-later
// The machine debian-desktop in a session: painted, answering its agent, following the viewer's size, sharing the
// clipboard both ways.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import test from 'node:test';
import { promisify } from 'node:util';
import { build, top } from '../integration/lib.mjs';
import { Service, eventually, tokenOf } from '../e2e/service.mjs';

const bootDeadline = 600000; // emulated, on two busy cores
const run = promisify(execFile);

// QEMU guest agent protocol: a line of JSON each way over the session's socket. The agent answers when it runs.
class Agent {
    constructor(socket) {
        this.path = socket;
    }

    ask(command, parameters = {}, ms = 30000) {
        return new Promise((resolve, reject) => {
            const connection = net.connect(this.path);
            let text = '';
            connection.setTimeout(ms, () => connection.destroy(new Error(`${command}: no answer within ${ms} ms`)));
            connection.on('error', reject);
            connection.on('data', (data) => {
                text += data;
                if (!text.includes('\n'))
                    return;
                connection.destroy();
                const answer = JSON.parse(text.split('\n')[0]);
                answer.error ? reject(new Error(answer.error.desc)) : resolve(answer.return);
            });
            connection.write(`${JSON.stringify({ execute: command, arguments: parameters })}\n`);
        });
    }

    // What a shell command of the desktop's user prints.
    async shell(command) {
        const session = `DISPLAY=:0 XAUTHORITY=/home/user/.Xauthority ${command}`;
        const { pid } = await this.ask('guest-exec', { path: '/usr/sbin/runuser', arg: ['-u', 'user', '--', 'sh', '-c', session], 'capture-output': true });
        const status = await eventually(command, async () => {
            const now = await this.ask('guest-exec-status', { pid });
            return now.exited && now;
        }, 120000);
        return Buffer.from(status['out-data'] ?? '', 'base64').toString();
    }
}

function probe(service, token, ...words) {
    return run(path.join(build, 'tests/vnc-probe'), [`unix:${service.in('run/display', token)}`, ...words], { timeout: bootDeadline });
}

test('debian-desktop', { timeout: bootDeadline + 300000 }, async (t) => {
    const image = execFileSync(path.join(top, 'machines/build'), ['debian-desktop'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();
    const service = await Service.start(t, 'qwd-server', { accel: 'tcg' });
    fs.symlinkSync(image, service.in('state/machines/debian-desktop.qcow2'));
    fs.appendFileSync(service.in('machines.conf'), '[debian-desktop.qcow2]\ndescription=Debian 12 with XFCE\n');
    const answer = await service.create({ machine: 'debian-desktop.qcow2', memory: '1536M', cpu: '2' });
    const { id } = JSON.parse(answer.text).session;
    const state = await service.ready(id);
    const token = tokenOf(state.ready.url);
    const agent = new Agent(service.in('run', id, 'agent'));

    await t.test('the agent answers', () => eventually('the agent', () => agent.ask('guest-ping', {}, 5000).then(() => true, () => false), bootDeadline));

    await t.test('the desktop is painted', async () => {
        const wanted = 'xdotool search --onlyvisible --class xfce4-panel && xdotool search --class xfdesktop';
        await eventually('panel and desktop', async () => (await agent.shell(wanted)).trim().split('\n').length > 1, bootDeadline);
        fs.mkdirSync(path.join(top, 'build/screenshots'), { recursive: true });
        const picture = path.join(top, 'build/screenshots/debian-desktop.png');
        await probe(service, token, '--wait-frame', '--wait-still', '3000', '--deadline', '120000', '--png', picture);
        assert.ok(fs.statSync(picture).size > 20000, 'the picture is nearly empty');
    });

    await t.test('it follows the size of the viewer', async () => {
        await probe(service, token, '--wait-frame', '--resize', '1100x740', '--wait-size', '1100x740', '--deadline', '60000');
        assert.match(await agent.shell('xdotool getdisplaygeometry'), /^1100 740/);
    });

    await t.test('what is copied in the machine reaches the viewer', async () => {
        const seen = probe(service, token, '--wait-frame', '--wait-cut-text', 'from the machine', '--deadline', '120000');
        await eventually('a viewer', async () => (await service.state(id)).sharing.viewers.length > 0);
        await agent.shell('setsid sh -c "printf %s \'from the machine\' | xclip -selection clipboard" >/dev/null 2>&1; true');
        await seen;
    });

    await t.test('what is copied by the viewer reaches the machine', async () => {
        const viewer = execFile(path.join(build, 'tests/vnc-probe'), [`unix:${service.in('run/display', token)}`, '--wait-frame', '--cut-text', 'from the browser', '--hold', '120']);
        t.after(() => viewer.kill());
        await eventually('the clipboard', async () => (await agent.shell('timeout 20 xclip -selection clipboard -o')).includes('from the browser'), 120000);
        viewer.stdin.end();
    });

    await t.test('it powers itself off when the session is stopped', async () => {
        await service.stop(id);
        await service.assertNothingLeft(id);
    });
});
