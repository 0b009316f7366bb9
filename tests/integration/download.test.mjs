// SPDX-License-Identifier: AGPL-3.0-or-later
// qwdctl enable URL and download, from a web server that misbehaves on purpose.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { sh } from '../lib/files.mjs';
import { account, isRoot } from '../lib/programs.mjs';
import { Root, Web, overlay, pretendingImage, randomImage, sha256 } from '../lib/qwdctl.mjs';
import { until, within } from '../lib/wait.mjs';

let root, web, image, other;
const KB = 1024;

before(async () => {
    root = new Root();
    image = randomImage(root.path('home/image'), 1024 * KB);
    other = randomImage(root.path('home/other'), 1024 * KB);
    web = await new Web().start(root.path('home'));
});

after(() => {
    web?.end();
    root?.end();
});

beforeEach(() => {
    root.reset();
    settings();
    web.files = {};
    web.requests = [];
    web.tunnels = [];
});

const settings = (more = {}) => root.configure({ download_ca: web.ca, download_patience: '60s', ...more });
const there = () => fs.readdirSync(root.machines).sort();
const holds = (name, bytes) => fs.readFileSync(path.join(root.machines, name)).equals(bytes);
const enable = (name, ...more) => root.run(['enable', web.url(name), ...more]);

function list(name, attributes = {}) {
    const lines = Object.entries({ url: web.url(name), ...attributes }).map(([key, value]) => `${key}=${value}\n`);
    fs.appendFileSync(root.path('etc/machines.conf'), `[${name}]\n${lines.join('')}`);
}

async function refused(result, code, words) {
    const { code: found, err, out } = await result;
    assert.equal(found, code, err);
    assert.match(err, words);
    assert.equal(out, '');
    assert.ok(there().every((name) => /\.part(\.json)?$/.test(name)), `nothing that looks whole: ${there()}`);
}

describe('a server that behaves', () => {
    test('enable URL: downloaded, inspected, listed, on the page', async () => {
        web.files['lab one.qcow2'] = { body: image, etag: '"1"', ranges: true };
        const result = await root.run(['enable', `${web.url('lab%20one.qcow2')}?download=1#x`, 'Lab one']);
        assert.equal(result.code, 0, result.err);
        assert.equal(result.out, 'lab one.qcow2\n');
        assert.match(result.err, /^lab one\.qcow2: download +100 % +1(\.\d)? MB of 1(\.\d)? MB$/m, 'plain lines where there is no terminal');
        assert.ok(holds('lab one.qcow2', image));
        assert.deepEqual(there(), ['lab one.qcow2']);
        const stat = fs.statSync(path.join(root.machines, 'lab one.qcow2'));
        assert.equal(stat.mode & 0o7777, 0o644);
        if (isRoot)
            assert.equal(stat.uid, Number(sh('id', '-u', account)), 'root does not download');
        assert.match(root.read('etc/config.d/lab one.qcow2.ini'), /^\[lab one\.qcow2\]\ndescription=Lab one\nurl=https:/);
        assert.match(root.read('service/index.html'), /Lab one/);
        const again = await root.run(['enable', web.url('lab%20one.qcow2')]);
        assert.equal(again.code, 4);
        assert.match(again.err, /exists already/);
    });

    test('enable URL: a description or a list that is not accepted is told before anything is fetched', async () => {
        web.files['a.qcow2'] = { body: image };
        await refused(root.run(['enable', web.url('a.qcow2'), 'two\nlines']), 2, /A description is one line/);
        for (const broken of ['etc/machines.conf', 'etc/config.d/a.qcow2.ini']) {
            root.write(broken, '[b.qcow2]\ncolour=red\n');
            await refused(enable('a.qcow2'), 2, /unknown attribute "colour"/);
            fs.rmSync(root.path(broken));
        }
        assert.deepEqual(web.requests, []);
        assert.deepEqual(there(), []);
    });

    test('download: what is missing, or what is named; several at once', async () => {
        for (let i = 0; i < 5; i++) {
            web.files[`m${i}.qcow2`] = { body: i % 2 ? image : other };
            list(`m${i}.qcow2`);
        }
        web.files['m5.qcow2'] = { status: 404 };
        list('m5.qcow2');
        const result = await root.run(['download']);
        assert.equal(result.code, 3);
        assert.deepEqual(result.out.trim().split('\n').sort(), ['m0.qcow2', 'm1.qcow2', 'm2.qcow2', 'm3.qcow2', 'm4.qcow2']);
        assert.match(result.err, /qwdctl: m5\.qcow2: \S+: the server answers with status 404\nqwdctl: 1 of 6 failed\.\n$/);
        assert.ok(holds('m0.qcow2', other) && holds('m3.qcow2', image));
        web.requests = [];
        web.files['m5.qcow2'] = { body: image };
        assert.equal((await root.run(['update'])).out, 'm5.qcow2\n');
        assert.equal(web.requests.length, 1, 'what is there is not asked for');
        web.files['m0.qcow2'] = { body: image };
        assert.equal((await root.run(['download', 'm0.qcow2'])).code, 0);
        assert.ok(holds('m0.qcow2', image), 'what is named is taken anew');
    });

    test('download: an entry whose url is a file gets a copy', async () => {
        fs.mkdirSync(root.path('home/my images'), { recursive: true });
        const source = root.path('home/my images/lab.qcow2');
        fs.writeFileSync(source, image);
        list('a.qcow2', { url: `file://${source.replace(' ', '%20')}` });
        list('b.qcow2', { url: source, sha256: sha256(image) });
        const first = await root.run(['download']);
        assert.equal(first.code, 0, first.err);
        assert.match(first.err, /^a\.qcow2: copy +100 %/m);
        assert.ok(holds('a.qcow2', image) && holds('b.qcow2', image));
        fs.writeFileSync(source, other);
        assert.equal((await root.run(['download', 'a.qcow2'])).code, 0);
        assert.ok(holds('a.qcow2', other), 'what is named is taken anew');
        assert.equal((await root.run(['download', 'b.qcow2'])).code, 4);
        assert.ok(holds('b.qcow2', image), 'not with another checksum');
        root.record(path.join(root.machines, 'a.qcow2'));
        const used = await root.run(['download', 'a.qcow2']);
        assert.match(used.err, /in use by the session/);
        assert.deepEqual(there(), ['a.qcow2', 'b.qcow2']);
    });

    test('download: a file that is none, is not there, or that the service account cannot read', async () => {
        const closed = root.write('home/closed.raw', 'secret', 0o600);
        const pipe = root.path('home/pipe');
        sh('mkfifo', pipe);
        for (const [url, code, words] of [['/no/such/file.raw', 3, /No such file/], [`file://${root.path('home')}`, 2, /not a regular file/],
                                          [pipe, 2, /not a regular file/], ['file:', 2, /no address/],
                                          ...(isRoot ? [[closed, 4, /cannot be read by the service account/]] : [])]) {
            root.write('etc/machines.conf', `[x.raw]\nurl=${url}\n`);
            await refused(root.run(['download']), code, words);
        }
        assert.deepEqual(there(), []);
    });

    test('three at a time, no more and no less', async () => {
        for (let i = 0; i < 6; i++) {
            web.files[`t${i}.qcow2`] = { body: image };
            list(`t${i}.qcow2`);
        }
        Object.assign(web, { together: 3, most: 0, held: [] });
        try {
            assert.equal((await root.run(['download'])).code, 0);
        } finally {
            web.together = 0;
        }
        assert.equal(web.most, 3);
        assert.equal(there().length, 6);
    });

    test('on a terminal there are bars', async () => {
        web.files['bar.qcow2'] = { body: image };
        const result = await root.terminal(['enable', web.url('bar.qcow2')]);
        assert.equal(result.code, 0, result.out);
        assert.match(result.out, /bar\.qcow2 +\[#{16}\] download +100 %/);
    });

    test('redirects from https to https; from http to https', async () => {
        web.files['end.qcow2'] = { body: image };
        web.files['one.qcow2'] = { redirect: web.url('end.qcow2') };
        assert.equal((await enable('one.qcow2')).code, 0);
        web.files['two.qcow2'] = { redirect: web.url('end.qcow2') };
        const clear = await root.run(['enable', web.url('two.qcow2', web.clear)]);
        assert.equal(clear.code, 0, clear.err);
        assert.match(clear.err, /Note: .* is not protected on its way, and no checksum is known/);
        assert.ok(holds('two.qcow2', image));
    });

    test('a size that the server does not tell', async () => {
        web.files['unknown.qcow2'] = { body: image, length: null };
        assert.equal((await enable('unknown.qcow2')).code, 0);
        assert.ok(holds('unknown.qcow2', image));
    });
});

describe('checksums', () => {
    test('given, listed at an address, or in the entry', async () => {
        web.files['a.qcow2'] = web.files['b.qcow2'] = web.files['c.qcow2'] = { body: image };
        web.files.SHA256SUMS = { body: Buffer.from(`${sha256(other)}  x.qcow2\n${sha256(image)} *b.qcow2\n`) };
        assert.equal((await enable('a.qcow2', `--sha256=${sha256(image).toUpperCase()}`)).code, 0);
        assert.match(root.read('etc/config.d/a.qcow2.ini'), /^sha256=[0-9A-F]{64}$/m);
        assert.equal((await enable('b.qcow2', `--sha256=${web.url('SHA256SUMS')}`)).code, 0);
        assert.match(root.read('etc/config.d/b.qcow2.ini'), /^sha256_url=https:\S+SHA256SUMS$/m);
        list('c.qcow2', { sha256: sha256(image) });
        assert.equal((await root.run(['download'])).code, 0);
        assert.deepEqual(there(), ['a.qcow2', 'b.qcow2', 'c.qcow2']);
    });

    test('a wrong one: nothing stays, and what was there before stays', async () => {
        web.files['a.qcow2'] = { body: image };
        await refused(enable('a.qcow2', `--sha256=${sha256(other)}`), 4, new RegExp(`Expected ${sha256(other)}, found ${sha256(image)}`));
        assert.deepEqual(there(), []);
        assert.deepEqual(fs.readdirSync(root.path('etc/config.d')), []);
        list('a.qcow2', { sha256: sha256(other) });
        fs.writeFileSync(path.join(root.machines, 'a.qcow2'), other);
        assert.equal((await root.run(['download', 'a.qcow2'])).code, 4);
        assert.ok(holds('a.qcow2', other));
        assert.deepEqual(there(), ['a.qcow2']);
    });

    test('of files that are here: copied, or there already', async () => {
        const own = root.path('home/own.qcow2'), right = `--sha256=${sha256(image)}`, wrong = `--sha256=${sha256(other)}`;
        fs.writeFileSync(own, image);
        web.files.SHA256SUMS = { body: Buffer.from(`${sha256(other)}  own.qcow2\n${sha256(image)}  in.qcow2\n`) };
        const listed = `--sha256=${web.url('SHA256SUMS')}`;
        for (const sum of [wrong, listed])
            await refused(root.run(['enable', own, sum]), 4, new RegExp(`Expected ${sha256(other)}, found ${sha256(image)}`));
        assert.deepEqual(there(), []);
        assert.equal((await root.run(['enable', own, right])).code, 0);
        fs.writeFileSync(path.join(root.machines, 'in.qcow2'), image);
        const inside = await root.run(['enable', 'in.qcow2', wrong]);
        assert.equal(inside.code, 4);
        assert.match(inside.err, /Expected/);
        assert.ok(holds('in.qcow2', image), 'it stays');
        assert.deepEqual(fs.readdirSync(root.path('etc/config.d')), ['own.qcow2.ini']);
        for (const sum of [right, listed])
            assert.equal((await root.run(['enable', 'in.qcow2', sum])).code, 0);
    });

    test('one that is none is refused whatever it is for', async () => {
        root.write('home/own.raw', 'x');
        for (const word of [web.url('a.qcow2'), root.path('home/own.raw'), 'nobody.raw'])
            for (const sum of ['abc', '', 'f'.repeat(63), 'file:///etc/passwd'])
                await refused(root.run(['enable', word, `--sha256=${sum}`]), 2, /is not a SHA-256/);
        assert.deepEqual(web.requests, []);
    });

    test('one that is none, a list without the file, and no list', async () => {
        web.files['a.qcow2'] = { body: image };
        web.files.SHA256SUMS = { body: Buffer.from(`${sha256(image)}  x.qcow2\n`) };
        await refused(enable('a.qcow2', '--sha256=abc'), 2, /is not a SHA-256/);
        await refused(enable('a.qcow2', `--sha256=${web.url('SHA256SUMS')}`), 3, /does not list a\.qcow2/);
        await refused(enable('a.qcow2', `--sha256=${web.url('NOTHING')}`), 3, /status 404/);
        assert.deepEqual(there(), []);
    });
});

describe('an image that is needed is not replaced', () => {
    const at = (name) => path.join(root.machines, name);

    beforeEach(() => {
        fs.writeFileSync(at('base.qcow2'), other);
        web.files['base.qcow2'] = { body: image, etag: '"1"', ranges: true };
        list('base.qcow2');
    });

    async function notReplaced(words) {
        const { code, err, out } = await root.run(['download', 'base.qcow2']);
        assert.equal(code, 4, err);
        assert.match(err, words);
        assert.equal(out, '');
        assert.ok(holds('base.qcow2', other));
        assert.deepEqual(web.requests, [], 'refused before anything is fetched');
    }

    test('by machines on offer or disabled, by sessions, by disks that are kept, at any depth', async () => {
        overlay(root.machines, 'base.qcow2', 'middle.qcow2');
        overlay(root.machines, 'middle.qcow2', 'top.qcow2');
        const machines = root.read('etc/machines.conf');
        for (const entry of ['[top.qcow2]', ';[top.qcow2]']) {
            root.write('etc/machines.conf', `${machines}${entry}\n`);
            await notReplaced(/base\.qcow2 is in use by the machine top\.qcow2\. First remove .* under another name\./);
        }
        root.write('etc/machines.conf', machines);
        const running = root.record(at('top.qcow2'));
        await notReplaced(new RegExp(`in use by the session ${running} of alice\\. First: qwdctl stop ${running}`));
        fs.rmSync(root.path('service/snapshots', running), { recursive: true });
        const kept = root.record(at('middle.qcow2'), { state: 'ended', kept_until: 9999999999 });
        await notReplaced(new RegExp(`in use by the disk that is kept of the session ${kept} of alice\\. First discard`));
        fs.rmSync(root.path('service/snapshots', kept), { recursive: true });
        assert.equal((await root.run(['download', 'base.qcow2'])).code, 0);
        assert.ok(holds('base.qcow2', image));
    });

    test('by a session that began during the download: what was downloaded stays for later', async () => {
        web.files['base.qcow2'].cut = 600 * KB;
        web.files['base.qcow2'].stall = 1;
        const download = root.run(['download', 'base.qcow2']);
        await within('the first part', once(web, 'sent'));
        const id = root.record(at('base.qcow2'));
        Object.assign(web.files['base.qcow2'], { cut: 0, stall: 0 });
        web.drop();
        const { code, err } = await download;
        assert.equal(code, 4, err);
        assert.match(err, new RegExp(`in use by the session ${id} .* What was downloaded is kept; then: qwdctl download 'base\\.qcow2'`));
        assert.ok(holds('base.qcow2', other));
        assert.equal(fs.statSync(at('base.qcow2.part')).size, image.length);
        fs.rmSync(root.path('service/snapshots', id), { recursive: true });
        web.requests = [];
        assert.equal((await root.run(['download', 'base.qcow2'])).code, 0);
        assert.ok(holds('base.qcow2', image));
        assert.deepEqual(web.requests.map(({ range }) => range), [`bytes=${image.length - 64 * KB}-`], 'not fetched again');
        assert.deepEqual(there(), ['base.qcow2']);
    });
});

describe('a server that does not', () => {
    test('it cuts every connection: the download goes on where it broke', async () => {
        web.files['cut.qcow2'] = { body: image, etag: '"1"', ranges: true, cut: 90 * KB };
        const result = await enable('cut.qcow2');
        assert.equal(result.code, 0, result.err);
        assert.ok(holds('cut.qcow2', image));
        const later = web.requests.slice(1);
        assert.ok(later.length > 20, 'often');
        assert.ok(later.every(({ range, condition }) => /^bytes=\d+-$/.test(range) && condition === '"1"'));
        assert.deepEqual(there(), ['cut.qcow2']);
    });

    test('it cuts, and cannot go on: given up in the end', async () => {
        web.files['cut.qcow2'] = { body: image, cut: 300 * KB };
        await refused(enable('cut.qcow2'), 5, /cut\.qcow2/);
        assert.equal(web.requests.length, 4, 'three more attempts that bring nothing more');
    });

    test('it has another file when the download goes on', async () => {
        const file = { body: image, etag: '"1"', ranges: true, cut: 300 * KB };
        web.files['new.qcow2'] = file;
        web.once('closed new.qcow2', () => Object.assign(file, { body: other, etag: '"2"', cut: 0 }));
        const result = await enable('new.qcow2');
        assert.equal(result.code, 0, result.err);
        assert.ok(holds('new.qcow2', other));
    });

    test('it says that it is the same file, and it is not', async () => {
        const file = { body: image, etag: '"1"', ranges: true, cut: 300 * KB };
        web.files['lie.qcow2'] = file;
        web.once('closed lie.qcow2', () => Object.assign(file, { twist: true, cut: 0 }));
        const result = await enable('lie.qcow2');
        assert.equal(result.code, 0, result.err);
        assert.ok(holds('lie.qcow2', image), 'from the beginning, then');
        assert.equal(web.requests.at(-1).range, undefined);
    });

    test('it has a shorter one under the same name', async () => {
        const file = { body: image, etag: '"1"', ranges: true, cut: 600 * KB };
        web.files['short.qcow2'] = file;
        const small = randomImage(root.path('home/small'), 64 * KB);
        web.once('closed short.qcow2', () => Object.assign(file, { body: small, cut: 0 }));
        const result = await enable('short.qcow2');
        assert.equal(result.code, 0, result.err);
        assert.ok(holds('short.qcow2', small));
        assert.ok(web.requests.length >= 3);
    });

    test('it promises more than it sends, or less', async () => {
        web.files['more.qcow2'] = { body: image, length: image.length + 1000 };
        await refused(enable('more.qcow2'), 5, /more\.qcow2/);
        web.files['less.qcow2'] = { body: image, length: null, cut: 200 * KB };
        await refused(enable('less.qcow2'), 5, /less\.qcow2/);
    });

    test('it falls asleep: given up after download_patience, and gone on with later', async () => {
        const file = { body: image, etag: '"1"', ranges: true, stall: 200 * KB };
        web.files['slow.qcow2'] = file;
        settings({ download_patience: '1s' });
        list('slow.qcow2');
        const part = path.join(root.machines, 'slow.qcow2.part');
        const hasBegun = () => fs.existsSync(part) && fs.statSync(part).size > 0;
        let result; // a second may be too short for the beginning as well
        for (let tries = 0; tries < 10 && !hasBegun(); tries++)
            result = await root.run(['download']);
        await refused(result, 5, /nothing has come for too long/);
        assert.deepEqual(there(), ['slow.qcow2.part', 'slow.qcow2.part.json']);
        file.stall = 0;
        assert.equal((await root.run(['download'])).code, 0);
        assert.match(web.requests.at(-1).range, /^bytes=[1-9]\d+-$/);
        assert.ok(holds('slow.qcow2', image));
        assert.deepEqual(there(), ['slow.qcow2']);
    });

    test('qwdctl is killed in the middle: nothing looks whole, a second one goes on', async () => {
        const file = { body: image, etag: '"1"', ranges: true, stall: 400 * KB };
        web.files['killed.qcow2'] = file;
        list('killed.qcow2');
        const child = root.spawn(['download']);
        const closed = once(web, 'closed killed.qcow2');
        const part = path.join(root.machines, 'killed.qcow2.part');
        const watcher = fs.watch(root.machines);
        await until(watcher, 'change', () => fs.existsSync(part) && fs.statSync(part).size > 0, 'a part');
        watcher.close();
        const busy = await root.run(['download', 'killed.qcow2']);
        assert.equal(busy.code, 4);
        assert.match(busy.err, /is being downloaded by another process/);
        const purge = await root.run(['purge']);
        assert.match(purge.err, /There is nothing to remove/, 'a download under way is not rubbish');
        child.kill('SIGKILL');
        await within('the end of the connection', closed);
        assert.ok(!there().includes('killed.qcow2'));
        file.stall = 0;
        assert.equal((await root.run(['download'])).code, 0);
        assert.ok(holds('killed.qcow2', image));
    });

    test('it leads away from https, in circles, or nowhere', async () => {
        web.files['plain.qcow2'] = { redirect: web.url('end.qcow2', web.clear) };
        web.files['end.qcow2'] = { body: image };
        await refused(enable('plain.qcow2'), 4, /leads to http:\S+, which is not protected/);
        web.files['step.qcow2'] = { redirect: web.url('plain.qcow2') };
        await refused(root.run(['enable', web.url('step.qcow2', web.clear)]), 4, /not protected/);
        web.files['file.qcow2'] = { redirect: 'file:///etc/passwd' };
        await refused(enable('file.qcow2'), 4, /not protected/);
        await refused(root.run(['enable', web.url('file.qcow2', web.clear)]), 2, /only http/);
        web.files['circle.qcow2'] = { redirect: web.url('circle.qcow2') };
        await refused(enable('circle.qcow2'), 5, /in circles/);
        assert.deepEqual(there(), []);
    });

    test('it is not who it says it is', async () => {
        web.files['a.qcow2'] = { body: image };
        settings({ download_ca: '' });
        await refused(enable('a.qcow2'), 4, /certificate/);
        settings();
        await refused(root.run(['enable', web.url('a.qcow2').replace('localhost', '127.0.0.1')]), 4, /certificate/);
        assert.deepEqual(web.requests, []);
    });

    test('it sends a page, a refusal, or an image that is a trap', async () => {
        web.files['page.iso'] = { body: Buffer.from('<html>Please sign in</html>'), type: 'text/html; charset=utf-8' };
        await refused(enable('page.iso'), 4, /a web page, not a file/);
        web.files['secret.iso'] = { status: 403 };
        await refused(enable('secret.iso'), 4, /status 403/);
        web.files['late.iso'] = { status: 503 };
        await refused(enable('late.iso'), 5, /status 503/);
        web.files['trap.raw'] = { body: pretendingImage(root.path('home/trap')) };
        await refused(enable('trap.raw'), 4, /refers to another file \(\/etc\/shadow\)/);
        assert.deepEqual(there(), []);
    });
});

describe('this server', () => {
    test('too little room: refused before anything is written', async () => {
        web.files['big.qcow2'] = { body: image };
        settings({ service_min_free_disk: '16777216M' });
        await refused(enable('big.qcow2'), 5, /The disk has too little room: 1 MB are missing, 0 MB may be used/);
        fs.writeFileSync(root.path('home/local.raw'), 'x'.repeat(5000));
        await refused(root.run(['enable', root.path('home/local.raw')]), 5, /too little room for local\.raw/);
        assert.deepEqual(there(), []);
    });

    test('through the proxy, and without it for what no_proxy names', async () => {
        web.files['a.qcow2'] = web.files['b.qcow2'] = web.files['c.qcow2'] = { body: image };
        const proxy = `http://127.0.0.1:${web.proxy.address().port}`;
        settings({ service_proxy: proxy });
        assert.equal((await enable('a.qcow2')).code, 0);
        assert.equal(web.tunnels.length, 1);
        assert.equal((await root.run(['enable', web.url('b.qcow2')], { env: { no_proxy: 'localhost' } })).code, 0);
        assert.equal(web.tunnels.length, 1);
        settings();
        assert.equal((await root.run(['enable', web.url('c.qcow2')], { env: { https_proxy: proxy } })).code, 0);
        assert.equal(web.tunnels.length, 2);
        settings({ service_proxy: 'http://127.0.0.1:1' });
        web.files['d.qcow2'] = { body: image };
        assert.equal((await enable('d.qcow2')).code, 5);
    });

    test('a folder that the service account cannot write', { skip: !isRoot && 'needs root' }, async () => {
        web.files['a.qcow2'] = { body: image };
        sh('chown', 'root', root.machines);
        try {
            await refused(enable('a.qcow2'), 2, /cannot be written by the service account/);
        } finally {
            sh('chown', account, root.machines);
        }
    });

    test('a part that is a symbolic link is not followed', async () => {
        web.files['link.qcow2'] = { body: image };
        fs.writeFileSync(root.path('home/victim'), 'precious');
        fs.chmodSync(root.path('home/victim'), 0o666);
        fs.symlinkSync(root.path('home/victim'), path.join(root.machines, 'link.qcow2.part'));
        const result = await enable('link.qcow2');
        assert.notEqual(result.code, 0);
        assert.equal(root.read('home/victim'), 'precious');
    });
});
