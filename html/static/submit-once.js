// SPDX-License-Identifier: AGPL-3.0-or-later
// A form that is sent twice, by a double click, is one submission: each time it has the same key, by which the service
// knows it again. What is sent once more on purpose, after an answer, has another one. For all pages with forms, also for
// start pages of the administrator's own. Without it, pages of the program have a key that the service has put there.

const FIELD = "idempotency_key";

const newKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

const underWay = new Map(); // keys of what has been sent and is not answered yet, by what it asks for

// The key for what is sent now. `what` is any text that says what it asks for.
export function begin(what) {
    const key = underWay.get(what) ?? newKey();
    underWay.set(what, key);
    return key;
}

export const end = (what) => underWay.delete(what);

function fieldsOf(form, submitter) {
    const fields = new FormData(form);
    fields.delete(FIELD);
    return JSON.stringify([...fields, [submitter?.name, submitter?.value]]);
}

function keyField(form) {
    if (form.elements[FIELD])
        return form.elements[FIELD];
    const field = document.createElement("input");
    Object.assign(field, { type: "hidden", name: FIELD });
    form.append(field);
    return field;
}

document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post")
        return;
    const what = fieldsOf(form, event.submitter);
    if (form.elements.pending && underWay.has(what)) // a code, or a mailed link, counts once: the first answer is the one
        event.preventDefault();
    else
        keyField(form).value = begin(what);
});

// The answer is another page; who comes back to this one begins anew.
window.addEventListener("pageshow", () => underWay.clear());
