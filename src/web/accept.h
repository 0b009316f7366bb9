/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The Accept header (RFC 9110, section 12.5.1). */
#pragma once

#include <stdbool.h>

/* Whether `accept` prefers media type `a` to `b` ("type/subtype"). Where both weigh the same, the one that is named
 * more exactly is preferred: JSON named beside "everything" asks for JSON. */
bool accept_prefers(const char *accept, const char *a, const char *b);
