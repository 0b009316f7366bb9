/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "engine/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/process.h"
#include "base/secret.h"

/* The supervisor and all it starts see these variables only: a request's headers are none of their business. */
static char **session_environment(const EngineJob *job)
{
    static const char *const names[] = {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "QWD_CONFIG", "QWD_SYSROOT", NULL};
    char **environment = NULL;
    for (const char *const *name = names; *name; name++) {
        const char *value = g_getenv(*name);
        if (value)
            environment = g_environ_setenv(environment, *name, value, TRUE);
    }
    environment = g_environ_setenv(environment, "QWD_OVERRIDES", job->overrides, TRUE);
    return g_environ_setenv(environment, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", FALSE);
}

/* The end of a pipe that holds the secret, so that it is in no file, argument or environment. -1 without one. */
static int open_secret(const char *secret)
{
    int ends[2];
    size_t length = secret ? strlen(secret) : 0;
    if (!length || length > SECRET_MAX_BYTES || pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    bool written = write(ends[1], secret, length) == (ssize_t)length; /* less than PIPE_BUF: all or nothing */
    close(ends[1]);
    if (written)
        return ends[0];
    close(ends[0]);
    return -1;
}

/* On this host, as nobody's child: it outlives the request, and the terminal, that started it. */
static bool start_direct(const EngineJob *job, GError **error)
{
    autofd int log = open(job->log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (log < 0)
        return qwd_error_errno(error, errno, "Cannot open %s", job->log_path);
    autofd int secret = open_secret(job->secret);
    const char *argv[] = {job->supervisor, job->id, NULL};
    g_auto(GStrv) environment = session_environment(job);
    SpawnOptions options = {.argv = argv, SPAWN_OPTIONS_INIT, .new_session = true};
    options.environment = (const char *const *)environment;
    options.stderr_fd = log;
    options.stdin_fd = secret;
    return process_spawn_detached(&options, error);
}

static const Engine engines[] = {
    {"direct", start_direct},
};

const Engine *engine_find(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(engines); i++) {
        if (g_str_equal(engines[i].name, name))
            return &engines[i];
    }
    return NULL;
}
