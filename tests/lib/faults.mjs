// SPDX-License-Identifier: AGPL-3.0-or-later
// What the tests of the fault matrix share. The matrix, and where each row is:
//
//   what goes wrong                                                      where
//   ------------------------------------------------------------------   --------------------------------------------
//   kill -9: the CGI at each system call that changes something          kill
//   kill -9: the supervisor, the same, from its start to its end         kill
//   kill -9: the supervisor while its session runs                       lifecycle, network, kill (whoever looks ends it)
//   kill -9: the supervisor, or what copies a kept disk, in a save       user-machines
//   kill -9: QEMU while it starts; while it runs                         faults; lifecycle
//   kill -9: passt, the network filter; before QEMU answers              kill; faults
//   kill -9: websockify; one viewer's process of it; its port is taken   lifecycle; kill; kill
//   kill -9: qwd-server                                                  kill
//   kill -9: everything, and the folder of sockets is emptied (reboot)   kill
//   a QEMU that gives up, hangs, floods, talks nonsense, refuses         faults
//   a start step that hangs; a stop and a signal meanwhile               faults
//   a part that is not there; a folder that cannot be made               faults
//   guest: power-off                                                     guest
//   guest: crash, triple fault, reboot                                   clock-and-guest
//   sessions' disk: full before, full meanwhile, read-only, missing      storage
//   sockets' disk full; log's disk full                                  storage
//   records: broken, foreign, enormous, a pipe, a folder, a link         storage
//   the clock is wrong, and is set                                       clock-and-guest
//   100 at once against a limit of 7; 1,000 sessions one after another   endurance
//
// (a word in the right column is tests/session/WORD.test.mjs)

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { list } from './files.mjs';
import { readRecord } from './record.mjs';

// A QEMU that takes no time: it answers everything on its monitor and quits when it is asked to.
const fastQemuScript = `#!/bin/sh
exec <&3 >&3
echo '{"QMP":{"version":{},"capabilities":[]}}'
while read -r line; do
    id=\${line##*'"id":'}
    echo "{\\"return\\":{},\\"id\\":\${id%%[,\\}]*}}"
    case $line in *'"quit"'*) exit ;; esac
done
`;

// The settings of a session with such a QEMU.
export function fastQemu(service) {
    const program = service.path('shim/qemu-fast');
    return { qemu_exec: fs.existsSync(program) ? program : service.shim('qemu-fast', fastQemuScript) };
}

// Runs `qwdctl clean` once. `later`: seconds by which its clock is ahead, so that it trusts what has just been left.
export async function clean(service, { later = 0 } = {}) {
    const clock = ['env', 'NO_FAKE_STAT=1', 'faketime', '-f', `+${later}s`];
    const words = [path.join(service.bin, 'qwdctl'), 'clean'];
    const done = await service.run(later ? [...clock, ...words] : words, { asRoot: true });
    assert.equal(done.code, 0, done.err);
    return done.out;
}

// After a clean: no process, no socket, no session, and no file but locks, the history and `kept`.
export async function assertOnlyLocksLeft(service, kept = []) {
    await service.assertAllGone();
    const known = ['lock', 'history', 'counters', 'counters.lock'].map((name) => `.qemu-web-desktop.${name}`)
        .concat('display', 'websockify.lock', 'records.cache', kept);
    const left = () => [...list(service.path('run')), ...list(service.snapshots)].filter((name) => !known.includes(name));
    // What a killed process has half written might be half written by one that lives: it goes when it is old.
    const halves = left().filter((name) => /^(\.qemu-web-desktop\..*|records\.cache|websockify(-socket)?\.json)\.[A-Z0-9]{6}$/.test(name));
    if (halves.length)
        await clean(service, { later: 120 });
    assert.deepEqual(left(), []);
}

// The lines that the history has of a session.
export function historyOf(service, id) {
    const file = path.join(service.snapshots, '.qemu-web-desktop.history');
    const lines = fs.existsSync(file) ? fs.readFileSync(file, 'utf8').split('\n') : [];
    // Another session's line may be half written.
    return lines.filter((line) => line.includes(id)).map(readRecord).filter((record) => record.id === id);
}

// A link shows the desktop of the session it belongs to.
export async function assertShows(service, token, id) {
    const viewer = await service.rfb(token);
    viewer.socket.destroy();
    assert.equal(viewer.name, `QEMU (qwd-${id})`);
}

export async function stopAll(service, ids = service.sessions()) {
    await Promise.all(ids.map(async (id) => {
        await service.stop(id);
        await service.ended(id);
    }));
}
