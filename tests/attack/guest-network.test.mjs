// SPDX-License-Identifier: AGPL-3.0-or-later
// A guest on a host as they really are: the only resolver is on the host itself, the list of name servers has an address
// that passt refuses, and a server that tells the host's identity answers in the network.
// Cores: 2

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ask, gateway, inside, ip, makeNamespaces, outside, own, removeNamespaces, serve } from '../lib/guest-network.mjs';
import { tinyFolder } from '../lib/machines.mjs';
import { descriptorsOf, isRoot, parentOf, readUntil } from '../lib/programs.mjs';
import { Service } from '../lib/service.mjs';

const metadata = '169.254.169.254', shared = '10.20.30.40', denied = '10.20.31.1', folder = `/etc/netns/${inside}`;

// Answers every question of a name with one address, and says on which of its own it was asked.
const resolverScript = `
import socket, sys, threading
def serve(address):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, 53))
    while True:
        query, sender = server.recvfrom(4096)
        end = query.index(b'\\0', 12) + 5
        kind = query[end - 4:end - 2]
        answer = b'\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\1\\0\\4\\xcb\\0\\x71\\5' if kind == b'\\0\\1' else b''
        server.sendto(query[:2] + b'\\x81\\x80\\0\\1\\0' + bytes([1 if answer else 0]) + b'\\0\\0\\0\\0' + query[12:end] + answer, sender)
for address in sys.argv[1:]:
    threading.Thread(target=serve, args=(address,), daemon=True).start()
print('READY', flush=True)
sys.stdin.read()
`;

describe('a guest', { skip: !isRoot && 'needs root' }, () => {
    const service = new Service();
    let resolver;

    before(async () => {
        fs.mkdirSync(folder, { recursive: true });
        fs.writeFileSync(path.join(folder, 'resolv.conf'), 'nameserver fe80::1%2\nnameserver nowhere\nnameserver 127.0.0.53\n');
        makeNamespaces();
        for (const address of [metadata, shared, denied])
            ip('-n', outside, 'addr', 'add', `${address}/32`, 'dev', 'lo');
        await serve(outside, `OUTSIDE|${gateway}|8000`, `IDENTITY|${metadata}|8000`, `SHARED|${shared}|8000`,
                    `DENIED|${denied}|8000`);
        resolver = spawn('ip', ['netns', 'exec', inside, 'python3', '-c', resolverScript, '127.0.0.53', own],
                         { stdio: ['pipe', 'pipe', 'inherit'] });
        await readUntil(resolver.stdout, /READY/);
        const image = path.join(tinyFolder(), 'tiny.iso');
        await service.start({ wrap: ['ip', 'netns', 'exec', inside],
                              settings: { network: 'passt', service_port: 6080 }, images: { 'tiny.iso': image, 'open.iso': image },
                              machines: { 'open.iso': 'network_allow=metadata, 10.20.30.0/24' } });
    });

    after(async () => {
        await service.end().finally(() => {
            resolver?.kill('SIGKILL');
            removeNamespaces();
            fs.rmSync(folder, { recursive: true, force: true });
            try {
                fs.rmdirSync(path.dirname(folder));
            } catch {
                // others use it
            }
        });
    });

    async function boot(machine, settings) {
        const session = await service.createRunning({ machine, memory: '256M' }, settings);
        const shell = await service.shell(session.id);
        await shell.run('udevadm wait --timeout=60 /sys/class/net/eth0');
        await shell.run('until ip -4 addr show dev eth0 | grep -q "inet "; do usleep 200000; done');
        return { session, shell };
    }

    // Those that answer. One that does takes its time after the boot.
    async function answering(shell, hosts, name) {
        let answers = '';
        for (let tries = 0; tries < 30 && !answers.includes(name); tries++)
            answers = await ask(shell, hosts, [8000]);
        return ['DENIED', 'IDENTITY', 'OUTSIDE', 'SHARED'].filter((server) => answers.includes(server));
    }

    describe('with the settings as they are', () => {
        let session, shell;

        before(async () => {
            ({ session, shell } = await boot('tiny.iso'));
        });

        test('reaches no server that tells the identity of its host', async () => {
            assert.deepEqual(await answering(shell, [metadata, gateway, '169.254.1.53'], 'OUTSIDE'), ['OUTSIDE']);
        });

        // passt is a child of the supervisor that has no file open for writing, and was told of none.
        test('has a passt that ends with its session and writes nothing', async () => {
            const passt = service.process(session, 'passt');
            assert.equal(parentOf(passt), service.process(session, 'supervisor'));
            const files = descriptorsOf(passt).map(([, target]) => target).filter((target) => target.startsWith('/') && target !== '/dev/null');
            assert.deepEqual(files, []);
            const words = fs.readFileSync(`/proc/${passt}/cmdline`, 'utf8').split('\0');
            assert.deepEqual(words.filter((word) => word.startsWith('/') || word === '--pid'), []);
        });

        test('finds names through the resolver of its host', async () => {
            assert.equal(session.note, '');
            await shell.run('until grep -q nameserver /etc/resolv.conf; do usleep 200000; done');
            assert.equal(await shell.text('grep nameserver /etc/resolv.conf'), 'nameserver 169.254.1.53');
            assert.match(await shell.text('nslookup desk.example.org 2>&1'), /203\.0\.113\.5/);
            await service.stop(session.id);
            await service.ended(session.id);
            await service.assertNothingLeft(session);
        });
    });

    test('reaches nothing that is denied, but for what the entry of its machine allows', async () => {
        const { session, shell } = await boot('open.iso', { network_deny: 'link-local, metadata, 10.20.0.0/16' });
        for (const [host, name] of [[metadata, 'IDENTITY'], [shared, 'SHARED']])
            assert.deepEqual(await answering(shell, [host, denied], name), [name]);
        await service.stop(session.id);
        await service.ended(session.id);
    });

    test('doctor starts passt as sessions do, and says what machines reach', async () => {
        const { out } = await service.run([service.qwdctl, 'doctor', '--json'], { asRoot: true });
        const texts = JSON.parse(out).filter(({ part }) => part === 'network').map(({ text }) => text);
        assert.deepEqual(texts, ['passt starts.', 'Machines reach other hosts but these networks: link-local, metadata.',
                                 'Machines ask this server\'s own resolver for names.']);
    });
});
