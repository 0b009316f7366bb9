// SPDX-License-Identifier: AGPL-3.0-or-later
// Programs that end with their test, what they print, and what /proc tells of processes.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import fs from 'node:fs';
import readline from 'node:readline';
import { setImmediate } from 'node:timers/promises';
import { list } from './files.mjs';
import { timeoutMs, until, within } from './wait.mjs';

export const isRoot = process.getuid() === 0;

// The service account.
export const account = isRoot ? 'www-data' : process.env.USER;

// Words before a command that runs it as the service account.
export const asAccount = isRoot ? ['setpriv', `--reuid=${account}`, `--regid=${account}`, '--clear-groups', '--'] : [];

// Stands in for a test where something lives as long as a whole file. What is given to its after() runs at the end, in
// reverse order.
export function suite(after) {
    const ends = [];
    after(async () => {
        const errors = [];
        for (const end of ends.reverse())
            await Promise.resolve().then(end).catch((error) => errors.push(error));
        assert.deepEqual(errors, []);
    });
    return { after: (end) => ends.push(end) };
}

// A program that is killed, by pid, when the test ends. Its output is collected in .out and .err; the child emits
// 'output' after each part. Its promise `ended` has {code, signal, out, err}.
export function start(t, program, args = [], options = {}) {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    child.out = child.err = '';
    for (const [stream, name] of [[child.stdout, 'out'], [child.stderr, 'err']]) {
        stream?.setEncoding('utf8').on('data', (text) => {
            child[name] += text;
            child.emit('output');
        });
    }
    child.ended = once(child, 'close').then(([code, signal]) => ({ code, signal, out: child.out, err: child.err }));
    child.ended.catch(() => {});
    t.after(async () => {
        if (child.exitCode === null && child.signalCode === null)
            child.kill('SIGKILL');
        child.stdout?.destroy();
        child.stderr?.destroy();
    });
    return child;
}

// Runs a program to its end.
export const run = (t, program, args, options) => within(`end of ${program}`, start(t, program, args, options).ended);

// Waits for a text in a program's output. Fails at once when the program ends without it.
export const outputHas = (child, name, pattern) => Promise.race([
    until(child, 'output', () => child[name].match(pattern), `${pattern} in ${name} of ${child.spawnfile}`),
    child.ended.then(({ code, signal, err }) => child[name].match(pattern) ??
        Promise.reject(new Error(`${child.spawnfile} ended (${code ?? signal}): ${err}`))),
]);

// Reads from a socket or stream until the text so far matches. The match and all before it are taken off.
export async function readUntil(stream, pattern, what = String(pattern), ms = timeoutMs) {
    stream.text ??= '';
    if (!stream.isRead) {
        stream.isRead = true;
        stream.setEncoding('latin1').on('data', (text) => {
            stream.text += text;
            stream.emit('more');
        }).on('close', () => stream.emit('more'));
    }
    try {
        const match = await until(stream, 'more', () => stream.text.match(pattern), what, ms);
        stream.text = stream.text.slice(match.index + match[0].length);
        return match;
    } catch (error) {
        error.message += `; so far: ${JSON.stringify(stream.text.slice(-400))}`;
        throw error;
    }
}

// --- processes ---

export const isAlive = (pid) => {
    try {
        return !/^\d+ \(.*\) [ZX]/s.test(fs.readFileSync(`/proc/${pid}/stat`, 'latin1'));
    } catch {
        return false;
    }
};

// Reads pids, and prints each when its process has ended (pidfd_open(2)). A zombie has ended.
const watchScript = `
import os, select, sys
poll, pids, rest = select.poll(), {}, b''
poll.register(0, select.POLLIN)
while True:
    for fd, _ in poll.poll():
        if fd:
            poll.unregister(fd)
            os.close(fd)
            print(pids.pop(fd), flush=True)
            continue
        data = os.read(0, 65536)
        if not data:
            sys.exit()
        *lines, rest = (rest + data).split(b'\\n')
        for pid in map(int, lines):
            try:
                fd = os.pidfd_open(pid)
            except ProcessLookupError:
                print(pid, flush=True)
                continue
            pids[fd] = pid
            poll.register(fd, select.POLLIN)
`;

let processWatcher; // one for a file of tests

function startProcessWatcher() {
    const child = spawn('/usr/bin/python3', ['-c', watchScript], { stdio: ['pipe', 'pipe', 'inherit'] });
    processWatcher = Object.assign(new EventEmitter().setMaxListeners(0), { child, ended: new Set() });
    for (const handle of [child, child.stdin, child.stdout])
        handle.unref();
    readline.createInterface({ input: child.stdout }).on('line', (pid) => {
        processWatcher.ended.add(Number(pid));
        processWatcher.emit('end');
    });
}

// Waits until a process of anybody's has ended.
export async function processGone(pid) {
    if (!processWatcher)
        startProcessWatcher();
    const { ended, child } = processWatcher;
    ended.delete(Number(pid));
    child.stdin.write(`${pid}\n`);
    await until(processWatcher, 'end', () => ended.has(Number(pid)), `end of process ${pid}`);
    assert.ok(!isAlive(pid));
}

export async function kill(pid) {
    process.kill(pid, 'SIGKILL');
    await processGone(pid);
}

export function signalIfAlive(pid, signal = 'SIGKILL') {
    try {
        process.kill(pid, signal);
    } catch (error) {
        if (error.code !== 'ESRCH')
            throw error;
    }
}

// Whether SIGKILL has been sent to a process, or it is exiting (proc(5): field 9, PF_EXITING).
export function isDying(pid) {
    try {
        const flags = Number(fs.readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').pop().split(' ')[6]);
        const pending = fs.readFileSync(`/proc/${pid}/status`, 'latin1').match(/^(Sig|Shd)Pnd:\t[0-9a-f]+$/gm);
        return Boolean(flags & 4) || pending.some((line) => BigInt(`0x${line.split('\t')[1]}`) & 0x100n);
    } catch {
        return true;
    }
}

export const allPids = () => fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number);

export const parentOf = (pid) => {
    try {
        return Number(fs.readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1).split(' ')[1]);
    } catch {
        return 0;
    }
};

export const childrenOf = (pid) => allPids().filter((one) => parentOf(one) === pid);

// What a process has open: [[descriptor, target], ...].
export function descriptorsOf(pid) {
    const target = (fd) => {
        try {
            return fs.readlinkSync(`/proc/${pid}/fd/${fd}`);
        } catch {
            return ''; // it has just been closed
        }
    };
    return list(`/proc/${pid}/fd`).map((fd) => [fd, target(fd)]);
}

// TCP ports on which a process listens (proc(5)).
export function listeningPorts(pid) {
    const ports = new Map();
    for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) {
        for (const line of fs.existsSync(file) ? fs.readFileSync(file, 'latin1').split('\n').slice(1) : []) {
            const words = line.trim().split(/\s+/);
            if (words[3] === '0A')
                ports.set(`socket:[${words[9]}]`, parseInt(words[1].split(':').at(-1), 16));
        }
    }
    return descriptorsOf(pid).flatMap(([, target]) => (ports.has(target) ? [ports.get(target)] : []));
}

// What other accounts see of a process while it runs.
export const visibleOf = (pid) =>
    ['cmdline', 'environ', 'comm', 'status'].map((file) => fs.readFileSync(`/proc/${pid}/${file}`, 'latin1')).join('\n');

// The same; nothing when it has ended.
export function visibleWhileAlive(pid) {
    try {
        const seen = visibleOf(pid);
        return isAlive(pid) ? seen : '';
    } catch {
        return '';
    }
}

// Looks into /proc, which has no events, until the process fulfils the condition.
export async function untilProcess(child, what, condition) {
    for (const end = performance.now() + timeoutMs; performance.now() < end; await setImmediate()) {
        if (condition(child.pid))
            return;
    }
    throw new Error(`process ${child.pid}: not ${what} within ${timeoutMs} ms`);
}

// Command lines of all processes.
export const commandLines = () => allPids().map((pid) => {
    try {
        return fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1');
    } catch {
        return ''; // it has just ended
    }
}).join('\n');
