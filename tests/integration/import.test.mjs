// SPDX-License-Identifier: AGPL-3.0-or-later
// scripts/import-darts, with a small site of our own making.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { build, tempFolder, top } from './lib.mjs';

const config = `use strict;
our %config;
my $day = 3600*24;
$config{dir_service}            = "/srv/desktops";
$config{dir_machines}           = "$config{dir_service}/machines";
$config{dir_cfg}                = "/tmp";
$config{machine}                = 'lab.qcow2';
$config{snapshot_lifetime}      = 2*$day;
$config{snapshot_alloc_cpu}     = 2;
$config{snapshot_alloc_mem}     = 8.0;
$config{snapshot_use_master}    = 0;
$config{service_max_load}       = 0.8;
$config{service_proxy}          = "http://proxy.example.org:3128";
$config{boot_delay}             = 5;
$config{qemu_exec_options}      = "-enable-kvm -cpu host,kvm=off -smbios type=1";
$config{qemu_video}             = "VGA";
$config{check_user_with_ldap}   = '';
$config{user_admin}             = [ 'alice', 'bob' ];
$config{fallback_servers}       = [ 'one.example.org' ];
$config{port_multiple}          = 1;
$config{service_port}           = 70000;
$config{a_table}                = { a => 1 };
1;
`;

const machines = `; our machines
[lab.qcow2]
description=Caf\xe9 <lab>
url=https://example.org/lab.qcow2
colour=red

[../evil.iso]
description=no

;[off.iso]
;description=not now
`;

function importer(t, { perl = config, list = machines } = {}) {
    const folder = tempFolder(t), from = path.join(folder, 'from'), to = path.join(folder, 'to');
    fs.mkdirSync(path.join(from, 'config.d'), { recursive: true });
    fs.writeFileSync(path.join(from, 'config.pl'), perl);
    fs.writeFileSync(path.join(from, 'machines.conf'), list, 'latin1');
    fs.writeFileSync(path.join(from, 'config.d/more.ini'), '[more.iso]\ndescription=More\n');
    const run = () => spawnSync(path.join(top, 'scripts/import-darts'), [from, to],
                                { encoding: 'utf8', env: { ...process.env, QWDCTL: path.join(build, 'qwdctl') } });
    const read = (name) => fs.readFileSync(path.join(to, name), 'utf8');
    return { from, to, run, read };
}

test('settings and machines are taken over; what has no counterpart is told', (t) => {
    const { from, to, run, read } = importer(t);
    const { status, stdout, stderr } = run();
    assert.equal(status, 0, stderr);
    assert.equal(read('qemu-web-desktop.conf'), `# Taken over from ${from}/config.pl.
boot_delay = 5
check_user_with_ldap = no
dir_machines = /srv/desktops/machines
dir_service = /srv/desktops
machine = lab.qcow2
qemu_exec_options = -smbios type=1
qemu_video = VGA
service_max_load = 0.8
service_proxy = http://proxy.example.org:3128
snapshot_alloc_cpu = 2
snapshot_alloc_mem = 8
snapshot_lifetime = 172800
snapshot_use_master = 0
user_admin = alice,bob
`);
    assert.equal(read('machines.conf'), `; our machines
[lab.qcow2]
description=Café <lab>
url=https://example.org/lab.qcow2
;colour=red

;[../evil.iso]
;description=no

;[off.iso]
;description=not now
`);
    assert.equal(stdout.replaceAll(from, 'FROM'), `Settings taken over: 14
Machines taken over: 3
Left out:
  a_table: there is no such setting here
  dir_cfg: a place of the program, which has its own here
  fallback_servers: there is no such setting here
  port_multiple: there is no such setting here
  qemu_exec_options: "-enable-kvm -cpu host,kvm=off -smbios type=1": what concerns the accelerator is left to accel = auto
  service_port: service_port = 70000 is not accepted. Write a whole number from 1 to 65535.
  FROM/machines.conf: was not UTF-8, and was read as Latin-1
  FROM/machines.conf, line 5: there is no attribute colour here
  FROM/machines.conf, line 7: [../evil.iso] is not a plain file name
`);
    const check = spawnSync(path.join(build, 'qwdctl'), ['config', 'check', `--config=${to}/qemu-web-desktop.conf`], { encoding: 'utf8' });
    assert.equal(check.status, 0, check.stderr);
    assert.match(check.stdout, /boot_delay has no effect/);
});

test('nothing is overwritten; a config.pl that is broken says so; other forms of it are read', (t) => {
    const first = importer(t);
    assert.equal(first.run().status, 0);
    const again = first.run();
    assert.equal(again.status, 1);
    assert.match(again.stderr, /exists already/);
    const broken = importer(t, { perl: 'our %config; $config{machine} = ;' }).run();
    assert.equal(broken.status, 1);
    assert.match(broken.stderr, /syntax error[^]*config\.pl cannot be read/);
    const hash = importer(t, { perl: "my %c = (machine => 'a.iso', service_port => 6081); \\%c;" });
    assert.equal(hash.run().status, 0);
    assert.match(hash.read('qemu-web-desktop.conf'), /^machine = a\.iso\nservice_port = 6081$/m);
});
