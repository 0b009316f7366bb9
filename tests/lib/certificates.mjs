// SPDX-License-Identifier: AGPL-3.0-or-later
// Certificates of a test's own.

import fs from 'node:fs';
import path from 'node:path';
import { command } from './files.mjs';

// An authority with its files in a folder; issue(name, {names, from, to}) makes name.pem and name.key.
export function authority(folder, name) {
    const ca = path.join(folder, name);
    fs.mkdirSync(ca);
    const file = (leaf) => path.join(ca, leaf);
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    fs.writeFileSync(file('index'), '');
    fs.writeFileSync(file('conf'), `[ca]\ndefault_ca=own\n[own]\ndir=${ca}\ndatabase=${ca}/index\nnew_certs_dir=${ca}\n` +
        `certificate=${ca}/ca.pem\nprivate_key=${ca}/ca.key\ndefault_md=sha256\ndefault_days=2\npolicy=any\n` +
        'copy_extensions=copy\nrand_serial=yes\n[any]\ncommonName=supplied\n');
    command('openssl', ['req', '-x509', ...key, '-keyout', file('ca.key'), '-out', file('ca.pem'), '-days', '2',
                        '-subj', `/CN=${name}`]);
    const issue = (leaf, { names, from, to }) => {
        command('openssl', ['req', ...key, '-keyout', file(`${leaf}.key`), '-out', file(`${leaf}.csr`),
                            '-subj', `/CN=${leaf}`, '-addext', `subjectAltName=${names}`]);
        command('openssl', ['ca', '-batch', '-config', file('conf'), '-in', file(`${leaf}.csr`), '-out', file(`${leaf}.pem`),
                            '-notext', ...(from ? ['-startdate', from] : []), ...(to ? ['-enddate', to] : [])]);
        return { certificate: file(`${leaf}.pem`), key: file(`${leaf}.key`) };
    };
    return { certificate: file('ca.pem'), issue };
}
