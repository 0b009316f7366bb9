// SPDX-License-Identifier: AGPL-3.0-or-later
// The machine debian-desktop in the viewer of a real browser: painted, answering its agent, following the window's size,
// with the keyboard that a boot script sets, and sharing the clipboard both ways. It boots once, for all of this.
// Tier: full
// Images: debian-desktop tiny
// Cores: 2
// Memory: 3000 MiB

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import test from 'node:test';
import zlib from 'node:zlib';
import { openBrowser, openContext, screenshot } from '../lib/browser.mjs';
import { top } from '../lib/files.mjs';
import { Viewer, viewerPage } from '../lib/viewer-page.mjs';
import { bootTimeoutMs, eventually, timeoutMs } from '../lib/wait.mjs';
import { WebService } from '../lib/web-service.mjs';

const LAYOUT_SCRIPT = 'exec:echo XKBLAYOUT=de > /etc/default/keyboard; udevadm trigger -c change -s input'; // as in CONFIGURE.md

// QEMU guest agent protocol: lines of JSON each way over the session's socket, which the session's supervisor uses as
// well. What comes before the answer to guest-sync is somebody else's.
class Agent {
    constructor(socket) {
        this.path = socket;
        this.count = 0;
    }

    askOnce(command, parameters = {}, ms = 20000) {
        return new Promise((resolve, reject) => {
            const connection = net.connect(this.path), id = 1000000 + ++this.count;
            const send = (execute, words) => connection.write(`${JSON.stringify({ execute, arguments: words })}\n`);
            let text = '', isSent = false;
            connection.setTimeout(ms, () => connection.destroy(new Error(isSent ? `${command}: no answer` : 'out of step')));
            connection.on('error', reject);
            connection.on('data', (data) => {
                text += data;
                const lines = text.split('\n').slice(0, -1).map((line) => JSON.parse(line));
                const at = lines.findIndex((line) => line.return === id);
                const answer = at < 0 ? null : lines[at + 1];
                if (at >= 0 && !isSent) {
                    isSent = true;
                    connection.setTimeout(timeoutMs);
                    send(command, parameters);
                }
                if (!answer)
                    return;
                connection.destroy();
                answer.error ? reject(new Error(answer.error.desc)) : resolve(answer.return);
            });
            send('guest-sync', { id });
        });
    }

    // What a connection says that came right behind another one is lost at times: then it is said again. Only guest-sync is:
    // a command that was sent twice would be done twice, the second time after what the test has done since.
    async ask(command, parameters, tries = 6) {
        try {
            return await this.askOnce(command, parameters);
        } catch (error) {
            if (tries === 1 || error.message !== 'out of step')
                throw error;
            return this.ask(command, parameters, tries - 1);
        }
    }

    // What a shell command of the desktop's user prints; `input` is for it to read.
    async shell(command, input = '') {
        const session = `export DISPLAY=:0 XAUTHORITY=/home/user/.Xauthority; ${command}`;
        const { pid } = await this.ask('guest-exec', { path: '/usr/sbin/runuser', arg: ['-u', 'user', '--', 'sh', '-c', session],
            'input-data': Buffer.from(input).toString('base64'), 'capture-output': true });
        const status = await eventually(command, async () => {
            const now = await this.ask('guest-exec-status', { pid });
            return now.exited && now;
        });
        return Buffer.from(status['out-data'] ?? '', 'base64').toString();
    }

    // As somebody does who copies something in a program.
    copy(text) {
        const command = 'zcat > /tmp/copied; setsid xclip -selection clipboard -i /tmp/copied >/dev/null 2>&1';
        return this.shell(command, zlib.gzipSync(text)); // the agent is slow
    }

    pasted() {
        return this.shell('timeout 20 xclip -selection clipboard -o');
    }
}

// A client of somebody's own that has a link and asks for what was copied (rfbproto, "Extended Clipboard Pseudo-Encoding").
// It asks for no picture, so what it hears is of the clipboard.
class Listener {
    static async open(t, service, link) {
        const listener = new Listener();
        listener.socket = await service.openDisplay(t, link);
        await service.displayName(listener.socket);
        listener.before = listener.socket.length;
        listener.socket.send(Buffer.from([2, 0, 0, 1, 0xc0, 0xa1, 0xe5, 0xce])); // SetEncodings
        return listener;
    }

    cutText(...words) {
        const message = Buffer.alloc(8 + 4 * words.length);
        message[0] = 6; // ClientCutText
        message.writeInt32BE(-4 * words.length, 4);
        words.forEach((word, i) => message.writeUInt32BE(word, 8 + 4 * i));
        this.socket.send(message);
    }

    ask() {
        this.cutText(0x1f000001, 1 << 20); // text, with all actions, up to 1 MiB
        this.cutText(0x02000001);          // request
    }

    get heard() {
        return this.socket.length - this.before;
    }
}

// What is in the clipboards of the browser and of its page.
const browsers = (viewer) => viewer.page.evaluate(() => navigator.clipboard.readText());
const panel = (viewer) => viewer.page.locator('#clipboard').inputValue();

// As somebody does who copies something in another program and comes back.
const copyInBrowser = (viewer, text) => viewer.page.evaluate((copied) =>
    navigator.clipboard.writeText(copied).then(() => window.dispatchEvent(new Event('focus'))), text);

const texts = {
    'a line': 'Größe: 5 €, déjà vu',
    'emoji and other alphabets': '\u{1f600} \u{1f469}\u200d\u{1f4bb} \u65e5\u672c\u8a9e \u041f\u0440\u0438\u0432\u0435\u0442',
    'several lines': 'first\n\n\tthird, indented\n  \u00e4\u00f6\u00fc\u00df\nno end of line',
    '100 kB': Array.from({ length: 2500 }, (_, i) => `${String(i).padStart(5, '0')} ${'\u00fc'.repeat(16)}\n`).join(''),
};

test('debian-desktop', async (t) => {
    const image = execFileSync(path.join(top, 'machines/build'), ['debian-desktop'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();
    const service = await WebService.serve(t, 'qwd-server', { accel: 'tcg', form_memory: '1536M', form_script: 'text', script_deadline: '20m' });
    fs.symlinkSync(image, service.path('service/machines/debian-desktop.qcow2'));
    fs.appendFileSync(service.path('etc/machines.conf'), '[debian-desktop.qcow2]\ndescription=Debian 12 with XFCE\n');
    const id = await service.create({ machine: 'debian-desktop.qcow2', memory: '1536M', cpu: '2', script: LAYOUT_SCRIPT });
    const { ready } = await service.ready(id);
    const agent = new Agent(service.path('run', id, 'agent'));
    const browser = await openBrowser(t);
    const context = await openContext(t, browser);
    await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: service.origin });
    const viewer = await Viewer.open(context, viewerPage(service, id));

    await t.test('the agent answers', () => eventually('the agent', () => agent.askOnce('guest-ping', {}, 5000).then(() => true, () => false), bootTimeoutMs));

    await t.test('the desktop is painted', async () => {
        await eventually('panel and desktop', async () => (await agent.shell('pgrep -x xfdesktop && pgrep -x xfce4-panel')).trim().includes('\n'), bootTimeoutMs);
        await viewer.shown();
        const isGrey = (colour) => /^#(..)\1\1$/.test(colour);
        await eventually('a background, and the panel below', async () =>
            !isGrey(await viewer.colour(0.5, 0.5)) && isGrey(await viewer.colour(0.6, 0.98)));
        await screenshot(viewer.page, 'debian-desktop');
    });

    await t.test('its screen has the size of the window', async () => {
        for (const [width, height] of [[1120, 720], [800, 900], [1280, 800]]) {
            await viewer.page.setViewportSize({ width, height });
            await eventually(`${width} x ${height}`, async () => (await agent.shell('xrandr')).includes(`current ${width} x ${height},`));
        }
        await screenshot(viewer.page, 'debian-desktop-resized');
    });

    await t.test('a boot script gives it another keyboard', async () => {
        await eventually('the script has ended', () => service.record(id).scripts[0].state === 'done');
        // The terminal tells its program when it gets the keyboard (xterm's focus events).
        await agent.shell('cat > /tmp/paper; setsid xfce4-terminal -e "sh /tmp/paper" >/dev/null 2>&1 &',
                          'stty -icanon -echo; printf "\\033[?1004h"; cat > /tmp/typed\n');
        await eventually('a window that has the keyboard', async () => (await agent.shell('cat /tmp/typed')).endsWith('\x1b[I'));
        await agent.shell('xset r off'); // a key that is let go of late is one key all the same
        await viewer.page.locator('#screen canvas').focus();
        for (const code of ['KeyZ', 'KeyY', 'Semicolon', 'Quote', 'BracketLeft', 'Minus'])
            await viewer.strike(code); // Playwright tells their signs of a US keyboard; the places count
        await eventually('the signs', async () => (await agent.shell('cat /tmp/typed')).endsWith('yzöäüß'));
    });

    let watcher;
    await t.test('somebody watches', async () => {
        const others = await openContext(t, browser);
        await others.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: service.origin });
        watcher = await Viewer.open(others, ready.watch_url);
        await watcher.shown();
    });

    for (const [name, text] of Object.entries(texts)) {
        await t.test(`what is copied in the machine is in the browser's clipboard: ${name}`, async () => {
            await viewer.page.bringToFront();
            await agent.copy(text);
            await eventually('the clipboard', async () => await browsers(viewer) === text);
            assert.equal(await panel(viewer), text);
        });
        await t.test(`what is copied in the browser is in the machine's clipboard: ${name}`, async () => {
            const text2 = `${text}!`;
            await copyInBrowser(viewer, text2);
            let pasted;
            await eventually('the clipboard', async () => (pasted = await agent.pasted()) === text2).catch((error) => {
                assert.fail(`${error.message}: ${pasted.length} characters, ${pasted.slice(-30)}; connections: ${viewer.opened}`);
            });
        });
    }

    await t.test('each direction has its switch', async () => {
        await viewer.press('Clipboard');
        await viewer.page.locator('#clipboard-out').uncheck();
        await viewer.page.locator('#clipboard-in').uncheck();
        const before = await browsers(viewer);
        await agent.copy('for the panel alone');
        await eventually('the panel', async () => await panel(viewer) === 'for the panel alone');
        assert.equal(await browsers(viewer), before);
        await copyInBrowser(viewer, 'stays here');
        await viewer.page.locator('#clipboard').fill('written into the panel');
        await eventually('the clipboard', async () => await agent.pasted() === 'written into the panel');
        await screenshot(viewer.page, 'debian-desktop-clipboard');
    });

    await t.test('who watches gets none of it', async () => {
        const text = texts['100 kB'];
        const [owner, other] = [await Listener.open(t, service, ready.url), await Listener.open(t, service, ready.view_url)];
        await agent.copy(text);
        await eventually('the panel', async () => await panel(viewer) === text);
        other.ask();
        owner.ask();
        await eventually('the owner hears the text', () => owner.heard > 1000);
        await agent.copy('once more');
        await eventually('the panel', async () => await panel(viewer) === 'once more');
        await eventually('the notices', () => other.heard > 0);
        assert.ok(other.heard < 200, `${other.heard} bytes: notices alone`);
        assert.equal(await panel(watcher), '');
        assert.ok(!await watcher.page.locator('#bar').getByRole('button', { name: 'Clipboard', exact: true }).isVisible());
        await watcher.page.bringToFront();
        await copyInBrowser(watcher, 'from who watches');
        assert.equal(await eventually('the clipboard', () => agent.pasted()), 'once more');
    });

    await t.test('it powers itself off when the session is stopped', async () => {
        await service.stop(id);
        await service.assertNothingLeft(id);
    });
});
