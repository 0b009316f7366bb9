/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Giving the host's GPUs to sessions. */
#pragma once

#include "core/session.h"
#include "core/settings.h"

/* Whether there is a GPU for sessions at all, free or not. */
bool gpu_is_offered(const Settings *settings);

/* Whether a plan that wants a GPU can ever have one here; plans that want none pass. QWD_ERROR_UNAVAILABLE. */
bool gpu_check(const Settings *settings, const Plan *plan, GError **error);

/* Notes a free GPU in a plan that wants one (others pass). To be called under the lock of the store with all sessions,
 * so that nobody else gets the same one. QWD_ERROR_LIMIT when none is free says when one is due; QWD_ERROR_UNAVAILABLE
 * when this service has none to give. */
bool gpu_reserve(const Settings *settings, const GPtrArray *sessions, Plan *plan, GError **error);

/* The GPU of another plan, for the record of the same session. */
void gpu_copy(Plan *plan, const Plan *from);

/* Forgets the one that was noted. */
void gpu_give_back(Plan *plan);
