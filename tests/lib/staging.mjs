// SPDX-License-Identifier: AGPL-3.0-or-later
// A folder with everything that one service has of its own: settings, machines, sessions, sockets. The programs are
// those of the installed tree, which all tests share.

import fs from 'node:fs';
import path from 'node:path';
import { installedRoot, makeFolder, replaceFile, sh } from './files.mjs';
import { account, isRoot } from './programs.mjs';

const settingsText = (settings) => Object.entries(settings).map(([key, value]) => `${key} = ${value}\n`).join('');

export class Staging {
    constructor(prefix = 's-') {
        this.root = makeFolder(prefix);
        this.installed = installedRoot();
        this.bin = path.join(this.installed, 'usr/bin');
        this.lib = path.join(this.installed, 'usr/lib/qemu-web-desktop');
        this.html = path.join(this.installed, 'usr/share/qemu-web-desktop/html');
        this.cgiProgram = path.join(this.installed, 'usr/lib/cgi-bin/qemu-web-desktop.cgi');
        this.qwdctl = path.join(this.bin, 'qwdctl');
        for (const folder of ['etc', 'etc/config.d', 'run', 'service', 'service/machines', 'service/snapshots', 'shim', 'home', 'logs'])
            fs.mkdirSync(this.path(folder));
        this.give('run', 'service', 'service/machines', 'service/snapshots', 'home');
        this.snapshots = this.path('service/snapshots');
        this.machines = this.path('service/machines');
        this.display = this.path('run/display');
        this.websockify = this.path('run/websockify.socket');
        this.configuration = this.path('etc/qemu-web-desktop.conf');
    }

    path(...names) {
        return path.join(this.root, ...names);
    }

    // Makes them the service account's, with what is below them.
    give(...names) {
        if (isRoot)
            sh('chown', '-hR', `${account}:${account}`, ...names.map((name) => this.path(name)));
    }

    // Writes the settings: those of the places, and the given ones.
    configure(settings = {}) {
        this.settings = {
            dir_service: this.path('service'),
            dir_cfg: this.path('run'),
            dir_lib: this.lib,
            dir_html: this.html,
            dir_layout: this.path('etc/html'),
            file_machines: this.path('etc/machines.conf'),
            file_log: this.path('service/log'),
            accel: 'tcg',
            ...settings,
        };
        replaceFile(this.configuration, settingsText(this.settings));
    }

    // Replaces some of the settings. They count from the next request on.
    override(settings) {
        replaceFile(this.configuration, settingsText({ ...this.settings, ...settings }));
    }

    // A program that is found before the real one of that name (PATH), or that a setting names.
    shim(name, script) {
        const file = this.path('shim', name);
        fs.writeFileSync(file, script, { mode: 0o755 });
        fs.chmodSync(file, 0o755);
        return file;
    }

    environment(more = {}) {
        return {
            PATH: `${this.path('shim')}:${this.bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
            QWD_CONFIG: this.configuration,
            HOME: this.path('home'),
            LANG: 'C.UTF-8',
            ...more,
        };
    }

    end() {
        fs.rmSync(this.root, { recursive: true, force: true, maxRetries: 5 });
    }
}
