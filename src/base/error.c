/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>

G_DEFINE_QUARK(qwd_error, qwd_error)

/* Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 refused, 5 try again later. */
static const QwdErrorTraits traits_by_kind[QWD_ERROR_KINDS] = {
    [QWD_ERROR_USAGE] = {"usage", 400, 2, G_LOG_LEVEL_INFO},
    [QWD_ERROR_CONFIG] = {"config", 500, 2, G_LOG_LEVEL_CRITICAL},
    [QWD_ERROR_LOGIN] = {"login", 401, 4, G_LOG_LEVEL_INFO},
    [QWD_ERROR_DENIED] = {"denied", 403, 4, G_LOG_LEVEL_INFO},
    [QWD_ERROR_NOT_FOUND] = {"not-found", 404, 3, G_LOG_LEVEL_INFO},
    [QWD_ERROR_METHOD] = {"method", 405, 2, G_LOG_LEVEL_INFO},
    [QWD_ERROR_CONFLICT] = {"conflict", 409, 4, G_LOG_LEVEL_INFO},
    [QWD_ERROR_TOO_LARGE] = {"too-large", 413, 2, G_LOG_LEVEL_INFO},
    [QWD_ERROR_MEDIA_TYPE] = {"media-type", 415, 2, G_LOG_LEVEL_INFO},
    [QWD_ERROR_LIMIT] = {"limit", 429, 5, G_LOG_LEVEL_INFO},
    [QWD_ERROR_ATTEMPTS] = {"too-many-attempts", 429, 5, G_LOG_LEVEL_INFO},
    [QWD_ERROR_BUSY] = {"busy", 503, 5, G_LOG_LEVEL_INFO},
    [QWD_ERROR_UNAVAILABLE] = {"unavailable", 503, 5, G_LOG_LEVEL_WARNING},
    [QWD_ERROR_TIMEOUT] = {"timeout", 503, 5, G_LOG_LEVEL_WARNING},
    [QWD_ERROR_CANCELLED] = {"cancelled", 409, 1, G_LOG_LEVEL_INFO},
    [QWD_ERROR_INTERNAL] = {"internal", 500, 1, G_LOG_LEVEL_CRITICAL},
};

const QwdErrorTraits *qwd_error_traits(const GError *error)
{
    if (error->domain != QWD_ERROR || error->code < 0 || error->code >= QWD_ERROR_KINDS)
        return &traits_by_kind[QWD_ERROR_INTERNAL];
    return &traits_by_kind[error->code];
}

static bool fail_valist(GError **error, QwdErrorKind kind, const char *suffix, const char *format, va_list args)
    G_GNUC_PRINTF(4, 0);

static bool fail_valist(GError **error, QwdErrorKind kind, const char *suffix, const char *format, va_list args)
{
    g_autofree char *text = g_strdup_vprintf(format, args);
    g_set_error(error, QWD_ERROR, kind, "%s%s%s", text, suffix ? ": " : "", suffix ? suffix : "");
    return false;
}

/* A disk that takes nothing is no mistake of the service: whoever is told can do something about it. */
static QwdErrorKind kind_of_errno(int saved_errno)
{
    bool no_room = saved_errno == ENOSPC || saved_errno == EDQUOT || saved_errno == EROFS;
    return no_room ? QWD_ERROR_UNAVAILABLE : QWD_ERROR_INTERNAL;
}

bool qwd_error_errno(GError **error, int saved_errno, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    bool result = fail_valist(error, kind_of_errno(saved_errno), g_strerror(saved_errno), format, args);
    va_end(args);
    return result;
}

bool qwd_error_fail(GError **error, QwdErrorKind kind, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    bool result = fail_valist(error, kind, NULL, format, args);
    va_end(args);
    return result;
}
