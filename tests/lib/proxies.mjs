// SPDX-License-Identifier: AGPL-3.0-or-later
// Reverse proxies and forwarders on the service's own host, set up with as few words as their manuals do, which say
// nothing of the visitor to the server behind. They listen on the address that visitors from elsewhere use.

import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { tempFolder } from './files.mjs';
import { freePort } from './network.mjs';
import { account, start } from './programs.mjs';
import { eventually, within } from './wait.mjs';

export const visitorsAddress = '192.0.2.2'; // tests/lib/isolate

// Takes the prefix off, and passes websockets on.
const stripping = (prefix, target) => `
        proxy_set_header Host $http_host;
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $to_server;
        location ${prefix}/ { proxy_pass http://127.0.0.1:${target}/; }`;

const commands = {
    nginx: (port, target, file, { tls, prefix }) => [`user ${account};
pid ${file}.pid;
error_log stderr;
events { }
http {
    access_log off;
    map $http_upgrade $to_server { default upgrade; '' ''; }
    client_body_temp_path ${file}.body;
    proxy_temp_path ${file}.proxy;
    fastcgi_temp_path ${file}.fastcgi;
    uwsgi_temp_path ${file}.uwsgi;
    scgi_temp_path ${file}.scgi;
    server {
        listen ${prefix ? '127.0.0.1' : visitorsAddress}:${port}${tls ? ' ssl' : ''};
        ${tls ? `ssl_certificate ${tls.certificate};\nssl_certificate_key ${tls.key};\nproxy_set_header Host $http_host;` : ''}
        ${prefix ? stripping(prefix, target) : `location / { proxy_pass http://127.0.0.1:${target}; }`}
    }
}
`, 'nginx', ['-c', file, '-g', 'daemon off;']],
    haproxy: (port, target, file) => [`global
    user ${account}
    maxconn 100
defaults
    mode http
    timeout connect 1h
    timeout client 1h
    timeout server 1h
frontend visitors
    bind ${visitorsAddress}:${port}
    default_backend desktop
backend desktop
    server desktop 127.0.0.1:${target}
`, 'haproxy', ['-db', '-f', file]],
    socat: (port, target) => ['', 'socat', [`TCP-LISTEN:${port},bind=${visitorsAddress},fork,reuseaddr`, `TCP:127.0.0.1:${target}`]],
};

// A proxy in front of port `target`; {port, origin}. For nginx: with `tls` (certificate, key: files) visitors come by https,
// under the name that they ask for; with `prefix` browsers of this host find the
// service below that path, which the proxy takes off.
export async function startProxy(t, kind, target, { tls, prefix, port: wanted } = {}) {
    const port = wanted ?? await freePort(), file = path.join(tempFolder(t), `${kind}.conf`);
    const [text, program, words] = commands[kind](port, target, file, { tls, prefix });
    fs.writeFileSync(file, text);
    const child = start({ after() {} }, program, words, { env: { PATH: `${process.env.PATH}:/usr/sbin` } });
    t.after(async () => { // its workers end with it
        child.kill('SIGTERM');
        await within(`end of ${kind}`, child.ended);
    });
    const address = prefix ? '127.0.0.1' : visitorsAddress;
    const isOpen = () => new Promise((resolve) => {
        const socket = net.connect(port, address, () => { socket.destroy(); resolve(true); }).on('error', () => resolve(false));
    });
    await eventually(`${kind} listens`, () => {
        if (child.exitCode !== null)
            throw new Error(`${kind} has ended: ${child.err}`);
        return isOpen();
    });
    return { port, origin: `${tls ? 'https' : 'http'}://${address}:${port}`, child };
}
