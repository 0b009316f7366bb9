/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What all programs of the service accept on their command lines: --config=FILE and --key=value for every
 * setting. The rest is the program's own. */
#pragma once

#include "core/settings.h"

typedef struct {
    Settings *settings;
    char **rest;     /* arguments that are not settings, argv[0] left out; NULL-terminated */
    GError *trouble; /* for a program that goes on without settings: why there are none */
} Arguments;

/* Reads settings and command line, and puts file and overrides into the environment (QWD_CONFIG,
 * QWD_OVERRIDES) so that programs started by this one see the same settings. "--key" of a known setting
 * without a value stays in rest. When the settings are not accepted, `rest` and QWD_CONFIG are set all the same. */
bool arguments_read(Arguments *arguments, int argc, char **argv, GError **error);

void arguments_clear(Arguments *arguments);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Arguments, arguments_clear)

/* Lists every setting with its default and help on one page, for --help. Free with g_free. */
char *arguments_settings_help(void);
