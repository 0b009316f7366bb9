/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Under which names the service is reached. A browser tells a name twice, in Host and in Origin, and both may have
 * been chosen by somebody else's page (DNS rebinding, cross-site websockets): a name counts only when the setting
 * server_name has it. With an empty server_name the names are localhost, this host's name, and the addresses of its
 * interfaces. Entries are [scheme://]host[:port]; without a port any port is meant. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "core/settings.h"

/* Checks that each entry of server_name can be understood; QWD_ERROR_CONFIG. An entry that cannot never matches. */
bool origin_check_settings(const Settings *settings, GError **error);

/* Whether the request's Host header (NULL: it has none) is one of the service's names. */
bool host_is_known(const Settings *settings, const char *host_header);

/* Whether the Host header names the machine that the browser itself runs on: localhost and the names below it
 * (RFC 6761), 127.0.0.0/8, [::1]. */
bool host_is_loopback(const char *host_header);

/* Whether server_name says that browsers of other machines use the service: a name that is not of this kind, or https,
 * which is another program's. */
bool origin_names_others(const Settings *settings);

/* Whether a page of this Origin (RFC 6454; NULL: the client is no browser) may use the service. With an empty
 * server_name the origin must also be the host and port that the browser itself asked for. */
bool origin_is_allowed(const Settings *settings, const char *origin, const char *host_header);

/* Whether a page of this Origin may open a display; `host_header` is the websocket's. As above, but without
 * service_path the websocket has a port of its own, so that of the page may be any. */
bool origin_may_open_display(const Settings *settings, const char *origin, const char *host_header);

/* "scheme://host[:port]" for absolute links. `scheme` is the request's, NULL for http; the matching entry's own
 * scheme goes before it. Without a Host header (no browser): the first entry, else localhost. QWD_ERROR_USAGE when
 * the Host header is not one of our names. Free with g_free. */
char *public_base(const Settings *settings, const char *scheme, const char *host_header, GError **error);
