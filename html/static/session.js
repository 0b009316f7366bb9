/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Keeps the page of a session up to date. Asks for the JSON state of the page; when that has changed, fetches the page
 * itself and puts its content in place of the old, so that HTML is made in one place only, by the server. */
"use strict";

(() => {
    const WAITING_MS = 500; /* after the last answer, while the session gets ready or stops */
    const STEADY_MS = 5000; /* when it is ready, when nobody looks, when the service does not answer */
    const PATIENCE_MS = 15000;
    const MOVING = ["starting", "stopping"];
    const OVER = ["ended", "failed"];

    const announce = document.getElementById("announce");
    const trouble = document.getElementById("trouble");
    const content = () => document.getElementById("session");

    let shown = content().outerHTML; /* as the server made it */
    let tag = "";                    /* ETag of the state we show */
    let timer = 0;
    let ahead = 0; /* milliseconds that the server's clock is ahead of ours */

    /* --- times, in the visitor's zone --- */

    function elapsed(seconds) {
        const minutes = Math.floor(seconds / 60), hours = Math.floor(minutes / 60);
        if (hours > 0)
            return `${hours} h ${minutes % 60} min`;
        return minutes > 0 ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
    }

    function showTimes() {
        const now = Date.now() + ahead;
        for (const time of content().querySelectorAll("time")) {
            const moment = new Date(time.dateTime);
            if (Number.isNaN(moment.getTime()))
                continue;
            if ("until" in time.dataset) {
                time.title = time.title || time.textContent;
                time.textContent = `in ${elapsed(Math.max(0, Math.round((moment - now) / 1000)))}`;
            } else if ("since" in time.dataset) {
                time.textContent = elapsed(Math.max(0, Math.round((now - moment) / 1000)));
            } else {
                time.title = time.title || time.textContent;
                time.textContent = moment.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
            }
        }
    }

    /* --- buttons that need a script --- */

    async function copy(button) {
        const field = document.getElementById(button.dataset.copy);
        field.select();
        try {
            await navigator.clipboard.writeText(field.value);
        } catch {
            document.execCommand("copy"); /* without https there is no navigator.clipboard */
        }
        button.textContent = "Copied";
        announce.textContent = "Copied";
    }

    function equip() {
        showTimes();
        for (const button of content().querySelectorAll("[data-copy]")) {
            button.hidden = false;
            button.addEventListener("click", () => copy(button));
        }
    }

    /* --- news --- */

    /* What somebody is about to send is not lost. */
    function keepTyped(fresh) {
        for (const field of content().querySelectorAll("input[type=text]:not([readonly]), select")) {
            const twin = field.id && fresh.querySelector(`#${field.id}`);
            if (twin)
                twin.value = field.value;
        }
    }

    /* Has the keyboard while there is nothing to press. */
    function heading(fresh) {
        const title = fresh.querySelector("h1");
        title.tabIndex = -1;
        return title;
    }

    function replaceContent(page) {
        const fresh = page.getElementById("session");
        shown = fresh.outerHTML;
        keepTyped(fresh);
        const focused = document.activeElement;
        const wasInside = content().contains(focused);
        const becameReady = !document.getElementById("connect") && fresh.querySelector("#connect");
        const id = focused && focused.id;
        content().replaceWith(fresh);
        equip();
        document.title = page.title;
        if (becameReady && (wasInside || focused === document.body))
            document.getElementById("connect").focus();
        else if (wasInside) /* keyboard users do not fall back to the top of the page */
            (document.getElementById(id) || fresh.querySelector("#connect, #again") || heading(fresh)).focus();
    }

    function request(headers) {
        return fetch(content().dataset.page, { headers, cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    }

    async function fetchPage() {
        const answer = await request({ Accept: "text/html" });
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        if (!answer.ok || !page.getElementById("session")) {
            location.reload();
            return;
        }
        if (page.getElementById("session").outerHTML === shown)
            return;
        const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
        if (document.startViewTransition && !calm && !document.hidden)
            await document.startViewTransition(() => replaceContent(page)).updateCallbackDone;
        else
            replaceContent(page);
    }

    /* What screen readers say. */
    function words(session) {
        if (session.ending)
            return `${session.ending.what} ${session.ending.help}`;
        const step = session.steps.find((one) => one.is_now);
        return session.is_waiting && step ? step.text : session.state_text;
    }

    async function ask() {
        const headers = { Accept: "application/json" };
        if (tag)
            headers["If-None-Match"] = tag;
        const answer = await request(headers);
        ahead = Date.parse(answer.headers.get("Date")) - Date.now() || 0;
        if (answer.status === 304)
            return;
        if (answer.status === 429 || answer.status >= 500)
            throw new Error(`status ${answer.status}`);
        if (!answer.ok) { /* gone, or no longer ours: the page says why */
            location.reload();
            return;
        }
        const { session } = await answer.json();
        await fetchPage();
        tag = answer.headers.get("ETag") || "";
        if (announce.textContent !== words(session))
            announce.textContent = words(session);
    }

    /* --- asking again and again --- */

    function plan(good) {
        const state = content().dataset.state;
        clearTimeout(timer);
        if (!OVER.includes(state))
            timer = setTimeout(poll, good && MOVING.includes(state) && !document.hidden ? WAITING_MS : STEADY_MS);
    }

    async function poll() {
        let good = true;
        timer = 0;
        try {
            await ask();
        } catch {
            good = false;
        }
        trouble.hidden = good;
        plan(good);
    }

    document.addEventListener("visibilitychange", () => {
        if (!document.hidden && timer) {
            clearTimeout(timer);
            poll();
        }
    });
    setInterval(() => document.hidden || showTimes(), 1000);
    equip();
    plan(true);
})();
