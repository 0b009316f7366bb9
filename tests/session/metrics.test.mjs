// SPDX-License-Identifier: AGPL-3.0-or-later
// Metrics, read by Prometheus' own parser: sessions that start, fail, end and are refused, access, and the processor time of a
// request.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { isRoot } from '../lib/programs.mjs';
import { Service, useService } from '../lib/service.mjs';

const service = useService({ settings: { service_max_session_nb: '3' } });
const qwdctl = (...words) => service.control(...words);

const parser = `import json, sys
from prometheus_client.parser import text_string_to_metric_families as families
print(json.dumps([[f.name, f.type, f.documentation, [[s.name, s.labels, s.value] for s in f.samples]]
                  for f in families(sys.stdin.read())]))
`;

// The families by name: {type, help, samples: [[name, labels, value], ...]}.
function parse(text) {
    const read = spawnSync('/usr/bin/python3', ['-c', parser], { input: text, encoding: 'utf8', maxBuffer: 1 << 28 });
    assert.equal(read.status, 0, read.stderr);
    const families = JSON.parse(read.stdout);
    assert.equal(new Set(families.map(([name]) => name)).size, families.length, 'each family is in one piece');
    for (const [name, type, help] of families) {
        assert.match(name, /^qwd_[a-z0-9_]+$/);
        assert.match(type, /^(counter|gauge|histogram)$/);
        assert.ok(help.endsWith('.'), `${name} is explained`);
    }
    return Object.fromEntries(families.map(([name, type, help, samples]) => [name, { type, help, samples }]));
}

// Checks what the parser does not.
function checkText(text) {
    const number = '([+-]?Inf|NaN|-?\\d+(\\.\\d+)?(e[+-]\\d+)?)';
    const label = '[a-z_]+="([^"\\\\\\n]|\\\\[\\\\"n])*"';
    const sample = new RegExp(`^[a-z][a-z0-9_]*(\\{${label}(,${label})*\\})? ${number}$`);
    assert.ok(text.endsWith('\n'));
    const lines = text.slice(0, -1).split('\n');
    let family = '';
    const seen = new Set();
    for (const [i, line] of lines.entries()) {
        if (line.startsWith('# HELP ')) {
            family = line.split(' ')[2];
            assert.match(lines[i + 1], new RegExp(`^# TYPE ${family} (counter|gauge|histogram)$`));
        } else if (!line.startsWith('# TYPE ')) {
            assert.match(line, sample);
            assert.match(line, new RegExp(`^${family}(_bucket|_sum|_count)?[{ ]`));
            const [series] = line.split(/ (?=[^ ]*$)/);
            assert.ok(!seen.has(series), `${series} is there once`);
            seen.add(series);
        }
    }
}

async function metrics() {
    const { code, out, err } = await qwdctl('metrics');
    assert.equal(code, 0, err);
    checkText(out);
    return parse(out);
}

function value(families, name, labels = {}, sample = name) {
    const family = families[name] ?? families[name.replace(/_total$/, '')];
    const found = family?.samples.filter(([n, l]) => n === sample && Object.entries(labels).every(([k, v]) => l[k] === v)) ?? [];
    assert.ok(found.length <= 1, `one sample of ${name} ${JSON.stringify(labels)}`);
    return found[0]?.[2];
}

test('metrics follow sessions that start, fail and end', async () => {
    const nothing = await metrics();
    assert.equal(value(nothing, 'qwd_sessions', { machine: 'echo.iso', state: 'running' }), 0);
    assert.equal(value(nothing, 'qwd_sessions_created_total'), 0);
    assert.equal(value(nothing, 'qwd_session_start_seconds', {}, 'qwd_session_start_seconds_count'), 0);

    const session = await service.createRunning();
    await service.rfb(session.view);
    await service.until(session.id, (record) => record.viewers.length === 1);
    const one = await metrics();
    const labels = { session: session.id.slice(0, 12), machine: 'echo.iso' };
    assert.equal(value(one, 'qwd_sessions', { machine: 'echo.iso', state: 'running' }), 1);
    assert.equal(value(one, 'qwd_sessions_created_total'), 1);
    assert.equal(value(one, 'qwd_viewers', { role: 'view' }), 1);
    assert.equal(value(one, 'qwd_viewers', { role: 'control' }), 0);
    assert.ok(value(one, 'qwd_session_memory_bytes', labels) > 20e6);
    assert.ok(value(one, 'qwd_session_cpu_seconds_total', labels) > 0.01);
    const start = 'qwd_session_start_seconds';
    assert.equal(value(one, start, {}, `${start}_count`), 1);
    const seconds = value(one, start, {}, `${start}_sum`);
    assert.ok(seconds > 0.02 && seconds < 600, `${seconds} s`);
    let before = 0;
    for (const [, { le }, count] of one[start].samples.filter(([name]) => name === `${start}_bucket`)) {
        assert.equal(count, Number(le.replace('+Inf', 'Infinity')) >= seconds ? 1 : 0, `le=${le}`);
        assert.ok(count >= before);
        before = count;
    }
    assert.ok(value(one, 'qwd_host_memory_bytes') > value(one, 'qwd_host_memory_available_bytes'));
    assert.ok(value(one, 'qwd_host_disk_available_bytes') > 0);

    const fails = service.shim('qemu-fails', '#!/bin/sh\nexit 1\n');
    const failed = await service.create({}, { qemu_exec: fails });
    await service.ended(failed);
    await service.stop(session.id);
    await service.ended(session.id);
    const two = await metrics();
    assert.equal(value(two, 'qwd_sessions_created_total'), 2);
    assert.equal(value(two, 'qwd_sessions_ended_total', { result: 'ended' }), 1);
    assert.equal(value(two, 'qwd_sessions_ended_total', { result: 'failed' }), 1);
    assert.equal(value(two, 'qwd_sessions', { machine: 'echo.iso', state: 'running' }), 0);
    assert.equal(value(two, 'qwd_session_memory_bytes', labels), undefined);
});

test('refusals are counted by the limit that was reached', async () => {
    const limit = { service_max_load: '0.0000001' };
    const busy = () => service.json('POST', { create: 'Create' }, limit);
    const before = value(await metrics(), 'qwd_refusals_total', { limit: 'service_max_load' }) ?? 0;
    assert.equal((await busy()).status, 429);
    assert.equal((await busy()).status, 429);
    const after = await metrics();
    assert.equal(value(after, 'qwd_refusals_total', { limit: 'service_max_load' }), before + 2);
});

test('logins are counted by their result', async () => {
    const checker = service.shim('answers', '#!/bin/sh\nset -- $(tr "\\0" " ")\ncase $2 in\n'
        + 'right) printf \'{"user": "%s"}\' "$1" ;;\nwrong) exit 1 ;;\n*) exit 2 ;;\nesac\n');
    const results = ['ok', 'refused', 'unavailable'];
    const counts = async () => {
        const families = await metrics();
        return results.map((result) => value(families, 'qwd_logins_total', { result }));
    };
    const log = (user, password) => service.json('POST', { manage: '1', user, password }, { check_user_custom: checker });
    assert.deepEqual(await counts(), [0, 0, 0], 'they are there before the first login');
    assert.equal((await log('alice', 'right')).status, 200);
    for (const [user, password] of [['alice', 'wrong'], ['bob', 'wrong'], ['carol', 'crash']])
        assert.equal((await log(user, password)).status, 401);
    assert.deepEqual(await counts(), [1, 2, 1]);
});

test('counters that cannot be read are quarantined, and start again from 0', async () => {
    const file = path.join(service.snapshots, '.qemu-web-desktop.counters');
    fs.writeFileSync(file, '{"created": 99');
    const session = await service.createRunning();
    assert.equal(value(await metrics(), 'qwd_sessions_created_total'), 1);
    assert.equal(fs.readFileSync(`${file}.broken`, 'utf8'), '{"created": 99');
    await service.stop(session.id);
    await service.ended(session.id);
});

// --- the web ---

test('?metrics=1 answers programs of this host and administrators', async () => {
    const here = await service.get({ metrics: '1' });
    assert.equal(here.status, 200);
    assert.equal(here.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
    checkText(here.text);
    assert.ok(parse(here.text).qwd_build_info);
    const elsewhere = { REMOTE_ADDR: '192.0.2.7' };
    assert.equal((await service.get({ metrics: '1' }, elsewhere)).status, 403);
    assert.equal((await service.get({ metrics: '1' }, { HTTP_X_FORWARDED_FOR: '192.0.2.7' })).status, 403);

    const checker = service.shim('who', '#!/usr/bin/python3\nimport json, sys\nuser, password = sys.stdin.read().split("\\0")[:2]\n'
        + 'print(json.dumps({"user": user}))\nsys.exit(0 if password == "right" else 1)\n');
    const QWD_OVERRIDES = `check_user_custom=${checker}\nuser_admin=boss\n`;
    const ask = (user, more) => service.post({ user, password: 'right', metrics: '1' }, { QWD_OVERRIDES, ...elsewhere, ...more });
    assert.equal((await service.get({ metrics: '1' }, { QWD_OVERRIDES })).status, 200, 'programs of this host do not log in');
    assert.equal((await service.get({ metrics: '1' }, { QWD_OVERRIDES, ...elsewhere })).status, 403);
    assert.equal((await ask('alice')).status, 403);
    assert.equal((await ask('boss')).status, 200);
});

// --- processor time ---

test('a request with 1,000 sessions takes little processor time', async (t) => {
    const other = await new Service().start();
    try {
        const template = { schema: 1, state: 'running', owner: 'guest', remote_host: '', created_at: 1, ends_at: 4e9, viewers: [], links: [],
                           plan: { machine: 'echo.iso', image: '/x', cpus: 1, memory_mib: 128 }, steps: [] };
        const own = fs.readFileSync('/proc/self/stat', 'utf8').split(') ').pop().split(' ');
        const processes = [{ name: 'qemu', pid: process.pid, start_ticks: Number(own[19]) }];
        for (let i = 0; i < 1000; i++) {
            const id = (i * 7919).toString(16).padStart(8, '0').repeat(4);
            fs.mkdirSync(path.join(other.snapshots, id), { mode: 0o700 });
            fs.writeFileSync(path.join(other.snapshots, id, 'session.json'), JSON.stringify({ ...template, id, processes }));
        }
        if (isRoot)
            other.give('service', ...fs.readdirSync(other.snapshots).flatMap((id) => [`service/snapshots/${id}`, `service/snapshots/${id}/session.json`]));
        const script = 'times=$("$@" >/dev/null && "$@" >/dev/null && "$@" >/dev/null; times); echo "$times" | tail -1';
        let spent = Infinity; // a busy machine makes it more, nothing makes it less
        for (let i = 0; i < 3; i++) {
            const { out } = await other.run(['sh', '-c', script, 'sh', other.qwdctl, 'metrics'], { asRoot: true });
            const times = [...out.matchAll(/(\d+)m([\d.]+)s/g)];
            spent = Math.min(spent, times.reduce((sum, [, m, s]) => sum + 60 * Number(m) + Number(s), 0) / 3);
        }
        const text = (await other.control('metrics')).out;
        checkText(text);
        assert.equal(parse(text).qwd_session_memory_bytes.samples.length, 1000);
        t.diagnostic(`${(spent * 1000).toFixed(0)} ms of the processor`);
        assert.ok(spent < 0.3, `${spent} s`);
    } finally {
        await other.end();
    }
});
