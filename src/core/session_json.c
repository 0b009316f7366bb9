/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The record of a session as JSON: what is kept on disk. */
#include "base/error.h"
#include "base/json.h"
#include "base/token.h"
#include "core/session_fields.h"

/* --- to JSON --- */

/* A list of structs that have a role beside the fields of their table. */
static json_t *roles_to_json(const GPtrArray *list, const Field *fields, size_t role_offset)
{
    json_t *array = json_array();
    for (guint i = 0; i < list->len; i++) {
        const SessionRole *role = (const void *)((const char *)list->pdata[i] + role_offset);
        json_t *object = fields_to_json(fields, list->pdata[i]);
        json_object_set_new(object, "role", json_string(session_role_name(*role)));
        json_array_append_new(array, object);
    }
    return array;
}

static json_t *processes_to_json(const GPtrArray *processes)
{
    json_t *array = json_array();
    for (guint i = 0; i < processes->len; i++) {
        const SessionProcess *process = processes->pdata[i];
        json_array_append_new(array, json_pack("{s:s, s:i, s:I}", "name", process->name, "pid", (int)process->id.pid,
                                               "start_ticks", (json_int_t)process->id.start_ticks));
    }
    return array;
}

/* Milliseconds by name, in the order in which they were taken. */
static json_t *steps_to_json(const GPtrArray *steps)
{
    json_t *object = json_object();
    for (guint i = 0; i < steps->len; i++) {
        const SessionStep *step = steps->pdata[i];
        json_object_set_new(object, step->name, json_integer(step->duration_ms));
    }
    return object;
}

static json_t *scripts_to_json(const GPtrArray *scripts)
{
    json_t *array = json_array();
    for (guint i = 0; i < scripts->len; i++)
        json_array_append_new(array, script_to_json(scripts->pdata[i]));
    return array;
}

static json_t *folders_to_json(const GPtrArray *folders)
{
    json_t *array = json_array();
    for (guint i = 0; i < folders->len; i++)
        json_array_append_new(array, host_folder_to_json(folders->pdata[i]));
    return array;
}

json_t *session_to_json(const SessionRecord *session)
{
    json_t *object = json_object();
    json_object_set_new(object, "schema", json_integer(SESSION_SCHEMA));
    json_object_set_new(object, "state", json_string(session_state_name(session->state)));
    g_autoptr(JsonValue) fields = fields_to_json(session_fields, session);
    json_object_update(object, fields);
    json_object_set_new(object, "plan", plan_to_json(session->plan));
    json_object_set_new(object, "links",
                        roles_to_json(session->links, session_link_fields, offsetof(SessionLink, role)));
    json_object_set_new(object, "viewers",
                        roles_to_json(session->viewers, session_viewer_fields, offsetof(SessionViewer, role)));
    json_object_set_new(object, "processes", processes_to_json(session->processes));
    json_object_set_new(object, "steps", steps_to_json(session->steps));
    json_object_set_new(object, "scripts", scripts_to_json(session->scripts));
    json_object_set_new(object, "folders", folders_to_json(session->folders));
    return object;
}

/* --- from JSON --- */

typedef const char *(*NameOf)(int value);

/* The value that has this name, -1 when none has. */
static int value_of(const char *name, NameOf name_of, int count)
{
    for (int i = 0; i < count; i++) {
        if (g_str_equal(name, name_of(i)))
            return i;
    }
    return -1;
}

static const char *role_name(int role)
{
    return session_role_name((SessionRole)role);
}

static const char *state_name(int state)
{
    return session_state_name((SessionState)state);
}

static void read_roles(const json_t *array, const Field *fields, size_t size, size_t role_offset, GPtrArray *list)
{
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)array, i, item)
    {
        int role = value_of(json_get_text(item, "role", ""), role_name, ROLE_COUNT);
        if (role < 0)
            continue;
        void *record = g_malloc0(size);
        fields_from_json(fields, record, item);
        *(SessionRole *)(void *)((char *)record + role_offset) = (SessionRole)role;
        g_ptr_array_add(list, record);
    }
}

static void read_lists(SessionRecord *session, const json_t *object)
{
    size_t i;
    const char *name;
    json_t *item;
    read_roles(json_object_get(object, "links"), session_link_fields, sizeof(SessionLink), offsetof(SessionLink, role),
               session->links);
    read_roles(json_object_get(object, "viewers"), session_viewer_fields, sizeof(SessionViewer),
               offsetof(SessionViewer, role), session->viewers);
    json_array_foreach(json_object_get(object, "processes"), i, item)
    {
        ProcessId id = {.pid = (pid_t)json_get_integer(item, "pid", 0),
                        .start_ticks = (guint64)json_get_integer(item, "start_ticks", 0)};
        session_set_process(session, json_get_text(item, "name", ""), id);
    }
    json_object_foreach(json_object_get(object, "steps"), name, item)
        session_add_step(session, name, json_integer_value(item));
    json_array_foreach(json_object_get(object, "scripts"), i, item)
        g_ptr_array_add(session->scripts, script_from_json(item));
    json_array_foreach(json_object_get(object, "folders"), i, item)
        g_ptr_array_add(session->folders, host_folder_from_json(item));
}

SessionRecord *session_from_json(const json_t *object, GError **error)
{
    int state = value_of(json_get_text(object, "state", ""), state_name, SESSION_STATES);
    if (json_get_integer(object, "schema", 0) != SESSION_SCHEMA || state < 0 ||
        !token_is_well_formed(json_get_text(object, "id", ""))) {
        qwd_error_fail(error, QWD_ERROR_CONFIG, "This is not the record of a session of this version.");
        return NULL;
    }
    SessionRecord *session = session_empty();
    session->state = (SessionState)state;
    fields_from_json(session_fields, session, object);
    session->plan = plan_from_json(json_object_get(object, "plan"));
    read_lists(session, object);
    return session;
}
