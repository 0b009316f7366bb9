/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The fields of requests: their names and what each accepts. A new one is a row here and in form_fields.c. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "web/request.h"

typedef enum {
    FORM_FIELD_USER,
    FORM_FIELD_PASSWORD,
    FORM_FIELD_CREATE,
    FORM_FIELD_MANAGE,
    FORM_FIELD_METRICS,
    FORM_FIELD_MACHINE,
    FORM_FIELD_CPU,
    FORM_FIELD_MEMORY,
    FORM_FIELD_LIFETIME,
    FORM_FIELD_GPU,
    FORM_FIELD_ONESHOT,
    FORM_FIELD_TERMS,
    FORM_FIELD_FOLDERS,
    FORM_FIELD_STOP,
    FORM_FIELD_EXTEND,
    FORM_FIELD_STAY,
    FORM_FIELD_AGAIN,
    FORM_FIELD_DISCARD,
    FORM_FIELD_PURGE,
    FORM_FIELD_FALLBACK,
    FORM_FIELD_SCRIPT,
    FORM_FIELD_SESSION,
    FORM_FIELD_CONFIRM,
    FORM_FIELD_CSRF,
    FORM_FIELD_KEY,
    FORM_FIELD_SHARE,
    FORM_FIELD_ROLE,
    FORM_FIELD_LABEL,
    FORM_FIELD_LINK_LIFETIME,
    FORM_FIELD_REVOKE,
    FORM_FIELD_DISCONNECT,
    FORM_FIELD_LOGOUT,
    FORM_FIELD_PENDING,
    FORM_FIELD_CODE,
    FORM_FIELD_MONITOR,
    FORM_FIELD_SORT,
    FORM_FIELD_ORDER,
    FORM_FIELD_FIND,
    FORM_FIELD_STATE,
    FORM_FIELD_PAGE,
    FORM_FIELD_RESULT,
    FORM_FIELD_STOP_SELECTION,
    FORM_FIELD_EXTEND_SELECTION,
    FORM_FIELD_VIEW,
    FORM_FIELD_SHARED,
    FORM_FIELD_TOKEN,
    FORM_FIELD_QR,
    FORM_FIELD_PICTURE,
    FORM_FIELD_SAVE,
    FORM_FIELD_SAVE_NAME,
    FORM_FIELD_SAVE_TITLE,
    FORM_FIELD_REMOVE_SAVED,
    FORM_FIELD_COUNT
} FormField;

typedef struct {
    const char *name;
    bool (*check)(const char *text, gint64 *value); /* NULL: a switch, its presence counts */
    const char *allowed;                            /* continues "write" */
} FormRow;

extern const FormRow form_rows[FORM_FIELD_COUNT];

/* What was sent for a field: in the body of a POST, in the query otherwise. NULL when it is absent. Borrowed. */
const char *form_find(const Request *request, FormField field);
bool form_has(const Request *request, FormField field);

/* Checks a field; *text is "" and *value 0 when it is absent or empty. */
bool form_read_field(const Request *request, FormField field, const char **text, gint64 *value, GError **error);
bool form_read_text(const Request *request, FormField field, const char **text, GError **error);
bool form_read_number(const Request *request, FormField field, gint64 *value, GError **error);
