// SPDX-License-Identifier: AGPL-3.0-or-later
// Wrong passwords slow down those who guess. They must not keep out those who know theirs.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Browser, LoginService, notice, users } from '../lib/login-service.mjs';
import { timeoutMs, untilFiles } from '../lib/wait.mjs';

const service = new LoginService();
before(() => service.start());
after(() => service.end());

const home = '192.0.2.1', room = '203.0.113.9';
const at = (address, settings) => new Browser(service, { settings, env: { REMOTE_ADDR: address } });
const attempt = async (browser, user, password = 'wrong') => (await browser.post({ user, password, manage: '1' })).status;

const seconds = () => Math.floor(Date.now() / 1000);

// Tries until this is the answer instead of "Wait".
async function waitFor(status, browser, user, password) {
    const end = Date.now() + timeoutMs;
    let answer = await attempt(browser, user, password);
    while (answer === 429 && Date.now() < end)
        answer = await attempt(browser, user, password);
    assert.equal(answer, status);
}

// What those leave who try wrong passwords for hours and use each pause: for the next hour, it begins again and again.
function besiege(settings, kind, name, last_at = seconds() + 3600) {
    const folder = path.join(settings.dir_login, 'backoff');
    const file = path.join(folder, createHash('sha256').update(`${kind}:${name}`).digest('hex'));
    const { uid, gid } = fs.statSync(settings.dir_login);
    fs.mkdirSync(folder, { mode: 0o700, recursive: true });
    fs.writeFileSync(file, JSON.stringify({ kind, name, failures: 1000, last_at, before_at: seconds() }), { mode: 0o600 });
    for (const made of [folder, file])
        fs.chownSync(made, uid, gid);
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
    assert.equal(await attempt(at('198.51.100.2', settings), 'alice', users.alice.password), 429, 'she does not reset their wait');
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

test('strangers in changing networks keep nobody out for longer than login_wait_max_per_user', async () => {
    const settings = service.variant({ login_wait_max_per_user: '2s', login_browser_lifetime: 0 });
    await at(home, settings).login('alice');
    besiege(settings, 'user', 'alice');
    const answer = await at('2001:db8:1:1::1', settings).post({ user: 'alice', password: users.alice.password, manage: '1' });
    assert.equal(answer.status, 429);
    assert.match(notice(answer.text), /^There were too many attempts to log in\. Wait [12] s, then try again\.$/);
    await waitFor(303, at('2001:db8:1:2::1', settings), 'alice', users.alice.password);
});

test('a place in the queue for a user is good for one attempt', async () => {
    const settings = service.variant({ login_wait_max_per_user: '1s', login_browser_lifetime: 0 });
    await at(home, settings).login('alice');
    besiege(settings, 'user', 'alice');
    await waitFor(401, at(home, settings), 'alice');
    Object.assign(settings, { login_wait_max_per_user: '1h' });
    besiege(settings, 'user', 'alice');
    assert.equal(await attempt(at(home, settings), 'alice', users.alice.password), 429);
});

test('wrong attempts in a trusted network keep a user out for login_wait_max_per_user', async () => {
    const settings = service.variant({ login_wait_max_per_user: '1s', login_trusted_networks: '203.0.113.0/24' });
    await at(home, settings).login('bob');
    besiege(settings, 'user at address', `${room} alice`, seconds());
    await waitFor(303, at(room, settings), 'alice', users.alice.password);
});

// --- many at once ---

// A service whose program checks nobody before `open`.
function closedGate(count) {
    const names = Array.from({ length: count }, (_, i) => `slow${i}`), gate = fs.openSync(service.gate, fs.constants.O_RDWR);
    fs.appendFileSync(service.path('etc/users'), names.map((name) => `${name}|${name}-pw|{"user": "${name}"}\n`).join(''));
    const open = () => {
        fs.writeFileSync(`${service.gate}.open`, '');
        fs.renameSync(`${service.gate}.open`, service.gate);
        fs.closeSync(gate);
    };
    return { names, open };
}

test('twenty users with right passwords at once all come in', async () => {
    const settings = service.variant(), { names, open } = closedGate(38), late = names.pop();
    await at(home, settings).login('alice');
    const folder = path.join(settings.dir_login, 'running');
    const states = () => fs.readdirSync(folder).map((name) => name[0]).sort().join('');
    const asked = names.map((name) => attempt(at(room, settings), name, `${name}-pw`));
    await untilFiles([folder], () => states() === 'r'.repeat(5) + 'w'.repeat(32), 'five are checked, and 32 wait');

    const browser = at(room, settings), answer = await browser.post({ user: late, password: `${late}-pw`, manage: '1' });
    assert.equal(answer.status, 503);
    assert.ok(answer.headers['retry-after']);
    assert.equal(notice(answer.text), 'Many people are logging in at this moment. Try again in a few seconds.');
    assert.equal((await browser.json('POST', { user: late, password: `${late}-pw` })).error.kind, 'busy');

    open();
    assert.deepEqual(await Promise.all(asked), names.map(() => 303));
    assert.equal(await attempt(browser, late, `${late}-pw`), 303);
    assert.equal(states(), '');
});

test('what no way to log in could answer is not counted', async () => {
    const settings = service.variant();
    const down = { ...settings, check_user_with_imap: 'yes', imap_server: '127.0.0.1', imap_port: 1 };
    const counted = async () => JSON.parse((await service.control('backoff', '--json', `--dir_login=${settings.dir_login}`)).out)
        .map(({ name, failures }) => `${name} ${failures}`).sort();
    for (let i = 0; i < 12; i++)
        assert.equal(await attempt(at(home, { ...down, check_user_custom: '' }), 'alice', users.alice.password), 401);
    assert.deepEqual(await counted(), []);
    await at(home, settings).login('alice');
    for (let i = 0; i < 2; i++) // the program says no
        assert.equal(await attempt(at(home, down), 'alice'), 401);
    assert.deepEqual(await counted(), [`${home} 2`, 'alice 2']);
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
