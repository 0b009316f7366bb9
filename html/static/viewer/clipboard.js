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
        this.known = null;   // what both sides have
        this.waiting = null; // to be written as soon as the browser lets us
        this.field = byId("clipboard");
        this.listen();
    }

    listen() {
        this.field.addEventListener("input", () => this.send(this.field.value));
        byId("clipboard-type").addEventListener("click", () => this.typeField());
        for (const [id, name] of [["clipboard-in", "clipboardIn"], ["clipboard-out", "clipboardOut"]]) {
            const box = byId(id);
            box.checked = preference(name);
            box.addEventListener("change", () => {
                remember(name, box.checked);
                if (name === "clipboardIn" && box.checked)
                    this.read(true);
            });
        }
        window.addEventListener("focus", () => this.read(false));
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
        if (display)
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
        if (!system || !preference("clipboardOut"))
            return;
        this.waiting = text;
        this.writeWaiting();
    }

    // Browsers write only for a page that has the keyboard, some only after a key or click: then it is tried again.
    async writeWaiting() {
        const text = this.waiting;
        if (text === null || !document.hasFocus())
            return;
        try {
            await system.writeText(text);
            if (this.waiting === text)
                this.waiting = null;
        } catch {
            // with the next key or click
        }
    }

    // --- to the machine ---

    send(text) {
        if (!this.display || !this.isAllowed || !this.isControl)
            return;
        this.known = text;
        if (new Blob([text]).size > BYTES_MAX)
            say(t("This text is too long for the machine's clipboard."));
        else
            this.display.offer(text);
    }

    // `isAsked`: the visitor has just clicked, so the browser may ask for permission.
    async read(isAsked) {
        if (!system || !this.display || !this.isAllowed || !this.isControl || !preference("clipboardIn"))
            return;
        if (!isAsked && await mayRead() !== "granted")
            return;
        try {
            const text = await system.readText();
            if (!text || text === this.known)
                return;
            this.field.value = text;
            this.send(text);
        } catch {
            // not now, or not at all
        }
    }

    opened() {
        if (matchMedia("(hover: hover)").matches) // on a phone, the keyboard would come up
            this.field.select();
        this.read(true);
    }

    async typeField() {
        say(t("Typing."));
        const unknown = await this.keys.typeAll(this.field.value);
        say(unknown ? tCount("%d character is not on the machine's keyboard. Its layout can be chosen among the keys.",
                             "%d characters are not on the machine's keyboard. Its layout can be chosen among the keys.", unknown) : t("Typed."));
    }
}
