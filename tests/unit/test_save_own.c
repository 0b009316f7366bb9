/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Owners save their sessions: who may, what is refused, what the record says. Real sessions: save-own.test.mjs. */
#include <string.h>
#include <unistd.h>
#include <utime.h>

#include "app/app.h"
#include "app/clean.h"
#include "app/save_own.h"
#include "app/saved.h"
#include "base/error.h"
#include "base/process.h"
#include "core/saved.h"
#include "core/store.h"
#include "records.h"
#include "temp.h"
#include "vm/image.h"
#include "vm/image_version.h"

#define DEADLINE_MS 60000
#define MACHINE "alice:course.qcow2"

typedef struct {
    char *folder;
    Settings *settings;
    SessionRecord *session; /* ended, its disk kept */
    Identity alice;
} Fixture;

static void set_up(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_auto(ProcessResult) result = {0};
    f->folder = temp_folder();
    f->alice = (Identity){.user = "alice", .is_authenticated = true};
    f->settings =
        temp_settings(f->folder, "session_save=owner", "session_save_max=2", "check_user_with_local=yes", NULL);
    g_assert_cmpint(g_mkdir_with_parents(f->settings->dir_machines, 0755), ==, 0);
    g_autofree char *master = g_build_filename(f->settings->dir_machines, "base.qcow2", NULL);
    const char *create[] = {"qemu-img", "create", "-q", "-f", "qcow2", master, "16M", NULL};
    g_assert_true(process_run_checked(create, DEADLINE_MS, &result, NULL));
    g_free(temp_file(f->folder, "machines.conf", "[base.qcow2]\ngroups=students\nmemory=1G\nlifetime=2h\n"));
    f->session = test_session_new(f->settings, "alice");
    session_set_text(&f->session->plan->machine, "base.qcow2");
    session_set_text(&f->session->plan->image, master);
    f->session->state = SESSION_ENDED;
    f->session->kept_until = session_now() + 3600;
    g_autofree char *version = image_version_of((char *[]){master, NULL});
    session_set_text(&f->session->image_version, version);
    g_assert_true(store_create(f->settings, f->session, NULL));
    g_autofree char *folder = store_folder(f->settings, f->session->id);
    g_autofree char *disk = g_build_filename(folder, "disk.qcow2", NULL);
    g_assert_true(image_create_overlay(master, "qcow2", disk, NULL));
}

static void tear_down(Fixture *f, gconstpointer unused)
{
    (void)unused;
    session_free(f->session);
    settings_free(f->settings);
    temp_folder_remove(f->folder);
}

/* --- the record --- */

static bool become(SessionRecord *session, void *data, GError **error)
{
    (void)error;
    const SessionRecord *wanted = data;
    session->state = wanted->state;
    session->ready_at = wanted->ready_at;
    session->kept_until = wanted->kept_until;
    session->plan->use_master = wanted->plan->use_master;
    session_set_text(&session->save_state, wanted->save_state ? wanted->save_state : "");
    session_set_text(&session->save_name, wanted->save_name ? wanted->save_name : "");
    session_set_text(&session->save_owner, wanted->save_owner ? wanted->save_owner : "");
    return true;
}

/* Writes what has been changed of f->session. */
static void put(const Fixture *f)
{
    session_free(store_change(f->settings, f->session->id, become, f->session, NULL));
}

static void make_running(Fixture *f)
{
    f->session->state = SESSION_RUNNING;
    f->session->ready_at = session_now();
    f->session->kept_until = 0;
    put(f);
}

static SessionRecord *save_as(const Fixture *f, const Settings *settings, const Identity *who, const char *name,
                              GError **error)
{
    SaveOwnRequest request = {.session_id = f->session->id, .name = name, .title = "Mine"};
    return app_save_own(settings, who, &request, error);
}

static void refuse(const Fixture *f, const Identity *who, const char *name, QwdErrorKind kind, const char *words)
{
    GError *error = NULL;
    g_assert_null(save_as(f, f->settings, who, name, &error));
    assert_error(error, (int)kind, words);
}

/* --- tests --- */

static void test_running(Fixture *f, gconstpointer unused)
{
    (void)unused;
    make_running(f);
    g_autoptr(SessionRecord) asked = save_as(f, f->settings, &f->alice, "course", NULL);
    g_assert_nonnull(asked);
    g_assert_cmpstr(asked->save_state, ==, SAVE_ASKED);
    g_assert_cmpstr(asked->save_name, ==, MACHINE);
    g_assert_cmpstr(asked->save_owner, ==, "alice");
    g_assert_cmpstr(asked->save_title, ==, "Mine");
    g_assert_false(asked->save_standalone);
    refuse(f, &f->alice, "other", QWD_ERROR_CONFLICT, "is being saved as " MACHINE " already");
    save_note_end(asked);
    g_assert_cmpstr(asked->save_state, ==, SAVE_FAILED);
    g_assert_cmpstr(asked->save_reason, !=, "");
}

static void test_refused(Fixture *f, gconstpointer unused)
{
    (void)unused;
    Identity bob = {.user = "bob", .is_authenticated = true}, nobody = {.user = "alice"};
    make_running(f);
    refuse(f, &bob, "x", QWD_ERROR_NOT_FOUND, "no such session");
    refuse(f, &nobody, "x", QWD_ERROR_LOGIN, "log in");
    refuse(f, &f->alice, "", QWD_ERROR_USAGE, "no name");
    g_free(temp_file(f->folder, "machines.conf", "[" MACHINE "]\n"));
    refuse(f, &f->alice, "course", QWD_ERROR_CONFLICT, "already");
    refuse(f, &f->alice, "x", QWD_ERROR_CONFLICT, "is not on offer any more");
    f->session->ready_at = 0;
    put(f);
    refuse(f, &f->alice, "x", QWD_ERROR_CONFLICT, "no disk to save now");
    f->session->plan->use_master = true;
    make_running(f);
    refuse(f, &f->alice, "x", QWD_ERROR_CONFLICT, "no disk to save now");
}

/* Also to administrators, whose way is the command; and where nobody's name is proven. */
static void test_not_offered(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const char *const settings[][2] = {{"session_save=no", "check_user_with_local=yes"},
                                              {"session_save=owner", "service_open=yes"}};
    const Identity people[] = {f->alice, {.user = "root", .is_admin = true}};
    make_running(f);
    for (size_t i = 0; i < G_N_ELEMENTS(settings) * G_N_ELEMENTS(people); i++) {
        GError *error = NULL;
        g_autoptr(Settings) other = temp_settings(f->folder, settings[i / 2][0], settings[i / 2][1], NULL);
        g_assert_false(app_may_save_own(other, &people[i % 2], f->session));
        g_assert_null(save_as(f, other, &people[i % 2], "x", &error));
        assert_error(error, QWD_ERROR_DENIED, "does not let users save");
    }
    g_assert_true(app_may_save_own(f->settings, &f->alice, f->session));
}

/* Those that are being saved count, and have their names. */
static void test_others(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(SessionRecord) other = test_session_new(f->settings, "alice");
    make_running(f);
    other->state = SESSION_RUNNING;
    session_set_text(&other->save_state, SAVE_RUNNING);
    session_set_text(&other->save_name, MACHINE);
    session_set_text(&other->save_owner, "alice");
    g_assert_true(store_create(f->settings, other, NULL));
    refuse(f, &f->alice, "course", QWD_ERROR_CONFLICT, "is being saved as " MACHINE);
    g_assert_true(saved_write(f->settings, "alice:x.qcow2", "[alice:x.qcow2]\nusers=alice\n", NULL));
    refuse(f, &f->alice, "y", QWD_ERROR_LIMIT, "2 saved machines");
    g_assert_true(store_remove(f->settings, other->id, NULL));
    g_assert_true(saved_write(f->settings, "bob:x.qcow2", "[bob:x.qcow2]\nusers=bob\n", NULL));
    g_autoptr(SessionRecord) asked = save_as(f, f->settings, &f->alice, "y", NULL);
    g_assert_nonnull(asked);
}

/* What the started process does; a second one finds nothing to do. */
static void test_kept(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    session_set_text(&f->session->save_state, SAVE_ASKED);
    session_set_text(&f->session->save_name, MACHINE);
    session_set_text(&f->session->save_owner, "alice");
    put(f);
    g_assert_true(save_own_is_asked(f->settings, f->session->id));
    g_assert_null(app_resume(f->settings, &f->alice, f->session->id, &error));
    g_assert_error(error, QWD_ERROR, QWD_ERROR_CONFLICT);
    g_clear_error(&error);
    g_assert_true(save_own_perform(f->settings, f->session->id, &error));
    g_assert_no_error(error);
    g_assert_false(save_own_is_asked(f->settings, f->session->id));
    g_assert_false(save_own_perform(f->settings, f->session->id, NULL));
    g_autoptr(SessionRecord) done = store_load(f->settings, f->session->id, NULL);
    g_assert_cmpstr(done->save_state, ==, SAVE_DONE);
    g_assert_false(save_is_busy(done));
    g_autoptr(GPtrArray) machines = machines_load(f->settings, NULL);
    const Machine *machine = machines_find(machines, MACHINE, NULL);
    g_assert_nonnull(machine);
    g_assert_true(machine_is_present(machine));
    g_assert_cmpstr(machine->users, ==, "alice");
    g_assert_cmpstr(machine->groups, ==, "");
    g_assert_cmpstr(machine->memory, ==, "1G");
    g_assert_cmpstr(machine->lifetime, ==, "2h");
}

/* Neither a process that cannot be started nor one that has died leaves the session busy for good. */
static void test_kept_fails(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_autofree char *nowhere = g_strdup_printf("dir_lib=%s/nowhere", f->folder);
    g_autoptr(Settings) settings =
        temp_settings(f->folder, nowhere, "session_save=owner", "check_user_with_local=yes", NULL);
    g_assert_null(save_as(f, settings, &f->alice, "course", &error));
    g_assert_error(error, QWD_ERROR, QWD_ERROR_UNAVAILABLE);
    g_autoptr(SessionRecord) failed = store_load(f->settings, f->session->id, NULL);
    g_assert_cmpstr(failed->save_state, ==, SAVE_FAILED);
    g_assert_cmpstr(failed->save_reason, !=, "");
    session_set_text(&failed->save_state, SAVE_RUNNING);
    session_set_process(failed, SAVE_PROCESS, process_id_of(getpid()));
    g_assert_true(save_is_busy(failed));
    session_set_process(failed, SAVE_PROCESS, (ProcessId){.pid = getpid(), .start_ticks = 1});
    g_assert_false(save_is_busy(failed));
}

/* --- what is left of those that died --- */

static bool note_copier(SessionRecord *session, void *data, GError **error)
{
    (void)error;
    session_set_process(session, SAVE_PROCESS, *(const ProcessId *)data);
    return true;
}

/* One clean, and whether what was copied of the machine is still there. */
static bool part_stays(const Fixture *f)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) report = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *part = save_part_path(f->settings, MACHINE);
    g_assert_true(g_file_set_contents(part, "half", -1, NULL));
    g_assert_true(app_clean(f->settings, report, &error));
    g_assert_no_error(error);
    return g_file_test(part, G_FILE_TEST_EXISTS);
}

static void test_clean(Fixture *f, gconstpointer unused)
{
    (void)unused;
    ProcessId alive = process_id_of(getpid()), dead = {.pid = getpid(), .start_ticks = 1};
    session_set_text(&f->session->save_state, SAVE_RUNNING);
    session_set_text(&f->session->save_name, MACHINE);
    put(f);
    session_free(store_change(f->settings, f->session->id, note_copier, &alive, NULL));
    g_assert_true(part_stays(f));
    session_free(store_change(f->settings, f->session->id, note_copier, &dead, NULL));
    g_assert_false(part_stays(f));
    g_autoptr(SessionRecord) failed = store_load(f->settings, f->session->id, NULL);
    g_assert_cmpstr(failed->save_state, ==, SAVE_FAILED);
    g_assert_true(session_is_kept(failed, session_now()));
}

/* The process that was to begin has died before; one that was only just asked for may still come. */
static void test_clean_never_begun(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *folder = store_folder(f->settings, f->session->id);
    g_autofree char *record = g_build_filename(folder, "session.json", NULL);
    session_set_text(&f->session->save_state, SAVE_ASKED);
    session_set_text(&f->session->save_name, MACHINE);
    put(f);
    g_assert_true(part_stays(f));
    struct utimbuf old = {.actime = session_now() - 3600, .modtime = session_now() - 3600};
    g_assert_cmpint(utime(record, &old), ==, 0);
    g_assert_false(part_stays(f));
    g_autoptr(SessionRecord) failed = store_load(f->settings, f->session->id, NULL);
    g_assert_cmpstr(failed->save_state, ==, SAVE_FAILED);
}

/* Another session may have taken the name over. */
static void test_clean_same_name(Fixture *f, gconstpointer unused)
{
    (void)unused;
    ProcessId alive = process_id_of(getpid()), dead = {.pid = getpid(), .start_ticks = 1};
    g_autoptr(SessionRecord) other = test_session_new(f->settings, "alice");
    other->state = SESSION_ENDED;
    other->kept_until = session_now() + 3600;
    session_set_text(&other->save_state, SAVE_RUNNING);
    session_set_text(&other->save_name, MACHINE);
    session_set_process(other, SAVE_PROCESS, alive);
    g_assert_true(store_create(f->settings, other, NULL));
    session_set_text(&f->session->save_state, SAVE_RUNNING);
    session_set_text(&f->session->save_name, MACHINE);
    put(f);
    session_free(store_change(f->settings, f->session->id, note_copier, &dead, NULL));
    g_assert_true(part_stays(f));
}

/* --- giving machines up --- */

/* A machine that alice has saved, with an image. */
static char *put_machine(const Fixture *f, const char *name, const char *master)
{
    g_auto(ProcessResult) result = {0};
    char *image = g_build_filename(f->settings->dir_machines, name, NULL);
    g_autofree char *entry = g_strdup_printf("[%s]\ndescription=Mine\nusers=alice\n", name);
    const char *create[] = {"qemu-img", "create", "-q", "-f", "qcow2", image, "16M", NULL};
    g_assert_true(saved_write(f->settings, name, entry, NULL));
    g_assert_true(master ? image_create_overlay(master, "qcow2", image, NULL)
                         : process_run_checked(create, DEADLINE_MS, &result, NULL));
    return image;
}

static void assert_stays(const Fixture *f, const Identity *who, const char *name, QwdErrorKind kind, const char *words)
{
    GError *error = NULL;
    g_assert_false(app_saved_remove(f->settings, who, name, &error));
    assert_error(error, (int)kind, words);
    g_autoptr(GPtrArray) own = app_saved_list(f->settings, &f->alice);
    g_assert_nonnull(machines_find(own, MACHINE, NULL));
}

static void test_remove_saved(Fixture *f, gconstpointer unused)
{
    (void)unused;
    Identity bob = {.user = "bob", .is_authenticated = true}, nobody = {.user = "alice"};
    g_autofree char *image = put_machine(f, MACHINE, NULL);
    g_free(put_machine(f, "alicea:other.qcow2", NULL));
    g_free(temp_file(f->settings->dir_machines, "alice:unlisted.qcow2", ""));
    g_autoptr(GPtrArray) own = app_saved_list(f->settings, &f->alice);
    g_autoptr(GPtrArray) others = app_saved_list(f->settings, &bob);
    g_autoptr(GPtrArray) none = app_saved_list(f->settings, &nobody);
    g_assert_cmpuint(own->len, ==, 1);
    g_assert_cmpuint(others->len + none->len, ==, 0);
    assert_stays(f, &bob, MACHINE, QWD_ERROR_NOT_FOUND, "no machine");
    assert_stays(f, &nobody, MACHINE, QWD_ERROR_LOGIN, "log in");
    for (const char *const *name = (const char *const[]){"base.qcow2", "alicea:other.qcow2", "alice:unlisted.qcow2",
                                                         "alice:../saved.d/" MACHINE, NULL};
         *name; name++)
        assert_stays(f, &f->alice, *name, QWD_ERROR_NOT_FOUND, "no machine");
    g_assert_true(app_saved_remove(f->settings, &f->alice, MACHINE, NULL));
    g_assert_false(g_file_test(image, G_FILE_TEST_EXISTS));
    g_autoptr(GPtrArray) left = app_saved_list(f->settings, &f->alice);
    g_assert_cmpuint(left->len, ==, 0);
}

/* As long as something stands on it. */
static void test_remove_used(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *image = put_machine(f, MACHINE, NULL);
    g_autoptr(SessionRecord) user = test_session_new(f->settings, "alice");
    session_set_text(&user->plan->image, image);
    user->state = SESSION_QUEUED;
    g_assert_true(store_create(f->settings, user, NULL));
    assert_stays(f, &f->alice, MACHINE, QWD_ERROR_CONFLICT, "in use by a session of alice");
    user->state = SESSION_ENDED;
    user->kept_until = session_now() + 3600;
    session_free(store_change(f->settings, user->id, become, user, NULL));
    assert_stays(f, &f->alice, MACHINE, QWD_ERROR_CONFLICT, "kept disk");
    g_assert_true(store_remove(f->settings, user->id, NULL));
    g_autofree char *child = put_machine(f, "alice:child.qcow2", image);
    assert_stays(f, &f->alice, MACHINE, QWD_ERROR_CONFLICT, "another machine");
    g_assert_true(app_saved_remove(f->settings, &f->alice, "alice:child.qcow2", NULL));
    g_assert_true(app_saved_remove(f->settings, &f->alice, MACHINE, NULL));
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*test)(Fixture *, gconstpointer);
    } tests[] = {{"/save-own/running", test_running},
                 {"/save-own/refused", test_refused},
                 {"/save-own/not-offered", test_not_offered},
                 {"/save-own/others", test_others},
                 {"/save-own/kept", test_kept},
                 {"/save-own/kept-fails", test_kept_fails},
                 {"/save-own/clean", test_clean},
                 {"/save-own/clean-never-begun", test_clean_never_begun},
                 {"/save-own/clean-same-name", test_clean_same_name},
                 {"/save-own/remove-saved", test_remove_saved},
                 {"/save-own/remove-used", test_remove_used}};
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].name, Fixture, NULL, set_up, tests[i].test, tear_down);
    return g_test_run();
}
