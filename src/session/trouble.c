/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Trouble of a running machine that does not end it: its user is told by the session's note. */
#include <string.h>

#include "app/journal.h"
#include "base/json.h"
#include "base/text.h"
#include "session/supervisor.h"

#define DISK_RETRY_S 5
#define COMMAND_DEADLINE_MS 5000

static const char disk_note[] = N_("The server's disk is full: the machine stands still until there is room again.");
static const char network_note[] = N_("The machine has lost its network. A new session has one again.");

/* --- the note --- */

static void write_note(SessionRecord *session, const void *data)
{
    session_set_text(&session->note, data);
}

/* A note that cannot be written, as on a full disk, is in the log at least. */
static void set_note(Supervisor *supervisor, const char *note)
{
    const char *old = supervisor->session->note;
    if (g_strcmp0(old, note) != 0)
        supervisor_change(supervisor, write_note, note, NULL);
}

/* One at a time: without a network, that is what one wonders about. */
const char *trouble_lasting_note(const Supervisor *supervisor)
{
    const char *note = supervisor->network.note ? supervisor->network.note : supervisor->folder_note;
    return note ? note : "";
}

/* --- the disk --- */

/* QEMU stops a machine rather than have a write fail; what failed is tried again when the machine goes on. */
static gboolean on_disk_retry(gpointer data)
{
    Supervisor *supervisor = data;
    if (supervisor->ending)
        return G_SOURCE_CONTINUE; /* until trouble_clear */
    if (!supervisor->stands_still) {
        supervisor->disk_retry = 0;
        set_note(supervisor, trouble_lasting_note(supervisor));
        return G_SOURCE_REMOVE;
    }
    set_note(supervisor, disk_note);
    supervisor->stands_still = false; /* unless another event says so */
    json_decref(qmp_execute(supervisor->qmp, "cont", NULL, COMMAND_DEADLINE_MS, NULL));
    return G_SOURCE_CONTINUE;
}

static void on_disk_error(Supervisor *supervisor, const json_t *data)
{
    if (!g_str_equal(json_get_text(data, "action", ""), "stop"))
        return;
    supervisor->stands_still = true;
    if (supervisor->disk_retry)
        return;
    supervisor->disk_retry = g_timeout_add_seconds(DISK_RETRY_S, on_disk_retry, supervisor);
    set_note(supervisor, disk_note); /* who reads the log finds it on the page */
    journal_session(supervisor->settings, "ERROR", supervisor->session, disk_note);
}

/* --- the network --- */

/* QEMU tells of it, if its monitor is ready by then, and so does the end of one of the processes. */
static void note_lost_network(Supervisor *supervisor, const char *reason)
{
    if (supervisor->ending)
        return;
    if (g_strcmp0(supervisor->network.note, network_note) != 0)
        journal_session(supervisor->settings, "ERROR", supervisor->session, network_note);
    if (reason)
        journal_session(supervisor->settings, "ERROR", supervisor->session, reason);
    g_free(supervisor->network.note);
    supervisor->network.note = g_strdup(network_note);
    set_note(supervisor, network_note);
}

static void on_network_lost(Supervisor *supervisor, const json_t *data)
{
    (void)data;
    note_lost_network(supervisor, NULL);
}

void trouble_on_network_end(void *data, const char *reason)
{
    note_lost_network(data, reason);
}

/* --- all --- */

static const struct {
    const char *event;
    void (*react)(Supervisor *supervisor, const json_t *data);
} reactions[] = {
    {"BLOCK_IO_ERROR", on_disk_error},
    {"NETDEV_STREAM_DISCONNECTED", on_network_lost},
};

void trouble_on_event(Supervisor *supervisor, const char *name, const json_t *data)
{
    for (size_t i = 0; i < G_N_ELEMENTS(reactions); i++) {
        if (g_str_equal(reactions[i].event, name))
            reactions[i].react(supervisor, data);
    }
}

void trouble_clear(Supervisor *supervisor)
{
    g_clear_handle_id(&supervisor->disk_retry, g_source_remove);
}
