// SPDX-License-Identifier: AGPL-3.0-or-later
// A TCP proxy between a browser and a service. After cut(), no data passes and no connection is closed, as when a cable is
// pulled.

import { once } from 'node:events';
import net from 'node:net';

export class CuttableProxy {
    static async to(t, port) {
        const proxy = new CuttableProxy();
        Object.assign(proxy, { port, pairs: [], isCut: false });
        proxy.server = net.createServer((near) => proxy.carry(near)).listen(0, '127.0.0.1');
        t.after(() => proxy.end());
        await once(proxy.server, 'listening');
        return proxy;
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

    // forgets: the connections from before stay dead.
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
