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

const commands = {
    nginx: (port, target, file, tls) => [`user ${account};
pid ${file}.pid;
error_log stderr;
events { }
http {
    access_log off;
    client_body_temp_path ${file}.body;
    proxy_temp_path ${file}.proxy;
    fastcgi_temp_path ${file}.fastcgi;
    uwsgi_temp_path ${file}.uwsgi;
    scgi_temp_path ${file}.scgi;
    server {
        listen ${visitorsAddress}:${port}${tls ? ' ssl' : ''};
        ${tls ? `ssl_certificate ${tls.certificate};\nssl_certificate_key ${tls.key};\nproxy_set_header Host $http_host;` : ''}
        location / { proxy_pass http://127.0.0.1:${target}; }
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

// A proxy in front of port `target`; {port, origin}. `tls` (certificate, key: files) is for nginx: visitors come by https,
// under the name that they ask for.
export async function startProxy(t, kind, target, tls = null) {
    const port = await freePort(), file = path.join(tempFolder(t), `${kind}.conf`);
    const [text, program, words] = commands[kind](port, target, file, tls);
    fs.writeFileSync(file, text);
    const child = start({ after() {} }, program, words, { env: { PATH: `${process.env.PATH}:/usr/sbin` } });
    t.after(async () => { // its workers end with it
        child.kill('SIGTERM');
        await within(`end of ${kind}`, child.ended);
    });
    const isOpen = () => new Promise((resolve) => {
        const socket = net.connect(port, visitorsAddress, () => { socket.destroy(); resolve(true); }).on('error', () => resolve(false));
    });
    await eventually(`${kind} listens`, () => {
        if (child.exitCode !== null)
            throw new Error(`${kind} has ended: ${child.err}`);
        return isOpen();
    });
    return { port, origin: `${tls ? 'https' : 'http'}://${visitorsAddress}:${port}`, child };
}
