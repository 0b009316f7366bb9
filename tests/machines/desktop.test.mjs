// SPDX-License-Identifier: AGPL-3.0-or-later
// The machine debian-desktop in the viewer: its desktop is painted, its agent answers, its screen follows the window, a boot
// script sets its keyboard, and the clipboard goes both ways. It boots once for all rows.
// Tier: full
// Images: debian-desktop tiny
// Cores: 2
// Memory: 3000 MiB

import assert from 'node:assert/strict';
import net from 'node:net';
import path from 'node:path';
import test from 'node:test';
import zlib from 'node:zlib';
import { openBrowser, openContext, screenshot } from '../lib/browser.mjs';
import { imageFolder } from '../lib/machines.mjs';
import { Viewer, viewerPage } from '../lib/viewer-page.mjs';
import { bootTimeoutMs, eventually, timeoutMs } from '../lib/wait.mjs';
import { WebService } from '../lib/web-service.mjs';

const LAYOUT_SCRIPT = 'exec:echo XKBLAYOUT=de > /etc/default/keyboard; udevadm trigger -c change -s input'; // as in CONFIGURE.md

// QEMU guest agent protocol: lines of JSON over the session's socket, which the supervisor uses as well. The lines before
// the answer to guest-sync belong to the supervisor.
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

    // A request on a connection that follows another one at once may be lost. Only guest-sync is repeated, because a command
    // that was sent twice would run twice.
    async ask(command, parameters, tries = 6) {
        try {
            return await this.askOnce(command, parameters);
        } catch (error) {
            if (tries === 1 || error.message !== 'out of step')
                throw error;
            return this.ask(command, parameters, tries - 1);
        }
    }

    // Runs a shell command as the desktop's user, with `input` as its standard input. Returns its output.
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

    // Copies a text as a program does.
    copy(text) {
        const command = 'zcat > /tmp/copied; setsid xclip -selection clipboard -i /tmp/copied >/dev/null 2>&1';
        return this.shell(command, zlib.gzipSync(text)); // the agent is slow
    }

    pasted() {
        return this.shell('timeout 20 xclip -selection clipboard -o');
    }
}

// A client with a link that requests the clipboard (rfbproto, "Extended Clipboard Pseudo-Encoding"). It requests no picture,
// so all it receives is about the clipboard.
class ClipboardClient {
    static async open(t, service, link) {
        const client = new ClipboardClient();
        client.socket = await service.openDisplay(t, link);
        await service.displayName(client.socket);
        client.before = client.socket.length;
        client.socket.send(Buffer.from([2, 0, 0, 1, 0xc0, 0xa1, 0xe5, 0xce])); // SetEncodings
        return client;
    }

    cutText(...words) {
        const message = Buffer.alloc(8 + 4 * words.length);
        message[0] = 6; // ClientCutText
        message.writeInt32BE(-4 * words.length, 4);
        words.forEach((word, i) => message.writeUInt32BE(word, 8 + 4 * i));
        this.socket.send(message);
    }

    request() {
        this.cutText(0x1f000001, 1 << 20); // text, with all actions, up to 1 MiB
        this.cutText(0x02000001);          // request
    }

    get received() {
        return this.socket.length - this.before;
    }
}

// The contents of the clipboards of the browser and of its page.
const browsers = (viewer) => viewer.page.evaluate(() => navigator.clipboard.readText());
const panel = (viewer) => viewer.page.locator('#clipboard').inputValue();

// Copies a text as another program does while the page is in the background.
const copyInBrowser = (viewer, text) => viewer.page.evaluate((copied) =>
    navigator.clipboard.writeText(copied).then(() => window.dispatchEvent(new Event('focus'))), text);

const texts = {
    'a line': 'Größe: 5 €, déjà vu',
    'emoji and other alphabets': '\u{1f600} \u{1f469}\u200d\u{1f4bb} \u65e5\u672c\u8a9e \u041f\u0440\u0438\u0432\u0435\u0442',
    'several lines': 'first\n\n\tthird, indented\n  \u00e4\u00f6\u00fc\u00df\nno end of line',
    '100 kB': Array.from({ length: 2500 }, (_, i) => `${String(i).padStart(5, '0')} ${'\u00fc'.repeat(16)}\n`).join(''),
};

test('debian-desktop', async (t) => {
    const machine = { name: 'debian-desktop.qcow2', description: 'Debian 12 with XFCE',
        image: () => path.join(imageFolder('debian-desktop'), 'debian-desktop.qcow2') };
    const settings = { form_memory: '1536M', form_script: 'text', script_deadline: '20m', session_stop_grace: '2m' };
    const service = await WebService.serve(t, 'qwd-server', settings, { machine });
    const id = await service.create({ memory: '1536M', cpu: '2', script: LAYOUT_SCRIPT });
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
        await service.until(id, ({ scripts }) => ['done', 'failed'].includes(scripts[0].state), bootTimeoutMs);
        assert.equal(service.record(id).scripts[0].state, 'done', service.record(id).scripts[0].output);
        // The terminal tells its program when it gets the keyboard (xterm's focus events).
        await agent.shell('cat > /tmp/paper; setsid xfce4-terminal -e "sh /tmp/paper" >/dev/null 2>&1 &',
                          'stty -icanon -echo; printf "\\033[?1004h"; cat > /tmp/typed\n');
        await eventually('a window that has the keyboard', async () => (await agent.shell('cat /tmp/typed')).endsWith('\x1b[I'));
        await agent.shell('xset r off'); // a key that stays down for long is one key all the same
        await viewer.page.locator('#screen canvas').focus();
        for (const code of ['KeyZ', 'KeyY', 'Semicolon', 'Quote', 'BracketLeft', 'Minus'])
            await viewer.strike(code); // Playwright sends the characters of a US keyboard; the codes count
        await eventually('the characters', async () => (await agent.shell('cat /tmp/typed')).endsWith('yzöäüß'));
    });

    let watcher;
    await t.test('a link to watch shows the desktop', async () => {
        const others = await openContext(t, browser);
        await others.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: service.origin });
        watcher = await Viewer.open(others, ready.watch_url);
        await watcher.shown();
    });

    for (const [name, text] of Object.entries(texts)) {
        await t.test(`a text that the machine copies is in the browser's clipboard: ${name}`, async () => {
            await viewer.page.bringToFront();
            await agent.copy(text);
            await eventually('the clipboard', async () => await browsers(viewer) === text);
            assert.equal(await panel(viewer), text);
        });
        await t.test(`a text that the browser copies is in the machine's clipboard: ${name}`, async () => {
            const text2 = `${text}!`;
            await copyInBrowser(viewer, text2);
            let pasted;
            await eventually('the clipboard', async () => (pasted = await agent.pasted()) === text2).catch((error) => {
                assert.fail(`${error.message}: ${pasted.length} characters, ${pasted.slice(-30)}; connections: ${viewer.opened}`);
            });
        });
    }

    await t.test('each direction has a switch', async () => {
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

    await t.test('a link to watch gets no text', async () => {
        const text = texts['100 kB'];
        const [owner, other] = [await ClipboardClient.open(t, service, ready.url), await ClipboardClient.open(t, service, ready.view_url)];
        await agent.copy(text);
        await eventually('the panel', async () => await panel(viewer) === text);
        other.request();
        owner.request();
        await eventually('the owner gets the text', () => owner.received > 1000);
        await agent.copy('once more');
        await eventually('the panel', async () => await panel(viewer) === 'once more');
        await eventually('the notices', () => other.received > 0);
        assert.ok(other.received < 200, `${other.received} bytes: only notices`);
        assert.equal(await panel(watcher), '');
        assert.ok(!await watcher.page.locator('#bar').getByRole('button', { name: 'Clipboard', exact: true }).isVisible());
        await watcher.page.bringToFront();
        await copyInBrowser(watcher, 'from the watcher');
        assert.equal(await eventually('the clipboard', () => agent.pasted()), 'once more');
    });

    await t.test('Stop powers the machine off', async () => {
        await service.stop(id);
        await service.assertNothingLeft(id);
    });
});
