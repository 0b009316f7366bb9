// SPDX-License-Identifier: AGPL-3.0-or-later
// The programs that check a login, run and judged.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { builds } from './files.mjs';
import { within } from './wait.mjs';

export const helper = (name, variant = 'asan') => path.join(builds, variant, `qwd-auth-${name}`);

// Starts a checking program and gives it `bytes`, and unless `more` may come the end. The child's promise `ended` has
// {code, signal, out, err, ms}.
export function ask(program, bytes, { settings = {}, env = {}, args = [], more = false, ...options } = {}) {
    const overrides = Object.entries(settings).map(([key, value]) => `${key}=${value}\n`).join('');
    const began = performance.now();
    const child = spawn(program, args, {
        env: { PATH: process.env.PATH, ASAN_OPTIONS: 'detect_leaks=1', QWD_CONFIG: '/nonexistent/qwd.conf',
               QWD_OVERRIDES: overrides, ...env },
        stdio: ['pipe', 'pipe', 'pipe'],
        ...options,
    });
    child.out = child.err = '';
    child.stdout.setEncoding('utf8').on('data', (text) => { child.out += text; });
    child.stderr.setEncoding('utf8').on('data', (text) => { child.err += text; });
    child.stdin.on('error', () => {}); // it may have ended without reading
    child.stdin.write(bytes);
    if (!more)
        child.stdin.end();
    child.ended = Promise.race([
        once(child, 'close').then(([code, signal]) => ({ code, signal, out: child.out, err: child.err,
                                                         ms: Math.round(performance.now() - began) })),
        once(child, 'error').then(([error]) => { throw error; }),
    ]);
    child.ended.catch(() => {});
    return child;
}

export const credentials = (user, password) =>
    Buffer.concat([Buffer.from(user), Buffer.alloc(1), Buffer.from(password), Buffer.alloc(1)]);

// Everything that a program says, once it has ended. Nothing of it may hold the password.
export async function answerOf(child, password) {
    try {
        const answer = await within(`end of ${child.spawnfile}`, child.ended);
        if (password.length > 3)
            assert.ok(!(answer.out + answer.err).includes(password), 'the password is in the output');
        return answer;
    } finally {
        child.kill('SIGKILL');
    }
}

export const tryLogin = (program, user, password, options) =>
    answerOf(ask(program, credentials(user, password), options), password);

export function assertYes(answer, identity) {
    assert.equal(answer.code, 0, answer.err);
    assert.equal(answer.err, '');
    const got = JSON.parse(answer.out);
    for (const [key, value] of Object.entries(identity))
        assert.deepEqual(key === 'groups' ? got[key].sort() : got[key], value);
}

export function assertRefused(answer, code, pattern) {
    assert.equal(answer.code, code, `${answer.signal} ${answer.err} ${answer.out}`);
    assert.equal(answer.out, '');
    assert.match(answer.err, /^qwd-auth-[a-z]+: [^\n]+\n$/); // one line
    if (pattern)
        assert.match(answer.err, pattern);
}
