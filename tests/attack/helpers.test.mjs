// SPDX-License-Identifier: AGPL-3.0-or-later
// Programs that talk to strangers, with an intruder in them: a library that comes first tries to write a file, to
// empty one and to start a program at the moment when the program turns to the network. On a kernel without Landlock they could.
// Cores: 0.5

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { sh, top } from '../lib/files.mjs';
import { Root } from '../lib/qwdctl.mjs';

const [major, minor] = os.release().split('.').map(Number), canForbidTruncation = major > 6 || (major === 6 && minor >= 2);
let root, library;

before(() => {
    root = new Root();
    library = root.path('home/intruder.so');
    sh('gcc', '-shared', '-fPIC', '-o', library, path.join(top, 'tests/attack/intruder.c'));
    fs.mkdirSync(root.path('open'));
    fs.chmodSync(root.path('open'), 0o777);
    root.configure({ ldap_server: 'ldap://localhost:1', ldap_tls: 'none', ldap_base: 'dc=example', imap_server: 'localhost',
                     imap_port: '1', smtp_server: 'localhost', smtp_port: '1', email_from: 'qwd@example.org' });
});
after(() => root?.end());

const credentials = 'alice\0secret\0';
const message = JSON.stringify({ to: 'a@example.org', subject: 's', text: 't', html: '<p>t' });
const request = JSON.stringify({ name: 'a.qcow2', url: 'http://localhost:1/a.qcow2' });
const programs = {
    'qwd-auth-ldap': credentials, 'qwd-auth-imap': credentials, 'qwd-auth-smtp': credentials,
    'qwd-fetch': 'http://localhost:1/script', 'qwd-mail': message, 'qwd-download': request,
    'qwd-multipart': 'Content-Type: multipart/form-data; boundary=x\r\n\r\n--x--\r\n',
};

for (const [name, input] of Object.entries(programs)) {
    test(`${name} gives an intruder no file and no program`, () => {
        const file = root.path('open', name), victim = root.write('victim', 'kept', 0o666);
        const { stderr, stdout } = spawnSync(path.join(root.lib, name), [], {
            input, encoding: 'utf8',
            env: root.environment({ LD_PRELOAD: library, QWD_INTRUDER: file, QWD_INTRUDER_VICTIM: victim }),
        });
        assert.match(stderr, /the intruder was here/, stdout);
        assert.deepEqual(fs.readdirSync(root.path('open')), []);
        assert.equal(root.read('victim'), canForbidTruncation ? 'kept' : '');
    });
}

test('what qwd-download may write is images', () => {
    const file = path.join(root.machines, 'intruder');
    spawnSync(path.join(root.lib, 'qwd-download'), [], {
        input: request, env: root.environment({ LD_PRELOAD: library, QWD_INTRUDER: file }),
    });
    assert.ok(fs.existsSync(file));
});
