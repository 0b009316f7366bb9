// SPDX-License-Identifier: AGPL-3.0-or-later
// qwdctl of an ordinary user without a service, qwdctl of the administrator of a service, and the CGI program as a command. The
// guest is a boot sector, which rests between two ticks of its clock.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { bootDisk } from '../lib/machines.mjs';
import { freePort, http, webSocket } from '../lib/network.mjs';
import { isAlive, isRoot, readUntil } from '../lib/programs.mjs';
import { useService } from '../lib/service.mjs';
import { untilFiles, within } from '../lib/wait.mjs';

const service = useService({ settings: { machine: 'boot.raw' }, machines: { 'boot.raw': '' } }, () => {
    fs.writeFileSync(service.path('service/machines/boot.raw'), bootDisk());
    fs.mkdirSync(service.path('user'), { mode: 0o700 });
    fs.mkdirSync(service.path('user/runtime'), { mode: 0o700 });
    if (isRoot)
        for (const name of ['user', 'user/runtime'])
            fs.chownSync(service.path(name), nobody, nobody);
});

const nobody = 65534;
const MINUTE_MS = 60000;

// --- an ordinary user ---

// The environment of a user's shell, without the configuration of a service.
const userEnvironment = () => ({
    QWD_CONFIG: undefined,
    HOME: service.path('user'),
    XDG_RUNTIME_DIR: service.path('user/runtime'),
});
const asUser = () => (isRoot ? ['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups', '--'] : []);

const userOptions = (port) => [`--dir_lib=${service.lib}`, `--dir_html=${service.html}`, '--network=restricted',
                               `--service_port=${port}`, '--session_stop_grace=0s', '--snapshot_alloc_mem=64M'];

function byUser(...words) {
    return service.run([...asUser(), ...words], { env: userEnvironment(), asRoot: true });
}

const userSnapshots = () => service.path('user/.local/state/qemu-web-desktop/snapshots');
const userSessions = () => fs.readdirSync(userSnapshots()).filter((name) => /^[0-9a-f]{32}$/.test(name));

describe('an ordinary user, without any service', () => {
    let port, url, token, id;

    // Starts a machine. `id` is its session, the one that is new.
    async function start(...options) {
        const before = fs.existsSync(userSnapshots()) ? userSessions() : [];
        const result = await byUser(service.qwdctl, 'start', service.path('service/machines/boot.raw'), ...userOptions(port), ...options);
        assert.equal(result.code, 0, result.err);
        [id] = userSessions().filter((name) => !before.includes(name));
        return result;
    }

    async function assertGone() {
        assert.deepEqual(userSessions(), []);
        assert.deepEqual(fs.readdirSync(service.path('user/runtime/qemu-web-desktop/display')), []);
        await service.supervisorsGone();
        assert.deepEqual(await service.living(), {});
    }

    test('start prints an address that shows the display', async (t) => {
        port = await freePort();
        const result = await start('--oneshot_left_stop=1s');
        url = result.out.trim();
        assert.match(url, new RegExp(`^http://localhost:${port}/vnc\\.html\\?`));
        const page = await http(port, 'GET', url.slice(url.indexOf('/vnc.html')), { headers: { Host: `localhost:${port}` } });
        assert.equal(page.status, 200);
        assert.match(page.text, /noVNC/);
        const parameters = new URL(url).searchParams;
        assert.equal(parameters.get('autoconnect'), 'true');
        token = parameters.get('path').match(/^websockify\?token=([0-9a-f]{32})$/)[1];
        const ws = await webSocket(t, port, `/${parameters.get('path')}`);
        assert.equal(ws.response.status, 101);
        assert.equal((await ws.received(12)).toString(), 'RFB 003.008\n');
        // This was the viewer of a one-shot session.
        const snapshots = userSnapshots(), session = id;
        ws.socket.destroy();
        await untilFiles([snapshots], () => !fs.existsSync(path.join(snapshots, session)), 'the end of a one-shot session');
        await assertGone();
    });

    test('status prints a table, or JSON', async () => {
        const empty = await byUser(service.qwdctl, 'status');
        assert.equal(empty.code, 0, empty.err);
        assert.match(empty.err, /^No session runs\.$/m);
        assert.equal(empty.out, '', 'standard output has rows alone');
        await start('--snapshot_alloc_mem=48M', '--snapshot_alloc_cpu=1');
        const table = await byUser(service.qwdctl);
        assert.match(table.err, /^PID +\| CPU\/% \| User name /);
        const user = isRoot ? 'nobody' : process.env.USER;
        assert.match(table.out, new RegExp(`^\\d+ +\\| +[\\d.]+ \\| ${user} +\\| +1 \\| +0\\.0 \\| +\\| running +\\| .*${id} `, 'm'));
        const json = JSON.parse((await byUser(service.qwdctl, 'status', '--json')).out);
        assert.deepEqual(json.sessions.map((session) => session.id), [id]);
        assert.equal(json.sessions[0].plan.memory_mib, 48);
        assert.match(json.accelerator.note, /\S/);
    });

    test('extend, save and stop take the beginning of an id; a shorter one is refused', async () => {
        for (const [verb, ...more] of [['extend', '1h'], ['save', 'x.raw', '--image-only'], ['stop']]) {
            const short = await byUser(service.qwdctl, verb, id.slice(0, 7), ...more);
            assert.ok([2, 3].includes(short.code), `${verb}: ${short.err}`);
            assert.match(short.err, /8/);
        }
        // Another id with the same beginning.
        const twin = path.join(userSnapshots(), `${id.slice(0, 20)}${'0'.repeat(12)}`);
        fs.mkdirSync(twin);
        const two = await byUser(service.qwdctl, 'extend', id.slice(0, 8), '1h');
        assert.equal(two.code, 2);
        assert.match(two.err, new RegExp(`The ids of 2 sessions begin with ${id.slice(0, 8)}\\. .*${id}`));
        fs.rmdirSync(twin);
        const extended = await byUser(service.qwdctl, 'extend', id.slice(0, 8), '1h');
        assert.equal(extended.code, 0, extended.err);
        assert.match(extended.out, new RegExp(`^${id} of `));
        const saved = await byUser(service.qwdctl, 'save', id.slice(0, 9), 'x y', '--image-only');
        assert.doesNotMatch(saved.err, /id of a session|No session/);
        const result = await byUser(service.qwdctl, 'stop', id.slice(0, 8));
        assert.equal(result.code, 0, result.err);
        assert.match(result.out, new RegExp(`^Stopped ${id} `));
        await assertGone();
    });

    test('stop takes a process or a token; with --all it stops all sessions, and asks first', async () => {
        await start();
        const record = JSON.parse(fs.readFileSync(path.join(userSnapshots(), id, 'session.json'), 'utf8'));
        const qemu = record.processes.find(({ name }) => name === 'qemu').pid;
        assert.equal((await byUser(service.qwdctl, 'stop', String(qemu))).code, 0);
        assert.ok(!isAlive(qemu));

        const result = await start();
        [, token] = result.out.match(/token%3D([0-9a-f]{32})/);
        assert.equal((await byUser(service.qwdctl, 'stop', token)).code, 0);
        await assertGone();

        const first = await start();
        const second = await start();
        assert.equal(new URL(first.out).port, new URL(second.out).port, 'one websockify serves both');
        for (const [words, code] of [[[], 4], [['--yes'], 4], [['--all'], 4], [['--all', id], 2]]) {
            const refused = await byUser(service.qwdctl, 'stop', ...words);
            assert.equal(refused.code, code, `${words}: ${refused.err}`);
            if (code === 4)
                assert.match(refused.err, /Nothing was ended\..*To end 2 sessions of 1 user: qwdctl stop --all --yes/);
        }
        const asked = await service.run([...asUser(), 'script', '-qec', `'${service.qwdctl}' stop`, '/dev/null'],
                                        { env: { ...userEnvironment(), TERM: 'xterm' }, asRoot: true, input: 'n\n' });
        assert.equal(asked.code, 1, asked.out);
        assert.match(asked.out, /End 2 sessions of 1 user\? \[y\/N\]/);
        assert.equal(userSessions().length, 2);
        const all = await byUser(service.qwdctl, 'stop', '--all', '--yes', '--session_stop_grace=0s');
        assert.equal(all.code, 0, all.err);
        assert.equal(all.out.match(/^Stopped /gm).length, 2);
        await assertGone();
        assert.match((await byUser(service.qwdctl, 'stop', '--all')).out, /^No session runs\.$/m);
    });

    test('start leaves the port of a service alone, unless it is asked for', async () => {
        const words = [service.path('service/machines/boot.raw'), ...userOptions(port).filter((word) => !word.startsWith('--service_port'))];
        const result = await byUser(service.qwdctl, 'start', ...words);
        assert.equal(result.code, 0, result.err);
        assert.notEqual(new URL(result.out).port, '6080');
        assert.equal((await http(Number(new URL(result.out).port), 'GET', '/vnc.html', { headers: { Host: 'localhost' } })).status, 200);
        assert.equal((await byUser(service.qwdctl, 'stop', '--all', '--yes')).code, 0);
        await assertGone();
    });

    test('the exit code is 2 for wrong usage and 3 for a missing session or machine', async () => {
        const cases = [
            [2, /There is no command "nonsense"/, 'nonsense'],
            [2, /Usage: qwdctl start/, 'start'],
            [2, /Usage: qwdctl start/, 'start', 'a', 'b'],
            [2, /Usage: qwdctl stop/, 'stop', 'a', 'b'],
            [2, /no option --nonsense/, 'status', '--nonsense'],
            [2, /no option --no_such_key=1/, 'start', 'a', '--no_such_key=1'],
            [2, /accel = fast is not accepted/, 'status', '--accel=fast'],
            [2, /snapshot_alloc_cpu/, 'start', 'a', '--snapshot_alloc_cpu=1 2'],
            [2, /qwd\.conf/, 'status', '--config=/nonexistent/qwd.conf'],
            [3, /No session has the id \(.*\), process or token x/, 'stop', 'x'],
            [3, /No session has/, 'stop', '1'],
            [3, /There is no machine "no-such-machine.iso"/, 'start', 'no-such-machine.iso'],
        ];
        for (const [code, pattern, ...words] of cases) {
            const result = await byUser(service.qwdctl, ...words);
            assert.equal(result.code, code, `${words}: ${result.err}`);
            assert.match(result.err, pattern);
            assert.equal(result.out, '');
        }
        for (const words of [['help'], ['--help'], ['help', 'settings'], ['version'], ['--version']]) {
            const result = await byUser(service.qwdctl, ...words);
            assert.equal(result.code, 0, result.err);
            assert.equal(result.err, '');
            assert.match(result.out, /\S/);
        }
    });

    test('start of a machine that fails prints the reason and has an exit code', async () => {
        const file = service.path('user/nonsense.qcow2');
        fs.writeFileSync(file, 'QFI\xfb and then nonsense', 'latin1');
        fs.chmodSync(file, 0o644);
        const result = await byUser(service.qwdctl, 'start', file, ...userOptions(port), '--qemu_exec=/nonexistent/qemu');
        assert.equal(result.code, 5);
        assert.match(result.err, /^qwdctl: \S/);
        assert.equal(result.out, '');
        await assertGone();
    });
});

// --- the administrator of a service ---

test('the administrator sees and stops the sessions of a service', async () => {
    const session = await service.createRunning({ user: 'alice' });
    const status = await service.control('status');
    assert.match(status.out, new RegExp(`\\| alice +\\|.*${session.id} boot.raw`));
    const stopped = await service.control('stop', session.id);
    assert.equal(stopped.code, 0, stopped.err);
    assert.equal(stopped.out, `Stopped ${session.id} boot.raw of alice.\n`);
    await service.assertNothingLeft(session, [session.control, session.view]);
    await service.assertAllGone();
});

test('stop ends a session whose supervisor was killed, without waiting for the supervisor', async () => {
    const session = await service.createRunning({ user: 'alice' });
    await service.kill(session, 'supervisor');
    const stopping = service.control('stop', session.id);
    const stopped = await within('the stop', stopping, MINUTE_MS); // a wait for the supervisor would take longer
    assert.equal(stopped.code, 0, stopped.err);
    assert.equal(stopped.out, `Stopped ${session.id} boot.raw of alice.\n`);
    await service.assertNothingLeft(session, [session.control, session.view]);
    await service.assertAllGone();
});

// --- the CGI program by hand ---

describe('the CGI program as a command', () => {
    const cgi = (...words) => service.run([service.cgiProgram, ...words]);

    test('it prints help, its version and values of settings', async () => {
        assert.match((await cgi('--help')).out, /--service_monitor=1/);
        assert.match((await cgi('--version')).out, /^qemu-web-desktop \S+\n$/);
        assert.equal((await cgi('--dir_machines')).out, `${service.path('service/machines')}\n`);
        assert.equal((await cgi('--dir_machines', '--dir_machines=/elsewhere')).out, '/elsewhere\n');
        const unknown = await cgi('--no_such_key');
        assert.equal(unknown.code, 2);
        assert.match(unknown.err, /There is no option --no_such_key/);
    });

    // Runs one machine in the foreground until the test ends, with both kinds of folders in one place, as DARTS' handbook does.
    async function foreground(t) {
        const place = service.path('x');
        fs.mkdirSync(place, { recursive: true });
        if (isRoot)
            service.give('x');
        const options = [`--dir_snapshots=${place}`, `--dir_cfg=${place}`, `--dir_machines=${service.path('service/machines')}`];
        const child = spawn(service.cgiProgram, [...options, '--machine=boot.raw'], {
            env: service.environment(), cwd: '/', stdio: ['ignore', 'pipe', 'pipe'],
        });
        child.ended = once(child, 'close');
        t.after(() => {
            child.kill();
            return child.ended;
        });
        const [, url] = await readUntil(child.stdout, /^(http:\/\/localhost:\d+\/vnc\.html\S+)\n/m);
        const [id] = fs.readdirSync(place).filter((name) => /^[0-9a-f]{32}$/.test(name));
        return { child, options, url, id, place };
    }

    async function over({ child, id, place }) {
        const [code] = await within('the end of the command', child.ended);
        assert.equal(code, 0);
        assert.ok(!fs.existsSync(path.join(place, id)));
        await service.supervisorsGone(id);
        const left = Object.values(await service.living()).filter((command) => command.includes(id));
        assert.deepEqual(left, []);
    }

    test('--service_monitor and --session_stop work on a machine in the foreground', async (t) => {
        const run = await foreground(t);
        const monitor = await cgi(...run.options, '--service_monitor=1');
        assert.equal(monitor.code, 0, monitor.err);
        assert.match(monitor.out, /^<!DOCTYPE html>/);
        assert.ok(monitor.out.includes(`${run.id.slice(0, 8)} boot.raw`));
        const stopped = await cgi(...run.options, `--session_stop=${run.id}`);
        assert.equal(stopped.code, 0, stopped.err);
        await over(run);
        assert.equal((await cgi(...run.options, `--session_stop=${'0'.repeat(32)}`)).code, 3);
    });

    test('--service_purge ends a machine in the foreground', async (t) => {
        const run = await foreground(t);
        assert.equal((await cgi(...run.options, '--service_purge=1')).code, 0);
        await over(run);
    });

    for (const signal of ['SIGINT', 'SIGTERM'])
        test(`${signal} ends the machine and the command`, async (t) => {
            const run = await foreground(t);
            run.child.kill(signal);
            await over(run);
        });
});
