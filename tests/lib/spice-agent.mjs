// SPDX-License-Identifier: AGPL-3.0-or-later
// The clipboard of a desktop: a shell on the serial console sends the messages of a SPICE agent to QEMU
// (spice/vd_agent.h).

import { once } from 'node:events';
import net from 'node:net';
import { readUntil } from './programs.mjs';

// The tiny machine has no links with the ports' names.
const PORT = '/dev/$(basename $(dirname $(grep -l com.redhat.spice.0 /sys/class/virtio-ports/*/name)))';
const CLIENT_PORT = 1, PROTOCOL = 1;
const CLIPBOARD = 4, CAPABILITIES = 6, GRAB = 7, REQUEST = 8;
const BY_DEMAND = 1 << 5, SELECTIONS = 1 << 6, TEXT = 1;

const words = (...numbers) => Buffer.concat(numbers.map((number) => {
    const word = Buffer.alloc(4);
    word.writeUInt32LE(number);
    return word;
}));

// A chunk with one message.
function message(type, ...parts) {
    const body = Buffer.concat(parts);
    return Buffer.concat([words(CLIENT_PORT, 20 + body.length, PROTOCOL, type, 0, 0, body.length), body]);
}

const printed = (bytes) => [...bytes].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('');

export class SpiceAgent {
    static async start(t, serial) {
        const agent = new SpiceAgent();
        agent.socket = net.connect({ path: serial });
        t.after(() => agent.socket.destroy());
        await once(agent.socket, 'connect');
        agent.socket.write('\n');
        await readUntil(agent.socket, /# (\x1b\[6n)?$/, 'a shell on the serial console');
        agent.count = 0;
        await agent.run(`exec 3<>${PORT}`); // stays open: QEMU forgets the clipboard of an agent that disconnects
        await agent.write(message(CAPABILITIES, words(0, BY_DEMAND | SELECTIONS)));
        return agent;
    }

    // Marks are typed in two halves, so that the echo of the command does not have them.
    async run(command) {
        this.socket.write(`${command}; echo DO''NE${++this.count}=$?\n`);
        const [, status] = await readUntil(this.socket, new RegExp(`DONE${this.count}=(\\d+)`), command.slice(0, 60));
        if (status !== '0')
            throw new Error(`${command}: ${status}`);
    }

    write(bytes) {
        return this.run(`printf '${printed(bytes)}' >&3`);
    }

    // Announces that a text was copied. The text is sent on request.
    offer() {
        return this.write(message(GRAB, words(0, TEXT)));
    }

    send(text) {
        return this.write(message(CLIPBOARD, words(0, TEXT), Buffer.from(text)));
    }

    // Requests the text that was copied elsewhere until it arrives: before QEMU has it, the answer is empty or an older text.
    // The text ends a line.
    async expect(text) {
        const ask = `printf '${printed(message(REQUEST, words(0, TEXT)))}' >&3`;
        await this.run(`n=0; until ${ask}; timeout 5 grep -a -m 1 -q '${text}' <&3; do n=$((n+1)); [ $n -lt 60 ] || break; done; [ $n -lt 60 ]`);
    }
}
