// SPDX-License-Identifier: AGPL-3.0-or-later
// Places in the tree, builds, and temporary files.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const top = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const builds = process.env.QWD_BUILDS ?? path.join(top, 'build');
export const variant = process.env.VARIANT ?? 'release';
export const build = process.env.QWD_BUILD ?? path.join(builds, variant);

// The root of the installed tree. tests/run installs it once for all files.
export function installedRoot() {
    if (process.env.QWD_ROOT)
        return process.env.QWD_ROOT;
    const root = path.join(build, 'installed');
    command('make', ['--no-print-directory', '-s', '-C', top, 'install', `B=${build}`, `DESTDIR=${root}`], { stdio: 'pipe' });
    process.env.QWD_ROOT = root;
    return root;
}

// A new folder below TMPDIR that other accounts can read. The names are short, because sockets live below it (unix(7)).
export function makeFolder(prefix = 'qwd-', parent = os.tmpdir()) {
    const folder = fs.mkdtempSync(path.join(parent, prefix));
    fs.chmodSync(folder, 0o755);
    return folder;
}

// The same, removed after the test or the file that `t` stands for.
export function tempFolder(t, prefix, parent) {
    const folder = makeFolder(prefix, parent);
    t.after(() => fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
    return folder;
}

// Replaces a file at once: readers see the old text or the new one.
export function replaceFile(file, text) {
    fs.writeFileSync(`${file}.new`, text);
    fs.renameSync(`${file}.new`, file);
}

export function readIfThere(file, encoding = 'latin1') {
    try {
        return fs.readFileSync(file, encoding);
    } catch {
        return '';
    }
}

export const list = (folder) => (fs.existsSync(folder) ? fs.readdirSync(folder) : []);

// Compares a text with a golden file below tests/fixtures. `make bless` rewrites these files.
export function assertGolden(name, text) {
    const file = path.join(top, 'tests/fixtures', name);
    if (process.env.BLESS)
        fs.writeFileSync(file, text);
    try {
        assert.equal(text, readIfThere(file, 'utf8'));
    } catch (error) {
        error.message = `tests/fixtures/${name} differs. Run \`make bless\` and review the diff of tests/fixtures.\n${error.message}`;
        throw error;
    }
}

// Runs a program that must succeed. Returns its output.
export function command(program, args, options = {}) {
    const result = spawnSync(program, args, { encoding: 'utf8', ...options });
    assert.equal(result.error, undefined);
    assert.equal(result.status, 0, `${program} ${args.join(' ')}: ${result.stderr}`);
    return result.stdout;
}

export const sh = (program, ...args) => command(program, args);
