// SPDX-License-Identifier: AGPL-3.0-or-later
// scripts/import-darts, with a small site of our own making.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { build, tempFolder, top } from '../lib/files.mjs';

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
$config{gpu_blacklist}          = "06:05.0 00:1b.0";
$config{fallback_servers}       = [ 'one.example.org' ];
$config{port_multiple}          = 1;
$config{service_port}           = 70000;
$config{email_passwd}           = 'secret';
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

/* In config.pl, $ENV{FOLDER} is a folder to put things into. */
function importer(t, { perl = config, list = machines } = {}) {
    const folder = tempFolder(t), from = path.join(folder, 'from'), to = path.join(folder, 'to');
    fs.mkdirSync(path.join(from, 'config.d'), { recursive: true });
    if (perl)
        fs.writeFileSync(path.join(from, 'config.pl'), perl);
    if (list)
        fs.writeFileSync(path.join(from, 'machines.conf'), list, 'latin1');
    fs.writeFileSync(path.join(from, 'config.d/more.ini'), '[more.iso]\ndescription=More\n');
    const env = { ...process.env, QWDCTL: path.join(build, 'qwdctl'), FOLDER: folder };
    const run = (more = {}) => spawnSync('/bin/bash', [path.join(top, 'scripts/import-darts'), from, to],
                                         { encoding: 'utf8', env: { ...env, ...more } });
    const read = (name) => fs.readFileSync(path.join(to, name), 'utf8');
    return { folder, from, to, run, read };
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
gpu_blacklist = 06:05.0,00:1b.0
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
    assert.equal(stdout.replaceAll(from, 'FROM'), `Settings taken over: 15
Boot scripts taken over: 0
Machines taken over: 3
Left out, or not as it was:
  a_table: there is no such setting here
  dir_cfg: a place of the program, which has its own here
  email_passwd: write it into a file for the service account only, and the file's path into email_password_file
  fallback_servers: there is no such setting here
  port_multiple: there is no such setting here
  qemu_exec_options: "-enable-kvm -cpu host,kvm=off -smbios type=1": what concerns the accelerator is left to accel = auto
  service_port: service_port = 70000 is not accepted. Write a whole number from 1 to 65535.
  FROM/machines.conf: was not UTF-8, and was read as Latin-1
  FROM/machines.conf, line 5: there is no attribute colour here
  FROM/machines.conf, line 7: [../evil.iso] is not a plain file name
`);
    assert.deepEqual(fs.readdirSync(to).sort(), ['config.d', 'machines.conf', 'qemu-web-desktop.conf']);
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

/* A file as the original has it: no strict, a module that only its CGI program loads, lists by way of arrays. */
test('what the original has in its file is understood', (t) => {
    const site = importer(t, { perl: `
$config{service}       = "desk";
$config{dir_service}   = "/srv/$config{service}";
$config{dir_cfg}       = File::Spec->tmpdir();
$config{qemu_video}    = "qxl";
print "what a file says is no setting\\n";
my @admins             = ('');
$config{user_admin}    = [@admins];
my @folders            = ("$ENV{FOLDER}/data", "$ENV{FOLDER}/my data", "$ENV{FOLDER}/link", "$ENV{FOLDER}/gone");
$config{dir_mounts}    = [@folders];
sub look { return 'SUCCESS' }
$config{check_user_custom} = \\&look;
$config{machine}       = "caf\xe9.iso";
1;
` });
    for (const name of ['data', 'my data', 'far/away'])
        fs.mkdirSync(path.join(site.folder, name), { recursive: true });
    fs.symlinkSync(path.join(site.folder, 'far/away'), path.join(site.folder, 'link'));
    fs.writeFileSync(path.join(site.from, 'index.html.tmpl'), '{{layout_machines_list}}');
    const { status, stdout, stderr } = site.run();
    assert.equal(status, 0, stderr);
    assert.equal(site.read('qemu-web-desktop.conf').replaceAll(fs.realpathSync(site.folder), 'FOLDER'),
                 `# Taken over from FOLDER/from/config.pl.
dir_mounts = FOLDER/data,link=FOLDER/far/away
dir_service = /srv/desk
machine = café.iso
qemu_video = qxl-vga
user_admin = 
`);
    for (const words of ['check_user_custom: neither', 'dir_cfg: a place', 'dir_mounts: taken over to be read',
                         `dir_mounts: ${site.folder}/gone: there is no such folder`,
                         `dir_mounts: ${site.folder}/my data: a path that a list cannot hold`, 'index.html.tmpl: not taken over'])
        assert.ok(stdout.includes(words), `${words} in\n${stdout}`);
});

test('names of -vga become those of devices', (t) => {
    const names = { std: 'VGA', vmware: 'vmware-svga', virtio: 'virtio-vga', cirrus: 'cirrus-vga' };
    for (const [theirs, ours] of Object.entries(names)) {
        const site = importer(t, { perl: `$config{qemu_video} = "${theirs}";`, list: '' });
        assert.equal(site.run().status, 0);
        assert.match(site.read('qemu-web-desktop.conf'), new RegExp(`^qemu_video = ${ours}$`, 'm'));
    }
    const none = importer(t, { perl: '$config{qemu_video} = "none"; $config{machine} = "a.iso";', list: '' });
    assert.match(none.run().stdout, /qemu_video: "none" is no display device here/);
    assert.ok(!none.read('qemu-web-desktop.conf').includes('qemu_video'));
});

test('boot scripts are taken over one by one', (t) => {
    const site = importer(t, { list: '', perl: String.raw`
my @scripts = ("", "exec: touch /a; touch /b\n", "bash: for i in 1 2; do\n  echo \$i, >>/c\ndone\n",
    'if("@VM@" =~ /debian-1\d/): exec: no', q{if("@VM@" =~ /^debian-.*\.qcow2$/): exec: d '@USER@'},
    q{if('@USER@' eq "marie"): https://example.org/x.sh},
    'if("@VM@" =~ /lab/i): exec: echo @USER@', "virt-customize: install nano\ntouch /x", "$ENV{FOLDER}/under.sh",
    'if(time > 5): exec: no', 'ftp://example.org/x', 'exec:', { a => 1 }, "$ENV{FOLDER}/own.sh", "exec: 7", "exec: 8");
$config{config_script} = [@scripts];
` });
    fs.writeFileSync(path.join(site.folder, 'own.sh'), 'echo "a, b"\n');
    fs.writeFileSync(path.join(site.folder, 'under.sh'), 'if("@VM@" eq "a"): echo\n');
    const { status, stdout, stderr } = site.run();
    assert.equal(status, 0, stderr);
    const plain = (text) => text.replaceAll(site.folder, 'FOLDER').replace(/= .*(?=\/scripts\/)/, '= ETC');
    assert.equal(plain(site.read('scripts.conf')), `# Taken over from FOLDER/from/config.pl.

[script-2]
script = exec:touch /a; touch /b

[script-3]
script = ETC/scripts/script-3.sh

[script-5]
script = exec:d '@USER@'
machine = debian-*.qcow2

[script-6]
script = https://example.org/x.sh
user = marie

[script-7]
script = exec:echo @USER@
machine = *lab*, *Lab*, *LAB*

[script-14]
script = FOLDER/own.sh
`);
    assert.equal(execFileSync('bash', ['-n', path.join(site.to, 'scripts/script-3.sh')], { encoding: 'utf8' }), '');
    assert.equal(site.read('scripts/script-3.sh'), '#!/bin/bash\nfor i in 1 2; do\n  echo $i, >>/c\ndone\n');
    assert.match(stdout, /Boot scripts taken over: 6/);
    const told = [...plain(stdout).matchAll(/config_script, item (\d+): (.*)/g)];
    assert.deepEqual(told.map(([, item, why]) => `${item} ${why}`), [
        '4 the condition "@VM@" =~ /debian-1\\d/ has no counterpart',
        '5 a word such as @USER@ is no value between single quotes here',
        '7 letters of either case: lab Lab LAB are what it is for now',
        '8 commands of virt-customize have no counterpart; write exec: with commands of a shell',
        '9 FOLDER/under.sh has a condition of its own, which is no shell',
        '10 the condition time > 5 has no counterpart',
        '11 "ftp://example.org/x" is no script here',
        '12 "exec:" is no script here',
        '13 neither a text nor a list of texts',
        '15 more than 6 scripts',
        '16 more than 6 scripts',
    ]);
});

const tools = 'awk basename cat chmod cp cut dirname grep iconv mkdir mktemp mv realpath rm sed touch tr';

/* A folder for PATH with the tools that the script uses, but perl. */
function withoutPerl(folder) {
    const bin = path.join(folder, 'bin');
    fs.mkdirSync(bin);
    for (const name of tools.split(' ')) {
        const file = execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim();
        fs.symlinkSync(file, path.join(bin, name));
    }
    return bin;
}

test('machines are taken over without perl, and without machines.conf', (t) => {
    const site = importer(t);
    const { stdout } = site.run({ PATH: withoutPerl(site.folder) });
    assert.match(stdout, /Machines taken over: 3\n[^]*config\.pl: none of the settings is taken over: perl is needed/);
    assert.deepEqual(fs.readdirSync(site.to).sort(), ['config.d', 'machines.conf']);
    const parts = importer(t, { perl: '', list: '' });
    assert.match(parts.run().stdout, /Machines taken over: 1/);
    assert.equal(parts.read('config.d/more.ini'), '[more.iso]\ndescription=More\n');
});

test('when the machines are not accepted, nothing is written, and a second run works', (t) => {
    const site = importer(t, { list: '[a.iso]\ndisk=floppy\n' });
    const { status, stderr } = site.run();
    assert.equal(status, 1);
    assert.match(stderr, /from\/machines\.conf.*floppy[^]*Nothing has been written/);
    assert.ok(!fs.existsSync(site.to));
    fs.writeFileSync(path.join(site.from, 'machines.conf'), '[a.iso]\n');
    assert.equal(site.run().status, 0);
});
