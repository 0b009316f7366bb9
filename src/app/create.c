/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <string.h>

#include "app/abandoned.h"
#include "app/app.h"
#include "app/queue.h"
#include "base/error.h"
#include "core/host.h"
#include "core/store.h"

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

static Plan *make_plan(const Settings *settings, const Identity *who, const CreateRequest *request, GError **error)
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
    Choices choices;
    if (!choices_read(settings, machine, who, &choices, error))
        return NULL;
    PlanRequest wanted = request->plan;
    wanted.choices = &choices;
    wanted.by_admin = who->is_admin;
    return plan_make(settings, machine, &wanted, &host, error);
}

static bool choose_extras(const Settings *settings, const Identity *who, const CreateRequest *request,
                          SessionRecord *session, GError **error)
{
    Subject subject = {.user = who->user, .groups = who->groups, .machine = session->plan->machine};
    bool none = g_str_equal(session->plan->script_method, "none"), is_proven = who->is_authenticated || who->is_admin;
    if (!folders_choose(settings, &subject, is_proven, session->folders, error))
        return false;
    if (request->folders)
        folders_keep(session->folders, request->folders);
    return (!session->folders->len || scripts_add_mount(settings, session->scripts, error)) &&
           scripts_choose(settings, &subject, session->scripts, error) &&
           scripts_add_form(settings, request->script ? request->script : "", session->scripts, error) &&
           (!none || scripts_keep_options(session->scripts, error));
}

/* Dead sessions hold room until somebody notices. */
static bool make_room(const Settings *settings)
{
    g_autoptr(GPtrArray) sessions = store_list(settings, NULL);
    return sessions && abandoned_end_all(settings, sessions);
}

static bool enter_queue(const Settings *settings, const CreateRequest *request, SessionRecord *session, GError **error)
{
    g_autoptr(GError) cause = NULL;
    bool may_wait = !request->may_be_path; /* who starts one by hand watches it start */
    bool good = app_queue_enter(settings, session, request->password, may_wait, &cause);
    bool lacks_room = good ? session->state == SESSION_QUEUED : g_error_matches(cause, QWD_ERROR, QWD_ERROR_LIMIT);
    if (lacks_room && make_room(settings) && !good) {
        g_clear_error(&cause);
        good = app_queue_enter(settings, session, request->password, may_wait, &cause);
    }
    if (cause)
        g_propagate_error(error, g_steal_pointer(&cause));
    return good;
}

char *app_create(const Settings *settings, const Identity *who, const CreateRequest *request, GError **error)
{
    if (!policy_allows(settings, who, ACTION_CREATE, NULL, error))
        return NULL;
    Plan *plan = make_plan(settings, who, request, error);
    if (!plan)
        return NULL;
    g_autoptr(SessionRecord) session = session_new(who->user, request->remote_host, plan);
    session_set_text(&session->email, who->email);
    session_set_text(&session->base, request->base);
    session_set_text(&session->language, request->language);
    session_set_text(&session->submission, request->submission ? request->submission : "");
    if (!choose_extras(settings, who, request, session, error))
        return NULL;
    const char *overrides = g_getenv("QWD_OVERRIDES");
    session_set_text(&session->overrides, overrides ? overrides : "");
    return enter_queue(settings, request, session, error) ? g_strdup(session->id) : NULL;
}
