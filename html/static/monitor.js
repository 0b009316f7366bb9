/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Keeps the monitor up to date. Asks for the figures that change from moment to moment and writes them into their
 * places; when more has changed (another version), or somebody looks for something else, fetches the page itself and
 * puts its content in place of the old, so that HTML is made in one place only, by the server. */
import { Poll, accepting, request } from "./poll.js";
import { language, t, tCount } from "./words.js";

const STEADY_MS = 5000;  /* after the last answer */
const HIDDEN_MS = 60000; /* when nobody looks */
const TYPING_MS = 300;   /* after the last key, before something is looked for */

const announce = document.getElementById("announce");
const content = () => document.getElementById("monitor");
const find = (selector) => content().querySelector(selector);
const all = (selector) => [...content().querySelectorAll(selector)];

let tag = "";    /* ETag of the figures we show */
let typing = 0;  /* of what is being typed */
let latest = 0;  /* number of the last page that was asked for: an earlier one that comes later is not shown */
let wanted = content().dataset.path; /* what is looked for */
let isShown = true;                  /* whether the page shows that already */

function say(text) {
    if (announce.textContent !== text)
        announce.textContent = text;
}

/* --- the selection --- */

const boxes = () => all("input[name=sessions]");

function showSelection() {
    const chosen = boxes().filter((box) => box.checked).length;
    const text = find("#chosen"), every = find("#all");
    if (!text)
        return;
    text.textContent = tCount("%d session selected", "%d sessions selected", chosen);
    every.checked = chosen > 0 && chosen === boxes().length;
    every.indeterminate = chosen > 0 && !every.checked;
    for (const button of all("button[value=selected]"))
        button.disabled = chosen === 0;
    find("#sure").disabled = chosen === 0;
}

/* --- a new page in place of the old --- */

/* What a page and the next one have in common, to find it again. */
function nameOf(element) {
    if (element.id)
        return `#${element.id}`;
    if (element.dataset.look)
        return `[data-look="${element.dataset.look}"]`;
    return element.name && element.value ? `[name="${element.name}"][value="${CSS.escape(element.value)}"]` : "";
}

function remember() {
    const focused = content().contains(document.activeElement) ? document.activeElement : null;
    const field = find("#find");
    return {
        chosen: new Set(boxes().filter((box) => box.checked).map((box) => box.value)),
        sure: all("#sure, #sure-all").filter((box) => box.checked).map((box) => box.id),
        focus: focused && nameOf(focused),
        wasInside: Boolean(focused),
        typed: field && [field.value, field.selectionStart, field.selectionEnd],
        scrolled: find(".scroll")?.scrollLeft ?? 0,
    };
}

function recall(memory) {
    for (const box of boxes())
        box.checked = memory.chosen.has(box.value);
    for (const id of memory.sure) {
        if (find(`#${id}`))
            find(`#${id}`).checked = true;
    }
    if (find("#find") && memory.typed) {
        find("#find").value = memory.typed[0];
        find("#find").setSelectionRange(memory.typed[1], memory.typed[2]);
    }
    if (find(".scroll"))
        find(".scroll").scrollLeft = memory.scrolled;
    if (memory.wasInside) /* keyboard users do not fall back to the top of the page */
        ((memory.focus && find(memory.focus)) || find("#find") || document.body).focus({ preventScroll: true });
}

function equip() {
    showTaken(new Date(find("#taken").dateTime));
    if (find("#all"))
        find("#all").closest("label").hidden = false;
    showSelection();
}

async function show(path) {
    const number = ++latest;
    const answer = await request(path, accepting("text/html"));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("monitor");
    if (number !== latest)
        return;
    if (!answer.ok || !fresh) { /* logged out, or no administrator any more: the page says why */
        location.reload();
        return;
    }
    const memory = remember();
    content().replaceWith(fresh);
    recall(memory);
    equip();
    tag = "";
    if (isShown)
        return;
    isShown = true;
    history.replaceState(null, "", path);
    say(t("[count] shown", { count: find("#count").textContent }));
}

/* --- looking for something else --- */

/* Where there is no answer, it goes on looking. */
function look(path) {
    wanted = path;
    isShown = false;
    poll.now();
}

function lookByForm() {
    clearTimeout(typing);
    const form = find("#look");
    look(`${form.getAttribute("action")}?${new URLSearchParams(new FormData(form))}`);
}

document.addEventListener("input", (event) => {
    if (event.target.id !== "find")
        return;
    clearTimeout(typing);
    typing = setTimeout(lookByForm, TYPING_MS);
});

document.addEventListener("change", (event) => {
    if (event.target.id === "all")
        boxes().forEach((box) => { box.checked = event.target.checked; });
    if (event.target.matches("#all, input[name=sessions]"))
        showSelection();
    if (event.target.matches("#look select"))
        lookByForm();
});

document.addEventListener("submit", (event) => {
    if (event.target.id === "look") {
        event.preventDefault();
        lookByForm();
    }
});

document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-look]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0)
        return;
    event.preventDefault();
    if (link.dataset.look === "all")
        find("#find").value = "";
    look(link.getAttribute("href"));
});

/* --- news --- */

/* In the visitor's zone. */
function showTaken(moment) {
    if (!Number.isNaN(moment.getTime()))
        find("#taken").textContent = moment.toLocaleString(language, { dateStyle: "medium", timeStyle: "medium" });
}

function write(element, value) {
    const text = value === null ? "" : String(value);
    if (element && element.textContent !== text)
        element.textContent = text;
}

function showFigures({ figures, sessions, count }) {
    for (const figure of figures) {
        for (const part of ["now", "of"])
            write(find(`[data-figure="${figure.key}"] [data-part="${part}"]`), figure[part]);
    }
    for (const session of sessions) {
        const row = find(`tr[data-id="${session.id}"]`);
        for (const cell of row?.querySelectorAll("[data-cell]") ?? [])
            write(cell, session[cell.dataset.cell]);
    }
    write(find("#count"), count);
}

async function refresh() {
    const path = wanted;
    if (!isShown) {
        await show(path);
        return;
    }
    const answer = await request(path, accepting("application/json", tag));
    if (path !== wanted) /* something else is looked for by now */
        return;
    if (!answer.ok && answer.status !== 304) {
        location.reload();
        return;
    }
    showTaken(new Date(answer.headers.get("Date") ?? Date.now()));
    if (answer.status === 304)
        return;
    const { monitor } = await answer.json();
    if (monitor.version === content().dataset.version) {
        showFigures(monitor);
        tag = answer.headers.get("ETag") ?? "";
    } else {
        await show(path);
    }
}

const poll = new Poll(refresh, () => (document.hidden ? HIDDEN_MS : STEADY_MS));
equip();
poll.plan();
