// SPDX-License-Identifier: AGPL-3.0-or-later
// A service behind a web server, with users who log in in a browser.

import fs from 'node:fs';
import path from 'node:path';
import { removeRecords, writeRecords } from './session-records.mjs';
import { eventually } from './wait.mjs';
import { WebService, script } from './web-service.mjs';

// Every name with its own password; alice is in a group.
const checker = `#!/bin/sh
credentials=$(tr '\\0' '\\n')
user=$(echo "$credentials" | sed -n 1p)
[ "$(echo "$credentials" | sed -n 2p)" = "$user-secret" ] || exit 1
echo "{\\"user\\": \\"$user\\", \\"groups\\": [\\"$([ "$user" = alice ] && echo physics)\\"]}"
`;

export class WebLoginService extends WebService {
    stage({ settings, ...options } = {}) {
        super.stage({ ...options, settings: { check_user_custom: this.shim('check-user', checker), ...settings } });
    }

    // A machine that a user has saved.
    saveMachine(user, name) {
        fs.mkdirSync(path.join(this.machines, 'saved.d'), { recursive: true });
        fs.writeFileSync(path.join(this.machines, `saved.d/${user}:${name}.ini`), `[${user}:${name}]\ndescription=A course\nusers=${user}\n`);
        this.copyMachine(`${user}:${name}`);
    }

    // Adds an image with the content of the service's own.
    copyMachine(name) {
        fs.copyFileSync(path.join(this.machines, this.machine.name), path.join(this.machines, name), fs.constants.COPYFILE_FICLONE);
    }

    // Records of sessions that run, without processes.
    writeRecords(count, more) {
        return writeRecords(this.snapshots, count, () => ({ state: 'running', ...more }));
    }

    removeRecords(records) {
        removeRecords(this.snapshots, records);
    }
}

export async function logIn(page, service, user) {
    await page.goto(`${service.origin}${script}?manage=1`);
    await page.locator('#user').fill(user);
    await page.locator('#password').fill(`${user}-secret`);
    await page.locator('main form [type=submit]').first().click();
    await page.locator('.who', { hasText: user }).waitFor();
}

// A page asks for an update when it becomes visible. The test need not wait for the next poll.
export const requestUpdate = (page) => page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));

// The same until the condition is true: a page that is waiting for an answer ignores the event.
export async function requestUpdatesUntil(page, what, condition) {
    let next = 0;
    return eventually(what, async () => {
        if (Date.now() > next) {
            await requestUpdate(page);
            next = Date.now() + 2000;
        }
        return condition();
    });
}
