/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Which interface leads outside: the kernel's tables of routes (proc(5)). */
#pragma once

#include <glib.h>

typedef enum { ROUTE_V4, ROUTE_V6 } RouteFamily;

/* The interface of this host's best default route; NULL when there is none. Free with g_free. */
char *route_default_interface(RouteFamily family);

/* The same in the text of such a table. */
char *route_find_default(RouteFamily family, const char *text);
