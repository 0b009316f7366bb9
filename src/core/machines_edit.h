/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Enabling and disabling a machine in the text of machines.conf or config.d/ (*.ini), so that comments, order, spaces
 * and line ends survive. A section is disabled when ';' stands before each of its lines: what people do by hand
 * as well. Pure functions; texts are borrowed, results are freed with g_free. */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef enum {
    SECTION_ABSENT,
    SECTION_DISABLED, /* there is one, commented out */
    SECTION_ENABLED,
} SectionState;

/* Whether the text has a section of this name. */
SectionState machines_text_state(const char *text, const char *name);

/* The text with ';' before each line of the section. What was commented out within it gets one more ';', so that
 * machines_text_enable gives the same bytes back. Nothing changes unless the section is enabled. */
char *machines_text_disable(const char *text, const char *name);

/* The text with one ';' less before the lines of the section that are its own. Nothing changes unless the section is
 * disabled. */
char *machines_text_enable(const char *text, const char *name);

/* The text with a new section at its end. */
char *machines_text_add(const char *text, const char *name);

/* The text with an attribute of an enabled section set: its line is replaced, or a new one follows the header. The
 * value must be a single line. */
char *machines_text_set(const char *text, const char *name, const char *key, const char *value);

/* The names of all sections that are disabled, each once, in order. Free with g_strfreev. */
char **machines_text_disabled(const char *text);

/* The value of an attribute in a disabled or enabled section; NULL when it has none. */
char *machines_text_value(const char *text, const char *name, const char *key);
