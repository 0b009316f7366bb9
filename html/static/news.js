// SPDX-License-Identifier: AGPL-3.0-or-later
// What the pages of one session and of many share. HTML is made by the server alone: a script asks for the page's JSON
// state (ETag), and when that has changed, fetches the page itself and puts its content in place of the old.

import { Poll, accepting, request } from "./poll.js";
import { t } from "./words.js";

export const say = (text) => {
    const announce = document.getElementById("announce");
    if (announce.textContent !== text)
        announce.textContent = text;
};

const HIDDEN_TICK_MS = 10000; // the clock of a page that nobody looks at: its title is still seen

// --- times, in the visitor's zone ---

function elapsed(seconds) {
    const minutes = Math.floor(seconds / 60), hours = Math.floor(minutes / 60);
    if (hours > 0)
        return `${hours} h ${minutes % 60} min`;
    return minutes > 0 ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}

// `ahead`: milliseconds that the server's clock is ahead of ours.
export function showTimes(content, ahead) {
    const now = Date.now() + ahead;
    for (const time of content.querySelectorAll("time")) {
        const moment = new Date(time.dateTime);
        if (Number.isNaN(moment.getTime()))
            continue;
        if ("until" in time.dataset) {
            time.title ||= time.textContent;
            time.textContent = t("in [time]", { time: elapsed(Math.max(0, Math.round((moment - now) / 1000))) });
        } else if ("since" in time.dataset) {
            time.textContent = elapsed(Math.max(0, Math.round((now - moment) / 1000)));
        } else {
            time.title ||= time.textContent;
            time.textContent = moment.toLocaleString(document.documentElement.lang || [], { dateStyle: "medium", timeStyle: "short" });
        }
    }
}

// --- pictures of screens ---

const tags = new Map(); // ETag by picture's address
const shownAt = new Map();
const asked = new Set();

const read = (blob) => new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = reject;
    reader.readAsDataURL(blob);
});

// Only what somebody can see.
function isSeen(image) {
    const box = image.getBoundingClientRect();
    return box.width > 0 && box.bottom > 0 && box.top < innerHeight;
}

async function refreshPicture(image) {
    const { url } = image.dataset;
    asked.add(url);
    try {
        const answer = await request(url, accepting("image/png", tags.get(url)));
        if (answer.status === 200 && answer.headers.get("Content-Type") === "image/png") {
            image.src = await read(await answer.blob());
            tags.set(url, answer.headers.get("ETag"));
        }
        image.classList.toggle("absent", answer.status === 204 || answer.status === 404);
    } catch {
        // the next one
    }
    shownAt.set(url, Date.now());
    asked.delete(url);
}

// Looks at those whose time has come. A picture that is not there (yet) leaves its place dark.
export function refreshPictures(content) {
    for (const image of document.hidden ? [] : content.querySelectorAll("img[data-period]")) {
        const url = image.dataset.url ??= image.getAttribute("src");
        if (image.complete && !image.naturalWidth)
            image.classList.add("absent");
        shownAt.has(url) || shownAt.set(url, Date.now());
        const isDue = Date.now() - shownAt.get(url) >= 1000 * Number(image.dataset.period);
        if (!asked.has(url) && isSeen(image) && (isDue || image.matches(".absent")))
            refreshPicture(image);
    }
}

// A new page's pictures begin with what is on the screen, not with an empty place.
function keepPictures(content, fresh) {
    for (const image of fresh.querySelectorAll("img[data-period]")) {
        const old = image.id && content.querySelector(`#${CSS.escape(image.id)}`);
        image.dataset.url = image.getAttribute("src");
        if (old?.naturalWidth)
            image.setAttribute("src", old.src);
    }
}

// --- news ---

// What somebody is about to send, or has opened, is not lost.
function keepTyped(content, fresh) {
    for (const field of content.querySelectorAll("input[type=text]:not([readonly]), select")) {
        const twin = field.id && fresh.querySelector(`#${CSS.escape(field.id)}`);
        if (twin)
            twin.value = field.value;
    }
    for (const details of content.querySelectorAll("details[open]")) {
        const twin = details.id && fresh.querySelector(`#${CSS.escape(details.id)}`);
        if (twin)
            twin.open = true;
    }
}

// --- the keyboard ---

const CONTROLS = "a[href], button, input, select, textarea, summary", CARDS = "li, section";

// Where the Tab key would come by.
function isTabbable(element) {
    const isShown = element.checkVisibility?.() ?? element.getClientRects().length > 0;
    return isShown && element.matches(CONTROLS) && element.tabIndex >= 0 && !element.disabled && !element.closest("[aria-hidden=true]");
}

// What a control of a page and its twin in the next one have in common: what it is, says and sends.
function signOf(element) {
    const sent = element.form ? [...element.form.querySelectorAll("input[type=hidden]:not([name=csrf], [name=idempotency_key])")] : [];
    return JSON.stringify([element.tagName, element.name, element.getAttribute("href"), element.dataset.copy,
                           element.getAttribute("aria-label") ?? element.textContent.trim(), sent.map((field) => [field.name, field.value])]);
}

// Another control of the same card, or of what that is in, which the next page has as well.
function neighbour(element, fresh) {
    for (let card = element.closest(CARDS); card; card = card.parentElement.closest(CARDS)) {
        for (const { id } of card.querySelectorAll("[id]")) {
            const twin = fresh.querySelector(`#${CSS.escape(id)}`);
            if (twin && isTabbable(twin))
                return twin;
        }
    }
    return null;
}

// Has the keyboard while there is nothing to press.
function heading() {
    const title = document.querySelector("h1");
    title.tabIndex = -1;
    return title;
}

// Where the keyboard goes on that was on `focused`: the same control, another one of its card, or the first of the page.
function successor(focused, fresh) {
    const all = [...fresh.querySelectorAll(CONTROLS)].filter(isTabbable);
    const sign = signOf(focused);
    return all.find((one) => focused.id && one.id === focused.id) ?? all.find((one) => signOf(one) === sign) ??
        neighbour(focused, fresh) ?? all[0] ?? heading();
}

// What is selected in a field stays so, too.
function hand(focused, goal) {
    goal.focus();
    if (goal.tagName === "INPUT" && goal.type === "text" && goal.value === focused.value)
        goal.setSelectionRange(focused.selectionStart, focused.selectionEnd);
}

// What differs in each answer is no news.
const plain = (html) => html.replace(/<input[^>]* name="idempotency_key"[^>]*>\n?/g, "");

// A page that keeps its content (the element with this id) up to date. `options`: equip(content) after each change;
// focus(old, fresh, isFree) where the keyboard goes for a reason of the page's own; state(json) with each new state; tick()
// again and again, less often when nobody looks.
export class News {
    ahead = 0;
    tag = "";

    constructor(id, options) {
        Object.assign(this, { id, options, shown: plain(document.getElementById(id).outerHTML) });
        this.poll = new Poll(() => this.ask(), options.wait);
        this.equip();
        setInterval(() => document.hidden || this.tick(), 1000);
        setInterval(() => document.hidden && this.options.tick?.(), HIDDEN_TICK_MS);
        this.poll.plan();
    }

    get content() {
        return document.getElementById(this.id);
    }

    equip() {
        this.options.equip?.(this.content);
        this.tick();
    }

    tick() {
        showTimes(this.content, this.ahead);
        refreshPictures(this.content);
        this.options.tick?.();
    }

    replace(page) {
        const fresh = page.getElementById(this.id), old = this.content;
        this.shown = plain(fresh.outerHTML);
        keepTyped(old, fresh);
        keepPictures(old, fresh);
        const focused = document.activeElement;
        const hadFocus = old.contains(focused), wasFree = focused === document.body;
        document.title = page.title;
        old.replaceWith(fresh);
        this.equip();
        const goal = this.options.focus?.(old, fresh, hadFocus || wasFree);
        if (goal)
            goal.focus();
        else if (hadFocus) // keyboard users do not fall back to the top of the page
            hand(focused, successor(focused, this.content));
    }

    async fetchPage() {
        const answer = await request(this.content.dataset.page, accepting("text/html"));
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        if (!answer.ok || !page.getElementById(this.id)) {
            location.reload();
            return;
        }
        if (plain(page.getElementById(this.id).outerHTML) === this.shown)
            return;
        const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
        if (document.startViewTransition && !calm && !document.hidden)
            await document.startViewTransition(() => this.replace(page)).updateCallbackDone;
        else
            this.replace(page);
    }

    async ask() {
        const answer = await request(this.content.dataset.page, accepting("application/json", this.tag));
        this.ahead = Date.parse(answer.headers.get("Date")) - Date.now() || 0;
        if (answer.status === 304)
            return;
        if (!answer.ok) { // gone, or no longer ours: the page says why
            location.reload();
            return;
        }
        const state = await answer.json();
        await this.fetchPage();
        this.tag = answer.headers.get("ETag") ?? "";
        this.options.state?.(state);
    }
}
