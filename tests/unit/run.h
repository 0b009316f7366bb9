/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Programs that unit tests use, such as qemu-img. */
#pragma once

#include "base/process.h"

#define RUN_DEADLINE_MS 60000

/* Runs a program to its end, which has to be a good one. */
static inline void run(const char *const *argv)
{
    g_autoptr(GError) error = NULL;
    g_auto(ProcessResult) result = {0};
    process_run_checked(argv, RUN_DEADLINE_MS, &result, &error);
    g_assert_no_error(error);
}
