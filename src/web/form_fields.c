/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "web/form_fields.h"

#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "base/token.h"
#include "base/units.h"

#define ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
#define NAME_LETTERS ALNUM "_.@:- "   /* what the original accepts in every field but the password */
#define USER_LETTERS NAME_LETTERS "+" /* mail addresses have tags */

#define USER_MAX_BYTES 256
#define FILE_NAME_MAX_BYTES 255 /* NAME_MAX */
#define PASSWORD_MAX_BYTES 1024
#define SEAL_MAX_BYTES 8192
#define CODE_MAX_BYTES 16
#define FORM_SCRIPT_MAX_BYTES 8192
#define LABEL_MAX_CHARS 60
#define WORD_MAX_BYTES 32
#define PAGE_MAX 1000000
#define PICTURE_AGE_MAX_S 3600
#define CPUS_MAX 256
#define MEMORY_MIN_MIB 32
#define MEMORY_MAX_MIB (4 * 1024 * 1024) /* as snapshot_alloc_mem in settings.def */
#define LIFETIME_MIN_S 60
#define LIFETIME_MAX_S (365 * 86400) /* as snapshot_lifetime there */

/* --- validators: whether a text is accepted; numbers give their value --- */

static bool consists_of(const char *text, const char *letters, size_t max_bytes)
{
    size_t length = strlen(text);
    return length > 0 && length <= max_bytes && strspn(text, letters) == length && *text != '-' && *text != ' ' &&
           text[length - 1] != ' ';
}

static bool check_user(const char *text, G_GNUC_UNUSED gint64 *value)
{
    return consists_of(text, USER_LETTERS, USER_MAX_BYTES);
}

/* Base64 for URLs: it may begin with any of its characters, - among them. */
static bool check_seal(const char *text, G_GNUC_UNUSED gint64 *value)
{
    size_t length = strlen(text);
    return length <= SEAL_MAX_BYTES && strspn(text, ALNUM "_-.") == length;
}

static bool check_code(const char *text, G_GNUC_UNUSED gint64 *value)
{
    return consists_of(text, ALNUM, CODE_MAX_BYTES);
}

static bool check_role(const char *text, G_GNUC_UNUSED gint64 *value)
{
    return g_str_equal(text, "control") || g_str_equal(text, "view");
}

/* Any text for people: control characters are refused for all fields already (web/request.h). */
static bool check_label(const char *text, G_GNUC_UNUSED gint64 *value)
{
    return g_utf8_strlen(text, -1) <= LABEL_MAX_CHARS;
}

static bool check_word(const char *text, G_GNUC_UNUSED gint64 *value)
{
    size_t length = strlen(text);
    return length <= WORD_MAX_BYTES && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

static bool check_page(const char *text, gint64 *value)
{
    return units_parse_integer(text, 1, PAGE_MAX, value);
}

static bool check_picture(const char *text, gint64 *value)
{
    return units_parse_integer(text, 1, PICTURE_AGE_MAX_S, value);
}

static bool check_selection(const char *text, G_GNUC_UNUSED gint64 *value)
{
    return g_str_equal(text, "selected") || token_is_well_formed(text);
}

static bool check_serial(const char *text, gint64 *value)
{
    return units_parse_integer(text, 1, G_MAXINT64 / 2, value);
}

static bool check_name(const char *text, G_GNUC_UNUSED gint64 *value)
{
    return consists_of(text, NAME_LETTERS, USER_MAX_BYTES);
}

static bool check_file_name(const char *text, G_GNUC_UNUSED gint64 *value)
{
    return consists_of(text, NAME_LETTERS "+", FILE_NAME_MAX_BYTES) && *text != '.';
}

static bool check_saved_name(const char *text, G_GNUC_UNUSED gint64 *value)
{
    size_t length = strlen(text);
    return length <= LABEL_MAX_CHARS && strspn(text, ALNUM "_.-") == length;
}

static bool check_password(const char *text, G_GNUC_UNUSED gint64 *value)
{
    return strlen(text) <= PASSWORD_MAX_BYTES;
}

/* What it may be, the settings say (core/script.h). */
static bool check_script(const char *text, G_GNUC_UNUSED gint64 *value)
{
    return strlen(text) <= FORM_SCRIPT_MAX_BYTES;
}

static bool check_token(const char *text, G_GNUC_UNUSED gint64 *value)
{
    return token_is_well_formed(text);
}

static bool check_cpus(const char *text, gint64 *value)
{
    return units_parse_integer(text, 1, CPUS_MAX, value);
}

static bool check_memory(const char *text, gint64 *value)
{
    return units_parse_size(text, value) && *value >= MEMORY_MIN_MIB && *value <= MEMORY_MAX_MIB;
}

static bool check_lifetime(const char *text, gint64 *value)
{
    return units_parse_duration(text, value) && *value >= LIFETIME_MIN_S && *value <= LIFETIME_MAX_S;
}

/* --- the fields --- */

static const char some_name[] = N_("1 to 256 letters, digits and characters _ . @ : - and space, not beginning with -");
static const char some_user[] =
    N_("1 to 256 letters, digits and characters _ . @ : + - and space, not beginning with -");
static const char session_id[] = N_("the 32 digits of a session, as its page gives them");
static const char some_time[] = N_("a duration from 60 seconds to 365 days, such as 3600, 8h or 4d");

const FormRow form_rows[FORM_FIELD_COUNT] = {
    [FORM_FIELD_USER] = {"user", check_user, some_user},
    [FORM_FIELD_PASSWORD] = {"password", check_password, N_("at most 1024 bytes")},
    [FORM_FIELD_CREATE] = {"create", NULL, NULL},
    [FORM_FIELD_MANAGE] = {"manage", NULL, NULL},
    [FORM_FIELD_METRICS] = {"metrics", NULL, NULL},
    [FORM_FIELD_MACHINE] = {"machine", check_file_name, N_("the file name of one of the machines on offer")},
    [FORM_FIELD_CPU] = {"cpu", check_cpus, N_("a whole number from 1 to 256")},
    [FORM_FIELD_MEMORY] = {"memory", check_memory, N_("a size from 32M to 4T, such as 4 or 4G (GB) or 512M (MB)")},
    [FORM_FIELD_LIFETIME] = {"snapshot_lifetime", check_lifetime, some_time},
    [FORM_FIELD_GPU] = {"gpu", NULL, NULL},
    [FORM_FIELD_ONESHOT] = {"oneshot", NULL, NULL},
    [FORM_FIELD_TERMS] = {"terms", NULL, NULL},
    [FORM_FIELD_FOLDERS] = {"folders", NULL,
                            NULL}, /* there are some to choose from; each that is chosen is a "folder" */
    [FORM_FIELD_STOP] = {"session_stop", check_token, session_id},
    [FORM_FIELD_EXTEND] = {"session_extend", check_token, session_id},
    [FORM_FIELD_STAY] = {"session_stay", check_token, session_id},
    [FORM_FIELD_AGAIN] = {"session_resume", check_token, session_id},
    [FORM_FIELD_DISCARD] = {"session_discard", check_token, session_id},
    [FORM_FIELD_PURGE] = {"service_purge", check_name, some_name},
    [FORM_FIELD_FALLBACK] = {"fallback_servers", check_name, some_name},
    [FORM_FIELD_SCRIPT] = {"script", check_script,
                           N_("exec: or bash: and commands, or an address, at most 8192 bytes")},
    [FORM_FIELD_SESSION] = {"session", check_token, session_id},
    [FORM_FIELD_CONFIRM] = {"confirm", NULL, NULL},
    [FORM_FIELD_KEY] = {"idempotency_key", check_token, N_("32 hexadecimal digits, other ones for each form")},
    [FORM_FIELD_CSRF] = {"csrf", check_seal, N_("what the form of this service has in it")},
    [FORM_FIELD_SHARE] = {"share", check_token, session_id},
    [FORM_FIELD_ROLE] = {"role", check_role, N_("control or view")},
    [FORM_FIELD_LABEL] = {"label", check_label, N_("at most 60 characters")},
    [FORM_FIELD_LINK_LIFETIME] = {"link_lifetime", check_lifetime, some_time},
    [FORM_FIELD_REVOKE] = {"link_revoke", check_token, N_("the 32 digits of a link, as the page gives them")},
    [FORM_FIELD_DISCONNECT] = {"viewer_disconnect", check_serial, N_("the number of a viewer, as the page gives it")},
    [FORM_FIELD_LOGOUT] = {"logout", NULL, NULL},
    [FORM_FIELD_PENDING] = {"pending", check_seal, N_("what the form of this service has in it")},
    [FORM_FIELD_CODE] = {"code", check_code, N_("the digits that the app shows, or a recovery code")},
    [FORM_FIELD_MONITOR] = {"monitor", NULL, NULL},
    [FORM_FIELD_SORT] = {"sort", check_word, N_("a column's word, as the page gives it")},
    [FORM_FIELD_ORDER] = {"order", check_word, N_("asc or desc")},
    [FORM_FIELD_FIND] = {"find", check_label, N_("at most 60 characters")},
    [FORM_FIELD_STATE] = {"state", check_word, N_("a state's word, as the page gives it")},
    [FORM_FIELD_PAGE] = {"page", check_page, N_("the number of a page")},
    [FORM_FIELD_RESULT] = {"result", check_word, N_("what the page gives")},
    [FORM_FIELD_STOP_SELECTION] = {"sessions_stop", check_selection, N_("selected, or the session's 32 digits")},
    [FORM_FIELD_EXTEND_SELECTION] = {"sessions_extend", check_selection, N_("selected, or the session's 32 digits")},
    [FORM_FIELD_VIEW] = {"view", check_token, session_id},
    [FORM_FIELD_SHARED] = {"shared", NULL, NULL},
    [FORM_FIELD_TOKEN] = {"token", check_token, N_("the 32 digits of a link")},
    [FORM_FIELD_QR] = {"qr", check_token, N_("the 32 digits of a link, as the page gives them")},
    [FORM_FIELD_PICTURE] = {"picture", check_picture, N_("how many seconds old it may be, from 1 to 3600")},
    [FORM_FIELD_SAVE] = {"session_save", check_token, session_id},
    [FORM_FIELD_SAVE_NAME] = {"save_name", check_saved_name, N_("1 to 60 letters, digits and characters _ . -")},
    [FORM_FIELD_SAVE_TITLE] = {"save_description", check_label, N_("at most 60 characters")},
    [FORM_FIELD_REMOVE_SAVED] = {"saved_remove", check_file_name, N_("the name of a machine, as the page gives it")},
};

const char *form_find(const Request *request, FormField field)
{
    const char *name = form_rows[field].name;
    return request_method(request) == METHOD_POST ? request_field(request, name) : request_query_field(request, name);
}

bool form_has(const Request *request, FormField field)
{
    return form_find(request, field) != NULL;
}

bool form_read_field(const Request *request, FormField field, const char **text, gint64 *value, GError **error)
{
    const FormRow *row = &form_rows[field];
    const char *given = form_find(request, field);
    *text = "";
    *value = 0;
    if (!given || !*given)
        return true;
    if (!row->check(given, value))
        return qwd_error_fail(error, QWD_ERROR_USAGE, "%s: write %s.", row->name, row->allowed);
    *text = given;
    return true;
}

bool form_read_text(const Request *request, FormField field, const char **text, GError **error)
{
    gint64 value;
    return form_read_field(request, field, text, &value, error);
}

bool form_read_number(const Request *request, FormField field, gint64 *value, GError **error)
{
    const char *text;
    return form_read_field(request, field, &text, value, error);
}
