/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Pictures of the screen, for pages: QEMU draws one when somebody has asked (core/picture.h), once in a second at most.
 * Nobody waits for QEMU: one that does not answer is not asked again. */
#include "core/picture.h"

#include <stdio.h>
#include <unistd.h>

#include "base/event.h"
#include "base/file.h"
#include "session/supervisor.h"

#define PERIOD_US G_USEC_PER_SEC

static char *path_of(const Supervisor *supervisor, const char *name)
{
    return g_build_filename(supervisor->run_folder, name, NULL);
}

static void remove_file(const Supervisor *supervisor, const char *name)
{
    g_autofree char *path = path_of(supervisor, name);
    unlink(path);
}

/* QEMU may have written anything, or not to the end. */
static bool is_proper(const char *path)
{
    size_t length;
    g_autofree char *data = file_read(path, PICTURE_MAX_BYTES, &length, NULL);
    return data && picture_is_png(data, length);
}

static void on_drawn(const json_t *result, void *data)
{
    const Supervisor *supervisor = data;
    g_autofree char *part = path_of(supervisor, PICTURE_PART), *path = path_of(supervisor, PICTURE_FILE);
    if (!result || !is_proper(part) || rename(part, path) < 0)
        unlink(part);
    remove_file(supervisor, PICTURE_WANTED);
}

/* Without a device, QEMU takes the first screen. One that is too old to write PNG refuses. */
static void draw(Supervisor *supervisor)
{
    g_autofree char *part = path_of(supervisor, PICTURE_PART);
    json_t *arguments = json_pack("{s:s, s:s}", "filename", part, "format", "png");
    if (qmp_call(supervisor->qmp, "screendump", arguments, on_drawn, supervisor))
        supervisor->picture_us = g_get_monotonic_time();
}

static gboolean on_timer(gpointer data)
{
    Supervisor *supervisor = data;
    supervisor->picture_timer = 0;
    draw(supervisor);
    return G_SOURCE_REMOVE;
}

static void follow_folder(void *data)
{
    Supervisor *supervisor = data;
    g_autofree char *wanted = path_of(supervisor, PICTURE_WANTED);
    if (supervisor->picture_timer || supervisor->ending || !g_file_test(wanted, G_FILE_TEST_EXISTS))
        return;
    gint64 due_us = supervisor->picture_us ? supervisor->picture_us + PERIOD_US : 0;
    gint64 wait_us = due_us - g_get_monotonic_time();
    if (wait_us > 0)
        supervisor->picture_timer = g_timeout_add((guint)(wait_us / 1000) + 1, on_timer, supervisor);
    else
        draw(supervisor);
}

/* Without a watch there are no pictures, and nothing else is amiss. */
void picture_start(Supervisor *supervisor)
{
    supervisor->picture_watch = watch_folder(supervisor->run_folder, follow_folder, supervisor, NULL);
    follow_folder(supervisor);
}

void picture_stop(Supervisor *supervisor)
{
    g_clear_handle_id(&supervisor->picture_watch, g_source_remove);
    g_clear_handle_id(&supervisor->picture_timer, g_source_remove);
    remove_file(supervisor, PICTURE_PART);
    remove_file(supervisor, PICTURE_WANTED);
    remove_file(supervisor, PICTURE_FILE);
}
