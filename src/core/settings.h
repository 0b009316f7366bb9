/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The settings, expanded from settings.def. */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef enum {
    SETTING_PATH,     /* char *, {key} resolved */
    SETTING_TEXT,     /* char * */
    SETTING_LIST,     /* char **, separated by commas or spaces */
    SETTING_CHOICE,   /* char *, one of the allowed words */
    SETTING_BOOL,     /* bool */
    SETTING_INTEGER,  /* gint64 */
    SETTING_REAL,     /* double */
    SETTING_DURATION, /* gint64, seconds */
    SETTING_SIZE,     /* gint64, MiB */
} SettingKind;

#define SETTING_C_PATH char *
#define SETTING_C_TEXT char *
#define SETTING_C_LIST char **
#define SETTING_C_CHOICE char *
#define SETTING_C_BOOL bool
#define SETTING_C_INTEGER gint64
#define SETTING_C_REAL double
#define SETTING_C_DURATION gint64
#define SETTING_C_SIZE gint64

typedef struct {
#define CHAPTER(title)
#define SETTING(kind, key, default_text, min, max, allowed, help) SETTING_C_##kind key;
#include "core/settings.def"
#undef SETTING
#undef CHAPTER
} Settings;

/* A row of the table: a chapter's title (key is NULL), or a setting. */
typedef struct {
    const char *chapter;
    const char *key;
    SettingKind kind;
    size_t offset; /* of the field in Settings */
    const char *default_text;
    gint64 min, max;
    const char *allowed; /* words separated by spaces */
    const char *help;
} SettingRow;

/* All rows in order; the end is a row whose chapter and key are NULL. Static storage. */
const SettingRow *settings_rows(void);

/* The row of a key, NULL when there is none. */
const SettingRow *settings_find(const char *key);

/* The path of the settings file: $QWD_CONFIG, else the one in /etc. */
const char *settings_default_file(void);

/* Defaults, then `path` (may be absent unless `required`), then config.d/ (*.conf) beside it in the order of
 * their names, then the lines of $QWD_OVERRIDES, then `overrides` ("key=value", NULL-terminated, may be NULL). Errors
 * are QWD_ERROR_CONFIG (QWD_ERROR_USAGE for overrides) and name file, line, key and what is allowed. */
Settings *settings_load(const char *path, bool required, const char *const *overrides, GError **error);

void settings_free(Settings *settings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Settings, settings_free)

/* The value of a row as text, as it would stand in the file. Free with g_free. */
char *settings_value_text(const Settings *settings, const SettingRow *row);

/* What a row accepts, in words: "a whole number from 1 to 256". Free with g_free. */
char *settings_allowed_text(const SettingRow *row);
