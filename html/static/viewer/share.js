// SPDX-License-Identifier: AGPL-3.0-or-later
// The owner's dialogs: links to the machine and who is connected; stopping it.

import { language, t } from "../words.js";
import { change, get, place } from "./ask.js";
import { byId, make, say } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";

async function copy(field) {
    field.select();
    try {
        await navigator.clipboard.writeText(field.value);
    } catch {
        document.execCommand("copy"); // without https there is no navigator.clipboard
    }
    say(t("Copied."));
}

function codePicture({ size, path }) {
    const picture = document.createElementNS(SVG, "svg");
    const ground = document.createElementNS(SVG, "rect"), dark = document.createElementNS(SVG, "path");
    for (const [element, attributes] of [
        [picture, { viewBox: `0 0 ${size} ${size}`, class: "qr", role: "img", "aria-label": t("QR code of the link"), "shape-rendering": "crispEdges" }],
        [ground, { width: size, height: size, fill: "#ffffff" }], [dark, { d: path, fill: "#000000" }]]) {
        for (const [name, value] of Object.entries(attributes))
            element.setAttribute(name, value);
    }
    picture.append(ground, dark);
    return picture;
}

// One row for each of `things`. Only rows of what has changed are made anew: what has the keyboard or is selected, and QR
// codes that are shown, stay.
function renew(list, things, makeRow) {
    const hadFocus = list.contains(document.activeElement);
    const wanted = things.map((thing) => JSON.stringify(thing));
    for (const row of [...list.children].filter((one) => !wanted.includes(one.dataset.shows)))
        row.remove();
    for (const [i, shows] of wanted.entries()) {
        const there = list.children[i];
        if (there?.dataset.shows === shows)
            continue;
        const row = makeRow(things[i]);
        row.dataset.shows = shows;
        list.insertBefore(row, there ?? null);
    }
    while (list.children.length > wanted.length)
        list.lastElementChild.remove();
    if (hadFocus && !list.contains(document.activeElement))
        byId("share-label").focus();
}

export class Share {
    // changed(session): the owner's state has come with an answer
    constructor(changed) {
        this.changed = changed;
        byId("share-form").addEventListener("submit", (event) => this.makeLink(event));
        byId("stop-yes").addEventListener("click", () => this.stop());
        for (const button of document.querySelectorAll("[data-close]"))
            button.addEventListener("click", () => byId(button.dataset.close).close());
    }

    update({ links, viewers }) {
        renew(byId("links"), links, (link) => this.linkRow(link));
        renew(byId("viewers"), viewers.length ? viewers : [null], (viewer) => (viewer ? this.viewerRow(viewer) : make("li", { class: "quiet" }, t("Nobody."))));
    }

    // --- rows ---

    button(text, name, run) {
        const button = make("button", { class: "button small", type: "button", "aria-label": name }, text);
        button.addEventListener("click", () => run(button));
        return button;
    }

    linkRow(link) {
        const label = link.is_own ? t("Your own link") : link.label;
        const head = make("div", { class: "link-what" }, make("strong", {}, label), " ", make("span", { class: "badge" }, link.role_text));
        if (link.end)
            head.append(make("span", { class: "quiet" }, ` ${t("until [end]", { end: new Date(link.end.iso).toLocaleString(language, { dateStyle: "medium", timeStyle: "short" }) })}`));
        const row = make("li", {}, head);
        const revoke = link.is_own ? t("Make anew") : t("Revoke");
        const revokeName = link.is_own ? t("Make anew: [label]", { label }) : t("Revoke: [label]", { label });
        if (link.viewer_url) {
            const field = make("input", { type: "text", readonly: "", value: link.viewer_url, "aria-label": t("Link: [label]", { label }) });
            row.append(make("div", { class: "with-button" }, field, this.button(t("Copy"), t("Copy link: [label]", { label }), () => copy(field))),
                       this.button(t("QR code"), t("QR code: [label]", { label }), (button) => this.toggleCode(row, button, link.id)));
        }
        row.append(this.button(revoke, revokeName, () => this.ask({ session: place.session, link_revoke: link.id })));
        return row;
    }

    viewerRow(viewer) {
        const who = [viewer.address, viewer.link_label].filter(Boolean).join(", ");
        return make("li", { class: "viewer" }, make("span", {}, who, " ", make("span", { class: "badge" }, viewer.role_text)),
                    this.button(t("Disconnect"), t("Disconnect [who]", { who }), () => this.ask({ session: place.session, viewer_disconnect: viewer.serial })));
    }

    async toggleCode(row, button, id) {
        const shown = row.querySelector("svg");
        if (shown) {
            shown.remove();
            return;
        }
        try {
            row.append(codePicture((await get({ session: place.session, qr: id })).qr));
            button.focus();
        } catch (error) {
            this.fail(error.message || t("The service does not answer. Try again."));
        }
    }

    // --- requests ---

    fail(message) {
        byId("share-trouble").textContent = message;
        byId("share-trouble").hidden = !message;
    }

    // True when it is done.
    async ask(fields) {
        try {
            this.fail("");
            this.changed((await change(fields)).session);
            return true;
        } catch (error) {
            this.fail(error.message || t("The service does not answer. Try again."));
            return false;
        }
    }

    async makeLink(event) {
        event.preventDefault();
        const fields = Object.fromEntries(new FormData(byId("share-form")));
        if (!fields.link_lifetime)
            delete fields.link_lifetime;
        if (await this.ask({ share: place.session, ...fields }))
            byId("share-label").value = "";
    }

    async stop() {
        byId("stop-dialog").close();
        try {
            this.changed((await change({ session_stop: place.session, user: place.owner })).session);
        } catch (error) {
            say(error.message || t("The service does not answer. Try again."));
        }
    }
}
