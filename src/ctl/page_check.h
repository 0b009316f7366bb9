/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What a start page of the administrator's, as one made for the original service, lacks to work with this one. */
#pragma once

#include "core/settings.h"

/* What is told, in order (char *). `page` is the page for nobody in particular, `page_of_user` that for somebody who
 * has logged in, with a csrf token. */
GPtrArray *page_check(const Settings *settings, const char *page, const char *page_of_user);
