// SPDX-License-Identifier: AGPL-3.0-or-later
// The page of a session: its news, and what the user wants to happen with them. Whoever has just pressed Create goes on
// to the desktop when it is ready, unless they would rather stay.

import { kept } from "./kept.js";
import { News, say } from "./news.js";
import { agree, canAsk, hasAgreed, isRefused, notify, takeBack } from "./notice.js";
import { t, tCount } from "./words.js";

const WAITING_MS = 500; // after the last answer, while the session gets ready or stops
const STEADY_MS = 5000; // when it is ready, when nobody looks, when the service does not answer
const HIDDEN_MS = 30000; // when it is ready and nobody looks
const STAY = "qwd-stay"; // what this browser remembers

const MOVING = ["starting", "stopping"], WAITING = ["queued", "starting"], OVER = ["ended", "failed"];

const address = new URL(location.href);
const isNew = address.searchParams.has("new");
if (isNew) { // once: not when it is loaded again, or sent to somebody
    address.searchParams.delete("new");
    history.replaceState(null, "", address);
    for (const link of document.querySelectorAll("a[hreflang]"))
        link.href = link.href.replace("&new=1", "");
}

let news, title = document.title, latest = null;
let hasWaited = isNew || WAITING.includes(document.getElementById("session").dataset.state);
let follows = hasWaited, becameReady = false, isGoing = false, toldOf = "";

// --- buttons that need a script ---

async function copy(button) {
    const field = document.getElementById(button.dataset.copy);
    field.select();
    try {
        await navigator.clipboard.writeText(field.value);
    } catch {
        document.execCommand("copy"); // without https there is no navigator.clipboard
    }
    button.textContent = t("Copied");
    say(t("Copied"));
}

// --- notifications ---

const machine = () => document.querySelector("h1").firstChild.textContent.trim();

// The button says in the page's own words what it does, and what it has done (data-agreed).
function showTelling(button, isPossible = true) {
    const words = button.dataset.words ??= button.textContent;
    button.setAttribute("aria-pressed", String(hasAgreed()));
    button.textContent = hasAgreed() ? button.dataset.agreed : words;
    if (isRefused() || !isPossible)
        button.textContent = t("The browser does not allow notifications");
}

// Asked only by who presses the button; pressed again, it is taken back.
async function toggleTelling(button) {
    const isWanted = !hasAgreed();
    const isPossible = isWanted ? await agree(machine(), button.dataset.agreed) : takeBack();
    showTelling(button, isPossible);
    say(button.textContent);
}

// --- what the title and the screen reader say ---

function minutesLeft() {
    const { ending } = latest ?? {};
    const moment = ending && ending.kind !== "unused" ? Date.parse(ending.time.iso) : 0;
    return moment ? Math.max(0, Math.ceil((moment - Date.now() - news.ahead) / 60000)) : -1;
}

function showTitle() {
    const minutes = minutesLeft();
    let text = title;
    if (minutes >= 0)
        text = t("[what] - [title]", { what: tCount("Ends in %d minute", "Ends in %d minutes", minutes), title });
    else if (becameReady && latest?.ready)
        text = t("[what] - [title]", { what: t("Ready"), title });
    if (document.title !== text)
        document.title = text;
}

function words(session) {
    if (session.ending)
        return `${session.ending.what} ${session.ending.help}`;
    const step = session.steps.find((one) => one.is_now);
    return session.is_waiting && step ? step.text : session.state_text;
}

function tellOfEnd({ ending }) {
    const key = ending && ending.kind !== "unused" ? `${ending.kind} ${ending.time.iso}` : "";
    if (key && key !== toldOf)
        notify(machine(), `${ending.what} ${ending.help}`.trim(), `${latest.id} ending`);
    toldOf = key;
}

// --- on to the desktop ---

function goOn() {
    const connect = document.getElementById("connect");
    const isOurs = connect && new URL(connect.href).origin === location.origin;
    if (!follows || !isOurs || !connect.dataset.follow || document.hidden || kept.get(STAY))
        return;
    isGoing = true;
    location.assign(connect.href);
}

function takeReady() {
    if (!hasWaited || becameReady)
        return;
    becameReady = true;
    goOn();
    follows = false; // who comes back stays
    if (!isGoing)
        notify(machine(), t("Your machine is ready"), `${latest.id} ready`);
}

// --- news ---

function equip(content) {
    for (const button of content.querySelectorAll("[data-copy]")) {
        button.hidden = false;
        button.addEventListener("click", () => copy(button));
    }
    const stay = content.querySelector("#stay"), tell = content.querySelector("#tell");
    if (stay) {
        stay.closest("label").hidden = !follows;
        stay.checked = kept.get(STAY);
        stay.addEventListener("change", () => kept.set(STAY, stay.checked));
    }
    if (tell && canAsk) {
        tell.closest("[data-option]").hidden = false;
        showTelling(tell);
        tell.addEventListener("click", () => toggleTelling(tell));
    }
}

function take({ session }) {
    latest = session;
    hasWaited ||= session.is_waiting;
    say(words(session));
    if (session.ready)
        takeReady();
    tellOfEnd(session);
    showTitle();
}

function wait(good) {
    const { state } = document.getElementById("session").dataset;
    if (isGoing || OVER.includes(state))
        return 0;
    if (document.hidden && state === "running")
        return HIDDEN_MS;
    return good && MOVING.includes(state) && !document.hidden ? WAITING_MS : STEADY_MS;
}

// The keyboard goes to Connect when that has come and nobody was anywhere else.
function focus(old, fresh, isFree) {
    title = document.title;
    const isFirst = !old.querySelector("#connect") && fresh.querySelector("#connect");
    return isFirst && isFree ? fresh.querySelector("#connect") : null;
}

news = new News("session", { equip, focus, wait, state: take, tick: () => news && showTitle() });
news.poll.now(); // its first state: what came between may be news already
window.addEventListener("pageshow", (event) => {
    isGoing = false;
    if (event.persisted)
        news.poll.now();
});
