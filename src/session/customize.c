/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Boot scripts by way of the disk (script_method = customize): what asks the host for them is put into it before the
 * machine starts. */
#include "base/error.h"
#include "base/text.h"
#include "core/runner.h"
#include "session/supervisor.h"
#include "vm/customize.h"

/* What is put there stays: it may only be a disk of the session's own, with a system on it. */
static bool check_disk(const Supervisor *supervisor, GError **error)
{
    if (supervisor->session->plan->use_master)
        return qwd_error_fail(error, QWD_ERROR_CONFLICT,
                              "This session changes the machine's image itself, and boot scripts would stay in it "
                              "(script_method = customize).");
    return !supervisor->cdrom_path ||
           qwd_error_fail(error, QWD_ERROR_CONFLICT,
                          "This machine starts from a CD: there is no system on its disk that could run boot scripts "
                          "(script_method = customize).");
}

bool script_customize(Supervisor *supervisor, GError **error)
{
    g_autofree char *bootstrap = runner_bootstrap("customize");
    CustomizeJob job = {.disk = supervisor->disk_path,
                        .script = bootstrap,
                        .folder = supervisor->folder,
                        .run_folder = supervisor->run_folder,
                        .cache_folder = supervisor->settings->dir_cache,
                        .emulate = !g_str_equal(supervisor->accelerator.name, "kvm"),
                        .deadline_ms = (int)supervisor->settings->script_customize_deadline * 1000};
    g_autoptr(GError) cause = NULL;
    if (!check_disk(supervisor, error))
        return false;
    if (customize_add_script(&job, &cause))
        return true;
    if (g_error_matches(cause, QWD_ERROR, QWD_ERROR_TIMEOUT))
        return qwd_error_fail(error, QWD_ERROR_TIMEOUT,
                              "It could not be put into the machine's disk in time (script_customize_deadline).");
    g_propagate_prefixed_error(error, g_steal_pointer(&cause), N_("It could not be put into the machine's disk. "));
    return false;
}
