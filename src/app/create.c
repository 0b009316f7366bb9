/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <string.h>

#include "app/app.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "core/host.h"
#include "core/limits.h"
#include "core/store.h"
#include "engine/engine.h"

static Machine *copy_of(const Machine *machine)
{
    Machine *copy = machine_from_path(machine->path);
    for (const MachineAttribute *attribute = machine_attributes(); attribute->key; attribute++) {
        char **to = (char **)((char *)copy + attribute->offset);
        g_free(*to);
        *to = g_strdup(*(char *const *)((const char *)machine + attribute->offset));
    }
    return copy;
}

/* A name from the list; for commands also the path of an image, or the name of one in dir_machines. */
static Machine *choose_machine(const Settings *settings, const CreateRequest *request, GError **error)
{
    const char *name = *request->machine ? request->machine : settings->machine;
    if (!*name) {
        qwd_error_fail(error, QWD_ERROR_USAGE, "machine: choose one from the list.");
        return NULL;
    }
    g_autoptr(GPtrArray) machines = machines_load(settings, error);
    if (!machines)
        return NULL;
    g_autoptr(GError) cause = NULL;
    const Machine *listed = machines_find(machines, name, &cause);
    if (listed)
        return copy_of(listed);
    g_autofree char *beside = g_build_filename(settings->dir_machines, name, NULL);
    if (request->may_be_path && g_file_test(name, G_FILE_TEST_IS_REGULAR))
        return machine_from_path(name);
    if (request->may_be_path && g_file_test(beside, G_FILE_TEST_IS_REGULAR))
        return machine_from_path(beside);
    g_propagate_error(error, g_steal_pointer(&cause));
    return NULL;
}

/* A master that a session writes to belongs to that session alone: it must not be the base of another one either. */
static bool check_master(const GPtrArray *sessions, const Plan *plan, GError **error)
{
    for (guint i = 0; i < sessions->len; i++) {
        const SessionRecord *other = sessions->pdata[i];
        if (session_state_is_alive(other->state) && g_str_equal(other->plan->image, plan->image) &&
            (plan->use_master || other->plan->use_master))
            return qwd_error_fail(error, QWD_ERROR_CONFLICT,
                                  "The image of %s is in use by a session that works on the image itself or is based "
                                  "on it. Stop that session first.",
                                  plan->machine);
    }
    return true;
}

static bool start(const Settings *settings, const SessionRecord *session, GError **error)
{
    g_autofree char *supervisor = g_build_filename(settings->dir_lib, "qwd-session", NULL);
    g_autofree char *folder = store_folder(settings, session->id);
    g_autofree char *log = g_build_filename(folder, "supervisor.log", NULL);
    EngineJob job = {.supervisor = supervisor, .log_path = log, .id = session->id};
    return engine_find("direct")->start(&job, error);
}

/* Checks and record are one step for others: nobody else reserves meanwhile. */
static bool reserve(const Settings *settings, const SessionRecord *session, GError **error)
{
    autofd int lock = store_lock(settings, error);
    if (lock < 0)
        return false;
    HostUse use;
    host_use_read(&use, settings->dir_snapshots);
    g_autoptr(GPtrArray) sessions = store_list(settings, error);
    return sessions && check_master(sessions, session->plan, error) &&
           limits_allow(settings, &use, sessions, session, error) && store_create(settings, session, error);
}

static Plan *make_plan(const Settings *settings, const CreateRequest *request, GError **error)
{
    g_autoptr(Machine) machine = choose_machine(settings, request, error);
    if (!machine)
        return NULL;
    if (!machine_is_present(machine)) {
        qwd_error_fail(error, QWD_ERROR_UNAVAILABLE,
                       "The image of %s is not on the server yet. Choose another machine, or tell the administrator.",
                       machine->name);
        return NULL;
    }
    g_auto(Host) host = {0};
    host_read(&host);
    return plan_make(settings, machine, &request->plan, &host, error);
}

char *app_create(const Settings *settings, const Identity *who, const CreateRequest *request, GError **error)
{
    if (!policy_allows(settings, who, ACTION_CREATE, NULL, error))
        return NULL;
    Plan *plan = make_plan(settings, request, error);
    if (!plan)
        return NULL;
    g_autoptr(SessionRecord) session = session_new(who->user, request->remote_host, plan);
    if (!reserve(settings, session, error))
        return NULL;
    if (!start(settings, session, error)) {
        store_remove(settings, session->id, NULL);
        return NULL;
    }
    return g_strdup(session->id);
}
