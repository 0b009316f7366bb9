/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Whether a request's head says clearly where the request ends (RFC 9112, sections 5, 6 and 11.2). A proxy in front of
 * qwd-server may read an unclear one in another way: what it takes for a body would be the next visitor's request here.
 */
#pragma once

#include <stdbool.h>

#include "server/request.h"

/* Every field is "name: value" on one line that ends in CR LF, the name is a token, no character of the value controls
 * anything, and there is one Host, and one Content-Length or one Transfer-Encoding that is "chunked", or neither. */
bool framing_is_clear(const Request *request);
