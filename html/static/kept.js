// SPDX-License-Identifier: AGPL-3.0-or-later
// What this browser remembers of what a visitor has chosen; not where that is forbidden.

export const kept = {
    get(key) {
        try {
            return localStorage.getItem(key) === "yes";
        } catch {
            return false;
        }
    },
    set(key, is) {
        try {
            localStorage.setItem(key, is ? "yes" : "no");
        } catch {
            // it holds for this page
        }
    },
};
