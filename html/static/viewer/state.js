// SPDX-License-Identifier: AGPL-3.0-or-later
// How the session is, from its JSON state (its owner) or from that of a link (everybody else), in one form:
//   kind      waiting, running, stopping, over, gone, login, refused (the service says why), away (it says nothing)
//   machine, role, end, hasClipboard, isOneshot, viewers (a number); for an owner also session, the whole state
//   token     for the websocket, when it runs
//   text      words for people

import { t } from "../words.js";
import { get, linkToken, place, post, Refusal } from "./ask.js";

const isOwners = place.session !== "";
const TOKEN = /token=([0-9a-f]{32})/;

function waitingText(session) {
    const { queue } = session;
    if (queue) {
        const turn = queue.is_next ? t("You are next in the queue.")
            : t("You are number [position] in the queue.", { position: queue.position });
        return queue.reason ? `${queue.reason} ${turn}` : turn;
    }
    return session.steps.find((step) => step.is_now)?.text ?? "";
}

function kindOfSession(session) {
    if (session.over)
        return "over";
    if (session.is_stopping)
        return "stopping";
    return session.ready ? "running" : "waiting";
}

export function ownersState(session) {
    return {
        kind: kindOfSession(session), session,
        machine: session.machine,
        role: "control",
        end: session.end && Date.parse(session.end.iso),
        hasClipboard: session.has_clipboard,
        isOneshot: session.ready?.is_oneshot ?? false,
        isFailed: session.over?.is_failed ?? false,
        viewers: session.sharing?.viewers.length ?? 0,
        token: decodeURIComponent(session.ready?.viewer_url ?? "").match(TOKEN)?.[1],
        text: session.over?.reason ?? waitingText(session),
    };
}

const KINDS = { queued: "waiting", starting: "waiting", running: "running", stopping: "stopping", ended: "over", failed: "over" };

function linksState(link) {
    return {
        kind: KINDS[link.state], session: null,
        machine: link.machine,
        role: link.role,
        end: link.end && Date.parse(link.end.iso),
        hasClipboard: link.has_clipboard,
        isOneshot: link.is_oneshot,
        isFailed: link.over?.is_failed ?? false,
        viewers: link.viewers,
        token: linkToken(),
        text: link.over?.reason ?? "",
    };
}

function troubleOf(error) {
    if (!(error instanceof Refusal) || error.status >= 500 || error.status === 429)
        return { kind: "away", text: "" };
    if (error.status === 404 || (!isOwners && error.status === 400))
        return { kind: "gone", text: error.message };
    return { kind: error.status === 401 ? "login" : "refused", text: error.message };
}

// `ms`: how long an answer may take, if not as long as any.
export async function askState(ms) {
    try {
        if (isOwners)
            return ownersState((await get({ session: place.session }, ms)).session);
        return linksState((await post({ token: linkToken() }, ms)).link);
    } catch (error) {
        return troubleOf(error);
    }
}

export { isOwners };
