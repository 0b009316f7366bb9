// SPDX-License-Identifier: AGPL-3.0-or-later
// The main job, from the form to the desktop, and the other scenarios behind a web server. apache.test.mjs and
// qwd-server.test.mjs run them.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { Desktop, openBrowser, openContext, saveScreenshot, screenshot, stopOnPage } from '../lib/browser.mjs';
import { asAccount, listeningPorts } from '../lib/programs.mjs';
import { isFull } from '../lib/tiers.mjs';
import { until } from '../lib/wait.mjs';
import { WebService, desktopMachine, tokenOf } from '../lib/web-service.mjs';

const GREEN = '#00ff00', BLUE = '#0000ff', TINY = '#31586b';
const IDLE_MS = 12000; // longer than the time-outs of the web servers here
const KEY_MESSAGES = 255, POINTER_MESSAGES = 5; // QEMU's extended key events; RFC 6143, 7.5.5

const links = []; // no log may have their tokens

// A row that the following ones depend on.
async function step(t, name, run) {
    let failure;
    await t.test(name, (t) => run(t).catch((error) => {
        failure = error;
        throw error;
    }));
    if (failure)
        throw new Error(`"${name}" has failed`);
}

// Holds sessions at the last step of their start until the returned function is called.
export async function holdStarts(t, service) {
    const [program, ...words] = [...asAccount, 'flock', '--no-fork', service.path('run/websockify.lock'), 'sh', '-c', 'echo held; read line'];
    const holder = spawn(program, words, { stdio: ['pipe', 'pipe', 'inherit'], cwd: '/' });
    const release = async () => {
        holder.stdin.end();
        if (holder.exitCode === null)
            await once(holder, 'exit');
    };
    t.after(release);
    await once(holder.stdout, 'data');
    return release;
}

// Fills in the form and presses Create. Returns the id of the new session.
export async function createByForm(page, service, { memory = '128M', oneshot = false, origin = service.origin } = {}) {
    await page.goto(`${origin}/qemu-web-desktop/`);
    assert.equal(await page.locator('input[name=machine]').inputValue(), service.machine.name, 'the only machine is chosen already');
    await page.getByLabel('Memory').selectOption(memory);
    await page.getByLabel('Life-time').selectOption('2h');
    if (oneshot)
        await page.getByLabel(/One-shot/).check();
    await Promise.all([page.waitForNavigation(), page.getByRole('button', { name: 'Create' }).click()]);
    const id = new URL(page.url()).searchParams.get('session');
    assert.ok(id, `Create led to ${page.url()}: ${await page.locator('main').textContent()}`);
    return id;
}

// The links of a session that is ready. Its page links to the viewer; its JSON state also to noVNC's page.
async function readLinks(page) {
    await page.locator('#connect, #again').first().waitFor();
    assert.equal(await page.locator('#again').count(), 0, await page.locator('main').textContent());
    // The browser asks, because it repeats a request when the server has just closed the idle connection.
    const { session } = await page.evaluate(async () => (await fetch(location.href, { headers: { Accept: 'application/json' } })).json());
    const { url: link, view_url: view, ...offered } = session.ready;
    assert.equal(await page.locator('#connect').getAttribute('href'), offered.connect);
    assert.equal(await page.locator('#link').inputValue(), offered.viewer_url);
    assert.equal(await page.locator('#view-link').count(), view ? 1 : 0);
    assert.ok(offered.viewer_url.endsWith(`#token=${tokenOf(link)}`));
    links.push(...[link, view].filter(Boolean));
    return { link, view };
}

const endTime = async (page) => Date.parse(await page.locator('dt:has-text("Ends") + dd time').getAttribute('datetime'));

// --- 1: the main job ---

export async function mainJob(t, service, browser) {
    const context = await openContext(t, browser);
    const state = {};
    let page, desktop;

    await step(t, 'the form leads to a page that shows progress, then links, QR code and end time', async (t) => {
        const release = await holdStarts(t, service);
        page = await context.newPage();
        state.id = await createByForm(page, service, { memory: '512M' });
        const loads = [];
        page.on('request', (request) => request.isNavigationRequest() && loads.push(request.url()));
        await page.locator('.step-now', { hasText: 'Starting the machine' }).waitFor();
        assert.equal(await page.locator('.step').count(), 4);
        assert.equal(await page.locator('.step-done').first().textContent().then((text) => text.trim().slice(0, 6)), 'Queued');
        assert.equal(await page.locator('#connect').count(), 0);
        await screenshot(page, `${service.face}-progress`);
        await release();
        Object.assign(state, await readLinks(page));
        assert.deepEqual(loads, [], 'the script updates the page without a reload');
        assert.ok(await page.locator('svg path').count() > 0, 'QR code');
        const left = await endTime(page) - Date.now();
        assert.ok(left > 7000e3 && left <= 7200e3 + 1000, `ends in ${left} ms`);
        await screenshot(page, `${service.face}-ready`);
    });

    await step(t, 'no TCP port listens for the session', async () => {
        const { processes } = service.record(state.id);
        assert.ok(processes.some(({ name }) => name === 'qemu') && processes.some(({ name }) => name === 'supervisor'));
        for (const { name, pid } of processes)
            assert.deepEqual(listeningPorts(pid), [], name);
        state.processes = processes;
    });

    // Only pings go over this connection. It must outlive the time-outs of the web server.
    const idle = await service.openDisplay(t, state.link);
    assert.match(await service.displayName(idle), new RegExp(`qwd-${state.id}`));
    const idleSince = Date.now();

    await step(t, 'Connect shows the desktop', async () => {
        const [popup] = await Promise.all([context.waitForEvent('page'), page.locator('#connect').click()]);
        await popup.waitForURL(/\?view=/);
        await popup.close();
        desktop = await Desktop.open(context, state.link);
        await desktop.waitForBackground(TINY);
        await desktop.waitForTerminal();
        await saveScreenshot(desktop.page, `${service.face}-desktop`);
    });

    await step(t, 'the machine gets the keys', async () => {
        await desktop.focusTerminal();
        await desktop.write('xsetroot -solid green\n');
        await desktop.waitForBackground(GREEN);
        await screenshot(desktop.page, `${service.face}-typed`);
        assert.equal(desktop.lost, 0, 'the connection stays open');
    });

    await step(t, 'an idle display stays connected', async () => {
        const idleUntil = idleSince + IDLE_MS;
        await new Promise((resolve) => setTimeout(resolve, idleUntil - Date.now())); // the time itself is the subject
        assert.ok(!idle.closeFrame && !idle.socket.readableEnded && !idle.socket.destroyed);
        idle.socket.destroy();
    });

    const isWhole = service.face === 'qwd-server' || isFull;
    if (!isWhole)
        await desktop.page.close();
    isWhole && await step(t, 'the same link shows the same desktop again after a restart of the web server', async () => {
        await desktop.page.close();
        await service.endFront();
        await service.startFront();
        desktop = await Desktop.open(context, state.link);
        await desktop.waitForBackground(GREEN);
        await desktop.waitForTerminal();
    });

    isWhole && await step(t, 'a view link shows the desktop, and its keys and clicks change nothing', async (t) => {
        const other = await openContext(t, browser);
        const proper = await Desktop.open(other, state.view);
        await proper.waitForBackground(GREEN);
        await proper.focusTerminal();
        await proper.type('x');
        // noVNC itself suppresses the keys; a guest can remove that parameter.
        const rogue = await Desktop.open(other, state.view.replace('&view_only=true', ''));
        await rogue.waitForBackground(GREEN);
        const before = await desktop.colour(0.05, 0.9);
        await rogue.focusTerminal();
        await rogue.type('touch /root/seen\nrubbish');
        const size = rogue.page.viewportSize();
        await rogue.page.mouse.click(20, size.height - 10);
        await rogue.waitForSent(KEY_MESSAGES, 40);
        await rogue.waitForSent(POINTER_MESSAGES, 4);
        // Any of these keys would change this command line, or create the file.
        await desktop.focusTerminal();
        await desktop.write('[ -e /root/seen ] || xsetroot -solid blue\n');
        await desktop.waitForBackground(BLUE);
        await rogue.waitForBackground(BLUE);
        assert.notEqual(before, BLUE);
        await desktop.waitForColour(0.05, 0.9, BLUE); // the click has opened no menu
        await screenshot(rogue.page, `${service.face}-view-link`);
    });

    await step(t, 'Stop ends the session: its page shows it, its links are dead, nothing is left', async (t) => {
        await page.bringToFront();
        await stopOnPage(page);
        await page.locator('#again').waitFor();
        assert.match(await page.locator('#session').textContent(), /The session is over.*Stopped by/s);
        await screenshot(page, `${service.face}-over`);
        await service.assertNothingLeft(state.id);
        for (const { pid, name } of state.processes)
            assert.ok(!fs.existsSync(`/proc/${pid}/cmdline`) || !fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(state.id), name);
        for (const link of [state.link, state.view]) {
            const ws = await service.openDisplay(t, link);
            assert.notEqual(ws.response?.status, 101);
        }
        const dead = await context.newPage();
        await dead.goto(state.link);
        await dead.locator('html.noVNC_reconnecting, html.noVNC_disconnected, #noVNC_status.noVNC_open').first().waitFor({ state: 'attached' });
        await context.close();
        await service.assertAllGone();
    });
}

// --- 2: without script ---

export async function withoutScript(t, service, browser) {
    const context = await openContext(t, browser, { javaScriptEnabled: false });
    const page = await context.newPage();
    const release = await holdStarts(t, service);
    const id = await createByForm(page, service, { memory: '128M' });
    const loads = [];
    page.on('request', (request) => request.isNavigationRequest() && loads.push(request.url()));
    await page.locator('.step-now', { hasText: 'Starting the machine' }).waitFor();
    const interval = await page.locator('meta[http-equiv=refresh]').getAttribute('content');
    assert.ok(interval >= 1 && interval <= 5, `a reload every ${interval} s`);
    await until(page, 'request', () => loads.length >= 3, 'the page reloads itself');
    await release();
    const { link, view } = await readLinks(page);
    assert.ok(link.startsWith(`${service.origin}/darts/vnc.html?`) && view);
    await Promise.all([page.waitForURL(/session=/), stopOnPage(page)]);
    await page.locator('#again').waitFor();
    await service.assertNothingLeft(id);
}

// --- 3: manage ---

export async function manage(t, service, browser) {
    const context = await openContext(t, browser);
    const page = await context.newPage();
    const id = await createByForm(page, service, { memory: '128M' });
    const { link } = await readLinks(page);
    await page.goto(`${service.origin}/qemu-web-desktop/`);
    await Promise.all([page.waitForURL(/qemu-web-desktop\.cgi/), page.getByRole('button', { name: 'Manage sessions' }).click()]);
    const row = page.locator('.session-row');
    await row.waitFor();
    assert.equal(await row.count(), 1);
    assert.ok(tokenOf(link));
    assert.match(await row.getByRole('link', { name: /^Connect/ }).getAttribute('href'), new RegExp(`\\?view=${id}$`));
    const before = await endTime(page.locator('.session-row').page());
    await screenshot(page, `${service.face}-sessions`);
    await Promise.all([page.waitForURL(/session=/), row.getByRole('button', { name: /^Extend/ }).click()]);
    assert.equal(await endTime(page), before + 86400e3);
    await stopOnPage(page);
    await page.locator('#again').waitFor();
    await service.assertNothingLeft(id);
}

// --- 4: names ---

export async function names(t, service, browser) {
    const id = await service.create();
    await service.ready(id);
    const context = await openContext(t, browser);
    const page = await context.newPage();
    const origins = [`http://localhost:${service.httpPort}`, service.origin];
    if (service.tlsPort)
        origins.push(`https://localhost:${service.tlsPort}`);

    await step(t, 'links keep the scheme, host and port that the browser used', async () => {
        for (const origin of origins) {
            await page.goto(`${origin}/cgi-bin/qemu-web-desktop.cgi?session=${id}`);
            const { link, view } = await readLinks(page);
            assert.equal(new URL(link).origin, origin);
            assert.equal(new URL(view).origin, origin);
            const desktop = await Desktop.open(context, link);
            await desktop.connected();
            await desktop.page.close();
        }
    });

    await step(t, 'a request under a foreign name is refused, and the message names the setting', async () => {
        for (const host of ['evil.example', `evil.example:${service.httpPort}`, 'localhost.evil.example']) {
            const answer = await service.fetch('GET', '/cgi-bin/qemu-web-desktop.cgi', { headers: { Host: host } });
            assert.equal(answer.status, 400);
            assert.match(answer.text, /does not go by the name .*server_name/s);
        }
    });

    await step(t, 'a form of another site is refused, and nothing starts', async () => {
        for (const origin of ['http://evil.example', `http://127.0.0.1:${service.websockifyPort}`, 'null']) {
            const answer = await service.postCreate({}, { Origin: origin });
            assert.equal(answer.status, 403, origin);
            assert.match(answer.text, /another site/);
        }
        assert.deepEqual(service.sessions(), [id]);
    });

    await step(t, 'a page of another site cannot open a display, even with its link', async (t) => {
        await page.goto(`${service.origin}/cgi-bin/qemu-web-desktop.cgi?session=${id}`);
        const { link } = await readLinks(page);
        for (const origin of ['http://evil.example', `http://127.0.0.1:${service.websockifyPort}`, 'null']) {
            const ws = await service.openDisplay(t, link, { Origin: origin });
            assert.equal(ws.response?.status, 403, origin);
        }
        for (const origin of [service.origin, undefined]) {
            const ws = await service.openDisplay(t, link, { Origin: origin });
            assert.equal(ws.response?.status, 101, origin);
            ws.socket.destroy();
        }
    });

    await service.stop(id);
    await service.assertNothingLeft(id);
}

// --- paths ---

export async function paths(t, service) {
    const get = (target, headers) => service.fetch('GET', target, { headers });

    await step(t, 'the form is a page of the program until there is a file of it', async () => {
        const program = await get('/qemu-web-desktop/');
        assert.match(program.headers.location, /\/cgi-bin\/qemu-web-desktop\.cgi$/);
        await service.control('refresh');
        const file = await get('/qemu-web-desktop/');
        assert.equal(file.status, 200);
        assert.match(file.text, /<form/);
        assert.equal(file.headers['cache-control'], 'no-cache');
        assert.match(file.headers['content-security-policy'], /default-src 'self'/);
        assert.equal((await get('/qemu-web-desktop/index.html')).text, file.text);
        assert.match((await get('/qemu-web-desktop')).headers.location, /\/qemu-web-desktop\/$/);
        assert.match((await get('/cgi-bin/qemu-web-desktop.pl')).text, /<form/, 'under its old name');
    });

    await step(t, 'styles, scripts and noVNC have headers for caches and security', async () => {
        for (const [target, cache] of [['/qemu-web-desktop/static/style.css', 'max-age=300'], ['/qemu-web-desktop/static/session.js', 'max-age=300'],
                                       ['/darts/vnc.html', 'no-cache'], ['/darts/app/ui.js', 'max-age=300']]) {
            const answer = await get(target);
            assert.equal(answer.status, 200, target);
            assert.equal(answer.headers['x-content-type-options'], 'nosniff');
            assert.equal(answer.headers['referrer-policy'], 'same-origin');
            assert.equal(answer.headers['cache-control'], cache, target);
        }
        const connect = (await get('/darts/vnc.html')).headers['content-security-policy'];
        assert.ok(connect.includes(`connect-src 'self' ws://127.0.0.1:${service.httpPort} wss://127.0.0.1:${service.httpPort};`), connect);
    });

    await step(t, 'listings, templates and paths outside the folders are refused', async () => {
        for (const target of ['/darts/', '/darts/app/', '/qemu-web-desktop/static/', '/qemu-web-desktop/landing.html', '/darts/..%2fetc/passwd',
                              '/qemu-web-desktop/static/../landing.html', '/qemu-web-desktop/static/..%2flanding.html', '/darts/none.html']) {
            const answer = await get(target);
            assert.ok(answer.status >= 400 && answer.status < 500, `${target}: ${answer.status}`);
        }
    });

    await step(t, 'only websockets get to websockify', async () => {
        for (const target of ['/darts/websockify', '/darts/websockify?token=x', '/darts/websockify/vnc.html']) {
            const answer = await get(target, { Connection: 'Upgrade', Upgrade: 'h2c' });
            assert.equal(answer.status, 404, target);
            assert.doesNotMatch(JSON.stringify(answer.headers), /WebSockify/i);
        }
    });

    await step(t, 'the link of a session that has ended says so, whether or not another session runs', async () => {
        const handshake = { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': `${'A'.repeat(22)}==` };
        const token = 'a'.repeat(32), ways = [[`?token=${token}`, {}], ['', { 'Sec-WebSocket-Protocol': `binary, qwd.token.${token}` }]];
        const isApache = service.face === 'apache'; // which keeps its own status where websockify hangs up
        const check = (running) => Promise.all(ways.map(async ([query, more]) => {
            const answer = await get(`/darts/websockify${query}`, { ...handshake, ...more });
            assert.deepEqual([answer.status, answer.text.trim()], [running && isApache ? 502 : 404, 'There is no such display, or it has ended.'], `${running} run`);
        }));
        await check(0);
        const { headers } = await service.postCreate({}, { Accept: 'text/html' });
        const id = headers.location.match(/session=([0-9a-f]{32})/)[1];
        await service.state(id, 'running');
        await check(1);
        await service.stop(id);
        await service.removed(id);
    });

    await step(t, 'a request that is too long or has another type is refused with a message', async () => {
        const long = await service.postCreate({ user: 'x'.repeat(70000) });
        assert.equal(long.status, 413);
        assert.match(long.text, /The request is .*long/);
        const other = await service.postCreate({ user: 'x' }, { 'Content-Type': 'text/plain' });
        assert.equal(other.status, 415);
        assert.match(other.text, /x-www-form-urlencoded/);
        // The server may close the connection before the end of such a long request.
        const cut = (error) => /ECONNRESET|EPIPE/.test(error.code) ? { status: 413 } : Promise.reject(error);
        assert.equal((await service.postCreate({ user: 'x'.repeat(2000000) }).catch(cut)).status, 413);
    });

    if (service.apacheNames) {
        await step(t, 'with QWD_NAMES, displays are refused under other names', async () => {
            assert.equal((await get('/darts/vnc.html', { Host: 'evil.example' })).status, 403);
            assert.equal((await get('/darts/vnc.html', { Host: 'localhost' })).status, 200);
        });
    }
}

// --- 5: one-shot ---

export async function oneShot(t, service, browser) {
    const context = await openContext(t, browser);
    const page = await context.newPage();
    const id = await createByForm(page, service, { memory: '128M', oneshot: true });
    const { link, view } = await readLinks(page);
    assert.equal(view, null);
    const desktop = await Desktop.open(context, link);
    await desktop.connected();
    await service.until(id, ({ viewers }) => viewers.length === 1);
    assert.equal((await service.sessionState(id)).state, 'running');
    await desktop.page.close();
    await page.bringToFront();
    await page.locator('#again').waitFor();
    assert.match(await page.locator('#session').textContent(), /one-shot/);
    await service.assertNothingLeft(id);
}

// --- 6: websockify itself is the web server of the display ---

export async function directMode(t, service, browser) {
    const context = await openContext(t, browser);
    const page = await context.newPage();
    const id = await createByForm(page, service, { memory: '128M' });
    const { link } = await readLinks(page);
    assert.equal(new URL(link).origin, `http://127.0.0.1:${service.websockifyPort}`);
    assert.equal(new URL(link).pathname, '/vnc.html');
    const desktop = await Desktop.open(context, link);
    await desktop.connected();
    await screenshot(desktop.page, `${service.face}-direct`);
    await desktop.page.close();
    await service.stop(id);
    await service.assertNothingLeft(id);
}

// --- 7: many at once ---

export async function manyAtOnce(t, service) {
    const answers = await Promise.all(Array.from({ length: 10 }, () => service.postCreate()));
    for (const answer of answers)
        assert.equal(answer.status, 200, answer.text);
    const ids = answers.map((answer) => JSON.parse(answer.text).session.id);
    assert.equal(new Set(ids).size, 10);
    const states = await Promise.all(ids.map((id) => service.ready(id)));
    links.push(...states.map((state) => state.ready.url));
    assert.equal(new Set(links.slice(-10).map(tokenOf)).size, 10);
    const names = await Promise.all(states.map(async (state) => service.displayName(await service.openDisplay(t, state.ready.url))));
    names.forEach((name, i) => assert.match(name, new RegExp(`qwd-${ids[i]}`), 'each link shows its own machine'));
    const ports = ids.flatMap((id) => service.record(id).processes.flatMap(({ pid }) => listeningPorts(pid)));
    assert.deepEqual(ports, []);
    await Promise.all(ids.map((id) => service.stop(id)));
    await service.assertAllGone();
}

// --- all scenarios behind one web server ---

// Scenarios that do not depend on the web server run behind qwd-server only.
const scenarios = [
    ['the main job without script', withoutScript, 'qwd-server'],
    ['My sessions lists a session, and Extend adds a day', manage, 'qwd-server'],
    ['names and origins', names],
    ['paths', paths],
    ['a one-shot session ends when its page is closed', oneShot, 'qwd-server'],
    ['ten Creates at once are ten machines, and each link shows its own', manyAtOnce, 'qwd-server'],
];

export async function runAll(t, face) {
    const apacheNames = face === 'apache' ? '(localhost|127\\.0\\.0\\.1)(:[0-9]+)?' : null;
    const browser = await openBrowser(t);
    const serve = (t, settings, machine) => WebService.serve(t, face, settings, { machine, apacheNames });
    const desktops = await serve(t, {}, desktopMachine);
    await t.test('the main job', (t) => mainJob(t, desktops, browser).finally(() => desktops.removeSessions()));
    const service = await serve(t);
    for (const [name, scenario, only] of scenarios) {
        if (!only || only === face)
            await t.test(name, (t) => scenario(t, service, browser).finally(() => service.removeSessions()));
    }
    if (face === 'qwd-server')
        await t.test('without service_path, links lead to websockify itself', async (t) => directMode(t, await serve(t, { service_path: '' }), browser));
    await t.test('no log has a token or a session', () => {
        const log = desktops.logText() + service.logText();
        assert.ok(log.includes('/darts/websockify'), 'displays are logged');
        for (const link of links)
            assert.ok(!log.includes(tokenOf(link)), 'a token in the log');
        assert.doesNotMatch(log, /session=|token=/);
    });
    await t.test('nothing is left', () => Promise.all([desktops, service].map((one) => one.assertAllGone())));
}
