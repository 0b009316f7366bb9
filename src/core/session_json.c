/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The record of a session as JSON: what is kept on disk. */
#include "base/error.h"
#include "base/json.h"
#include "base/token.h"
#include "core/session_fields.h"

/* --- to JSON --- */

static json_t *list_to_json(const GPtrArray *list, const Field *fields)
{
    json_t *array = json_array();
    for (guint i = 0; i < list->len; i++)
        json_array_append_new(array, fields_to_json(fields, list->pdata[i]));
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

json_t *session_to_json(const SessionRecord *session)
{
    json_t *object = json_object();
    json_object_set_new(object, "schema", json_integer(SESSION_SCHEMA));
    g_autoptr(JsonValue) fields = fields_to_json(session_fields, session);
    json_object_update(object, fields);
    json_object_set_new(object, "plan", plan_to_json(session->plan));
    json_object_set_new(object, "links", list_to_json(session->links, session_link_fields));
    json_object_set_new(object, "viewers", list_to_json(session->viewers, session_viewer_fields));
    json_object_set_new(object, "processes", processes_to_json(session->processes));
    json_object_set_new(object, "steps", steps_to_json(session->steps));
    json_object_set_new(object, "scripts", list_to_json(session->scripts, script_fields));
    json_object_set_new(object, "folders", list_to_json(session->folders, host_folder_fields));
    return object;
}

/* --- from JSON --- */

/* Without what has a role that is none. */
static void read_list(const json_t *array, const Field *fields, size_t size, GPtrArray *list)
{
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)array, i, item)
    {
        void *record = g_malloc0(size);
        g_ptr_array_add(list, record);
        if (!fields_from_json(fields, record, item))
            g_ptr_array_set_size(list, (gint)list->len - 1);
    }
}

static void read_lists(SessionRecord *session, const json_t *object)
{
    size_t i;
    const char *name;
    json_t *item;
    read_list(json_object_get(object, "links"), session_link_fields, sizeof(SessionLink), session->links);
    read_list(json_object_get(object, "viewers"), session_viewer_fields, sizeof(SessionViewer), session->viewers);
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
    g_autoptr(SessionRecord) session = session_empty();
    if (json_get_integer(object, "schema", 0) != SESSION_SCHEMA || !fields_from_json(session_fields, session, object) ||
        !token_is_well_formed(session->id)) {
        qwd_error_fail(error, QWD_ERROR_CONFIG, "This is not the record of a session of this version.");
        return NULL;
    }
    session->plan = plan_from_json(json_object_get(object, "plan"));
    read_lists(session, object);
    return g_steal_pointer(&session);
}
