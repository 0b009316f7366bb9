/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The picture of a screen as faces take it; who draws it is tests/session/picture.test.mjs. */
#include <sys/stat.h>
#include <unistd.h>
#include <utime.h>

#include "app/picture.h"
#include "base/error.h"
#include "base/file.h"
#include "core/picture.h"
#include "core/store.h"
#include "records.h"
#include "temp.h"

#define PNG "\x89PNG\r\n\x1a\n-----"

typedef struct {
    char *folder;
    Settings *settings;
    SessionRecord *session;
    char *run, *wanted, *file;
} Fixture;

static void set_up(Fixture *f, gconstpointer unused)
{
    (void)unused;
    f->folder = temp_folder();
    f->settings = temp_settings(f->folder, NULL);
    f->session = test_session_new(f->settings, "alice");
    f->session->state = SESSION_RUNNING;
    f->run = store_run_folder(f->settings, f->session->id);
    f->wanted = g_build_filename(f->run, PICTURE_WANTED, NULL);
    f->file = g_build_filename(f->run, PICTURE_FILE, NULL);
    g_assert_true(folder_make_private(f->run, NULL));
}

static void tear_down(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_free(f->run);
    g_free(f->wanted);
    g_free(f->file);
    session_free(f->session);
    settings_free(f->settings);
    temp_folder_remove(f->folder);
}

static bool is_wanted(const Fixture *f)
{
    return g_file_test(f->wanted, G_FILE_TEST_EXISTS);
}

static void make_old(const char *path, gint64 seconds)
{
    struct utimbuf times = {.actime = time(NULL) - seconds, .modtime = time(NULL) - seconds};
    g_assert_cmpint(utime(path, &times), ==, 0);
}

static bool get(const Fixture *f, gint64 max_age_s)
{
    size_t length;
    g_autoptr(GError) error = NULL;
    g_autofree char *data = app_picture(f->settings, f->session, max_age_s, &length, &error);
    g_assert_true((data == NULL) == (error != NULL));
    if (error)
        g_assert_error(error, QWD_ERROR, QWD_ERROR_NOT_FOUND);
    return data && length == strlen(PNG);
}

static void test_signature(Fixture *f, gconstpointer unused)
{
    (void)f;
    (void)unused;
    g_assert_true(picture_is_png(PNG, strlen(PNG)));
    g_assert_false(picture_is_png(PNG, 8)); /* nothing but that */
    g_assert_false(picture_is_png("", 0));
    g_assert_false(picture_is_png("\x89PNG\n\n\x1a\n-----", 13));
    g_assert_false(picture_is_png("GIF89a-------", 13));
}

/* One that is new enough is taken as it is; an older one, too, and another is asked for. */
static void test_ages(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_assert_true(g_file_set_contents(f->file, PNG, -1, NULL));
    g_assert_true(get(f, 60));
    g_assert_false(is_wanted(f));
    make_old(f->file, 10);
    g_assert_true(get(f, 60));
    g_assert_false(is_wanted(f));
    g_assert_true(get(f, 5));
    g_assert_true(is_wanted(f));
}

/* Nobody answers: who comes first waits a moment, who comes later does not wait again. */
static void test_silence(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_assert_false(get(f, 1));
    g_assert_true(is_wanted(f));
    make_old(f->wanted, 60);
    gint64 before_us = g_get_monotonic_time();
    for (int i = 0; i < 100; i++)
        g_assert_false(get(f, 1));
    g_assert_cmpint(g_get_monotonic_time() - before_us, <, 100 * G_USEC_PER_SEC); /* a second each */
}

static void test_states(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_assert_true(g_file_set_contents(f->file, PNG, -1, NULL));
    for (int state = 0; state < SESSION_STATES; state++) {
        f->session->state = (SessionState)state;
        g_assert_true(get(f, 60) == (state == SESSION_STARTING || state == SESSION_RUNNING));
        g_assert_false(is_wanted(f));
    }
}

static void test_odd(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_assert_true(g_file_set_contents(f->wanted, "", 0, NULL));
    make_old(f->wanted, 60);
    g_assert_true(g_file_set_contents(f->file, "<script>", -1, NULL));
    g_assert_false(get(f, 60));
    g_assert_cmpint(truncate(f->file, PICTURE_MAX_BYTES + 1), ==, 0);
    g_assert_false(get(f, 60));
    unlink(f->file);
    g_assert_cmpint(mkfifo(f->file, 0600), ==, 0);
    g_assert_false(get(f, 60));
    folder_remove(f->run, NULL); /* it has just ended */
    g_assert_false(get(f, 60));
    g_assert_false(g_file_test(f->run, G_FILE_TEST_EXISTS));
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*test)(Fixture *, gconstpointer);
    } tests[] = {{"/picture/signature", test_signature},
                 {"/picture/ages", test_ages},
                 {"/picture/silence", test_silence},
                 {"/picture/states", test_states},
                 {"/picture/odd", test_odd}};
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].name, Fixture, NULL, set_up, tests[i].test, tear_down);
    return g_test_run();
}
