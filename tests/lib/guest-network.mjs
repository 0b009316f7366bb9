// SPDX-License-Identifier: AGPL-3.0-or-later
// The network of guests: a namespace where the service runs, whose only neighbour is another namespace, which stands for
// the Internet. No packet leaves this host.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { readUntil } from './programs.mjs';

export const inside = `qwd-in-${process.pid}`, outside = `qwd-out-${process.pid}`;
export const own = '198.51.100.2', gateway = '198.51.100.1';

export function ip(...words) {
    const made = spawnSync('ip', words, { encoding: 'utf8' });
    assert.equal(made.status, 0, `ip ${words.join(' ')}: ${made.stderr}`);
}

export function makeNamespaces() {
    for (const name of [inside, outside]) {
        ip('netns', 'add', name);
        ip('-n', name, 'link', 'set', 'lo', 'up');
    }
    ip('link', 'add', 'veth-in', 'netns', inside, 'type', 'veth', 'peer', 'name', 'veth-out', 'netns', outside);
    ip('-n', inside, 'addr', 'add', `${own}/24`, 'dev', 'veth-in');
    ip('-n', outside, 'addr', 'add', `${gateway}/24`, 'dev', 'veth-out');
    ip('-n', inside, 'link', 'set', 'veth-in', 'up');
    ip('-n', outside, 'link', 'set', 'veth-out', 'up');
    ip('-n', inside, 'route', 'add', 'default', 'via', gateway);
}

// Servers in a namespace: each answers HTTP with its name, "PUT n" and n bytes with "GOT n", and "SEND n" with n bytes. The
// program ends with its standard input.
const serverScript = `
import socket, socketserver, sys, threading
def serve(name, address, port):
    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            word, number = (self.rfile.readline().split() + [b'', b''])[:2]
            if word == b'PUT': self.wfile.write(b'GOT %d' % len(self.rfile.read(int(number)))); return
            if word == b'SEND': self.wfile.write(b'x' * int(number)); return
            while self.rfile.readline().strip(): pass
            self.wfile.write(b'HTTP/1.0 200 OK\\r\\n\\r\\n' + name.encode())
    class Server(socketserver.ThreadingTCPServer):
        address_family = socket.AF_INET6 if ':' in address else socket.AF_INET
    threading.Thread(target=Server((address, port), Handler).serve_forever, daemon=True).start()
for word in sys.argv[1:]:
    name, address, port = word.split('|')
    serve(name, address, int(port))
print('READY', flush=True)
sys.stdin.read()
`;

const servers = [];
export async function serve(namespace, ...sites) {
    const child = spawn('ip', ['netns', 'exec', namespace, 'python3', '-c', serverScript, ...sites],
                        { stdio: ['pipe', 'pipe', 'inherit'] });
    servers.push(child);
    await readUntil(child.stdout, /READY/);
}

// At the end: the servers, and the namespaces.
export function removeNamespaces() {
    servers.forEach((child) => child.kill('SIGKILL'));
    for (const name of [inside, outside])
        spawnSync('ip', ['netns', 'del', name]);
}

// Asks all these places at once from a guest. Returns what the servers answer, or ''.
export async function ask(guest, hosts, ports) {
    await guest.run('get() { printf "GET / HTTP/1.0\\r\\n\\r\\n" | timeout 6 nc -w 3 $1 $2 2>/dev/null | tail -n 1; }');
    return guest.text(`for h in ${hosts.join(' ')}; do for p in ${ports.join(' ')}; do get $h $p & done; done; wait`);
}
