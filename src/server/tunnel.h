/* SPDX-License-Identifier: AGPL-3.0-or-later
 * A display: noVNC's files, and below the same path the websocket, which goes on to websockify. */
#pragma once

#include "server/request.h"

enum MHD_Result tunnel_or_novnc(Request *request);
