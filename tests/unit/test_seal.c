/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <string.h>
#include <unistd.h>

#include "auth/seal.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "clock.h"
#include "concurrent.h"
#include "temp.h"

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
#define SEAL_MAX 8192

typedef struct {
    char *folder;
    Settings *settings;
} Fixture;

static void set_up(Fixture *f, gconstpointer unused)
{
    (void)unused;
    clock_s = NOON;
    f->folder = temp_folder();
    f->settings = temp_settings(f->folder, NULL);
}

static void tear_down(Fixture *f, gconstpointer unused)
{
    (void)unused;
    settings_free(f->settings);
    temp_folder_remove(f->folder);
}

static char *close_text(const Settings *settings, const char *text, gint64 expires_at)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonValue) object = json_pack("{s:s}", "text", text);
    char *seal = seal_close(settings, "test", object, expires_at, &error);
    g_assert_no_error(error);
    g_assert_null(json_object_get(object, "exp")); /* it is not ours to change */
    return seal;
}

static void assert_refused(const Settings *settings, const char *purpose, const char *seal)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonValue) object = seal_open(settings, purpose, seal, &error);
    g_assert_null(object);
    assert_error(error, QWD_ERROR_LOGIN, "Please log in again.");
}

/* --- opening --- */

static void test_round_trip(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const char *const texts[] = {"", "alice", "\xc3\xa9lodie \xe2\x82\xac", "\".\\\n\x01", "?>?>?>~~~~"};
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *seal = close_text(f->settings, texts[i], NOON + 60);
        g_assert_cmpint(strspn(seal, LETTERS "."), ==, strlen(seal)); /* fits cookies, forms and URLs as it is */
        g_autoptr(JsonValue) object = seal_open(f->settings, "test", seal, &error);
        g_assert_no_error(error);
        g_assert_cmpstr(json_get_text(object, "text", NULL), ==, texts[i]);
        g_assert_cmpint(json_get_integer(object, "exp", 0), ==, NOON + 60);
    }
}

/* Another letter at any one place, in the object or in the signature. */
static void test_forged(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *seal = close_text(f->settings, "alice", NOON + 60);
    for (char *c = seal; *c; c++) {
        char was = *c;
        const char *place = strchr(LETTERS, was);
        *c = place && place[1] ? place[1] : 'A';
        assert_refused(f->settings, "test", seal);
        *c = was;
    }
    g_autoptr(JsonValue) object = seal_open(f->settings, "test", seal, NULL);
    g_assert_nonnull(object);
}

static void test_cut(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *seal = close_text(f->settings, "alice", NOON + 60);
    for (size_t length = strlen(seal); length-- > 0;) {
        seal[length] = '\0';
        assert_refused(f->settings, "test", seal);
    }
}

static void test_strange(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *seal = close_text(f->settings, "alice", NOON + 60);
    g_autofree char *longer = g_strconcat(seal, "A", NULL), *padded = g_strconcat(seal, "=", NULL);
    g_autofree char *dotted = g_strconcat(".", seal, NULL), *twice = g_strconcat(seal, ".", seal, NULL);
    const char *const texts[] = {"", ".", "..", "a", ".a", "a.", "%", "\xff.\xff", longer, padded, dotted, twice};
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
        assert_refused(f->settings, "test", texts[i]);
}

/* A right signature of what is no object, or one without an end. */
static void test_signed_rubbish(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const char *const bodies[] = {"", "AAAA", "W10", /* [] */ "e30",
                                         /* {} */ "eyJleHAiOiJ4In0" /* {"exp":"x"} */};
    for (size_t i = 0; i < G_N_ELEMENTS(bodies); i++) {
        g_autofree char *mac = seal_mac(f->settings, "test", bodies[i], NULL);
        g_autofree char *seal = g_strconcat(bodies[i], ".", mac, NULL);
        assert_refused(f->settings, "test", seal);
    }
}

static void test_purpose(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const char *const purposes[] = {"", "tes", "test2", "Test", "login"};
    g_autofree char *seal = close_text(f->settings, "alice", NOON + 60);
    for (size_t i = 0; i < G_N_ELEMENTS(purposes); i++)
        assert_refused(f->settings, purposes[i], seal);
    /* Where the purpose ends and the text begins is part of what is signed. */
    g_autofree char *one = seal_mac(f->settings, "ab", "c", NULL), *other = seal_mac(f->settings, "a", "bc", NULL);
    g_assert_cmpstr(one, !=, other);
}

static void test_expired(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *seal = close_text(f->settings, "alice", NOON + 60);
    clock_s = NOON + 59;
    g_autoptr(JsonValue) object = seal_open(f->settings, "test", seal, NULL);
    g_assert_nonnull(object);
    clock_s = NOON + 60;
    assert_refused(f->settings, "test", seal);
    g_autofree char *born_dead = close_text(f->settings, "alice", 0);
    assert_refused(f->settings, "test", born_dead);
}

/* A seal of so many bytes, or a few less. */
static char *seal_of_length(const Settings *settings, size_t wanted)
{
    g_autofree char *empty = close_text(settings, "", NOON + 60);
    g_autofree char *text = g_strnfill((wanted - strlen(empty)) / 4 * 3, 'x');
    return close_text(settings, text, NOON + 60);
}

static void test_long(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *longest = seal_of_length(f->settings, SEAL_MAX),
                    *longer = seal_of_length(f->settings, SEAL_MAX + 8);
    g_assert_cmpint(strlen(longest), <=, SEAL_MAX);
    g_assert_cmpint(strlen(longer), >, SEAL_MAX);
    g_autoptr(JsonValue) object = seal_open(f->settings, "test", longest, NULL);
    g_assert_nonnull(object);
    assert_refused(f->settings, "test", longer);
}

/* --- the key --- */

static char *key_path(const Fixture *f)
{
    return g_build_filename(f->settings->dir_login, "key", NULL);
}

static void test_other_key(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(TempFolder) folder = temp_folder();
    g_autoptr(Settings) other = temp_settings(folder, NULL);
    g_autofree char *seal = close_text(f->settings, "alice", NOON + 60), *path = key_path(f);
    assert_refused(other, "test", seal);
    g_assert_cmpint(unlink(path), ==, 0); /* removing the key logs everybody out */
    assert_refused(f->settings, "test", seal);
}

static void sign(int number, int out, const void *data)
{
    (void)number;
    g_autofree char *mac = seal_mac(data, "test", "text", NULL);
    g_autofree char *line = g_strconcat(mac, "\n", NULL);
    g_assert_cmpint(write(out, line, strlen(line)), ==, (ssize_t)strlen(line));
}

static void assert_mode(const char *path, mode_t mode)
{
    struct stat st;
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 0777, ==, mode);
}

static guint files_in(const char *folder)
{
    guint count = 0;
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    while (dir && g_dir_read_name(dir))
        count++;
    return count;
}

/* Several first requests at once: one makes the key, and all use it. */
static void test_made_once(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *said = concurrent_run(sign, f->settings), *path = key_path(f), *mac = NULL;
    g_auto(GStrv) lines = g_strsplit(said, "\n", -1);
    g_assert_cmpint(g_strv_length(lines), ==, CONCURRENT_PROCESSES + 1);
    mac = seal_mac(f->settings, "test", "text", NULL);
    for (int i = 0; i < CONCURRENT_PROCESSES; i++)
        g_assert_cmpstr(lines[i], ==, mac);
    assert_mode(path, 0600);
    assert_mode(f->settings->dir_login, 0700);
    g_assert_cmpint(files_in(f->settings->dir_login), ==, 1);
}

static void test_broken_key(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const size_t lengths[] = {0, 1, 31, 33, 5000};
    g_autofree char *path = key_path(f), *made = seal_mac(f->settings, "test", "text", NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(lengths); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *content = g_strnfill(lengths[i], 'k');
        g_assert_true(g_file_set_contents(path, content, (gssize)lengths[i], NULL));
        g_assert_null(seal_mac(f->settings, "test", "text", &error));
        assert_error(error, QWD_ERROR_CONFIG, "is not a key. Remove it");
        g_autoptr(JsonValue) object = seal_open(f->settings, "test", "e30.AAAA", &error);
        g_assert_null(object);
        assert_error(error, QWD_ERROR_CONFIG, path);
    }
}

/* Whoever else can write the folder can put a key there. */
static void test_open_folder(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_autofree char *mac = seal_mac(f->settings, "test", "text", NULL);
    g_assert_cmpint(chmod(f->settings->dir_login, 0770), ==, 0);
    g_assert_null(seal_mac(f->settings, "test", "text", &error));
    assert_error(error, QWD_ERROR_CONFIG, "mode 0700");
}

/* --- used up --- */

static void test_use_up(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_assert_false(seal_is_used_up(f->settings, "one"));
    g_assert_true(seal_use_up(f->settings, "one", NOON + 60, &error));
    g_assert_true(seal_is_used_up(f->settings, "one"));
    g_assert_false(seal_is_used_up(f->settings, "two"));
    g_assert_false(seal_use_up(f->settings, "one", NOON + 60, &error));
    assert_error(error, QWD_ERROR_LOGIN, "has been used already");
    g_assert_true(seal_use_up(f->settings, "../../two", NOON + 60, &error));
    g_assert_no_error(error);
}

/* When nobody can tell whether it is used up, it is. */
static void test_unreadable(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *folder = g_build_filename(f->settings->dir_login, "used", NULL);
    g_assert_true(seal_use_up(f->settings, "one", NOON + 60, NULL));
    g_assert_false(seal_is_used_up(f->settings, "two"));
    g_assert_true(folder_remove(folder, NULL));
    g_free(temp_file(f->settings->dir_login, "used", "in the way"));
    g_assert_true(seal_is_used_up(f->settings, "two"));
}

/* What is over need not be remembered; what is not, must be. */
static void test_forgotten(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *folder = g_build_filename(f->settings->dir_login, "used", NULL);
    g_assert_true(seal_use_up(f->settings, "short", NOON + 60, NULL));
    g_assert_true(seal_use_up(f->settings, "long", NOON + 600, NULL));
    clock_s = NOON + 61;
    g_assert_true(seal_use_up(f->settings, "other", NOON + 600, NULL));
    g_assert_cmpint(files_in(folder), ==, 2);
    g_assert_true(seal_is_used_up(f->settings, "long"));
}

static void use_up(int number, int out, const void *data)
{
    (void)number;
    concurrent_answer(out, seal_use_up(data, "one", NOON + 60, NULL));
}

static void test_used_up_once(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *said = concurrent_run(use_up, f->settings);
    g_assert_cmpint(concurrent_count(said, 'y'), ==, 1);
    g_assert_cmpint(concurrent_count(said, 'n'), ==, CONCURRENT_PROCESSES - 1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, function) g_test_add(path, Fixture, NULL, set_up, function, tear_down)
    ADD("/seal/round-trip", test_round_trip);
    ADD("/seal/forged", test_forged);
    ADD("/seal/cut", test_cut);
    ADD("/seal/strange", test_strange);
    ADD("/seal/signed-rubbish", test_signed_rubbish);
    ADD("/seal/purpose", test_purpose);
    ADD("/seal/expired", test_expired);
    ADD("/seal/long", test_long);
    ADD("/seal/key/other", test_other_key);
    ADD("/seal/key/made-once", test_made_once);
    ADD("/seal/key/broken", test_broken_key);
    ADD("/seal/key/open-folder", test_open_folder);
    ADD("/seal/use-up", test_use_up);
    ADD("/seal/use-up/unreadable", test_unreadable);
    ADD("/seal/use-up/forgotten", test_forgotten);
    ADD("/seal/use-up/once", test_used_up_once);
    return g_test_run();
}
