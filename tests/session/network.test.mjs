// SPDX-License-Identifier: AGPL-3.0-or-later
// The network of a guest, seen from inside. The whole service runs in a network namespace whose only neighbour is another
// namespace, which stands for the Internet: no packet leaves this host.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ask, gateway, inside, makeNamespaces, outside, own, removeNamespaces, serve } from '../lib/guest-network.mjs';
import { bootDisk, tinyFolder } from '../lib/machines.mjs';
import { isAlive, isRoot, processGone } from '../lib/programs.mjs';
import { Service } from '../lib/service.mjs';

describe('network', { skip: !isRoot && 'needs root' }, () => {
    const tiny = isRoot ? tinyFolder() : '';
    const service = new Service();
    let session, shell, address;

    before(async () => {
        makeNamespaces();
        await serve(outside, `OUTSIDE|${gateway}|8000`);
        await serve(inside, 'LOOPBACK|127.0.0.1|8001', 'LOOPBACK|::1|8001', `OWN|${own}|8002`);
        await service.start({ wrap: ['ip', 'netns', 'exec', inside], settings: { network: 'auto', service_port: 6080 },
                              images: { 'tiny.iso': path.join(tiny, 'tiny.iso') }, machines: { 'boot.raw': '' } });
        fs.writeFileSync(service.path('service/machines/boot.raw'), bootDisk());
    });

    after(async () => {
        await service.end().finally(removeNamespaces);
    });

    // A guest reaches one of the places. A server that answers late, or does not listen yet, is asked again.
    async function assertReaches(guest, hosts, ports, name) {
        let answer = '';
        for (let tries = 0; tries < 30 && answer === ''; tries++)
            answer = await ask(guest, hosts, ports);
        assert.equal(answer, name);
    }

    test('the guest gets an address, and reaches the outside', async () => {
        session = await service.createRunning({ machine: 'tiny.iso', memory: '256M' });
        assert.equal(session.note, '');
        assert.ok(isAlive(service.process(session, 'passt')));
        shell = await service.shell(session.id);
        await shell.run('udevadm wait --timeout=60 /sys/class/net/eth0');
        await shell.run('until ip -4 addr show dev eth0 | grep -q "inet "; do usleep 200000; done');
        address = await shell.text('ip -4 -o addr show dev eth0 | sed "s/.*inet \\([0-9.]*\\).*/\\1/"');
        assert.equal(address, own, 'passt hands on the host\'s own address');
        await assertReaches(shell, [gateway], [8000], 'OUTSIDE');
    });

    // By programs of the guest that have the connection as standard input and output, and do not half-close it.
    test('much data arrives whole, both ways', async () => {
        const bytes = 5000000;
        const talk = async (script) => {
            await shell.run(`printf '#!/bin/sh\\n${script}\\n' > /tmp/talk; chmod +x /tmp/talk`);
            await shell.run(`rm -f /tmp/said; timeout 120 nc -w 60 ${gateway} 8000 -e /tmp/talk`);
            return shell.text('cat /tmp/said');
        };
        assert.equal(await talk(`echo SEND ${bytes}; head -c ${bytes} | wc -c > /tmp/said`), String(bytes));
        assert.equal(await talk(`echo PUT ${bytes}; head -c ${bytes} /dev/zero; head -n 1 > /tmp/said`), `GOT ${bytes}`);
    });

    test('the guest reaches neither the host\'s loopback, nor the host, nor its websockify', async () => {
        const hosts = ['127.0.0.1', '10.0.2.2', gateway, own, '::1'];
        await assertReaches(shell, hosts, [8000, 8001, 8002, 6080], 'OUTSIDE');
    });

    test('the guest does not reach the host by packets for loopback addresses', async () => {
        await shell.run('sysctl -w net.ipv4.conf.all.route_localnet=1; ip addr del 127.0.0.1/8 dev lo; ip route add 127.0.0.0/8 '
                        + `via ${gateway} dev eth0`);
        assert.equal(await ask(shell, ['127.0.0.1', '127.0.0.2'], [8001, 6080]), '');
        assert.equal(await ask(shell, ['0.0.0.0'], [8001, 8002, 6080]), '');
        await shell.run('ip route del 127.0.0.0/8; ip addr add 127.0.0.1/8 dev lo');
    });

    test('the guest does not reach the host with another address', async () => {
        await shell.run(`ip addr del ${own}/24 dev eth0; ip addr add 198.51.100.77/24 dev eth0; ip route add default via ${gateway}`);
        await shell.run(`ip route add ${own} via ${gateway}`); // it does not answer to ARP
        await assertReaches(shell, [own, gateway], [8000, 8001, 8002, 6080], 'OUTSIDE');
        await shell.run(`ip addr del 198.51.100.77/24 dev eth0; ip addr add ${own}/24 dev eth0; ip route add default via ${gateway}`);
    });

    test('the guest does not reach the guest of another session', async () => {
        const other = await service.createRunning({ machine: 'tiny.iso', memory: '256M' });
        const second = await service.shell(other.id);
        await second.run('udevadm wait --timeout=60 /sys/class/net/eth0');
        await second.run('until ip -4 addr show dev eth0 | grep -q "inet "; do usleep 200000; done');
        assert.equal(await second.text('ip -4 -o addr show dev eth0 | sed "s/.*inet \\([0-9.]*\\).*/\\1/"'), own);
        await second.run('(nc -ll -p 8003 -e echo OTHER &)');
        await assertReaches(second, ['127.0.0.1'], [8003], 'OTHER');
        assert.equal(await ask(shell, [own, gateway, '127.0.0.1'], [8003]), '');
        // The host does not reach a guest either.
        const host = await service.run(['curl', '-s', '-m', '3', `http://${own}:8003/`], { asRoot: true });
        assert.equal(host.out, '');
        await service.stop(other.id);
        await service.ended(other.id);
        await service.assertNothingLeft(other);
    });

    test('QEMU, the filter and passt end with a killed supervisor', async () => {
        const [qemu, ...others] = ['qemu', 'net-filter', 'passt'].map((name) => service.process(session, name));
        await service.kill(session, 'supervisor');
        for (const pid of [qemu, ...others])
            await processGone(pid);
    });

    test('passt ends with its session', async () => {
        const short = await service.createRunning({ machine: 'boot.raw' });
        assert.ok(isAlive(service.process(short, 'passt')));
        await service.stop(short.id);
        await service.ended(short.id);
        await service.assertNothingLeft(short);
    });

    test('without passt the network is restricted, and the session has a note', async (t) => {
        // A PATH that has everything but passt.
        const programs = service.path('programs');
        fs.mkdirSync(programs);
        for (const name of ['qemu-system-x86_64', 'qemu-img', 'websockify', 'python3', 'sh'])
            fs.symlinkSync(`/usr/bin/${name}`, path.join(programs, name));
        service.cgi = ['env', `PATH=${programs}`, service.cgiProgram];
        t.after(() => {
            service.cgi = [service.cgiProgram];
        });
        const id = await service.create({ machine: 'boot.raw' });
        const record = await service.state(id, 'running');
        assert.match(record.note, /^This machine has no network\. \(Cannot start passt: /);
        assert.equal(service.process(record, 'passt'), undefined);
        assert.match((await service.get({ session: id })).text, /This machine has no network\./);
        await service.stop(id);
        await service.ended(id);
        const past = await service.ended(await service.create({ machine: 'boot.raw' }, { network: 'passt' }));
        assert.equal(past.state, 'failed');
        assert.match(past.reason, /^Cannot start passt: /);
    });
});
