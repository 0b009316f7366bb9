// SPDX-License-Identifier: AGPL-3.0-or-later
// A server of the golden pages of tests/fixtures/pages, with the style sheets and scripts of the service. Requests of the
// scripts get no answer.

import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { top } from './files.mjs';

const folder = path.join(top, 'tests/fixtures/pages');
const policy = "default-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
const types = { '.css': 'text/css', '.js': 'text/javascript', '.svg': 'image/svg+xml', '.json': 'application/json' };
const trees = { '/qemu-web-desktop/static/i18n/': path.join(top, 'html/i18n'), '/qemu-web-desktop/static/': path.join(top, 'html/static'), '/qemu-web-desktop/novnc/': '/usr/share/novnc' };

export const pageFixtureNames = () => fs.readdirSync(folder).filter((name) => name.endsWith('.html')).map((name) => name.slice(0, -'.html'.length));
const pageFixtureText = (name) => fs.readFileSync(path.join(folder, `${name}.html`), 'utf8');

function fileOf(target) {
    const [prefix, tree] = Object.entries(trees).find(([prefix]) => target.startsWith(prefix)) ?? [];
    const file = prefix && path.join(tree, target.slice(prefix.length));
    return file && file.startsWith(`${tree}/`) && fs.existsSync(file) ? file : null;
}

// more: further pages by name. A page with its own styles has no policy, because it is opened from a disk.
export async function servePageFixtures(t, more = {}) {
    const server = http.createServer((request, response) => {
        const target = new URL(request.url, 'http://localhost').pathname;
        const name = target.match(/^\/page\/([a-z.-]+)$/)?.[1], file = fileOf(target);
        if (name) {
            const text = more[name] ?? pageFixtureText(name);
            response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8', ...(text.includes('<style>') ? {} : { 'Content-Security-Policy': policy }) });
            response.end(text);
        } else if (file) {
            response.writeHead(200, { 'Content-Type': types[path.extname(file)] ?? 'application/octet-stream' });
            fs.createReadStream(file).pipe(response);
        } else if (request.headers['sec-fetch-dest'] === 'image') { // of a machine, or of its screen
            response.writeHead(200, { 'Content-Type': 'image/svg+xml' });
            response.end('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 40"><path fill="#31586b" d="M0 0h64v40H0z"/><path fill="#111" d="M6 5h34v22H6z"/></svg>');
        }
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => {
        server.closeAllConnections();
        server.close();
    });
    return `http://127.0.0.1:${server.address().port}`;
}
