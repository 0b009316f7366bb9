// SPDX-License-Identifier: AGPL-3.0-or-later
// A whole service in a folder of its own, asked through its CGI program as a web server would, and through its commands.
// What a test has started is ended with it, by pid, and nothing of it may be left.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, afterEach, before } from 'node:test';
import { list, readIfThere } from './files.mjs';
import { echoIso, serialShell } from './machines.mjs';
import { clientPort, freePort, parseResponse } from './network.mjs';
import { allPids, asAccount, isAlive, isDying, kill, listeningPorts, processGone, signalIfAlive } from './programs.mjs';
import { readRecord } from './record.mjs';
import { rfbHandshake } from './rfb.mjs';
import { Staging } from './staging.mjs';
import { bootTimeoutMs, timeoutMs, untilFiles, within } from './wait.mjs';

// A service for all rows of a file; `prepare` runs before the first one. Rows run one after the other, and each begins
// without the sessions that a failed one has left.
export function useService(options, prepare) {
    const service = useSharedService(options, prepare);
    afterEach((t) => (t.passed === false ? service.removeSessions() : undefined));
    return service;
}

// The same for rows that run at the same time, or that use a session of the file's.
export function useSharedService(options, prepare = () => {}) {
    const service = new Service();
    before(() => service.start(options).then(() => prepare(service)));
    after(() => service.end());
    return service;
}

// What the JSON of a session says of its state in several places is the same.
export function assertConsistent(session) {
    const { state } = session, is = (...states) => states.includes(state), step = (name) => session.steps.find((one) => one.name === name);
    assert.equal(step('ready').is_done, is('running'), `${state}: ready`);
    assert.ok(is('queued', 'starting') || !session.steps.some((one) => one.is_now), `${state}: no step`);
    assert.deepEqual([session.is_queued, session.is_waiting, session.is_stopping], [is('queued'), is('queued', 'starting'), is('stopping')]);
    assert.equal(session.over !== null, is('ended', 'failed'), `${state}: over`);
    for (const name of ['ready', 'ending', 'sharing'])
        assert.ok(is('running') || session[name] === null, `${state}: ${name}`);
    assert.ok(is('queued', 'starting', 'running') || !(session.may_stop || session.may_extend || session.end || session.advice));
}

// Options: settings (an object), machines (name: attributes or null), images (name: path to link), wrap (words before
// every command, such as ip netns exec).
export class Service extends Staging {
    // The machine that runs the tests may be small and busy: the limits have tests of their own.
    static defaults = {
        network: 'restricted',
        machine: 'echo.iso',
        snapshot_alloc_mem: '64M',
        session_stop_grace: '0s',
        oneshot_left_stop: '1s',
        service_max_session_nb: 0,
        service_max_session_nb_per_user: 0,
        service_max_cpu_fraction_nb_per_user: 0,
        service_max_mem_fraction_nb_per_user: 0,
        service_max_load: 0,
    };

    async start(options = {}) {
        this.wrap = options.wrap ?? [];
        this.cgi = [this.cgiProgram];
        this.sockets = [];
        this.port = options.settings?.service_port ?? await freePort();
        this.stage(options);
        return this;
    }

    defaultImages() {
        return { 'echo.iso': echoIso() };
    }

    stage({ settings = {}, machines = {}, images = {} } = {}) {
        this.configure({
            file_scripts: this.path('etc/scripts.conf'),
            file_folders: this.path('etc/folders.conf'),
            file_groups: this.path('etc/groups.conf'),
            file_mount_script: path.join(path.dirname(this.html), 'mount-folders.sh'),
            service_port: this.port,
            ...this.constructor.defaults,
            ...settings,
        });
        const links = { ...this.defaultImages(), ...images };
        for (const [name, target] of Object.entries(links))
            fs.symlinkSync(target, path.join(this.machines, name));
        const sections = Object.entries({ ...Object.fromEntries(Object.keys(links).map((name) => [name, ''])), ...machines });
        fs.writeFileSync(this.path('etc/machines.conf'),
                         sections.map(([name, attributes]) => `[${name}]\n${attributes ?? ''}\n`).join(''));
    }

    // Runs a program of the service as its account. The result has code, signal, out, err.
    run(argv, { env = {}, input = '', asRoot = false } = {}) {
        const words = [...this.wrap, ...(asRoot ? [] : asAccount), ...argv];
        const child = spawn(words[0], words.slice(1), { env: this.environment(env), stdio: 'pipe', cwd: '/' });
        const chunks = { stdout: [], stderr: [] };
        for (const name of ['stdout', 'stderr'])
            child[name].on('data', (chunk) => chunks[name].push(chunk));
        child.stdin.on('error', () => {}).end(input);
        return within(argv.join(' '), once(child, 'close'), bootTimeoutMs).then(([code, signal]) => ({
            code,
            signal,
            raw: Buffer.concat(chunks.stdout),
            out: Buffer.concat(chunks.stdout).toString(),
            err: Buffer.concat(chunks.stderr).toString(),
        }), (error) => {
            child.kill('SIGKILL');
            throw error;
        });
    }

    // Runs qwdctl as the administrator.
    control(...words) {
        return this.run([this.qwdctl, ...words], { asRoot: true });
    }

    // --- through the CGI (RFC 3875) ---

    // `fields` go into the body of a POST, or the query of a GET. Headers are CGI variables ("HTTP_HOST").
    async request(method, fields = {}, headers = {}) {
        const text = typeof fields === 'string' ? fields : new URLSearchParams(fields).toString();
        const isPost = method === 'POST';
        const result = await this.run(this.cgi, {
            env: {
                GATEWAY_INTERFACE: 'CGI/1.1',
                SERVER_PROTOCOL: 'HTTP/1.1',
                SERVER_SOFTWARE: 'test',
                REQUEST_METHOD: method,
                SCRIPT_NAME: '/cgi-bin/qemu-web-desktop.cgi',
                QUERY_STRING: isPost ? '' : text,
                CONTENT_LENGTH: isPost ? String(Buffer.byteLength(text)) : '',
                CONTENT_TYPE: isPost ? 'application/x-www-form-urlencoded' : '',
                REMOTE_ADDR: '127.0.0.1',
                REMOTE_PORT: String(await (this.wrap.length ? this.wrappedPort() : clientPort(headers.REMOTE_ADDR))),
                HTTP_HOST: 'localhost',
                HTTP_ACCEPT: 'text/html',
                ...headers,
            },
            input: isPost ? text : '',
        });
        assert.equal(result.code, 0, `${method} ${text}: exit code ${result.code}, signal ${result.signal}: ${result.err}`);
        const response = parseResponse(Buffer.concat([Buffer.from('CGI '), result.raw]));
        response.status = Number(response.headers.status?.split(' ')[0] ?? 200);
        // The first header stands where the status line of HTTP would.
        const [first] = result.out.split('\r\n', 1);
        if (/^Status: /i.test(first))
            response.status = Number(first.split(' ')[1]);
        response.err = result.err;
        return response;
    }

    // The client's port of a connection in the network that the service runs in, which lasts as long as the service.
    wrappedPort() {
        const hold = 'import socket, sys\ns = socket.create_server(("127.0.0.1", 0))\nc = socket.create_connection(s.getsockname())\n'
            + 'print(c.getsockname()[1], flush=True)\nsys.stdin.read()';
        if (!this.browser) {
            this.browser = spawn(this.wrap[0], [...this.wrap.slice(1), 'python3', '-c', hold], { stdio: ['pipe', 'pipe', 'inherit'] });
            this.browserPort = within('a connection', once(this.browser.stdout, 'data')).then(([text]) => Number(text));
        }
        return this.browserPort;
    }

    get(fields, headers) {
        return this.request('GET', fields, headers);
    }

    post(fields, headers) {
        return this.request('POST', fields, headers);
    }

    // Settings for one request go with it, and with the session that it creates.
    async json(method, fields, settings = {}) {
        const QWD_OVERRIDES = Object.entries(settings).map(([key, value]) => `${key}=${value}\n`).join('');
        const response = await this.request(method, fields, { HTTP_ACCEPT: 'application/json', QWD_OVERRIDES });
        assert.match(response.headers['content-type'] ?? '', /^application\/json/, response.err + response.text);
        return { status: response.status, ...JSON.parse(response.text) };
    }

    // Starts a session and returns its id, without waiting.
    async create(fields = {}, settings = {}) {
        const answer = await this.json('POST', { create: 'Create', ...fields }, settings);
        assert.equal(answer.status, 200, JSON.stringify(answer));
        return answer.session.id;
    }

    // Creates and waits until it runs. Returns its record, with the tokens of its links.
    async createRunning(fields = {}, settings = {}) {
        const id = await this.create(fields, settings);
        const record = await this.state(id, 'running');
        return { ...record, ...await this.tokens(id) };
    }

    async tokens(id) {
        const session = await this.sessionState(id);
        const token = (url) => decodeURIComponent(url ?? '').match(/token=([0-9a-f]{32})/)?.[1];
        return { url: session.ready?.url, control: token(session.ready?.url), view: token(session.ready?.view_url) };
    }

    // What the page of a session shows, as JSON.
    async sessionState(id) {
        const { session } = await this.json('GET', { session: id });
        assertConsistent(session);
        return session;
    }

    // Waits until a session runs. Returns what its page shows.
    async ready(id) {
        await this.state(id, 'running');
        return this.sessionState(id);
    }

    stop(id) {
        return this.json('POST', { session_stop: id });
    }

    // --- what is on disk ---

    record(id) {
        try {
            return readRecord(fs.readFileSync(path.join(this.snapshots, id, 'session.json'), 'utf8'));
        } catch {
            return null;
        }
    }

    history(id) {
        const lines = readIfThere(path.join(this.snapshots, '.qemu-web-desktop.history'), 'utf8').split('\n');
        return lines.filter((line) => line.includes(id)).map(readRecord).pop() ?? null;
    }

    // Waits until the record is in a state. Another end of the session is an error.
    async state(id, wanted) {
        const record = await untilFiles([this.snapshots, path.join(this.snapshots, id)], () => {
            const now = this.record(id) ?? this.history(id);
            return now && (now.state === wanted || ['ended', 'failed'].includes(now.state)) ? now : null;
        }, `session ${id} ${wanted}`);
        assert.equal(record.state, wanted, record.reason);
        return record;
    }

    // Waits until the record fulfils a condition.
    until(id, condition, ms = timeoutMs) {
        return untilFiles([this.snapshots, path.join(this.snapshots, id)], () => {
            const record = this.record(id);
            if (!record && !fs.existsSync(path.join(this.snapshots, id)))
                throw new Error(`session ${id} has ended (${this.history(id)?.reason}) before: ${condition}`);
            return record && condition(record) ? record : null;
        }, `session ${id}: ${condition}`, ms);
    }

    // Waits until the folder of a session has been removed.
    removed(id) {
        return untilFiles([this.snapshots], () => !fs.existsSync(path.join(this.snapshots, id)), `end of session ${id}`);
    }

    // Waits until a session has ended. Returns its line of the history.
    async ended(id) {
        await this.removed(id);
        return this.history(id);
    }

    log() {
        const file = this.path('service/log');
        return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';
    }

    // Waits for a line of the log. It is written after the event can be seen elsewhere.
    logged(pattern) {
        return untilFiles([this.path('service')], () => this.log().match(pattern), `${pattern} in the log`);
    }

    sessions() {
        return list(this.snapshots).filter((name) => /^[0-9a-f]{32}$/.test(name));
    }

    process(record, name) {
        return record.processes.find((process) => process.name === name)?.pid;
    }

    // Kills one process of a session.
    kill(record, name) {
        return kill(this.process(record, name));
    }

    // --- sockets ---

    connect(file) {
        const socket = net.connect({ path: file }).on('error', () => {});
        this.sockets.push(socket);
        return socket;
    }

    // Waits until a guest has printed something on its serial console, perhaps before anybody could listen there.
    printed(id, pattern) {
        const folder = path.join(this.snapshots, id);
        const text = () => ['serial.log.1', 'serial.log'].map((name) => readIfThere(path.join(folder, name))).join('');
        return untilFiles([folder], () => text().match(pattern), `${pattern} on the serial console`, bootTimeoutMs);
    }

    // A guest's serial console.
    serial(id) {
        return this.connect(this.path('run', id, 'serial'));
    }

    shell(id) {
        return serialShell(this.serial(id));
    }

    async rfb(token) {
        const socket = this.connect(path.join(this.display, token));
        return { socket, ...await rfbHandshake(socket) };
    }

    // --- what is left ---

    // Processes that have our folder in their command line or environment, without zombies: {pid: command}.
    processes() {
        const found = {};
        for (const pid of allPids()) {
            try {
                const [command, environment] = ['cmdline', 'environ'].map((name) =>
                    fs.readFileSync(`/proc/${pid}/${name}`, 'latin1').replaceAll('\0', ' '));
                if ((command.includes(this.root) || environment.includes(this.root)) && isAlive(pid))
                    found[pid] = command;
            } catch {
                // it has just ended
            }
        }
        return found;
    }

    // The same, once those that are dying have gone.
    async living() {
        await Promise.all(Object.keys(this.processes()).filter(isDying).map((pid) => processGone(pid)));
        return this.processes();
    }

    // TCP ports on which our processes listen: [[port, command], ...].
    listeners() {
        return Object.entries(this.processes()).flatMap(([pid, command]) => listeningPorts(pid).map((port) => [port, command]));
    }

    // A supervisor ends a moment after it has removed the last trace.
    async supervisorsGone(id = '') {
        const running = Object.entries(this.processes()).filter(([, command]) => command.includes(`qwd-session ${id}`));
        await Promise.all(running.map(([pid]) => processGone(pid)));
    }

    // Of one session, by its id or record, once it has ended: not one process, file, socket or token.
    async assertNothingLeft(session, tokens = []) {
        const id = session.id ?? session;
        await this.removed(id);
        for (const { pid } of session.processes ?? [])
            await processGone(pid);
        await this.supervisorsGone(id);
        const left = Object.values(await this.living()).filter((command) => command.includes(id));
        assert.deepEqual(left, [], 'processes are left');
        assert.ok(!fs.existsSync(this.path('run', id)), 'the folder of its sockets is left');
        for (const token of tokens)
            assert.ok(!fs.existsSync(path.join(this.display, token)), 'a token is left');
    }

    // Of the whole service, once no session runs.
    async assertAllGone() {
        await untilFiles([this.snapshots], () => this.sessions().length === 0, 'end of all sessions');
        await this.supervisorsGone();
        assert.deepEqual(Object.values(await this.living()), [], 'processes are left');
        assert.deepEqual(list(this.display), [], 'tokens are left');
    }

    // Kills all processes, as a loss of power would. Supervisors go first: one that outlived its machine would note its end.
    async killProcesses() {
        const isSupervisor = ([, command]) => command.includes('qwd-session');
        const inOrder = () => Object.entries(this.processes()).sort((a, b) => isSupervisor(b) - isSupervisor(a));
        for (let pids; (pids = inOrder().map(([pid]) => Number(pid))).length;) {
            pids.forEach((pid) => signalIfAlive(pid));
            await Promise.all(pids.map((pid) => processGone(pid)));
        }
    }

    async killAll() {
        this.sockets.forEach((socket) => socket.destroy());
        await this.killProcesses();
    }

    async removeSessions() {
        await this.killAll();
        const folders = [...this.sessions().map((id) => path.join(this.snapshots, id)),
                         ...list(this.path('run')).map((name) => this.path('run', name))];
        folders.forEach((folder) => fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
    }

    async end() {
        if (!this.sockets)
            return;
        this.browser?.stdin.end();
        await this.killAll();
        super.end();
    }
}
