/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "web/form.h"

#include <string.h>

#include "base/error.h"
#include "base/token.h"
#include "core/folder.h"
#include "web/form_fields.h"

bool form_read_action(const Request *request, FormAction *action, GError **error)
{
    static const struct {
        FormField field;
        FormAction action;
    } askers[] = {
        {FORM_FIELD_CREATE, FORM_CREATE},
        {FORM_FIELD_MANAGE, FORM_MANAGE},
        {FORM_FIELD_STOP, FORM_STOP},
        {FORM_FIELD_EXTEND, FORM_EXTEND},
        {FORM_FIELD_PURGE, FORM_PURGE},
        {FORM_FIELD_SHARE, FORM_SHARE},
        {FORM_FIELD_REVOKE, FORM_REVOKE},
        {FORM_FIELD_LOGOUT, FORM_LOGOUT},
        {FORM_FIELD_DISCONNECT, FORM_DISCONNECT},
        {FORM_FIELD_STAY, FORM_STAY},
        {FORM_FIELD_AGAIN, FORM_AGAIN},
        {FORM_FIELD_DISCARD, FORM_DISCARD},
        {FORM_FIELD_SAVE, FORM_SAVE},
        {FORM_FIELD_REMOVE_SAVED, FORM_REMOVE_SAVED},
        {FORM_FIELD_METRICS, FORM_METRICS},
        {FORM_FIELD_MONITOR, FORM_MONITOR},
        {FORM_FIELD_STOP_SELECTION, FORM_STOP_SELECTION},
        {FORM_FIELD_EXTEND_SELECTION, FORM_EXTEND_SELECTION},
        {FORM_FIELD_VIEW, FORM_VIEWER},
        {FORM_FIELD_SHARED, FORM_SHARED_VIEWER},
        {FORM_FIELD_TOKEN, FORM_LINK_STATE},
    };
    const char *first = NULL;
    if (form_has(request, FORM_FIELD_PENDING)) { /* what it goes on with stands beside it */
        *action = FORM_RESUME;
        return true;
    }
    bool machine_alone = request_method(request) == METHOD_POST && form_has(request, FORM_FIELD_MACHINE);
    *action = machine_alone ? FORM_CREATE : FORM_NOTHING;
    for (size_t i = 0; i < G_N_ELEMENTS(askers); i++) {
        if (!form_has(request, askers[i].field))
            continue;
        const char *name = form_rows[askers[i].field].name;
        if (first)
            return qwd_error_fail(error, QWD_ERROR_USAGE, "%s and %s: ask for one thing at a time.", first, name);
        first = name;
        *action = askers[i].action;
    }
    if (*action == FORM_CREATE && g_strcmp0(form_find(request, FORM_FIELD_MACHINE), "monitor") == 0)
        *action = FORM_MONITOR;
    return true;
}

bool form_read_monitor(const Request *request, MonitorForm *form, GError **error)
{
    *form = (MonitorForm){.page = 0};
    return form_read_text(request, FORM_FIELD_SORT, &form->sort, error) &&
           form_read_text(request, FORM_FIELD_ORDER, &form->order, error) &&
           form_read_text(request, FORM_FIELD_FIND, &form->find, error) &&
           form_read_text(request, FORM_FIELD_STATE, &form->state, error) &&
           form_read_text(request, FORM_FIELD_RESULT, &form->result, error) &&
           form_read_number(request, FORM_FIELD_PAGE, &form->page, error);
}

GPtrArray *form_read_selection(const Request *request, GError **error)
{
    const char *stop, *extend;
    if (!form_read_text(request, FORM_FIELD_STOP_SELECTION, &stop, error) ||
        !form_read_text(request, FORM_FIELD_EXTEND_SELECTION, &extend, error))
        return NULL;
    const char *named = *stop ? stop : extend;
    g_autoptr(GPtrArray) ids = token_is_well_formed(named) ? g_ptr_array_new() : request_fields(request, "sessions");
    if (token_is_well_formed(named))
        g_ptr_array_add(ids, (gpointer)named);
    bool good = ids->len > 0;
    for (guint i = 0; i < ids->len; i++)
        good = good && token_is_well_formed(ids->pdata[i]);
    if (good)
        return g_steal_pointer(&ids);
    qwd_error_fail(error, QWD_ERROR_USAGE, "sessions: select at least one session of the list.");
    return NULL;
}

bool form_read_login(const Request *request, LoginForm *form, GError **error)
{
    *form = (LoginForm){.user = ""};
    return form_read_text(request, FORM_FIELD_USER, &form->user, error) &&
           form_read_text(request, FORM_FIELD_PASSWORD, &form->password, error);
}

bool form_read_create(const Request *request, CreateForm *form, GError **error)
{
    *form = (CreateForm){.gpu = form_has(request, FORM_FIELD_GPU),
                         .oneshot = form_has(request, FORM_FIELD_ONESHOT),
                         .terms = form_has(request, FORM_FIELD_TERMS)};
    return form_read_text(request, FORM_FIELD_MACHINE, &form->machine, error) &&
           form_read_number(request, FORM_FIELD_CPU, &form->cpus, error) &&
           form_read_number(request, FORM_FIELD_MEMORY, &form->memory_mib, error) &&
           form_read_number(request, FORM_FIELD_LIFETIME, &form->lifetime_s, error) &&
           form_read_text(request, FORM_FIELD_SCRIPT, &form->script, error) &&
           form_read_text(request, FORM_FIELD_FALLBACK, &form->fallback_servers, error);
}

bool form_read_folders(const Request *request, GPtrArray **names, GError **error)
{
    g_autoptr(GPtrArray) given = form_has(request, FORM_FIELD_FOLDERS) ? request_fields(request, "folder") : NULL;
    for (guint i = 0; given && i < given->len; i++) {
        if (!folder_name_is_well_formed(given->pdata[i]))
            return qwd_error_fail(error, QWD_ERROR_USAGE, "folder: write the name of a folder, as the page gives it.");
    }
    *names = g_steal_pointer(&given);
    return true;
}

bool form_read_session(const Request *request, SessionForm *form, GError **error)
{
    static const FormField askers[] = {FORM_FIELD_STOP, FORM_FIELD_EXTEND, FORM_FIELD_SHARE,
                                       FORM_FIELD_STAY, FORM_FIELD_AGAIN,  FORM_FIELD_DISCARD,
                                       FORM_FIELD_SAVE, FORM_FIELD_VIEW,   FORM_FIELD_SESSION};
    *form = (SessionForm){.session = "", .confirm = form_has(request, FORM_FIELD_CONFIRM)};
    for (size_t i = 0; i < G_N_ELEMENTS(askers) && !*form->session; i++) {
        if (!form_read_text(request, askers[i], &form->session, error))
            return false;
    }
    const char *key;
    return form_read_text(request, FORM_FIELD_KEY, &key, error) &&
           form_read_text(request, FORM_FIELD_PURGE, &form->purge, error) &&
           form_read_text(request, FORM_FIELD_TOKEN, &form->token, error) &&
           form_read_text(request, FORM_FIELD_QR, &form->qr, error) &&
           form_read_number(request, FORM_FIELD_PICTURE, &form->picture_age_s, error) &&
           form_read_number(request, FORM_FIELD_PAGE, &form->page, error) &&
           form_read_text(request, FORM_FIELD_CSRF, &form->csrf, error);
}

bool form_read_extension(const Request *request, gint64 *seconds, GError **error)
{
    return form_read_number(request, FORM_FIELD_LIFETIME, seconds, error);
}

bool form_read_resume(const Request *request, ResumeForm *form, GError **error)
{
    return form_read_text(request, FORM_FIELD_PENDING, &form->pending, error) &&
           form_read_text(request, FORM_FIELD_CODE, &form->code, error);
}

bool form_read_share(const Request *request, ShareForm *form, GError **error)
{
    const char *role;
    *form = (ShareForm){.label = ""};
    if (!form_read_text(request, FORM_FIELD_ROLE, &role, error) ||
        !form_read_text(request, FORM_FIELD_LABEL, &form->label, error))
        return false;
    form->view_only = !g_str_equal(role, "control");
    return form_read_number(request, FORM_FIELD_LINK_LIFETIME, &form->lifetime_s, error) &&
           form_read_text(request, FORM_FIELD_REVOKE, &form->link, error) &&
           form_read_number(request, FORM_FIELD_DISCONNECT, &form->viewer_serial, error);
}

bool form_read_save(const Request *request, SaveForm *form, GError **error)
{
    return form_read_text(request, FORM_FIELD_SAVE_NAME, &form->name, error) &&
           form_read_text(request, FORM_FIELD_SAVE_TITLE, &form->title, error);
}

bool form_read_remove_saved(const Request *request, const char **name, GError **error)
{
    return form_read_text(request, FORM_FIELD_REMOVE_SAVED, name, error);
}

static void carry_folders(const Request *request, json_t *list)
{
    g_autoptr(GPtrArray) names = NULL;
    form_read_folders(request, &names, NULL);
    for (guint i = 0; names && i < names->len; i++)
        json_array_append_new(list, json_pack("{s:s, s:s}", "name", "folder", "value", names->pdata[i]));
}

/* Who has sent none has one from here on. */
static void carry_key(const Request *request, json_t *list)
{
    const char *given = form_find(request, FORM_FIELD_KEY);
    g_autofree char *key = given && token_is_well_formed(given) ? g_strdup(given) : token_new();
    json_array_append_new(list, json_pack("{s:s, s:s}", "name", form_rows[FORM_FIELD_KEY].name, "value", key));
}

json_t *form_carry(const Request *request)
{
    static const FormField carried[] = {
        FORM_FIELD_CREATE,   FORM_FIELD_MANAGE,  FORM_FIELD_MACHINE, FORM_FIELD_CPU,     FORM_FIELD_MEMORY,
        FORM_FIELD_LIFETIME, FORM_FIELD_ONESHOT, FORM_FIELD_GPU,     FORM_FIELD_SCRIPT,  FORM_FIELD_SESSION,
        FORM_FIELD_MONITOR,  FORM_FIELD_VIEW,    FORM_FIELD_TERMS,   FORM_FIELD_FOLDERS,
    };
    json_t *list = json_array();
    for (size_t i = 0; i < G_N_ELEMENTS(carried); i++) {
        const FormRow *row = &form_rows[carried[i]];
        const char *value = form_find(request, carried[i]);
        gint64 number;
        if (value && (!row->check || row->check(value, &number)))
            json_array_append_new(list,
                                  json_pack("{s:s, s:s}", "name", row->name, "value", row->check ? value : row->name));
    }
    carry_folders(request, list);
    carry_key(request, list);
    return list;
}

/* Who sends it is proven in other fields at other steps of a login. */
static bool counts_in_submission(FormField field)
{
    static const FormField others[] = {FORM_FIELD_USER,    FORM_FIELD_PASSWORD, FORM_FIELD_CSRF,
                                       FORM_FIELD_PENDING, FORM_FIELD_CODE,     FORM_FIELD_FALLBACK};
    bool counts = true;
    for (size_t i = 0; i < G_N_ELEMENTS(others); i++)
        counts = counts && field != others[i];
    return counts;
}

/* No text has the byte that ends it. */
static void add_text(GChecksum *sum, const char *text)
{
    g_checksum_update(sum, (const guchar *)text, (gssize)strlen(text) + 1);
}

char *form_submission(const Request *request, const char *sender)
{
    const char *key = form_find(request, FORM_FIELD_KEY);
    if (!key || !token_is_well_formed(key))
        return NULL;
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    g_autoptr(GPtrArray) folders = request_fields(request, "folder");
    add_text(sum, sender);
    for (FormField field = 0; field < FORM_FIELD_COUNT; field++) {
        const FormRow *row = &form_rows[field];
        const char *value = counts_in_submission(field) ? form_find(request, field) : NULL;
        if (!value)
            continue;
        add_text(sum, row->name);
        add_text(sum, row->check ? value : row->name);
    }
    for (guint i = 0; i < folders->len; i++)
        add_text(sum, folders->pdata[i]);
    return g_strdup(g_checksum_get_string(sum));
}
