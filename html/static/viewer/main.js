// SPDX-License-Identifier: AGPL-3.0-or-later
// The viewer: asks how the session is, shows its display while it runs, and otherwise says what is going on. It comes
// back by itself after whatever has broken the connection, and only stops when the session or the right to it is over.

import { t, tCount } from "../words.js";
import { change, place } from "./ask.js";
import { Bar } from "./bar.js";
import { Clipboard } from "./clipboard.js";
import { Display } from "./display.js";
import { Keys } from "./keys.js";
import { Picture } from "./picture.js";
import { Share } from "./share.js";
import { askState, isOwners, ownersState } from "./state.js";
import { byId, duration, say } from "./words.js";

const WAITS_S = [1, 2, 4, 8, 15, 30];
const POLL_MS = 5000;         // while the display is shown
const SOON_MS = 1000;         // while the session gets ready or stops
const NEARLY_OVER_MS = 10 * 60000;

let display = null, state = null, failures = 0, wake = () => {}, warnedOf = "", pollTimer = 0, isElsewhere = false;

const keys = new Keys();
const clipboard = new Clipboard(keys);
const picture = new Picture();
const share = new Share((session) => take(ownersState(session)));
const bar = new Bar({
    opened: (panel) => panel === "clipboard-panel" && clipboard.opened(),
    left: () => display?.focus(),
});

// --- what is said ---

const WORDS = {
    connected: t("Connected"), starting: t("Starting"), stopping: t("Stopping"), ended: t("Ended"), connecting: t("Connecting"),
    apart: t("Not connected"), elsewhere: t("Elsewhere"),
};
const BADGES = { connected: "running", ended: "ended" }; // others look like starting

function setTitle(word) {
    const name = state?.machine ?? byId("machine").textContent;
    document.title = `${name} - ${WORDS[word]}`;
    byId("state").textContent = WORDS[word];
    byId("state").className = `badge badge-${BADGES[word] ?? "starting"}`;
}

// `buttons`: ids of those that are of use now; `again`: what the first of them says. `wait` changes every second, so
// screen readers are not told of it.
function tell(title, text = "", { buttons = [], busy = false, word = "apart", wait = "", again = t("Try now") } = {}) {
    byId("status").hidden = false;
    byId("screen").classList.remove("shown");
    byId("spinner").hidden = !busy;
    if (byId("status-title").textContent !== title)
        byId("status-title").textContent = title;
    if (byId("status-text").textContent !== text)
        byId("status-text").textContent = text;
    byId("status-wait").textContent = wait;
    for (const id of ["retry", "login", "again"])
        byId(id).hidden = !buttons.includes(id);
    byId("retry").textContent = again;
    setTitle(word);
}

function tellEnd() {
    const pages = {
        over: [state.isFailed ? t("The machine has failed") : t("The session is over"), state.text, ["again"], "ended"],
        gone: isOwners ? [t("There is no such session"), state.text, ["again"], "ended"]
            : [t("This link does not work any more"), t("Whoever gave it to you has revoked it, or its time is over. Ask for a new one."), ["retry"], "ended"],
        login: [t("Please log in again"), t("Your login has ended. The machine goes on."), ["login"], "apart"],
        refused: [t("The service refuses this"), state.text, ["retry", "again"], "apart"],
    };
    const [title, text, buttons, word] = pages[state.kind];
    byId("bar").hidden = true;
    tell(title, text, { buttons, word });
    byId(buttons[0]).focus();
}

// --- what is known ---

function showLeft() {
    const left = state.end ? state.end - Date.now() : 0;
    byId("left").textContent = state.end && state.kind === "running" ? t("[time] left", { time: duration(left) }) : "";
    if (state.kind === "running")
        warn(left);
}

// What can be done about an end that is near; null nothing, or not by this visitor.
function remedy(ending) {
    if (ending.may_stay)
        return { text: t("Keep it running"), run: () => keep({ session_stay: place.session }, t("It goes on.")) };
    return ending.offers_extension ? { text: t("Extend by [extension]", state.session), run: extend } : null;
}

// Once for each end that comes near. The owner's state says more than the time.
function warn(left) {
    const ending = state.session?.ending;
    const isNear = ending || (!state.session && left > 0 && left < NEARLY_OVER_MS);
    const end = isNear ? ending?.kind ?? "time" : "";
    const isNews = end && end !== warnedOf;
    warnedOf = end;
    if (isNews && ending)
        say(t("[what] [before] in [time]. [help]", { ...ending, time: duration(Date.parse(ending.time.iso) - Date.now()) }), remedy(ending), 20000);
    else if (isNews)
        say(t("This session ends in [time].", { time: duration(left) }), null, 20000);
}

function showOwners() {
    const session = state.session;
    byId("extend").hidden = !session?.may_extend;
    byId("stop").hidden = !session?.may_stop;
    byId("share").hidden = !session?.sharing;
    if (session?.may_extend)
        byId("extend").textContent = t("Extend by [extension]", session);
    if (session?.sharing)
        share.update(session.sharing);
}

function take(news) {
    if (news.kind === "away") {
        state = { ...state, ...news, kind: "away" };
        return;
    }
    state = { ...state, ...news };
    if (!state.machine)
        return;
    for (const place of document.querySelectorAll("[data-machine]"))
        place.textContent = state.machine;
    byId("watching").hidden = state.role === "control";
    byId("people").hidden = state.viewers < 2;
    byId("people").disabled = !state.session?.sharing; // who they are is for the owner
    byId("people").textContent = tCount("%d connected", "%d connected", state.viewers);
    byId("window").hidden = state.isOneshot || window.name.startsWith("viewer-"); // a one-shot ends with its last viewer
    for (const element of document.querySelectorAll("[data-needs=control]"))
        element.classList.toggle("needless", state.role !== "control");
    showOwners();
    showLeft();
}

async function ask() {
    const begun = performance.now();
    take(await askState());
    if (state.kind !== "away")
        picture.noteAnswer(performance.now() - begun);
}

// While the display is shown: who else is here, how long it lasts.
function poll() {
    clearTimeout(pollTimer);
    pollTimer = setTimeout(async () => {
        if (!document.hidden && display)
            await ask();
        if (display)
            poll();
    }, POLL_MS);
}

async function keep(fields, done) {
    try {
        take(ownersState((await change({ ...fields, user: place.owner })).session));
        say(done || t("Extended: [left].", { left: byId("left").textContent }));
    } catch (error) {
        say(error.message || t("The service does not answer. Try again."));
    }
}

const extend = () => keep({ session_extend: place.session }, "");

// --- the display ---

function showPicture() {
    byId("status").hidden = true;
    byId("bar").hidden = false;
    byId("screen").classList.add("shown");
    failures = 0;
    display.setName(state.machine);
    setTitle("connected");
    if (!bar.isOpen && !document.querySelector("dialog[open]"))
        display.focus();
    poll();
}

function attach(to) {
    display = to;
    keys.attach(to);
    clipboard.attach(to, state);
    picture.attach(to);
}

// Shows it until the connection is over. Resolves to {wasPainted, byServer}.
async function show() {
    tell(failures ? t("Connecting again") : t("Connecting to the machine"), "", { busy: true, word: "connecting" });
    attach(new Display(byId("screen"), state.token, state.role));
    const { detail } = await new Promise((resolve) => {
        display.rfb.addEventListener("connect", () => tell(t("Connected"), t("Waiting for the first picture."), { busy: true, word: "connecting" }));
        display.addEventListener("painted", showPicture);
        display.addEventListener("closed", resolve, { once: true });
    });
    clearTimeout(pollTimer);
    attach(null);
    return detail;
}

// --- waiting ---

// Until the time is over, or somebody wants it now, or the network has come back.
function pause(ms) {
    return new Promise((resolve) => {
        const timer = setTimeout(resolve, ms);
        wake = () => {
            clearTimeout(timer);
            resolve();
        };
    });
}

async function pauseWithCountdown(title, reason) {
    const until = Date.now() + 1000 * WAITS_S[Math.min(failures, WAITS_S.length) - 1];
    let isWanted = false;
    const left = () => Math.ceil((until - Date.now()) / 1000);
    while (!isWanted && left() > 0) {
        tell(title, reason, { buttons: ["retry"], busy: true, wait: t("Next try in [seconds] s.", { seconds: left() }) });
        await Promise.race([pause(250), new Promise((resolve) => {
            const plain = wake;
            wake = () => {
                isWanted = true;
                plain();
                resolve();
            };
        })]);
    }
}

function untilWanted() {
    return new Promise((resolve) => {
        wake = resolve;
    });
}

// --- the life of the page ---

const OVER = ["over", "gone", "login", "refused"];

async function afterDisplay(shownToken, { wasPainted, byServer }) {
    await ask();
    if (isElsewhere || state.kind !== "running")
        return;
    if (wasPainted && byServer && state.token === shownToken) {
        tell(t("You have been disconnected"), t("This connection was closed on the server. The machine goes on."), { buttons: ["retry"], again: t("Connect again") });
        await untilWanted();
        return;
    }
    failures++;
    if (failures > 1 || !wasPainted)
        await pauseWithCountdown(t("The display cannot be reached"), t("The machine runs, but the connection does not come about."));
}

async function step() {
    if (isElsewhere) {
        tell(t("Shown in its own window"), "", { buttons: ["retry"], word: "elsewhere", again: t("Show it here") });
        await untilWanted();
        isElsewhere = false;
        await ask();
    } else if (OVER.includes(state.kind)) {
        tellEnd();
        await untilWanted();
        tell(t("Looking again"), "", { busy: true });
        await ask();
    } else if (state.kind === "running") {
        const token = state.token;
        await afterDisplay(token, await show());
    } else if (state.kind === "away") {
        failures++;
        await pauseWithCountdown(t("The service cannot be reached"),
                                 navigator.onLine ? t("The network or the server is away. This page comes back by itself.") : t("This device has no network. This page comes back by itself."));
        await ask();
    } else {
        tell(state.kind === "stopping" ? t("The machine is being stopped") : t("Getting the machine ready"), state.text, { busy: true, word: state.kind === "stopping" ? "stopping" : "starting" });
        await pause(SOON_MS);
        await ask();
    }
}

async function live() {
    tell(t("Looking for the machine"), "", { busy: true, word: "connecting" });
    await ask();
    for (;;)
        await step();
}

// --- buttons ---

async function toggleFullscreen() {
    if (document.fullscreenElement)
        await document.exitFullscreen();
    else
        await document.documentElement.requestFullscreen({ navigationUI: "hide" });
    // Keys such as Escape and Alt+Tab go to the machine, where the browser can do that.
    if (document.fullscreenElement)
        navigator.keyboard?.lock?.().catch(() => {});
    bar.close();
}

function openDialog(id) {
    bar.close(false);
    byId(id).showModal();
}

function openWindow() {
    const name = `viewer-${place.session || "shared"}`;
    if (!window.open(location.href, name, "popup,width=1280,height=800"))
        say(t("The browser has not opened a window. Allow pop-up windows for this page."));
    else
        leave();
}

// Shown elsewhere; here only when it is wanted again.
function leave() {
    bar.close(false);
    isElsewhere = true;
    display?.close();
}

byId("retry").addEventListener("click", () => wake());
window.addEventListener("hashchange", () => location.reload()); // another link, pasted over this one
window.addEventListener("online", () => state?.kind === "away" && wake());
byId("fullscreen").addEventListener("click", () => toggleFullscreen().catch(() => say(t("This browser does not allow full screen here."))));
byId("fullscreen").hidden = !document.fullscreenEnabled;
document.addEventListener("fullscreenchange", () => byId("fullscreen").setAttribute("aria-pressed", String(Boolean(document.fullscreenElement))));
byId("keyboard").addEventListener("click", () => keys.isPhoneTyping && bar.close(false)); // it covers half the screen as well
byId("window").addEventListener("click", openWindow);
byId("extend").addEventListener("click", extend);
byId("share").addEventListener("click", () => openDialog("share-dialog"));
byId("people").addEventListener("click", () => openDialog("share-dialog"));
byId("stop").addEventListener("click", () => openDialog("stop-dialog"));
for (const dialog of document.querySelectorAll("dialog"))
    dialog.addEventListener("close", () => display?.focus());
document.addEventListener("visibilitychange", () => !document.hidden && display && ask());
setInterval(() => state?.machine && showLeft(), 30000);
live();
