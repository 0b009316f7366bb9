// SPDX-License-Identifier: AGPL-3.0-or-later
// Frames of a guest that must not get to passt, which would turn them into datagrams and connections of this host.

import assert from 'node:assert/strict';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { command, installedRoot, sh } from '../lib/files.mjs';
import { icmpv6, PacketFilter, ping, tcp, udp } from '../lib/packet-filter.mjs';
import { isRoot } from '../lib/programs.mjs';
import { eventually } from '../lib/wait.mjs';

const lib = path.join(installedRoot(), 'usr/lib/qemu-web-desktop');
const outside = () => ({ 'outside IPv4': udp('203.0.113.9', 53), 'outside IPv6': tcp('2001:db8:1::9', 80) });

describe('what a guest sends', { skip: !isRoot && 'needs root' }, () => {
    before(() => {
        sh('ip', 'addr', 'add', '2001:db8::2/64', 'dev', 'eth0', 'nodad');
    });

    test('multicast and broadcast do not pass, but for what passt answers itself', async (t) => {
        const filter = new PacketFilter(t, lib);
        const answered = {
            'DHCP': udp('255.255.255.255', 67), 'DHCPv6': udp('ff02::1:2', 547), 'a router is asked for': icmpv6('ff02::2', 133),
            'a neighbour is asked for': icmpv6('ff02::1:ff00:1', 135), ...outside(),
        };
        assert.deepEqual(await filter.passing({
            'all hosts': udp('224.0.0.1', 9000), 'mDNS': udp('224.0.0.251', 5353), 'SSDP': udp('239.255.255.250', 1900),
            'ping of all hosts': ping('224.0.0.1'), 'all nodes': udp('ff02::1', 9000), 'mDNS over IPv6': udp('ff02::fb', 5353),
            'ping of all nodes': ping('ff02::1'), 'DHCPv6 to all nodes': udp('ff02::1', 547), 'a global group': udp('ff0e::1', 9000),
            'a broadcast': udp('255.255.255.255', 9000), 'a broadcast of the network': udp('192.0.2.255', 67),
            'a reserved address': udp('240.0.0.1', 9000), ...answered,
        }), Object.keys(answered));
    });

    test('addresses that stand only in the kernel\'s table `local` are this host\'s', async (t) => {
        sh('ip', 'route', 'add', 'local', '10.9.0.0/16', 'dev', 'lo');
        sh('ip', '-6', 'route', 'add', 'local', '2001:db8:9::/48', 'dev', 'lo');
        const filter = new PacketFilter(t, lib);
        assert.deepEqual(await filter.passing({
            'a forwarded address': tcp('10.9.1.2', 80), 'a forwarded network': udp('2001:db8:9:1::1', 53), ...outside(),
        }), Object.keys(outside()));
    });

    test('local routes in other tables are this host\'s, but for those of a transparent proxy', async (t) => {
        for (const route of [['-4', '10.6.0.0/16', '100'], ['-6', '2001:db8:6::/48', '100'], ['-4', '10.5.0.1/32', '70000'],
                             ['-4', '0.0.0.0/0', '101'], ['-6', '::/0', '101']])
            sh('ip', route[0], 'route', 'add', 'local', route[1], 'dev', 'lo', 'table', route[2]);
        sh('ip', 'route', 'add', '10.4.0.0/16', 'dev', 'eth0', 'table', '100');
        const filter = new PacketFilter(t, lib), others = { 'another network of the table': tcp('10.4.0.1', 80), ...outside() };
        assert.deepEqual(await filter.passing({
            'IPv4': tcp('10.6.1.2', 80), 'IPv6': udp('2001:db8:6:1::1', 53), 'a table with a large number': tcp('10.5.0.1', 80),
            ...others,
        }), Object.keys(others));
    });

    test('an IPv6 address that leads to this host by way of IPv4 is this host\'s', async (t) => {
        const filter = new PacketFilter(t, lib, ['-169.254.0.0/16']);
        const others = { 'NAT64': tcp('64:ff9b::cb00:7109', 80), 'NAT64 of the site': tcp('64:ff9b:1::cb00:7109', 80),
                         '6to4': tcp('2002:cb00:7109::1', 80), ...outside() };
        assert.deepEqual(await filter.passing({
            'NAT64 of this host': tcp('64:ff9b::c000:202', 80), 'NAT64 of the site, of this host': tcp('64:ff9b:1::c000:202', 80),
            'of its loopback': tcp('64:ff9b:1::7f00:1', 80), 'behind another prefix': tcp('64:ff9b:1:7f00:0:100::', 80),
            'of what is denied': tcp('64:ff9b:1::a9fe:a9fe', 80), '6to4 of this host': tcp('2002:c000:202::1', 80),
            'Teredo of this host': tcp('2001:0:c000:202::34ff:8ef6', 80), 'ISATAP of this host': tcp('2001:db8:1::5efe:c000:202', 80),
            ...others,
        }), Object.keys(others));
    });

    test('an address of this host is known from the moment it has it, until it is gone', async (t) => {
        const filter = new PacketFilter(t, lib);
        const frames = { 'IPv4': tcp('192.0.2.77', 80), 'IPv6': tcp('2001:db8::77', 80), 'AnyIP': tcp('10.8.7.6', 80) };
        assert.deepEqual(await filter.passing(frames), Object.keys(frames));
        sh('ip', 'addr', 'add', '192.0.2.77/32', 'dev', 'eth0');
        sh('ip', 'addr', 'add', '2001:db8::77/128', 'dev', 'eth0', 'nodad');
        sh('ip', 'route', 'add', 'local', '10.8.0.0/16', 'dev', 'lo');
        assert.deepEqual(await filter.passing(frames), []);
        sh('ip', 'addr', 'del', '192.0.2.77/32', 'dev', 'eth0');
        sh('ip', 'addr', 'del', '2001:db8::77/128', 'dev', 'eth0');
        sh('ip', 'route', 'del', 'local', '10.8.0.0/16', 'dev', 'lo');
        assert.deepEqual(await filter.passing(frames), Object.keys(frames));
    });

    test('many changes that are not read in time are not lost', async (t) => {
        const filter = new PacketFilter(t, lib);
        const frames = { 'the last one': tcp('10.7.15.255', 80) };
        assert.deepEqual(await filter.passing(frames), Object.keys(frames));
        const changes = Array.from({ length: 4096 }, (_, i) => `route add local 10.7.${i >> 8}.${i & 255} dev lo\n`).join('');
        command('ip', ['-batch', '-'], { input: changes });
        assert.deepEqual(await filter.passing({ ...frames, ...outside() }), Object.keys(outside()));
    });

    test('when the addresses of this host cannot be read, only what passt answers itself passes', async (t) => {
        const filter = new PacketFilter(t, lib);
        await eventually('the filter reads', () => filter.isReady());
        sh('prlimit', `--pid=${filter.child.pid}`, '--nofile=5:5');
        const dhcp = { 'DHCP': udp('255.255.255.255', 67) };
        assert.deepEqual(await filter.passing({ 'this host': tcp('192.0.2.2', 80), ...outside(), ...dhcp }), ['DHCP']);
    });
});
