// SPDX-License-Identifier: AGPL-3.0-or-later
// The controls: a small handle at the upper edge; they come with a click, a touch, a resting pointer, or
// Ctrl+Alt+Shift+M, and go when the visitor turns to the machine again.

import { byId } from "./words.js";

const REST_MS = 400;    // how long the pointer has to rest on the handle
const LEAVE_MS = 1200;  // and how long it may be away

export class Bar {
    // events: {opened(panel), left()} (left: the machine gets the keyboard)
    constructor(events) {
        this.events = events;
        this.timer = 0;
        this.byPointer = false;
        this.bar = byId("bar");
        this.controls = byId("controls");
        this.handle = byId("handle");
        this.listen();
    }

    listen() {
        this.handle.addEventListener("click", () => this.byPointer ? this.keep() : this.toggle());
        byId("hide").addEventListener("click", () => this.close());
        this.bar.addEventListener("pointerenter", (event) => this.pointerCame(event));
        this.bar.addEventListener("pointerleave", () => this.pointerLeft());
        this.controls.addEventListener("pointerdown", () => this.keep());
        this.controls.addEventListener("focusin", () => this.keep());
        byId("main").addEventListener("pointerdown", () => this.isOpen && this.close(false));
        // Before noVNC sees the key, which would send it to the machine.
        window.addEventListener("keydown", (event) => this.shortcut(event), { capture: true });
        this.bar.addEventListener("keydown", (event) => event.key === "Escape" && this.escape(event));
        for (const button of this.bar.querySelectorAll("[data-panel]"))
            button.addEventListener("click", () => this.togglePanel(button));
    }

    get isOpen() {
        return !this.controls.hidden;
    }

    // --- open and closed ---

    open(takesFocus = true) {
        clearTimeout(this.timer);
        this.controls.hidden = false;
        this.bar.classList.add("open");
        this.handle.setAttribute("aria-expanded", "true");
        if (takesFocus)
            this.controls.querySelector("button:not([hidden], :disabled)").focus();
    }

    close(givesFocus = true) {
        clearTimeout(this.timer);
        this.byPointer = false;
        this.closePanels();
        this.controls.hidden = true;
        this.bar.classList.remove("open");
        this.handle.setAttribute("aria-expanded", "false");
        if (givesFocus)
            this.events.left();
    }

    toggle() {
        if (this.isOpen)
            this.close();
        else
            this.open();
    }

    // The key that says M, wherever the visitor's keyboard has it; its place, where it makes no letter.
    isShortcut(event) {
        const isM = /^[a-z]$/i.test(event.key) ? event.key.toLowerCase() === "m" : event.code === "KeyM";
        return event.ctrlKey && event.altKey && event.shiftKey && isM;
    }

    shortcut(event) {
        if (!this.isShortcut(event) || document.querySelector("dialog[open]"))
            return;
        event.preventDefault();
        event.stopImmediatePropagation();
        this.toggle();
    }

    escape(event) {
        event.preventDefault();
        const open = this.bar.querySelector("[data-panel][aria-expanded=true]");
        if (!open) {
            this.close();
            return;
        }
        this.closePanels();
        open.focus();
    }

    // --- with the pointer alone ---

    pointerCame(event) {
        clearTimeout(this.timer);
        if (!this.isOpen && event.pointerType === "mouse" && event.buttons === 0)
            this.timer = setTimeout(() => {
                this.byPointer = true;
                this.open(false);
            }, REST_MS);
    }

    pointerLeft() {
        clearTimeout(this.timer);
        if (this.byPointer)
            this.timer = setTimeout(() => this.close(false), LEAVE_MS);
    }

    // What has been used stays until it is closed.
    keep() {
        this.byPointer = false;
    }

    // --- panels, one at a time ---

    closePanels() {
        for (const button of this.bar.querySelectorAll("[data-panel]")) {
            button.setAttribute("aria-expanded", "false");
            byId(button.dataset.panel).hidden = true;
        }
    }

    togglePanel(button) {
        const wasOpen = button.getAttribute("aria-expanded") === "true";
        this.closePanels();
        if (wasOpen)
            return;
        button.setAttribute("aria-expanded", "true");
        byId(button.dataset.panel).hidden = false;
        this.events.opened(button.dataset.panel);
    }
}
