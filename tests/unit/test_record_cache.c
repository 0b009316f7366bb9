/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Records that were packed: got again as they were, and only for the file that was read. */
#include "core/record_cache.h"

#include <string.h>

#include "clock.h"
#include "records.h"
#include "temp.h"

typedef struct {
    char *folder, *file;
    Settings *settings;
    SessionRecord *session;
    struct stat st; /* of a file that was written long ago */
} Fixture;

static void set_up(Fixture *f, gconstpointer unused)
{
    (void)unused;
    f->folder = temp_folder();
    f->settings = temp_settings(f->folder, NULL);
    g_assert_cmpint(g_mkdir_with_parents(f->settings->dir_cfg, 0755), ==, 0);
    f->file = g_build_filename(f->settings->dir_cfg, "records.cache", NULL);
    f->session = test_session_new(f->settings, "alice");
    f->st = (struct stat){.st_ino = 7, .st_size = 1000, .st_mtim = {1000, 5}, .st_ctim = {1000, 6}};
}

static void tear_down(Fixture *f, gconstpointer unused)
{
    (void)unused;
    session_free(f->session);
    settings_free(f->settings);
    temp_folder_remove(f->folder);
    g_free(f->file);
}

static void put(const Fixture *f, const struct stat *st)
{
    RecordCache *cache = record_cache_open(f->settings);
    record_cache_put(cache, f->session, st);
    record_cache_close(cache);
}

/* The owner of what is got, "" for nothing. */
static char *get(const Fixture *f, const struct stat *st)
{
    RecordCache *cache = record_cache_open(f->settings);
    g_autoptr(SessionRecord) session = record_cache_get(cache, f->session->id, st);
    record_cache_close(cache);
    return g_strdup(session ? session->owner : "");
}

static void assert_got(const Fixture *f, const struct stat *st, const char *owner)
{
    g_autofree char *got = get(f, st);
    g_assert_cmpstr(got, ==, owner);
}

static void test_stamp(Fixture *f, gconstpointer unused)
{
    (void)unused;
    assert_got(f, &f->st, "");
    put(f, &f->st);
    assert_got(f, &f->st, "alice");
    assert_got(f, &f->st, "alice"); /* who has got it leaves it to the next one */
    struct stat others[4] = {f->st, f->st, f->st, f->st};
    others[0].st_ino++;
    others[1].st_size++;
    others[2].st_mtim.tv_nsec++;
    others[3].st_ctim.tv_sec++;
    for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
        assert_got(f, &others[i], "");
        put(f, &f->st);
    }
}

static void test_unsettled(Fixture *f, gconstpointer unused)
{
    (void)unused;
    f->st.st_mtim.tv_sec = f->st.st_ctim.tv_sec = session_now();
    put(f, &f->st);
    assert_got(f, &f->st, "");
    f->st.st_ctim.tv_sec += 3600; /* another clock */
    put(f, &f->st);
    assert_got(f, &f->st, "");
}

static void test_gone(Fixture *f, gconstpointer unused)
{
    (void)unused;
    put(f, &f->st);
    record_cache_close(record_cache_open(f->settings)); /* nobody asks for it: it has ended */
    assert_got(f, &f->st, "");
}

static void test_other_program(Fixture *f, gconstpointer unused)
{
    (void)unused;
    char *text;
    gsize length;
    put(f, &f->st);
    g_assert_true(g_file_get_contents(f->file, &text, &length, NULL));
    text[9] ^= 1; /* the first letter of the layout */
    g_assert_true(g_file_set_contents(f->file, text, (gssize)length, NULL));
    g_free(text);
    assert_got(f, &f->st, "");
    put(f, &f->st);
    assert_got(f, &f->st, "alice");
    g_free(f->settings->dir_snapshots);
    f->settings->dir_snapshots = g_strdup("/elsewhere");
    assert_got(f, &f->st, "");
}

/* Whatever is in the file, reading it ends well. */
static void test_broken(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *text = NULL;
    gsize length;
    put(f, &f->st);
    g_assert_true(g_file_get_contents(f->file, &text, &length, NULL));
    for (gsize i = 0; i < length; i += 3) {
        g_autofree char *broken = g_memdup2(text, length), *got = NULL;
        broken[i] ^= 0x55;
        g_assert_true(g_file_set_contents(f->file, broken, (gssize)length, NULL));
        got = get(f, &f->st);
        g_assert_true(g_file_set_contents(f->file, text, (gssize)i, NULL));
        assert_got(f, &f->st, "");
    }
}

static void test_no_folder(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_free(f->settings->dir_cfg);
    f->settings->dir_cfg = g_strdup("/nonexistent");
    put(f, &f->st);
    assert_got(f, &f->st, "");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*test)(Fixture *f, gconstpointer unused);
    } tests[] = {
        {"/record-cache/stamp", test_stamp},   {"/record-cache/unsettled", test_unsettled},
        {"/record-cache/gone", test_gone},     {"/record-cache/other-program", test_other_program},
        {"/record-cache/broken", test_broken}, {"/record-cache/no-folder", test_no_folder},
    };
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].name, Fixture, NULL, set_up, tests[i].test, tear_down);
    return g_test_run();
}
