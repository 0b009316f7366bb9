// SPDX-License-Identifier: AGPL-3.0-or-later
// Notifications of the browser, for whoever has agreed to them on the page of a session.

import { kept } from "./kept.js";

const AGREED = "qwd-tell"; // what this browser remembers

// Browsers allow them on pages from https, or from this machine.
export const canAsk = "Notification" in window && isSecureContext;
export const isRefused = () => canAsk && Notification.permission === "denied";
export const hasAgreed = () => canAsk && kept.get(AGREED) && Notification.permission === "granted";

// Whether this browser lets a page show one: some do so for a service worker alone, and throw. Without the visitor's
// permission nothing is seen.
function show(title, options) {
    try {
        const notification = new Notification(title, options);
        notification.onclick = () => {
            window.focus();
            notification.close();
        };
        return true;
    } catch {
        return false;
    }
}

// Of two with one `tag`, from whichever pages, the later takes the place of the other.
export function notify(title, body, tag) {
    if (hasAgreed() && !show(title, { body, tag }))
        kept.set(AGREED, false);
}

// Asks, when the visitor has pressed for it. `title` and `body` are of a first one, which shows that it can be done.
// Resolves to whether this browser can at all.
export async function agree(title, body) {
    const isPossible = show(title, { body, tag: "agreed" });
    kept.set(AGREED, isPossible && await Notification.requestPermission() === "granted");
    return isPossible;
}

export const takeBack = () => kept.set(AGREED, false);
