// SPDX-License-Identifier: AGPL-3.0-or-later
// Waiting. A test waits for an event or a condition, never for a time. All waits share the time-out of the run, so that
// a slow host is slow and not wrong.

import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';

// tests/run measures the host before it begins and sets the variable.
export const timeoutMs = Number(process.env.QWD_TEST_TIMEOUT_S ?? 120) * 1000;

// For what takes a whole operating system: its boot, and what waits for that.
export const bootTimeoutMs = 4 * timeoutMs;

// The promise's value, or an error that names what was waited for. `ms` is for tests whose subject is the time itself.
export async function within(what, promise, ms = timeoutMs) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`${what}: nothing within ${ms} ms`)), ms);
    });
    try {
        return await Promise.race([promise, late]);
    } finally {
        clearTimeout(timer);
    }
}

// Checks now and after each `event` of the emitter until the condition is true. Returns its value.
export function until(emitter, event, condition, what = event, ms = timeoutMs) {
    let check;
    const met = new Promise((resolve, reject) => {
        check = () => {
            try {
                const value = condition();
                if (value)
                    resolve(value);
            } catch (error) {
                reject(error);
            }
        };
        emitter.on(event, check);
        check();
    });
    return within(what, met, ms).finally(() => emitter.off(event, check));
}

// Checks now and whenever an entry of one of the folders changes. A folder that does not exist is not watched.
export async function untilFiles(folders, condition, what, ms = timeoutMs) {
    const changes = new EventEmitter().setMaxListeners(0);
    const changed = () => changes.emit('change');
    const watchers = folders.filter((folder) => fs.existsSync(folder)).flatMap((folder) => {
        try {
            return [fs.watch(folder, changed).on('error', changed)];
        } catch {
            return []; // it has just been removed
        }
    });
    try {
        return await until(changes, 'change', condition, what, ms);
    } finally {
        watchers.forEach((watcher) => watcher.close());
    }
}

// Waits until a file has content. Returns the content.
export function fileWritten(file) {
    const read = () => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '');
    return untilFiles([path.dirname(file)], read, `${file} is written`);
}

const POLL_MS = 50;

// Checks again and again until the condition is true. This is for conditions without an event: the content of a page, and
// answers of other programs. For files, processes and sockets there are untilFiles, processGone and until.
export async function eventually(what, condition, ms = timeoutMs) {
    const end = performance.now() + ms;
    for (;;) {
        const value = await condition();
        if (value)
            return value;
        if (performance.now() > end)
            throw new Error(`${what}: not within ${ms} ms`);
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
}

// For tests of a promised time: the host may have stopped the test itself meanwhile. It gets five tries, each with twice
// the time of the one before, until attempt(seconds) is true.
export async function inTime(seconds, attempt) {
    for (let tries = 0; tries < 5; tries++, seconds *= 2) {
        if (await attempt(seconds))
            return;
    }
    assert.fail(`not in time, nor with ${seconds / 2} s`);
}
