/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What a user may choose for a machine: from the lists of the form (settings), of the user's groups (groups.conf) and
 * of the machine. The largest entry of a list is the most that may be asked for; a smaller value between is fine. The
 * groups' lists stand in place of the form's, the most generous group counting; the machine's hold as well. */
#pragma once

#include "core/machine.h"
#include "core/settings.h"

struct Identity; /* of core/policy.h, which comes to know of plans and by them of this */

typedef struct {
    gint64 cpus_max, memory_max_mib, lifetime_max_s; /* G_MAXINT64: only the host is the limit */
    gint64 sessions_max;                             /* of one user, from the groups; 0: as the setting says */
} Choices;

/* Administrators are held by the machine's lists alone. Errors: QWD_ERROR_NOT_FOUND for a machine of others
 * (choices_include), in the words of one that does not exist; QWD_ERROR_CONFIG names file and entry. */
bool choices_read(const Settings *settings, const Machine *machine, const struct Identity *who, Choices *choices,
                  GError **error);

/* Whether this machine is one of those that somebody may use: everybody's, their own, their groups'. Administrators may
 * use all; a name or a group counts when it is proven. */
bool choices_include(const Machine *machine, const struct Identity *who);

/* Whether this text may be put in place as groups.conf; `path` is for the error. QWD_ERROR_CONFIG. */
bool choices_check_text(const char *text, const char *path, GError **error);

/* Whether sessions could start with the form's lists, and with groups.conf: all groups of it. QWD_ERROR_CONFIG. */
bool choices_check_settings(const Settings *settings, GError **error);
bool choices_check_table(const Settings *settings, GError **error);

/* Whether anything depends on membership in this group. */
bool choices_depend_on_group(const Settings *settings, const char *group);
