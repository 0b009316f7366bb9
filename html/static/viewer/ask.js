// SPDX-License-Identifier: AGPL-3.0-or-later
// Requests to the service. Who opened the page by its session is known by the login; a link by its token, which goes
// into the body of a request and nowhere else.

import { begin, end } from "../submit-once.js";

export const place = document.body.dataset;
let ahead = 0; // milliseconds that the server's clock is ahead of ours

export const serversNow = () => Date.now() + ahead;

const PATIENCE_MS = 15000;

// The token of a link stands behind the '#'.
export const linkToken = () => new URLSearchParams(location.hash.slice(1)).get("token") ?? "";

// Why a request was refused, in the service's words.
export class Refusal extends Error {
    constructor(status, message) {
        super(message);
        this.status = status;
    }
}

async function answerOf(response) {
    ahead = Date.parse(response.headers.get("Date")) - Date.now() || 0;
    if (response.ok)
        return response.json();
    const answer = await response.json().catch(() => null);
    throw new Refusal(response.status, answer?.error?.message ?? "");
}

export async function get(fields, ms = PATIENCE_MS) {
    const response = await fetch(`${place.script}?${new URLSearchParams(fields)}`,
        { headers: { Accept: "application/json" }, cache: "no-store", signal: AbortSignal.timeout(ms) });
    return answerOf(response);
}

export async function post(fields, ms = PATIENCE_MS) {
    const response = await fetch(place.script, {
        method: "POST", headers: { Accept: "application/json" }, body: new URLSearchParams(fields),
        cache: "no-store", signal: AbortSignal.timeout(ms),
    });
    return answerOf(response);
}

// A change of one's own session. Asked for twice before there is an answer, it is done once.
export async function change(fields) {
    const what = JSON.stringify(fields);
    try {
        return await post({ ...(place.csrf ? { csrf: place.csrf } : {}), ...fields, idempotency_key: begin(what) });
    } finally {
        end(what);
    }
}
