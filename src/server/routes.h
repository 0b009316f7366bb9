/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Which path is whose. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "server/request.h"

typedef enum { METHOD_GET = 1, METHOD_HEAD = 2, METHOD_POST = 4 } MethodSet;

struct Route {
    MethodSet methods;
    ServerBase base;
    const char *path; /* below the base */
    bool below;       /* longer paths too */
    /* Called once the whole request has come. */
    enum MHD_Result (*handle)(Request *request);
};

/* Finds request->route; false when there is none for its path. */
bool routes_find(Request *request);

/* METHOD_GET, ...; 0 for a method that we do not know. */
MethodSet routes_method(const char *name);

/* The value of an Allow header. Free with g_free. */
char *routes_allow(MethodSet methods);

/* The part of the path behind the route's own. Borrowed. */
const char *routes_rest(const Request *request);
