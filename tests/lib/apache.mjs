// SPDX-License-Identifier: AGPL-3.0-or-later
// A real Apache on loopback ports, as Debian sets it up, with the configuration that the package installs.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { top } from './files.mjs';

const modules = '/usr/lib/apache2/modules';

// What Debian enables, and what the head of our file asks for.
const loaded = [
    'mpm_event', 'access_compat', 'alias', 'auth_basic', 'authn_core', 'authn_file', 'authz_core', 'authz_host',
    'authz_user', 'autoindex', 'deflate', 'dir', 'env', 'filter', 'mime', 'negotiation', 'reqtimeout', 'setenvif',
    'status', 'ssl', 'socache_shmcb', 'cgid', 'proxy', 'proxy_http', 'proxy_wstunnel', 'headers', 'rewrite',
];

export function apacheProgram() {
    return ['/usr/sbin/apache2', '/usr/local/sbin/apache2'].find((file) => fs.existsSync(file)) ?? 'apache2';
}

function makeCertificate(folder) {
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
                             '-subj', '/CN=localhost', '-keyout', 'tls.key', '-out', 'tls.crt'], { cwd: folder, stdio: 'pipe' });
}

export function writeApacheConfiguration(service, account) {
    const file = service.path('etc/httpd.conf');
    makeCertificate(service.root);
    fs.writeFileSync(file, `
ServerRoot ${service.root}
PidFile ${service.path('httpd.pid')}
DefaultRuntimeDir ${service.root}
ServerName localhost
Listen 127.0.0.1:${service.httpPort}
Listen 127.0.0.1:${service.tlsPort}
${account ? `User ${account}\nGroup ${account}` : ''}
${loaded.map((name) => `LoadModule ${name}_module ${modules}/mod_${name}.so`).join('\n')}
ScriptSock ${service.path('cgid.sock')}
SSLSessionCache none
TypesConfig /etc/mime.types
ErrorLog ${service.path('logs/error.log')}
LogLevel info
# as in Debian, but for the times: what needs a longer one must say so itself, and a busy machine may hold up anybody
Timeout 8
CGIDScriptTimeout 300
KeepAlive On
RequestReadTimeout header=120 body=120
LogFormat "%h %l %u %t \\"%r\\" %>s %O \\"%{Referer}i\\" \\"%{User-Agent}i\\"" combined
AddOutputFilterByType DEFLATE text/html text/plain text/css text/javascript application/json
<Directory />
    Options FollowSymLinks
    AllowOverride None
    Require all denied
</Directory>

SetEnv QWD_CONFIG ${service.configuration}
${service.apacheNames ? `Define QWD_NAMES "${service.apacheNames}"` : ''}
Define QWD_SOCKET ${service.websockify}
${service.settings.service_prefix ? `Define QWD_PREFIX ${service.settings.service_prefix}` : ''}
Define QWD_PAGE ${service.path('service/index.html')}
Define QWD_PAGES ${service.path('service')}
Define QWD_PICTURES ${service.path('etc/html/pictures')}
Define QWD_CGI ${service.cgiProgram}
Define QWD_STATIC ${path.join(service.html, 'static')}
Define QWD_NOVNC ${service.settings.dir_novnc ?? '/usr/share/novnc'}
Define QWD_I18N ${path.join(service.html, 'i18n')}
Define QWD_LOG ${service.path('logs/service.log')}
Include ${path.join(top, 'etc/apache2/qemu-web-desktop.conf')}

<VirtualHost *:${service.httpPort}>
    CustomLog ${service.path('logs/access.log')} combined ${service.stockLogs ? '' : 'env=!qemu-web-desktop'}
    ErrorDocument 404 /error.html
    ErrorDocument 503 /error.html
</VirtualHost>
<VirtualHost *:${service.tlsPort}>
    CustomLog ${service.path('logs/access.log')} combined ${service.stockLogs ? '' : 'env=!qemu-web-desktop'}
    SSLEngine on
    SSLCertificateFile ${service.path('tls.crt')}
    SSLCertificateKeyFile ${service.path('tls.key')}
</VirtualHost>
`);
    return file;
}
