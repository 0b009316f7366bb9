/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Who sends a request, as far as it is proven. */
#pragma once

#include "core/policy.h"
#include "web/request.h"

/* Whether the request comes from a browser on this machine: its address is one of ours, and no proxy stands in
 * between (a proxy on this machine would make everybody local). */
bool identity_is_local(const Request *request);

/* `user` is what the login form says, and is borrowed. */
Identity identity_of(const Request *request, const char *user);
