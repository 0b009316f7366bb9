// SPDX-License-Identifier: AGPL-3.0-or-later
// The viewer with the tiny desktop in a browser, behind qwd-server or Apache.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { openBrowser, openContext, saveScreenshot, screenshot } from '../lib/browser.mjs';
import { TINY } from '../lib/machines.mjs';
import { checkAxe, checkWidth } from '../lib/page-checks.mjs';
import { SpiceAgent } from '../lib/spice-agent.mjs';
import { CLIPBOARD_MESSAGES, Viewer, newSession, viewerPage } from '../lib/viewer-page.mjs';
import { isFull } from '../lib/tiers.mjs';
import { eventually, inTime, timeoutMs, until } from '../lib/wait.mjs';
import { WebService, desktopMachine, tokenOf } from '../lib/web-service.mjs';

const GREEN = '#00ff00', BLUE = '#0000ff';
const ENCODINGS_MESSAGES = 2, KEY_MESSAGES = 255, POINTER_MESSAGES = 5; // RFC 6143, 7.5; QEMU's extended key events
const FIRST_VISIT_MAX_BYTES = 400 * 1000;
const FIRST_VISIT_MAX_FILES = 64;
const LOAD_MAX_MS = 10000; // on a busy host, in one visit out of three
const CONTROLS = 'Control+Alt+Shift+KeyM';

async function postForm(service, fields, target = '/cgi-bin/qemu-web-desktop.cgi') {
    const answer = await service.fetch('POST', target, {
        body: new URLSearchParams(fields).toString(),
        headers: { 'Content-Type': 'application/x-www-form-urlencoded', Accept: 'application/json' } });
    return { status: answer.status, ...JSON.parse(answer.text) };
}

// --- the parts ---

// The transferred bytes and files of a first visit, and the time until all modules are loaded.
async function firstVisit(service, browser, session) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    try {
        context.setDefaultTimeout(timeoutMs);
        const page = await context.newPage();
        const devtools = await context.newCDPSession(page);
        let bytes = 0, files = 0;
        await devtools.send('Network.enable');
        devtools.on('Network.loadingFinished', ({ encodedDataLength }) => {
            bytes += encodedDataLength;
            files++;
        });
        await page.goto(session.viewer_url);
        await page.locator('#screen.shown').waitFor();
        const ms = await page.evaluate(() => performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('.js'))
            .reduce((last, { responseEnd }) => Math.max(last, responseEnd), 0));
        return { bytes, files, ms: Math.round(ms) };
    } finally {
        await context.close();
    }
}

async function loading(t, service, browser, session) {
    let visit = await firstVisit(service, browser, session);
    for (let more = 2; more > 0 && visit.ms >= LOAD_MAX_MS; more--) // the host may have been slow
        visit = await firstVisit(service, browser, session);
    t.diagnostic(`first visit: ${visit.files} files, ${visit.bytes} bytes, modules after ${visit.ms} ms`);
    assert.ok(visit.files > 40 && visit.bytes > 50000, 'the transfer is measured');
    assert.ok(visit.files <= FIRST_VISIT_MAX_FILES, `${visit.files} files`);
    assert.ok(visit.bytes < FIRST_VISIT_MAX_BYTES, `${visit.bytes} bytes`);
    assert.ok(visit.ms < LOAD_MAX_MS, `${visit.ms} ms`);
    const answer = await service.fetch('GET', '/qemu-web-desktop/novnc/core/rfb.js', { headers: { 'Accept-Encoding': 'gzip' } });
    assert.equal(answer.headers['content-encoding'], 'gzip');
    assert.match(answer.headers.vary, /Accept-Encoding/i);
    assert.equal((await service.fetch('GET', '/qemu-web-desktop/novnc/core/rfb.js')).headers['content-encoding'], undefined);
    for (const target of ['/qemu-web-desktop/novnc/vnc.html', '/qemu-web-desktop/novnc/core/', '/qemu-web-desktop/novnc/core/..%2f..%2fetc/passwd'])
        assert.ok((await service.fetch('GET', target)).status >= 400, target);
}

// Connect shows the desktop, and the machine gets the keys.
async function useDesktop(t, service, context, session) {
    const viewer = await Viewer.open(context, viewerPage(service, session.id));
    await viewer.shown();
    await viewer.waitForBackground(TINY);
    await viewer.waitForTerminal();
    assert.match(await viewer.page.title(), /tiny.* - Connected/i);
    await viewer.focusTerminal();
    await viewer.write('xsetroot -solid green\n');
    await viewer.waitForBackground(GREEN);
    assert.equal(viewer.lost, 0);
    assert.deepEqual(viewer.errors, []);
    await saveScreenshot(viewer.page, `${service.face}-viewer`);
    return viewer;
}

async function keyboardOnly(viewer) {
    const { page } = viewer;
    const before = viewer.count(KEY_MESSAGES);
    await page.locator('#screen canvas').focus();
    await page.keyboard.press(CONTROLS);
    await viewer.waitForSent(KEY_MESSAGES, before + 6); // Ctrl, Alt and Shift, down and up
    await page.locator('#controls').waitFor();
    assert.ok(await page.evaluate(() => document.getElementById('controls').contains(document.activeElement)), 'the focus is in the controls');
    const keys = viewer.count(KEY_MESSAGES);
    for (let i = 0; i < 20 && !await page.evaluate(() => document.activeElement.textContent === 'Keys'); i++)
        await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.locator('#keys-panel').waitFor();
    assert.equal(viewer.count(KEY_MESSAGES), keys, 'keys of the controls do not reach the machine');
    await page.keyboard.press('Escape');
    await page.locator('#keys-panel').waitFor({ state: 'hidden' });
    await page.keyboard.press('Escape');
    await page.locator('#controls').waitFor({ state: 'hidden' });
    assert.equal(await page.evaluate(() => document.activeElement.tagName), 'CANVAS', 'the machine has the focus again');
    await viewer.write('xsetroot -solid blue\n');
    await viewer.waitForBackground(BLUE);
}

// Characters become keys of the machine's keyboard, also capital letters and punctuation.
async function typedText(viewer) {
    await viewer.press('Clipboard');
    await viewer.page.locator('#clipboard').fill('X="GREEN"; xsetroot -solid $(echo $X | tr A-Z a-z)\n');
    // A machine that is slow at that moment loses keys. Then they are typed again.
    await inTime(10, async (seconds) => {
        await viewer.page.locator('#clipboard-type').click();
        const isGreen = async () => await viewer.colour(0.9, 0.8) === GREEN;
        return eventually('the text has been run', isGreen, seconds * 1000).catch(() => viewer.discardLine());
    });
    await viewer.page.locator('#clipboard').fill('x'.repeat(20000)); // more than can be typed before it is stopped
    await viewer.page.locator('#clipboard-type').click();
    await viewer.page.getByRole('button', { name: 'Stop typing' }).press('Escape');
    await viewer.page.locator('#toast', { hasText: /^Only the first \d+ of 20000 characters were typed\.$/ }).waitFor();
    await viewer.page.locator('#hide').click();
    await viewer.page.keyboard.press('Control+KeyU');
}

async function otherControls(viewer) {
    const { page } = viewer;
    const isFull = async (is) => {
        await page.waitForFunction((wanted) => Boolean(document.fullscreenElement) === wanted, is);
        await page.locator('#controls').waitFor({ state: 'hidden' });
    };
    await viewer.press('Full screen');
    await isFull(true);
    await viewer.openControls();
    await page.getByRole('button', { name: 'Full screen', pressed: true }).waitFor();
    await viewer.press('Full screen');
    await isFull(false);

    await viewer.press('Picture');
    for (const line of ['Slow', 'Medium', 'Fast']) {
        const before = viewer.count(ENCODINGS_MESSAGES);
        await page.getByLabel(`${line}: `).check();
        await viewer.waitForSent(ENCODINGS_MESSAGES, before + 1);
    }

    const [own] = await Promise.all([page.waitForEvent('popup'), viewer.press('Own window')]);
    await viewer.says('Shown in its own window');
    await own.locator('#screen.shown').waitFor();
    assert.equal(await own.locator('#window').getAttribute('hidden'), '', 'it has one');
    await own.close();
    await page.getByRole('button', { name: 'Show it here' }).click();
    await viewer.shown();
}

async function screenKeys(viewer) {
    await viewer.write('xsetroot -solid blue');
    await viewer.press('Keys');
    const hold = viewer.page.locator('#keys').getByRole('button', { name: 'Ctrl', exact: true });
    await hold.click();
    assert.equal(await hold.getAttribute('aria-pressed'), 'true');
    const before = viewer.count(KEY_MESSAGES);
    await viewer.page.locator('#keys').getByRole('button', { name: 'Left', exact: true }).click();
    assert.equal(await hold.getAttribute('aria-pressed'), 'false', 'it is held for one key');
    await viewer.waitForSent(KEY_MESSAGES, before + 3);
    await viewer.page.locator('#keys').getByRole('button', { name: 'Enter', exact: true }).click();
    await viewer.waitForBackground(BLUE);
    await viewer.page.locator('#hide').click();
}

async function resize(viewer) {
    await viewer.page.setViewportSize({ width: 1000, height: 700 });
    await viewer.hasSize(1000, 700);
    await viewer.press('Picture');
    await viewer.page.getByLabel('The picture is scaled to this window').check();
    await viewer.page.locator('#hide').click();
    await viewer.page.setViewportSize({ width: 800, height: 600 });
    await viewer.page.waitForFunction(() => document.querySelector('#screen canvas').getBoundingClientRect().width <= 800);
    await viewer.hasSize(1000, 700); // the machine keeps its size
    await viewer.press('Picture');
    await viewer.page.getByLabel('The machine\'s screen follows this window').check();
    await viewer.page.setViewportSize({ width: 1280, height: 800 });
    await viewer.hasSize(1280, 800);
    await viewer.page.locator('#hide').click();
}

// A link to watch shows the desktop, and its keys and clicks change nothing. The token is in no request line.
async function watching(t, service, browser, session) {
    const context = await openContext(t, browser);
    const viewer = await Viewer.open(context, session.watch_url);
    await viewer.waitForBackground(BLUE);
    const token = session.watch_url.split('token=')[1];
    assert.ok(viewer.requests.every((url) => !url.includes(token)), 'the token is in no address');
    await viewer.focusTerminal();
    await viewer.type('xsetroot -solid green\n');
    assert.equal(viewer.count(KEY_MESSAGES) + viewer.count(POINTER_MESSAGES), 0);
    await viewer.openControls();
    await viewer.page.locator('#watching').waitFor();
    await viewer.page.locator('#people', { hasText: '2 connected' }).waitFor();
    await viewer.page.locator('#hide').click();
    await viewer.page.keyboard.press(CONTROLS);
    assert.ok(await viewer.page.evaluate(() => document.getElementById('controls').contains(document.activeElement)), 'the focus skips the hidden button');
    for (const name of ['Keys', 'Share', 'Stop'])
        assert.equal(await viewer.page.locator('#bar').getByRole('button', { name, exact: true }).isVisible(), false, name);
    assert.equal(await viewer.colour(0.9, 0.8), BLUE);
    await screenshot(viewer.page, `${service.face}-viewer-watching`);
    return viewer;
}

async function reconnects(service, viewer) {
    const websockify = JSON.parse(fs.readFileSync(service.path('run/websockify-socket.json'), 'utf8'));
    const lost = viewer.lost;
    process.kill(-websockify.pid, 'SIGKILL'); // the group has the websockify of each viewer
    await until(viewer, 'lost', () => viewer.lost > lost, 'the connection is lost');
    await viewer.waitForBackground(BLUE);
    await service.endFront();
    await viewer.says('The service cannot be reached');
    await viewer.page.locator('#retry').waitFor();
    assert.match(await viewer.page.locator('#status-wait').textContent(), /Next try in \d+ s/);
    assert.match(await viewer.page.title(), /Not connected/);
    await screenshot(viewer.page, `${service.face}-viewer-away`);
    await viewer.press('Clipboard');
    await viewer.page.locator('#clipboard').fill('x');
    await viewer.page.locator('#clipboard-type').click();
    await viewer.page.locator('#toast', { hasText: 'Nothing was typed.' }).waitFor();
    await viewer.page.locator('#hide').click();
    await service.startFront();
    await viewer.page.locator('#retry').click().catch(() => {}); // the viewer may have reconnected already
    await viewer.waitForBackground(BLUE);
}

async function clipboard(viewer) {
    await viewer.press('Clipboard');
    const before = viewer.count(CLIPBOARD_MESSAGES);
    await viewer.page.locator('#clipboard').fill('from the browser');
    await viewer.waitForSent(CLIPBOARD_MESSAGES, before + 1);
    await viewer.page.locator('#hide').click();
}

// With the browser's permission, texts that are copied go both ways. The permission counts after a reload.
async function automaticClipboard(t, service, context, viewer, session) {
    await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: service.origin });
    await viewer.page.bringToFront();
    await viewer.page.reload();
    await viewer.shown();
    const agent = await SpiceAgent.start(t, service.path('run', session.id, 'serial'));
    const asked = viewer.count(CLIPBOARD_MESSAGES);
    await agent.offer();
    await viewer.waitForSent(CLIPBOARD_MESSAGES, asked + 1);
    await agent.send('Gr\u00fc\u00dfe from the machine');
    const browsers = () => viewer.page.evaluate(() => navigator.clipboard.readText());
    await eventually('the text is in the browser', async () => await browsers() === 'Gr\u00fc\u00dfe from the machine');
    assert.equal(await viewer.page.locator('#clipboard').inputValue(), 'Gr\u00fc\u00dfe from the machine');
    const sent = viewer.count(CLIPBOARD_MESSAGES);
    await viewer.page.evaluate(() => navigator.clipboard.writeText('from the browser\n').then(() => window.dispatchEvent(new Event('focus'))));
    await viewer.waitForSent(CLIPBOARD_MESSAGES, sent + 1);
    await agent.expect('from the browser');
    await copiedElsewhere(viewer, agent, browsers);
}

// A text that the machine copies while the page is in the background reaches the browser's clipboard later, unless another
// text was copied there meanwhile.
async function copiedElsewhere(viewer, agent, browsers) {
    const setFocus = (isHere) => viewer.page.evaluate((is) => {
        document.hasFocus = () => is;
        window.dispatchEvent(new Event(is ? 'focus' : 'blur'));
    }, isHere);
    for (const copied of [null, 'copied elsewhere\n']) {
        await setFocus(false);
        const asked = viewer.count(CLIPBOARD_MESSAGES), text = `while away: ${copied}`;
        await agent.offer();
        await viewer.waitForSent(CLIPBOARD_MESSAGES, asked + 1);
        await agent.send(text);
        await eventually('the text is in the viewer', async () => await viewer.page.locator('#clipboard').inputValue() === text);
        if (copied)
            await viewer.page.evaluate((mine) => navigator.clipboard.writeText(mine), copied);
        await setFocus(true);
        await viewer.page.mouse.click(300, 150);
        if (copied)
            await agent.expect(copied.trim());
        await eventually('the text that was copied last', async () => await browsers() === (copied ?? text));
    }
}

async function shareAndRevoke(t, service, browser, owner) {
    const context = await openContext(t, browser);
    await owner.press('Share');
    const dialog = owner.page.locator('#share-dialog');
    await dialog.getByLabel('Another link, for').fill('Paul');
    await dialog.getByLabel('They may').selectOption('control');
    await dialog.getByRole('button', { name: 'Make a link' }).click();
    const link = await dialog.getByRole('textbox', { name: 'Link: Paul' }).inputValue();
    await dialog.getByRole('button', { name: 'Copy link: Paul' }).click();
    await dialog.getByText('Copied.', { exact: true }).waitFor();
    await screenshot(owner.page, `${service.face}-viewer-copied`);
    await dialog.getByLabel('Another link, for').press('Control+KeyV');
    const pasted = await eventually('the copied text', () => dialog.getByLabel('Another link, for').inputValue());
    assert.ok(pasted.length > 20 && link.startsWith(pasted), pasted);
    const guest = await Viewer.open(context, link);
    await guest.shown();
    await dialog.locator('#viewers li', { hasText: 'Paul' }).waitFor();
    await dialog.getByRole('button', { name: 'QR code: Paul' }).click();
    await dialog.locator('svg path').waitFor();
    await screenshot(owner.page, `${service.face}-viewer-share`);
    await dialog.getByRole('button', { name: /^Disconnect .*Paul/ }).click();
    await guest.says('You have been disconnected');
    await guest.page.locator('#retry').click();
    await guest.shown();
    await dialog.getByRole('button', { name: 'Revoke: Paul' }).click();
    await guest.says('This link does not work any more');
    await screenshot(guest.page, `${service.face}-viewer-revoked`);
    await replaceLink(owner, dialog, guest);
    await owner.page.keyboard.press('Escape');
    await guest.page.close();
    return link;
}

// The old link does not work any more, and its owner is connected by the new one.
async function replaceLink(owner, dialog, guest) {
    const own = dialog.getByRole('textbox', { name: 'Link: Your own link' }), before = await own.inputValue();
    await dialog.getByRole('button', { name: 'Make anew: Your own link' }).click();
    await eventually('another link', async () => await own.inputValue() !== before);
    await owner.shown();
    await guest.page.goto(before);
    await guest.says('This link does not work any more');
}

// The answers to unknown and revoked tokens are the same.
async function linkStates(service, session, revoked) {
    const state = await postForm(service, { token: session.watch_url.split('token=')[1] });
    assert.equal(state.link.role, 'view');
    assert.deepEqual(Object.keys(state.link).sort(),
                     ['end', 'has_clipboard', 'is_oneshot', 'machine', 'over', 'role', 'state', 'viewers']);
    const answers = await Promise.all([revoked.split('token=')[1], '0'.repeat(32), session.id].map((token) => postForm(service, { token })));
    for (const answer of answers) {
        assert.equal(answer.status, 404);
        assert.deepEqual(answer, answers[0]);
    }
    const get = await service.fetch('GET', `/cgi-bin/qemu-web-desktop.cgi?token=${'0'.repeat(32)}`, { headers: { Accept: 'application/json' } });
    assert.equal(get.status, 405);
}

// The path of links, which needs no login, has nothing but the viewer.
async function onlyTheViewer(service, session) {
    const page = await service.fetch('GET', '/darts/viewer');
    assert.equal(page.status, 200);
    assert.match(page.headers['content-security-policy'], /^default-src 'self';.*connect-src 'self' ws:\/\/127\.0\.0\.1:\d+ wss:/);
    assert.equal(page.headers['cache-control'], 'no-store');
    assert.equal(page.headers['content-encoding'], undefined);
    for (const query of ['manage=1', `session=${session.id}&manage=1`, `view=${session.id}`])
        assert.equal((await service.fetch('GET', `/darts/viewer?${query}`)).status, 404, query);
    assert.doesNotMatch((await service.fetch('GET', `/darts/viewer?session=${session.id}`)).text, new RegExp(session.id));
    for (const fields of [{ create: 'Create', machine: service.machine.name }, { session_stop: session.id }, { service_purge: 'all' }])
        assert.equal((await postForm(service, fields, '/darts/viewer')).status, 404, JSON.stringify(fields));
    assert.equal((await service.sessionState(session.id)).state, 'running');
    const state = await postForm(service, { token: session.watch_url.split('token=')[1] }, '/darts/viewer');
    assert.equal(state.link.state, 'running');
}

// Accessibility of each panel and dialog. The full tier has both colour schemes in both sizes.
async function access(t, service, browser, session) {
    const desk = { viewport: { width: 1280, height: 800 } }, phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
    const visits = ['light', 'dark'].flatMap((colorScheme) => [[`desk-${colorScheme}`, { ...desk, colorScheme }], [`phone-${colorScheme}`, { ...phone, colorScheme }]]);
    for (const [name, options] of isFull ? visits : [visits[0], visits[3]]) {
        const { viewport } = options;
        const context = await openContext(t, browser, options);
        const viewer = await Viewer.open(context, viewerPage(service, session.id));
        const { page } = viewer;
        await viewer.shown();
        await screenshot(page, `${service.face}-viewer-${name}-closed`);
        await checkAxe(page, `${name}, closed`);
        for (const panel of ['Clipboard', 'Keys', 'Picture']) {
            await viewer.press(panel);
            await screenshot(page, `${service.face}-viewer-${name}-${panel}`);
            await checkAxe(page, `${name}, ${panel}`);
            const box = await page.locator('#controls').boundingBox();
            assert.ok(box.x >= 0 && box.x + box.width <= viewport.width, `${panel} fits on a ${name}`);
            const tight = await page.locator('#controls button:visible').evaluateAll((buttons) =>
                buttons.filter((button) => button.scrollWidth > button.clientWidth).map((button) => button.textContent));
            assert.deepEqual(tight, [], `the labels fit into the buttons on a ${name}`);
        }
        for (const [button, dialog] of [['Share', '#share-dialog'], ['Stop', '#stop-dialog']]) {
            await viewer.press(button);
            await page.locator(dialog).waitFor();
            await screenshot(page, `${service.face}-viewer-${name}-${button}`);
            await checkAxe(page, `${name}, ${button}`);
            await checkWidth(page, `${name}, ${button}`);
            await page.keyboard.press('Escape');
        }
        if (options.isMobile)
            await phoneKeyboard(viewer);
        await page.close();
    }
}

// The keyboard of a phone changes the text of a field without keys.
async function phoneKeyboard(viewer) {
    await viewer.press('Keyboard');
    const before = viewer.count(KEY_MESSAGES);
    assert.equal(await viewer.page.evaluate(() => document.activeElement.id), 'typing');
    await viewer.page.keyboard.insertText('Ab');
    await viewer.waitForSent(KEY_MESSAGES, before + 6); // Shift down, A down, A up, Shift up; B down, B up
}

async function stopSession(service, owner, watcher, id) {
    await owner.press('Stop');
    await owner.page.locator('#stop-yes').click();
    for (const viewer of [owner, watcher]) {
        await viewer.says('The session is over');
        assert.match(await viewer.page.title(), /Ended/);
    }
    await owner.page.locator('#again').waitFor();
    await screenshot(owner.page, `${service.face}-viewer-over`);
    await service.assertNothingLeft(id);
}

async function direct(t, browser, face) {
    const service = await WebService.serve(t, face, { service_path: '' });
    const session = await newSession(service, '128M');
    const context = await openContext(t, browser);
    for (const url of [viewerPage(service, session.id), session.viewer_url]) {
        const viewer = await Viewer.open(context, url);
        await viewer.shown();
        assert.deepEqual(viewer.errors, []);
        await viewer.page.close();
    }
    await service.stop(session.id);
    await service.assertNothingLeft(session.id);
}

// --- all rows ---

// isWhole: all rows, or only those in which the web server has a part.
export async function runViewer(t, face, isWhole = false) {
    const service = await WebService.serve(t, face, {}, { machine: desktopMachine });
    const browser = await openBrowser(t);
    const context = await openContext(t, browser);
    const session = await newSession(service);
    let owner, watcher, revoked;
    const part = async (name, run) => {
        let failure;
        await t.test(name, (t) => run(t).catch((error) => {
            failure = error;
            throw error;
        }));
        if (failure)
            throw new Error(`"${name}" has failed`);
    };
    await part('a first visit is small', (t) => loading(t, service, browser, session));
    await part('Connect shows a desktop that gets the keys', async (t) => {
        owner = await useDesktop(t, service, context, session);
    });
    if (isWhole) {
        await part('the controls work with the keyboard alone', () => keyboardOnly(owner));
        await part('text is typed with the machine\'s keys', () => typedText(owner));
        await part('keys on the screen', () => screenKeys(owner));
        await part('the machine\'s screen follows the window, or is scaled to it', () => resize(owner));
        await part('the clipboard goes to the machine', () => clipboard(owner));
        await part('full screen, the picture, a window of its own', () => otherControls(owner));
    } else {
        await owner.write('xsetroot -solid blue\n'); // for the watcher
        await owner.waitForBackground(BLUE);
    }
    await part('a link to watch shows the desktop and lets nothing through', async () => {
        watcher = await watching(t, service, browser, session);
    });
    await part('the viewer reconnects after websockify or the web server was away', () => reconnects(service, owner));
    await part('a shared link works until it is revoked', async (t) => {
        revoked = await shareAndRevoke(t, service, browser, owner);
    });
    await part('a token shows the state of its link alone', () => linkStates(service, session, revoked));
    await part('the path of links serves the viewer alone', () => onlyTheViewer(service, session));
    if (isWhole)
        await part('accessibility, on a large screen and on a phone', (t) => access(t, service, browser, session));
    if (isWhole)
        await part('the clipboard goes both ways by itself', (t) => automaticClipboard(t, service, context, owner, session));
    await part('Stop ends the session, and all viewers show it', () => stopSession(service, owner, watcher, session.id));
    if (isFull)
        await part('without service_path too', (t) => direct(t, browser, face));
    await part('no log has a token', async () => {
        const log = service.logText();
        for (const url of [session.viewer_url, session.watch_url, revoked])
            assert.ok(!log.includes(url.split('token=')[1]), 'a token in the log');
        assert.ok(!log.includes(tokenOf(session.url)));
    });
}
