// SPDX-License-Identifier: AGPL-3.0-or-later
// Screenshots of a session, drawn by a real QEMU when a user with access asks.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import zlib from 'node:zlib';
import { useSharedService } from '../lib/service.mjs';
import { timeoutMs, untilFiles, within } from '../lib/wait.mjs';

const service = useSharedService();
const runFolder = (id) => service.path('run', id);
const screenshots = (id) => fs.readdirSync(runFolder(id)).filter((name) => name.startsWith('picture'));
const ask = (id, headers = {}, age = '1') => service.get({ session: id, picture: age }, headers);

// Width, height and the pixels of a PNG without interlace (RFC 2083), filters left as they are.
function readPng(data) {
    assert.deepEqual([...data.subarray(0, 8)], [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
    let header, at = 8, ended = false;
    const parts = [];
    while (at < data.length) {
        const length = data.readUInt32BE(at), kind = data.toString('latin1', at + 4, at + 8);
        const content = data.subarray(at + 8, at + 8 + length);
        assert.equal(data.readUInt32BE(at + 8 + length), crc(data.subarray(at + 4, at + 8 + length)), kind);
        if (kind === 'IHDR')
            header = { width: content.readUInt32BE(0), height: content.readUInt32BE(4) };
        if (kind === 'IDAT')
            parts.push(content);
        ended = kind === 'IEND';
        at += 12 + length;
    }
    assert.ok(ended, 'it is whole');
    return { ...header, pixels: zlib.inflateSync(Buffer.concat(parts)) };
}

function crc(data) {
    let sum = 0xffffffff;
    for (const byte of data) {
        sum ^= byte;
        for (let bit = 0; bit < 8; bit++)
            sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
    }
    return (sum ^ 0xffffffff) >>> 0;
}

// The first screenshot. A request may come before QEMU has drawn anything: it is repeated after each attempt.
async function firstScreenshot(id) {
    const wanted = path.join(runFolder(id), 'picture.wanted');
    for (const end = Date.now() + timeoutMs; Date.now() < end;) {
        const answer = await ask(id);
        if (answer.status === 200)
            return answer;
        assert.equal(answer.status, 204);
        await untilFiles([runFolder(id)], () => !fs.existsSync(wanted), 'a screenshot, or none');
    }
    return assert.fail('no screenshot');
}

// Waits until there is a screenshot and nothing else: the last request may have had another one drawn.
const drawn = (id) => untilFiles([runFolder(id)], () => String(screenshots(id)) === 'picture.png', 'one screenshot and nothing else');

const changes = (id, ms) => {
    const file = path.join(runFolder(id), 'picture.png');
    const before = fs.statSync(file).mtimeMs;
    return untilFiles([runFolder(id)], () => fs.existsSync(file) && fs.statSync(file).mtimeMs !== before, 'another screenshot', ms);
};

let session;

test('no screenshot is drawn without a request', async () => {
    session = await service.createRunning();
    await service.get({ session: session.id });
    await service.get({ manage: '1' });
    assert.deepEqual(screenshots(session.id), []);
});

test('a screenshot is a whole PNG of the size of the screen, which browsers and proxies do not store', async () => {
    const { body, headers } = await firstScreenshot(session.id);
    assert.equal(headers['content-type'], 'image/png');
    assert.match(headers['cache-control'], /no-store/);
    const { width, height, pixels } = readPng(body);
    assert.ok(width >= 320 && width <= 4096 && height >= 200 && height <= 2160, `${width} x ${height}`);
    assert.ok(pixels.length >= height * (1 + width), 'all of its lines');
    await drawn(session.id);
    assert.equal(fs.statSync(runFolder(session.id)).mode & 0o777, 0o700);
});

test('an unchanged screenshot is not sent again, and an old one is drawn again', async () => {
    let isFresh = false;
    const fresh = changes(session.id).then(() => (isFresh = true));
    for (let i = 0; i < 1000 && !isFresh; i++) // until it is older than a second, and is asked for anew
        await ask(session.id);
    await fresh;
    await drawn(session.id);
    const { headers: { etag } } = await ask(session.id, {}, '3600');
    const same = await ask(session.id, { HTTP_IF_NONE_MATCH: etag }, '3600');
    assert.equal(same.status, 304);
    assert.equal(same.body.length, 0);
});

test('a screenshot is refused to users without access to the session', async () => {
    assert.equal((await ask('0'.repeat(32))).status, 404);
    const elsewhere = await ask(session.id, { REMOTE_ADDR: '192.0.2.1' });
    assert.equal(elsewhere.status, 403);
    assert.doesNotMatch(elsewhere.text, /PNG/);
    for (const age of ['0', '-1', 'x', '3601'])
        assert.equal((await ask(session.id, {}, age)).status, 400, age);
});

test('a file that is no PNG is not sent', async () => {
    const file = path.join(runFolder(session.id), 'picture.png');
    for (const content of ['<script>', '', Buffer.alloc(9 * 1024 * 1024)]) {
        fs.writeFileSync(file, content);
        const { status, body } = await ask(session.id, {}, '3600');
        if (status === 200)
            readPng(body); // it has been drawn anew
        else
            assert.deepEqual([status, body.length], [204, 0]); // it takes QEMU long
    }
    readPng((await firstScreenshot(session.id)).body);
});

test('the service goes on while QEMU does not answer', async () => {
    const qemu = service.process(session, 'qemu');
    await drawn(session.id);
    process.kill(qemu, 'SIGSTOP');
    try {
        fs.rmSync(path.join(runFolder(session.id), 'picture.png'), { force: true });
        for (let i = 0; i < 3; i++)
            assert.equal((await within('an answer', ask(session.id))).status, 204);
        const { session: state } = await service.json('GET', { session: session.id });
        assert.equal(state.state, 'running');
        // The supervisor goes on with everything else.
        const before = service.record(session.id).links.length;
        const { session: shared } = await service.json('POST', { share: session.id, role: 'view' });
        assert.equal(shared.sharing.links.length, before + 1);
    } finally {
        process.kill(qemu, 'SIGCONT');
    }
    readPng((await firstScreenshot(session.id)).body);
});

test('nothing is left after the end of the session', async () => {
    await ask(session.id);
    await service.stop(session.id);
    await service.ended(session.id);
    assert.equal((await ask(session.id)).status, 204);
    await service.assertNothingLeft(session, [session.control, session.view]);
    await service.assertAllGone();
});
