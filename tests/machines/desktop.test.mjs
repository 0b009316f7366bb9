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
import zlib from 'node:zlib';
import { build, top, within } from '../integration/lib.mjs';
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

// A viewer without a picture: it asks for sizes (rfbproto, SetDesktopSize) and for what was copied (the extended
// clipboard), as noVNC does.
class QuietViewer {
    static async connect(t, socket) {
        const viewer = new QuietViewer();
        viewer.connection = net.connect(socket);
        t.after(() => viewer.connection.destroy());
        viewer.text = new Promise((resolve) => { viewer.resolve = resolve; });
        viewer.waiting = Buffer.alloc(0);
        viewer.handshake = [[12, 'RFB 003.008\n'], [2, '\x01'], [4, '\x01']]; // bytes to get, what to say then
        await new Promise((resolve, reject) => {
            viewer.ready = resolve;
            viewer.connection.on('error', reject);
            viewer.connection.on('data', (data) => viewer.take(data));
        });
        return viewer;
    }

    take(data) {
        this.waiting = Buffer.concat([this.waiting, data]);
        while (this.step());
    }

    // Takes one message off the front; false when it is not all there yet.
    step() {
        const next = this.handshake[0];
        if (next) {
            if (this.waiting.length < next[0])
                return false;
            this.waiting = this.waiting.subarray(next[0]);
            this.connection.write(next[1], 'latin1');
            this.handshake.shift();
            return true;
        }
        return this.greeted ? this.message() : this.greet();
    }

    greet() { // ServerInit, then SetEncodings: raw and the extended clipboard
        if (this.waiting.length < 24 || this.waiting.length < 24 + this.waiting.readUInt32BE(20))
            return false;
        this.waiting = this.waiting.subarray(24 + this.waiting.readUInt32BE(20));
        this.connection.write(Buffer.from([2, 0, 0, 2, 0, 0, 0, 0, 0xc0, 0xa1, 0xe5, 0xce]));
        this.greeted = true;
        this.ready();
        return true;
    }

    message() { // nothing but ServerCutText is expected: no picture was asked for
        if (this.waiting.length < 8)
            return false;
        if (this.waiting[0] !== 3) { // the answer to a resize; the rest of it comes along
            this.waiting = Buffer.alloc(0);
            return false;
        }
        const length = Math.abs(this.waiting.readInt32BE(4));
        if (this.waiting.length < 8 + length)
            return false;
        const body = this.waiting.subarray(8, 8 + length);
        this.waiting = this.waiting.subarray(8 + length);
        const flags = body.readUInt32BE(0);
        if (flags & 0x01000000) // capabilities: ours are text, request, peek, notify and provide, up to 1 MiB
            this.say([0x1f000001, 1 << 20]);
        else if (flags & 0x08000000) // notify: there is text
            this.say([0x02000001]);
        else if (flags & 0x10000000) // provide
            this.provided(zlib.inflateSync(body.subarray(4), { finishFlush: zlib.constants.Z_SYNC_FLUSH }));
        return true;
    }

    say(words) {
        const message = Buffer.alloc(8 + 4 * words.length);
        message[0] = 6; // ClientCutText
        message.writeInt32BE(-4 * words.length, 4);
        words.forEach((word, i) => message.writeUInt32BE(word, 8 + 4 * i));
        this.connection.write(message);
    }

    resize(width, height) { // one screen of that size
        const message = Buffer.alloc(24);
        message[0] = 251;
        message[6] = 1;
        message.writeUInt16BE(width, 2);
        message.writeUInt16BE(height, 4);
        message.writeUInt16BE(width, 16);
        message.writeUInt16BE(height, 18);
        this.connection.write(message);
    }

    provided(data) {
        const text = data.subarray(4, 4 + data.readUInt32BE(0)).toString();
        this.resolve(text.split('\0')[0]);
    }
}

function probe(service, token, ...words) {
    return run(path.join(build, 'tests/vnc-probe'), [`unix:${service.in('run/display', token)}`, ...words], { timeout: bootDeadline });
}

test('debian-desktop', { timeout: bootDeadline + 300000 }, async (t) => {
    const image = execFileSync(path.join(top, 'machines/build'), ['debian-desktop'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();
    const service = await Service.start(t, 'qwd-server', { accel: 'tcg', form_memory: '1536M' });
    fs.symlinkSync(image, service.in('state/machines/debian-desktop.qcow2'));
    fs.appendFileSync(service.in('machines.conf'), '[debian-desktop.qcow2]\ndescription=Debian 12 with XFCE\n');
    const answer = await service.create({ machine: 'debian-desktop.qcow2', memory: '1536M', cpu: '2' });
    const { id } = JSON.parse(answer.text).session;
    const state = await service.ready(id);
    const token = tokenOf(state.ready.url);
    const agent = new Agent(service.in('run', id, 'agent'));

    await t.test('the agent answers', () => eventually('the agent', () => agent.ask('guest-ping', {}, 5000).then(() => true, () => false), bootDeadline));

    await t.test('the desktop is painted', async () => {
        await eventually('panel and desktop', async () => (await agent.shell('pgrep -x xfdesktop && pgrep -x xfce4-panel')).trim().includes('\n'),
                         bootDeadline);
        fs.mkdirSync(path.join(top, 'build/screenshots'), { recursive: true });
        const picture = path.join(top, 'build/screenshots/debian-desktop.png');
        await eventually('a painted picture', async () => {
            await probe(service, token, '--wait-frame', '--wait-still', '3000', '--deadline', '120000', '--png', picture);
            return fs.statSync(picture).size > 8000; // an empty one has some hundred bytes
        }, 180000);
    });

    await t.test('it follows the size of the viewer', async () => {
        const viewer = await QuietViewer.connect(t, service.in('run/display', token));
        viewer.resize(1120, 720);
        await eventually('the new size', async () => /current 1120 x 720/.test(await agent.shell('xrandr')), 60000);
        const picture = path.join(top, 'build/screenshots/debian-desktop-resized.png');
        await probe(service, token, '--wait-frame', '--wait-size', '1120x720', '--png', picture);
    });

    await t.test('what is copied in the machine reaches the viewer', async () => {
        const viewer = await QuietViewer.connect(t, service.in('run/display', token));
        await agent.shell('setsid sh -c "printf %s \'from the machine\' | xclip -selection clipboard" >/dev/null 2>&1; true');
        assert.equal(await within(120000, 'the clipboard', viewer.text), 'from the machine');
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
