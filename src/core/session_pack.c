/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The record of a session as packed values, for core/record_cache.c: quick to read. */
#include "core/session_fields.h"

/* To be raised when something else than a table of fields changes here. */
#define PACK_VERSION 1

/* --- what is in lists --- */

typedef void (*PackItem)(const void *item, GByteArray *out);
typedef void *(*UnpackItem)(Unpacker *in);

static SessionRole unpack_role(Unpacker *in)
{
    gint64 role = unpack_integer(in);
    if (role < 0 || role >= ROLE_COUNT)
        in->is_bad = true;
    return in->is_bad ? ROLE_VIEW : (SessionRole)role;
}

static void pack_link(const void *item, GByteArray *out)
{
    const SessionLink *link = item;
    fields_pack(session_link_fields, link, out);
    pack_integer(out, link->role);
}

static void *unpack_link(Unpacker *in)
{
    SessionLink *link = g_new0(SessionLink, 1);
    fields_unpack(session_link_fields, link, in);
    link->role = unpack_role(in);
    return link;
}

static void pack_viewer(const void *item, GByteArray *out)
{
    const SessionViewer *viewer = item;
    fields_pack(session_viewer_fields, viewer, out);
    pack_integer(out, viewer->role);
}

static void *unpack_viewer(Unpacker *in)
{
    SessionViewer *viewer = g_new0(SessionViewer, 1);
    fields_unpack(session_viewer_fields, viewer, in);
    viewer->role = unpack_role(in);
    return viewer;
}

static void pack_process(const void *item, GByteArray *out)
{
    const SessionProcess *process = item;
    pack_text(out, process->name);
    pack_integer(out, process->id.pid);
    pack_integer(out, (gint64)process->id.start_ticks);
}

static void *unpack_process(Unpacker *in)
{
    SessionProcess *process = g_new0(SessionProcess, 1);
    process->name = unpack_text(in);
    process->id.pid = (pid_t)unpack_integer(in);
    process->id.start_ticks = (guint64)unpack_integer(in);
    return process;
}

static void pack_step(const void *item, GByteArray *out)
{
    const SessionStep *step = item;
    pack_text(out, step->name);
    pack_integer(out, step->duration_ms);
}

static void *unpack_step(Unpacker *in)
{
    SessionStep *step = g_new0(SessionStep, 1);
    step->name = unpack_text(in);
    step->duration_ms = unpack_integer(in);
    return step;
}

static void pack_script(const void *item, GByteArray *out)
{
    fields_pack(script_fields, item, out);
}

static void *unpack_script(Unpacker *in)
{
    BootScript *script = g_new0(BootScript, 1);
    fields_unpack(script_fields, script, in);
    return script;
}

static void pack_folder(const void *item, GByteArray *out)
{
    fields_pack(host_folder_fields, item, out);
}

static void *unpack_folder(Unpacker *in)
{
    HostFolder *folder = g_new0(HostFolder, 1);
    fields_unpack(host_folder_fields, folder, in);
    return folder;
}

/* --- all of it --- */

/* The lists of a session, in their order. */
static const struct {
    size_t offset; /* of the GPtrArray * */
    PackItem pack;
    UnpackItem unpack;
} lists[] = {
    {offsetof(SessionRecord, links), pack_link, unpack_link},
    {offsetof(SessionRecord, viewers), pack_viewer, unpack_viewer},
    {offsetof(SessionRecord, processes), pack_process, unpack_process},
    {offsetof(SessionRecord, steps), pack_step, unpack_step},
    {offsetof(SessionRecord, scripts), pack_script, unpack_script},
    {offsetof(SessionRecord, folders), pack_folder, unpack_folder},
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
            lists[i].pack(list->pdata[j], out);
    }
}

static void unpack_lists(SessionRecord *session, Unpacker *in)
{
    for (size_t i = 0; i < G_N_ELEMENTS(lists); i++) {
        gint64 count = unpack_integer(in);
        for (gint64 j = 0; j < count && !in->is_bad; j++)
            g_ptr_array_add(list_of(session, i), lists[i].unpack(in));
    }
}

void session_pack(const SessionRecord *session, GByteArray *out)
{
    pack_integer(out, session->state);
    fields_pack(session_fields, session, out);
    fields_pack(plan_fields, session->plan, out);
    pack_lists(session, out);
}

SessionRecord *session_unpack(Unpacker *in)
{
    SessionRecord *session = session_empty();
    session->state = (SessionState)unpack_integer(in);
    session->plan = g_new0(Plan, 1);
    fields_unpack(session_fields, session, in);
    fields_unpack(plan_fields, session->plan, in);
    unpack_lists(session, in);
    bool is_good = !in->is_bad && in->at == in->end && (guint)session->state < SESSION_STATES;
    if (!is_good)
        g_clear_pointer(&session, session_free);
    return session;
}

void session_pack_describe(GString *layout)
{
    static const Field *const tables[] = {session_fields,        plan_fields,   session_link_fields,
                                          session_viewer_fields, script_fields, host_folder_fields};
    g_string_append_printf(layout, "%d %d ", PACK_VERSION, SESSION_SCHEMA);
    for (size_t i = 0; i < G_N_ELEMENTS(tables); i++)
        fields_describe(tables[i], layout);
}
