/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Pages from templates: the part of Mustache (mustache(5)) that has no logic, over a jansson object.
 *
 *   {{name}} {{a.b}} {{.}}       a text or number; null gives nothing; true, false, objects and arrays are errors
 *   {{#name}} ... {{/name}}      once for true, a text that is not empty, a number or an object; for each item of
 *                                an array. Inside, names are looked up in the value first, then further out.
 *   {{^name}} ... {{/name}}      when null, false, "" or []
 *   {{> file.html}}              another template of the same folder, with the same values
 *   {{_ Words for [name].}}      text in the visitor's language (catalogue.h), with values; a time as an element
 *   {{! ... }}                   nothing
 *   {{layout_machines_list}} {{layout_cpu}} {{layout_memory}} {{layout_lifetime}}
 *                                the original's: {{> options-*.html}}, options of a select in the start page
 *
 * In pages, values are always escaped for HTML text and quoted attributes; there is no raw form ({{{ and {{& are
 * errors), so a template must quote its attributes and must not put values into scripts or styles. A name that nobody
 * has given is an error: what is optional is given as null or false; "lang" (the language) and "languages" ([]) are
 * there always, and so is what an administrator has said about looks: "brand" (name of the service), "logo" (URL path),
 * "header", "footer" (texts), each null when there is none. A line with nothing but section, comment or
 * partial tags leaves no empty line behind. */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

/* Renders `folder`/`name` (a plain file name). The text is UTF-8, at most 16 MiB; free with g_free. NULL on error,
 * which is always QWD_ERROR_INTERNAL and names file and line. */
char *template_render(const char *folder, const char *name, const json_t *values, GError **error);

/* The same for a template that is in memory; `name` is used in messages, partials come from `folder`. */
char *template_render_text(const char *folder, const char *name, const char *text, const json_t *values,
                           GError **error);

/* template_render for a plain text, such as a mail: values are not escaped, but each of their control characters and
 * line separators becomes a space, so that a value can neither begin a line nor steer a terminal. */
char *template_render_plain(const char *folder, const char *name, const json_t *values, GError **error);

/* From now on, templates of `folder` (NULL: none) stand in place of those of the same name, and `values` (an object;
 * stolen) are known to all. When one of them is broken, ours is used, and what was wrong ("FILE:LINE: ...") is noted.
 */
void template_use_layout(const char *folder, json_t *values);

/* What was noted since (const char *), NULL when no layout is used. Borrowed. */
const GPtrArray *template_troubles(void);

/* Appends `length` bytes of UTF-8 escaped for HTML text and quoted attributes (& < > " '); control characters that
 * HTML does not allow become U+FFFD. */
void template_escape(GString *out, const char *text, size_t length);
