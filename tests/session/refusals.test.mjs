// SPDX-License-Identifier: AGPL-3.0-or-later
// Requests that are refused, each with its HTTP status and a message. None of them starts anything.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { useService } from '../lib/service.mjs';

const service = useService({ machines: { 'absent.iso': '' } });

// The answer has this status and a message, as a page and as JSON, and no session is created.
async function refused(status, pattern, method, fields, headers = {}) {
    const before = fs.readdirSync(service.snapshots).sort();
    for (const accept of ['text/html', 'application/json']) {
        const answer = await service.request(method, fields, { HTTP_ACCEPT: accept, ...headers });
        const what = JSON.stringify(fields).slice(0, 300);
        assert.equal(answer.status, status, `${what}: ${answer.text}`);
        assert.match(answer.text.replaceAll(/&#39;/g, '\''), pattern, what);
        assert.match(answer.headers['content-type'], new RegExp(`^${accept}`));
        assert.doesNotMatch(answer.text, /<script>x/);
    }
    assert.deepEqual(fs.readdirSync(service.snapshots).sort(), before, 'nothing has been started');
    assert.deepEqual(await service.living(), {});
}

const create = (fields) => ({ create: 'Create', ...fields });

const badNumbers = ['1 2', ' 1', '1 ', '1\n', '1\n-enable-kvm', '-1', '+1', '1.5e3', 'abc', '1;2', '0x10', '1000000000000', '0',
                    '../1', '1,file=/etc/passwd', '-enable-kvm', '$(id)', '1\u0661', '%31', '<script>x', 'x'.repeat(5000)];

for (const field of ['cpu', 'memory', 'snapshot_lifetime'])
    test(`${field} is refused unless it is a number in its range`, async () => {
        for (const value of badNumbers)
            await refused(400, new RegExp(`${field}:|characters|control`), 'POST', create({ [field]: value }));
    });

test('numbers beyond what this server has are refused', async () => {
    await refused(400, /cpu: (this server has|you may choose at most) \d+/, 'POST', create({ cpu: '256' }));
    await refused(400, /cpu: write a whole number from 1 to 256/, 'POST', create({ cpu: '257' }));
    await refused(400, /memory: (this server has|you may choose at most)/, 'POST', create({ memory: '4000' }));
    await refused(400, /memory: /, 'POST', create({ memory: '8M' }));
    await refused(400, /snapshot_lifetime: choose a life-time from 1 min to 4 d/, 'POST', create({ snapshot_lifetime: '5d' }));
    await refused(400, /snapshot_lifetime: /, 'POST', create({ snapshot_lifetime: '59' }));
});

test('a machine is refused unless it is in the list', async () => {
    const names = ['../echo.iso', '/etc/passwd', './echo.iso', 'echo.iso\n', ' echo.iso', 'echo.iso ', '-enable-kvm',
                   'echo.iso,file=/etc/passwd', 'echo*.iso', 'echo.iso;id', '.hidden', '..', 'echo.iso/', '<script>x',
                   'machines/echo.iso', 'x'.repeat(300), 'caf\u00e9'];
    for (const machine of names)
        await refused(400, /machine:|characters/, 'POST', create({ machine }));
    await refused(404, /There is no machine .*other\.iso.* here\./, 'POST', create({ machine: 'other.iso' }));
    await refused(404, /There is no machine/, 'POST', create({ machine: 'GRUB.ISO' }));
    await refused(503, /not on the server yet/, 'POST', create({ machine: 'absent.iso' }));
});

test('a user is refused unless it is a plain name', async () => {
    for (const user of ['a\nb', '-x', ' x', 'a;b', '$(id)', '<script>x', 'a'.repeat(300), 'a/b', '\u0000'])
        await refused(400, /user:|characters|control/, 'POST', create({ user }));
});

test('two actions at once, a repeated field and a broken encoding are refused', async () => {
    await refused(400, /one thing at a time/, 'POST', { create: 'Create', manage: '1' });
    await refused(400, /\S/, 'POST', 'create=Create&cpu=1&cpu=2');
    await refused(400, /\S/, 'POST', 'create=Create&cpu=%zz');
    await refused(400, /\S/, 'POST', 'create=Create&user=%ff');
    await refused(400, /\S/, 'POST', 'create=Create&user=%00');
    const many = Array.from({ length: 200 }, (_, i) => `f${i}=1`).join('&');
    await refused(400, /\S/, 'POST', `create=Create&${many}`);
});

test('changes by GET and other methods are 405, with the allowed methods', async () => {
    for (const fields of [create({}), { session_stop: '0'.repeat(32) }, { session_extend: '0'.repeat(32) }, { service_purge: '1' }])
        await refused(405, /POST/, 'GET', fields);
    assert.equal((await service.get(create({}))).headers.allow, 'POST');
    for (const method of ['PUT', 'DELETE', 'get', 'TRACE', 'x'.repeat(1000)]) {
        const answer = await service.request(method, {});
        assert.equal(answer.status, 405);
        assert.equal(answer.headers.allow, 'GET, HEAD, POST');
    }
    const head = await service.request('HEAD', create({}));
    assert.equal(head.status, 405);
    assert.equal(head.text, '');
});

test('a body of another type is 415, one that is too long 413, one of another length 400', async () => {
    await refused(400, /multipart\/form-data/, 'POST', 'create=Create', { CONTENT_TYPE: 'multipart/form-data; boundary=x' });
    await refused(415, /has a file/, 'POST',
                  '--x\r\nContent-Disposition: form-data; name="create"; filename="a.txt"\r\n\r\nCreate\r\n--x--\r\n',
                  { CONTENT_TYPE: 'multipart/form-data; boundary=x' });
    await refused(415, /enctype/, 'POST', '{"create": "Create"}', { CONTENT_TYPE: 'application/json' });
    await refused(413, /65535 bytes/, 'POST', create({ user: 'x'.repeat(70000) }));
    await refused(413, /65535 bytes/, 'GET', { session: 'x'.repeat(70000) });
    await refused(400, /Content-Length/, 'POST', 'create=Create', { CONTENT_LENGTH: '100' });
    await refused(400, /Content-Length/, 'POST', 'create=Create', { CONTENT_LENGTH: '-1' });
    await refused(400, /Content-Length/, 'POST', 'create=Create', { CONTENT_LENGTH: '1e3' });
});

test('sessions that do not exist are 404, other names 400', async () => {
    const id = '0123456789abcdef0123456789abcdef';
    await refused(404, /There is no such session/, 'GET', { session: id });
    await refused(404, /There is no such session/, 'POST', { session_stop: id });
    await refused(404, /There is no such session/, 'POST', { session_extend: id });
    for (const session of ['x', '../../etc', `${id}/`, id.toUpperCase(), '.*', `${id}\n`])
        await refused(400, /session|characters/, 'GET', { session });
});

test('another Host is 400, another Origin 403', async () => {
    for (const host of ['evil.example', 'localhost.evil.example', 'localhost@evil.example', 'evil.example:80', 'local host', '[::1'])
        await refused(400, /\S/, 'GET', {}, { HTTP_HOST: host });
    for (const origin of ['https://evil.example', 'null', 'http://localhost.evil.example', 'http://localhost:1', 'nonsense'])
        await refused(403, /another site/, 'POST', create({}), { HTTP_ORIGIN: origin });
});

test('without logins only browsers on this machine are served, and not through a proxy', async () => {
    const words = /answers only browsers on its own machine/;
    for (const address of ['203.0.113.5', '2001:db8::1', '::ffff:203.0.113.5', '', 'localhost', '127.0.0.1.evil'])
        await refused(403, words, 'POST', create({}), { REMOTE_ADDR: address });
    await refused(403, words, 'POST', create({}), { HTTP_X_FORWARDED_FOR: '127.0.0.1' });
    await refused(403, words, 'POST', create({}), { HTTP_FORWARDED: 'for=127.0.0.1' });
    await refused(403, words, 'GET', { manage: '1' }, { REMOTE_ADDR: '203.0.113.5' });
    for (const REMOTE_ADDR of ['127.0.0.1', '127.1.2.3', '::1', '::ffff:127.0.0.1'])
        assert.equal((await service.get({}, { REMOTE_ADDR })).status, 200);
});

test('with service_open all browsers are served, but only an administrator can end all sessions', async () => {
    const QWD_OVERRIDES = 'service_open=yes', far = { REMOTE_ADDR: '203.0.113.5', QWD_OVERRIDES };
    assert.equal((await service.get({ manage: '1' }, far)).status, 200);
    await refused(403, /Only an administrator/, 'POST', { service_purge: '1' }, far);
    await refused(403, /Only an administrator/, 'POST', { service_purge: '1' });
});

test('arguments of the CGI program, which a query without a field becomes, are ignored', async () => {
    const result = await service.run([service.cgiProgram, '--config=/nonexistent', '--service_open=yes'], {
        env: { GATEWAY_INTERFACE: 'CGI/1.1', REQUEST_METHOD: 'GET', QUERY_STRING: '--service_open=yes', HTTP_HOST: 'localhost',
               REMOTE_ADDR: '203.0.113.5', SCRIPT_NAME: '/x' },
    });
    assert.match(result.out, /^Status: 403/);
});

test('a broken list of machines is 500 with a general message, and its cause is in the log', async () => {
    const file = service.path('etc/machines.conf'), good = fs.readFileSync(file);
    fs.writeFileSync(file, '[echo.iso]\narch = secret-typo\n');
    for (const answer of [await service.get({}), await service.post(create({}))]) {
        assert.equal(answer.status, 500);
        assert.doesNotMatch(answer.text, /secret-typo|machines\.conf/);
        assert.match(answer.err, /machines\.conf: \[echo\.iso\] arch = secret-typo is not accepted/);
    }
    fs.writeFileSync(file, good);
    const configuration = service.path('etc/qemu-web-desktop.conf'), settings = fs.readFileSync(configuration);
    fs.appendFileSync(configuration, 'secret_typo = 1\n');
    const answer = await service.get({});
    assert.equal(answer.status, 500);
    assert.doesNotMatch(answer.text, /secret_typo/);
    assert.match(answer.err, /line \d+: There is no setting "secret_typo"/);
    fs.writeFileSync(configuration, settings);
    assert.deepEqual(service.sessions(), []);
});

test('a session on an image that is cut off, or whose base is missing, fails with what to do', async () => {
    const machines = service.path('service/machines'), cut = path.join(machines, 'cut');
    fs.writeFileSync(service.path('service/content'), 'x'.repeat(4 * 1024 * 1024));
    const qemuImg = (...words) => assert.equal(spawnSync('qemu-img', words, { cwd: machines }).status, 0);
    qemuImg('convert', '-f', 'raw', '-O', 'qcow2', service.path('service/content'), cut);
    fs.truncateSync(cut, 100_000);
    qemuImg('create', '-q', '-u', '-f', 'qcow2', '-F', 'qcow2', '-b', 'gone', 'based', '10M');
    fs.appendFileSync(service.path('etc/machines.conf'), '[cut]\n[based]\n');
    for (const [machine, words] of [['cut', /cut is incomplete.*Download or copy it again/], ['based', /based needs the file .*\/gone, which is not there/]]) {
        const past = await service.ended(await service.create({ machine }));
        assert.equal(past.state, 'failed', machine);
        assert.match(past.reason, words);
    }
});

test('a session on an image that refers to files outside the machines\' folder fails with the reason', async () => {
    const machines = service.path('service/machines'), secret = service.path('service/secret');
    fs.writeFileSync(secret, 'x'.repeat(1024));
    const qemuImg = (...words) => {
        const made = spawnSync('qemu-img', words, { cwd: machines, encoding: 'utf8' });
        assert.equal(made.status, 0, made.stderr);
    };
    const based = (name, reference) => qemuImg('create', '-q', '-u', '-f', 'qcow2', '-F', 'raw', '-b', reference, name, '10M');
    based('shadow', '/etc/shadow');
    based('dots', '../secret');
    based('json', 'json:{"driver":"file","filename":"/etc/passwd"}');
    based('nbd', 'nbd://127.0.0.1:9/x');
    fs.symlinkSync(secret, path.join(machines, 'way-out'));
    based('link', 'way-out');
    qemuImg('create', '-q', '-f', 'qcow2', '-o', `data_file=${service.path('service/data')}`, 'data', '10M');
    fs.writeFileSync(path.join(machines, 'vmdk'), '# Disk DescriptorFile\nversion=1\nCID=00000001\nparentCID=ffffffff\n'
        + `createType="monolithicFlat"\n\n# Extent description\nRW 2 FLAT "${secret}" 0\n`);
    fs.copyFileSync(path.join(machines, 'shadow'), path.join(machines, 'planted.raw'));
    const cases = { shadow: '/etc/shadow', dots: '../secret', json: 'json:', nbd: 'nbd:', link: 'way-out',
                    data: 'service/data', vmdk: 'service/secret', 'planted.raw': '/etc/shadow' };
    fs.appendFileSync(service.path('etc/machines.conf'), Object.keys(cases).map((name) => `[${name}]\n`).join(''));
    for (const [machine, reference] of Object.entries(cases)) {
        const id = await service.create({ machine });
        const past = await service.ended(id);
        assert.equal(past.state, 'failed', machine);
        assert.match(past.reason, /refers to another file \(.*\) that is not in the machines' folder, so it is not started\./);
        assert.ok(past.reason.includes(reference), past.reason);
        const { session } = await service.json('GET', { session: id });
        assert.equal(session.over.is_failed, true);
        assert.equal(session.over.reason, past.reason);
    }
    await service.assertAllGone();
});
