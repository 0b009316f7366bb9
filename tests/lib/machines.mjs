// SPDX-License-Identifier: AGPL-3.0-or-later
// Machines that tests boot, and the serial console of the tiny one.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { makeFolder, sh, top } from './files.mjs';
import { readUntil } from './programs.mjs';
import { bootTimeoutMs, timeoutMs } from './wait.mjs';

const made = {};

// A CD that prints what is typed on an empty screen, and is idle otherwise. It is up in an instant and ignores the power button. It is made
// once for a file of tests.
export function echoIso() {
    if (!made.echo) {
        const code = Buffer.from('b80300' + 'cd10' + 'fb'         // an empty screen of 80 x 25, interrupts on
            + '30e4' + 'cd16' + 'b40e' + 'cd10' + 'ebf6', 'hex'); // wait for a key, print it, again
        const folder = makeFolder('echo-');
        process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
        fs.mkdirSync(path.join(folder, 'files'));
        fs.writeFileSync(path.join(folder, 'files/boot'), Buffer.concat([code, Buffer.alloc(2048 - code.length)]));
        made.echo = path.join(folder, 'echo.iso');
        sh('xorriso', '-as', 'mkisofs', '-quiet', '-b', 'boot', '-no-emul-boot', '-boot-load-size', '4', '-o', made.echo,
           path.join(folder, 'files'));
    }
    return made.echo;
}

// Background colour of the tiny machine's desktop.
export const TINY = '#31586b';

// The folder of the images of a machine in machines/, which is built when the cache lacks it.
export function imageFolder(name) {
    const paths = execFileSync(path.join(top, 'machines/build'), [name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    return path.dirname(paths.trim().split('\n')[0]);
}

// The folder of tiny.iso and tiny.qcow2. QWD_TINY names one that is there already.
export const tinyFolder = () => process.env.QWD_TINY ?? imageFolder('tiny');

// A disk of 4 MiB whose first sector prints BOOTED on the first serial port with each tick of the clock.
export function bootDisk() {
    const code = Buffer.from('31c0' + '8ed8' + 'fc' + 'fb' // ax = ds = 0, forwards, interrupts on
        + 'be177c'                                         // start: si = text
        + 'ac' + '84c0' + '7406' + 'baf803' + 'ee' + 'ebf5' // print: a character to port 0x3f8, until one is 0
        + 'f4' + 'ebef', 'hex');                           // wait for the next tick, and start again
    const disk = Buffer.alloc(4 * 1024 * 1024);
    Buffer.concat([code, Buffer.from('BOOTED\r\n\0')]).copy(disk);
    disk.writeUInt16LE(0xaa55, 510);
    return disk;
}

// A root shell on the serial console of the tiny machine: run() gives a command's status, text() what it prints.
export async function serialShell(socket) {
    socket.write('\n');
    await readUntil(socket, /# (\x1b\[6n)?/, 'a shell on the serial console', bootTimeoutMs); // other output may follow the prompt
    let count = 0;
    // Marks are typed in two halves, so that the echo of the command line does not have them.
    return {
        socket,
        run: async (command, ms = timeoutMs) => {
            socket.write(`${command}; echo DO''NE${++count}=$?\n`);
            const [, status] = await readUntil(socket, new RegExp(`DONE${count}=(\\d+)\\D`), command.slice(0, 60), ms);
            return { status: Number(status) };
        },
        text: async (command, ms = timeoutMs) => {
            socket.write(`echo BE''GIN${++count}:"$( ${command} )":E''ND${count}\n`);
            const pattern = new RegExp(`BEGIN${count}:([^]*?):END${count}`);
            return (await readUntil(socket, pattern, command.slice(0, 60), ms))[1].replaceAll('\r', '');
        },
    };
}
