// SPDX-License-Identifier: AGPL-3.0-or-later
// A service with users, and browsers that come to it: through the CGI program as a web server calls it, or through a
// real web server. The CGI program is the one with sanitizers.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { builds, command } from './files.mjs';
import { http } from './network.mjs';
import { Service } from './service.mjs';
import { script } from './web-service.mjs';

// Their passwords are found nowhere else, should one turn up where it does not belong.
export const users = {
    alice: { password: 'al1ce-owner-pw', identity: { user: 'alice', email: 'alice@example.org', groups: ['staff'] } },
    bob: { password: 'b0b-another-pw', identity: { user: 'bob' } },
    carol: { password: 'car0l-admin-pw', identity: { user: 'carol', groups: ['wheel'] } },
    slow: { password: 'sl0w-waiting-pw', identity: { user: 'slow' } }, // as all whose names begin so: checked at the gate
};

// The program that checks them. The tests say when it may answer for `slow...`: it waits for the end of a pipe.
const checkProgram = (table, gate) => `#!/bin/sh
tr '\\0' '\\n' | {
    IFS= read -r user && IFS= read -r password || exit 2
    case "$user" in slow*) cat '${gate}' ;; esac
    while IFS='|' read -r name secret identity; do
        if [ "$name" = "$user" ] && [ "$secret" = "$password" ]; then echo "$identity"; exit 0; fi
    done <'${table}'
    exit 1
}
`;

export class LoginService extends Service {
    stage({ settings, ...options } = {}) {
        // The CGI program needs a place that the service account can read.
        this.cgiProgram = this.path('shim/qemu-web-desktop.cgi');
        this.cgi = [this.cgiProgram];
        fs.copyFileSync(path.join(builds, 'asan', 'qemu-web-desktop.cgi'), this.cgiProgram);
        const lines = Object.entries(users).map(([name, { password, identity }]) =>
            `${name}|${password}|${JSON.stringify(identity)}\n`);
        fs.writeFileSync(this.path('etc/users'), lines.join(''));
        this.gate = this.path('etc/gate');
        command('mkfifo', ['-m', '666', this.gate]);
        const program = this.shim('check-user', checkProgram(this.path('etc/users'), this.gate));
        super.stage({ ...options, settings: { check_user_custom: program, check_user_deadline: '60s', user_admin: '@wheel', ...settings } });
    }

    // Lines of the log that say this; all of them without.
    audit(pattern = /./) {
        return this.log().split('\n').filter((line) => line && pattern.test(line));
    }

    // Every file below the service's own folders, with its content.
    files() {
        const found = [];
        const walk = (folder) => fs.readdirSync(folder, { withFileTypes: true }).forEach((entry) => {
            const file = path.join(folder, entry.name);
            if (entry.isDirectory())
                walk(file);
            else if (entry.isFile())
                found.push({ file, text: fs.readFileSync(file, 'latin1') });
        });
        ['service', 'run', 'home'].forEach((folder) => walk(this.path(folder)));
        return found;
    }

    // Settings for the requests of some browsers: a login folder of their own keeps their failures to themselves.
    variant(settings = {}) {
        const count = this.variants = (this.variants ?? 0) + 1;
        return { dir_login: this.path(`service/login-${count}`), ...settings };
    }
}

// --- browsers ---

const variable = (name) => `HTTP_${name.toUpperCase().replaceAll('-', '_')}`;

// The match of a cookie that is set, with its name (with __Host- under https), value and attributes.
const setCookie = (response, name) =>
    (response.headers['set-cookie'] ?? '').split(', ').map((line) => line.match(`^((?:__Host-)?${name})=([^;]*); (.*)$`))
        .find(Boolean) ?? [];

// One browser with its cookies: of the login, and of having logged in before. `settings` replace the service's, `env` are
// CGI variables that a web server would set; with a `port` it talks HTTP to a real one.
export class Browser {
    constructor(service, { settings = {}, env = {}, port = 0, target = script } = {}) {
        Object.assign(this, { service, env, port, target });
        this.overrides = Object.entries(settings).map(([key, value]) => `${key}=${value}\n`).join('');
    }

    cookieName = 'qwd_login';

    async send(method, fields = {}, headers = {}) {
        const all = { Accept: 'text/html', ...headers };
        const prefix = this.cookieName.startsWith('__Host-') ? '__Host-' : '';
        const cookies = Object.entries({ [this.cookieName]: this.cookie, [`${prefix}qwd_browser`]: this.browserCookie })
            .filter(([, value]) => value);
        if (cookies.length)
            all.Cookie ??= ['other=1', ...cookies.map((pair) => pair.join('='))].join('; ');
        const response = await (this.port ? this.#overHttp(method, fields, all) : this.#asCgi(method, fields, all));
        const [, name, value, attributes] = setCookie(response, 'qwd_login');
        if (value !== undefined)
            Object.assign(this, { cookieName: name, cookie: value || undefined, cookieAttributes: attributes });
        this.browserCookie = setCookie(response, 'qwd_browser')[2] ?? this.browserCookie;
        return response;
    }

    #asCgi(method, fields, headers) {
        const variables = Object.entries(headers).map(([name, value]) => [variable(name), value]);
        return this.service.request(method, fields, {
            QWD_OVERRIDES: this.overrides, ASAN_OPTIONS: 'detect_leaks=1', ...Object.fromEntries(variables), ...this.env });
    }

    #overHttp(method, fields, headers) {
        const text = new URLSearchParams(fields).toString();
        const isPost = method === 'POST';
        const type = isPost ? { 'Content-Type': 'application/x-www-form-urlencoded' } : {};
        return http(this.port, method, this.target + (isPost || !text ? '' : `?${text}`),
                    { headers: { ...type, ...headers }, body: isPost ? text : '' });
    }

    get(fields, headers) {
        return this.send('GET', fields, headers);
    }

    // A form as it is, without a token.
    post(fields, headers) {
        return this.send('POST', fields, headers);
    }

    // A form of the service: with the token of this login.
    async submit(fields, headers) {
        return this.post({ csrf: await this.token(), ...fields }, headers);
    }

    async login(user, password = users[user].password) {
        const response = await this.post({ user, password, manage: '1' });
        assert.equal(response.status, 303, response.text);
        assert.ok(this.cookie);
        this.csrf = undefined;
        return this;
    }

    async token() {
        this.csrf ??= hidden((await this.get({ manage: '1' })).text).csrf;
        assert.ok(this.csrf, 'the page has a token');
        return this.csrf;
    }

    async json(method, fields) {
        const response = await this.send(method, fields, { Accept: 'application/json' });
        return { status: response.status, ...JSON.parse(response.text) };
    }

    // Starts a session of this user's and returns its id, without waiting: one that ends soon may be over before it is seen.
    async create(fields = {}) {
        const csrf = await this.token();
        const { status, session, error } = await this.json('POST', { csrf, create: '1', snapshot_lifetime: '2h', ...fields });
        assert.equal(status, 200, error?.message);
        return session.id;
    }

    // Creates and waits until it runs. Returns its record.
    async createRunning(fields) {
        return this.service.state(await this.create(fields), 'running');
    }

    // What the page of a session offers for sharing.
    async sharing(id) {
        return (await this.json('GET', { session: id })).session.sharing;
    }
}

const entities = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#39;': "'" };
const unescape = (text) => text.replace(/&(amp|lt|gt|quot|#39);/g, (entity) => entities[entity]);

// Names and values of the hidden fields in a page's first form inside <main>, or in the whole page.
export function hidden(page) {
    const form = page.match(/<main[^]*?(<form[^]*?<\/form>)/)?.[1] ?? page;
    const fields = form.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g);
    return Object.fromEntries([...fields].map(([, name, value]) => [name, unescape(value)]));
}

// The same without what is another one in each page.
export const withoutKeys = (page) => page.replace(/(name="idempotency_key" value=")[^"]*/g, '$1');

// The remark on a page, for people.
export const notice = (page) => unescape(page.match(/<p class="notice[^"]*"[^>]*>([^<]*)</)?.[1] ?? '');

// --- a mail server ---

// Takes every message; messages is a list of {from, to, text}. 'mail' is emitted on the server after each.
export async function mailSink(t) {
    const server = net.createServer((socket) => {
        const message = { to: [] };
        let rest = '', data = null;
        const say = (line) => socket.write(`${line}\r\n`);
        const act = (line) => {
            if (data !== null && line === '.') {
                server.messages.push({ ...message, text: data });
                data = null;
                say('250 taken');
                server.emit('mail');
            } else if (data !== null) {
                data += `${line.replace(/^\./, '')}\n`;
            } else if (/^DATA/i.test(line)) {
                data = '';
                say('354 go on');
            } else if (/^QUIT/i.test(line)) {
                socket.end('221 bye\r\n');
            } else {
                message.from = line.match(/^MAIL FROM:<(.*?)>/i)?.[1] ?? message.from;
                message.to.push(...(line.match(/^RCPT TO:<(.*?)>/i)?.slice(1) ?? []));
                say('250 ok');
            }
        };
        say('220 sink ESMTP');
        socket.on('error', () => {}).setEncoding('latin1').on('data', (text) => {
            const lines = (rest + text).split('\r\n');
            rest = lines.pop();
            lines.forEach(act);
        });
    });
    server.messages = [];
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    return server;
}

// Codes of a secret, by oathtool: each call gives one that is good now and for half a minute at least, and that counts
// after all before.
export function codesOf(secret) {
    let step = 0;
    return () => {
        step = Math.max(step + 1, Math.floor(Date.now() / 30000));
        return command('oathtool', ['--totp', '-b', `--now=@${step * 30}`, secret]).trim();
    };
}
