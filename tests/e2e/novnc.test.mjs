// SPDX-License-Identifier: AGPL-3.0-or-later
// noVNC's own page, which links of the JSON interface lead to, in the installed version and in one that resolves the
// websocket's path as 1.6 and later ones do, in a browser.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Desktop, openBrowser, openContext } from '../lib/browser.mjs';
import { tempFolder } from '../lib/files.mjs';
import { suite } from '../lib/programs.mjs';
import { WebService } from '../lib/web-service.mjs';

const installed = '/usr/share/novnc';

// app/ui.js of 1.3, with connect() of 1.6.
function laterVersion(t) {
    const folder = path.join(tempFolder(t), 'novnc'), file = path.join(folder, 'app/ui.js');
    fs.cpSync(installed, folder, { recursive: true, dereference: true });
    fs.chmodSync(path.dirname(folder), 0o755);
    const text = fs.readFileSync(file, 'utf8');
    const changed = text.replace(/url = UI\.getSetting\('encrypt'\)[^]*?url \+= '\/' \+ path;/,
        "url = new URL(path, location.href);\nurl.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';\nurl = url.href;");
    assert.ok(changed !== text || text.includes('new URL(path, location.href)'), 'connect() of noVNC is as it is known');
    fs.writeFileSync(file, changed);
    return folder;
}

const setup = {};
const whole = suite(after);
before(async () => Object.assign(setup, { browser: await openBrowser(whole) }));

for (const face of ['qwd-server', 'apache']) {
    for (const [version, folder] of Object.entries({ installed: () => installed, '1.6': laterVersion })) {
        test(`noVNC ${version} behind ${face} shows the display`, async (t) => {
            const service = await WebService.serve(t, face, { dir_novnc: folder(t) });
            const id = await service.create();
            const { ready } = await service.ready(id);
            const desktop = await Desktop.open(await openContext(t, setup.browser), ready.url);
            await desktop.connected();
            await service.until(id, ({ viewers }) => viewers.length === 1);
            await desktop.page.close();
            await service.stop(id);
            await service.assertNothingLeft(id);
        });
    }
}
