/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Ended sessions: the last lines of a file, a record each, so that a user can still be told why a session
 * ended. The file is cut when it has grown: the older half goes. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/token.h"
#include "core/store.h"

#define HISTORY_MAX_BYTES (512 * 1024)

static char *history_path(const Settings *settings)
{
    return g_build_filename(settings->dir_snapshots, ".qemu-web-desktop.history", NULL);
}

/* Drops the older half, at the end of a line. */
static bool cut_history(const char *path, GError **error)
{
    struct stat st;
    if (lstat(path, &st) < 0 || st.st_size < HISTORY_MAX_BYTES)
        return true;
    g_autofree char *text = file_read_end(path, HISTORY_MAX_BYTES / 2, error);
    if (!text)
        return false;
    const char *newline = strchr(text, '\n');
    const char *rest = newline ? newline + 1 : "";
    return file_write_atomic(path, rest, strlen(rest), 0600, FILE_WRITE_FAST, error);
}

/* Half a line, for which there was room, would spoil the next one. To be called under the lock. */
static bool append_whole(const char *path, const char *text, GError **error)
{
    struct stat st = {0};
    off_t end = lstat(path, &st) == 0 && S_ISREG(st.st_mode) ? st.st_size : 0;
    if (file_append(path, text, 0600, error))
        return true;
    if (S_ISREG(st.st_mode) && truncate(path, end) < 0)
        g_prefix_error(error, "(%s) ", g_strerror(errno));
    return false;
}

bool store_remember(const Settings *settings, const SessionRecord *session, GError **error)
{
    autofd int lock = store_lock(settings, error);
    if (lock < 0)
        return false;
    g_autofree char *path = history_path(settings);
    g_autoptr(JsonValue) object = session_to_json(session);
    char *line = json_dumps(object, JSON_COMPACT);
    g_autofree char *text = g_strconcat(line, "\n", NULL);
    free(line);
    return cut_history(path, error) && append_whole(path, text, error);
}

typedef bool (*Wanted)(const SessionRecord *session, const char *word);

/* The last line with the word that is the wanted session's; the history holds one line for each. */
static SessionRecord *search(const Settings *settings, const char *word, Wanted wanted)
{
    g_autofree char *path = history_path(settings);
    g_autofree char *text = file_read_end(path, HISTORY_MAX_BYTES, NULL);
    g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);
    for (guint i = g_strv_length(lines); i-- > 0;) {
        if (!strstr(lines[i], word))
            continue;
        g_autoptr(JsonValue) object = json_object_parse(lines[i], strlen(lines[i]), NULL);
        g_autoptr(SessionRecord) session = object ? session_from_json(object, NULL) : NULL;
        if (session && wanted(session, word))
            return g_steal_pointer(&session);
    }
    return NULL;
}

static bool has_link(const SessionRecord *session, const char *hash)
{
    return session_find_link_by_hash(session, hash) != NULL;
}

SessionRecord *store_find_linked(const Settings *settings, const char *hash)
{
    g_autoptr(GPtrArray) sessions = store_list(settings, NULL);
    for (guint i = 0; sessions && i < sessions->len; i++) {
        if (has_link(sessions->pdata[i], hash))
            return g_ptr_array_steal_index(sessions, i);
    }
    return search(settings, hash, has_link);
}

static bool has_id(const SessionRecord *session, const char *id)
{
    return g_str_equal(session->id, id);
}

SessionRecord *store_recall(const Settings *settings, const char *id, GError **error)
{
    SessionRecord *session = token_is_well_formed(id) ? search(settings, id, has_id) : NULL;
    if (!session)
        g_propagate_error(error, session_not_found());
    return session;
}
