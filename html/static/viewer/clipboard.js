// SPDX-License-Identifier: AGPL-3.0-or-later
// The clipboard: a field that shows the machine's, and both directions by themselves where the browser allows it (only
// over https or on this computer; reading only with the visitor's permission).

import { preference, remember } from "./preferences.js";
import { t, tCount } from "../words.js";
import { byId, say } from "./words.js";

const BYTES_MAX = 1 << 20; // QEMU ends connections that send more

const system = navigator.clipboard; // absent without a secure connection

async function mayRead() {
    try {
        return (await navigator.permissions.query({ name: "clipboard-read" })).state;
    } catch {
        return "unknown"; // this browser asks each time
    }
}

export class Clipboard {
    constructor(keys) {
        this.keys = keys;
        this.display = null;
        this.known = null;   // what the machine has
        this.own = null;     // what this device had when we last knew
        this.offered = null; // what the machine may have of us: null when the last text is its own
        this.taker = null;   // the display that this was offered to
        this.waiting = null; // to be written as soon as the browser lets us
        this.isAway = false; // the visitor is elsewhere, and may copy something there
        this.field = byId("clipboard");
        this.listen();
    }

    listen() {
        this.field.addEventListener("input", () => this.send(this.field.value));
        byId("clipboard-type").addEventListener("click", () => this.typeField());
        byId("clipboard-panel").addEventListener("keydown", (event) => {
            if (event.key === "Escape" && this.keys.isTyping) {
                event.stopPropagation(); // it does not close the panel
                this.keys.stopTyping();
            }
        });
        for (const [id, name] of [["clipboard-in", "clipboardIn"], ["clipboard-out", "clipboardOut"]]) {
            const box = byId(id);
            box.checked = preference(name);
            box.addEventListener("change", () => {
                remember(name, box.checked);
                if (name === "clipboardIn" && box.checked)
                    this.read(true);
            });
        }
        window.addEventListener("blur", () => {
            this.isAway ||= !document.hasFocus();
        });
        window.addEventListener("focus", () => this.comeBack());
        for (const name of ["pointerdown", "keydown"])
            window.addEventListener(name, () => this.writeWaiting(), { capture: true });
    }

    attach(display, state) {
        this.display = display;
        this.isAllowed = state.hasClipboard;
        this.isControl = state.role === "control";
        byId("clipboard-switches").hidden = !system || !this.isAllowed;
        byId("clipboard-note").textContent = this.note();
        display?.addEventListener("copied", ({ detail }) => this.receive(detail.text));
    }

    // The display takes texts from now on. What we have offered over a connection is gone with it.
    begin() {
        if (this.offered !== null && this.taker !== this.display)
            this.send(this.offered);
        this.read(false);
    }

    note() {
        if (!this.isAllowed)
            return t("The clipboard is not shared on this service. You can still have text typed for you.");
        return system ? t("What you write here is in the machine's clipboard at once.")
            : t("What you write here is in the machine's clipboard at once. By itself it works only over https.");
    }

    // --- from the machine ---

    receive(text) {
        if (!this.isAllowed || !this.isControl)
            return;
        this.field.value = text;
        this.known = text;
        this.offered = null;
        if (!system || !preference("clipboardOut"))
            return;
        this.waiting = text;
        this.writeWaiting();
    }

    // Browsers write only for a page that has the keyboard, some only after a key or click: then it is tried again.
    async writeWaiting() {
        const text = this.waiting;
        if (text === null || this.isAway || !document.hasFocus())
            return;
        try {
            await system.writeText(text);
            this.own = text;
            if (this.waiting === text)
                this.waiting = null;
        } catch {
            // with the next key or click
        }
    }

    // A text that the visitor has copied elsewhere is worth more than one that waits: that is written only where what
    // this device had before is known to be there still.
    async comeBack() {
        if (!await this.read(false))
            this.waiting = null;
        this.isAway = false;
        this.writeWaiting();
    }

    // --- to the machine ---

    send(text) {
        if (!this.display || !this.isAllowed || !this.isControl)
            return;
        this.known = text;
        this.waiting = null;
        if (new Blob([text]).size > BYTES_MAX) {
            say(t("This text is too long for the machine's clipboard."));
            return;
        }
        this.offered = text;
        this.taker = this.display;
        this.display.offer(text);
    }

    // `isAsked`: the visitor has just clicked, so the browser may ask for permission. Resolves to whether we know now what
    // this device has; what is new there has gone to the machine.
    async read(isAsked) {
        if (!system || !this.display || !this.isAllowed || !this.isControl || !preference("clipboardIn"))
            return false;
        if (!isAsked && await mayRead() !== "granted")
            return false;
        try {
            this.take(await system.readText());
            return true;
        } catch {
            return false; // not now, or not at all
        }
    }

    take(text) {
        const isNews = text !== this.own;
        this.own = text;
        if (!isNews || !text || text === this.known)
            return;
        this.field.value = text;
        this.send(text);
    }

    opened() {
        if (matchMedia("(hover: hover)").matches) // on a phone, the keyboard would come up
            this.field.select();
        this.read(true);
    }

    // --- typed ---

    // Pressed again, it stops.
    async typeField() {
        if (this.keys.isTyping) {
            this.keys.stopTyping();
            return;
        }
        const button = byId("clipboard-type"), words = button.textContent;
        button.textContent = t("Stop typing");
        say(t("Typing."));
        const result = await this.keys.typeAll(this.field.value);
        button.textContent = words;
        say(this.typedWords(result));
    }

    typedWords({ typed, all, unknown }) {
        if (!typed)
            return t("Nothing was typed.");
        if (typed < all)
            return t("Only the first [typed] of [all] characters were typed.", { typed, all });
        return unknown ? tCount("%d character is not on the machine's keyboard. Its layout can be chosen among the keys.",
                                "%d characters are not on the machine's keyboard. Its layout can be chosen among the keys.", unknown) : t("Typed.");
    }
}
