// SPDX-License-Identifier: AGPL-3.0-or-later
// Machines that tests boot, and the serial console of the tiny one.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { makeFolder, sh, top } from './files.mjs';
import { readUntil } from './programs.mjs';
import { bootTimeoutMs, timeoutMs } from './wait.mjs';

const made = {};

// A CD that prints what is typed on an empty screen, and is idle otherwise. It is up in an instant and ignores the power
// button. It is made once for a file of tests.
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

// A disk whose first sector keeps a note in the second one. It prints BOOTED and the note on the first serial port, and then
// does what notepad() writes there.
export function noteDisk(mib = 4) {
    const code = Buffer.from('31c08ed88ec08ed0bc007cfcfb'       // segments 0, a stack, interrupts on
        + '8816ae7c'                                            // the number of this disk
        + 'b80102e86c00'                                        // reads the note
        + 'beaf7ce87500be007ee86f00beb77ce86900'                // prints BOOTED, the note and a line end
        + 'bf007e'                                              // begin: an empty note
        + 'bafd03eca8017503f4ebf5'                              // next: waits for a character on port 0x3f8
        + 'baf803ec3c7e74203c217425'                            // ~ goes to off, ! goes to fill
        + 'aa3c0a75e4c645ff00'                                  // others belong to the note, up to a line end
        + 'b80103e83100' + 'beba7c7303bec17ce83500ebca'         // writes the note, prints KEPT or FAILED
        + 'ba0406b80020efebc1'                                  // off: ACPI's state S5
        + 'be9e7c8a16ae7cb80043cd137208668306a67c40ebea'        // fill: writes 32 KiB of the BIOS until that fails
        + 'beca7cebd7'                                          // prints FULL
        + 'bb007eb9020030f68a16ae7ccd13c3'                      // sector: reads or writes the second one
        + 'ac84c07406baf803eeebf5c3'                            // print: up to a 0
        + '10004000000000f00008000000000000' + '00', 'hex');    // what fill writes (int 13h, ah = 43h), this disk
    const disk = Buffer.alloc(mib * 1024 * 1024);
    Buffer.concat([code, Buffer.from('BOOTED \0\r\n\0KEPT\r\n\0FAILED\r\n\0FULL\r\n\0')]).copy(disk);
    disk.writeUInt16LE(0xaa55, 510);
    return disk;
}

// The serial console of a machine with such a disk.
export function notepad(socket) {
    return {
        socket,
        write: async (note) => {
            socket.write(`${note}\n`);
            await readUntil(socket, /KEPT/, 'a written note');
        },
        // Writes all of the disk but its first MiB. It prints FULL at the end.
        fill: () => socket.write('!'),
        switchOff: () => socket.write('~'),
    };
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
