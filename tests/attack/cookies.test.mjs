// SPDX-License-Identifier: AGPL-3.0-or-later
// Cookies of a service whose visitors come by https, which ends at a proxy: they go through no other scheme, and nobody on
// the way or on a neighbouring host puts one there.

import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import https from 'node:https';
import { test } from 'node:test';
import { hidden } from '../lib/login-service.mjs';
import { startProxy, visitorsAddress } from '../lib/proxies.mjs';
import { within } from '../lib/wait.mjs';
import { WebService, script } from '../lib/web-service.mjs';

const name = 'desk.example.org';

async function ask(port, query, { body = '', cookie } = {}) {
    const request = https.request({
        host: visitorsAddress, port, method: body ? 'POST' : 'GET', path: `${script}?${query}`, agent: false, rejectUnauthorized: false,
        headers: { Host: name, Accept: 'text/html', ...(cookie && { Cookie: cookie }),
                   ...(body && { 'Content-Type': 'application/x-www-form-urlencoded', 'Content-Length': Buffer.byteLength(body) }) },
    });
    request.end(body);
    const [answer] = await within(query, once(request, 'response'));
    answer.setEncoding('utf8');
    let text = '';
    for await (const part of answer)
        text += part;
    return { status: answer.statusCode, cookies: answer.headers['set-cookie'] ?? [], text };
}

// A login as the service signs it.
function sealed(service, payload) {
    const body = Buffer.from(JSON.stringify(payload)).toString('base64url');
    const key = fs.readFileSync(service.path('service/login/key'));
    return `${body}.${crypto.createHmac('sha256', key).update(`login\0${body}`).digest('base64url')}`;
}

test('cookies behind a proxy that has the certificate', async (t) => {
    const service = await WebService.serve(t, 'apache', { server_name: `https://${name}, http://127.0.0.1` });
    const program = service.shim('check', '#!/bin/sh\necho \'{"user": "alice"}\'\n');
    fs.appendFileSync(service.configuration, `check_user_custom = ${program}\n`);
    const tls = { certificate: service.path('tls.crt'), key: service.path('tls.key') };
    const { port } = await startProxy(t, 'nginx', service.httpPort, { tls });
    const login = 'user=alice&password=x&manage=1';
    const pairOf = ({ cookies }) => cookies.find((one) => /qwd_login=/.test(one)).split(';')[0];

    await t.test('the login is Secure and bound to the host', async () => {
        const answer = await ask(port, '', { body: login });
        assert.equal(answer.status, 303);
        assert.deepEqual(answer.cookies.length, 2);
        assert.match(answer.cookies[1], /^__Host-qwd_browser=[^;]+; Path=\/; HttpOnly; SameSite=Lax; Max-Age=\d+; Secure$/);
        assert.match(answer.cookies[0], /^__Host-qwd_login=[^;]+; Path=\/; HttpOnly; SameSite=Lax; Max-Age=28800; Secure$/);
        assert.equal((await ask(port, 'manage=1', { cookie: pairOf(answer) })).status, 200);
    });

    await t.test('so is the end of the login', async () => {
        const cookie = pairOf(await ask(port, '', { body: login }));
        const { csrf } = hidden((await ask(port, 'manage=1', { cookie })).text);
        const answer = await ask(port, '', { body: new URLSearchParams({ logout: '1', csrf }).toString(), cookie });
        assert.equal(answer.status, 303, answer.text);
        assert.match(answer.cookies.join(), /^__Host-qwd_login=; .*; Max-Age=0; Secure$/);
        assert.equal((await ask(port, 'manage=1', { cookie })).status, 401);
    });

    await t.test('the language is Secure', async () => {
        const answer = await ask(port, 'lang=fr');
        assert.match(answer.cookies.join(), /^qwd_lang=fr; .*; Secure$/);
    });

    await t.test('a login that began without https is none here, whoever put its cookie there', async () => {
        const answer = await service.fetch('POST', script, {
            body: login, headers: { Host: '127.0.0.1', 'Content-Type': 'application/x-www-form-urlencoded' } });
        const plain = answer.headers['set-cookie'][0].split(';')[0];
        assert.match(plain, /^qwd_login=/);
        assert.equal((await service.fetch('GET', `${script}?manage=1`, { headers: { Host: '127.0.0.1', Cookie: plain } })).status, 200);
        assert.equal((await ask(port, 'manage=1', { cookie: plain })).status, 401);
        assert.equal((await ask(port, 'manage=1', { cookie: `__Host-${plain}` })).status, 401);
        const own = pairOf(await ask(port, '', { body: login }));
        assert.equal((await ask(port, 'manage=1', { cookie: `${plain}; ${own}` })).status, 200);
    });

    // As an older version made it, which noted no scheme.
    const oldCookie = (answer) => {
        const payload = JSON.parse(Buffer.from(pairOf(answer).split('=')[1].split('.')[0], 'base64url'));
        delete payload.scheme;
        return `qwd_login=${sealed(service, payload)}`;
    };
    const cleared = /^qwd_login=; .*; Max-Age=0; Secure$/;

    await t.test('the end of a login ends the one that an older version left beside it', async () => {
        const old = oldCookie(await ask(port, '', { body: login })), own = pairOf(await ask(port, '', { body: login }));
        const cookie = `${old}; ${own}`, { csrf } = hidden((await ask(port, 'manage=1', { cookie })).text);
        const answer = await ask(port, '', { body: new URLSearchParams({ logout: '1', csrf }).toString(), cookie });
        assert.equal(answer.status, 303, answer.text);
        assert.ok(answer.cookies.some((one) => cleared.test(one)), answer.cookies.join());
        for (const one of [old, own])
            assert.equal((await ask(port, 'manage=1', { cookie: one })).status, 401, one);
    });

    await t.test('one that an older version began ends in the browser too', async () => {
        const cookie = oldCookie(await ask(port, '', { body: login }));
        const { csrf } = hidden((await ask(port, 'manage=1', { cookie })).text);
        const answer = await ask(port, '', { body: new URLSearchParams({ logout: '1', csrf }).toString(), cookie });
        assert.ok(answer.cookies.some((one) => cleared.test(one)), answer.cookies.join());
        assert.equal((await ask(port, 'manage=1', { cookie })).status, 401);
    });

    await t.test('a new login clears the cookie of an older version', async () => {
        const cookie = oldCookie(await ask(port, '', { body: login })), answer = await ask(port, '', { body: login, cookie });
        assert.equal(answer.status, 303);
        assert.ok(answer.cookies.some((one) => cleared.test(one)), answer.cookies.join());
    });

    await t.test('a login that an older version began goes on', async () => {
        const cookie = oldCookie(await ask(port, '', { body: login }));
        assert.equal((await ask(port, 'manage=1', { cookie })).status, 200);
        assert.equal((await ask(port, 'manage=1', { cookie: cookie.slice(0, -1) })).status, 401);
    });
});
