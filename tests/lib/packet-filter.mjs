// SPDX-License-Identifier: AGPL-3.0-or-later
// qwd-net-filter as a program, between two sockets of the test instead of QEMU and passt; and the frames of a guest.

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { until } from './wait.mjs';

const v4 = (address) => address.split('.').map(Number);

function v6(address) {
    const [head, tail] = address.split('::').map((part) => part.split(':').filter(Boolean));
    const groups = tail === undefined ? head : [...head, ...Array(8 - head.length - tail.length).fill('0'), ...tail];
    return groups.flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 255]);
}

const word = (number) => [number >> 8 & 255, number & 255];
const ethernet = (type, body) => Buffer.from([0x52, 0x54, 0, 0, 0, 1, 0x52, 0x54, 0, 0x12, 0x34, 0x56, ...word(type), ...body]);

export function ipv4(destination, protocol, payload) {
    return ethernet(0x0800, [0x45, 0, ...word(20 + payload.length), 0, 1, 0, 0, 64, protocol, 0, 0, 198, 51, 100, 77,
                             ...v4(destination), ...payload]);
}

export function ipv6(destination, protocol, payload) {
    return ethernet(0x86dd, [0x60, 0, 0, 0, ...word(payload.length), protocol, 64, ...v6('2001:db8::77'), ...v6(destination),
                             ...payload]);
}

const ip = (destination, protocol, payload) => (destination.includes(':') ? ipv6 : ipv4)(destination, protocol, payload);

export const udp = (destination, port, content = [...'frame'].map((letter) => letter.charCodeAt())) =>
    ip(destination, 17, [...word(40000), ...word(port), ...word(8 + content.length), 0, 0, ...content]);
export const tcp = (destination, port) =>
    ip(destination, 6, [...word(40000), ...word(port), 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 16, 0, 0, 0, 0, 0]);
export const icmpv6 = (destination, type) => ipv6(destination, 58, [type, 0, 0, 0, 0, 0, 0, 0, ...v6('fe80::1')]);
export const ping = (destination) => ip(destination, destination.includes(':') ? 58 : 1,
                                        [destination.includes(':') ? 128 : 8, 0, 0, 0, 0, 1, 0, 1]);

// A request with a number of its own, which passt would answer: the end of what a row has sent.
const arp = (number) => ethernet(0x0806, [0, 1, 8, 0, 6, 4, 0, 1, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 198, 51, 100, 77,
                                          0, 0, 0, 0, 0, 0, 198, 51, ...word(number)]);

export class PacketFilter {
    // `lib` is the folder of the helpers.
    constructor(t, lib, words = []) {
        this.child = spawn(path.join(lib, 'qwd-net-filter'), words, { stdio: ['ignore', 'inherit', 'inherit', 'pipe', 'pipe'] });
        [, , , this.qemu, this.passt] = this.child.stdio;
        this.buffers = new Map([[this.qemu, Buffer.alloc(0)], [this.passt, Buffer.alloc(0)]]);
        for (const socket of [this.qemu, this.passt]) {
            socket.on('error', () => {}).on('data', (data) => {
                this.buffers.set(socket, Buffer.concat([this.buffers.get(socket), data]));
                socket.emit('more');
            });
        }
        this.count = 0;
        t.after(() => this.child.kill('SIGKILL'));
    }

    // It has begun to read: its second thread runs.
    isReady() {
        return fs.readdirSync(`/proc/${this.child.pid}/task`).length === 2;
    }

    static send(socket, frame) {
        const length = Buffer.alloc(4);
        length.writeUInt32BE(frame.length);
        socket.write(Buffer.concat([length, frame]));
    }

    // The next frame that the filter sends to one side.
    async receive(socket) {
        const take = () => {
            const buffer = this.buffers.get(socket);
            const length = buffer.length >= 4 ? buffer.readUInt32BE() : Infinity;
            if (buffer.length < 4 + length)
                return null;
            this.buffers.set(socket, buffer.subarray(4 + length));
            return buffer.subarray(4, 4 + length);
        };
        return until(socket, 'more', take, 'a frame from the filter');
    }

    // Which of these frames of the guest get to passt: their names.
    async passing(frames) {
        const end = arp(++this.count), passed = [];
        for (const frame of [...Object.values(frames), end])
            PacketFilter.send(this.qemu, frame);
        for (let frame; !(frame = await this.receive(this.passt)).equals(end);)
            passed.push(Object.keys(frames).find((name) => frames[name].equals(frame)) ?? frame.toString('hex'));
        return passed;
    }
}
