// SPDX-License-Identifier: AGPL-3.0-or-later
// Boot scripts, by the guest agent and by cloud-init: which scripts a guest runs, with which values, and what their results show.
// One Linux guest serves the rows of each method.
// Cores: 1.5

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { makeFolder } from '../lib/files.mjs';
import { bootDisk, tinyFolder } from '../lib/machines.mjs';
import { useSharedService } from '../lib/service.mjs';
import { fullTest } from '../lib/tiers.mjs';
import { bootTimeoutMs } from '../lib/wait.mjs';

const tiny = tinyFolder();
const hostile = `p'w"$(touch /tmp/pwned)\`touch /tmp/pwned\`; touch /tmp/pwned   #  *\\`;

// Scripts on web servers: a good one, one that is too long, and one with an untrusted certificate.
const folder = makeFolder('web-');
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

const checker = path.join(folder, 'checker'); // it accepts every login
fs.writeFileSync(checker, '#!/bin/sh\nuser=$(tr "\\0" "\\n" | head -n 1)\nprintf \'{"user": "%s", "groups": ["makers"]}\' "$user"\n', { mode: 0o755 });
const file = path.join(folder, 'script');
fs.writeFileSync(file, '#!/bin/sh -u\nprintf "%s|" @USER@ @VM@ @SESSION_NAME@ @PW@ "x @PW@" \'@PW@ x\' > /run/values\ncat /run/values\n');

const service = useSharedService({
    settings: { check_user_custom: checker },
    images: Object.fromEntries(['tiny.iso', 'agent.iso', 'cloud.iso'].map((name) => [name, path.join(tiny, 'tiny.iso')])),
    machines: { 'cloud.iso': 'script_method=cloud-init', 'agent.iso': 'script_method=agent', 'none.raw': 'script_method=none', 'silent.raw': '' },
}, () => {
    for (const name of ['none.raw', 'silent.raw'])
        fs.writeFileSync(service.path('service/machines', name), bootDisk());
    fs.writeFileSync(service.path('etc/scripts.conf'), `
[values]
script = ${file}
machine = tiny.iso, agent.iso, cloud.iso
[makers]
script = bash:echo for makers; exit 3
group = mak*
machine = tiny.*, agent.*
[nobody]
script = exec:touch /run/nobody
user = *
group = others
[web]
script = http://${address(web)}/script
machine = agent.iso
[long]
script = http://${address(web)}/long
machine = agent.iso
[stranger]
script = https://${address(secure)}/
machine = agent.iso
[hardware]
script = qemu:-smbios type=1,serial=@SESSION_NAME@
machine = agent.iso
[never]
script = exec:true
machine = none.raw
`);
});

async function start(machine, settings = {}, fields = {}) {
    const answer = await service.json('POST', { create: 'Create', machine, memory: '256M', user: 'alice', password: hostile, ...fields },
                                      settings);
    assert.equal(answer.status, 200, JSON.stringify(answer));
    return service.state(answer.session.id, 'running');
}

const isOver = (record) => record.scripts.every(({ source, state }) => ['done', 'failed'].includes(state) || source.startsWith('qemu:'));

// The scripts of a session by name, once all of them are over, or the condition is true.
async function results(id, condition = isOver) {
    const record = await service.until(id, condition, bootTimeoutMs);
    return Object.fromEntries(record.scripts.map((script) => [script.name, script]));
}

// The password is nowhere on the host: not in the session's folder, nor in the log, nor on a command line. The serial log has it
// because the shell of this test prints it.
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

// The script [values] has run in the guest, and its values have stayed values. Only scripts that still run have a file there.
async function assertValues(record, values, method, running = 0) {
    assert.equal(values.state, 'done', JSON.stringify(values));
    assert.equal(values.exit_code, 0);
    assert.equal(values.method, method);
    assert.ok(values.duration_ms >= 0);
    assert.equal(values.output, `alice|${record.plan.machine}|${record.id}|${hostile}|x ${hostile}|${hostile} x|`);
    const shell = await service.shell(record.id);
    assert.equal(await shell.text('cat /run/values; ls -d /tmp/pwned /run/nobody 2>/dev/null'), values.output);
    assert.equal(await shell.text('ls -d /dev/shm/* /run/boot-script* 2>/dev/null | wc -l'), String(running));
    assertNoPassword(service.record(record.id));
    return shell;
}

describe('the agent', () => {
    const source = 'exec:seq 1 5000; printf "<b>\\303\\244\\377</b>"; false'; // what the user writes into the form
    let record, ended, shell;

    before(async () => {
        record = await start('agent.iso', { form_script: 'text' }, { script: source });
        assertNoPassword(record);
        ended = await results(record.id);
    });

    test('runs the scripts for this machine and user, and their values stay values', async () => {
        assert.equal(record.plan.script_method, 'agent');
        assert.equal(ended.nobody, undefined);
        shell = await assertValues(record, ended.values, 'agent');
        assert.equal(ended.makers.exit_code === 3 || ended.makers.exit_code === 127, true, 'bash is not in every machine');
        assert.notEqual((await shell.run('ls -d /run/seed')).status, 0, 'there is no seed');
    });

    test('runs a script from a web address, unless its certificate is not trusted or it is too long', () => {
        assert.deepEqual([ended.web.state, ended.web.exit_code, ended.web.output, ended.web.method], ['done', 0, 'from the web\n', 'agent']);
        assert.equal(ended.long.state, 'failed');
        assert.match(ended.long.output, /\/long is longer than 65536 bytes/);
        assert.equal(ended.stranger.state, 'failed');
        assert.match(ended.stranger.output, /could not be fetched: SSL certificate/);
    });

    test('options of QEMU in the table reach the guest', async () => {
        const command = fs.readFileSync(`/proc/${service.process(record, 'qemu')}/cmdline`, 'latin1').split('\0');
        assert.equal(command[command.indexOf('-smbios') + 1], `type=1,serial=${record.id}`);
        assert.equal(await shell.text('cat /sys/class/dmi/id/product_serial'), record.id);
    });

    test('the page shows the user the output of a script as text', async () => {
        const { form } = ended;
        assert.equal(form.exit_code, 1);
        assert.equal(form.source, source);
        assert.ok(Buffer.byteLength(form.output) <= 4098 && form.output.endsWith('5000\n<b>ä\ufffd</b>'), form.output.slice(-20));
        const seen = await service.json('POST', { session: record.id, user: 'alice', password: 'x' });
        assert.ok(seen.session.scripts.list.some(({ name, output }) => name === 'form' && output === form.output));
        const page = await service.post({ session: record.id, user: 'alice', password: 'x' });
        const login = page.headers['set-cookie']?.split(';')[0];
        const shown = await service.get({ session: record.id }, { HTTP_COOKIE: login });
        assert.match(shown.text, /<pre class="output">[^<]*&lt;b&gt;ä/);
        assert.match(shown.text, /exit code 1/);
        await stop(record.id);
    });
});

describe('cloud-init', () => {
    let record;

    before(async () => {
        record = await start('cloud.iso', { form_script: 'text' }, { script: 'exec:tail -f /dev/null' });
        assertNoPassword(record);
    });

    test('runs the scripts for this machine, and their values stay values', async () => {
        assert.equal(record.plan.script_method, 'cloud-init');
        const { values, nobody } = await results(record.id, ({ scripts }) => scripts.find(({ name }) => name === 'form').state === 'running');
        assert.equal(nobody, undefined);
        await assertValues(record, values, 'cloud-init', 1);
    });

    test('a session ends while one of its scripts runs', async () => {
        assert.equal(service.record(record.id).scripts.find(({ name }) => name === 'form').state, 'running');
        await stop(record.id);
        await service.assertNothingLeft(record);
    });
});

// The agent and cloud-init, above, are the two ways that it has; a guest that asks for no script, below, is offered both.
fullTest('auto runs the scripts in one of the two ways', async () => {
    const record = await start('tiny.iso');
    assert.equal(record.plan.script_method, 'auto');
    const { values, makers } = await results(record.id);
    assert.match(values.method, /^(agent|cloud-init)$/);
    await assertValues(record, values, values.method);
    assert.equal(makers.exit_code === 3 || makers.exit_code === 127, true, 'bash is not in every machine');
    await stop(record.id);
});

// A guest that asks for no script, below, shows script_deadline.
fullTest('a script that does not end is given up at script_deadline', async () => {
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

test('a machine with script_method none has no scripts', async () => {
    const record = await start('none.raw', {}, { memory: '64M' });
    assert.deepEqual(record.scripts, []);
    await stop(record.id);
});

test('a guest that does not ask for its scripts, in either way, has failed ones after script_deadline', async () => {
    const record = await start('silent.raw', { config_script: 'exec:true', script_deadline: '1s' }, { memory: '64M' });
    assert.equal(record.plan.script_method, 'auto');
    const command = fs.readFileSync(`/proc/${service.process(record, 'qemu')}/cmdline`, 'latin1');
    assert.match(command, /org\.qemu\.guest_agent\.0/);
    assert.match(command, /\/seed/);
    const { config_script: script } = await results(record.id);
    assert.equal(script.state, 'failed');
    assert.match(script.output, /did not ask for it in time/);
    await stop(record.id);
});

test('the administrator sees what is wrong with a table or a script', async () => {
    const asked = (key, value) => service.post({ create: 'Create', machine: 'silent.raw', user: 'alice', password: 'x' }, { QWD_OVERRIDES: `${key}=${value}\n` });
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

test('a script of a user is refused where form_script is off, and paths and options of QEMU always', async () => {
    const ask = (script, form_script, machine = 'silent.raw') =>
        service.json('POST', { create: 'Create', machine, memory: '64M', user: 'alice', password: 'x', script }, { form_script });
    assert.equal((await ask('exec:true', 'no')).status, 403);
    for (const script of ['/etc/passwd', 'qemu:-device x', 'file:///etc/passwd', 'true'])
        assert.equal((await ask(script, 'url')).status, 400, script);
    assert.equal((await ask('http://127.0.0.1/', 'text')).status, 400);
    assert.equal((await ask('exec:true', 'text', 'none.raw')).status, 400);
});

test('nothing is left', () => service.assertAllGone());
