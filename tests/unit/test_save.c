/* SPDX-License-Identifier: AGPL-3.0-or-later
 * A session's disk as a new machine: its image, its entry, and what is refused. Real sessions: save.test.mjs. */
#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "app/save.h"
#include "attributes.h"
#include "base/error.h"
#include "base/process.h"
#include "core/store.h"
#include "records.h"
#include "run.h"
#include "temp.h"
#include "vm/backup.h"
#include "vm/image.h"
#include "vm/image_version.h"

#define DEADLINE_MS 60000
#define MIB (1024 * 1024)

typedef struct {
    char *folder;
    Settings *settings;
    SessionRecord *session; /* ended, its disk kept */
    char *disk;
} Fixture;

static void set_up(Fixture *f, gconstpointer unused)
{
    (void)unused;
    f->folder = temp_folder();
    f->settings = temp_settings(f->folder, NULL);
    g_assert_cmpint(g_mkdir_with_parents(f->settings->dir_machines, 0755), ==, 0);
    g_autofree char *master = g_build_filename(f->settings->dir_machines, "tiny.iso", NULL);
    const char *create[] = {"qemu-img", "create", "-q", "-f", "qcow2", master, "16M", NULL};
    run(create);
    f->session = test_session_new(f->settings, "alice");
    session_set_text(&f->session->plan->image, master);
    f->session->plan->by_admin = true;
    f->session->state = SESSION_ENDED;
    g_autofree char *version = image_version_of((char *[]){master, NULL});
    session_set_text(&f->session->image_version, version);
    g_assert_true(store_create(f->settings, f->session, NULL));
    g_autofree char *folder = store_folder(f->settings, f->session->id);
    f->disk = g_build_filename(folder, "disk.qcow2", NULL);
    g_assert_true(image_create_overlay(master, "qcow2", f->disk, NULL));
    const char *write[] = {"qemu-io", "-c", "write -P 0x5a 1M 1M", f->disk, NULL};
    run(write);
}

static void tear_down(Fixture *f, gconstpointer unused)
{
    (void)unused;
    session_free(f->session);
    settings_free(f->settings);
    g_free(f->disk);
    temp_folder_remove(f->folder);
}

static bool save(const Fixture *f, const char *name, bool standalone, GError **error)
{
    Identity who = {.user = "root", .is_admin = true};
    SaveRequest request = {.session_id = f->session->id, .name = name, .standalone = standalone};
    g_autoptr(SessionRecord) session = app_save(f->settings, &who, &request, error);
    return session != NULL;
}

/* What was written is in it; whether it stands on the master. */
static bool holds_the_mark(const Fixture *f, const char *name)
{
    g_autofree char *path = g_build_filename(f->settings->dir_machines, name, NULL);
    g_auto(ImageInfo) info = {0};
    g_auto(ProcessResult) result = {0};
    g_assert_true(image_inspect(path, f->settings->dir_machines, &info, NULL));
    g_assert_cmpint(info.size_bytes, ==, 16 * MIB);
    const char *read[] = {"qemu-io", "-r", "-c", "read -P 0x5a 1M 1M", path, NULL};
    run(read);
    const char *look[] = {"qemu-img", "info", path, NULL};
    g_assert_true(process_run_checked(look, DEADLINE_MS, &result, NULL));
    return strstr(result.output, "backing file") != NULL;
}

static void test_save(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_assert_true(save(f, "based.qcow2", false, &error));
    g_assert_no_error(error);
    g_assert_true(save(f, "alone.qcow2", true, &error));
    g_assert_no_error(error);
    g_assert_true(holds_the_mark(f, "based.qcow2"));
    g_assert_false(holds_the_mark(f, "alone.qcow2"));
    g_autofree char *part = save_part_path(f->settings, "based.qcow2");
    g_assert_false(g_file_test(part, G_FILE_TEST_EXISTS));
}

typedef struct {
    const Fixture *f;
    const char *gate;
} Watch;

/* A qemu-img that has written a part goes on only when that was told. The record says meanwhile whose part it is. */
static void on_percent(int percent, void *data)
{
    const Watch *watch = data;
    int fd = open(watch->gate, O_RDWR | O_CLOEXEC); /* open until the test ends: who reads it may be late */
    g_autoptr(SessionRecord) session = store_load(watch->f->settings, watch->f->session->id, NULL);
    g_autofree char *part = save_part_path(watch->f->settings, "told.qcow2");
    struct stat st;
    g_assert_cmpint(stat(part, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 0777, ==, 0600); /* nobody else reads along */
    g_assert_true(save_is_busy(session));
    g_assert_cmpstr(session->save_name, ==, "told.qcow2");
    g_assert_cmpint(percent, >, 0);
    g_assert_cmpint(percent, <, 100);
    g_assert_cmpint(write(fd, "on\n", 3), ==, 3);
}

static void test_progress(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_autofree char *bin = g_build_filename(f->folder, "bin", NULL), *gate = g_build_filename(f->folder, "gate", NULL);
    g_autofree char *real_program = g_find_program_in_path("qemu-img"), *path = g_strdup(g_getenv("PATH"));
    g_autofree char *own_path = g_strdup_printf("%s:%s", bin, path);
    g_autofree char *shim = g_strdup_printf("#!/bin/sh\nif [ $1 = convert ]; then\n    for last; do :; done\n"
                                            "    head -c 500000 /dev/urandom > \"$last\"; sync \"$last\"\n"
                                            "    read -r word < %s || exit 1\nfi\nexec %s \"$@\"\n",
                                            gate, real_program);
    g_assert_cmpint(mkdir(bin, 0755), ==, 0);
    g_assert_cmpint(mkfifo(gate, 0600), ==, 0);
    g_free(temp_script(bin, "qemu-img", shim));
    Identity who = {.user = "root", .is_admin = true};
    Watch watch = {f, gate};
    SaveRequest request = {
        .session_id = f->session->id, .name = "told.qcow2", .on_percent = on_percent, .data = &watch};
    g_setenv("PATH", own_path, TRUE);
    g_autoptr(SessionRecord) session = app_save(f->settings, &who, &request, &error);
    g_setenv("PATH", path, TRUE);
    g_assert_no_error(error);
    g_assert_true(holds_the_mark(f, "told.qcow2"));
    g_autoptr(SessionRecord) saved = store_load(f->settings, f->session->id, NULL);
    g_assert_cmpstr(saved->save_state, ==, SAVE_DONE);
}

static void test_refused(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const struct {
        const char *name;
        QwdErrorKind kind;
        const char *words;
    } cases[] = {
        {"tiny.iso", QWD_ERROR_CONFLICT, "already"},
        {"listed.qcow2", QWD_ERROR_CONFLICT, "already"},
        {"", QWD_ERROR_USAGE, "no name"},
        {"..", QWD_ERROR_USAGE, "no name"},
        {"a/b", QWD_ERROR_USAGE, "no name"},
        {"a\nb", QWD_ERROR_USAGE, "no name"},
        {"[x]", QWD_ERROR_USAGE, "no name"},
    };
    g_free(temp_file(f->folder, "machines.conf", "[listed.qcow2]\n"));
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        GError *error = NULL;
        g_assert_false(save(f, cases[i].name, false, &error));
        assert_error(error, (int)cases[i].kind, cases[i].words);
    }
    Identity owner = {.user = "alice", .is_authenticated = true};
    SaveRequest request = {.session_id = f->session->id, .name = "x"};
    GError *error = NULL;
    g_autoptr(Settings) strict = temp_settings(f->folder, "check_user_with_local=yes", NULL);
    g_assert_null(app_save(strict, &owner, &request, &error));
    assert_error(error, QWD_ERROR_DENIED, "administrator");
    g_assert_cmpint(remove(f->disk), ==, 0);
    g_assert_false(save(f, "x", false, &error));
    assert_error(error, QWD_ERROR_CONFLICT, "its disk is gone");
}

/* Over another image the disk is one that no guest has ever seen, also standing alone; its time and its size may be the
 * same. What was there before may come back, from a copy as well. */
static void test_other_master(Fixture *f, gconstpointer unused)
{
    (void)unused;
    const char *master = f->session->plan->image;
    g_autofree char *other = g_build_filename(f->settings->dir_machines, "other", NULL),
                    *own = g_build_filename(f->settings->dir_machines, "own", NULL);
    run((const char *[]){"qemu-img", "create", "-q", "-f", "qcow2", "-o", "compat=0.10", other, "16M", NULL});
    run((const char *[]){"truncate", "-r", master, other, NULL});
    run((const char *[]){"touch", "-r", master, other, NULL});
    run((const char *[]){"cp", "-p", master, own, NULL});
    run((const char *[]){"mv", other, master, NULL});
    for (int standalone = 0; standalone <= 1; standalone++) {
        GError *error = NULL;
        g_assert_false(save(f, "x", standalone, &error));
        assert_error(error, QWD_ERROR_CONFLICT, "has been changed since, so the disk that was kept does not fit it");
    }
    g_autofree char *part = save_part_path(f->settings, "x");
    g_assert_false(g_file_test(part, G_FILE_TEST_EXISTS));
    run((const char *[]){"mv", own, master, NULL});
    g_assert_true(save(f, "x", false, NULL));
}

/* A qemu-img that finds another image there than the one that was looked at. */
static void test_other_master_meanwhile(Fixture *f, gconstpointer unused)
{
    (void)unused;
    GError *error = NULL;
    const char *master = f->session->plan->image;
    g_autofree char *script = g_strdup_printf(
        "#!/bin/sh\n[ \"$1\" != convert ] || touch -d yesterday %s\nexec /usr/bin/qemu-img \"$@\"\n", master);
    g_autofree char *shim = temp_file(f->folder, "qemu-img", script);
    g_autofree char *path = g_strdup(g_getenv("PATH"));
    g_autofree char *with_shim = g_strconcat(f->folder, ":", path, NULL);
    g_assert_cmpint(chmod(shim, 0755), ==, 0);
    g_setenv("PATH", with_shim, TRUE);
    g_assert_false(save(f, "x", false, &error));
    g_setenv("PATH", path, TRUE);
    assert_error(error, QWD_ERROR_CONFLICT, "has been changed since");
    g_autofree char *part = save_part_path(f->settings, "x");
    g_assert_false(g_file_test(part, G_FILE_TEST_EXISTS));
}

/* A machine that was saved is bound to what its image lies over, as a disk is. */
static void test_base_changed(Fixture *f, gconstpointer unused)
{
    (void)unused;
    const char *master = f->session->plan->image, *machines = f->settings->dir_machines;
    g_autofree char *based = g_build_filename(machines, "based", NULL), *own = g_build_filename(f->folder, "own", NULL);
    g_autofree char *over = g_build_filename(machines, "over", NULL);
    g_assert_true(save(f, "based", false, NULL));
    g_assert_true(image_create_overlay(based, "qcow2", over, NULL));
    run((const char *[]){"mv", master, own, NULL});
    run((const char *[]){"qemu-img", "create", "-q", "-f", "qcow2", master, "16M", NULL});
    const char *images[] = {based, over};
    for (size_t i = 0; i < G_N_ELEMENTS(images); i++) {
        GError *error = NULL;
        g_auto(ImageInfo) info = {0};
        g_assert_false(image_inspect(images[i], machines, &info, &error));
        assert_error(error, QWD_ERROR_CONFLICT, "/tiny.iso, which has been changed or replaced since. Put back what");
    }
    g_auto(ImageInfo) with_other = {0}, with_own = {0};
    g_assert_cmpint(removexattr(based, "user.qemu-web-desktop.base"), ==, 0); /* as the message says */
    g_assert_true(image_inspect(based, machines, &with_other, NULL));
    run((const char *[]){"mv", own, master, NULL});
    g_assert_true(save(f, "again", false, NULL) && image_inspect(over, machines, &with_own, NULL));
}

/* A disk that refers to something outside is not published, whoever has put it there. */
static void test_publish(Fixture *f, gconstpointer unused)
{
    (void)unused;
    GError *error = NULL;
    g_autofree char *secret = g_build_filename(f->folder, "secret", NULL), *part = save_part_path(f->settings, "x");
    const char *create[] = {"qemu-img", "create", "-q", "-f", "qcow2", secret, "16M", NULL};
    run(create);
    g_assert_true(image_create_overlay(secret, "qcow2", part, NULL));
    g_assert_false(save_publish(f->settings, "x", 0644, &error));
    assert_error(error, QWD_ERROR_DENIED, "refers to another file");
    save_discard(f->settings, "x");
    g_assert_false(g_file_test(part, G_FILE_TEST_EXISTS));
    run((const char *[]){"qemu-img", "create", "-q", "-f", "qcow2", part, "16M", NULL});
    g_assert_false(save_publish(f->settings, "tiny.iso", 0644, NULL)); /* no such part */
    g_assert_true(save_publish(f->settings, "x", 0644, NULL));
    run((const char *[]){"qemu-img", "create", "-q", "-f", "qcow2", part, "16M", NULL});
    g_assert_false(save_publish(f->settings, "x", 0644, &error)); /* never replaces */
    assert_error(error, QWD_ERROR_INTERNAL, "Cannot name the image");
}

/* --- the entry --- */

static char *make_entry(const Fixture *f, const char *title, const char *owner, GError **error)
{
    SaveRequest request = {.name = "new.qcow2", .title = title, .owner = owner};
    return save_entry(f->settings, f->session, &request, error);
}

/* As who reads machines.conf has it. */
static Machine *read_entry(const Fixture *f, const char *title, const char *owner)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = make_entry(f, title, owner, &error);
    g_assert_no_error(error);
    g_free(temp_file(f->folder, "config.d/new.ini", text));
    g_autoptr(GPtrArray) machines = machines_load(f->settings, &error);
    g_assert_no_error(error);
    guint at;
    const Machine *machine = machines_find(machines, "new.qcow2", NULL);
    g_assert_true(g_ptr_array_find(machines, machine, &at));
    return g_ptr_array_steal_index(machines, at);
}

static void make_config_folder(const Fixture *f)
{
    g_autofree char *folder = g_build_filename(f->folder, "config.d", NULL);
    g_assert_cmpint(g_mkdir_with_parents(folder, 0755), ==, 0);
}

/* What the session has run with. */
static void test_entry(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const char *const descriptions[] = {"", "Mine = [not yours]; #1 \\n"};
    make_config_folder(f);
    session_set_text(&f->session->plan->disk, "scsi");
    session_set_text(&f->session->plan->display, "VGA");
    for (size_t i = 0; i < G_N_ELEMENTS(descriptions); i++) {
        g_autoptr(Machine) machine = read_entry(f, descriptions[i], "alice");
        g_assert_cmpstr(machine->disk, ==, "scsi");
        g_assert_cmpstr(machine->display, ==, "VGA");
        g_assert_cmpstr(machine->users, ==, "alice");
        if (*descriptions[i])
            g_assert_cmpstr(machine->description, ==, descriptions[i]);
        else
            g_assert_true(g_str_has_prefix(machine->description, "tiny.iso, saved 20"));
    }
}

/* Nobody gets more by saving: all that the other machine's entry says holds, but for where its image comes from and
 * what it is called; test_entry has those that the session itself knows. */
static void test_entry_restricts(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const char *const others[] = {"description", "url",     "sha256", "sha256_url",    "arch", "firmware",
                                         "disk",        "display", "os",     "script_method", NULL};
    g_autoptr(GString) text = g_string_new("[tiny.iso]\n");
    make_config_folder(f);
    for (const MachineAttribute *row = machine_attributes(); row->key; row++) {
        g_autofree char *value = attribute_other_value(row);
        g_string_append_printf(text, "%s=%s\n", row->key, value);
    }
    g_free(temp_file(f->folder, "machines.conf", text->str));
    g_autoptr(Machine) shared = read_entry(f, "", ""), own = read_entry(f, "", "alice");
    for (const MachineAttribute *row = machine_attributes(); row->key; row++) {
        g_autofree char *expected = attribute_other_value(row);
        if (!g_strv_contains(others, row->key))
            g_assert_cmpstr(*attribute_field(shared, row), ==, expected);
    }
    g_assert_cmpstr(shared->url, ==, "");
    g_assert_cmpstr(own->memory, ==, "something");
    g_assert_cmpstr(own->users, ==, "alice");
    g_assert_cmpstr(own->groups, ==, "");
}

static void test_entry_refused(Fixture *f, gconstpointer unused)
{
    (void)unused;
    GError *error = NULL;
    g_assert_null(make_entry(f, "caf\xe9", NULL, &error));
    assert_error(error, QWD_ERROR_CONFIG, "not a line of text");
    g_assert_null(make_entry(f, "two\n[x]\nlines=1", NULL, &error));
    assert_error(error, QWD_ERROR_CONFIG, "line");
    f->session->plan->by_admin = false;
    g_assert_null(make_entry(f, "", NULL, &error));
    assert_error(error, QWD_ERROR_CONFLICT, "not on offer any more");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*test)(Fixture *, gconstpointer);
    } tests[] = {{"/save/save", test_save},
                 {"/save/progress", test_progress},
                 {"/save/refused", test_refused},
                 {"/save/other-master", test_other_master},
                 {"/save/other-master-meanwhile", test_other_master_meanwhile},
                 {"/save/base-changed", test_base_changed},
                 {"/save/publish", test_publish},
                 {"/save/entry", test_entry},
                 {"/save/entry-restricts", test_entry_restricts},
                 {"/save/entry-refused", test_entry_refused}};
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].name, Fixture, NULL, set_up, tests[i].test, tear_down);
    return g_test_run();
}
