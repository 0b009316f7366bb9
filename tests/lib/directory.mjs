// SPDX-License-Identifier: AGPL-3.0-or-later
// The directory that ldap.test.mjs asks, as LDIF (RFC 2849).

import fs from 'node:fs';
import path from 'node:path';
import { command } from './files.mjs';
import { freePort } from './network.mjs';
import { outputHas, start } from './programs.mjs';

export const suffix = 'dc=example,dc=org';

function slapdConfig(folder, tls, ca) {
    const schemas = ['core', 'cosine', 'nis', 'inetorgperson'];
    return [
        ...schemas.map((schema) => `include /etc/ldap/schema/${schema}.schema`),
        'modulepath /usr/lib/ldap', 'moduleload back_mdb', `pidfile ${folder}/pid`, `argsfile ${folder}/args`,
        'sizelimit unlimited',
        'allow bind_anon_cred', // the trap of RFC 4513, section 5.1.2: a bind without a password succeeds
        ...(tls ? [`TLSCACertificateFile ${ca.certificate}`, `TLSCertificateFile ${tls.certificate}`,
                   `TLSCertificateKeyFile ${tls.key}`] : []),
        'database mdb', `suffix "${suffix}"`, `directory ${folder}/db`, 'maxsize 33554432', 'dbnosync',
        'index objectClass,uid,mail,member,memberUid eq',
        'access to attrs=userPassword by anonymous auth by * none',
        `access to dn.subtree="ou=hidden,${suffix}" by dn.exact="cn=search,${suffix}" read by * none`,
        'access to * by * read', '',
    ].join('\n');
}

// A slapd on two ports of 127.0.0.1, ready to answer. With `tls` it has StartTLS and ldaps. Its log is in .err.
export async function slapd(t, folder, { ldif = '', tls, ca } = {}) {
    const config = path.join(folder, 'slapd.conf');
    fs.mkdirSync(path.join(folder, 'db'), { recursive: true });
    fs.writeFileSync(config, slapdConfig(folder, tls, ca));
    if (ldif)
        command('/usr/sbin/slapadd', ['-q', '-f', config], { input: ldif });
    const [port, tlsPort] = [await freePort(), await freePort()];
    const urls = `ldap://127.0.0.1:${port}${tls ? ` ldaps://127.0.0.1:${tlsPort}` : ''}`;
    const server = start(t, '/usr/sbin/slapd', ['-d', 'stats', '-f', config, '-h', urls]);
    await outputHas(server, 'err', /slapd starting/);
    return Object.assign(server, { port, tlsPort });
}

// --- its entries ---



const base64 = (text) => Buffer.from(text).toString('base64');
const entry = (dn, classes, attributes) => {
    const lines = [`dn:: ${base64(dn)}`, ...classes.map((name) => `objectClass: ${name}`)];
    for (const [key, value] of Object.entries(attributes))
        lines.push(...[value].flat().map((one) => `${key}:: ${base64(one)}`));
    return `${lines.join('\n')}\n\n`;
};

const people = `ou=people,${suffix}`;
const groups = `ou=groups,${suffix}`;
const escapeDn = (text) => text.replace(/[,+"\\<>;=#]/g, (c) => `\\${c}`);

const person = (cn, attributes, base = people) =>
    entry(`cn=${escapeDn(cn)},${base}`, ['inetOrgPerson'], { cn, sn: cn, ...attributes });
export const dnOf = (cn) => `cn=${escapeDn(cn)},${people}`;

const groupDn = (cn) => `cn=${escapeDn(cn)},${groups}`;
const group = (cn, members) => entry(groupDn(cn), ['groupOfNames'], { cn, member: members });

// Users whose names have characters that mean something in a filter or a DN: they can log in like others.
export const oddNames = ['a*b', 'par(en)', 'back\\slash', 'élodie', 'semi;colon,comma', 'x=y+z', '%u', '日本', 'a&b|c!d'];

const tree = [
    entry(suffix, ['dcObject', 'organization'], { dc: 'example', o: 'Example' }),
    ...['people', 'groups', 'hidden', 'empty'].map((ou) => entry(`ou=${ou},${suffix}`, ['organizationalUnit'], { ou })),
    entry(`cn=search,${suffix}`, ['organizationalRole', 'simpleSecurityObject'],
          { cn: 'search', userPassword: 'searchers-secret' }),
];

const users = [
    person('Alice Élan', { uid: 'alice', mail: 'alice@example.org', userPassword: 'right-secret' }),
    person('Bob Writes', { uid: 'BobWrites', mail: 'Bob.Writes@example.org', userPassword: 'bobs-secret' }),
    person('No Password', { uid: 'nopassword' }),
    person('No Name', { mail: 'noname@example.org', userPassword: 'right-secret' }),
    person('Twin One', { uid: 'twin1', mail: 'twins@example.org', userPassword: 'right-secret' }),
    person('Twin Two', { uid: 'twin2', mail: 'twins@example.org', userPassword: 'right-secret' }),
    ...[1, 2, 3].map((i) => person(`Triplet ${i}`, { uid: `triplet${i}`, mail: 'triplets@example.org',
                                                     userPassword: 'right-secret' })),
    person('Hana Hidden', { uid: 'hana', userPassword: 'right-secret' }, `ou=hidden,${suffix}`),
    person('Deep', { uid: 'deep', userPassword: 'right-secret' }),
    person('Many', { uid: 'many', userPassword: 'right-secret' }),
    ...oddNames.map((uid) => person(`Odd ${uid}`, { uid, userPassword: 'right-secret' })),
];

const range = (count) => [...Array(count).keys()];
const groupEntries = [
    group('staff', [dnOf('Alice Élan')]),
    group('everybody', [groupDn('staff')]),
    group('circle one', [groupDn('everybody'), groupDn('circle two')]),
    group('circle two', [groupDn('circle one')]),
    group('others', [dnOf('Bob Writes')]),
    group('we,ird (*) \\', [dnOf('Alice Élan')]),
    group('above the weird one', [groupDn('we,ird (*) \\')]),
    entry(groupDn('posix'), ['posixGroup'], { cn: 'posix', gidNumber: '500', memberUid: ['alice', 'bob'] }),
    // A user called "staff" is a member, and the group "staff" is not.
    entry(groupDn('trap'), ['posixGroup'], { cn: 'trap', gidNumber: '501', memberUid: 'staff' }),
    ...range(20).map((i) => group(`level ${i}`, [i === 0 ? dnOf('Deep') : groupDn(`level ${i - 1}`)])),
    ...range(600).map((i) => group(`many ${i}`, [dnOf('Many')])),
];

const referrals = (port) => [
    entry(`ou=elsewhere,${people}`, ['referral', 'extensibleObject'],
          { ou: 'elsewhere', ref: `ldap://127.0.0.1:${port}/ou=people,dc=example,dc=net` }),
];

export const ldif = (referralPort) => [...tree, ...users, ...groupEntries, ...referrals(referralPort)].join('');
