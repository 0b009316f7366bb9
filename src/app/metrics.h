/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Figures of the service for monitoring, and what is counted for them. */
#pragma once

#include "core/policy.h"

typedef enum { LOGIN_OK, LOGIN_REFUSED, LOGIN_UNAVAILABLE, LOGIN_RESULTS } LoginResult;

/* Counting. What cannot be counted is left out: nobody's session depends on it. */
void metrics_count_creation(const Settings *settings);
void metrics_count_refusal(const Settings *settings, const char *setting); /* the key of the limit */
void metrics_count_login(const Settings *settings, LoginResult result);
void metrics_count_ready(const Settings *settings, const SessionRecord *session);
void metrics_count_end(const Settings *settings, const SessionRecord *session);

/* All figures, as base/exposition.h has them. Sessions are named by the first digits of their ids: whole ids can be
 * keys to sessions, and monitoring passes on what it reads. NULL with an error for those who may not see them. */
char *app_metrics(const Settings *settings, const Identity *who, GError **error);
