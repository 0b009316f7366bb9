// SPDX-License-Identifier: AGPL-3.0-or-later
// Visitors from elsewhere who come through a proxy on the service's own host, one that says nothing of them: they are not
// "this machine". Browsers and programs on this machine are.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { rawHttp } from '../lib/network.mjs';
import { account, isRoot } from '../lib/programs.mjs';
import { startProxy, visitorsAddress } from '../lib/proxies.mjs';
import { WebService, script } from '../lib/web-service.mjs';

// One request through a proxy: the status and the text. `Host` is the visitor's.
const ask = (port, query, { host = visitorsAddress, Host = `${host}:${port}`, headers = '', method = 'GET', body = '' } = {}) =>
    rawHttp(port, `${method} ${script}${method === 'GET' ? `?${query}` : ''} HTTP/1.1\r\nHost: ${Host}\r\nConnection: close\r\n${headers}`
        + (method === 'GET' ? '\r\n' : `Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${query.length}\r\n\r\n${query}`),
            { host });
const post = (port, query, options) => ask(port, query, { ...options, method: 'POST' });

// Nothing of a service without logins is served.
async function assertStranger(service, proxy, options) {
    for (const query of ['', 'manage=1', 'monitor=1', 'metrics=1']) {
        const answer = await ask(proxy.port, query, options);
        if (query)
            assert.equal(answer.status, 403, `${query}: ${answer.text}`);
        assert.doesNotMatch(answer.text, /qwd_build_info/);
    }
    const answer = await post(proxy.port, `create=Create&machine=${service.machine.name}`, options);
    assert.equal(answer.status, 403, answer.text);
    assert.match(answer.text, /Its administrator can choose a way to log in, or set service_open = yes/);
    assert.deepEqual(service.sessions(), []);
}

for (const face of ['apache', 'qwd-server'])
    test(`without logins, behind ${face}`, async (t) => {
        const service = await WebService.serve(t, face);
        const proxied = async (t, kind) => startProxy(t, kind, service.httpPort);

        await t.test('a browser on this machine is served', async () => {
            for (const Host of [`127.0.0.1:${service.httpPort}`, `localhost:${service.httpPort}`])
                for (const query of ['manage=1', 'monitor=1', 'metrics=1'])
                    assert.equal((await ask(service.httpPort, query, { host: '127.0.0.1', Host })).status, 200, query);
        });

        await t.test('a header of proxies makes nobody local, even one that says nothing', async () => {
            const near = { host: '127.0.0.1', Host: `127.0.0.1:${service.httpPort}` };
            for (const headers of ['X-Forwarded-For:\r\n', 'X-Real-IP: \r\n', 'Via:\r\n', 'Forwarded: for=\r\n', 'X-Forwarded-Host: a=\r\n'])
                assert.equal((await ask(service.httpPort, 'manage=1', { ...near, headers })).status, 403, headers);
        });

        await t.test('nginx with proxy_pass as it is makes nobody local', async (t) => {
            const proxy = await proxied(t, 'nginx');
            await assertStranger(service, proxy);
        });

        await t.test('HAProxy without forwardfor neither, whatever the visitor says', async (t) => {
            const proxy = await proxied(t, 'haproxy');
            await assertStranger(service, proxy);
            await assertStranger(service, proxy, { Host: 'localhost' });
        });

        await t.test('socat, run by root, neither', async (t) => assertStranger(service, await proxied(t, 'socat')));
    });

test('with logins, the figures are for programs on this machine, or with the token', async (t) => {
    const service = await WebService.serve(t, 'apache', { check_user_custom: '/bin/false' });
    const proxy = await startProxy(t, 'nginx', service.httpPort);
    const near = { host: '127.0.0.1' };
    const bearer = (token) => ({ headers: `Authorization: Bearer ${token}\r\n` });

    await t.test('not for visitors of a proxy', async () => {
        assert.equal((await ask(service.httpPort, 'metrics=1', near)).status, 200);
        const answer = await ask(proxy.port, 'metrics=1');
        assert.equal(answer.status, 403);
        assert.doesNotMatch(answer.text, /qwd_build_info/);
        assert.match(answer.text, /token of metrics_token_file/);
        assert.equal((await ask(proxy.port, 'metrics=1', bearer('x'.repeat(32)))).status, 403);
    });

    await t.test('with a token file, for those who send the token', async () => {
        const file = service.path('etc/metrics-token'), token = 'f1gures-'.repeat(4);
        fs.writeFileSync(file, `${token}\n`, { mode: 0o600 });
        if (isRoot)
            service.give('etc/metrics-token');
        fs.appendFileSync(service.configuration, `metrics_token_file = ${file}\n`);
        assert.equal((await ask(service.httpPort, 'metrics=1', near)).status, 403, `${account} reads ${file}`);
        for (const wrong of ['', token.slice(1), `${token}0`, `${token} ${token}`, token.toUpperCase()])
            assert.equal((await ask(proxy.port, 'metrics=1', bearer(wrong))).status, 403, wrong);
        assert.equal((await ask(proxy.port, 'metrics=1', { headers: `Authorization: Basic ${token}\r\n` })).status, 403);
        for (const [port, options] of [[proxy.port, {}], [service.httpPort, near]]) {
            const answer = await ask(port, 'metrics=1', { ...options, ...bearer(token) });
            assert.equal(answer.status, 200, answer.text);
            assert.match(answer.text, /qwd_build_info/);
        }
        assert.equal((await ask(proxy.port, 'monitor=1', bearer(token))).status, 401, 'it is for the figures alone');
        fs.chmodSync(file, 0o644);
        assert.equal((await ask(proxy.port, 'metrics=1', bearer(token))).status, 403);
        assert.match(service.logText(), /Every account can open .*metrics-token/);
    });
});
