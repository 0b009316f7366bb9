/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The CGI program, one process for each request. */
#pragma once

#include "server/request.h"

enum MHD_Result cgi_handle(Request *request);

/* After the answer: lets the program end, without holding up the connection. */
void cgi_finish(Request *request);
