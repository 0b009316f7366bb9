/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "auth/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/token.h"

#define KEY_BYTES 32
#define SEAL_MAX_BYTES 8192

/* --- the key --- */

static bool make_key(const char *path, GError **error)
{
    guint8 key[KEY_BYTES];
    if (getrandom(key, sizeof key, 0) != sizeof key)
        return qwd_error_errno(error, errno, "The kernel gives no random numbers");
    g_autofree char *hex = token_new();
    g_autofree char *temporary = g_strdup_printf("%s.%s", path, hex);
    bool good = file_write_atomic(temporary, (const char *)key, sizeof key, 0600, FILE_WRITE_DURABLE, error);
    explicit_bzero(key, sizeof key);
    /* link(2) does not replace: of several first requests one makes the key, and all use it. */
    if (good && link(temporary, path) < 0 && errno != EEXIST)
        good = qwd_error_errno(error, errno, "Cannot make %s", path);
    unlink(temporary);
    return good;
}

/* Takes over what was in the file, and wipes it. */
static bool take_key(char *text, size_t length, guint8 key[KEY_BYTES])
{
    bool good = length == KEY_BYTES;
    if (good)
        memcpy(key, text, KEY_BYTES);
    explicit_bzero(text, length);
    g_free(text);
    return good;
}

static bool read_key(const Settings *settings, guint8 key[KEY_BYTES], GError **error)
{
    size_t length;
    g_autoptr(GError) cause = NULL;
    g_autofree char *path = g_build_filename(settings->dir_login, "key", NULL);
    if (!folder_make_private(settings->dir_login, error) ||
        (!g_file_test(path, G_FILE_TEST_EXISTS) && !make_key(path, error)))
        return false;
    char *text = file_read(path, KEY_BYTES, &length, &cause);
    if (text && take_key(text, length, key))
        return true;
    if (!cause || g_error_matches(cause, QWD_ERROR, QWD_ERROR_TOO_LARGE))
        return qwd_error_fail(error, QWD_ERROR_CONFIG,
                              "%s is not a key. Remove it: a new one is made, and everybody logs in again.", path);
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

/* --- signing --- */

/* Base64 with the alphabet for URLs and without padding (RFC 4648, section 5). */
static char *base64url(const guint8 *data, size_t length)
{
    char *text = g_base64_encode(data, length);
    g_strdelimit(text, "+", '-');
    g_strdelimit(text, "/", '_');
    text[strcspn(text, "=")] = '\0';
    return text;
}

static guchar *from_base64url(const char *text, size_t *length)
{
    static const char *const paddings[] = {"", "===", "==", "="};
    g_autofree char *plain = g_strconcat(text, paddings[strlen(text) % 4], NULL);
    g_strdelimit(plain, "-", '+');
    g_strdelimit(plain, "_", '/');
    return g_base64_decode(plain, length);
}

char *seal_mac(const Settings *settings, const char *purpose, const char *text, GError **error)
{
    guint8 key[KEY_BYTES], digest[32];
    gsize length = sizeof digest;
    if (!read_key(settings, key, error))
        return NULL;
    GHmac *hmac = g_hmac_new(G_CHECKSUM_SHA256, key, sizeof key);
    explicit_bzero(key, sizeof key);
    g_hmac_update(hmac, (const guchar *)purpose, (gssize)strlen(purpose) + 1); /* the NUL keeps both apart */
    g_hmac_update(hmac, (const guchar *)text, (gssize)strlen(text));
    g_hmac_get_digest(hmac, digest, &length);
    g_hmac_unref(hmac);
    return base64url(digest, length);
}

char *seal_close(const Settings *settings, const char *purpose, const json_t *object, gint64 expires_at, GError **error)
{
    g_autoptr(JsonValue) copy = json_copy((json_t *)object);
    json_object_set_new(copy, "exp", json_integer(expires_at));
    char *text = json_dumps(copy, JSON_COMPACT);
    g_autofree char *body = base64url((const guint8 *)text, strlen(text));
    free(text);
    g_autofree char *mac = seal_mac(settings, purpose, body, error);
    return mac ? g_strconcat(body, ".", mac, NULL) : NULL;
}

static json_t *refuse(GError **error)
{
    qwd_error_fail(error, QWD_ERROR_LOGIN, "Please log in again.");
    return NULL;
}

json_t *seal_open(const Settings *settings, const char *purpose, const char *text, GError **error)
{
    const char *dot = strlen(text) <= SEAL_MAX_BYTES ? strrchr(text, '.') : NULL;
    if (!dot)
        return refuse(error);
    g_autofree char *body = g_strndup(text, (gsize)(dot - text));
    g_autofree char *expected = seal_mac(settings, purpose, body, error);
    if (!expected)
        return NULL;
    if (!token_equal(expected, dot + 1))
        return refuse(error);
    size_t length;
    g_autofree guchar *data = from_base64url(body, &length);
    g_autoptr(JsonValue) object = json_object_parse((const char *)data, length, NULL);
    if (!object || json_get_integer(object, "exp", 0) <= g_get_real_time() / G_USEC_PER_SEC)
        return refuse(error);
    return g_steal_pointer(&object);
}

/* --- used up --- */

static char *used_up_path(const Settings *settings, const char *id)
{
    g_autofree char *hash = token_hash(id);
    return g_build_filename(settings->dir_login, "used", hash, NULL);
}

/* An entry's time stamp is the time until which it has to be known. */
static void remove_old_entries(const char *folder)
{
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    for (const char *name; dir && (name = g_dir_read_name(dir));) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        struct stat st;
        if (stat(path, &st) == 0 && st.st_mtime < now)
            unlink(path);
    }
}

bool seal_is_used_up(const Settings *settings, const char *id)
{
    g_autofree char *path = used_up_path(settings, id);
    return !file_is_absent(path);
}

/* A file that says until when an entry has to be known. False with errno set. */
static bool write_entry(const char *path, gint64 expires_at)
{
    struct timespec times[2] = {{.tv_sec = expires_at}, {.tv_sec = expires_at}};
    autofd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return fd >= 0 && futimens(fd, times) == 0;
}

/* An entry gets its name when its time is in it: one that seems old to others would be removed, and count for nothing.
 */
bool seal_use_up(const Settings *settings, const char *id, gint64 expires_at, GError **error)
{
    g_autofree char *path = used_up_path(settings, id);
    g_autofree char *folder = g_path_get_dirname(path);
    if (!folder_make_private(settings->dir_login, error) || !folder_make_private(folder, error))
        return false;
    remove_old_entries(folder);
    g_autofree char *hex = token_new();
    g_autofree char *temporary = g_strdup_printf("%s/new.%s", settings->dir_login, hex);
    bool good = write_entry(temporary, expires_at) && link(temporary, path) == 0;
    int why = errno;
    unlink(temporary);
    if (!good && why == EEXIST)
        return qwd_error_fail(error, QWD_ERROR_LOGIN, "This link has been used already. Please log in again.");
    return good || qwd_error_errno(error, why, "Cannot write %s", path);
}
