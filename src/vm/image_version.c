/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "vm/image_version.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

#define HEAD_BYTES 65536 /* headers and tables of the formats, partition tables */
#define SAMPLE_BYTES 4096
#define SAMPLES 16
#define SUM_CHARS 16
#define BLOCK_BYTES 512 /* of st_blocks, stat(2) */
#define BASE_ATTRIBUTE "user.qemu-web-desktop.base"
#define BASE_MAX_BYTES 4096

/* --- versions --- */

static void add_sample(GChecksum *sum, int fd, off_t offset, size_t length)
{
    g_autofree guchar *buffer = g_malloc(length);
    ssize_t n = pread(fd, buffer, length, offset);
    if (n > 0)
        g_checksum_update(sum, buffer, n);
}

/* The beginning, the end, and places between. Free with g_free. */
static char *sample(int fd, off_t size)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    add_sample(sum, fd, 0, HEAD_BYTES);
    for (int i = 1; i <= SAMPLES; i++)
        add_sample(sum, fd, MAX(size - SAMPLE_BYTES, 0) / SAMPLES * i, SAMPLE_BYTES);
    add_sample(sum, fd, MAX(size - SAMPLE_BYTES, 0), SAMPLE_BYTES);
    return g_strndup(g_checksum_get_string(sum), SUM_CHARS);
}

static char *size_and_time(const struct stat *st)
{
    return g_strdup_printf("%" G_GINT64_FORMAT "-%" G_GINT64_FORMAT ".%09ld", (gint64)st->st_size,
                           (gint64)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
}

/* NULL for what is no file, or cannot be read. Free with g_free. */
static char *version_of_file(const char *path, struct stat *st)
{
    if (stat(path, st) < 0 || !S_ISREG(st->st_mode))
        return NULL;
    autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, st) < 0)
        return NULL;
    g_autofree char *samples = sample(fd, st->st_size), *head = size_and_time(st);
    return g_strconcat(head, ":", samples, NULL);
}

char *image_version_of(char *const *files)
{
    GString *version = g_string_new(NULL);
    for (; *files; files++) {
        struct stat st;
        g_autofree char *one = version_of_file(*files, &st);
        g_string_append_printf(version, "%s%s", version->len ? " " : "", one ? one : "?");
    }
    return g_string_free(version, FALSE);
}

static bool matches_one(const char *recorded, const char *current)
{
    size_t length = strchr(recorded, ':') ? strlen(current) : strcspn(current, ":");
    return *current != '?' && strlen(recorded) == length && strncmp(recorded, current, length) == 0;
}

bool image_version_matches(const char *recorded, const char *current)
{
    g_auto(GStrv) before = g_strsplit(recorded, " ", -1), now = g_strsplit(current, " ", -1);
    guint count = g_strv_length(before);
    bool same = count > 0 && count == g_strv_length(now);
    for (guint i = 0; same && i < count; i++)
        same = matches_one(before[i], now[i]);
    return same;
}

bool image_version_may_match(const char *recorded, const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    g_autofree char *now = size_and_time(&st);
    return strcspn(recorded, ": ") == strlen(now) && g_str_has_prefix(recorded, now);
}

/* --- what an image is based on --- */

void image_note_base(const char *path, char *const *base_files)
{
    g_autofree char *version = image_version_of(base_files);
    if (*base_files)
        setxattr(path, BASE_ATTRIBUTE, version, strlen(version), 0);
}

/* NULL: nothing is noted. Free with g_free. */
static char *noted_base(const char *path)
{
    g_autofree char *text = g_malloc0(BASE_MAX_BYTES + 1);
    return getxattr(path, BASE_ATTRIBUTE, text, BASE_MAX_BYTES) > 0 ? g_steal_pointer(&text) : NULL;
}

/* Who has changed what an image is based on and not its content has to say so. */
static bool check_base(const char *path, char *const *base_files, GError **error)
{
    g_autofree char *noted = noted_base(path);
    if (!noted || !*base_files)
        return true;
    g_autofree char *now = image_version_of(base_files), *quoted = g_shell_quote(path);
    return image_version_matches(noted, now) ||
           qwd_error_fail(error, QWD_ERROR_CONFLICT,
                          "The image %s was saved over %s, which has been changed or replaced since. Put back what was "
                          "there. If its content is the same: setfattr -x " BASE_ATTRIBUTE " %s",
                          path, *base_files, quoted);
}

bool image_check_bases(char *const *files, GError **error)
{
    bool good = true;
    for (; good && *files; files++)
        good = check_base(*files, files + 1, error);
    return good;
}

/* --- what a process has open --- */

/* Paths by which the files can be looked at that the process has open, also when they have no name any more. */
static GPtrArray *list_open(pid_t pid)
{
    GPtrArray *paths = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *folder = g_strdup_printf("/proc/%d/fd", (int)pid);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    for (const char *name; dir && (name = g_dir_read_name(dir));)
        g_ptr_array_add(paths, g_build_filename(folder, name, NULL));
    return paths;
}

static bool is_open(const GPtrArray *open_paths, const char *file)
{
    struct stat st, other;
    if (stat(file, &st) < 0)
        return false;
    for (guint i = 0; i < open_paths->len; i++) {
        if (stat(open_paths->pdata[i], &other) == 0 && other.st_dev == st.st_dev && other.st_ino == st.st_ino)
            return true;
    }
    return false;
}

bool image_files_are_open(char *const *files, pid_t pid)
{
    g_autoptr(GPtrArray) open_paths = list_open(pid);
    bool good = *files != NULL;
    for (; good && *files; files++)
        good = is_open(open_paths, *files);
    return good;
}

/* What the open file with this version takes; -1: there is none. */
static gint64 open_bytes(const GPtrArray *open_paths, const char *version)
{
    for (guint i = 0; i < open_paths->len; i++) {
        struct stat st;
        g_autofree char *current = version_of_file(open_paths->pdata[i], &st);
        if (current && matches_one(version, current))
            return (gint64)st.st_blocks * BLOCK_BYTES;
    }
    return -1;
}

gint64 image_version_open_bytes(const char *version, pid_t pid)
{
    g_autoptr(GPtrArray) open_paths = list_open(pid);
    g_auto(GStrv) words = g_strsplit(version, " ", -1);
    gint64 total = *words ? 0 : -1;
    for (char **word = words; *word && total >= 0; word++) {
        gint64 bytes = open_bytes(open_paths, *word);
        total = bytes < 0 ? -1 : total + bytes;
    }
    return total;
}
