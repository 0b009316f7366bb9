// SPDX-License-Identifier: AGPL-3.0-or-later
// qwd-fetch, which gets boot scripts from elsewhere: what it takes, and all that it does not.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import { after, test } from 'node:test';
import { build, makeFolder } from '../lib/files.mjs';

const folder = makeFolder('fetch-');
after(() => fs.rmSync(folder, { recursive: true }));
const [key, certificate] = ['key', 'certificate'].map((name) => path.join(folder, name));
fs.writeFileSync(path.join(folder, 'settings'), '');
spawnSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj',
                      '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', certificate]);

const pages = {
    '/good': (response) => response.end('echo good\n'),
    '/missing': (response) => response.writeHead(404).end('no script'),
    '/longest': (response) => response.end('x'.repeat(65536)),
    '/long': (response) => response.end('x'.repeat(65537)),
    '/binary': (response) => response.end('a\0b'),
    '/there': (response) => response.writeHead(302, { location: '/good' }).end(),
    '/loop': (response) => response.writeHead(302, { location: '/loop' }).end(),
    '/clear': (response) => response.writeHead(302, { location: `http://${web}/good` }).end(),
    '/clear-later': (response) => response.writeHead(302, { location: '/clear' }).end(),
    '/secure': (response) => response.writeHead(302, { location: `https://${secure}/good` }).end(),
    '/file': (response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
};
const serve = (request, response) => (pages[request.url] ?? ((answer) => answer.end(`by proxy: ${request.url}`)))(response);
const servers = [http.createServer(serve), https.createServer({ key: fs.readFileSync(key), cert: fs.readFileSync(certificate) }, serve)];
await Promise.all(servers.map((server) => once(server.listen(0, '127.0.0.1'), 'listening')));
after(() => servers.forEach((server) => server.close()));
const [web, secure] = servers.map((server) => `127.0.0.1:${server.address().port}`);

const trusting = `--download_ca=${certificate}`;

async function fetchText(url, ...options) {
    const child = spawn(path.join(build, 'qwd-fetch'), options, { env: { QWD_CONFIG: path.join(folder, 'settings') }, stdio: 'pipe' });
    const texts = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'])
        child[name].setEncoding('latin1').on('data', (text) => { texts[name] += text; });
    child.stdin.end(url);
    const [code] = await once(child, 'close');
    return { code, ...texts };
}

for (const [url, expected] of [['/good', 'echo good\n'], ['/there', 'echo good\n'], ['/longest', 'x'.repeat(65536)]])
    test(`${url} is taken`, async () => {
        assert.deepEqual(await fetchText(`http://${web}${url}`), { code: 0, stdout: expected, stderr: '' });
    });

test('through a proxy', async () => {
    const { stdout } = await fetchText('http://scripts.invalid/x', `--service_proxy=http://${web}`);
    assert.equal(stdout, 'by proxy: http://scripts.invalid/x');
});

for (const url of [`https://${secure}/good`, `https://${secure}/there`, `http://${web}/secure`])
    test(`${url.replace(/127.0.0.1:\d+/, 'HOST')} is taken, by the authorities of download_ca`, async () => {
        assert.deepEqual(await fetchText(url, trusting), { code: 0, stdout: 'echo good\n', stderr: '' });
    });

for (const [url, reason, ...options] of [
    [`http://${web}/missing`, /404/],
    [`http://${web}/long`, /longer than 65536 bytes/],
    [`http://${web}/binary`, /is no text/],
    [`http://${web}/loop`, /redirect/],
    [`http://${web}/file`, /could not be fetched/],
    [`https://${secure}/good`, /certificate/],
    [`http://${web}/secure`, /certificate/],
    [`https://${secure}/clear`, /could not be fetched/, trusting],
    [`https://${secure}/clear-later`, /could not be fetched/, trusting],
    [`https://${secure}/file`, /could not be fetched/, trusting],
    ['file:///etc/passwd', /write an address/],
    ['ftp://127.0.0.1/x', /write an address/],
    ['/etc/passwd', /write an address/],
    ['', /write an address/],
    [`http://${web}/good\nx`, /write an address/],
])
    test(`${JSON.stringify(url.replace(/127.0.0.1:\d+/, 'HOST'))} is not`, async () => {
        const { code, stdout, stderr } = await fetchText(url, ...options);
        assert.notEqual(code, 0);
        assert.equal(stdout, '');
        assert.match(stderr, reason);
        assert.ok(stderr.startsWith('qwd-fetch: ') && stderr.trim().split('\n').length === 1, stderr);
    });
