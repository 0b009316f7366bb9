// SPDX-License-Identifier: AGPL-3.0-or-later
// A whole service in a folder of its own, behind qwd-server or behind a real Apache: staged, started, looked into, and
// ended with nothing left. Started by root, all of it runs as the service account, as it does when installed.

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { apacheProgram, writeApacheConfiguration } from './apache.mjs';
import { build, descriptorsOf, freePort, isAlive, outputHas, slack, start, top, webSocket, within } from '../integration/lib.mjs';
import { readRecord } from '../session/record.mjs';

export const patience = 120000; // two busy cores without hardware acceleration
const account = process.getuid() === 0 ? 'www-data' : null;

// Waits until the function gives something true, for what tells no event, such as the end of somebody else's child.
export async function eventually(what, condition, quiet = 30000) {
    const ms = quiet * slack, deadline = Date.now() + ms;
    for (;;) {
        const value = await condition();
        if (value)
            return value;
        if (Date.now() > deadline)
            throw new Error(`${what}: not within ${ms} ms`);
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
}

const recordIn = (file) => {
    try {
        return readRecord(fs.readFileSync(file, 'utf8'));
    } catch (error) {
        if (error.code === 'ENOENT' || error.code === 'ENOTDIR')
            return null;
        throw error;
    }
};

const list = (folder) => (fs.existsSync(folder) ? fs.readdirSync(folder) : []);

const parentOf = (pid) => {
    try {
        return Number(fs.readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1).split(' ')[1]);
    } catch {
        return 0;
    }
};

// Processes that name this path on their command line; those that have ended have none.
function processesNaming(word) {
    return list('/proc').filter((name) => /^\d+$/.test(name)).filter((pid) => {
        try {
            return fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(word) && isAlive(pid);
        } catch {
            return false;
        }
    }).map(Number);
}

// Inodes of all listening TCP sockets of this host (proc(5)): port by inode.
function listeningSockets() {
    const sockets = new Map();
    for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) {
        for (const line of fs.existsSync(file) ? fs.readFileSync(file, 'latin1').split('\n').slice(1) : []) {
            const words = line.trim().split(/\s+/);
            if (words[3] === '0A')
                sockets.set(words[9], parseInt(words[1].split(':').at(-1), 16));
        }
    }
    return sockets;
}

export function listeningPorts(pid) {
    const sockets = listeningSockets();
    return descriptorsOf(pid).flatMap(([, target]) => {
        const inode = target.match(/^socket:\[(\d+)\]$/)?.[1];
        return sockets.has(inode) ? [sockets.get(inode)] : [];
    });
}

export const tokenOf = (url) => new URL(new URL(url).searchParams.get('path'), url).searchParams.get('token');

// The image of the machine that all tests start. QWD_TINY names one that is there already.
function tinyImage() {
    if (process.env.QWD_TINY)
        return process.env.QWD_TINY;
    const paths = execFileSync(path.join(top, 'machines/build'), ['tiny'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
    return paths.split('\n').find((line) => line.endsWith('.iso'));
}

export class Service {
    // face: 'qwd-server' or 'apache'. settings: more lines of the settings file, over the ones below.
    // apacheNames: what QWD_NAMES is to be in Apache's configuration.
    static async start(t, face, settings = {}, apacheNames = null) {
        const service = new this();
        service.test = t; // whose end is the end of all that the service starts
        service.output = '';
        service.apacheNames = apacheNames;
        service.face = face;
        service.root = fs.mkdtempSync('/tmp/qwd-e2e-'); // short, for the sockets' sake
        fs.chmodSync(service.root, 0o755);
        service.port = await freePort();
        service.websockifyPort = await freePort();
        t.after(() => service.end());
        service.endWithProcess(t);
        service.stage(settings);
        await service.startFront();
        return service;
    }

    in(...names) {
        return path.join(this.root, ...names);
    }

    get origin() {
        return `http://127.0.0.1:${this.port}`;
    }

    // --- staging ---

    stage(settings) {
        const copy = (from, to) => fs.cpSync(from, this.in(to), { recursive: true });
        for (const folder of ['bin', 'lib', 'state/machines', 'run', 'logs'])
            fs.mkdirSync(this.in(folder), { recursive: true });
        for (const program of ['qemu-web-desktop.cgi', 'qwdctl', 'qwd-server'])
            copy(path.join(build, program), `bin/${program}`);
        copy(path.join(build, 'qwd-session'), 'lib/qwd-session');
        copy(path.join(top, 'etc/websockify/qwd_viewer.py'), 'lib/qwd_viewer.py');
        copy(path.join(top, 'html'), 'html');
        fs.symlinkSync(tinyImage(), this.in('state/machines/tiny.iso'));
        fs.writeFileSync(this.in('machines.conf'), '[tiny.iso]\ndescription=A tiny Debian desktop\n');
        this.settings = {
            dir_service: this.in('state'),
            dir_cfg: this.in('run'),
            dir_lib: this.in('lib'),
            dir_html: this.in('html'),
            dir_layout: this.in('layout'),
            file_machines: this.in('machines.conf'),
            file_log: this.in('state/log'),
            service_port: this.websockifyPort,
            session_start_deadline: '5m',
            session_stop_grace: '2s',
            oneshot_left_stop: '1s',
            network: 'restricted',
            snapshot_alloc_mem: '512M',
            // The machine that runs the tests may be small and busy: the limits have tests of their own.
            service_max_session_nb: 0,
            service_max_session_nb_per_user: 0,
            service_max_cpu_fraction_nb_per_user: 0,
            service_max_mem_fraction_nb_per_user: 0,
            service_max_load: 0,
            form_cpu: '1,2',
            form_memory: '128M,256M,512M',
            form_lifetime: '2h,8h,1d',
            ...settings,
        };
        const lines = Object.entries(this.settings).map(([key, value]) => `${key} = ${value}\n`);
        fs.writeFileSync(this.in('service.conf'), lines.join(''));
        if (account)
            execFileSync('chown', ['-R', `${account}:${account}`, this.in('state'), this.in('run')]);
    }

    environment() {
        return { PATH: process.env.PATH, LANG: 'C.UTF-8', QWD_CONFIG: this.in('service.conf'), QWD_CGI: this.in('bin/qemu-web-desktop.cgi') };
    }

    // A program as the service account, with pipes.
    spawn(program, words) {
        const command = account ? ['setpriv', `--reuid=${account}`, `--regid=${account}`, '--init-groups', program, ...words] : [program, ...words];
        return spawn(command[0], command.slice(1), { stdio: ['pipe', 'pipe', 'inherit'], cwd: this.root });
    }

    // --- the faces ---

    async startServer() {
        this.front = start(this.test, this.in('bin/qwd-server'), [`--config=${this.in('service.conf')}`, `--port=${this.port}`, '--cgi-deadline=300', '--verbose'],
                           { env: this.environment() });
        await outputHas(this.front, 'out', /http:\/\//);
    }

    async startApache() {
        this.tlsPort ??= await freePort();
        const file = writeApacheConfiguration(this, account);
        this.front = start(this.test, apacheProgram(), ['-f', file, '-D', 'FOREGROUND'], { cwd: '/' });
        await eventually('Apache answers', async () => {
            if (this.front.exitCode !== null)
                throw new Error(`Apache has ended: ${this.front.err}${fs.readFileSync(this.in('logs/error.log'))}`);
            return this.request('GET', '/').then(() => true, () => false);
        });
    }

    startFront() {
        return this.face === 'apache' ? this.startApache() : this.startServer();
    }

    async endFront() {
        if (this.front && this.front.exitCode === null && this.front.signalCode === null) {
            this.front.kill('SIGTERM');
            await within(20000, `end of ${this.face}`, this.front.ended);
            this.output += this.front.out + this.front.err;
        }
    }

    // --- the end ---

    control(...words) {
        return execFileSync(this.in('bin/qwdctl'), words, { env: this.environment(), encoding: 'utf8', timeout: 90000 });
    }

    endSessions() {
        if (this.sessions().length > 0)
            spawnSync(this.in('bin/qwdctl'), ['stop'], { env: this.environment(), timeout: 90000 });
    }

    // Whatever a test has left running ends here; that nothing is left is for `traces` to show before.
    async end() {
        try {
            this.endSessions();
            await this.endFront();
        } finally {
            this.endAtOnce();
            // Who is not quite gone may still write.
            await eventually('the end of all', () => processesNaming(`${this.root}/`).length === 0);
            fs.rmSync(this.root, { recursive: true, force: true });
        }
    }

    // Also when the tests themselves are ended from outside.
    endWithProcess(t) {
        const atExit = () => {
            this.endAtOnce();
            fs.rmSync(this.root, { recursive: true, force: true });
        };
        const atSignal = (signal) => process.exit(signal === 'SIGINT' ? 130 : 143);
        process.on('exit', atExit).on('SIGTERM', atSignal).on('SIGINT', atSignal);
        t.after(() => process.off('exit', atExit).off('SIGTERM', atSignal).off('SIGINT', atSignal));
    }

    endAtOnce() {
        for (const pid of processesNaming(`${this.root}/`)) {
            try {
                process.kill(pid, 'SIGKILL');
            } catch (error) {
                if (error.code !== 'ESRCH')
                    throw error;
            }
        }
    }

    // --- looking inside ---

    sessions() {
        return list(this.in('state/snapshots')).filter((name) => recordIn(this.in('state/snapshots', name, 'session.json')));
    }

    record(id) {
        return recordIn(this.in('state/snapshots', id, 'session.json'));
    }

    // What is left of sessions that should be gone: processes, sockets, folders, tokens. `id` narrows it to one.
    traces(id) {
        const word = id ?? `${this.root}/`;
        const front = this.front?.pid;
        const isFront = (pid) => pid === front || parentOf(pid) === front;
        const names = (folder) => list(this.in(folder)).filter((name) => !/^\.qemu-web-desktop\.(lock|history|counters|counters\.lock)$/.test(name) && (!id || name === id));
        return {
            processes: processesNaming(word).filter((pid) => id || !isFront(pid)),
            folders: [...names('state/snapshots'), ...list(this.in('run')).filter((name) => /^[0-9a-zA-Z_-]{20,}$/.test(name) && (!id || name === id))],
            tokens: id ? [] : list(this.in('run/display')),
            websockify: !id && fs.existsSync(this.in('run/websockify.json')),
        };
    }

    async assertNothingLeft(id) {
        const empty = (traces) => Object.values(traces).every((value) => (Array.isArray(value) ? value.length === 0 : !value));
        try {
            await eventually('nothing left', () => empty(this.traces(id)));
        } catch {
            throw new Error(`left: ${JSON.stringify(this.traces(id))}`);
        }
    }

    // For who has to find out why a test failed.
    diary() {
        const read = (name) => (fs.existsSync(this.in(name)) ? fs.readFileSync(this.in(name), 'utf8').split('\n').slice(-30).join('\n') : '');
        return ['state/log', 'logs/error.log', 'logs/service.log'].map((name) => `--- ${name}\n${read(name)}`).join('\n') +
            `\n--- ${this.face}\n${this.front?.err.split('\n').slice(-30).join('\n')}`;
    }

    // Everything the web server has written: access and error logs, or standard error.
    logText() {
        return list(this.in('logs')).filter((name) => name.endsWith('.log'))
            .map((name) => fs.readFileSync(this.in('logs', name), 'utf8')).join('') + this.output + this.front.out + this.front.err;
    }

    // --- requests without a browser ---

    async request(method, target, { headers = {}, body } = {}) {
        const request = http.request({ host: '127.0.0.1', port: this.port, method, path: target, agent: false, headers });
        request.on('error', () => {}); // one that comes behind the answer: the server need not read to the end
        request.end(body);
        const [answer] = await within(patience, `${method} ${target}`, once(request, 'response'));
        answer.setEncoding('utf8');
        let text = '';
        for await (const part of answer)
            text += part;
        return { status: answer.statusCode, headers: answer.headers, text };
    }

    create(fields = {}, headers = {}) {
        const body = new URLSearchParams({ create: 'Create', machine: 'tiny.iso', memory: '128M', ...fields }).toString();
        return this.request('POST', '/cgi-bin/qemu-web-desktop.cgi',
                            { body, headers: { 'Content-Type': 'application/x-www-form-urlencoded', Accept: 'application/json', ...headers } });
    }

    async state(id) {
        const answer = await this.request('GET', `/cgi-bin/qemu-web-desktop.cgi?session=${id}`, { headers: { Accept: 'application/json' } });
        return JSON.parse(answer.text).session;
    }

    ready(id) {
        return eventually('session ready', async () => {
            const state = await this.state(id);
            if (state.over)
                throw new Error(`session has ended: ${state.over.reason}`);
            return state.ready && state;
        }, patience);
    }

    stop(id) {
        return this.request('POST', '/cgi-bin/qemu-web-desktop.cgi', {
            body: `session_stop=${id}`, headers: { 'Content-Type': 'application/x-www-form-urlencoded', Accept: 'application/json' } });
    }

    // The websocket of a link, without a browser. Where websockify gets no processor for a while, one is asked to try again.
    async openDisplay(t, link, headers = {}, tries = 6) {
        const url = new URL(link), options = { headers: { Origin: url.origin, ...headers }, ms: patience };
        const ws = await webSocket(t, Number(url.port), `/${url.searchParams.get('path')}`, options);
        return ws.response?.status === 504 && tries > 1 ? this.openDisplay(t, link, headers, tries - 1) : ws;
    }

    // The name that the display gives itself (RFC 6143, 7.3.2), over an opened websocket.
    async displayName(ws) {
        await ws.received(12, patience); // ProtocolVersion
        ws.send(Buffer.from('RFB 003.008\n'));
        await ws.received(14, patience); // one security type
        ws.send([1]);                    // None
        await ws.received(18, patience); // SecurityResult
        ws.send([1]);                    // ClientInit
        const length = (await ws.received(42, patience)).readUInt32BE(38);
        return (await ws.received(42 + length, patience)).subarray(42, 42 + length).toString();
    }
}
