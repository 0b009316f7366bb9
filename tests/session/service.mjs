// SPDX-License-Identifier: AGPL-3.0-or-later
// A whole service in a folder of its own under /tmp, asked through its CGI program as a web server would, and through
// its commands. Waits are for events (files, sockets, ends of processes), each with a deadline. What a test has
// started is ended with it, by pid, and nothing of it may be left.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, afterEach, before } from 'node:test';
import { build, descriptorsOf, freePort, isAlive, parseResponse, top, until, within } from '../integration/lib.mjs';
import { readRecord } from './record.mjs';
import { rfbHandshake } from './rfb.mjs';

export { freePort, isAlive, until, within };

export const grub = '/usr/lib/grub-rescue/grub-rescue-cdrom.iso';
export const isRoot = process.getuid() === 0;
export const account = 'www-data';
const minute = 60000;

// Programs of the service run as the service account, as a web server would start them.
const asAccount = isRoot ? ['setpriv', `--reuid=${account}`, `--regid=${account}`, '--clear-groups', '--'] : [];

// The folder of the tiny machine's images (tiny.iso, tiny.qcow2), built when there is none yet.
export function tinyFolder() {
    if (process.env.QWD_TINY)
        return process.env.QWD_TINY;
    const made = spawnSync(path.join(top, 'machines/build'), ['tiny'], { encoding: 'utf8' });
    assert.equal(made.status, 0, made.stderr);
    return path.dirname(made.stdout.trim().split('\n')[0]);
}

// A disk of 4 MiB whose first sector says BOOTED on the first serial port with each tick of the clock.
export function bootDisk() {
    const code = Buffer.from('31c0' + '8ed8' + 'fc' + 'fb' // ax = ds = 0, forwards, interrupts on
        + 'be177c'                                         // start: si = text
        + 'ac' + '84c0' + '7406' + 'baf803' + 'ee' + 'ebf5' // print: a character to port 0x3f8, until one is 0
        + 'f4' + 'ebef', 'hex');                           // wait for the next tick, and start again
    const disk = Buffer.alloc(4 * 1024 * 1024);
    Buffer.concat([code, Buffer.from('BOOTED\r\n\0')]).copy(disk);
    disk.writeUInt16LE(0xaa55, 510);
    return disk;
}

// --- waiting ---

// Checks now and whenever something in one of the folders changes, until the condition gives something true.
export async function watching(folders, condition, ms, what) {
    const bell = new EventEmitter();
    const ring = () => bell.emit('ring');
    const watchers = folders.filter((folder) => fs.existsSync(folder)).map((folder) => {
        try {
            return fs.watch(folder, ring).on('error', ring);
        } catch {
            return { close() {} }; // it is gone already
        }
    });
    try {
        return await until(bell, 'ring', condition, ms, what);
    } finally {
        watchers.forEach((watcher) => watcher.close());
    }
}

// A process of anybody's: gone, or a zombie that its parent has not looked at yet.
export async function processGone(pid, ms = minute) {
    const script = 'import os,select,sys\n'
        + 'try: fd = os.pidfd_open(int(sys.argv[1]))\n'
        + 'except ProcessLookupError: sys.exit()\n'
        + 'select.select([fd], [], [], float(sys.argv[2]))\n';
    const waiter = spawn('python3', ['-c', script, String(pid), String(ms / 1000)], { stdio: 'ignore' });
    await once(waiter, 'close');
    assert.ok(!isAlive(pid), `process ${pid} has ended within ${ms} ms`);
}

export function readIfThere(file) {
    try {
        return fs.readFileSync(file, 'latin1');
    } catch {
        return '';
    }
}

// Whether SIGKILL has been sent to a process, or it ends already (proc(5): field 9, PF_EXITING).
function isDying(pid) {
    try {
        const flags = Number(fs.readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').pop().split(' ')[6]);
        const pending = fs.readFileSync(`/proc/${pid}/status`, 'latin1').match(/^(Sig|Shd)Pnd:\t[0-9a-f]+$/gm);
        return Boolean(flags & 4) || pending.some((line) => BigInt(`0x${line.split('\t')[1]}`) & 0x100n);
    } catch {
        return true;
    }
}

// Reads from a socket or stream until the text so far matches.
export async function readUntil(stream, pattern, ms, what = String(pattern)) {
    stream.text ??= '';
    if (!stream.isRead) {
        stream.isRead = true;
        stream.setEncoding('latin1').on('data', (text) => {
            stream.text += text;
            stream.emit('more');
        }).on('close', () => stream.emit('more'));
    }
    try {
        const match = await until(stream, 'more', () => stream.text.match(pattern), ms, what);
        stream.text = stream.text.slice(match.index + match[0].length);
        return match;
    } catch (error) {
        error.message += `; so far: ${JSON.stringify(stream.text.slice(-400))}`;
        throw error;
    }
}

// A root shell on the serial console of the tiny machine: run() gives a command's status, text() what it prints.
export async function serialShell(socket, ms = 2 * minute) {
    socket.write('\n');
    await readUntil(socket, /# (\x1b\[6n)?/, ms, 'a shell on the serial console'); // others may have written behind it
    let count = 0;
    // Marks are typed in two halves, so that the echo of what is typed does not have them.
    return {
        socket,
        run: async (command, patience = minute) => {
            socket.write(`${command}; echo DO''NE${++count}=$?\n`);
            const [, status] = await readUntil(socket, new RegExp(`DONE${count}=(\\d+)\\D`), patience, command);
            return { status: Number(status) };
        },
        text: async (command, patience = minute) => {
            socket.write(`echo BE''GIN${++count}:"$( ${command} )":E''ND${count}\n`);
            const pattern = new RegExp(`BEGIN${count}:([^]*?):END${count}`);
            return (await readUntil(socket, pattern, patience, command))[1].replaceAll('\r', '');
        },
    };
}

// --- the service ---

// A service for all tests of a file; `prepare` is what comes before the first one.
export function useService(options, prepare = () => {}) {
    const service = new Service();
    before(() => service.start(options).then(() => prepare(service)));
    after(() => service.end());
    return service;
}

// The same for tests that each begin without a session, one after the other: what one that has failed leaves is removed.
export function useServiceInTurn(options, prepare) {
    const service = useService(options, prepare);
    afterEach((t) => (t.passed === false ? service.removeSessions() : undefined));
    return service;
}

// Options: settings (an object), machines (name: attributes or null), images (name: path to link), shim (folder of
// programs that go before the real ones), wrap (words before every command, such as ip netns exec).
export class Service {
    async start(options = {}) {
        this.root = fs.mkdtempSync('/tmp/qwd-s-');
        this.wrap = options.wrap ?? [];
        fs.chmodSync(this.root, 0o755);
        this.install();
        this.port = options.settings?.service_port ?? await freePort();
        this.writeConfiguration(options);
        return this;
    }

    path(...names) {
        return path.join(this.root, ...names);
    }

    install() {
        const root = process.env.QWD_ROOT ?? this.path('root'); // an installed tree, or one of our own
        if (!process.env.QWD_ROOT) {
            const made = spawnSync('make', ['--no-print-directory', '-s', 'install', `B=${build}`, `DESTDIR=${root}`],
                                   { cwd: top, encoding: 'utf8' });
            assert.equal(made.status, 0, made.stderr);
        }
        for (const folder of ['etc', 'run', 'service', 'service/machines', 'service/snapshots', 'shim', 'home'])
            fs.mkdirSync(this.path(folder));
        if (isRoot)
            this.give('run', 'service', 'service/machines', 'service/snapshots', 'home');
        this.bin = path.join(root, 'usr/bin');
        this.lib = path.join(root, 'usr/lib/qemu-web-desktop');
        this.html = path.join(root, 'usr/share/qemu-web-desktop/html');
        this.cgiProgram = path.join(root, 'usr/lib/cgi-bin/qemu-web-desktop.cgi');
        this.cgi = [this.cgiProgram];
        this.snapshots = this.path('service/snapshots');
        this.display = this.path('run/display');
    }

    give(...names) {
        spawnSync('chown', [`${account}:${account}`, ...names.map((name) => this.path(name))]);
    }

    writeConfiguration({ settings = {}, machines = {}, images = {} }) {
        const all = {
            dir_service: this.path('service'),
            dir_cfg: this.path('run'),
            dir_lib: this.lib,
            dir_html: this.html,
            file_machines: this.path('etc/machines.conf'),
            file_scripts: this.path('etc/scripts.conf'),
            file_folders: this.path('etc/folders.conf'),
            file_mount_script: path.join(path.dirname(this.html), 'mount-folders.sh'),
            file_log: this.path('service/log'),
            service_port: this.port,
            accel: 'tcg',
            network: 'restricted',
            machine: 'grub.iso',
            snapshot_alloc_mem: '64M',
            session_stop_grace: '0s',
            oneshot_left_stop: '1s',
            // The machine that runs the tests may be small and busy: the limits have tests of their own.
            service_max_session_nb: 0,
            service_max_session_nb_per_user: 0,
            service_max_cpu_fraction_nb_per_user: 0,
            service_max_mem_fraction_nb_per_user: 0,
            service_max_load: 0,
            ...settings,
        };
        this.settings = all;
        const lines = Object.entries(all).map(([key, value]) => `${key} = ${value}\n`);
        fs.writeFileSync(this.path('etc/qemu-web-desktop.conf'), lines.join(''));
        const links = { 'grub.iso': grub, ...images };
        for (const [name, target] of Object.entries(links))
            fs.symlinkSync(target, this.path('service/machines', name));
        const sections = Object.entries({ ...Object.fromEntries(Object.keys(links).map((name) => [name, ''])), ...machines });
        fs.writeFileSync(this.path('etc/machines.conf'),
                         sections.map(([name, attributes]) => `[${name}]\n${attributes ?? ''}\n`).join(''));
    }

    // A program that the service finds before the real one of that name (PATH), or that a setting names.
    shim(name, script) {
        const file = this.path('shim', name);
        fs.writeFileSync(file, script, { mode: 0o755 });
        fs.chmodSync(file, 0o755);
        return file;
    }

    environment(more = {}) {
        return {
            PATH: `${this.path('shim')}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
            QWD_CONFIG: this.path('etc/qemu-web-desktop.conf'),
            HOME: this.path('home'),
            LANG: 'C.UTF-8',
            ...more,
        };
    }

    // Runs a program of the service as its account. The result has code, signal, out, err.
    run(argv, { env = {}, input = '', asRoot = false, ms = 2 * minute } = {}) {
        const words = [...this.wrap, ...(asRoot ? [] : asAccount), ...argv];
        const child = spawn(words[0], words.slice(1), { env: this.environment(env), stdio: 'pipe', cwd: '/' });
        const chunks = { stdout: [], stderr: [] };
        for (const name of ['stdout', 'stderr'])
            child[name].on('data', (chunk) => chunks[name].push(chunk));
        child.stdin.on('error', () => {}).end(input);
        return within(ms, argv.join(' '), once(child, 'close')).then(([code, signal]) => ({
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
        const { session } = await this.json('GET', { session: id });
        const token = (url) => decodeURIComponent(url ?? '').match(/token=([0-9a-f]{32})/)?.[1];
        return { url: session.ready?.url, control: token(session.ready?.url), view: token(session.ready?.view_url) };
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
        const file = path.join(this.snapshots, '.qemu-web-desktop.history');
        const lines = fs.existsSync(file) ? fs.readFileSync(file, 'utf8').split('\n') : [];
        return lines.filter((line) => line.includes(id)).map(readRecord).pop() ?? null;
    }

    // Waits until the record is in a state; an ended or failed session counts as well if that is what is waited for.
    async state(id, wanted, ms = minute) {
        const record = await watching([this.snapshots, path.join(this.snapshots, id)], () => {
            const now = this.record(id) ?? this.history(id);
            return now && (now.state === wanted || ['ended', 'failed'].includes(now.state)) ? now : null;
        }, ms, `session ${id} ${wanted}`);
        assert.equal(record.state, wanted, record.reason);
        return record;
    }

    // Waits until the record fulfils something.
    until(id, condition, ms = minute) {
        return watching([path.join(this.snapshots, id)], () => {
            const record = this.record(id);
            return record && condition(record) ? record : null;
        }, ms, `session ${id} ${condition}`);
    }

    // Waits until a session is over: its folder is gone. Returns what the history says of it.
    async ended(id, ms = minute) {
        await watching([this.snapshots], () => !fs.existsSync(path.join(this.snapshots, id)), ms, `end of session ${id}`);
        return this.history(id);
    }

    log() {
        const file = this.path('service/log');
        return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';
    }

    // Waits for words of the log: a line is written after what it tells of can be seen.
    logged(pattern, ms = minute) {
        return watching([this.path('service')], () => this.log().match(pattern), ms, `${pattern} in the log`);
    }

    sessions() {
        return fs.readdirSync(this.snapshots).filter((name) => /^[0-9a-f]{32}$/.test(name));
    }

    process(record, name) {
        return record.processes.find((process) => process.name === name)?.pid;
    }

    // Ends one process of a session and waits until nothing is left of it: a process that is being torn down has no
    // command line any more, and yet it lives.
    async kill(record, name) {
        const pid = this.process(record, name);
        process.kill(pid, 'SIGKILL');
        await processGone(pid);
    }

    // --- sockets ---

    connect(file) {
        const socket = net.connect({ path: file }).on('error', () => {});
        (this.sockets ??= []).push(socket);
        return socket;
    }

    // Waits until a guest has said something on its serial console, perhaps before anybody could listen there.
    printed(id, pattern, ms = minute) {
        const folder = path.join(this.snapshots, id);
        const text = () => ['serial.log.1', 'serial.log'].map((name) => readIfThere(path.join(folder, name))).join('');
        return watching([folder], () => text().match(pattern), ms, `${pattern} on the serial console`);
    }

    // A guest's serial console.
    serial(id) {
        return this.connect(path.join(this.path('run'), id, 'serial'));
    }

    shell(id, ms) {
        return serialShell(this.serial(id), ms);
    }

    async rfb(token) {
        const socket = this.connect(path.join(this.display, token));
        return { socket, ...await rfbHandshake(socket) };
    }

    // --- what is left ---

    // Processes that have our folder in their command line or environment, zombies left out: {pid: command}.
    processes() {
        const found = {};
        for (const pid of fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
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

    // The same, when those are gone that have been killed and only wait for their turn to go.
    async living() {
        await Promise.all(Object.keys(this.processes()).filter(isDying).map((pid) => processGone(pid)));
        return this.processes();
    }

    // TCP ports on which our processes listen: [[port, command], ...].
    listeners() {
        const ports = {};
        for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) {
            for (const line of fs.readFileSync(file, 'utf8').split('\n').slice(1)) {
                const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
                if (state === '0A')
                    ports[`socket:[${inode}]`] = parseInt(local.split(':')[1], 16);
            }
        }
        return Object.entries(this.processes()).flatMap(([pid, command]) => descriptorsOf(pid).flatMap(([, target]) =>
            (ports[target] ? [[ports[target], command]] : [])));
    }

    // A supervisor ends a moment after it has removed the last trace.
    async supervisorsGone(id = '') {
        const running = Object.entries(this.processes()).filter(([, command]) => command.includes(`qwd-session ${id}`));
        await Promise.all(running.map(([pid]) => processGone(pid)));
    }

    // Of one session: not one process, file, socket or token.
    async assertNothingLeft(record, tokens = []) {
        for (const { pid } of record.processes)
            await processGone(pid);
        await this.supervisorsGone(record.id);
        const left = Object.values(await this.living()).filter((command) => command.includes(record.id));
        assert.deepEqual(left, [], 'processes are left');
        assert.ok(!fs.existsSync(path.join(this.snapshots, record.id)), 'the session\'s folder is left');
        assert.ok(!fs.existsSync(this.path('run', record.id)), 'the folder of its sockets is left');
        for (const token of tokens)
            assert.ok(!fs.existsSync(path.join(this.display, token)), 'a token is left');
    }

    // Of the whole service, when no session runs.
    async assertAllGone() {
        await this.supervisorsGone();
        assert.deepEqual(Object.values(await this.living()), [], 'processes are left');
        assert.deepEqual(this.sessions(), [], 'sessions are left');
        const display = fs.existsSync(this.display) ? fs.readdirSync(this.display) : [];
        assert.deepEqual(display, [], 'tokens are left');
    }

    async killAll() {
        (this.sockets ?? []).forEach((socket) => socket.destroy());
        for (let round = 0; round < 5; round++) {
            const pids = Object.keys(this.processes()).map(Number);
            if (!pids.length)
                break;
            for (const pid of pids) {
                try {
                    process.kill(pid, 'SIGKILL');
                } catch {
                    // it was faster
                }
            }
            await Promise.all(pids.map((pid) => processGone(pid)));
        }
    }

    async removeSessions() {
        await this.killAll();
        const folders = [...this.sessions().map((id) => path.join(this.snapshots, id)),
                         ...fs.readdirSync(this.path('run')).map((name) => this.path('run', name))];
        folders.forEach((folder) => fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
    }

    async end() {
        if (!this.root)
            return;
        await this.killAll();
        fs.rmSync(this.root, { recursive: true, force: true, maxRetries: 5 });
    }
}
