/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Who sends a request, as far as it is proven. */
#pragma once

#include "core/policy.h"
#include "web/request.h"

/* Whether the request comes from a browser on this machine, and not through a proxy: then it is served without a login.
 * The address alone does not tell, since a proxy on this machine lends its own to all its visitors, and most say
 * nothing of them. So all of this must hold: the address is one of this machine's, and no header of a proxy is there;
 *   the Host is one that only browsers on this machine use (localhost), and server_name has none for others;
 *   the kernel says that the connection belongs to an account of people or to root, not to one of the system, under
 *   which proxies run. nginx writes "Host: 127.0.0.1" by itself, so the Host alone does not tell either.
 * What it cannot tell: a forwarder (socat, ssh -L) that root or a user runs, when a visitor lies in the Host. */
bool identity_is_local(const Request *request, const Settings *settings);

/* `user` is what the login form says, and is borrowed. */
Identity identity_of(const Request *request, const Settings *settings, const char *user);

/* Whether the request carries the token of metrics_token_file. QWD_ERROR_CONFIG when that file cannot be used. */
bool identity_has_metrics_token(const Request *request, const Settings *settings, GError **error);
