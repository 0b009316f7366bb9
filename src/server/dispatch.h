/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What happens to every request before and after its route: libmicrohttpd's callbacks. */
#pragma once

#include <microhttpd.h>

/* Each takes the Server as its first argument. */
void dispatch_connection(void *server, struct MHD_Connection *connection, void **entry,
                         enum MHD_ConnectionNotificationCode code);
void *dispatch_begin(void *server, const char *uri, struct MHD_Connection *connection);
enum MHD_Result dispatch_request(void *server, struct MHD_Connection *connection, const char *url, const char *method,
                                 const char *version, const char *data, size_t *length, void **request);
void dispatch_end(void *server, struct MHD_Connection *connection, void **request,
                  enum MHD_RequestTerminationCode code);

/* Seconds without a byte after which a connection is closed. */
#define DISPATCH_IDLE_S 20
