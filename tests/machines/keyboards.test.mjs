// SPDX-License-Identifier: AGPL-3.0-or-later
// Keyboard layouts: the keys of an AZERTY or QWERTZ keyboard, text that the viewer types, and the keyboard of a phone
// arrive as the right characters in a machine with that layout. The service forbids the clipboard, which typing does not
// need. The machine's screen has the size of the window.
// Tier: full
// Cores: 2

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import test from 'node:test';
import { openBrowser, openContext, screenshot } from '../lib/browser.mjs';
import { TINY, serialShell } from '../lib/machines.mjs';
import { CLIPBOARD_MESSAGES, Viewer, newSession, viewerPage } from '../lib/viewer-page.mjs';
import { bootTimeoutMs, eventually } from '../lib/wait.mjs';
import { WebService, desktopMachine } from '../lib/web-service.mjs';

// Keys as browsers report them (UI Events, KeyboardEvent.code and .key) in the order in which they are pressed; S with
// Shift, G with AltGr. After a dead key, the next one's `key` is the letter with its accent.
const keyboards = {
    fr: String.raw`KeyQ:a KeyA:q KeyW:z KeyZ:w Semicolon:m KeyM:, S+KeyQ:A S+Semicolon:M Digit1:& Digit2:é Digit7:è Digit9:ç Digit0:à
        Quote:ù Digit6:- S+Digit1:1 S+Digit5:5 S+Digit0:0 S+Minus:° G+Digit0:@ G+Digit3:# G+Digit4:{ G+Equal:} G+Digit8:\ G+Digit6:|
        G+KeyE:€ IntlBackslash:< S+IntlBackslash:> Comma:; S+Comma:. Period:: Slash:! S+Slash:§ S+KeyM:?
        BracketLeft:Dead KeyE:ê S+BracketLeft:Dead KeyI:ï BracketLeft:Dead S+KeyO:Ô`,
    de: String.raw`KeyZ:y KeyY:z S+KeyY:Z Semicolon:ö Quote:ä BracketLeft:ü S+Quote:Ä S+Semicolon:Ö S+BracketLeft:Ü Minus:ß S+Minus:?
        S+Digit7:/ S+Digit2:" S+Digit3:§ G+KeyQ:@ G+KeyE:€ G+Digit7:{ G+Digit0:} G+Digit8:[ G+Minus:\ G+IntlBackslash:| G+BracketRight:~
        Backslash:# S+Backslash:' IntlBackslash:< Slash:- S+Slash:_ S+Comma:; S+Backquote:°
        Equal:Dead KeyE:é S+Equal:Dead KeyA:à Backquote:Dead KeyO:ô`,
};
// The same on a Mac, O with Option: a German one with a machine whose layout the viewer does not know, and a French one with
// a French machine.
const macs = {
    us: String.raw`KeyQ:q S+KeyM:M O+KeyL:@ O+Digit5:[ O+Digit6:] O+Digit7:| O+Digit8:{ O+Digit9:} OS+Digit7:\ O+KeyF:ƒ KeyF:f S+Digit1:!`,
    fr: String.raw`KeyQ:a S+KeyQ:A Equal:- S+Equal:_ Slash:= S+Slash:+ Digit8:! Digit6:§ S+Digit8:8 S+BracketRight:* Backquote:@ S+Backquote:#
        O+Digit5:{ O+Minus:} OS+Digit5:[ OS+Minus:] OS+Period:\ OS+KeyL:| O+BracketRight:€ BracketLeft:Dead KeyE:ê O+KeyF:ƒ KeyZ:w`,
};
const madeOf = { 'ƒ': '\x1bf' }; // Alt+F, in a terminal

const texts = {
    fr: String.raw`Où ça?5€@{[#~|\^]}ëÊï°ß`,
    de: String.raw`Größe5€@{[]}\~|^éÀôµ"§`,
    us: String.raw`Az{[@%~|^"\<>#$_+]}?`,
};
const missing = { fr: 'ß', de: '', us: '' }; // these have no key

// Two characters at a time: QEMU's keyboard keeps their keys for a slow machine, but not many more.
const pairsOf = (text) => text.match(/.{1,2}/gsu);
const without = (text, layout) => [...text].filter((sign) => !missing[layout].includes(sign)).join('');

const MODIFIERS = { S: ['ShiftLeft', 'Shift', 1, 8], G: ['AltRight', 'AltGraph', 2, 0], O: ['AltLeft', 'Alt', 1, 1] };

const strokesOf = (keys) => keys.split(/\s+/).map((one) => one.match(/^(?:(\w+)\+)?(\w+):(.+)$/).slice(1));

// Sends the events of a real keyboard. Each key waits for the character of the one before, because a slow machine loses
// keys.
async function strike(page, keys, paper) {
    const devtools = await page.context().newCDPSession(page);
    const event = (type, code, key, location, modifiers) => devtools.send('Input.dispatchKeyEvent', { type, code, key, location, modifiers });
    for (const [held, code, key] of strokesOf(keys)) {
        const modifiers = [...held ?? ''].map((one) => MODIFIERS[one]);
        const all = [];
        let bits = 0;
        for (const [heldCode, heldKey, location, bit] of modifiers)
            all.push(event('rawKeyDown', heldCode, heldKey, location, bits |= bit));
        // A pause between these two would hold the key down, which then repeats.
        all.push(event('rawKeyDown', code, key, 0, bits), event('keyUp', code, key, 0, bits));
        for (const [heldCode, heldKey, location, bit] of modifiers.reverse())
            all.push(event('keyUp', heldCode, heldKey, location, bits &= ~bit));
        await Promise.all(all);
        if (key !== 'Dead')
            await paper.expect(madeOf[key] ?? key);
    }
    await devtools.detach();
}

// A window in the machine that stores the characters.
class Paper {
    constructor(shell) {
        this.shell = shell;
        this.seen = 0;
    }

    async open() {
        await this.shell.run('export DISPLAY=:0 LANG=C.UTF-8');
        await this.active('Terminal'); // takes the keyboard when it comes
        await this.shell.run('xterm -u8 -xrm "*metaSendsEscape: true" -geometry 60x12+0+0 -T paper -e sh -c "stty -icanon -echo; cat > /run/paper" >/dev/null 2>&1 & true');
        await this.active('paper');
    }

    // Waits until the window of that name has the keyboard.
    active(title) {
        const command = 'xprop -id $(xprop -root _NET_ACTIVE_WINDOW | sed "s/.*# //; s/,.*//") WM_NAME 2>/dev/null';
        return eventually(`the window ${title}`, async () => (await this.shell.text(command)).includes(`"${title}"`), bootTimeoutMs);
    }

    setLayout(layout) {
        return this.shell.run(`setxkbmap ${layout}`);
    }

    // The characters since the last call of expect().
    async text() {
        const hex = await this.shell.text(`tail -c +${this.seen + 1} /run/paper | od -An -v -tx1 | tr -d ' \\n'`);
        return Buffer.from(hex.trim(), 'hex').toString();
    }

    async expect(text) {
        let now = '';
        await eventually(text, async () => (now = await this.text()).length >= text.length).catch(() => {});
        this.seen += Buffer.byteLength(now);
        assert.equal(now, text);
    }
}

async function chooseLayout(viewer, layout) {
    await viewer.press('Keys');
    await viewer.page.locator('#layout').selectOption(layout);
}

// A page that scripts take for one on a Mac.
async function openMac(t, browser, url) {
    const context = await openContext(t, browser);
    await context.addInitScript(() => Object.defineProperty(navigator, 'platform', { get: () => 'MacIntel' }));
    const mac = await Viewer.open(context, url);
    await mac.shown();
    await mac.press('Keys');
    await mac.page.getByText('On a Mac, choose the one that the machine has').waitFor();
    await screenshot(mac.page, 'viewer-keys-mac');
    assert.equal(await mac.page.locator('#layout').inputValue(), '');
    await mac.page.locator('#hide').click();
    return mac;
}

test('keyboards', async (t) => {
    const service = await WebService.serve(t, 'qwd-server', { display_clipboard: 'no' }, { machine: desktopMachine });
    const browser = await openBrowser(t);
    const context = await openContext(t, browser);
    await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: service.origin });
    const session = await newSession(service);
    const viewer = await Viewer.open(context, viewerPage(service, session.id));
    const socket = net.connect({ path: service.path('run', session.id, 'serial') });
    t.after(() => socket.destroy());
    await once(socket, 'connect');
    const shell = await serialShell(socket);
    const paper = new Paper(shell);
    await paper.open();
    await viewer.waitForBackground(TINY);

    for (const [layout, keys] of Object.entries(keyboards)) {
        await t.test(`a keyboard with the layout ${layout}`, async () => {
            await paper.setLayout(layout);
            await viewer.page.locator('#screen canvas').focus();
            await strike(viewer.page, keys, paper);
        });
    }

    const mac = await openMac(t, browser, viewerPage(service, session.id));
    for (const [layout, keys] of Object.entries(macs)) {
        await t.test(`a Mac, and a machine with the layout ${layout}`, async () => {
            await paper.setLayout(layout);
            if (layout !== 'us')
                await chooseLayout(mac, layout);
            await mac.page.locator('#screen canvas').focus();
            await strike(mac.page, keys, paper);
        });
    }
    await mac.page.close();

    const phone = await Viewer.open(await openContext(t, browser, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }),
                                    viewerPage(service, session.id));
    await phone.shown();
    for (const [layout, text] of Object.entries(texts)) {
        await t.test(`text is typed with the layout ${layout}`, async () => {
            await paper.setLayout(layout);
            await chooseLayout(viewer, layout);
            await viewer.press('Clipboard');
            for (const pair of pairsOf(text)) {
                const isMissing = without(pair, layout) !== pair;
                await viewer.page.locator('#clipboard').fill(pair);
                await viewer.page.locator('#clipboard-type').click();
                await viewer.page.locator('#toast', { hasText: isMissing ? 'not on the machine\'s keyboard' : /^Typed/ }).waitFor();
                await paper.expect(without(pair, layout));
            }
            await viewer.page.locator('#hide').click();
        });
        await t.test(`a phone types with the layout ${layout}`, async () => {
            await chooseLayout(phone, layout);
            await phone.press('Keyboard');
            await phone.page.locator('#controls').waitFor({ state: 'hidden' });
            await phone.page.touchscreen.tap(195, 700); // the keyboard stays open
            for (const pair of pairsOf(text)) {
                await phone.page.keyboard.insertText(pair);
                await paper.expect(without(pair, layout));
            }
            for (const [key, sign] of [['Backspace', '\x7f'], ['Enter', '\n']]) {
                await phone.page.keyboard.press(key);
                await paper.expect(sign);
            }
        });
    }

    await t.test('the clipboard is forbidden', async () => {
        const before = viewer.count(CLIPBOARD_MESSAGES); // noVNC has announced its formats
        await viewer.page.evaluate(() => navigator.clipboard.writeText('secret').then(() => window.dispatchEvent(new Event('focus'))));
        await viewer.press('Clipboard');
        await viewer.page.locator('#clipboard-note', { hasText: 'not shared on this service' }).waitFor();
        assert.ok(await viewer.page.locator('#clipboard-switches').isHidden());
        assert.notEqual(await viewer.page.locator('#clipboard').inputValue(), 'secret');
        await screenshot(viewer.page, 'viewer-clipboard-forbidden');
        assert.equal(viewer.count(CLIPBOARD_MESSAGES), before);
        assert.equal((await shell.run('grep -q com.redhat.spice.0 /sys/class/virtio-ports/*/name')).status, 1);
        await viewer.page.locator('#hide').click();
    });

    await t.test('the machine\'s screen has the size of the window', async () => {
        await phone.page.close();
        for (const [width, height] of [[1000, 700], [640, 900], [1280, 800]]) {
            await viewer.page.setViewportSize({ width, height });
            await eventually(`${width} x ${height}`, async () => (await shell.text('xrandr')).includes(`current ${width} x ${height},`));
        }
    });
    await service.stop(session.id);
    await service.assertNothingLeft(session.id);
});
