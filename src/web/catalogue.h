/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The texts of the pages in the visitor's language. English is what templates, scripts and the C code have, and the
 * key of every catalogue, as with gettext(3): html/i18n/LANG.json is {"English text": "translation"}. A text without
 * a translation is shown in English. Its entry "" is about the language: "name" is what it calls itself,
 * "one_until" the largest number that takes the singular (default 1), "one_from" the smallest (default 1),
 * "decimal" the sign before a fraction (default ".").
 *
 * A process has one language at a time, English at first. Floors below this one know nothing of languages: errors,
 * reasons and notes are made in English, as logs and commands want them, and translated when a page shows them. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "base/text.h" /* N_ */

/* Loads LANG.json of folder `html`/i18n. A language without a catalogue, or with a broken one, is English; false then
 * (but for "en"), with *error (may be NULL) set. */
bool catalogue_use(const char *html, const char *language, GError **error);

/* Puts the texts of LANG.json of `folder`/i18n over those of the language in use, English too. No such file is fine;
 * false with *error set when it is broken. */
bool catalogue_add(const char *folder, GError **error);

/* The language that is used: "en" at first. Borrowed. */
const char *catalogue_language(void);

/* The language among `offered` (codes such as "fr", the first is the default) that a request asks for: by its own
 * `wish` ("" for none), else by Accept-Language (RFC 9110, section 12.5.4). Borrowed from `offered`. */
const char *catalogue_choose(char *const *offered, const char *wish, const char *accept_language);

/* What a language calls itself ("Français"), its code when nobody knows. */
const char *catalogue_language_name(const char *language);

/* The translation of an English text. Borrowed until the next catalogue_use. */
const char *tr(const char *english);

/* The translation of one of two English formats for `count`, which stands in it once as "%d". Free with g_free. */
char *tr_count(const char *one, const char *many, gint64 count);

/* A number with one decimal place. Free with g_free. */
char *tr_number(double value);

/* The translation of what a printf format gives; nothing of a catalogue is ever a format. Free with g_free. */
char *tr_format(const char *english, ...) G_GNUC_PRINTF(1, 2);

/* A time as g_date_time_format gives it, but for %b, the month. Free with g_free. */
char *tr_time(GDateTime *time, const char *format);

/* The translation of a text that was made from an English printf format, which is found by its fixed parts; what stood
 * for %s, %d and the like is translated likewise where it can be, and takes the same places in the same order. Several
 * sentences may each be of another format. Otherwise the text itself. Free with g_free. */
char *tr_message(const char *english);

/* The same of what base/units.h makes of an amount. */
char *tr_duration(gint64 seconds);
char *tr_size(gint64 mebibytes);
