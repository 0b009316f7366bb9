/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Who may what: the one place where it is decided. */
#pragma once

#include "core/session.h"
#include "core/settings.h"

typedef enum { ACTION_CREATE, ACTION_LIST, ACTION_SEE, ACTION_STOP, ACTION_EXTEND, ACTION_PURGE, ACTION_COUNT } Action;

/* Who asks. */
typedef struct {
    const char *user;
    bool is_admin; /* proven, never claimed */
    bool is_local; /* the request comes from this machine */
} Identity;

/* Whether this may be done to this session (NULL for actions that concern none). QWD_ERROR_DENIED says why not.
 * As long as no way to log in is configured, the unguessable id of a session is what gives access to it. */
bool policy_allows(const Settings *settings, const Identity *who, Action action, const SessionRecord *session,
                   GError **error);

/* Whether requests are served without a login, and only from this machine: to be said on the page. */
bool policy_is_local_only(const Settings *settings);
