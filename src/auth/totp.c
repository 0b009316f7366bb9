/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "auth/totp.h"

#include <errno.h>
#include <liboath/oath.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/token.h"

#define SECRET_BYTES 20
#define STEP_S 30
#define WINDOW_STEPS 1 /* a clock may be a step off (RFC 6238, section 6) */
#define CODE_DIGITS 6
#define RECOVERY_CODES 8
#define RECOVERY_CHARS 10
#define RECORD_MAX_BYTES 8192
#define ISSUER "Remote desktop"

static char *record_path(const Settings *settings, const char *user)
{
    g_autofree char *hash = token_hash(user);
    g_autofree char *name = g_strconcat(hash, ".json", NULL);
    return g_build_filename(settings->dir_login, "totp", name, NULL);
}

static int lock(const Settings *settings, GError **error)
{
    g_autofree char *folder = g_build_filename(settings->dir_login, "totp", NULL);
    g_autofree char *path = g_build_filename(settings->dir_login, "totp.lock", NULL);
    if (!folder_make_private(settings->dir_login, error) || !folder_make_private(folder, error))
        return -1;
    return file_lock(path, error);
}

bool totp_is_enrolled(const Settings *settings, const char *user)
{
    g_autofree char *path = record_path(settings, user);
    return !file_is_absent(path); /* or a new app could be set up without the old one */
}

bool totp_reset(const Settings *settings, const char *user)
{
    g_autofree char *path = record_path(settings, user);
    autofd int fd = lock(settings, NULL);
    return fd >= 0 && unlink(path) == 0;
}

/* --- secrets --- */

/* `length` characters out of 32 that cannot be mistaken for each other. */
static char *random_text(size_t length)
{
    static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";
    guint8 bytes[64];
    g_assert(length <= sizeof bytes && sizeof letters - 1 == 32);
    if (getrandom(bytes, length, 0) != (ssize_t)length)
        g_error("The kernel gives no random numbers: %s", g_strerror(errno));
    char *text = g_malloc0(length + 1);
    for (size_t i = 0; i < length; i++)
        text[i] = letters[bytes[i] % 32];
    return text;
}

char *totp_new_secret(void)
{
    char bytes[SECRET_BYTES], *encoded = NULL;
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        g_error("The kernel gives no random numbers: %s", g_strerror(errno));
    oath_base32_encode(bytes, sizeof bytes, &encoded, NULL);
    char *secret = g_strdup(encoded);
    free(encoded);
    return secret;
}

char *totp_uri(const char *user, const char *secret)
{
    g_autofree char *label = g_uri_escape_string(user, NULL, FALSE);
    g_autofree char *issuer = g_uri_escape_string(ISSUER, NULL, FALSE);
    return g_strdup_printf("otpauth://totp/%s:%s?secret=%s&issuer=%s", issuer, label, secret, issuer);
}

/* --- codes --- */

static bool is_code(const char *code)
{
    return strlen(code) == CODE_DIGITS && strspn(code, "0123456789") == CODE_DIGITS;
}

/* The number of the time step that a code belongs to; -1 when it is of none near now. */
static gint64 step_of_code(const char *secret, const char *code)
{
    char *bytes = NULL;
    size_t length = 0;
    int position = 0;
    time_t now = time(NULL);
    if (!is_code(code) || oath_base32_decode(secret, strlen(secret), &bytes, &length) != OATH_OK)
        return -1;
    int result = oath_totp_validate2(bytes, length, now, STEP_S, 0, WINDOW_STEPS, &position, code);
    explicit_bzero(bytes, length);
    free(bytes);
    return result >= 0 ? now / STEP_S + position : -1;
}

static bool refuse(GError **error)
{
    return qwd_error_fail(error, QWD_ERROR_LOGIN,
                          "The code is not right. Codes change every 30 seconds and count once.");
}

static char **make_recovery_codes(json_t *hashes)
{
    g_autoptr(GStrvBuilder) codes = g_strv_builder_new();
    for (int i = 0; i < RECOVERY_CODES; i++) {
        g_autofree char *code = random_text(RECOVERY_CHARS);
        g_autofree char *hash = token_hash(code);
        json_array_append_new(hashes, json_string(hash));
        g_strv_builder_add(codes, code);
    }
    return g_strv_builder_end(codes);
}

char **totp_enrol(const Settings *settings, const char *user, const char *secret, const char *code, GError **error)
{
    gint64 step = step_of_code(secret, code);
    if (step < 0) {
        refuse(error);
        return NULL;
    }
    autofd int fd = lock(settings, error);
    if (fd < 0)
        return NULL;
    if (totp_is_enrolled(settings, user)) {
        qwd_error_fail(error, QWD_ERROR_CONFLICT,
                       "An authenticator app is set up for you already. Please log in again.");
        return NULL;
    }
    json_t *hashes = json_array();
    g_auto(GStrv) codes = make_recovery_codes(hashes);
    g_autoptr(JsonValue) record = json_pack("{s:s, s:s, s:I, s:o}", "user", user, "secret", secret, "last_step",
                                            (json_int_t)step, "recovery", hashes);
    g_autofree char *path = record_path(settings, user);
    if (!json_object_write(path, record, FILE_WRITE_DURABLE, error))
        return NULL;
    return g_steal_pointer(&codes);
}

/* Takes the hash of a recovery code out of the record; false when it is not there. Phones like to write capitals. */
static bool take_recovery_code(json_t *record, const char *code)
{
    g_autofree char *lower = g_ascii_strdown(code, -1);
    g_autofree char *hash = token_hash(lower);
    json_t *hashes = json_object_get(record, "recovery");
    for (size_t i = 0; i < json_array_size(hashes); i++) {
        const char *known = json_string_value(json_array_get(hashes, i));
        if (known && token_equal(known, hash)) {
            json_array_remove(hashes, i);
            return true;
        }
    }
    return false;
}

/* A code of an earlier or the same step as the last one that counted is a replay (RFC 6238, section 5.2). */
static bool take_code(json_t *record, const char *code)
{
    gint64 step = step_of_code(json_get_text(record, "secret", ""), code);
    if (step < 0 || step <= json_get_integer(record, "last_step", 0))
        return false;
    json_object_set_new(record, "last_step", json_integer(step));
    return true;
}

bool totp_verify(const Settings *settings, const char *user, const char *code, GError **error)
{
    g_autofree char *path = record_path(settings, user);
    autofd int fd = lock(settings, error);
    g_autoptr(JsonValue) record = fd >= 0 ? json_object_read(path, RECORD_MAX_BYTES, error) : NULL;
    if (!record)
        return false;
    if (!take_code(record, code) && !take_recovery_code(record, code))
        return refuse(error);
    return json_object_write(path, record, FILE_WRITE_DURABLE, error);
}
