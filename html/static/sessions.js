// SPDX-License-Identifier: AGPL-3.0-or-later
// The page of many sessions: its news, and pictures of the screens that one can see.

import { News, say } from "./news.js";
import { tCount } from "./words.js";

const STEADY_MS = 5000;  // after the last answer
const HIDDEN_MS = 60000; // when nobody looks

let count = -1;

// Screen readers are told of how many there are, not of each minute that passes.
function take({ sessions }) {
    if (count >= 0 && sessions.length !== count)
        say(tCount("%d session", "%d sessions", sessions.length));
    count = sessions.length;
}

new News("sessions", { wait: () => (document.hidden ? HIDDEN_MS : STEADY_MS), state: take });
