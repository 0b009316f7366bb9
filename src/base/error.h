/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The one error domain. A code says what kind of trouble it is; the kind
 * decides HTTP status, exit code and log level, in one table (error.c).
 * Messages are written for the person who reads them and say what to do. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define QWD_ERROR (qwd_error_quark())

typedef enum {
    QWD_ERROR_USAGE,  /* the request or command line is wrong */
    QWD_ERROR_CONFIG, /* a settings or machines file is wrong */
    QWD_ERROR_LOGIN,  /* who are you? */
    QWD_ERROR_DENIED, /* known, and not allowed */
    QWD_ERROR_NOT_FOUND,
    QWD_ERROR_METHOD,      /* wrong HTTP method for this action */
    QWD_ERROR_CONFLICT,    /* clashes with something that exists or runs */
    QWD_ERROR_TOO_LARGE,   /* request longer than allowed */
    QWD_ERROR_MEDIA_TYPE,  /* request body in a format we do not read */
    QWD_ERROR_LIMIT,       /* a limit of the service is reached */
    QWD_ERROR_ATTEMPTS,    /* too many wrong passwords or codes */
    QWD_ERROR_BUSY,        /* others are served first, for seconds */
    QWD_ERROR_UNAVAILABLE, /* a part of the service is missing or down */
    QWD_ERROR_TIMEOUT,     /* a part of the service did not answer in time */
    QWD_ERROR_CANCELLED,   /* somebody asked us to stop meanwhile */
    QWD_ERROR_INTERNAL,    /* everything else: the system's own errors */
    QWD_ERROR_KINDS
} QwdErrorKind;

typedef struct {
    const char *name;
    int http_status;
    int exit_code;
    GLogLevelFlags log_level;
} QwdErrorTraits;

GQuark qwd_error_quark(void);

/* The row of the table for an error of any domain (foreign ones count as
 * QWD_ERROR_INTERNAL). Never NULL; static storage. */
const QwdErrorTraits *qwd_error_traits(const GError *error);

/* Sets *error to the text of a failed system call: "CONTEXT: strerror(errno)". It is QWD_ERROR_UNAVAILABLE for a
 * full or read-only disk, QWD_ERROR_INTERNAL for all else.
 * Returns false, so that callers can `return qwd_error_errno(...)`. */
bool qwd_error_errno(GError **error, int saved_errno, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* Sets *error and returns false. */
bool qwd_error_fail(GError **error, QwdErrorKind kind, const char *format, ...) G_GNUC_PRINTF(3, 4);
