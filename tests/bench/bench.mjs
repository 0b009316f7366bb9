// SPDX-License-Identifier: AGPL-3.0-or-later
// Figures of the whole service, behind qwd-server and behind Apache: what a user waits for, and what a request costs.

import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { build } from '../lib/files.mjs';
import { clientPort } from '../lib/network.mjs';
import { eventually, timeoutMs } from '../lib/wait.mjs';
import { WebService, desktopMachine, socketTarget } from '../lib/web-service.mjs';

const runs = Number(process.argv[2]);
const browserPort = String(await clientPort());
const cleanups = [];
const t = { after: (hook) => cleanups.push(hook) };

const sorted = (values) => [...values].sort((a, b) => a - b);
const median = (values) => sorted(values)[Math.floor(values.length / 2)];

function show(what, values, unit, original) {
    const [low, high] = [sorted(values)[0], sorted(values).at(-1)];
    const digits = unit === 'ms' ? 1 : 0;
    const figure = `${median(values).toFixed(digits)} (${low.toFixed(digits)}-${high.toFixed(digits)}, n=${values.length}) ${unit}`;
    console.log(`| ${what} | ${figure} | ${original} |`);
}

const now = () => performance.now();

// Calls the CGI program directly and tells the processor time and the memory it took.
function cost(service, environment) {
    const result = spawnSync('/usr/bin/time', ['-f', '%U %S %M', service.cgiProgram], {
        env: { ...service.environment(), GATEWAY_INTERFACE: 'CGI/1.1', REQUEST_METHOD: 'GET', REMOTE_ADDR: '127.0.0.1',
               REMOTE_PORT: browserPort, HTTP_HOST: 'localhost', SCRIPT_NAME: '/cgi-bin/qemu-web-desktop.cgi', ...environment },
        encoding: 'utf8', maxBuffer: 64 << 20 });
    const [user, system, kilobytes] = result.stderr.trim().split('\n').at(-1).split(' ').map(Number);
    if (!result.stdout.startsWith('Status: 200'))
        throw new Error(`the program answered ${result.stdout.slice(0, 200)} ${result.stderr}`);
    return { cpu_ms: (user + system) * 1000, memory_mb: kilobytes / 1024 };
}

// getrusage(2) counts in clock ticks here, so one run says little: many runs in one process tree say more.
function cpuOfMany(service, environment, count) {
    const script = `for i in $(seq ${count}); do "$0" >/dev/null; done`;
    const result = spawnSync('/usr/bin/time', ['-f', '%U %S', 'bash', '-c', script, service.cgiProgram], {
        env: { ...service.environment(), GATEWAY_INTERFACE: 'CGI/1.1', REQUEST_METHOD: 'GET', REMOTE_ADDR: '127.0.0.1',
               REMOTE_PORT: browserPort, HTTP_HOST: 'localhost', SCRIPT_NAME: '/cgi-bin/qemu-web-desktop.cgi', ...environment },
        encoding: 'utf8' });
    const [user, system] = result.stderr.trim().split('\n').at(-1).split(' ').map(Number);
    return ((user + system) * 1000) / count;
}

async function create(service) {
    const begin = now();
    const answer = await service.postCreate({}, { Accept: 'text/html' });
    const replied = now() - begin;
    const id = /session=([0-9a-f]+)/.exec(answer.headers.location ?? '')?.[1];
    if (!id)
        throw new Error(`Create was answered with ${answer.status}`);
    return { id, begin, replied };
}

// When the session is ready its record tells; its folder is watched, so that nothing is asked in vain.
function readyAt(service, id) {
    const folder = service.path('service/snapshots', id);
    return new Promise((resolve, reject) => {
        const watcher = fs.watch(folder, () => look());
        const timer = setTimeout(() => done(() => reject(new Error('not ready in time'))), timeoutMs);
        const done = (act) => { clearTimeout(timer); watcher.close(); act(); };
        const look = () => {
            const state = service.record(id)?.state;
            if (state === 'running')
                done(() => resolve(now()));
            else if (!['queued', 'starting'].includes(state))
                done(() => reject(new Error(`the session is ${state}`)));
        };
        look();
    });
}

function firstFrame(link) {
    const url = new URL(link);
    const address = `ws://${url.host}${socketTarget(url)}`;
    return new Promise((resolve, reject) => {
        const probe = spawn(path.join(build, 'tests/vnc-probe'), [address, '--header', `Origin: ${url.origin}`, '--wait-frame'],
                            { stdio: ['ignore', 'pipe', 'inherit'] });
        let text = '';
        probe.stdout.on('data', (data) => { text += data; });
        probe.on('exit', (code) => (code === 0 ? resolve(now()) : reject(new Error(`vnc-probe: ${text}`))));
    });
}

async function oneSession(service, figures) {
    const { id, begin, replied } = await create(service);
    figures.reply.push(replied);
    figures.ready.push((await readyAt(service, id)) - begin);
    const state = await service.sessionState(id);
    figures.frame.push((await firstFrame(state.ready.url)) - begin);
    const stopping = now();
    await service.stop(id);
    figures.stop.push(now() - stopping);
    await eventually('end of the session', () => !fs.existsSync(service.path('service/snapshots', id)));
}

async function sessions(face) {
    const service = await WebService.serve(t, face, { session_stop_grace: '0s', accel: 'tcg' }, { machine: desktopMachine });
    const figures = { reply: [], ready: [], frame: [], stop: [] };
    await oneSession(service, { reply: [], ready: [], frame: [], stop: [] }); // warm
    for (let i = 0; i < runs; i++)
        await oneSession(service, figures);
    show(`${face}: POST Create to complete reply`, figures.reply, 'ms', '7351 ms');
    show(`${face}: POST Create to a display that can be used`, figures.ready, 'ms', '-');
    show(`${face}: POST Create to first framebuffer through websockify`, figures.frame, 'ms', '7510 ms');
    show(`${face}: POST stop to complete reply`, figures.stop, 'ms', '642 ms');
    return service;
}

async function atOnce(service, count) {
    const begin = now();
    const created = await Promise.all(Array.from({ length: count }, () => create(service)));
    const replied = now() - begin;
    await Promise.all(created.map(({ id }) => readyAt(service, id)));
    const ready = now() - begin;
    const names = await Promise.all(created.map(async ({ id }) => {
        const state = await service.sessionState(id);
        return (await service.displayName(await service.openDisplay(t, state.ready.url))).includes(id);
    }));
    console.log(`| ${count} Creates at once: machines, links that show their own | ${created.length}, ${names.filter(Boolean).length}; ` +
                `all replies ${replied.toFixed(0)} ms, all ready ${ready.toFixed(0)} ms | 6-7, 6-7; 10200-11700 ms |`);
    await Promise.all(created.map(({ id }) => service.stop(id)));
    await eventually('end of all', () => service.sessions().length === 0);
}

// Records that look like running sessions, to be listed.
function plant(service, count) {
    const template = { schema: 1, state: 'running', owner: 'guest', remote_host: '', step: '', reason: '', note: '', accelerator: 'tcg',
                       stop_by: '', created_at: 1, ends_at: 4e9, plan: { machine: 'tiny.iso', image: '/x', cpus: 1, memory_mib: 128 },
                       links: [], viewers: [], processes: [], steps: [] };
    for (let i = 0; i < count; i++) {
        const id = i.toString(16).padStart(32, '0');
        const folder = service.path('service/snapshots', id);
        fs.mkdirSync(folder, { recursive: true });
        fs.writeFileSync(path.join(folder, 'session.json'), JSON.stringify({ ...template, id }));
    }
}

function pages(service) {
    for (const [count, original] of [[0, '256 ms, 44 MB'], [20, '274 ms, 44 MB'], [1000, '-']]) {
        plant(service, count);
        const manage = { QUERY_STRING: 'manage=1&user=guest' };
        const memory = cost(service, manage).memory_mb;
        console.log(`| Manage page, ${count} sessions: CPU, memory of the process | ${cpuOfMany(service, manage, 50).toFixed(2)} ms, ` +
                    `${memory.toFixed(1)} MB | ${original} |`);
    }
    fs.rmSync(service.path('service/snapshots'), { recursive: true });
}

console.log(`tests/bench/run ${runs}: median (min-max, n); the original: peer figures of its Debian package\n`);
console.log('| what | here | original |\n|---|---|---|');
try {
    const server = await sessions('qwd-server');
    await atOnce(server, 10);
    pages(server);
    await sessions('apache');
} finally {
    for (const hook of cleanups.reverse())
        await hook();
}
