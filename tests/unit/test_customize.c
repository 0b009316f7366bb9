/* SPDX-License-Identifier: AGPL-3.0-or-later
 * A script put into a disk, with programs in the place of virt-customize; the real one in tests/machines. */
#include <signal.h>
#include <string.h>

#include "base/error.h"
#include "base/process.h"
#include "base/wait.h"
#include "temp.h"
#include "vm/customize.h"
#include "vm/image.h"

#define DEADLINE_MS 60000
#define SCRIPT "#!/bin/sh\necho it\\'s $me\n"

/* Changes the disk as virt-customize would, notes how it was called, and then does what the test wants. */
#define PROGRAM                                                                                                        \
    "#!/bin/sh\n"                                                                                                      \
    "cd \"$(dirname \"$0\")/..\"\n"                                                                                    \
    "printf '%%s\\n' \"$@\" > arguments\n"                                                                             \
    "env > environment\n"                                                                                              \
    "cp \"$8\" script\n"                                                                                               \
    "qemu-io -c 'write -q -P 0x55 0 64k' \"$6\" || exit 9\n"                                                           \
    "%s\n"

typedef struct {
    TempFolder *folder;
    char *bin, *run, *cache, *disk, *path;
    CustomizeJob job;
} Fixture;

static void set_up(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    f->folder = temp_folder();
    f->bin = g_build_filename(f->folder, "bin", NULL);
    f->run = g_build_filename(f->folder, "run", NULL);
    f->cache = g_build_filename(f->folder, "sub", "cache", NULL);
    f->disk = g_build_filename(f->folder, "the disk.qcow2", NULL);
    f->path = g_strdup(g_getenv("PATH"));
    g_autofree char *path = g_strdup_printf("%s:%s", f->bin, f->path);
    g_setenv("PATH", path, TRUE);
    g_setenv("LIBGUESTFS_BACKEND_SETTINGS", "of the caller", TRUE);
    folder_make_private(f->bin, &error);
    image_create_empty(f->disk, 16, &error);
    g_assert_no_error(error);
    f->job = (CustomizeJob){.disk = f->disk,
                            .script = SCRIPT,
                            .folder = f->folder,
                            .run_folder = f->run,
                            .cache_folder = f->cache,
                            .deadline_ms = DEADLINE_MS};
}

static void tear_down(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *scratch = g_build_filename(f->folder, "customize", NULL);
    g_assert_false(g_file_test(scratch, G_FILE_TEST_EXISTS));
    g_setenv("PATH", f->path, TRUE);
    g_free(f->bin);
    g_free(f->run);
    g_free(f->cache);
    g_free(f->disk);
    g_free(f->path);
    temp_folder_remove(f->folder);
}

static void install(const Fixture *f, const char *then)
{
    g_autofree char *text = g_strdup_printf(PROGRAM, then);
    g_free(temp_script(f->bin, "virt-customize", text));
}

/* What stands in a file of the folder. */
static char *noted(const Fixture *f, const char *name)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = g_build_filename(f->folder, name, NULL);
    char *text = file_read(path, 1 << 20, NULL, &error);
    g_assert_no_error(error);
    return text;
}

static bool disk_has(const Fixture *f, const char *pattern)
{
    g_autoptr(GError) error = NULL;
    g_auto(ProcessResult) result = {0};
    g_autofree char *command = g_strdup_printf("read -P %s 0 64k", pattern);
    const char *argv[] = {"qemu-io", "-r", "-f", "qcow2", "-c", command, f->disk, NULL};
    process_run(argv, DEADLINE_MS, &result, &error);
    g_assert_no_error(error);
    return result.exit_code == 0 && !strstr(result.output, "verification failed");
}

static bool has_line(const char *text, const char *line)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    return g_strv_contains((const char *const *)lines, line);
}

static void test_done(Fixture *f, gconstpointer emulate)
{
    g_autoptr(GError) error = NULL;
    install(f, "");
    f->job.emulate = emulate != NULL;
    g_assert_true(customize_add_script(&f->job, &error));
    g_assert_no_error(error);
    g_assert_true(disk_has(f, "0x55"));
    g_autofree char *script = noted(f, "script"), *environment = noted(f, "environment");
    g_assert_cmpstr(script, ==, SCRIPT);
    g_autofree char *runtime = g_strdup_printf("XDG_RUNTIME_DIR=%s", f->run);
    g_autofree char *cache = g_strdup_printf("LIBGUESTFS_CACHEDIR=%s", f->cache);
    g_autofree char *home = g_strdup_printf("HOME=%s/customize", f->folder);
    const char *const lines[] = {runtime, cache, home, "LIBGUESTFS_BACKEND=direct"};
    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++)
        g_assert_true(has_line(environment, lines[i]));
    g_assert_cmpint(has_line(environment, "LIBGUESTFS_BACKEND_SETTINGS=force_tcg"), ==, f->job.emulate);
    g_assert_null(strstr(environment, "of the caller"));
    g_autofree char *arguments = noted(f, "arguments");
    g_assert_true(has_line(arguments, "--no-network"));
    g_assert_true(has_line(arguments, "--selinux-relabel"));
    g_assert_false(has_line(arguments, f->disk)); /* an overlay over it */
}

static void test_failed(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const struct {
        const char *then, *words;
    } rows[] = {
        {"printf 'virt-customize: error: no operating\\n\\nReport bugs with\\n  it -v -x\\n' >&2; exit 1",
         "virt-customize failed: no operating"},
        {"echo first >&2; echo 'last words' >&2; exit 2", "virt-customize failed: last words"},
        {"exit 1", "virt-customize failed: it does not say why."},
        {"kill -SEGV $$", "virt-customize failed: it does not say why."},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        GError *error = NULL;
        install(f, rows[i].then);
        g_assert_false(customize_add_script(&f->job, &error));
        g_assert_cmpstr(error->message, ==, rows[i].words);
        assert_error(error, QWD_ERROR_UNAVAILABLE, "");
        g_assert_true(disk_has(f, "0"));
    }
}

static void test_missing(Fixture *f, gconstpointer unused)
{
    (void)unused;
    GError *error = NULL;
    g_setenv("PATH", f->bin, TRUE);
    g_assert_false(customize_add_script(&f->job, &error));
    assert_error(error, QWD_ERROR_UNAVAILABLE, "virt-customize is not installed on this server");
}

/* --- one that does not end --- */

#define HANG "tail -f /dev/null & echo $! > child; wait"

static void assert_child_gone(const Fixture *f)
{
    g_autofree char *pid = noted(f, "child");
    g_assert_true(process_wait_gone(process_id_of((pid_t)atoi(pid)), DEADLINE_MS));
}

static bool has_begun(const Fixture *f)
{
    g_autofree char *path = g_build_filename(f->folder, "child", NULL), *text = NULL;
    return g_file_get_contents(path, &text, NULL, NULL) && strchr(text, '\n');
}

static void test_late(Fixture *f, gconstpointer unused)
{
    (void)unused;
    GError *error = NULL;
    install(f, HANG);
    f->job.deadline_ms = 2000;
    do { /* longer, until it has come as far as to hang */
        f->job.deadline_ms *= 2;
        g_assert_false(customize_add_script(&f->job, &error));
        assert_error(error, QWD_ERROR_TIMEOUT, "");
    } while (!has_begun(f) && f->job.deadline_ms < DEADLINE_MS);
    assert_child_gone(f);
    g_assert_true(disk_has(f, "0"));
}

static gboolean cancel_when_begun(gpointer data)
{
    bool begun = has_begun(data);
    wait_cancel(begun);
    return begun ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

static void test_cancelled(Fixture *f, gconstpointer unused)
{
    (void)unused;
    GError *error = NULL;
    install(f, HANG);
    g_timeout_add(20, cancel_when_begun, f);
    g_assert_false(customize_add_script(&f->job, &error));
    wait_cancel(false);
    assert_error(error, QWD_ERROR_CANCELLED, "");
    assert_child_gone(f);
    g_assert_true(disk_has(f, "0"));
}

#define ADD(path, data, function) g_test_add("/customize/" path, Fixture, data, set_up, function, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("done/kvm", NULL, test_done);
    ADD("done/emulated", "", test_done);
    ADD("failed", NULL, test_failed);
    ADD("missing", NULL, test_missing);
    ADD("late", NULL, test_late);
    ADD("cancelled", NULL, test_cancelled);
    return g_test_run();
}
