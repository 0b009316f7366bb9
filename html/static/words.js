// SPDX-License-Identifier: AGPL-3.0-or-later
// Texts of scripts in the page's language. English is in the scripts, and the key of the catalogue i18n/LANG.json that
// the server's pages use as well (src/web/catalogue.h); the page says its language, and waits for the catalogue.

export const language = document.documentElement.lang || "en";

async function load() {
    try {
        const answer = await fetch(new URL(`i18n/${language}.json`, import.meta.url));
        return answer.ok ? await answer.json() : {};
    } catch {
        return {}; // English is better than no page
    }
}

const catalogue = language === "en" ? {} : await load();

// The translation of an English text, in which each [name] is one of `values`.
export function t(english, values = {}) {
    const text = Object.hasOwn(catalogue, english) ? catalogue[english] : english;
    return text.replace(/\[(\w+)\]/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

// The translation of one of two texts, for `count`, which stands in them as "%d".
export function tCount(one, many, count) {
    const { one_from: from = 1, one_until: until = 1 } = catalogue[""] ?? {};
    return t(count >= from && count <= until ? one : many).replace("%d", count);
}
