/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "app/logs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/journal.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/token.h"
#include "core/id_prefix.h"

#define ID_DIGITS 32
#define END_LINES 100
#define END_MAX_BYTES 65536

/* --- lines of the log --- */

typedef void (*LineSeen)(const char *line, void *data);

static void read_lines(const char *path, LineSeen seen, void *data)
{
    autofd int fd = file_open_to_read(path, NULL);
    FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
    char *line = NULL;
    size_t size = 0;
    if (file)
        fd_steal(&fd); /* the stream closes it */
    while (file && getline(&line, &size, file) > 0)
        seen(line, data);
    free(line);
    if (file)
        fclose(file);
}

/* Oldest first. */
static void read_log(const Settings *settings, LineSeen seen, void *data)
{
    g_autofree char *rotated = journal_rotated_path(settings->file_log);
    read_lines(rotated, seen, data);
    read_lines(settings->file_log, seen, data);
}

typedef struct {
    const char *id;
    GString *text;
} Selection;

static void select_line(const char *line, void *data)
{
    const Selection *selection = data;
    if (strstr(line, selection->id))
        g_string_append(selection->text, line);
}

char *logs_lines_of(const Settings *settings, const char *id)
{
    Selection selection = {.id = id, .text = g_string_new(NULL)};
    read_log(settings, select_line, &selection);
    return g_string_free(selection.text, FALSE);
}

char *logs_end(const Settings *settings, GError **error)
{
    if (g_str_equal(settings->log_to, "syslog")) {
        qwd_error_fail(error, QWD_ERROR_UNAVAILABLE,
                       "The service logs to syslog. Ask there: journalctl -t qemu-web-desktop");
        return NULL;
    }
    g_autofree char *text = file_read_end(settings->file_log, END_MAX_BYTES, error);
    if (!text)
        return NULL;
    const char *begin = text + strlen(text);
    for (int lines = 0; begin > text; begin--) {
        if (begin[-1] == '\n' && lines++ == END_LINES)
            break;
    }
    return g_strdup(begin);
}

/* --- ids --- */

typedef struct {
    const char *prefix;
    GHashTable *ids;
} Search;

static void consider(Search *search, const char *text)
{
    g_autofree char *id = g_strndup(text, ID_DIGITS);
    if (g_str_has_prefix(id, search->prefix) && token_is_well_formed(id))
        g_hash_table_add(search->ids, g_steal_pointer(&id));
}

static void consider_folder(Search *search, const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    for (const char *name; dir && (name = g_dir_read_name(dir));) {
        if (strlen(name) == ID_DIGITS)
            consider(search, name);
    }
}

static void consider_line(const char *line, void *data)
{
    const char *name = strstr(line, " NAME=");
    if (name)
        consider(data, name + strlen(" NAME="));
}

char *logs_find_session(const Settings *settings, const char *word, GError **error)
{
    if (!id_prefix_check(word, error))
        return NULL;
    g_autoptr(GHashTable) ids = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    Search search = {.prefix = word, .ids = ids};
    consider_folder(&search, settings->dir_snapshots);
    consider_folder(&search, settings->dir_logs);
    read_log(settings, consider_line, &search);
    g_autofree gpointer *keys = g_hash_table_get_keys_as_array(ids, NULL);
    GPtrArray list = {keys, g_hash_table_size(ids)};
    return id_prefix_choose(&list, word, error);
}
