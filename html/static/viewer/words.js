// SPDX-License-Identifier: AGPL-3.0-or-later
// Small things that several modules need: elements by id, and durations for people.

import { t } from "../words.js";

export const byId = (id) => document.getElementById(id);

export function duration(ms) {
    const minutes = Math.max(0, Math.floor(ms / 60000));
    const days = Math.floor(minutes / 1440), hours = Math.floor(minutes / 60) % 24;
    if (days > 0)
        return hours ? t("[days] d [hours] h", { days, hours }) : t("[days] d", { days });
    if (hours > 0)
        return `${hours} h ${minutes % 60} min`;
    return minutes > 0 ? `${minutes} min` : t("less than a minute");
}

// An element with attributes and children; texts become text, never HTML.
export function make(name, attributes = {}, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes))
        element.setAttribute(key, value);
    element.append(...children);
    return element;
}

let toast = byId("toast"), toastTimer = 0;

// A line that goes by itself; with `action`, a button in it. An open dialog has a place of its own for it: what is behind
// can neither be read nor pressed.
export function say(text, action = null, ms = 6000) {
    clearTimeout(toastTimer);
    toast.replaceChildren();
    toast = document.querySelector("dialog[open] .toast") ?? byId("toast");
    toast.replaceChildren(make("span", {}, text));
    if (action) {
        const button = make("button", { class: "button small", type: "button" }, action.text);
        button.addEventListener("click", () => {
            toast.replaceChildren();
            action.run();
        });
        toast.append(button);
    }
    toastTimer = setTimeout(() => toast.replaceChildren(), action ? 20000 : ms);
}
