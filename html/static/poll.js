// SPDX-License-Identifier: AGPL-3.0-or-later
// Asking the service again and again: what all pages that stay up to date share.

const PATIENCE_MS = 15000;

// The answer. Throws when there is none, and when it is one to be asked for again: the service, or what stands before it,
// has trouble (5xx) or is asked too often (429).
export async function request(path, headers) {
    const answer = await fetch(path, { headers, cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (answer.status === 429 || answer.status >= 500)
        throw new Error(`status ${answer.status}`);
    return answer;
}

// Headers of a question whose last answer had this ETag ("" before the first).
export const accepting = (type, tag) => ({ Accept: type, ...(tag ? { "If-None-Match": tag } : {}) });

// `ask()` asks once, and throws when there was no answer; `wait(good)` says how many milliseconds later the next one
// comes, 0 for never. Whoever comes back to the page has its news at once.
export class Poll {
    constructor(ask, wait) {
        Object.assign(this, { ask, wait, timer: 0 });
        this.trouble = document.getElementById("trouble"); // shown while there is no answer, where a page has it
        document.addEventListener("visibilitychange", () => {
            if (this.timer && document.hidden)
                this.plan();
            else if (this.timer)
                this.now();
        });
    }

    plan(good = true) {
        clearTimeout(this.timer);
        const ms = this.wait(good);
        this.timer = ms ? setTimeout(() => this.now(), ms) : 0;
    }

    async now() {
        let good = true;
        clearTimeout(this.timer);
        this.timer = 0;
        try {
            await this.ask();
        } catch {
            good = false;
        }
        if (this.trouble)
            this.trouble.hidden = good;
        this.plan(good);
    }
}
