// SPDX-License-Identifier: AGPL-3.0-or-later
// qwd-server as a program: files, CGI, hardening, and the tunnel through the real websockify.
//   VARIANT=asan node --test tests/integration/server.test.mjs
// Cores: 0.25

import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, test } from 'node:test';
import { build, tempFolder, top } from '../lib/files.mjs';
import { http, listen, rawHttp, webSocket, webSocketFrame, webSocketHead } from '../lib/network.mjs';
import { childrenOf, isAlive, outputHas, run, start } from '../lib/programs.mjs';
import { fileWritten, until, within } from '../lib/wait.mjs';


const program = path.join(build, 'qwd-server');
const isRoot = process.getuid() === 0;
const novnc = '/usr/share/novnc';

// What the stub does is chosen by the query.
const stub = (folder) => `#!/bin/sh
ok() { printf 'Content-Type: text/plain\\n\\n'; }
case "$QUERY_STRING" in
env) ok; env ;;
cat) ok; cat ;;
count) ok; wc -c ;;
pwd) ok; pwd; ls -l /proc/self/fd | wc -l; cat /proc/self/status | grep -E '^Sig(Blk|Ign)' ;;
status) printf 'Status: 418 Teapot\\r\\nContent-Type: text/html\\r\\nX-Own: 1\\r\\nConnection: upgrade\\r\\n\\r\\n<p>' ;;
cookies) printf 'Content-Type: a/b\\nSet-Cookie: a=1\\nSet-Cookie: b=2\\nReferrer-Policy: same-origin\\n\\n' ;;
location) printf 'Location: /somewhere?x=1\\n\\n' ;;
see-other) printf 'Status: 303 See Other\\nLocation: /somewhere\\n\\n' ;;
length) printf 'Content-Type: a/b\\nContent-Length: 3\\n\\nabcdef' ;;
short) printf 'Content-Type: a/b\\nContent-Length: 30\\n\\nabcdef' ;;
garbage) echo 'Segmentation fault' ;;
empty) ;;
exit1) exit 1 ;;
exit1-after) ok; echo fine; exit 1 ;;
crash) ok; echo half; kill -SEGV $$ ;;
binary) head -c 100000 /dev/urandom ;;
endless-head) yes 'X-Field: y' ;;
huge) ok; head -c 40000000 /dev/zero ;;
endless) ok; exec cat /dev/zero ;;
big) ok; head -c 4000000 /dev/zero ;;
split) printf 'Content-Ty'; printf 'pe: a/b\\n'; printf '\\nx'; printf 'y' ;;
injection) printf 'Content-Type: a/b\\nX-A: b\\rSet-Cookie: evil=1\\n\\n' ;;
complain) echo 'the stub complains' >&2; ok ;;
hang) echo $$ > ${folder}/hang.pid; exec sleep 1000 ;;
hang-after) echo $$ > ${folder}/hang.pid; ok; echo half; exec sleep 1000 ;;
stubborn) trap '' TERM INT HUP PIPE; echo $$ > ${folder}/hang.pid; while :; do read line < ${folder}/fifo; done ;;
linger) echo $$ > ${folder}/hang.pid; ok; echo done; exec >&- 2>&-; exec sleep 1000 ;;
linger-length) echo $$ > ${folder}/hang.pid; printf 'Content-Type: a/b\\nContent-Length: 4\\n\\ndone'; exec sleep 1000 ;;
detach) setsid sh -c 'echo $$ > ${folder}/grandchild.pid; exec sleep 1000' 2>/dev/null & ok; echo started ;;
slow) sleep 2; ok; cat; echo ;;
gate) ok; read line < ${folder}/fifo; echo "$line" ;;
*) ok; echo "hello $REQUEST_METHOD $PATH_INFO" ;;
esac
`;

// A server with a stub CGI, files, and settings; { port, child, folder, get, post }.
async function startServer(t, { args = [], env = {}, cgi } = {}) {
    const folder = tempFolder(t);
    const html = path.join(folder, 'html');
    fs.mkdirSync(path.join(html, 'static/img'), { recursive: true });
    fs.writeFileSync(path.join(folder, 'index.html'), '<!DOCTYPE html><title>form</title>');
    fs.writeFileSync(path.join(html, 'secret.html'), 'a template');
    fs.writeFileSync(path.join(html, 'static/style.css'), 'body { color: red }');
    fs.writeFileSync(path.join(html, 'static/.hidden.css'), 'x');
    fs.writeFileSync(path.join(html, 'static/noext'), 'x');
    fs.writeFileSync(path.join(folder, 'outside.css'), 'x');
    fs.symlinkSync('../../outside.css', path.join(html, 'static/outside.css'));
    fs.symlinkSync('/etc/passwd', path.join(html, 'static/passwd.txt'));
    fs.symlinkSync('style.css', path.join(html, 'static/alias.css'));
    fs.writeFileSync(path.join(folder, 'qwd.conf'), '');
    const stubFile = path.join(folder, 'stub.cgi');
    fs.writeFileSync(stubFile, stub(folder));
    fs.chmodSync(stubFile, 0o755);
    fs.chmodSync(folder, 0o777);
    const child = start(t, program, ['--port=0', '--config=' + path.join(folder, 'qwd.conf'), `--dir_html=${html}`,
                                     `--file_page=${path.join(folder, 'index.html')}`, ...args],
                        { env: { ...process.env, QWD_CGI: cgi ?? stubFile, QWD_SECRET: 'no', ...env } });
    const [line] = await outputHas(child, 'out', /^.*\n/);
    const port = Number(new URL(line.trim()).port);
    const script = '/cgi-bin/qemu-web-desktop.cgi';
    return {
        child, port, folder, url: line.trim(),
        get: (target, options) => http(port, 'GET', target, options),
        cgi: (query, options) => http(port, 'GET', `${script}?${query}`, options),
        post: (query, body, options) => http(port, 'POST', `${script}?${query}`, { body, ...options }),
        async stop(signal = 'SIGTERM') {
            child.kill(signal);
            return within('end of the server', child.ended);
        },
    };
}

const pidIn = async (server, file) => Number(await fileWritten(path.join(server.folder, file)));

// Resolves when the process is gone: /proc has no events, so ask pidfd through tail.
const gone = async (t, pid) => {
    const end = start(t, 'tail', ['--pid', String(pid), '-s', '0.02', '-f', '/dev/null']);
    await within(`end of process ${pid}`, end.ended);
    assert.ok(!isAlive(pid));
};

// The answer for a program that is killed at its deadline, and its pid, once it has come as far as to say it before.
async function caught(server, query) {
    const file = path.join(server.folder, 'hang.pid');
    for (let tries = 0; tries < 10; tries++) {
        const response = await server.cgi(query);
        const pid = fs.existsSync(file) ? Number(fs.readFileSync(file, 'utf8')) : 0;
        fs.rmSync(file, { force: true });
        if (pid)
            return { response, pid };
    }
    assert.fail(`${query} never begins in time`);
}

const plain = (response, status, pattern = /\S/) => {
    assert.equal(response.status, status, response.head);
    assert.match(response.headers['content-type'], /^text\/plain/);
    assert.match(response.text, pattern);
    assert.ok(response.body.length < 400, 'one sentence');
};

describe('start and end', () => {
    test('prints its address, once, and ends cleanly', async (t) => {
        for (const signal of ['SIGTERM', 'SIGINT']) {
            const server = await startServer(t);
            assert.match(server.url, /^http:\/\/127\.0\.0\.1:\d+\/qemu-web-desktop\/$/);
            assert.equal((await server.cgi('')).status, 200);
            const end = await server.stop(signal);
            assert.deepEqual([end.code, end.err, end.out], [0, '', server.url + '\n']);
        }
    });

    test('help, version, and wrong usage', async (t) => {
        const help = await run(t, program, ['--help']);
        assert.equal(help.code, 0);
        for (const option of ['config', 'listen', 'port', 'verbose', 'cgi-deadline', 'request-deadline', 'help', 'version'])
            assert.match(help.out, new RegExp(`--${option}\\b`));
        assert.match((await run(t, program, ['--version'])).out, /^qwd-server \d/);
        for (const args of [['--port=x'], ['--port=65536'], ['--port=-1'], ['--port'], ['--help=1'], ['--verbose=no'],
                            ['x'], ['-p'], ['--nonsense=1'], ['--nonsense'], ['--accel=fast'], ['--accel=tcg\nx=y'],
                            ['--listen=192.0.2.1'], ['--server_name=http://a/b'], ['--config=/nonexistent/x']]) {
            const end = await run(t, program, ['--port=0', ...args], { env: { ...process.env, QWD_CGI: '/bin/true' } });
            assert.equal(end.code, 2, `${args}: ${end.err}`);
            assert.match(end.err, /^qwd-server: .+\n$/);
            assert.equal(end.out, '');
        }
    });

    test('a port that is taken', async (t) => {
        const server = await startServer(t);
        const end = await run(t, program, [`--port=${server.port}`]);
        assert.equal(end.code, 4);
        assert.match(end.err, /in use/);
    });

    test('listens on loopback only, and on IPv6 when told to', async (t) => {
        const listening = async (server) => (await run(t, 'ss', ['-Hltn', `sport = :${server.port}`])).out.split(/\s+/)[3];
        assert.match(await listening(await startServer(t)), /127\.0\.0\.1:/);
        const six = await startServer(t, { args: ['--listen=::1'] });
        assert.match(six.url, /^http:\/\/\[::1\]:/);
        assert.doesNotMatch(await listening(six), /^(\*|0\.0\.0\.0|\[::\]):/);
        const request = `GET /cgi-bin/qemu-web-desktop.cgi?env HTTP/1.1\r\nHost: [::1]:${six.port}\r\nConnection: close\r\n\r\n`;
        const response = await rawHttp(six.port, request, { host: '::1' });
        assert.match(response.text, /^REMOTE_ADDR=::1$/m);
        assert.match(response.text, /^SERVER_NAME=\[::1\]$/m);
        assert.equal((await six.stop()).code, 0);
    });

    test('gives up root for good', { skip: !isRoot && 'needs root' }, async (t) => {
        const server = await startServer(t);
        const [pid] = childrenOf(server.child.pid); // root keeps the terminal, and nothing else
        const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
        const [, names] = /^NSsid:\t(.*)$/m.exec(status);
        assert.equal(Number(names.split('\t').at(-1)), pid);
        const [, uids] = status.match(/^Uid:\t(.*)$/m), [, gids] = status.match(/^Gid:\t(.*)$/m);
        assert.equal(new Set(uids.split('\t')).size, 1);
        assert.notEqual(uids.split('\t')[0], '0');
        assert.ok(!gids.split('\t').includes('0'));
        assert.ok(!/^Groups:.*\b0\b/m.test(status));
        assert.match(status, /^CapPrm:\t0+$/m);
        assert.match(status, /^CapEff:\t0+$/m);
        for (const user of ['root', 'nosuchaccount', '']) {
            const end = await run(t, program, ['--port=0', `--service_user=${user}`]);
            assert.equal(end.code, 2, end.err);
            assert.equal(end.out, '');
        }
    });

    test('says at the start that the program is missing, and on request', async (t) => {
        const server = await startServer(t, { cgi: '/nonexistent/x.cgi' });
        await outputHas(server.child, 'err', /\/nonexistent\/x\.cgi/);
        plain(await server.cgi(''), 503, /administrator/);
    });
});

describe('files', () => {
    test('the page, its assets, and noVNC', async (t) => {
        const server = await startServer(t);
        for (const [target, type] of [['/qemu-web-desktop/', 'text/html'], ['/qemu-web-desktop/static/style.css', 'text/css'],
                                      ['/qemu-web-desktop/static/alias.css', 'text/css'],
                                      ['/darts/vnc.html', 'text/html'], ['/darts/vnc_auto.html', 'text/html'],
                                      ['/darts/core/rfb.js', 'text/javascript'], ['/darts/app/ui.js', 'text/javascript'],
                                      ['/darts/vendor/pako/lib/zlib/inflate.js', 'text/javascript'],
                                      ['/darts/app/styles/base.css', 'text/css'], ['/darts/app/locale/fr.json', 'application/json'],
                                      ['/darts/app/images/drag.svg', 'image/svg+xml'], ['/darts/app/sounds/bell.oga', 'audio/ogg'],
                                      ['/darts/app/images/icons/novnc-16x16.png', 'image/png']]) {
            const response = await server.get(`${target}?x=%2e%2e/`);
            assert.equal(response.status, 200, target);
            assert.equal(response.headers['content-type'].split(';')[0], type);
            assert.equal(response.headers['x-content-type-options'], 'nosniff');
            assert.equal(response.headers['referrer-policy'], 'same-origin');
            assert.ok(response.headers['content-security-policy']);
            assert.ok(response.headers['cache-control']);
            assert.equal(response.body.length, Number(response.headers['content-length']));
        }
        assert.deepEqual((await server.get('/darts/core/rfb.js')).body, fs.readFileSync(`${novnc}/core/rfb.js`));
        assert.match((await server.get('/qemu-web-desktop/')).headers['content-security-policy'], /default-src 'self'/);
        assert.match((await server.get('/darts/vnc.html')).headers['content-security-policy'],
                     new RegExp(`connect-src 'self' ws://127.0.0.1:${server.port} `));
    });

    test('HEAD, and 304 for who has it already', async (t) => {
        const server = await startServer(t);
        const target = '/darts/core/rfb.js';
        const { headers } = await server.get(target);
        const head = await http(server.port, 'HEAD', target);
        assert.equal(head.status, 200);
        assert.equal(head.body.length, 0);
        assert.equal(head.headers['content-length'], headers['content-length']);
        for (const tags of [headers.etag, `W/${headers.etag}`, `"x", ${headers.etag}`, '*']) {
            const response = await server.get(target, { headers: { 'If-None-Match': tags } });
            assert.equal(response.status, 304, tags);
            assert.equal(response.body.length, 0);
            assert.equal(response.headers.etag, headers.etag);
        }
        assert.equal((await server.get(target, { headers: { 'If-None-Match': '"x"' } })).status, 200);
    });

    test('redirects', async (t) => {
        const server = await startServer(t);
        for (const [target, location] of [['/', '/qemu-web-desktop/'], ['/qemu-web-desktop', '/qemu-web-desktop/'],
                                          ['/darts', '/darts/']]) {
            const response = await server.get(target);
            assert.deepEqual([response.status, response.headers.location], [302, location]);
        }
        fs.rmSync(path.join(server.folder, 'index.html'));
        const { status, headers } = await server.get('/qemu-web-desktop/');
        assert.deepEqual([status, headers.location], [302, '/cgi-bin/qemu-web-desktop.cgi']);
    });

    test('nothing else', async (t) => {
        const server = await startServer(t);
        const refused = [
            '/qemu-web-desktop/secret.html', '/qemu-web-desktop/html/secret.html', '/qemu-web-desktop/static',
            '/qemu-web-desktop/static/', '/qemu-web-desktop/static/img', '/qemu-web-desktop/static/img/',
            '/qemu-web-desktop/static/noext', '/qemu-web-desktop/static/.hidden.css',
            '/qemu-web-desktop/static/outside.css', '/qemu-web-desktop/static/passwd.txt',
            '/qemu-web-desktop/static/absent.css', '/qemu-web-desktop/static/style.css/',
            '/qemu-web-desktop/static/style.css/x', '/qemu-web-desktop/qwd.conf', '/darts/', '/darts/app', '/darts/app/',
            '/darts/utils/novnc_proxy', '/darts/utils/validate', '/darts/absent.js', '/etc/passwd', '/cgi-bin/',
            '/cgi-bin/qemu-web-desktop.cgix', '/cgi-bin/other.cgi', '/dartsx', '/favicon.ico', '/index.html',
        ];
        for (const target of refused) {
            const { status } = await server.get(target);
            assert.ok(status === 404 || status === 400, `${target}: ${status}`);
        }
        const escapes = ['..', '%2e%2e', '.%2e', '%2E%2E', '..%2f', '..%5c', '..\\', '..%00', '%c0%ae%c0%ae', '..;',
                         '....//', '%252e%252e'];
        for (const prefix of ['/', '/darts/', '/darts/app/', '/qemu-web-desktop/static/']) {
            for (const escape of escapes) {
                const target = `${prefix}${`${escape}/`.repeat(8)}etc/passwd`;
                const response = await server.get(target);
                assert.ok([400, 404].includes(response.status), `${target}: ${response.status}`);
                assert.doesNotMatch(response.text, /root:/);
            }
        }
        for (const target of ['//darts/vnc.html', '/darts//vnc.html', '//evil.example/', '/darts/vnc.html%00', '*',
                              'http://127.0.0.1/darts/vnc.html', 'darts/vnc.html', '/darts/%', '/darts/\x80',
                              '/darts/\xc3\xa9.js', '/darts/vnc.html#x\x7f'])
            assert.equal((await server.get(target)).status, 400, target);
    });

    test('without a path for displays there is none', async (t) => {
        const server = await startServer(t, { args: ['--service_path='] });
        for (const target of ['/darts/vnc.html', '/darts', '/vnc.html'])
            assert.equal((await server.get(target)).status, 404);
    });

    test('other paths by settings', async (t) => {
        const server = await startServer(t, { args: ['--service_path=/a/b/', '--service_page=/form', '--service_script=/run'] });
        assert.match(server.url, /\/form\/$/);
        assert.equal((await server.get('/form/')).status, 200);
        assert.equal((await server.get('/a/b/vnc.html')).status, 200);
        assert.equal((await server.get('/run/x')).text, 'hello GET /x\n');
        assert.equal((await server.get('/runx')).status, 404);
    });
});

describe('hardening', () => {
    test('methods', async (t) => {
        const server = await startServer(t);
        for (const method of ['PUT', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT', 'PATCH', 'PROPFIND', 'get', 'G\xc9T'])
            for (const target of ['/', '/darts/vnc.html', '/cgi-bin/qemu-web-desktop.cgi', '/absent']) {
                const response = await http(server.port, method, target);
                assert.equal(response.status, 405, `${method} ${target}`);
                assert.equal(response.headers.allow, 'GET, HEAD, POST');
            }
        for (const target of ['/', '/darts', '/darts/vnc.html', '/qemu-web-desktop/', '/qemu-web-desktop/static/style.css']) {
            const response = await http(server.port, 'POST', target, { body: 'x' });
            assert.deepEqual([response.status, response.headers.allow], [405, 'GET, HEAD']);
        }
    });

    test('only known names', async (t) => {
        const server = await startServer(t);
        for (const host of ['evil.example', `evil.example:${server.port}`, '', 'localhost.', 'user@localhost', '127.1',
                            'localhost:99999', '[::1', 'localhost/x', 'localhost evil'])
            for (const target of ['/', '/darts/vnc.html', '/cgi-bin/qemu-web-desktop.cgi?env'])
                assert.equal((await server.get(target, { headers: { Host: host } })).status, 400, host);
        const response = await server.get('/', { headers: { Host: 'desk.example' } });
        plain(response, 400, /desk\.example.*server_name/);
        for (const host of ['localhost', 'LOCALHOST:1', '127.0.0.1', '[::1]:5'])
            assert.equal((await server.get('/', { headers: { Host: host } })).status, 302, host);
        assert.equal((await rawHttp(server.port, 'GET / HTTP/1.0\r\n\r\n')).status, 400);
        assert.equal((await rawHttp(server.port, 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n')).status, 400);
        const named = await startServer(t, { args: ['--server_name=desk.example'] });
        assert.equal((await named.get('/', { headers: { Host: 'desk.example:1' } })).status, 302);
        assert.equal((await named.get('/')).status, 400);
    });

    test('sizes', async (t) => {
        const server = await startServer(t, { args: ['--service_max_request_length=100000'] });
        assert.equal((await server.get(`/darts/${'a'.repeat(9000)}`)).status, 414);
        const refused = async (text) => {
            const { status } = await rawHttp(server.port, text, { end: true });
            assert.ok([400, 413, 414, 431, 0].includes(status), `${status}`);
        };
        await refused(`GET /${'a'.repeat(100000)} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
        await refused(`GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'a'.repeat(100000)}\r\nConnection: close\r\n\r\n`);
        await refused(`GET / HTTP/1.1\r\nHost: localhost\r\n${'X: y\r\n'.repeat(20000)}Connection: close\r\n\r\n`);
        await refused(`${'A'.repeat(100000)} / HTTP/1.1\r\n\r\n`);
        await refused('\0\0\0\0\r\n\r\n');
        await refused(Buffer.from('16030102000100', 'hex')); // TLS

        assert.equal((await server.post('count', 'x'.repeat(100000))).text.trim(), '100000');
        plain(await server.post('count', 'x'.repeat(100001)), 413);
        plain(await server.post('count', 'x'.repeat(1000000)), 413);
        plain(await server.post('count', 'x', { headers: { 'Content-Length': '99999999999' } }), 413);
        const chunked = (size, count) => rawHttp(server.port,
            'POST /cgi-bin/qemu-web-desktop.cgi?count HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n' +
            `Transfer-Encoding: chunked\r\n\r\n${`${size.toString(16)}\r\n${'x'.repeat(size)}\r\n`.repeat(count)}0\r\n\r\n`);
        assert.equal((await chunked(10000, 10)).status, 411);
        assert.ok([411, 0].includes((await chunked(100000, 100)).status));
        assert.equal((await server.cgi('')).status, 200);
    });

    test('lengths that contradict each other', async (t) => {
        const server = await startServer(t);
        for (const head of ['Content-Length: 5\r\nContent-Length: 6', 'Content-Length: -5', 'Content-Length: 0x5',
                            'Content-Length: 5 5', 'Transfer-Encoding: gzip']) {
            const { status } = await rawHttp(server.port, 'POST /cgi-bin/qemu-web-desktop.cgi?cat HTTP/1.1\r\n' +
                `Host: localhost\r\nConnection: close\r\n${head}\r\n\r\nhello`, { end: true });
            assert.notEqual(status, 200, head);
        }
    });

    test('a client that takes too long for a request is cut off, one that watches or waits is not', async (t) => {
        const server = await startServer(t, { args: ['--request-deadline=1'] });
        const request = 'POST /cgi-bin/qemu-web-desktop.cgi?slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n';
        for (const sent of ['', 'GET / HT', request.slice(0, -2), request, `${request}hell`]) {
            const { status } = await rawHttp(server.port, sent);
            assert.equal(status, 0, sent);
        }
        const whole = `${request.replace('\r\n', '\r\nConnection: close\r\n')}hello`;
        let text;
        for (let tries = 0; tries < 5 && text !== 'hello\n'; tries++) // we ourselves may take too long to send it
            ({ text } = await rawHttp(server.port, whole));
        assert.equal(text, 'hello\n');
        const end = await server.stop();
        assert.deepEqual([end.code, end.err], [0, '']);
    });

    test('a client that leaves at any moment does no harm', async (t) => {
        const server = await startServer(t);
        const request = 'POST /cgi-bin/qemu-web-desktop.cgi?cat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello';
        for (let length = 0; length <= request.length; length += 7) {
            const socket = net.connect(server.port, '127.0.0.1');
            await once(socket, 'connect');
            socket.write(request.slice(0, length));
            length % 2 ? socket.resetAndDestroy() : socket.destroy();
        }
        assert.equal((await server.cgi('')).status, 200);
        const { code, err } = await server.stop();
        assert.deepEqual([code, err], [0, '']);
    });

    test('the access log has no query', async (t) => {
        const server = await startServer(t, { args: ['--verbose'] });
        await server.cgi('token=SECRET1');
        await server.get('/darts/vnc.html?path=?token=SECRET2');
        await server.get('/absent/%0aevil?token=SECRET3');
        await server.get('/absent?token=SECRET4', { headers: { Cookie: 'SECRET5', Referer: 'http://x/SECRET6' } });
        const { err } = await server.stop();
        assert.match(err, /127\.0\.0\.1 GET \/darts\/vnc\.html 200/);
        assert.match(err, /GET \/absent 404/);
        assert.doesNotMatch(err, /SECRET|\nevil/);
    });
});

describe('CGI', () => {
    test('the environment, and nothing else', async (t) => {
        const server = await startServer(t, { args: ['--accel=tcg', '--machine=x y'] });
        const response = await server.get('/cgi-bin/qemu-web-desktop.pl/a%20b?env', {
            headers: { Proxy: 'http://evil', Authorization: 'Basic x', Cookie: ['a=1', 'b=2'], 'X-A': ['1', '2'],
                       X_Under: 'x', 'Accept-Language': 'fr', 'Content-Type': 'x' } });
        const variables = Object.fromEntries(response.text.trim().split(/\n(?=\w+=)/).map((line) => {
            const at = line.indexOf('=');
            return [line.slice(0, at), line.slice(at + 1)];
        }));
        const expected = {
            GATEWAY_INTERFACE: 'CGI/1.1', REQUEST_METHOD: 'GET', QUERY_STRING: 'env', PATH_INFO: '/a b',
            SCRIPT_NAME: '/cgi-bin/qemu-web-desktop.pl', SERVER_NAME: '127.0.0.1', SERVER_PORT: String(server.port),
            SERVER_PROTOCOL: 'HTTP/1.1', REMOTE_ADDR: '127.0.0.1', SERVER_ADDR: '127.0.0.1', REQUEST_URI: '/cgi-bin/qemu-web-desktop.pl/a%20b?env',
            HTTP_HOST: `127.0.0.1:${server.port}`, HTTP_COOKIE: 'a=1; b=2', HTTP_X_A: '1, 2', HTTP_ACCEPT_LANGUAGE: 'fr',
            QWD_CONFIG: path.join(server.folder, 'qwd.conf'), QWD_SOCKET_TOKEN: 'protocol', PATH: process.env.PATH,
        };
        for (const [name, value] of Object.entries(expected))
            assert.equal(variables[name], value, name);
        assert.match(variables.SERVER_SOFTWARE, /^qwd-server\//);
        assert.ok(Number(variables.REMOTE_PORT) > 0);
        assert.match(response.text, /\naccel=tcg\nmachine=x y\n/);
        const known = [...Object.keys(expected), 'SERVER_SOFTWARE', 'REMOTE_PORT', 'QWD_OVERRIDES', 'LANG', 'TZ', 'PWD', '_',
                       'SHLVL', 'OLDPWD', 'dir_html', 'file_page', 'accel', 'machine'];
        assert.deepEqual(Object.keys(variables).filter((name) => !known.includes(name)), []);
        assert.doesNotMatch(response.text, /evil|QWD_SECRET|AUTHORIZATION|X_UNDER/i);
    });

    test('bodies', async (t) => {
        const server = await startServer(t);
        const body = 'a=1&b=%20'.repeat(5000);
        assert.equal((await server.post('cat', body)).text, body);
        const environment = await server.post('env', 'hello', { headers: { 'Content-Type': 'text/x' } });
        assert.match(environment.text, /^CONTENT_LENGTH=5$/m);
        assert.match(environment.text, /^CONTENT_TYPE=text\/x$/m);
        assert.match(environment.text, /^REQUEST_METHOD=POST$/m);
        assert.match((await server.post('env', '')).text, /^CONTENT_LENGTH=0$/m);
        assert.doesNotMatch((await server.cgi('env')).text, /^CONTENT_/m);
        const parts = rawHttp(server.port, 'POST /cgi-bin/qemu-web-desktop.cgi?cat HTTP/1.1\r\nHost: localhost\r\n' +
                              'Connection: close\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello');
        assert.match((await parts).text, /hello$/);
    });

    test('runs in a clean process', async (t) => {
        const server = await startServer(t);
        const { text } = await server.cgi('pwd');
        const [folder, descriptors, ...signals] = text.trim().split('\n');
        assert.equal(folder, '/');
        assert.ok(Number(descriptors) <= 5, `${descriptors} lines of descriptors`);
        for (const line of signals) // 32 and 33 are the C library's own, which no program can change
            assert.equal(BigInt(`0x${line.split('\t')[1]}`) & ~(3n << 31n), 0n, line);
    });

    test('answers', async (t) => {
        const server = await startServer(t);
        const status = await server.cgi('status');
        assert.deepEqual([status.status, status.text, status.headers['x-own']], [418, '<p>', '1']);
        assert.notEqual(status.headers.connection, 'upgrade');
        const cookies = await server.cgi('cookies');
        assert.equal(cookies.headers['set-cookie'], 'a=1, b=2');
        assert.equal(cookies.headers['referrer-policy'], 'same-origin');
        assert.equal(cookies.headers['x-content-type-options'], 'nosniff');
        const location = await server.cgi('location');
        assert.deepEqual([location.status, location.headers.location], [302, '/somewhere?x=1']);
        assert.equal((await server.cgi('see-other')).status, 303);
        const length = await server.cgi('length');
        assert.deepEqual([length.text, length.headers['content-length']], ['abc', '3']);
        assert.equal((await server.cgi('split')).text, 'xy');
        assert.equal((await server.cgi('exit1-after')).text, 'fine\n');
        assert.equal((await server.cgi('big')).body.length, 4000000);
        const head = await http(server.port, 'HEAD', '/cgi-bin/qemu-web-desktop.cgi?length');
        assert.deepEqual([head.status, head.body.length, head.headers['content-length']], [200, 0, '3']);
        const none = await http(server.port, 'HEAD', '/cgi-bin/qemu-web-desktop.cgi?status');
        assert.deepEqual([none.status, none.body.length], [418, 0]);
    });

    test('programs that misbehave', async (t) => {
        const server = await startServer(t);
        for (const query of ['garbage', 'empty', 'exit1', 'crash', 'binary', 'endless-head', 'huge', 'endless', 'short',
                             'injection']) {
            const response = await server.cgi(query);
            plain(response, 502, /administrator/);
            assert.equal(response.headers['set-cookie'], undefined);
        }
        assert.equal((await server.cgi('')).status, 200);
        const { err } = await server.stop();
        assert.equal(err.trim().split('\n').length, 10, `each error once: ${err}`);
    });

    test('what it says on standard error comes out at ours', async (t) => {
        const server = await startServer(t);
        await server.cgi('complain');
        await outputHas(server.child, 'err', /the stub complains/);
    });

    test('a program that hangs is killed at the deadline', async (t) => {
        const server = await startServer(t, { args: ['--cgi-deadline=1'] });
        await run(t, 'mkfifo', ['-m', '666', path.join(server.folder, 'fifo')]);
        for (const query of ['hang', 'hang-after', 'stubborn']) {
            const { response, pid } = await caught(server, query);
            plain(response, 504, /too long/);
            await gone(t, pid);
        }
        assert.equal((await server.cgi('')).status, 200);
    });

    test('a program that goes on after its answer does not hold it up', async (t) => {
        const patient = await startServer(t, { args: ['--cgi-deadline=600'] });
        const strict = await startServer(t, { args: ['--cgi-deadline=2'] });
        for (const query of ['linger-length', 'linger']) {
            const { response, pid } = await caught(patient, query);
            t.after(() => isAlive(pid) && process.kill(pid, 'SIGKILL'));
            assert.match(response.text, /^done/);
            assert.ok(isAlive(pid), 'it goes on');
            await gone(t, (await caught(strict, query)).pid);
        }
    });

    test('what it starts and detaches keeps running, and the answer does not wait for it', async (t) => {
        const server = await startServer(t);
        assert.equal((await server.cgi('detach')).text, 'started\n');
        const pid = await pidIn(server, 'grandchild.pid');
        t.after(() => isAlive(pid) && process.kill(pid, 'SIGKILL'));
        assert.equal((await server.stop()).code, 0);
        assert.ok(isAlive(pid), 'the session outlives the server');
    });

    test('one that waits does not hold up others; no zombies stay', async (t) => {
        const server = await startServer(t);
        const fifo = path.join(server.folder, 'fifo');
        await run(t, 'mkfifo', ['-m', '666', fifo]);
        const waiting = server.cgi('gate');
        const others = await Promise.all(Array.from({ length: 20 }, () => server.cgi('')));
        assert.deepEqual(others.map(({ status }) => status), Array(20).fill(200));
        fs.writeFileSync(fifo, 'opened\n');
        assert.equal((await waiting).text, 'opened\n');
        const serving = isRoot ? childrenOf(server.child.pid)[0] : server.child.pid;
        await Promise.all(childrenOf(serving).map((pid) => gone(t, pid))); // a zombie would stay
    });

    test('at the end a running program gets some seconds, then the server ends', async (t) => {
        const server = await startServer(t);
        const waiting = server.cgi('hang');
        const pid = await pidIn(server, 'hang.pid');
        assert.equal((await server.stop()).code, 0);
        assert.ok([504, 0].includes((await waiting).status));
        assert.ok(!isAlive(pid));
    });

    test('keeps a connection for the next request', async (t) => {
        const server = await startServer(t);
        const one = 'GET /cgi-bin/qemu-web-desktop.cgi HTTP/1.1\r\nHost: localhost\r\n\r\n';
        const last = one.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n');
        const response = await rawHttp(server.port, one + one + last);
        assert.equal(response.text.match(/hello GET/g).length, 3);
    });
});

// --- the tunnel ---

// The folder of the service's sockets, for dir_cfg.
function socketFolder(t) {
    const folder = tempFolder(t);
    fs.chmodSync(folder, 0o755); // qwd-server is the service account's
    return { args: [`--dir_cfg=${folder}`], folder, socket: path.join(folder, 'websockify.socket') };
}

// websockify as the service runs it, with a folder of tokens as its table; { args, tokens }.
async function startWebsockify(t) {
    const { args, folder, socket } = socketFolder(t);
    const tokens = path.join(folder, 'display');
    fs.mkdirSync(tokens);
    const listening = 'import os, socket, sys\nos.umask(0)\ns = socket.socket(socket.AF_UNIX)\ns.bind(sys.argv[1])\ns.listen(128)\nos.dup2(s.fileno(), 0)\n'
        + 'os.execvp("websockify", ["websockify", *sys.argv[2:]])';
    const child = start(t, 'python3', ['-c', listening, socket, '--inetd', '--token-plugin=UnixDomainSocketDirectory', `--token-source=${tokens}`,
                                       '--auth-plugin=qwd_viewer.UnixViewer'],
                        { detached: true, env: { ...process.env, PYTHONPATH: path.join(top, 'etc/websockify'), PYTHONDONTWRITEBYTECODE: '1' } });
    t.after(() => { // the group is ours: websockify forks for each viewer
        try {
            process.kill(-child.pid, 'SIGKILL');
        } catch { /* gone */ }
    });
    await outputHas(child, 'err', /proxying from/); // said once it listens
    return { args, tokens, child };
}

const echo = (socket) => socket.pipe(socket);

async function startTunnel(t, onConnection = echo, args = []) {
    const websockify = await startWebsockify(t);
    const sockets = [];
    const target = await listen(t, path.join(websockify.tokens, 'TOKEN'), (socket) => {
        sockets.push(socket);
        target.emit('viewer', socket);
        onConnection(socket);
    });
    const server = await startServer(t, { args: [...websockify.args, ...args] });
    const open = (options, at = '/darts/?token=TOKEN') => webSocket(t, server.port, at, options);
    return { ...server, websockify, target, sockets, open };
}

describe('tunnel', () => {
    test('carries bytes both ways, unchanged', async (t) => {
        const tunnel = await startTunnel(t);
        const ws = await tunnel.open();
        assert.equal(ws.response.status, 101);
        assert.match(ws.response.headers.connection, /upgrade/i);
        assert.match(ws.response.headers.upgrade, /websocket/i);
        assert.equal(ws.response.headers['sec-websocket-protocol'], 'binary');
        assert.ok(ws.response.headers['sec-websocket-accept']);
        ws.send('hello');
        assert.equal((await ws.received(5)).toString(), 'hello');
        const data = Buffer.alloc(5_000_000, 'The quick brown fox. ');
        for (let at = 0; at < data.length; at += 50_000)
            ws.send(data.subarray(at, at + 50_000));
        assert.ok((await ws.received(5 + data.length, 60000)).subarray(5).equals(data));
    });

    // The head of a frame that announces more than a viewer may send; frames that go on and on. Nobody keeps them.
    test('ends a connection with a message that is too long', async (t) => {
        const most = 4 * 1024 * 1024;
        const tunnel = await startTunnel(t, (socket) => {
            let left = most;
            socket.on('data', (chunk) => (left -= chunk.length) || socket.write('all'));
        });
        const head = (first, length) => {
            const bytes = Buffer.alloc(14); // with a mask of zeros
            bytes.writeUInt16BE(first << 8 | 0xff);
            bytes.writeBigUInt64BE(BigInt(length), 2);
            return bytes;
        };
        const longest = await tunnel.open();
        longest.socket.write(Buffer.concat([head(0x82, most), Buffer.alloc(most)]));
        await longest.received(3);
        const half = Buffer.alloc(most / 2);
        for (const bytes of [head(0x82, most + 1), head(0x82, 2 ** 40), [head(0x02, most / 2), half, head(0, most / 2), half, head(0, 9000), half.subarray(0, 9000)]]) {
            const ws = await tunnel.open();
            ws.socket.write(Buffer.concat([bytes].flat()));
            await within('the end of the connection', ws.closed);
            assert.equal(ws.closeFrame?.readUInt16BE(0), 1009);
            assert.match(ws.closeFrame.subarray(2).toString(), /more than 4 MB/);
            ws.socket.destroy();
        }
        await outputHas(tunnel.websockify.child, 'err', /A message has more than 4 MB\./);
    });

    test('keeps path and query below the display\'s path', async (t) => {
        const { args, socket: listener } = socketFolder(t);
        const heads = [];
        await listen(t, listener, (socket) => socket.once('data', (data) => {
            heads.push(data.toString('latin1'));
            socket.end('HTTP/1.1 400 no\r\n\r\n');
        }));
        const server = await startServer(t, { args });
        for (const [target, seen] of [['/darts/?token=a%20b&x=/../', '/?token=a%20b&x=/../'],
                                      ['/darts/websockify?token=x', '/websockify?token=x'],
                                      ['/darts/a%20b%3fc', '/a%20b%3Fc'], ['/darts/', '/']]) {
            const ws = await webSocket(t, server.port, target, { headers: { Cookie: 'secret', Origin: `http://127.0.0.1:${server.port}` } });
            assert.equal(ws.response.status, 400);
            const head = heads.pop();
            assert.equal(head.split('\r\n')[0], `GET ${seen} HTTP/1.1`);
            assert.match(head, /\r\nOrigin: http:\/\/127/);
            assert.match(head, /\r\nSec-WebSocket-Key: .{24}\r\n/);
            assert.doesNotMatch(head, /cookie|secret/i);
        }
    });

    test('what comes early on either side is not lost', async (t) => {
        const tunnel = await startTunnel(t, (socket) => {
            socket.write('RFB 003.008\n');
            socket.pipe(socket);
        });
        for (let i = 0; i < 10; i++) {
            const ws = await tunnel.open({ early: webSocketFrame('early') });
            assert.equal((await ws.received(17)).toString(), 'RFB 003.008\nearly');
            ws.socket.destroy();
        }
    });

    test('the end of either side ends the other', async (t) => {
        const tunnel = await startTunnel(t);
        const first = await tunnel.open();
        first.send('x');
        await first.received(1);
        tunnel.sockets[0].end();
        await within('close at the client', first.closed);
        assert.ok(first.closeFrame, 'the close frame came through');

        const second = await tunnel.open();
        second.send('x');
        await second.received(1);
        const ended = once(tunnel.sockets[1], 'close');
        second.socket.resetAndDestroy();
        await within('close at the target', ended);

        const third = await tunnel.open();
        third.send('x');
        await third.received(1);
        third.socket.write(webSocketFrame(Buffer.from([3, 232]), 8));
        await within('answer to the close frame', third.closed);
        assert.ok(third.closeFrame);
    });

    test('a half-closed client still gets what is under way', async (t) => {
        const { args, socket: listener } = socketFolder(t);
        await listen(t, listener, (socket) => {
            socket.once('data', () => socket.write('HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n'));
            socket.once('end', () => socket.end(Buffer.concat([Buffer.from([0x82, 126, 0x40, 0]), Buffer.alloc(16384, 'z')])));
        });
        const server = await startServer(t, { args });
        const ws = await webSocket(t, server.port, '/darts/');
        ws.socket.end();
        await within('end', ws.closed);
        assert.equal(ws.length, 16384);
    });

    test('200 viewers at once, and everything else goes on', async (t) => {
        const { args, socket: listener } = socketFolder(t); // a stand-in: 200 websockify processes would measure Python
        await listen(t, listener, (socket) => socket.once('data', (head) => {
            const name = head.toString().match(/token=(\w+)/)[1];
            socket.write(`HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n\x82${String.fromCharCode(name.length)}${name}`, 'latin1');
            socket.on('data', (data) => socket.write(Buffer.concat([Buffer.from([0x82, data.length]), data])));
        }));
        const server = await startServer(t, { args });
        const viewers = await Promise.all(Array.from({ length: 200 }, (_, i) =>
            webSocket(t, server.port, `/darts/?token=viewer${i}`)));
        await Promise.all(viewers.map(async (ws, i) => {
            assert.equal((await ws.received(`viewer${i}`.length)).toString(), `viewer${i}`);
            ws.socket.write(`echo${i}`);
            assert.match((await ws.received(`viewer${i}echo${i}`.length)).toString(), new RegExp(`echo${i}$`));
        }));
        assert.equal((await server.cgi('')).status, 200);
        assert.equal((await server.get('/darts/vnc.html')).status, 200);
        assert.equal((await server.stop()).code, 0);
        await within('all viewers closed', Promise.all(viewers.map((ws) => ws.closed)));
    });

    test('a viewer that does not read slows down its own display only', async (t) => {
        const tunnel = await startTunnel(t);
        let written = 0;
        const slow = await tunnel.open();
        slow.socket.pause();
        slow.send('x');
        await until(tunnel.target, 'viewer', () => tunnel.sockets.length > 0);
        const socket = tunnel.sockets[0];
        while (written < 64_000_000 && socket.write(Buffer.alloc(1_000_000)))
            written += 1_000_000;
        assert.ok(written < 64_000_000, 'somebody pushes back');
        const other = await tunnel.open();
        other.send('hello');
        assert.equal((await other.received(5)).toString(), 'hello');
    });

    test('who may not', async (t) => {
        const tunnel = await startTunnel(t);
        const here = `http://127.0.0.1:${tunnel.port}`;
        const refused = async (status, headers, target) => {
            const { response } = await tunnel.open({ headers }, target);
            assert.equal(response.status, status, JSON.stringify(headers));
            assert.match(response.text, /\S/);
        };
        for (const origin of ['http://evil.example', 'null', '', `${here}.evil.example`, `${here}/`, 'http://127.0.0.1:1',
                              `https://127.0.0.1:${tunnel.port + 1}`, 'file://', `http://u@127.0.0.1:${tunnel.port}`])
            await refused(403, { Origin: origin });
        await refused(400, { Origin: 'http://evil.example', Host: 'evil.example' });
        await refused(426, { 'Sec-WebSocket-Version': '12' });
        await refused(426, { 'Sec-WebSocket-Version': undefined });
        await refused(400, { 'Sec-WebSocket-Key': undefined });
        await refused(400, { Connection: 'keep-alive' });
        await refused(404, {}, '/darts/?token=OTHER');
        await refused(404, {}, '/darts/');
        await refused(400, {}, '/darts//?token=TOKEN');
        await refused(400, {}, '/darts/../?token=TOKEN');
        await refused(404, {}, '/?token=TOKEN'.replace('/?', '/x?'));
        assert.equal(tunnel.sockets.length, 0, 'nobody reached the display');
        for (const origin of [here, undefined])
            assert.equal((await tunnel.open({ headers: { Origin: origin } })).response.status, 101);
        assert.match((await http(tunnel.port, 'HEAD', '/darts/', { headers: { Upgrade: 'websocket', Connection: 'close, Upgrade' } })).head, / 400 /);
        assert.equal((await http(tunnel.port, 'POST', '/darts/', { headers: { Upgrade: 'websocket' } })).status, 405);
    });

    test('tokens are nowhere in the log', async (t) => {
        const tunnel = await startTunnel(t, echo, ['--verbose']);
        const ws = await tunnel.open();
        ws.send('x');
        await ws.received(1);
        await tunnel.open({}, '/darts/?token=SECRET');
        const { err } = await tunnel.stop();
        assert.match(err, /GET \/darts\/ 101/);
        assert.doesNotMatch(err, /TOKEN|SECRET|token/);
    });

    test('the last display has ended, and websockify with it', async (t) => {
        const server = await startServer(t, { args: socketFolder(t).args });
        const { response } = await webSocket(t, server.port, '/darts/?token=SECRET');
        plain(response, 404, /no such display, or it has ended/);
        assert.doesNotMatch(server.child.err, /SECRET/);
    });

    test('websockify is down', async (t) => {
        const sockets = socketFolder(t);
        const server = await startServer(t, { args: sockets.args });
        fs.mkdirSync(path.join(sockets.folder, 'display'));
        const display = net.createServer().listen(path.join(sockets.folder, 'display/a'));
        t.after(() => display.close());
        await once(display, 'listening');
        const { response } = await webSocket(t, server.port, '/darts/?token=SECRET');
        plain(response, 503, /display service/);
        await outputHas(server.child, 'err', /No such file/i);
        assert.doesNotMatch(server.child.err, /SECRET/);
    });

    const impostors = {
        'talks at once and nonsense': ['\x00\x01\x02\r\n\r\n', 502],
        'answers with HTTP that is none': ['HTTP/9.9 lots\r\n\r\n', 502],
        'sends a head without end': ['HTTP/1.1 101 x\r\n' + 'X: y\r\n'.repeat(10000), 502],
        'sends broken fields': ['HTTP/1.1 101 x\r\nno field\r\n\r\n', 502],
        'refuses': ['HTTP/1.1 405 no\r\n\r\n', 502],
        'sends a short line': ['x\n\n', 502],
        'hangs up half-way': ['HTTP/1.1 101 x\r\nUpg', 502],
        'hangs up at once': ['', 404],
        'says nothing for ten seconds': [null, 504],
    };
    for (const [what, [answer, status]] of Object.entries(impostors)) {
        test(`something else listens there: it ${what}`, async (t) => {
            const { args, socket: listener } = socketFolder(t);
            await listen(t, listener, (socket) => {
                if (answer !== null)
                    socket.once('data', () => socket.end(answer, 'latin1'));
            });
            const server = await startServer(t, { args });
            let response;
            for (let tries = 0; tries < 5 && response?.status !== status; tries++) // we may answer too late ourselves
                ({ response } = await webSocket(t, server.port, '/darts/?token=x'));
            plain(response, status);
        });
    }

    test('a client that leaves during the handshake', async (t) => {
        const { args, socket: listener } = socketFolder(t);
        const upstream = [];
        const target = await listen(t, listener, (socket) => {
            upstream.push(socket);
            target.emit('viewer');
        });
        const server = await startServer(t, { args });
        const socket = net.connect(server.port, '127.0.0.1');
        socket.write(webSocketHead(server.port, '/darts/?token=x'));
        await until(target, 'viewer', () => upstream.length);
        socket.resetAndDestroy();
        const ended = once(upstream[0], 'close');
        upstream[0].on('data', () => {}).on('end', () => upstream[0].end());
        upstream[0].write('HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n');
        await within('the tunnel is let go', ended);
        const { code, err } = await server.stop();
        assert.deepEqual([code, err], [0, '']);
    });
});
