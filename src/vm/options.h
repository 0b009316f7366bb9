/* SPDX-License-Identifier: AGPL-3.0-or-later
 * QEMU options that an administrator adds to those of all machines (qemu_exec_options). */
#pragma once

#include <glib.h>

/* The words of a text, split as a shell would, without anything else that a shell does. QWD_ERROR_CONFIG for a quote
 * that does not end, and for an option that would undo what keeps a machine apart from the server and from other
 * machines: another monitor or display, host folders, another network, a weaker sandbox. Free with g_strfreev. */
char **qemu_options_parse(const char *text, GError **error);
