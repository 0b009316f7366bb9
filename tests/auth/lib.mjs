// SPDX-License-Identifier: AGPL-3.0-or-later
// What the tests of the checking programs share: asking one a question, certificates of the test's own, and a slapd
// that lives as long as its suite.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { freePort, isAlive, outputHas, start, top, within } from '../integration/lib.mjs';

export const builds = process.env.QWD_BUILDS ?? path.join(top, 'build');
export const helper = (name, variant = 'asan') => path.join(builds, variant, `qwd-auth-${name}`);

// Stands in for a test where something lives as long as a whole file: what is given to its after() runs at the end, all
// of it, last things first.
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

// A folder that other accounts can read.
export function suiteFolder(t, parent = os.tmpdir()) {
    const folder = fs.mkdtempSync(path.join(parent, 'qwd-auth-'));
    fs.chmodSync(folder, 0o755);
    t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
    return folder;
}

export function command(program, args, options = {}) {
    const result = spawnSync(program, args, { encoding: 'utf8', ...options });
    assert.equal(result.error, undefined);
    assert.equal(result.status, 0, `${program} ${args.join(' ')}: ${result.stderr}`);
    return result.stdout;
}

// --- asking ---

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
export async function answerOf(child, password, ms = 30000) {
    try {
        const answer = await within(ms, `end of ${child.spawnfile}`, child.ended);
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

// What other accounts see of a process while it runs.
export const visibleOf = (pid) =>
    ['cmdline', 'environ', 'comm', 'status'].map((file) => fs.readFileSync(`/proc/${pid}/${file}`, 'latin1')).join('\n');

// The same of one that may have ended meanwhile, and then shows nothing.
export function visibleWhileAlive(pid) {
    try {
        const seen = visibleOf(pid);
        return isAlive(pid) ? seen : '';
    } catch {
        return '';
    }
}

// What has to keep to its time may have been held up itself, by a machine that is busy: it is tried a few times, each
// with twice the time, until attempt(seconds) is true.
export async function inTime(seconds, attempt) {
    for (let tries = 0; tries < 5; tries++, seconds *= 2) {
        if (await attempt(seconds))
            return;
    }
    assert.fail(`not in time, nor with ${seconds / 2} s`);
}

// Looks into /proc, which has no events, until the process is as far as wanted.
export async function untilProcess(child, what, condition, ms = 60000) {
    for (const end = performance.now() + ms; performance.now() < end; await setImmediate()) {
        if (condition(child.pid))
            return;
    }
    throw new Error(`process ${child.pid}: not ${what} within ${ms} ms`);
}

// --- certificates ---

// An authority with its files in a folder; issue(name, {names, from, to}) makes name.pem and name.key.
export function authority(folder, name) {
    const ca = path.join(folder, name);
    fs.mkdirSync(ca);
    const file = (leaf) => path.join(ca, leaf);
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    fs.writeFileSync(file('index'), '');
    fs.writeFileSync(file('conf'), `[ca]\ndefault_ca=own\n[own]\ndir=${ca}\ndatabase=${ca}/index\nnew_certs_dir=${ca}\n` +
        `certificate=${ca}/ca.pem\nprivate_key=${ca}/ca.key\ndefault_md=sha256\ndefault_days=2\npolicy=any\n` +
        'copy_extensions=copy\nrand_serial=yes\n[any]\ncommonName=supplied\n');
    command('openssl', ['req', '-x509', ...key, '-keyout', file('ca.key'), '-out', file('ca.pem'), '-days', '2',
                        '-subj', `/CN=${name}`]);
    const issue = (leaf, { names, from, to }) => {
        command('openssl', ['req', ...key, '-keyout', file(`${leaf}.key`), '-out', file(`${leaf}.csr`),
                            '-subj', `/CN=${leaf}`, '-addext', `subjectAltName=${names}`]);
        command('openssl', ['ca', '-batch', '-config', file('conf'), '-in', file(`${leaf}.csr`), '-out', file(`${leaf}.pem`),
                            '-notext', ...(from ? ['-startdate', from] : []), ...(to ? ['-enddate', to] : [])]);
        return { certificate: file(`${leaf}.pem`), key: file(`${leaf}.key`) };
    };
    return { certificate: file('ca.pem'), issue };
}

// --- slapd ---

export const suffix = 'dc=example,dc=org';

function slapdConfig(folder, tls, ca) {
    const schemas = ['core', 'cosine', 'nis', 'inetorgperson'];
    return [
        ...schemas.map((schema) => `include /etc/ldap/schema/${schema}.schema`),
        'modulepath /usr/lib/ldap', 'moduleload back_mdb', `pidfile ${folder}/pid`, `argsfile ${folder}/args`,
        'sizelimit unlimited',
        'allow bind_anon_cred', // the trap of RFC 4513, section 5.1.2: a bind without a password succeeds
        ...(tls ? [`TLSCACertificateFile ${ca.certificate}`, `TLSCertificateFile ${tls.certificate}`,
                   `TLSCertificateKeyFile ${tls.key}`] : []),
        'database mdb', `suffix "${suffix}"`, `directory ${folder}/db`, 'maxsize 33554432', 'dbnosync',
        'index objectClass,uid,mail,member,memberUid eq',
        'access to attrs=userPassword by anonymous auth by * none',
        `access to dn.subtree="ou=hidden,${suffix}" by dn.exact="cn=search,${suffix}" read by * none`,
        'access to * by * read', '',
    ].join('\n');
}

// A slapd on two ports of 127.0.0.1, ready to answer. With `tls` it has StartTLS and ldaps. Its log is in .err.
export async function slapd(t, folder, { ldif = '', tls, ca } = {}) {
    const config = path.join(folder, 'slapd.conf');
    fs.mkdirSync(path.join(folder, 'db'), { recursive: true });
    fs.writeFileSync(config, slapdConfig(folder, tls, ca));
    if (ldif)
        command('/usr/sbin/slapadd', ['-q', '-f', config], { input: ldif });
    const [port, tlsPort] = [await freePort(), await freePort()];
    const urls = `ldap://127.0.0.1:${port}${tls ? ` ldaps://127.0.0.1:${tlsPort}` : ''}`;
    const server = start(t, '/usr/sbin/slapd', ['-d', 'stats', '-f', config, '-h', urls]);
    await outputHas(server, 'err', /slapd starting/);
    return Object.assign(server, { port, tlsPort });
}
