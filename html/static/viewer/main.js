// SPDX-License-Identifier: AGPL-3.0-or-later
// The viewer: asks how the session is, shows its display while it runs, and otherwise says what is going on. It comes
// back by itself after whatever has broken the connection, and only stops when the session or the right to it is over.

import { notify } from "../notice.js";
import { t, tCount } from "../words.js";
import { change, place, serversNow } from "./ask.js";
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
const HIDDEN_MS = 30000;      // and while nobody looks at it
const SILENT_MS = 10000;      // without an answer, there is doubt
const FIRST_MS = 30000;       // until a new connection says something
const QUIET_MS = 60000;       // of a machine that has nothing to show
const SOON_MS = 1000;         // while the session gets ready or stops
const NEARLY_OVER_MS = 10 * 60000;
const WARNING_MS = 20000;

let display = null, state = null, failures = 0, wake = () => {}, isElsewhere = false;
let pageTitle = "", warnedOf = "", notifiedOf = "";
let asked = 0, taken = 0;     // questions for the state; the last of them whose answer counted
let isInDoubt = false;        // something has happened to the line

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
    byId("state").textContent = WORDS[word];
    byId("state").className = `badge badge-${BADGES[word] ?? "starting"}`;
    pageTitle = `${state?.machine ?? byId("machine").textContent} - ${WORDS[word]}`;
    showTitle();
}

// An end that is near is to be seen from other tabs as well.
function showTitle() {
    const end = nearEnd(), minutes = end && Math.max(0, Math.ceil((end.moment - serversNow()) / 60000));
    document.title = end ? t("[what] - [title]", { what: tCount("Ends in %d minute", "Ends in %d minutes", minutes), title: pageTitle }) : pageTitle;
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
    const [what, text, buttons, word] = pages[state.kind];
    byId("bar").hidden = true;
    document.querySelectorAll("dialog[open]").forEach((dialog) => dialog.close());
    tell(what, text, { buttons, word });
    byId(buttons[0]).focus();
}

// --- what is known ---

function showLeft() {
    byId("left").textContent = state.end && state.kind === "running" ? t("[time] left", { time: duration(state.end - serversNow()) }) : "";
    showTitle();
    if (state.kind === "running")
        warn(nearEnd());
}

// The owner's state says more than the time.
function nearEnd() {
    if (!["running", "away"].includes(state?.kind))
        return null;
    if (state.session) {
        const { ending } = state.session;
        return ending && ending.kind !== "unused" ? { ...ending, moment: Date.parse(ending.time.iso) } : null;
    }
    return state.end && state.end - serversNow() < NEARLY_OVER_MS ? { kind: "time", moment: state.end } : null;
}

// What can be done about an end that is near; null nothing, or not by this visitor.
function remedy(ending) {
    if (ending.may_stay)
        return { text: t("Keep it running"), run: () => keep({ session_stay: place.session }, t("It goes on.")) };
    return ending.offers_extension ? { text: t("Extend by [extension]", state.session), run: extend } : null;
}

// Once for each end that comes near; who is elsewhere is notified, and warned when they come back.
function warn(end) {
    const key = end?.kind ?? "";
    if (key && key !== notifiedOf && !document.hasFocus())
        notify(state.machine, endWords(end), `${place.session || "shared"} ending`);
    notifiedOf = key;
    if (document.hidden && key)
        return;
    if (key && key !== warnedOf)
        say(endWords(end), end.what ? remedy(end) : null, WARNING_MS);
    warnedOf = key;
}

function endWords(end) {
    const time = duration(end.moment - serversNow());
    return end.what ? t("[what] [before] in [time]. [help]", { ...end, time }) : t("This session ends in [time].", { time });
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

// An answer that is older than one that is known already says nothing.
async function ask(ms) {
    const begun = performance.now(), turn = ++asked, news = await askState(ms);
    if (turn < taken)
        return;
    taken = turn;
    take(news);
    if (state.kind !== "away")
        picture.noteAnswer(performance.now() - begun);
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
    clipboard.begin();
    setTitle("connected");
    if (!bar.isOpen && !document.querySelector("dialog[open]"))
        display.focus();
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
        watch(display);
    });
    attach(null);
    wake(); // who watches it
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

function untilServiceIsTried() {
    failures++;
    return pauseWithCountdown(t("The service cannot be reached"),
                              navigator.onLine ? t("The network or the server is away. This page comes back by itself.") : t("This device has no network. This page comes back by itself."));
}

// --- while the display is shown ---

// A line can go without a word (a cable, another network, a sleep of the computer): then the picture only stands still.
// Here until it moves again, or is given up, because the service answers and it does not. A browser has more connections
// that are dead, and asks over each of them before it makes another.
async function outwait(shown, answered) {
    const { heard } = shown;
    shown.answers(Infinity).then((isHeard) => isHeard && wake());
    for (await answered; display === shown && shown.heard === heard; await ask(failures > WAITS_S.length ? undefined : SILENT_MS)) {
        if (state.kind === "away") {
            await untilServiceIsTried();
        } else if (!await shown.answers(SILENT_MS)) {
            failures = 0;
            tell(t("Connecting again"), "", { busy: true, word: "connecting" });
            shown.close();
            return;
        }
    }
    if (display === shown && shown.isPainted && !byId("status").hidden)
        showPicture();
}

// Who else is here, how long it lasts; and whether the line is still there, where that is in doubt.
async function look(shown) {
    const isQuiet = isInDoubt || shown.quiet > QUIET_MS || !shown.isPainted, answered = ask(isInDoubt ? SILENT_MS : undefined);
    isInDoubt = false;
    const isLate = isQuiet || await Promise.race([answered, new Promise((resolve) => setTimeout(resolve, SILENT_MS, true))]);
    if ((isLate || state.kind === "away") && !await shown.answers(shown.isPainted ? SILENT_MS : FIRST_MS))
        await outwait(shown, answered);
    await answered;
}

async function watch(shown) {
    while (display === shown) {
        await pause(document.hidden ? HIDDEN_MS : POLL_MS);
        if (display === shown)
            await look(shown);
    }
}

function doubt() {
    isInDoubt = true;
    wake();
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
        await untilServiceIsTried();
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
window.addEventListener("online", () => (display || state?.kind === "away") && doubt());
window.addEventListener("offline", () => display && doubt());
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
document.addEventListener("visibilitychange", () => {
    if (document.hidden || !state?.machine)
        return;
    showLeft();
    if (display)
        doubt();
});
setInterval(() => state?.machine && showLeft(), 30000);
live();
