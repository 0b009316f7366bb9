/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwdctl doctor: checks of this server, each of which tells what it finds. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

#include "core/settings.h"

typedef enum { LEVEL_OK, LEVEL_WARNING, LEVEL_BROKEN } Level;

typedef struct {
    Level level;
    const char *part;  /* of the service */
    char *text, *mend; /* what was found; the command that mends it, "" none */
} Finding;

typedef struct {
    const char *name;
    uid_t uid;
} ServiceAccount;

typedef struct {
    const Settings *settings;
    ServiceAccount account;
    GPtrArray *findings; /* Finding * */
} Doctor;

/* Notes a finding. The text of `mend` may be "". */
void doctor_note(Doctor *doctor, Level level, const char *part, const char *mend, const char *format, ...)
    G_GNUC_PRINTF(5, 6);

/* A command to copy, where each %s of the format stands for a word: quoted where a shell would take it for something
 * else. Free with g_free. */
char *doctor_command(const char *format, ...) G_GNUC_PRINTF(1, 2);

/* The same, for a command that changes `path`. Root acts only where nobody else could put something in its place
 * meanwhile; elsewhere the account does it, if it may. "" when neither can. Free with g_free. */
char *doctor_command_on(const Doctor *doctor, const char *path, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* The uppermost folder on the way to `path` that this process may not enter, which is the service account's in checks
 * that are its own; NULL when it gets there. Free with g_free. */
char *doctor_closed_folder(const char *path);

/* The checks. Each notes at least one finding. */
void doctor_check_settings(Doctor *doctor);
void doctor_check_accelerator(Doctor *doctor);
void doctor_check_programs(Doctor *doctor);
void doctor_check_network(Doctor *doctor);
void doctor_check_apache(Doctor *doctor);
void doctor_check_clock(Doctor *doctor);
void doctor_check_cleaning(Doctor *doctor);
void doctor_check_folders(Doctor *doctor);
void doctor_check_sockets(Doctor *doctor);
void doctor_check_disk(Doctor *doctor);
void doctor_check_machines(Doctor *doctor);
void doctor_check_looks(Doctor *doctor);
void doctor_check_login(Doctor *doctor);
void doctor_check_secrets(Doctor *doctor);
