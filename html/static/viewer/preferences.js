// SPDX-License-Identifier: AGPL-3.0-or-later
// What this browser remembers for all machines. Without storage (private windows), for this page only.

const KEY = "qemu-web-desktop.viewer";
const DEFAULTS = { size: "follow", quality: "sharp", clipboardIn: true, clipboardOut: true, layout: "" };

function load() {
    try {
        return { ...DEFAULTS, ...JSON.parse(localStorage.getItem(KEY)) };
    } catch {
        return { ...DEFAULTS };
    }
}

const values = load();

export const preference = (name) => values[name];

export function remember(name, value) {
    values[name] = value;
    try {
        localStorage.setItem(KEY, JSON.stringify(values));
    } catch {
        // it holds until the page is closed
    }
}
