// SPDX-License-Identifier: AGPL-3.0-or-later
// A line between a browser and a service that can go without a word, as one does whose cable is pulled: nothing passes
// any more, and nobody is told.

import { once } from 'node:events';
import net from 'node:net';

export class Line {
    static async to(t, port) {
        const line = new Line();
        Object.assign(line, { port, pairs: [], isCut: false });
        line.server = net.createServer((near) => line.carry(near)).listen(0, '127.0.0.1');
        t.after(() => line.end());
        await once(line.server, 'listening');
        return line;
    }

    get origin() {
        return `http://127.0.0.1:${this.server.address().port}`;
    }

    carry(near) {
        const far = net.connect(this.port, '127.0.0.1');
        const pair = { near, far, isDead: this.isCut };
        this.pairs.push(pair);
        for (const [from, to] of [[near, far], [far, near]]) {
            from.on('data', (bytes) => to.write(bytes));
            from.on('end', () => pair.isDead || to.end());
            from.on('error', () => pair.isDead || to.destroy());
        }
        if (pair.isDead)
            this.hold(pair);
    }

    hold(pair) {
        pair.isDead = true;
        pair.near.pause();
        pair.far.pause();
    }

    cut() {
        this.isCut = true;
        this.pairs.forEach((pair) => this.hold(pair));
    }

    // Either with what it carried before, or for new connections alone.
    mend({ forgets }) {
        this.isCut = false;
        for (const pair of forgets ? [] : this.pairs) {
            pair.isDead = false;
            pair.near.resume();
            pair.far.resume();
        }
    }

    end() {
        this.server.close();
        this.pairs.forEach(({ near, far }) => [near, far].forEach((socket) => socket.destroy()));
    }
}
