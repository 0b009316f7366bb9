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

typedef struct {
    const char *word; /* which stands in the line as it is */
    Wanted wanted;
    guint count; /* how many are enough */
} Search;

static SessionRecord *read_line(const char *line, const Search *search)
{
    if (!strstr(line, search->word))
        return NULL;
    g_autoptr(JsonValue) object = json_object_parse(line, strlen(line), NULL);
    g_autoptr(SessionRecord) session = object ? session_from_json(object, NULL) : NULL;
    return session && search->wanted(session, search->word) ? g_steal_pointer(&session) : NULL;
}

/* From the last line on: the history holds one line for each end. */
static GPtrArray *search_all(const Settings *settings, const Search *search)
{
    g_autofree char *path = history_path(settings);
    g_autofree char *text = file_read_end(path, HISTORY_MAX_BYTES, NULL);
    g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);
    GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)session_free);
    for (guint i = g_strv_length(lines); i-- > 0 && found->len < search->count;) {
        SessionRecord *session = read_line(lines[i], search);
        if (session)
            g_ptr_array_add(found, session);
    }
    return found;
}

static SessionRecord *search_one(const Settings *settings, const char *word, Wanted wanted)
{
    Search search = {.word = word, .wanted = wanted, .count = 1};
    g_autoptr(GPtrArray) found = search_all(settings, &search);
    return found->len ? g_ptr_array_steal_index(found, 0) : NULL;
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
    return search_one(settings, hash, has_link);
}

static bool has_id(const SessionRecord *session, const char *id)
{
    return g_str_equal(session->id, id);
}

SessionRecord *store_recall(const Settings *settings, const char *id, GError **error)
{
    SessionRecord *session = token_is_well_formed(id) ? search_one(settings, id, has_id) : NULL;
    if (!session)
        g_propagate_error(error, session_not_found());
    return session;
}

static bool has_submission(const SessionRecord *session, const char *submission)
{
    return g_str_equal(session->submission, submission);
}

SessionRecord *store_recall_created(const Settings *settings, const char *submission)
{
    return search_one(settings, submission, has_submission);
}

static bool has_owner(const SessionRecord *session, const char *owner)
{
    return g_str_equal(session->owner, owner);
}

static bool is_any(G_GNUC_UNUSED const SessionRecord *session, G_GNUC_UNUSED const char *word)
{
    return true;
}

/* A user's name has no characters that JSON writes in another way. */
GPtrArray *store_recall_last(const Settings *settings, const char *owner, guint count)
{
    Search search = {.word = owner ? owner : "", .wanted = owner ? has_owner : is_any, .count = count};
    return search_all(settings, &search);
}

SessionRecord *store_find(const Settings *settings, const char *id, GError **error)
{
    g_autoptr(GError) cause = NULL;
    SessionRecord *session = store_load(settings, id, &cause);
    if (session || !g_error_matches(cause, QWD_ERROR, QWD_ERROR_NOT_FOUND)) {
        if (cause)
            g_propagate_error(error, g_steal_pointer(&cause));
        return session;
    }
    return store_recall(settings, id, error);
}
