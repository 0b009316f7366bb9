/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The lists of the form: numbers of cores, sizes of memory, life-times that somebody may choose. */
#pragma once

#include <jansson.h>

#include "core/choices.h"
#include "core/settings.h"

typedef enum { CHOICE_CPUS, CHOICE_MEMORY, CHOICE_LIFETIME, CHOICE_KINDS } ChoiceKind;

/* What is offered: of the setting's list what is not above the most (of `choices`, and of this host), and that most
 * itself where a group gives more; with the default selected. Each is {value, text, amount, selected}. New reference.
 */
json_t *choice_values(const Settings *settings, ChoiceKind kind, const Choices *choices);

/* The most of a kind that a machine's own list allows, for people; null when it has none. New reference. */
json_t *choice_most_text(ChoiceKind kind, const char *list, const Choices *choices);

/* The most of a kind in `choices`. */
gint64 choice_most(ChoiceKind kind, const Choices *choices);
