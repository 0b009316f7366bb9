// SPDX-License-Identifier: AGPL-3.0-or-later
// Boot scripts: what the guest is given by its agent and by cloud-init, what it does with it, and what is said of it.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { tinyFolder } from '../lib/machines.mjs';
import { useSharedService } from '../lib/service.mjs';
import { bootTimeoutMs } from '../lib/wait.mjs';

const tiny = tinyFolder();
const hostile = `p'w"$(touch /tmp/pwned)\`touch /tmp/pwned\`; touch /tmp/pwned   #  *\\`;

// Scripts of the web: a good one, and one that is too long. The certificate is nobody's.
const folder = fs.mkdtempSync('/tmp/qwd-web-');
const web = http.createServer((request, response) => {
    response.end(request.url === '/script' ? 'echo from the web\n' : 'x'.repeat(100000));
});
const key = path.join(folder, 'key'), certificate = path.join(folder, 'certificate');
spawnSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj',
                      '/CN=localhost', '-keyout', key, '-out', certificate]);
const secure = https.createServer({ key: fs.readFileSync(key), cert: fs.readFileSync(certificate) }, (request, response) => response.end('echo stranger\n'));
await Promise.all([web, secure].map((server) => new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))));
after(() => [web, secure].forEach((server) => server.close()));
after(() => fs.rmSync(folder, { recursive: true }));
const address = (server) => `127.0.0.1:${server.address().port}`;

const checker = path.join(folder, 'checker'); // a way to log in that says yes to everybody
fs.chmodSync(folder, 0o755);
fs.writeFileSync(checker, '#!/bin/sh\nuser=$(tr "\\0" "\\n" | head -n 1)\nprintf \'{"user": "%s", "groups": ["makers"]}\' "$user"\n', { mode: 0o755 });
const file = path.join(folder, 'script');
fs.writeFileSync(file, '#!/bin/sh -u\nprintf "%s|" @USER@ @VM@ @SESSION_NAME@ @PW@ "x @PW@" \'@PW@ x\' > /run/values\ncat /run/values\n');

const service = useSharedService({
    settings: { check_user_custom: checker },
    images: Object.fromEntries(['tiny.iso', 'cloud.iso', 'none.iso', 'web.iso'].map((name) => [name, path.join(tiny, 'tiny.iso')])),
    machines: { 'cloud.iso': 'script_method=cloud-init', 'web.iso': 'script_method=agent', 'none.iso': 'script_method=none' },
}, () => {
    fs.writeFileSync(service.path('etc/scripts.conf'), `
[values]
script = ${file}
machine = tiny.iso, cloud.iso
[makers]
script = bash:echo for makers; exit 3
group = mak*
machine = tiny.*
[nobody]
script = exec:touch /run/nobody
user = *
group = others
[web]
script = http://${address(web)}/script
machine = web.iso
[long]
script = http://${address(web)}/long
machine = web.iso
[stranger]
script = https://${address(secure)}/
machine = web.iso
[hardware]
script = qemu:-smbios type=1,serial=@SESSION_NAME@
machine = web.iso
[never]
script = exec:true
machine = none.iso
`);
});

async function start(machine, settings = {}, fields = {}) {
    const answer = await service.json('POST', { create: 'Create', machine, memory: '256M', user: 'alice', password: hostile, ...fields },
                                      settings);
    assert.equal(answer.status, 200, JSON.stringify(answer));
    return service.state(answer.session.id, 'running');
}

const isOver = (record) => record.scripts.every(({ source, state }) => ['done', 'failed'].includes(state) || source.startsWith('qemu:'));

async function results(id) {
    const record = await service.until(id, isOver, bootTimeoutMs);
    return Object.fromEntries(record.scripts.map((script) => [script.name, script]));
}

// The password is nowhere on the host: not in the session's folder, nor in the log, nor on a command line. The serial
// log has what this test has a shell print there.
function assertNoPassword(record) {
    const words = ['-rFl', '--exclude=serial.log*', '--', 'p\'w"$(touch', service.root];
    const found = spawnSync('grep', words, { encoding: 'utf8' });
    assert.equal(found.stdout, '', 'in a file');
    for (const { pid } of record.processes) {
        for (const name of ['cmdline', 'environ'])
            assert.ok(!fs.readFileSync(`/proc/${pid}/${name}`, 'latin1').includes('touch /tmp/pwned'), `${name} of ${pid}`);
    }
}

async function stop(id) {
    await service.json('POST', { session_stop: id, user: 'alice', password: 'x' });
    await service.ended(id);
}

for (const [machine, method] of [['tiny.iso', 'auto'], ['cloud.iso', 'cloud-init']]) {
    test(`${method}: the scripts for this machine and user change the guest, and their values are values`, async () => {
        const record = await start(machine);
        assert.equal(record.plan.script_method, method);
        assertNoPassword(record);
        const ended = await results(record.id);
        assert.equal(ended.nobody, undefined);
        assert.equal(ended.values.state, 'done', JSON.stringify(ended));
        assert.equal(ended.values.exit_code, 0);
        assert.ok(ended.values.duration_ms >= 0);
        assert.equal(ended.values.output, `alice|${machine}|${record.id}|${hostile}|x ${hostile}|${hostile} x|`);
        if (machine === 'cloud.iso')
            assert.equal(ended.values.method, 'cloud-init');
        else
            assert.equal(ended.makers.exit_code === 3 || ended.makers.exit_code === 127, true, 'bash is not in every machine');
        const shell = await service.shell(record.id);
        assert.equal(await shell.text('cat /run/values; ls /tmp/pwned /dev/shm /run/nobody 2>/dev/null'), ended.values.output + '/dev/shm:');
        assert.equal(await shell.text('ls -d /dev/shm/* /run/boot-script* 2>/dev/null | wc -l'), '0');
        assertNoPassword(service.record(record.id));
        await stop(record.id);
    });
}

describe('scripts of an administrator', { concurrency: true }, () => {
    test('by the agent alone: from an address, through no certificate of strangers, and not without end', async () => {
        const record = await start('web.iso');
        const ended = await results(record.id);
        assert.deepEqual([ended.web.state, ended.web.exit_code, ended.web.output, ended.web.method], ['done', 0, 'from the web\n', 'agent']);
        assert.equal(ended.long.state, 'failed');
        assert.match(ended.long.output, /\/long is longer than 65536 bytes/);
        assert.equal(ended.stranger.state, 'failed');
        assert.match(ended.stranger.output, /could not be fetched: SSL certificate/);
        const command = fs.readFileSync(`/proc/${service.process(record, 'qemu')}/cmdline`, 'latin1').split('\0');
        assert.equal(command[command.indexOf('-smbios') + 1], `type=1,serial=${record.id}`);
        const shell = await service.shell(record.id);
        assert.equal(await shell.text('cat /sys/class/dmi/id/product_serial'), record.id);
        assert.notEqual((await shell.run('ls -d /run/seed')).status, 0, 'there is no seed');
        await stop(record.id);
    });

    test('a machine that takes none, and one that never asks for it', async () => {
        const none = await start('none.iso');
        assert.deepEqual(none.scripts, []);
        await stop(none.id);
        const silent = await start('echo.iso', { config_script: 'exec:true', script_deadline: '1s' });
        const { config_script: script } = await results(silent.id);
        assert.equal(script.state, 'failed');
        assert.match(script.output, /did not ask for it in time/);
        await stop(silent.id);
    });

    test('one that does not end holds nobody up; a session ends in the midst of it', async () => {
        const record = await start('tiny.iso', { config_script: 'exec:echo begun > /dev/ttyS0; tail -f /dev/null' });
        await service.until(record.id, ({ scripts }) => scripts[0].state === 'running', bootTimeoutMs);
        await stop(record.id);
        let output = 'did not ask for it';
        for (const minutes of [1, 3, 9]) { // the guest may need longer than that to ask for it
            if (!output.includes('did not ask for it'))
                break;
            const late = await start('cloud.iso', { config_script: 'exec:tail -f /dev/null', script_deadline: `${minutes}m` });
            ({ config_script: { output } } = await results(late.id));
            await stop(late.id);
        }
        assert.match(output, /did not end in time/);
    });

    test('a table or a script that is wrong is said to the administrator', async () => {
        const asked = (key, value) => service.post({ create: 'Create', machine: 'tiny.iso', user: 'alice', password: 'x' }, { QWD_OVERRIDES: `${key}=${value}\n` });
        const table = service.path('etc/wrong.conf');
        for (const [text, words] of [['[a]\nscript = rm -rf /\n', /wrong\.conf: \[a\] script: write exec:/],
                                     ['[a]\nscript = exec:true\nif = 1\n', /unknown key "if"/],
                                     ['nonsense\n', /wrong\.conf/]]) {
            fs.writeFileSync(table, text);
            const answer = await asked('file_scripts', table);
            assert.equal(answer.status, 500);
            assert.match(answer.err, words);
        }
        const { headers } = await asked('config_script', 'qemu:"');
        const past = await service.ended(headers.location.match(/session=([0-9a-f]{32})/)[1]);
        assert.match(past.reason, /^qemu:": /);
    });
});

describe('scripts of users', { concurrency: true }, () => {
    const ask = (script, form_script, machine = 'tiny.iso') =>
        service.json('POST', { create: 'Create', machine, memory: '256M', user: 'alice', password: 'x', script }, { form_script });

    test('only where they are asked for, and neither paths nor options of QEMU', async () => {
        assert.equal((await ask('exec:true', 'no')).status, 403);
        for (const script of ['/etc/passwd', 'qemu:-device x', 'file:///etc/passwd', 'true'])
            assert.equal((await ask(script, 'url')).status, 400, script);
        assert.equal((await ask('http://127.0.0.1/', 'text')).status, 400);
        assert.equal((await ask('exec:true', 'text', 'none.iso')).status, 400);
    });

    test('its end is shown to its user, as text', async () => {
        const script = 'exec:seq 1 5000; printf "<b>\\303\\244\\377</b>"; false';
        const { session } = await ask(script, 'text');
        const { form } = await results(session.id);
        assert.equal(form.exit_code, 1);
        assert.equal(form.source, script);
        assert.ok(Buffer.byteLength(form.output) <= 4098 && form.output.endsWith('5000\n<b>ä\ufffd</b>'), form.output.slice(-20));
        const seen = await service.json('POST', { session: session.id, user: 'alice', password: 'x' });
        assert.ok(seen.session.scripts.list.some(({ name, output }) => name === 'form' && output === form.output));
        const page = await service.post({ session: session.id, user: 'alice', password: 'x' });
        const login = page.headers['set-cookie']?.split(';')[0];
        const shown = await service.get({ session: session.id }, { HTTP_COOKIE: login });
        assert.match(shown.text, /<pre class="output">[^<]*&lt;b&gt;ä/);
        assert.match(shown.text, /exit code 1/);
        await stop(session.id);
    });
});

test('nothing is left', () => service.assertAllGone());
