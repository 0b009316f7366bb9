/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <string.h>

#include "attributes.h"
#include "base/error.h"
#include "base/json.h"
#include "core/plan.h"
#include "temp.h"

static const Host host = {.arch = (char *)"x86_64", .cpus = 8, .memory_mib = 16384};

typedef struct {
    char *folder;
    Settings *settings;
    Machine *machine;
} Fixture;

static void set_up(Fixture *f, gconstpointer unused)
{
    (void)unused;
    f->folder = temp_folder();
    f->settings = temp_settings(f->folder, "snapshot_lifetime=4d", NULL);
    f->machine = machine_from_path("/machines/tiny.iso");
}

static void tear_down(Fixture *f, gconstpointer unused)
{
    (void)unused;
    temp_folder_remove(f->folder);
    settings_free(f->settings);
    machine_free(f->machine);
}

static void set(char **field, const char *text)
{
    g_free(*field);
    *field = g_strdup(text);
}

static Plan *make(const Fixture *f, PlanRequest request, GError **error)
{
    return plan_make(f->settings, f->machine, &request, &host, error);
}

static void test_network_rules(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    settings_free(f->settings);
    f->settings = temp_settings(f->folder, "network_deny=10.1.2.3/8", "network_allow=10.1.0.0/16, 2001:db8::1", NULL);
    set(&f->machine->network_deny, "all");
    set(&f->machine->network_allow, "192.0.2.7");
    g_autoptr(Plan) plan = make(f, (PlanRequest){0}, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(plan->network_rules, ==,
                    "-10.0.0.0/8 +10.1.0.0/16 +2001:db8::1/128 -0.0.0.0/0 -::/0 +192.0.2.7/32");
    set(&f->machine->network_allow, "192.0.2.7;reboot");
    g_assert_null(make(f, (PlanRequest){0}, &error));
    assert_error(error, QWD_ERROR_CONFIG, "192.0.2.7;reboot is no network");
}

static void test_defaults(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_autoptr(Plan) plan = make(f, (PlanRequest){0}, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(plan->machine, ==, "tiny.iso");
    g_assert_cmpstr(plan->image, ==, "/machines/tiny.iso");
    g_assert_cmpstr(plan->arch, ==, "x86_64");
    g_assert_cmpstr(plan->firmware, ==, "bios");
    g_assert_cmpstr(plan->disk, ==, "virtio");
    g_assert_cmpstr(plan->display, ==, "virtio-vga");
    g_assert_cmpstr(plan->accel, ==, "auto");
    g_assert_cmpstr(plan->network, ==, "auto");
    g_assert_cmpint(plan->cpus, ==, 1);
    g_assert_cmpint(plan->memory_mib, ==, 4096);
    g_assert_cmpint(plan->disk_mib, ==, 10240);
    g_assert_cmpint(plan->lifetime_s, ==, 4 * 86400);
    g_assert_true(plan->clipboard && !plan->oneshot && !plan->use_master);
}

/* What the machine says goes before what the settings say. */
static void test_machine(Fixture *f, gconstpointer unused)
{
    (void)unused;
    set(&f->machine->arch, "aarch64");
    set(&f->machine->accel, "tcg");
    set(&f->machine->firmware, "bios"); /* which aarch64 has not */
    g_autoptr(Plan) arm = make(f, (PlanRequest){.oneshot = true}, NULL);
    g_assert_cmpstr(arm->arch, ==, "aarch64");
    g_assert_cmpstr(arm->firmware, ==, "uefi");
    g_assert_cmpstr(arm->display, ==, "virtio-gpu-pci");
    g_assert_cmpstr(arm->accel, ==, "tcg");
    g_assert_true(arm->oneshot);
    set(&f->machine->arch, "x86_64");
    set(&f->machine->firmware, "uefi");
    set(&f->machine->display, "VGA");
    set(&f->machine->disk, "nvme");
    set(&f->machine->os, "windows");
    g_autoptr(Plan) other = make(f, (PlanRequest){0}, NULL);
    g_assert_cmpstr(other->firmware, ==, "uefi");
    g_assert_cmpstr(other->display, ==, "VGA");
    g_assert_cmpstr(other->disk, ==, "nvme");
    g_assert_cmpstr(other->os, ==, "windows");
}

static void test_limits(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const struct {
        PlanRequest request;
        const char *message; /* NULL: accepted */
    } cases[] = {
        {{.cpus = 8, .memory_mib = 16384, .lifetime_s = 345600}, NULL},
        {{.cpus = 1, .memory_mib = 32, .lifetime_s = 60}, NULL},
        {{.cpus = 9}, "cpu: this server has 8. Choose a number from 1 to 8."},
        {{.cpus = -1}, "cpu: "},
        {{.cpus = G_MAXINT64}, "cpu: "},
        {{.memory_mib = 31}, "memory: this server has 16 GB. Choose a size from 32 MB to that."},
        {{.memory_mib = 16385}, "memory: "},
        {{.memory_mib = G_MININT64}, "memory: "},
        {{.lifetime_s = 59}, "snapshot_lifetime: choose a life-time from 1 min to 4 d."},
        {{.lifetime_s = 345601}, "snapshot_lifetime: "},
        {{.lifetime_s = -60}, "snapshot_lifetime: "},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Plan) plan = make(f, cases[i].request, &error);
        g_assert_true((plan == NULL) == (cases[i].message != NULL));
        if (cases[i].message)
            assert_error(error, QWD_ERROR_USAGE, cases[i].message);
    }
}

/* The settings' defaults, as written for a large server, fit a small one too. */
static void test_small_host(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    const Host small = {.arch = (char *)"aarch64", .cpus = 1, .memory_mib = 900};
    g_autoptr(Settings) settings = temp_settings(f->folder, "snapshot_alloc_cpu=64", NULL);
    g_autoptr(Plan) plan = plan_make(settings, f->machine, &(PlanRequest){0}, &small, &error);
    g_assert_no_error(error);
    g_assert_cmpint(plan->cpus, ==, 1);
    g_assert_cmpint(plan->memory_mib, ==, 900);
    g_assert_cmpstr(plan->arch, ==, "aarch64");
    g_assert_cmpstr(plan->firmware, ==, "uefi");
}

/* Which one is decided later; a machine may have none, or no bus for it. */
static void test_gpu(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const struct {
        const char *gpu, *disk;
        bool asks, possible;
    } cases[] = {{"auto", "virtio", true, true},
                 {"auto", "ide", true, false},
                 {"no", "virtio", true, false},
                 {"no", "virtio", false, true},
                 {"auto", "ide", false, true}};
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_free(f->machine->gpu);
        g_free(f->machine->disk);
        f->machine->gpu = g_strdup(cases[i].gpu);
        f->machine->disk = g_strdup(cases[i].disk);
        g_autoptr(Plan) plan = make(f, (PlanRequest){.gpu = cases[i].asks}, &error);
        g_assert_cmpint(plan != NULL, ==, cases[i].possible);
        if (plan)
            g_assert_true(plan->gpu == cases[i].asks && !*plan->gpu_devices);
        else
            assert_error(error, QWD_ERROR_USAGE, "does not run with a GPU");
    }
}

/* As it is stored; NULL when there is none. */
static json_t *stored_plan(const Fixture *f, bool gpu)
{
    g_autoptr(Plan) plan = make(f, (PlanRequest){.gpu = gpu}, NULL);
    return plan ? plan_to_json(plan) : NULL;
}

static bool value_changes_plan(const Fixture *f, const MachineAttribute *attribute, char *value, bool gpu)
{
    g_autoptr(JsonValue) before = stored_plan(f, gpu);
    char **field = attribute_field(f->machine, attribute), *kept = *field;
    *field = value;
    g_autoptr(JsonValue) after = stored_plan(f, gpu);
    *field = kept;
    return !json_equal(before, after) && (before || after);
}

/* One of its values; some mean what the settings say anyway. */
static bool attribute_changes_plan(const Fixture *f, const MachineAttribute *attribute)
{
    g_auto(GStrv) values = attribute_other_values(attribute);
    for (char **value = values; *value; value++) {
        if (value_changes_plan(f, attribute, *value, false) || value_changes_plan(f, attribute, *value, true))
            return true;
    }
    return false;
}

/* Attributes that a plan does not depend on, with what they are for. */
static const struct {
    const char *key, *reason;
} outside_plan[] = {
    {"picture", "the form"},
    {"cost", "the form"},
    {"url", "downloads of the image"},
    {"sha256", "downloads of the image"},
    {"sha256_url", "downloads of the image"},
    {"groups", "core/choices.c: who may use it"},
    {"users", "core/choices.c: who may use it"},
    {"cpu", "core/choices.c: what PlanRequest.choices allows"},
    {"memory", "core/choices.c: what PlanRequest.choices allows"},
    {"lifetime", "core/choices.c: what PlanRequest.choices allows"},
};

static const char *reason_outside_plan(const char *key)
{
    for (size_t i = 0; i < G_N_ELEMENTS(outside_plan); i++) {
        if (g_str_equal(outside_plan[i].key, key))
            return outside_plan[i].reason;
    }
    return NULL;
}

/* No attribute gets lost between machines.conf and the record of a session. */
static void test_attributes(Fixture *f, gconstpointer unused)
{
    (void)unused;
    for (const MachineAttribute *row = machine_attributes(); row->key; row++) {
        bool is_in_plan = attribute_changes_plan(f, row);
        const char *reason = reason_outside_plan(row->key);
        if (!is_in_plan && !reason)
            g_test_fail_printf(
                "%s does not change the stored plan. Copy it in core/plan.c and add it to plan_fields, or "
                "add it to outside_plan in test_plan.c with what it is for.",
                row->key);
        if (is_in_plan && reason)
            g_test_fail_printf("%s changes the plan. Remove it from outside_plan in test_plan.c.", row->key);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(outside_plan); i++) {
        const MachineAttribute *row = machine_attributes();
        while (row->key && !g_str_equal(row->key, outside_plan[i].key))
            row++;
        if (!row->key)
            g_test_fail_printf("There is no attribute %s. Remove it from outside_plan in test_plan.c.",
                               outside_plan[i].key);
    }
}

static void test_json(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(Plan) plan = make(f, (PlanRequest){.cpus = 3, .oneshot = true}, NULL);
    g_autoptr(JsonValue) object = plan_to_json(plan);
    g_autoptr(Plan) again = plan_from_json(object);
    g_autoptr(JsonValue) second = plan_to_json(again);
    g_assert_true(json_equal(object, second));
    g_assert_cmpint(again->cpus, ==, 3);
    g_autoptr(Plan) empty = plan_from_json(NULL);
    g_assert_cmpstr(empty->image, ==, "");
    static const char odd[] = "{\"cpus\":\"3\",\"image\":7,\"oneshot\":1,\"more\":[]}";
    g_autoptr(JsonValue) types = json_object_parse(odd, strlen(odd), NULL);
    g_autoptr(Plan) wrong = plan_from_json(types);
    g_assert_cmpint(wrong->cpus, ==, 0);
    g_assert_cmpstr(wrong->image, ==, "");
    g_assert_false(wrong->oneshot);
    plan_free(NULL);
}

/* A group that may choose less than the form offers is held by it when it extends, too. */
static void test_extension_max(void)
{
    static const struct {
        gint64 choice_s, kept_s;
    } rows[] = {{7200, 7200}, {86400, 0}, {4 * 86400, 0}, {G_MAXINT64, 0}};
    g_autoptr(Settings) settings = temp_settings("/nonexistent", "form_lifetime=2h,1d", NULL);
    g_autoptr(Machine) machine = machine_from_path("/machines/tiny.iso");
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        const Choices choices = {G_MAXINT64, G_MAXINT64, rows[i].choice_s, 0};
        g_autoptr(Plan) plan = plan_make(settings, machine, &(PlanRequest){.choices = &choices}, &host, NULL);
        g_assert_nonnull(plan);
        g_assert_cmpint(plan->lifetime_max_s, ==, rows[i].kept_s);
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*test)(Fixture *, gconstpointer);
    } tests[] = {{"/plan/defaults", test_defaults}, {"/plan/machine", test_machine},
                 {"/plan/limits", test_limits},     {"/plan/small-host", test_small_host},
                 {"/plan/gpu", test_gpu},           {"/plan/attributes", test_attributes},
                 {"/plan/json", test_json},         {"/plan/network-rules", test_network_rules}};
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].name, Fixture, NULL, set_up, tests[i].test, tear_down);
    g_test_add_func("/plan/extension-max", test_extension_max);
    return g_test_run();
}
