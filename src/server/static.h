/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Files: the landing page, its styles and scripts, and noVNC. */
#pragma once

#include "server/request.h"

enum MHD_Result static_page(Request *request);
enum MHD_Result static_translated_page(Request *request);
enum MHD_Result static_picture(Request *request);
enum MHD_Result static_asset(Request *request);
enum MHD_Result static_novnc(Request *request);

/* noVNC's modules for the viewer's page, also where there is no service_path. */
#define STATIC_MODULES "novnc/"
enum MHD_Result static_module(Request *request);
