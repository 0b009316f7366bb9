// SPDX-License-Identifier: AGPL-3.0-or-later
// A service that its visitors log in to, each with a password of their own.

import fs from 'node:fs';
import { removeCrowd, writeCrowd } from '../session/crowd.mjs';
import { Service, eventually, patience } from './service.mjs';

export const script = '/cgi-bin/qemu-web-desktop.cgi';

// Every name with its own password; alice is in a group.
const checker = `#!/bin/sh
credentials=$(tr '\\0' '\\n')
user=$(echo "$credentials" | sed -n 1p)
[ "$(echo "$credentials" | sed -n 2p)" = "$user-secret" ] || exit 1
echo "{\\"user\\": \\"$user\\", \\"groups\\": [\\"$([ "$user" = alice ] && echo physics)\\"]}"
`;

export class PeoplesService extends Service {
    stage(settings) {
        fs.writeFileSync(this.in('check'), checker, { mode: 0o755 });
        super.stage({ check_user_custom: this.in('check'), ...settings });
        fs.mkdirSync(this.in('state/snapshots'), { recursive: true });
        const { uid, gid } = fs.statSync(this.in('state'));
        fs.chownSync(this.in('state/snapshots'), uid, gid);
    }

    // A machine that a user has saved.
    saveMachine(user, name) {
        fs.mkdirSync(this.in('state/machines/saved.d'), { recursive: true });
        fs.writeFileSync(this.in(`state/machines/saved.d/${user}:${name}.ini`), `[${user}:${name}]\ndescription=A course\nusers=${user}\n`);
        fs.copyFileSync(this.in('state/machines/tiny.iso'), this.in('state/machines', `${user}:${name}`), fs.constants.COPYFILE_FICLONE);
    }

    // Records of sessions that run, which belong to nobody's processes.
    crowd(count, more) {
        return writeCrowd(this.in('state/snapshots'), count, () => ({ state: 'running', ...more }));
    }

    removeCrowd(records) {
        removeCrowd(this.in('state/snapshots'), records);
    }
}

export async function logIn(page, service, user) {
    await page.goto(`${service.origin}${script}?manage=1`);
    await page.locator('#user').fill(user);
    await page.locator('#password').fill(`${user}-secret`);
    await page.locator('main form [type=submit]').first().click();
    await page.locator('.who', { hasText: user }).waitFor();
}

// News come when somebody looks at the page again: nobody has to wait for the next look.
export const lookAgain = (page) => page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));

// The same until they are there: a page that is just asking takes no notice of a look, and after an answer that did not
// come it may wait for long.
export async function lookUntil(page, what, condition) {
    let next = 0;
    return eventually(what, async () => {
        if (Date.now() > next) {
            await lookAgain(page);
            next = Date.now() + 2000;
        }
        return condition();
    }, patience);
}
