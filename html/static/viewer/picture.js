// SPDX-License-Identifier: AGPL-3.0-or-later
// Size and quality of the picture, as the visitor wants them; and a hint when the line is slow.

import { t } from "../words.js";
import { preference, remember } from "./preferences.js";
import { byId, say } from "./words.js";

const SLOW_MS = 1200; // for an answer that the service has at once

export class Picture {
    constructor() {
        this.display = null;
        this.slowAnswers = 0;
        this.hasHinted = false;
        this.bind("size", () => this.apply());
        this.bind("quality", () => this.apply());
    }

    bind(name, changed) {
        for (const box of byId(name).querySelectorAll("input")) {
            box.checked = box.value === preference(name);
            box.addEventListener("change", () => {
                remember(name, box.value);
                changed();
            });
        }
    }

    choose(name, value) {
        remember(name, value);
        byId(name).querySelector(`[value="${value}"]`).checked = true;
        this.apply();
    }

    attach(display) {
        this.display = display;
        this.apply();
    }

    apply() {
        this.display?.setSize(preference("size"));
        this.display?.setLine(preference("quality"));
        if (this.display && !this.display.isControl && preference("size") === "follow")
            byId("size").querySelector("[value=fit]").checked = true;
    }

    // How long the service took to answer, with the way there and back.
    noteAnswer(ms) {
        this.slowAnswers = ms > SLOW_MS ? this.slowAnswers + 1 : 0;
        if (this.slowAnswers < 3 || this.hasHinted || preference("quality") === "light" || !this.display)
            return;
        this.hasHinted = true;
        say(t("The line is slow."), { text: t("Send less data"), run: () => this.choose("quality", "light") });
    }
}
