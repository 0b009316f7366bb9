// SPDX-License-Identifier: AGPL-3.0-or-later
// The key of a mailed link, from behind the '#' of the address into the form. It is left in no history.

const field = document.getElementById("enter");
const key = location.hash.slice(1);

if (key) {
    history.replaceState(null, "", location.pathname + location.search);
    field.value = key;
    field.form.requestSubmit();
}
