// SPDX-License-Identifier: AGPL-3.0-or-later
// The keyboard of a Mac. Its Option key makes characters, as AltGr does elsewhere, on keys of its own; for everything
// else it is Alt. And many signs stand on other keys than on a PC that calls its layout the same. So characters are
// typed with the keys that the machine has for them: those of Option always, others when the machine's layout is known.

import { isIOS, isMac } from "../../novnc/core/util/browser.js";
import { keysFor } from "./layouts.js";
import { preference } from "./preferences.js";

export const isApple = isMac() || isIOS();

const OPTION = ["AltLeft", "AltRight"], SHIFT = ["ShiftLeft", "ShiftRight"];

// With Caps Lock on, the machine's letters are the others as well.
function signOf(event) {
    const { key } = event, small = key.toLowerCase();
    if (!event.getModifierState("CapsLock"))
        return key;
    return key === small ? key.toUpperCase() : small;
}

const isSign = (text) => [...text].length === 1;

// Whether the key makes it in the machine as well, held down for as long as it is here.
const isSame = ([key, ...more], event) => !more.length && key.code === event.code && !key.altGr && (key.shift === event.shiftKey || event.key === " ");

export class MacKeyboard {
    // target: what the canvas is in.
    constructor(target) {
        this.display = null;
        this.options = new Set(); // codes of keys that are down
        this.shifts = new Set();
        this.isAlt = false;       // Alt is down in the machine
        this.isAccented = false;  // the next key gets the accent of the last one, in the machine
        target.addEventListener("keydown", (event) => this.take(event, this.pressed(event)), true);
        target.addEventListener("keyup", (event) => this.take(event, this.released(event)), true);
        window.addEventListener("blur", () => this.forget());
    }

    attach(display) {
        this.display = display;
        this.forget();
    }

    forget() {
        this.setAlt(false);
        this.options.clear();
        this.shifts.clear();
        this.isAccented = false;
    }

    // noVNC does not get to see it.
    take(event, isTaken) {
        if (!isTaken)
            return;
        event.preventDefault();
        event.stopPropagation();
    }

    setAlt(isDown) {
        if (this.isAlt !== isDown)
            this.display?.key("AltLeft", isDown);
        this.isAlt = isDown;
    }

    pressed(event) {
        if (!(event.target instanceof HTMLCanvasElement) || !this.display)
            return false;
        if (OPTION.includes(event.code)) {
            this.options.add(event.code);
            return true;
        }
        if (SHIFT.includes(event.code))
            this.shifts.add(event.code);
        else if (!event.ctrlKey && !event.metaKey && this.typed(event))
            return true;
        else if (this.options.size > 0)
            this.setAlt(true);
        return false;
    }

    released(event) {
        this.shifts.delete(event.code);
        if (!this.options.delete(event.code))
            return false;
        if (this.options.size === 0)
            this.setAlt(false);
        return true;
    }

    // Whether the key is done with: an accent that Option has made waits in the browser, others in the machine.
    typed(event) {
        const isAccented = this.isAccented, isDead = event.key === "Dead", hasOption = this.options.size > 0;
        const layout = preference("layout");
        this.isAccented = isDead && !hasOption;
        if (isDead)
            return hasOption;
        if (isAccented || !isSign(event.key) || !(hasOption || layout))
            return false;
        const sign = signOf(event), keys = keysFor(sign, layout);
        if (!keys || (!hasOption && isSame(keys, event)))
            return false;
        this.type(sign, layout);
        return true;
    }

    // What is held counts for the character that it has made, not for the keys that make it in the machine.
    type(sign, layout) {
        this.setAlt(false);
        this.shifts.forEach((code) => this.display.key(code, false));
        this.display.type(sign, layout);
        this.shifts.forEach((code) => this.display.key(code, true));
    }
}
