// SPDX-License-Identifier: AGPL-3.0-or-later
// The start page. The file that is made for everybody becomes the visitor's own page, where the service knows them;
// what is free and what runs stays up to date; the last choice is proposed again. All HTML is made by the server: the
// program's page is fetched, and its parts are put in place of ours. Everything works without this script, too.

import { Poll, accepting, request } from "./poll.js";

const STEADY_MS = 15000; // between two looks at what is free
const HIDDEN_MS = 120000; // when nobody looks at the page, or the service does not answer
const MEMORY = "qwd-choice";
const SIZES = { cpu: "cpu", memory: "memory", snapshot_lifetime: "lifetime" }; // fields, and the machines' attributes
const SWITCHES = ["gpu", "oneshot"];

const landing = () => document.getElementById("landing");
const form = () => document.getElementById("create-form");
const folders = () => [...form().querySelectorAll("input[name=folder]")];

let tag = ""; // ETag of the page we show
let touched = false; // the visitor has begun to choose
let isKnown = true; // otherwise there is nothing to ask for again: the service does not know who looks

// --- language ---

const cookie = (name) => document.cookie.split("; ").find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1);

function remember(language) {
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `qwd_lang=${language}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
}

// The language that the browser prefers among those that the page is offered in.
function preferred(offered) {
    for (const wish of navigator.languages ?? []) {
        const code = offered.find((one) => wish.toLowerCase() === one || wish.toLowerCase().startsWith(`${one}-`));
        if (code)
            return code;
    }
    return "";
}

// The file has one language, others lie beside it: whoever has chosen one, or would, goes there. True on the way.
function goToLanguage() {
    const links = [...document.querySelectorAll("footer a[hreflang]")];
    for (const link of links)
        link.addEventListener("click", () => remember(link.hreflang));
    const here = document.documentElement.lang;
    const wanted = cookie("qwd_lang") || preferred([here, ...links.map((link) => link.hreflang)]);
    const link = links.find((one) => one.hreflang === wanted);
    if (link && "file" in landing().dataset)
        location.replace(link.href);
    return Boolean(link) && "file" in landing().dataset;
}

// --- the last choice ---

const machineOf = () => form().querySelector("input[name=machine]:checked, input[name=machine][type=hidden]");

function readMemory() {
    try {
        return JSON.parse(localStorage.getItem(MEMORY)) ?? {};
    } catch {
        return {};
    }
}

function choiceOf() {
    const fields = new FormData(form());
    const choice = Object.fromEntries(["machine", ...Object.keys(SIZES)].map((name) => [name, fields.get(name)]));
    for (const name of SWITCHES)
        choice[name] = fields.has(name);
    if (folders().length > 0) // not on the file for everybody
        choice.without = folders().filter((folder) => !folder.checked).map((folder) => folder.value);
    return choice;
}

function keepChoice(event) {
    if (event.submitter?.name !== "create")
        return;
    try {
        localStorage.setItem(MEMORY, JSON.stringify({ ...readMemory(), ...choiceOf() }));
    } catch {
        // a browser that keeps nothing
    }
}

// Only what is still offered counts.
function applyChoice(choice) {
    const machine = form().querySelector(`input[type=radio][name=machine][value="${CSS.escape(String(choice.machine))}"]`);
    if (machine)
        machine.checked = true;
    for (const name of Object.keys(SIZES)) {
        const list = form().elements[name];
        if (list && [...list.options].some((option) => option.value === choice[name]))
            list.value = choice[name];
    }
    for (const name of SWITCHES) {
        if (form().elements[name])
            form().elements[name].checked = choice[name] === true;
    }
    if (choice.without) {
        for (const folder of folders())
            folder.checked = !choice.without.includes(folder.value);
    }
}

// A machine may get less than others do: what it does not get cannot be chosen.
function fitSizes() {
    const machine = machineOf();
    for (const [name, attribute] of Object.entries(SIZES)) {
        const list = form().elements[name];
        const most = Number(machine?.dataset[attribute]) || Infinity;
        const allowed = [];
        for (const option of list?.options ?? []) {
            option.disabled = Number(option.dataset.amount) > most;
            if (!option.disabled)
                allowed.push(option);
        }
        if (list?.selectedOptions[0]?.disabled && allowed.length > 0)
            list.value = allowed.at(-1).value;
    }
    if (form().elements.gpu) {
        form().elements.gpu.disabled = machine?.dataset.gpu === "no";
        form().elements.gpu.checked &&= !form().elements.gpu.disabled;
    }
}

// --- times, in the visitor's zone ---

function showTimes() {
    const { lang } = document.documentElement;
    const locale = navigator.language.startsWith(lang) ? navigator.language : lang; // en-GB on a page in English
    for (const time of document.querySelectorAll("#visitor time")) {
        const moment = new Date(time.dateTime);
        if (Number.isNaN(moment.getTime()))
            continue;
        const today = moment.toDateString() === new Date().toDateString();
        time.title = time.textContent;
        time.textContent = today ? moment.toLocaleTimeString(locale, { timeStyle: "short" })
                                 : moment.toLocaleString(locale, { dateStyle: "medium", timeStyle: "short" });
    }
}

// --- the visitor's own page ---

function equip() {
    form().addEventListener("submit", keepChoice);
    form().addEventListener("change", () => {
        touched = true;
        fitSizes();
    });
    applyChoice(readMemory());
    fitSizes();
    showTimes();
}

// Whoever types a name or password already goes on with that.
const isTyping = () => [...form().querySelectorAll("input[type=text]:not([name=script]), input[type=password]")].some((field) => field.value);

// Puts the parts of another page that `selector` finds in place of ours, where they differ.
function exchange(page, selector) {
    const fresh = page.querySelector(selector), old = document.querySelector(selector);
    if (old.outerHTML !== fresh.outerHTML)
        old.replaceWith(fresh);
}

// Another one's page, or the same in another language: what is chosen stays.
function become(page) {
    const focused = document.activeElement?.id;
    const chosen = choiceOf(), agreed = form().elements.terms?.checked, commands = form().elements.script?.value;
    if (document.documentElement.lang !== page.documentElement.lang) {
        document.documentElement.lang = page.documentElement.lang;
        document.title = page.title;
        exchange(page, "footer");
    }
    landing().replaceWith(page.getElementById("landing"));
    exchange(page, "header.bar");
    equip();
    if (touched)
        applyChoice(chosen);
    if (form().elements.terms)
        form().elements.terms.checked = agreed;
    if (form().elements.script)
        form().elements.script.value = commands ?? "";
    fitSizes();
    document.getElementById(focused)?.focus();
}

// Who looks, and in which language, as far as a page tells.
const identity = (page) => [page.documentElement.lang, page.querySelector(".who")?.textContent].join(" ");

// News come without a jump of what is being read: only what differs is replaced, and the form stays.
function renew(page) {
    const fresh = page.getElementById("visitor"), old = document.getElementById("visitor");
    const focused = old.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    old.replaceWith(fresh);
    showTimes();
    if (focused)
        fresh.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
    exchange(page, "header.bar");
    const token = form().elements.csrf, other = page.querySelector("#create-form [name=csrf]");
    if (token && other) // after another login the old one is none of theirs
        token.value = other.value;
}

async function ask() {
    const answer = await request(landing().dataset.page, accepting("text/html", tag));
    if (answer.status === 304)
        return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const isFile = "file" in landing().dataset, isPage = answer.ok && page.getElementById("landing");
    isKnown = isPage && (!isFile || page.documentElement.lang === document.documentElement.lang);
    if (!isPage && !isFile)
        location.reload(); // the page says why
    if (!isKnown)
        return;
    if ((isFile || identity(page) !== identity(document)) && !isTyping())
        become(page);
    else
        renew(page);
    tag = answer.headers.get("ETag") ?? "";
}

function wait(good) {
    const ms = good && !document.hidden ? STEADY_MS : HIDDEN_MS;
    return isKnown ? ms : 0;
}

if (!goToLanguage()) {
    const poll = new Poll(ask, wait);
    equip();
    if (landing().dataset.file === "asks") // not where the browser would ask for the web server's password
        poll.now();
    else if (!("file" in landing().dataset))
        poll.plan();
}
