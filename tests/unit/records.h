/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Session records for tests. */
#pragma once

#include "core/session.h"
#include "core/settings.h"

static inline SessionRecord *test_session_new(const Settings *settings, const char *owner)
{
    const Host host = {.arch = (char *)"x86_64", .cpus = 8, .memory_mib = 16384};
    g_autoptr(Machine) machine = machine_from_path("/machines/tiny.iso");
    Plan *plan = plan_make(settings, machine, &(PlanRequest){.memory_mib = 512}, &host, NULL);
    g_assert_nonnull(plan);
    return session_new(owner, "127.0.0.1", plan);
}
