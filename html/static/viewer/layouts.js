// SPDX-License-Identifier: AGPL-3.0-or-later
// Which key, with Shift or AltGr, makes a character on a machine's keyboard. A phone tells characters, and a machine
// wants keys: VNC servers of QEMU's kind take the key alone, so Shift has to be pressed for a capital letter.

const CODES = [
    "Backquote", "Digit1", "Digit2", "Digit3", "Digit4", "Digit5", "Digit6", "Digit7", "Digit8", "Digit9", "Digit0", "Minus", "Equal",
    "KeyQ", "KeyW", "KeyE", "KeyR", "KeyT", "KeyY", "KeyU", "KeyI", "KeyO", "KeyP", "BracketLeft", "BracketRight",
    "KeyA", "KeyS", "KeyD", "KeyF", "KeyG", "KeyH", "KeyJ", "KeyK", "KeyL", "Semicolon", "Quote", "Backslash",
    "IntlBackslash", "KeyZ", "KeyX", "KeyC", "KeyV", "KeyB", "KeyN", "KeyM", "Comma", "Period", "Slash",
];

// The signs on those keys, in that order; a space where a key makes none that we need. `dead`: keys that wait for a
// letter, by the accent that they put on it.
const CIRCUMFLEX = "\u0302", DIAERESIS = "\u0308", ACUTE = "\u0301", GRAVE = "\u0300";
const LAYOUTS = {
    us: { name: "English (US)", signs: ["`1234567890-=qwertyuiop[]asdfghjkl;'\\ zxcvbnm,./", "~!@#$%^&*()_+QWERTYUIOP{}ASDFGHJKL:\"| ZXCVBNM<>?"] },
    gb: { name: "English (UK)", signs: ["`1234567890-=qwertyuiop[]asdfghjkl;'#\\zxcvbnm,./", "¬!\"£$%^&*()_+QWERTYUIOP{}ASDFGHJKL:@~|ZXCVBNM<>?"] },
    de: { name: "Deutsch", signs: [" 1234567890ß qwertzuiopü+asdfghjklöä#<yxcvbnm,.-", "°!\"§$%&/()=? QWERTZUIOPÜ*ASDFGHJKLÖÄ'>YXCVBNM;:_", "       {[]}\\ @ €        ~            |      µ   "],
          dead: { [CIRCUMFLEX]: { code: "Backquote" }, [ACUTE]: { code: "Equal" }, [GRAVE]: { code: "Equal", shift: true } } },
    fr: { name: "Français", signs: ["²&é\"'(-è_çà)=azertyuiop $qsdfghjklmù*<wxcvbn,;:!", " 1234567890°+AZERTYUIOP £QSDFGHJKLM%µ>WXCVBN?./§", "  ~#{[|`\\^@]}  €        ¤                       "],
          dead: { [CIRCUMFLEX]: { code: "BracketLeft" }, [DIAERESIS]: { code: "BracketLeft", shift: true } } },
};

export const layouts = Object.entries(LAYOUTS).map(([id, { name }]) => ({ id, name }));

const ENTER = { "\n": "Enter", "\t": "Tab", " ": "Space" };

// Accents without a letter, which take a space.
const ALONE = { "^": [" ", CIRCUMFLEX], "`": [" ", GRAVE] };

function keyFor(sign, signs) {
    if (ENTER[sign])
        return { code: ENTER[sign], shift: false, altGr: false };
    const level = signs.findIndex((row) => row.includes(sign));
    return level < 0 ? null : { code: CODES[signs[level].indexOf(sign)], shift: level === 1, altGr: level === 2 };
}

// The keys to press, one after the other, as {code, shift, altGr}: one, or two when an accent goes before its letter.
// Null when the layout has none for the sign.
export function keysFor(sign, layout) {
    const { signs, dead = {} } = LAYOUTS[layout] ?? LAYOUTS.us;
    const key = keyFor(sign, signs);
    if (key)
        return [key];
    const [letter, accent, ...more] = ALONE[sign] ?? sign.normalize("NFD");
    const last = keyFor(letter, signs);
    return dead[accent] && last && !more.length ? [dead[accent], last] : null;
}
