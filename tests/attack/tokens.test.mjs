// SPDX-License-Identifier: AGPL-3.0-or-later
// Keys to displays and logins in logs: an Apache that logs as Debian sets it up, qwd-server that logs each request, a
// viewer in a browser, and a link by mail. Nothing that a reader of the logs could use is in them.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { openBrowser, openContext } from '../lib/browser.mjs';
import { list } from '../lib/files.mjs';
import { hidden, mailSink } from '../lib/login-service.mjs';
import { Viewer, viewerPage } from '../lib/viewer-page.mjs';
import { until } from '../lib/wait.mjs';
import { WebService, haltedMachine, script, tokenOf } from '../lib/web-service.mjs';

// All that web servers and programs of the service have written: files of logs/ and service/log, or standard error.
const logsOf = (service) => service.logText() + service.log()
    + list(service.path('run')).filter((name) => name.endsWith('.log')).map((name) => fs.readFileSync(path.join(service.path('run'), name), 'utf8')).join('');

const serve = (t, face, settings) => WebService.serve(t, face, settings, { machine: haltedMachine, stockLogs: true });

for (const face of ['apache', 'qwd-server'])
    test(`tokens of displays, behind ${face}`, async (t) => {
        const service = await serve(t, face);
        const session = await service.ready(await service.create());
        const tokens = [tokenOf(session.ready.url), tokenOf(session.ready.view_url)];
        const browser = await openBrowser(t), context = await openContext(t, browser);

        await t.test('a viewer has none in an address', async () => {
            for (const url of [viewerPage(service, session.id), session.ready.viewer_url, session.ready.watch_url]) {
                const viewer = await Viewer.open(context, url);
                const sockets = [];
                viewer.page.on('websocket', (socket) => sockets.push(socket.url()));
                await viewer.page.reload();
                await viewer.shown();
                assert.deepEqual(viewer.errors, []);
                assert.match(sockets.at(-1), /\/darts\/websockify$/);
                await viewer.page.close();
            }
        });

        await t.test('no log has one', async () => {
            await service.stop(session.id);
            await service.ended(session.id);
            await service.endFront(); // a websocket is logged at its end
            const text = logsOf(service);
            assert.match(text, /GET \/darts\/websockify/);
            for (const token of tokens)
                assert.ok(!text.includes(token), text.split('\n').find((line) => line.includes(token)));
        });
    });

for (const face of ['apache', 'qwd-server'])
    test(`a display is opened by the subprotocol or, as links of older versions do, by the query, behind ${face}`, async (t) => {
        const service = await serve(t, face);
        const session = await service.ready(await service.create());
        const token = tokenOf(session.ready.url);
        const bare = new URL('/darts/vnc.html?path=../darts/websockify', session.ready.url).href;
        const offer = (protocol, link = bare) => service.openDisplay(t, link, { 'Sec-WebSocket-Protocol': protocol });

        for (const protocol of [`binary, qwd.token.${token}`, `qwd.token.${token},binary`]) {
            const ws = await offer(protocol);
            assert.equal(ws.response.status, 101, protocol);
            assert.equal(ws.response.headers['sec-websocket-protocol'], 'binary');
            assert.ok(await service.displayName(ws));
            ws.socket.destroy();
        }
        const old = await offer('binary', session.ready.url);
        assert.equal(old.response.status, 101);
        assert.ok(await service.displayName(old));
        const another = await offer(`binary, qwd.token.${token}`, session.ready.url.replace(token, '0'.repeat(32)));
        assert.ok(await service.displayName(another));
        const foreign = await service.openDisplay(t, bare, { 'Sec-WebSocket-Protocol': `binary, qwd.token.${token}`, Origin: 'http://evil.example' });
        assert.equal(foreign.response.status, 403);
        for (const wrong of ['0'.repeat(32), token.slice(1), `${token}0`, token.toUpperCase(), `${token}&token=${token}`, '', `../${token}`]) {
            const ws = await offer(`binary, qwd.token.${wrong}`);
            assert.equal(ws.length, 0, wrong);
            ws.socket.destroy();
        }
    });

// The link in a message: quoted-printable (RFC 2045, 6.7).
const linkIn = ({ text }) => text.replace(/=\n/g, '').replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)))
    .match(/^https?:\/\/\S+enter=\S+$/m)[0];

for (const face of ['apache', 'qwd-server'])
    test(`a way in that was mailed, behind ${face}`, async (t) => {
        const sink = await mailSink(t);
        const service = await serve(t, face, {
            check_user_with_email: 'yes', email_domains: 'example.org', email_from: 'desk@example.org', email_method: 'port',
            smtp_server: '127.0.0.1', smtp_port: sink.address().port, smtp_use_ssl: 'none' });
        const post = (fields) => service.request('POST', fields);
        const mailed = async (count) => {
            assert.equal((await post({ user: 'dora@example.org', manage: '1' })).status, 200);
            await until(sink, 'mail', () => sink.messages.length >= count, 'the mail');
            return linkIn(sink.messages.at(-1));
        };
        const seals = [];
        const sealOf = (link) => seals[seals.push(link.match(/(?:#|enter=)([\w.-]{40,})$/)[1]) - 1];

        await t.test('opens in a browser', async (t) => {
            const link = await mailed(1);
            assert.ok(sealOf(link).length > 50, link);
            const page = await (await openContext(t, await openBrowser(t))).newPage();
            await page.goto(link);
            await page.getByRole('heading', { name: 'Go on as dora@example.org' }).waitFor();
            assert.doesNotMatch(page.url(), /#./);
            await page.getByRole('button', { name: 'Go on' }).click();
            await page.waitForURL(/manage=1/);
        });

        await t.test('without scripts, it is pasted', async () => {
            const link = await mailed(2);
            sealOf(link);
            const first = await service.request('GET', 'enter=1');
            assert.match(first.text, /paste the whole link/);
            const second = await post({ enter: link });
            assert.match(second.text, /Go on as dora@example\.org/);
            assert.equal((await post(hidden(second.text))).status, 303);
        });

        await t.test('stands in no log', async () => {
            await service.endFront();
            const text = logsOf(service);
            assert.match(text, face === 'apache' ? /enter=1/ : /cgi-bin/);
            for (const seal of seals)
                assert.ok(!text.includes(seal) && !text.includes(seal.split('.')[1]), text.split('\n').find((line) => line.includes(seal)));
        });
    });
