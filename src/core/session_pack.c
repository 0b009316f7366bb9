/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The record of a session as packed values, for core/record_cache.c: quick to read. */
#include "core/session_fields.h"

/* To be raised when something else than a table of fields changes here. */
#define PACK_VERSION 2

/* --- lists --- */

/* Lists whose items are plain. */
static const struct {
    size_t offset; /* of the GPtrArray * */
    const Field *fields;
    size_t size; /* of an item */
} lists[] = {
    {offsetof(SessionRecord, links), session_link_fields, sizeof(SessionLink)},
    {offsetof(SessionRecord, viewers), session_viewer_fields, sizeof(SessionViewer)},
    {offsetof(SessionRecord, steps), session_step_fields, sizeof(SessionStep)},
    {offsetof(SessionRecord, scripts), script_fields, sizeof(BootScript)},
    {offsetof(SessionRecord, folders), host_folder_fields, sizeof(HostFolder)},
};

static GPtrArray *list_of(const SessionRecord *session, size_t i)
{
    return *(GPtrArray *const *)(const void *)((const char *)session + lists[i].offset);
}

static void pack_lists(const SessionRecord *session, GByteArray *out)
{
    for (size_t i = 0; i < G_N_ELEMENTS(lists); i++) {
        const GPtrArray *list = list_of(session, i);
        pack_integer(out, list->len);
        for (guint j = 0; j < list->len; j++)
            fields_pack(lists[i].fields, list->pdata[j], out);
    }
}

static void unpack_lists(SessionRecord *session, Unpacker *in)
{
    for (size_t i = 0; i < G_N_ELEMENTS(lists); i++) {
        gint64 count = unpack_integer(in);
        for (gint64 j = 0; j < count && !in->is_bad; j++) {
            void *item = g_malloc0(lists[i].size);
            fields_unpack(lists[i].fields, item, in);
            g_ptr_array_add(list_of(session, i), item);
        }
    }
}

static void pack_processes(const GPtrArray *processes, GByteArray *out)
{
    pack_integer(out, processes->len);
    for (guint i = 0; i < processes->len; i++) {
        const SessionProcess *process = processes->pdata[i];
        pack_text(out, process->name);
        pack_integer(out, process->id.pid);
        pack_integer(out, (gint64)process->id.start_ticks);
    }
}

static void unpack_processes(SessionRecord *session, Unpacker *in)
{
    gint64 count = unpack_integer(in);
    for (gint64 i = 0; i < count && !in->is_bad; i++) {
        g_autofree char *name = unpack_text(in);
        ProcessId id = {.pid = (pid_t)unpack_integer(in)};
        id.start_ticks = (guint64)unpack_integer(in);
        session_set_process(session, name, id);
    }
}

/* --- all of it --- */

void session_pack(const SessionRecord *session, GByteArray *out)
{
    fields_pack(session_fields, session, out);
    fields_pack(plan_fields, session->plan, out);
    pack_lists(session, out);
    pack_processes(session->processes, out);
}

SessionRecord *session_unpack(Unpacker *in)
{
    SessionRecord *session = session_empty();
    session->plan = g_new0(Plan, 1);
    fields_unpack(session_fields, session, in);
    fields_unpack(plan_fields, session->plan, in);
    unpack_lists(session, in);
    unpack_processes(session, in);
    bool is_good = !in->is_bad && in->at == in->end;
    if (!is_good)
        g_clear_pointer(&session, session_free);
    return session;
}

void session_pack_describe(GString *layout)
{
    static const Field *const tables[] = {session_fields,        plan_fields,         session_link_fields,
                                          session_viewer_fields, session_step_fields, script_fields,
                                          host_folder_fields};
    g_string_append_printf(layout, "%d %d ", PACK_VERSION, SESSION_SCHEMA);
    for (size_t i = 0; i < G_N_ELEMENTS(tables); i++)
        fields_describe(tables[i], layout);
}
