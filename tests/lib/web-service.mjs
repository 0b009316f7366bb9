// SPDX-License-Identifier: AGPL-3.0-or-later
// A service behind qwd-server or behind a real Apache, asked over HTTP.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { once } from 'node:events';
import { afterEach } from 'node:test';
import { apacheProgram, writeApacheConfiguration } from './apache.mjs';
import { list, readIfThere } from './files.mjs';
import { tinyFolder } from './machines.mjs';
import { freePort, webSocket } from './network.mjs';
import { isAlive, isRoot, account, outputHas, parentOf, start } from './programs.mjs';
import { Service } from './service.mjs';
import { eventually, within } from './wait.mjs';

export const script = '/cgi-bin/qemu-web-desktop.cgi';

// The websocket's address for the noVNC of this link: up to version 1.5, and from 1.6 on.
const resolutions = [
    (path, page) => new URL(`${page.origin}/${path}`),
    (path, page) => new URL(path, page),
];

// Path and query of the websocket of a link to noVNC, which is the same in all its versions.
export function socketTarget(link) {
    const page = new URL(link);
    const [first, ...others] = resolutions.map((resolve) => resolve(page.searchParams.get('path'), page));
    others.forEach((other) => assert.equal(other.href, first.href));
    return first.pathname + first.search;
}

export const tokenOf = (url) => new URL(socketTarget(url), url).searchParams.get('token');

// CGI variables as the headers they come from.
const headerName = (variable) => variable.replace(/^HTTP_/, '').replaceAll('_', '-');

// A disk whose first sector halts the processor. The machine uses no processor time, and its screen has the BIOS's text.
function writeHaltedDisk(file) {
    const disk = Buffer.alloc(4 * 1024 * 1024);
    Buffer.from('f4ebfd', 'hex').copy(disk); // hlt, and again
    disk.writeUInt16LE(0xaa55, 510);
    fs.writeFileSync(file, disk);
    return file;
}

// The only machine of a service: one that is halted, or the tiny desktop for tests that use what it shows.
export const haltedMachine = { name: 'halted.raw', description: 'A halted machine', image: (service) => writeHaltedDisk(service.path('halted.raw')) };
export const desktopMachine = { name: 'tiny.iso', description: 'A tiny Debian desktop', image: () => path.join(tinyFolder(), 'tiny.iso') };

// A row that fails reports the last lines of the logs.
const running = new Set();
afterEach((t) => {
    if (t.passed === false)
        running.forEach((service) => service.lastLines().split('\n').forEach((line) => t.diagnostic(line)));
});

export class WebService extends Service {
    static defaults = {
        ...Service.defaults,
        snapshot_alloc_mem: '512M',
        session_start_deadline: '5m',
        form_cpu: '1,2',
        form_memory: '128M,256M,512M',
        form_lifetime: '2h,8h,1d',
    };

    // face: 'qwd-server' or 'apache'. apacheNames: the value of QWD_NAMES in Apache's configuration. stockLogs: Apache's logs
    // are as Debian has them.
    static async serve(t, face, settings = {}, { machine = haltedMachine, apacheNames = null, stockLogs = false } = {}) {
        const service = new this('w-');
        Object.assign(service, { test: t, face, machine, apacheNames, stockLogs, output: '', websockifyPort: await freePort(), httpPort: await freePort() });
        t.after(() => service.end());
        running.add(service);
        await service.start({ settings: { service_port: service.websockifyPort, machine: machine.name, ...settings } });
        await service.startFront();
        return service;
    }

    defaultImages() {
        return { [this.machine.name]: this.machine.image(this) };
    }

    stage(options = {}) {
        super.stage({ ...options, machines: { [this.machine.name]: `description=${this.machine.description}`, ...options.machines } });
    }

    get origin() {
        return `http://127.0.0.1:${this.httpPort}`;
    }

    environment(more = {}) {
        return super.environment({ QWD_CGI: this.cgiProgram, ...more });
    }

    // --- the web server ---

    async startServer() {
        this.front = start(this.test, path.join(this.bin, 'qwd-server'),
                           [`--config=${this.configuration}`, `--port=${this.httpPort}`, '--cgi-deadline=300', '--verbose'],
                           { env: this.environment(), cwd: '/' });
        await outputHas(this.front, 'out', /http:\/\//);
    }

    async startApache() {
        this.tlsPort ??= await freePort();
        const file = writeApacheConfiguration(this, isRoot ? account : null);
        this.front = start(this.test, apacheProgram(), ['-f', file, '-D', 'FOREGROUND'], { cwd: '/' });
        await eventually('Apache answers', async () => {
            if (this.front.exitCode !== null)
                throw new Error(`Apache has ended: ${this.front.err}${readIfThere(this.path('logs/error.log'))}`);
            return this.fetch('GET', '/').then(() => true, () => false);
        });
    }

    startFront() {
        return this.face === 'apache' ? this.startApache() : this.startServer();
    }

    async endFront() {
        if (this.front && this.front.exitCode === null && this.front.signalCode === null) {
            this.front.kill('SIGTERM');
            await within(`end of ${this.face}`, this.front.ended);
            this.output += this.front.out + this.front.err;
        }
    }

    async end() {
        running.delete(this);
        try {
            await this.endFront();
        } finally {
            await super.end();
        }
    }

    // The processes of the service; the web server, and what it runs at the moment, are not among them.
    processes() {
        const front = this.front?.pid;
        const isFront = (pid) => pid === front || parentOf(pid) === front;
        const isOfFront = (pid) => front && isAlive(front) && (isFront(pid) || isFront(parentOf(pid)));
        return Object.fromEntries(Object.entries(super.processes()).filter(([pid]) => !isOfFront(Number(pid))));
    }

    // --- logs ---

    // The last lines of each log, for the report of a test that failed.
    lastLines() {
        const lines = (text) => text.split('\n').slice(-30).join('\n');
        return ['service/log', 'logs/error.log', 'logs/service.log'].map((name) => `--- ${name}\n${lines(readIfThere(this.path(name)))}`).join('\n') +
            `\n--- ${this.face}\n${lines(this.front?.err ?? '')}`;
    }

    // Everything the web server has written: access and error logs, or standard error.
    logText() {
        return list(this.path('logs')).filter((name) => name.endsWith('.log'))
            .map((name) => fs.readFileSync(this.path('logs', name), 'utf8')).join('') + this.output + this.front.out + this.front.err;
    }

    // --- requests without a browser ---

    async fetch(method, target, { headers = {}, body } = {}) {
        const request = http.request({ host: '127.0.0.1', port: this.httpPort, method, path: target, agent: false, headers });
        request.on('error', () => {}); // the server may answer without reading to the end
        request.end(body);
        const [answer] = await within(`${method} ${target}`, once(request, 'response'));
        answer.setEncoding('utf8');
        let text = '';
        for await (const part of answer)
            text += part;
        return { status: answer.statusCode, headers: answer.headers, text };
    }

    request(method, fields = {}, variables = {}) {
        const text = typeof fields === 'string' ? fields : new URLSearchParams(fields).toString();
        const headers = Object.fromEntries(Object.entries(variables).filter(([name]) => name.startsWith('HTTP_'))
            .map(([name, value]) => [headerName(name), value]));
        return method === 'POST'
            ? this.fetch('POST', script, { body: text, headers: { 'Content-Type': 'application/x-www-form-urlencoded', ...headers } })
            : this.fetch(method, `${script}?${text}`, { headers });
    }

    // The answer to a Create, as JSON unless the headers say otherwise.
    postCreate(fields = {}, headers = {}) {
        const body = new URLSearchParams({ create: 'Create', machine: this.machine.name, memory: '128M', ...fields }).toString();
        return this.fetch('POST', script, {
            body, headers: { 'Content-Type': 'application/x-www-form-urlencoded', Accept: 'application/json', ...headers } });
    }

    create(fields = {}) {
        return super.create({ machine: this.machine.name, memory: '128M', ...fields });
    }

    // The websocket of a link, without a browser. It is tried again when websockify was too slow for the proxy.
    async openDisplay(t, link, headers = {}, tries = 6) {
        const url = new URL(link);
        const ws = await webSocket(t, Number(url.port), socketTarget(url), { headers: { Origin: url.origin, ...headers } });
        return ws.response?.status === 504 && tries > 1 ? this.openDisplay(t, link, headers, tries - 1) : ws;
    }

    // The name of the desktop (RFC 6143, 7.3.2), over an opened websocket.
    async displayName(ws) {
        await ws.received(12); // ProtocolVersion
        ws.send(Buffer.from('RFB 003.008\n'));
        await ws.received(14); // one security type
        ws.send([1]);          // None
        await ws.received(18); // SecurityResult
        ws.send([1]);          // ClientInit
        const length = (await ws.received(42)).readUInt32BE(38);
        return (await ws.received(42 + length)).subarray(42, 42 + length).toString();
    }
}
