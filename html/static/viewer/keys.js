// SPDX-License-Identifier: AGPL-3.0-or-later
// Keys that a device does not have, or that its browser keeps for itself; and a phone's keyboard, which tells what has
// become of a text, not which keys were pressed.

import { isMac } from "../../novnc/core/util/browser.js";
import { t } from "../words.js";
import { layouts } from "./layouts.js";
import { MacKeyboard, isApple } from "./mac.js";
import { preference, remember } from "./preferences.js";
import { byId, make } from "./words.js";

const HELD = [[t("Ctrl"), "ControlLeft"], [t("Alt"), "AltLeft"], [t("Shift"), "ShiftLeft"], [t("Super"), "MetaLeft"]];
const PRESSED = [
    [t("Esc"), "Escape"], [t("Tab"), "Tab"], [t("Enter"), "Enter"], [t("Del"), "Delete"], [t("Home"), "Home"], [t("End"), "End"],
    [t("Page up"), "PageUp"], [t("Page down"), "PageDown"], ["\u2190", "ArrowLeft", t("Left")], ["\u2191", "ArrowUp", t("Up")],
    ["\u2193", "ArrowDown", t("Down")], ["\u2192", "ArrowRight", t("Right")], [t("Print"), "PrintScreen"],
    ...Array.from({ length: 12 }, (_, i) => [`F${i + 1}`, `F${i + 1}`]),
];
// QEMU takes 10 ms for each key that goes down or up. Its keyboard keeps 16 for a machine that is slower than that, and
// forgets the rest.
const AT_ONCE = 2, PER_KEY_MS = 40;
const SPARE = "\u00b7".repeat(40); // something for Backspace to take away

export class Keys {
    constructor() {
        this.display = null;
        this.held = new Map(); // code: its button
        this.isTyping = false; // a text
        this.makeButtons();
        this.makeLayouts();
        this.listenToPhone();
        this.mac = isApple ? new MacKeyboard(byId("screen")) : null;
    }

    // --- keys on the screen ---

    makeButton(text, name, press) {
        const button = make("button", { class: "button small key", type: "button" }, text);
        if (name)
            button.setAttribute("aria-label", name);
        // The desktop keeps the keyboard.
        button.addEventListener("pointerdown", (event) => event.preventDefault());
        button.addEventListener("click", () => this.display && press(button));
        return button;
    }

    makeButtons() {
        const held = HELD.map(([text, code]) => {
            const button = this.makeButton(text, null, () => this.toggle(code));
            button.setAttribute("aria-pressed", "false");
            button.dataset.code = code;
            return button;
        });
        const all = this.makeButton(t("Ctrl+Alt+Del"), null, () => this.display.chord(["ControlLeft", "AltLeft", "Delete"]));
        const pressed = PRESSED.map(([text, code, name]) => this.makeButton(text, name, () => this.press(code)));
        byId("keys").append(...held, all, ...pressed);
    }

    toggle(code) {
        const button = byId("keys").querySelector(`[data-code="${code}"]`);
        const isDown = !this.held.has(code);
        if (isDown)
            this.held.set(code, button);
        else
            this.held.delete(code);
        button.setAttribute("aria-pressed", String(isDown));
        this.display?.key(code, isDown);
    }

    // Held keys are for the next key.
    releaseHeld() {
        [...this.held.keys()].forEach((code) => this.toggle(code));
    }

    press(code) {
        this.display?.press(code);
        this.releaseHeld();
    }

    makeLayouts() {
        const select = byId("layout");
        if (isApple)
            select.append(make("option", { value: "" }, t("Like mine")));
        byId("layout-mac").hidden = !isMac();
        select.append(...layouts.map(({ id, name }) => make("option", { value: id }, name)));
        select.value = preference("layout") || select.options[0].value;
        select.addEventListener("change", () => remember("layout", select.value));
    }

    // --- text ---

    type(text) {
        let unknown = 0, pressed = 0;
        for (const sign of text) {
            const keys = this.display?.type(sign, preference("layout")) ?? 0;
            unknown += keys === 0;
            pressed += keys;
            this.releaseHeld();
        }
        return { unknown, pressed };
    }

    // The same for a text of any length, until it is stopped or the connection is lost. Resolves to {typed, all, unknown}:
    // how many characters came to their turn, of how many, and how many of those the machine's keyboard does not have.
    async typeAll(text) {
        const signs = [...text.replaceAll("\r\n", "\n").normalize()], { display } = this;
        const result = { typed: 0, all: signs.length, unknown: 0 };
        this.isTyping = true;
        while (this.isTyping && display && this.display === display && result.typed < result.all) {
            const { unknown, pressed } = this.type(signs.slice(result.typed, result.typed + AT_ONCE));
            result.unknown += unknown;
            result.typed = Math.min(result.typed + AT_ONCE, result.all);
            await new Promise((resolve) => setTimeout(resolve, pressed * PER_KEY_MS));
        }
        this.isTyping = false;
        return result;
    }

    stopTyping() {
        this.isTyping = false;
    }

    // --- a phone's keyboard ---

    listenToPhone() {
        const field = byId("typing"), button = byId("keyboard");
        button.hidden = !matchMedia("(any-pointer: coarse)").matches;
        button.addEventListener("click", () => this.togglePhone());
        field.addEventListener("input", () => this.takeTyped(field));
        field.addEventListener("keydown", (event) => {
            // A real keyboard, or a key that phones do tell.
            if (event.key !== "Backspace" && (event.key.length > 1 && event.key !== "Unidentified" && event.key !== "Process")) {
                event.preventDefault();
                this.press(event.code || event.key);
            }
        });
        field.addEventListener("focus", () => {
            button.setAttribute("aria-pressed", "true");
            this.display?.takeFocus(false);
        });
        field.addEventListener("blur", () => {
            button.setAttribute("aria-pressed", "false");
            field.hidden = true;
            this.display?.takeFocus(true);
        });
    }

    get isPhoneTyping() {
        return document.activeElement === byId("typing");
    }

    togglePhone() {
        const field = byId("typing");
        if (this.isPhoneTyping) {
            field.blur();
            return;
        }
        field.hidden = false;
        this.reset(field);
        field.focus();
    }

    reset(field) {
        field.value = SPARE;
        this.typed = SPARE;
        field.setSelectionRange(SPARE.length, SPARE.length);
    }

    // What the keyboard has changed: characters taken away at the end, and others in their place.
    takeTyped(field) {
        const before = this.typed, now = field.value;
        let same = 0;
        while (same < before.length && same < now.length && before[same] === now[same])
            same++;
        for (let i = same; i < before.length; i++)
            this.press("Backspace");
        this.type(now.slice(same));
        this.typed = now;
        if (now.length < SPARE.length / 2 || now.length > 4 * SPARE.length)
            this.reset(field);
    }

    // --- the display they are for ---

    attach(display) {
        this.held.forEach((button) => button.setAttribute("aria-pressed", "false"));
        this.held.clear();
        this.display = display;
        this.mac?.attach(display);
    }
}
