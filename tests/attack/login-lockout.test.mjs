// SPDX-License-Identifier: AGPL-3.0-or-later
// Wrong passwords slow down those who guess. They must not keep out those who know theirs.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Browser, LoginService, users } from '../lib/login-service.mjs';

const service = new LoginService();
before(() => service.start());
after(() => service.end());

const home = '192.0.2.1', room = '203.0.113.9';
const at = (address, settings) => new Browser(service, { settings, env: { REMOTE_ADDR: address } });
const attempt = async (browser, user, password = 'wrong') => (await browser.post({ user, password, manage: '1' })).status;

// What somebody leaves who has tried wrong passwords for hours and used each pause: the next one ends in an hour.
function besiege(settings, kind, name) {
    const file = path.join(settings.dir_login, 'backoff', createHash('sha256').update(`${kind}:${name}`).digest('hex'));
    const now = Math.floor(Date.now() / 1000);
    fs.writeFileSync(file, JSON.stringify({ kind, name, failures: 1000, last_at: now + 3600, before_at: now }), { mode: 0o600 });
    const { uid, gid } = fs.statSync(path.dirname(file));
    fs.chownSync(file, uid, gid);
}

test('strangers who know a name do not keep its user out of a browser that has logged in before', async () => {
    const settings = service.variant();
    const alice = await at(home, settings).login('alice');
    await alice.submit({ logout: '1' });
    assert.equal(alice.cookie, undefined);
    besiege(settings, 'user', 'alice');
    besiege(settings, 'address', home);
    assert.equal(await attempt(at('198.51.100.1', settings), 'alice', users.alice.password), 429);
    assert.equal(await attempt(at(home, settings), 'bob', users.bob.password), 429);
    await alice.login('alice');
    assert.equal(await attempt(at('198.51.100.1', settings), 'alice', users.alice.password), 429, 'she does not reset their wait');
});

test('a browser is known for the users who have logged in there alone, and guessing in it is slow', async () => {
    const settings = service.variant();
    const bob = await at(home, settings).login('bob');
    for (const user of ['alice', 'bob'])
        besiege(settings, 'user', user);
    assert.equal(await attempt(bob, 'alice', users.alice.password), 429);
    assert.equal(await attempt(Object.assign(at(home, settings), { browserCookie: bob.cookie }), 'bob', users.bob.password), 429);
    let tried = 0;
    while (await attempt(bob, 'bob') === 401)
        tried++;
    assert.ok(tried >= 5 && tried < 20, `${tried} were tried`);
    await at(home, settings).login('carol');
});

test('the mistakes of some in a class room behind one trusted address do not keep the others out', async () => {
    const pupils = Array.from({ length: 30 }, (_, i) => `pupil${i}`);
    fs.appendFileSync(service.path('etc/users'), pupils.map((name) => `${name}|${name}-pw|{"user": "${name}"}\n`).join(''));
    const settings = service.variant({ login_trusted_networks: '203.0.113.0/24' });
    for (let i = 0; i < 20; i++)
        assert.equal(await attempt(at(room, settings), `careless${i % 4}`), 401);
    for (const name of pupils)
        await at(room, settings).login(name, `${name}-pw`);
    besiege(settings, 'user', 'pupil0');
    await at(room, settings).login('pupil0', 'pupil0-pw');
    assert.equal(await attempt(at(home, settings), 'pupil0', 'pupil0-pw'), 429, 'elsewhere the wait remains');
});

test('doctor says when the attempts of several users come from one address', async () => {
    const settings = service.variant();
    const said = async (more = {}) => {
        const options = Object.entries({ ...settings, ...more }).map(([key, value]) => `--${key}=${value}`);
        return JSON.parse((await service.control('doctor', '--json', ...options)).out).map(({ text }) => text)
            .filter((text) => /failed logins/.test(text));
    };
    for (const user of ['alice', 'bob'])
        await attempt(at('127.0.0.1', settings), user);
    assert.deepEqual(await said(), []);
    await attempt(at('127.0.0.1', settings), 'carol');
    assert.match((await said())[0], /^All failed logins of the last hour come from 127\.0\.0\.1\. If this is a reverse proxy, /);
    assert.deepEqual(await said({ login_trusted_networks: '127.0.0.0/8' }), []);
    await attempt(at(home, settings), 'carol');
    assert.deepEqual(await said(), []);
});
