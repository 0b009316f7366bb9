/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The GPUs of machines of tests/fixtures/sysfs: which there are, what goes along, what keeps them from sessions, and
 * that no two sessions get the same one. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "app/gpu.h"
#include "base/error.h"
#include "records.h"
#include "sysfs.h"
#include "vm/gpu.h"

static GPtrArray *gpus_of(const char *root, const char *blacklist)
{
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) words = g_strsplit(blacklist, " ", -1);
    GPtrArray *gpus = gpus_read(root, *blacklist ? words : NULL, &error);
    g_assert_no_error(error);
    gpus_find_names(gpus, root);
    return gpus;
}

/* One line for each: "ADDRESS MODEL GROUP [DEVICES]", or the obstacle in place of the devices. */
static char *summary(const GPtrArray *gpus)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < gpus->len; i++) {
        const Gpu *gpu = gpus->pdata[i];
        g_autofree char *devices = gpu_devices(gpu);
        g_string_append_printf(text, "%s %s %s | %s\n", gpu->self.address, gpu->self.model, gpu->group,
                               gpu->obstacle ? gpu->obstacle : devices);
    }
    return g_string_free(text, FALSE);
}

/* --- machines --- */

static const struct {
    const char *machine, *blacklist;
    const char *expected;
} machines[] = {
    {"nvidia", "", "0000:01:00.0 10de:1e84 1 | 0000:01:00.0 0000:01:00.1 0000:01:00.2 0000:01:00.3\n"},
    {"twins", "",
     "0000:02:00.0 1a03:2000 21 | The host uses it with the driver ast.\n"
     "0000:3b:00.0 10de:1eb8 40 | 0000:3b:00.0\n"
     "0000:af:00.0 10de:1eb8 60 | 0000:af:00.0\n"},
    {"twins", "af:00.0",
     "0000:02:00.0 1a03:2000 21 | The host uses it with the driver ast.\n"
     "0000:3b:00.0 10de:1eb8 40 | 0000:3b:00.0\n"
     "0000:af:00.0 10de:1eb8 60 | The setting gpu_blacklist keeps it from sessions.\n"},
    {"twins", "8086:ffff 10DE:1EB8 0000:02:00.0",
     "0000:02:00.0 1a03:2000 21 | The setting gpu_blacklist keeps it from sessions.\n"
     "0000:3b:00.0 10de:1eb8 40 | The setting gpu_blacklist keeps it from sessions.\n"
     "0000:af:00.0 10de:1eb8 60 | The setting gpu_blacklist keeps it from sessions.\n"},
    {"shared-group", "",
     "0000:01:00.0 1002:67df 1 | 0000:02:00.0 is in the same IOMMU group: the host uses it with the driver igb.\n"},
    {"intel", "", "0000:00:02.0 8086:5916 1 | The host uses it with the driver i915.\n"},
    {"nouveau", "", "0000:01:00.0 10de:1e84 1 | The host uses it with the driver nouveau.\n"},
    {"no-iommu", "",
     "0000:01:00.0 10de:1e84  | It is in no IOMMU group: the IOMMU is off in the BIOS or in the kernel.\n"},
    {"mediated", "",
     "0000:3b:00.0 10de:1eb8 40 | Its mediated devices are given instead.\n"
     "11111111-2222-4333-8444-555555555501 10de:1eb8 90 | 11111111-2222-4333-8444-555555555501\n"
     "11111111-2222-4333-8444-555555555502 10de:1eb8 91 | 11111111-2222-4333-8444-555555555502\n"},
    {"mediated", "11111111-2222-4333-8444-555555555502",
     "0000:3b:00.0 10de:1eb8 40 | Its mediated devices are given instead.\n"
     "11111111-2222-4333-8444-555555555501 10de:1eb8 90 | 11111111-2222-4333-8444-555555555501\n"
     "11111111-2222-4333-8444-555555555502 10de:1eb8 91 | The setting gpu_blacklist keeps it from sessions.\n"},
    {"virtual-functions", "",
     "0000:4d:00.0 8086:56c0 30 | Its virtual functions are given instead.\n"
     "0000:4d:00.1 8086:56c0 31 | 0000:4d:00.1\n"
     "0000:4d:00.2 8086:56c0 32 | 0000:4d:00.2\n"
     "0000:4d:00.3 8086:56c0 33 | The host uses it with the driver i915.\n"},
};

static void test_machine(const void *data)
{
    const char *machine = machines[GPOINTER_TO_SIZE(data)].machine;
    g_autoptr(TempFolder) root = sysfs_machine(machine);
    g_autoptr(GPtrArray) gpus = gpus_of(root, machines[GPOINTER_TO_SIZE(data)].blacklist);
    g_autofree char *text = summary(gpus);
    g_assert_cmpstr(text, ==, machines[GPOINTER_TO_SIZE(data)].expected);
}

/* The one line that becomes another decides. */
static void test_drivers(void)
{
    static const struct {
        const char *line, *obstacle;
    } cases[] = {
        {"pci 0000:01:00.1 10de:10f8 040300 driver=vfio-pci group=1", NULL},
        {"pci 0000:01:00.1 10de:10f8 040300 group=1", "0000:01:00.1 is in the same IOMMU group: it has no driver"},
        {"pci 0000:01:00.1 10de:10f8 040300 driver=snd_hda_intel group=1", "with the driver snd_hda_intel"},
        {"pci 0000:01:00.1 10de:10f8 040300 driver=vfio-pci-not group=1", "with the driver vfio-pci-not"},
        {"pci 0000:00:1f.0 8086:a305 060100 group=1", NULL}, /* bridges stay */
        {"pci 0000:00:1f.0 8086:a305 060100 driver=lpc_ich group=1", "with the driver lpc_ich"},
        {"pci 0000:00:01.0 8086:1901 060400 driver=shpchp group=1", NULL},
        {"pci 0000:02:00.0 15b3:101e 020700 driver=mlx5_vfio_pci group=1", NULL},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(TempFolder) root = temp_folder();
        sysfs_add(root, "pci 0000:01:00.0 10de:1e84 030000 driver=vfio-pci group=1");
        sysfs_add(root, cases[i].line);
        g_autoptr(GPtrArray) gpus = gpus_of(root, "");
        g_assert_cmpint(gpus->len, ==, 1);
        const Gpu *gpu = gpus->pdata[0];
        g_test_message("%s: %s", cases[i].line, gpu->obstacle ? gpu->obstacle : "fine");
        g_assert_true(cases[i].obstacle ? gpu->obstacle && strstr(gpu->obstacle, cases[i].obstacle) : !gpu->obstacle);
    }
}

/* Functions of one device stay beside each other, and the GPU goes first. */
static void test_order(void)
{
    g_autoptr(TempFolder) root = temp_folder();
    sysfs_add(root, "pci 0000:01:00.0 1002:0001 020000 driver=vfio-pci group=1");
    sysfs_add(root, "pci 0000:02:00.0 1002:0002 040300 driver=vfio-pci group=1");
    sysfs_add(root, "pci 0000:02:00.1 1002:0003 030000 driver=vfio-pci group=1");
    g_autoptr(GPtrArray) gpus = gpus_of(root, "");
    g_autofree char *devices = gpu_devices(gpus->pdata[0]);
    g_assert_cmpstr(devices, ==, "0000:02:00.1 0000:02:00.0 0000:01:00.0");
}

static void test_names(void)
{
    static const struct {
        const char *machine, *expected;
    } cases[] = {
        {"nvidia", "NVIDIA Corporation TU104 [GeForce RTX 2070 SUPER]"},
        {"intel", "Intel Corporation HD Graphics 620"},
        {"twins", "1a03:2000"}, /* neither vendor nor model are in the table */
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(TempFolder) root = sysfs_machine(cases[i].machine);
        g_autoptr(GPtrArray) gpus = gpus_of(root, "");
        g_assert_cmpstr(((const Gpu *)gpus->pdata[0])->self.name, ==, cases[i].expected);
    }
    g_autoptr(TempFolder) root = sysfs_machine("nvidia");
    g_autoptr(GPtrArray) gpus = gpus_of(root, "");
    const GPtrArray *members = ((const Gpu *)gpus->pdata[0])->members;
    g_assert_cmpint(members->len, ==, 4);
    g_assert_cmpstr(((const PciFunction *)members->pdata[1])->name, ==, "NVIDIA Corporation TU104 HD Audio Controller");
    g_assert_cmpstr(((const PciFunction *)members->pdata[3])->name, ==, "NVIDIA Corporation");
    g_autofree char *table = g_build_filename(root, "usr/share/misc/pci.ids", NULL);
    g_assert_cmpint(unlink(table), ==, 0);
    gpus_find_names(gpus, root);
    g_assert_cmpstr(((const Gpu *)gpus->pdata[0])->self.name, ==, "10de:1e84");
}

static void test_profiles(void)
{
    g_autoptr(TempFolder) root = sysfs_machine("mediated");
    g_autoptr(GPtrArray) gpus = gpus_of(root, "");
    g_autoptr(GPtrArray) profiles = gpu_profiles_read(root, gpus->pdata[0]),
                         none = gpu_profiles_read(root, gpus->pdata[1]);
    const GpuProfile *first = profiles->pdata[0], *second = profiles->pdata[1];
    g_assert_cmpint(profiles->len, ==, 2);
    g_assert_cmpint(none->len, ==, 0);
    g_assert_cmpstr(first->id, ==, "nvidia-222");
    g_assert_cmpstr(first->name, ==, "GRID T4-1B");
    g_assert_cmpint(first->available, ==, 14);
    g_assert_cmpint(second->available, ==, 0);
    g_assert_cmpstr(((const Gpu *)gpus->pdata[1])->self.name, ==, "NVIDIA Corporation TU104GL [Tesla T4], GRID T4-1B");
}

/* --- what is not as it should be --- */

static void test_addresses(void)
{
    static const char *const good[] = {"0000:01:00.0", "ffff:FF:1f.7", "10000:e1:00.0"};
    static const char *const bad[] = {
        "",           "01:00.0",        "0000:01:00.8",  "0000:01:00.",    "000:01:00.0",
        "0000:01:00", "0000:01:00.0\n", "0000:01:00.00", "0000:01:00.0,x", "../0000:01:00.0",
        ":01:00.0",   "0000/01/00.0",   "000g:01:00.0",  "0000:0:00.0"};
    for (size_t i = 0; i < G_N_ELEMENTS(good); i++)
        g_assert_true(gpu_is_address(good[i]));
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
        g_assert_false(gpu_is_address(bad[i]));
    g_assert_true(gpu_is_model("10de:1eb8"));
    g_assert_false(gpu_is_model("10de:1eb"));
    g_assert_false(gpu_is_model("10de:1eb8,"));
    g_assert_false(gpu_is_model("10de-1eb8"));
    g_assert_true(gpu_same_device("0000:01:00.0", "0000:01:00.7"));
    g_assert_false(gpu_same_device("0000:01:00.0", "0000:01:01.0"));
    g_assert_false(gpu_same_device("11111111-2222-4333-8444-555555555501", "11111111-2222-4333-8444-555555555501"));
}

/* Nothing there, loops, names that are none, contents that are none: no GPU, or none that is given; never an end. */
static void test_hostile(void)
{
    g_autoptr(TempFolder) root = temp_folder();
    g_autoptr(GPtrArray) nothing = gpus_of(root, "");
    g_assert_cmpint(nothing->len, ==, 0);
    g_autofree char *bus = sysfs_folder(root, "bus/pci/devices"), *mdev = sysfs_folder(root, "bus/mdev/devices");
    sysfs_link(bus, "0000:00:01.0", "0000:00:01.0");
    sysfs_link(bus, "0000:00:02.0", "0000:00:03.0");
    sysfs_link(bus, "0000:00:03.0", "0000:00:02.0");
    sysfs_link(bus, "0000:00:04.0\nhost=0000:00:05.0", "/");
    sysfs_link(bus, "0000:00:06.0", "/nonexistent");
    sysfs_link(mdev, "11111111-2222-4333-8444-555555555501", "11111111-2222-4333-8444-555555555501");
    sysfs_link(mdev, "not a uuid\n", "/");
    sysfs_add(root, "pci 0000:07:00.0 10de:1eb8 0x3000 driver=vfio-pci group=7"); /* a class that is none */
    sysfs_add(root, "pci 0000:08:00.0 zzzz:1eb8 030000 driver=vfio-pci group=8"); /* a vendor that is none */
    sysfs_add(root, "pci 0000:09:00.0 10de:1eb8, 030000 driver=vfio-pci group=9");
    g_autoptr(GPtrArray) none = gpus_of(root, "");
    g_assert_cmpint(none->len, ==, 0);
}

static void test_hostile_groups(void)
{
    g_autoptr(TempFolder) root = temp_folder();
    sysfs_add(root, "pci 0000:01:00.0 10de:1eb8 030000 driver=vfio-pci");
    sysfs_add(root, "pci 0000:02:00.0 10de:1eb8 030000 driver=vfio-pci");
    sysfs_add(root, "pci 0000:03:00.0 10de:1eb8 030000 driver=vfio-pci");
    sysfs_add(root, "pci 0000:04:00.0 10de:1eb8 030000 driver=vfio-pci group=4");
    g_autofree char *group = sysfs_folder(root, "kernel/iommu_groups/3/devices");
    static const char *const targets[] = {"../../etc/passwd", "iommu_group", "../../../kernel/iommu_groups/3"};
    for (guint i = 0; i < G_N_ELEMENTS(targets); i++) {
        g_autofree char *folder = sysfs_folder(root, "devices/pci0000:00/0000:0%u:00.0", i + 1);
        sysfs_link(folder, "iommu_group", targets[i]);
    }
    g_autofree char *fourth = sysfs_folder(root, "kernel/iommu_groups/4/devices");
    sysfs_link(fourth, "0000:05:00.0", "/nonexistent"); /* something that the kernel does not describe */
    g_autoptr(GPtrArray) gpus = gpus_of(root, "");
    g_autofree char *text = summary(gpus);
    g_assert_cmpstr(
        text, ==,
        "0000:01:00.0 10de:1eb8  | It is in no IOMMU group: the IOMMU is off in the BIOS or in the kernel.\n"
        "0000:02:00.0 10de:1eb8  | It is in no IOMMU group: the IOMMU is off in the BIOS or in the kernel.\n"
        "0000:03:00.0 10de:1eb8 3 | What is in its IOMMU group cannot be read.\n"
        "0000:04:00.0 10de:1eb8 4 | What else is in its IOMMU group cannot be read.\n");
}

/* Control characters do not get out of names. */
static void test_hostile_names(void)
{
    g_autoptr(TempFolder) root = sysfs_machine("mediated");
    g_autofree char *folder = sysfs_folder(root, "devices/pci0000:00/0000:3b:00.0/mdev_supported_types/nvidia-222");
    g_free(temp_file(folder, "name", "a\nb\x1b[31m\xff\n"));
    g_autofree char *misc = g_build_filename(root, "usr/share/misc", NULL);
    g_free(temp_file(misc, "pci.ids", "10de  \x1b]0;\x07\xff\n\t1eb8  x\ty"));
    g_autoptr(GPtrArray) gpus = gpus_of(root, "");
    for (guint i = 0; i < gpus->len; i++) {
        const Gpu *gpu = gpus->pdata[i];
        g_assert_true(g_utf8_validate(gpu->self.name, -1, NULL));
        for (const char *c = gpu->self.name; *c; c++)
            g_assert_false(g_ascii_iscntrl(*c));
    }
}

static void test_bad_blacklist(void)
{
    static const char *const bad[] = {"nvidia", "10de", "10de:1eb", "01:00", "01:00.0,", "*"};
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        char *list[] = {(char *)bad[i], NULL};
        g_assert_null(gpus_read("/nonexistent", list, &error));
        assert_error(error, QWD_ERROR_CONFIG, "gpu_blacklist");
    }
}

/* --- giving --- */

static SessionRecord *session_with_gpu(const Settings *settings, const char *owner)
{
    SessionRecord *session = test_session_new(settings, owner);
    session->plan->gpu = true;
    session->state = SESSION_RUNNING;
    return session;
}

typedef struct {
    char *root, *folder;
    Settings *settings;
    GPtrArray *sessions;
} Fixture;

static void set_up(Fixture *f, const void *machine)
{
    f->root = sysfs_machine(machine);
    f->folder = temp_folder();
    f->settings = temp_settings(f->folder, NULL);
    f->sessions = g_ptr_array_new_with_free_func((GDestroyNotify)session_free);
    g_setenv("QWD_SYSROOT", f->root, TRUE);
}

static void tear_down(Fixture *f, const void *machine)
{
    (void)machine;
    g_unsetenv("QWD_SYSROOT");
    g_ptr_array_unref(f->sessions);
    settings_free(f->settings);
    temp_folder_remove(f->folder);
    temp_folder_remove(f->root);
}

/* One more session; its devices, or NULL. */
static const char *reserve(Fixture *f, GError **error)
{
    SessionRecord *session = session_with_gpu(f->settings, "marie");
    session->ends_at = session_now() + 7200;
    if (!gpu_reserve(f->settings, f->sessions, session->plan, error)) {
        session_free(session);
        return NULL;
    }
    g_ptr_array_add(f->sessions, session);
    return session->plan->gpu_devices;
}

static void test_each_its_own(Fixture *f, const void *machine)
{
    (void)machine;
    g_autoptr(GError) error = NULL;
    g_assert_cmpstr(reserve(f, &error), ==, "0000:3b:00.0");
    g_assert_cmpstr(reserve(f, &error), ==, "0000:af:00.0");
    g_assert_no_error(error);
    g_assert_null(reserve(f, &error));
    g_assert_nonnull(strstr(error->message, "The next one is due to end at "));
    assert_error(error, QWD_ERROR_LIMIT, "No GPU is free: sessions use all of them.");
    SessionRecord *first = f->sessions->pdata[0];
    first->state = SESSION_STOPPING; /* still has it */
    g_assert_null(reserve(f, NULL));
    first->state = SESSION_ENDED;
    g_assert_cmpstr(reserve(f, NULL), ==, "0000:3b:00.0");
    const Plan *plan = ((const SessionRecord *)f->sessions->pdata[2])->plan;
    g_assert_cmpstr(plan->gpu_name, ==, "NVIDIA Corporation TU104GL [Tesla T4]");
    g_assert_cmpstr(plan->gpu_group, ==, "40");
}

/* A part of the group is enough, whatever the group was called then. */
static void test_parts(Fixture *f, const void *machine)
{
    (void)machine;
    static const struct {
        const char *devices, *group;
        bool is_free;
    } cases[] = {
        {"", "", true},
        {"0000:01:00.3", "77", false},
        {"0000:09:00.0 0000:01:00.1", "", false},
        {"0000:09:00.0", "1", false},
        {"0000:09:00.0", "11", true},
        {"0000:01:00.10", "", true},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GPtrArray) sessions = g_ptr_array_new_with_free_func((GDestroyNotify)session_free);
        SessionRecord *other = session_with_gpu(f->settings, "paul");
        session_set_text(&other->plan->gpu_devices, cases[i].devices);
        session_set_text(&other->plan->gpu_group, cases[i].group);
        g_ptr_array_add(sessions, other);
        g_autoptr(SessionRecord) mine = session_with_gpu(f->settings, "marie");
        g_assert_cmpint(gpu_reserve(f->settings, sessions, mine->plan, NULL), ==, cases[i].is_free);
    }
}

/* A record gets what its plan in memory has got; and what was not used is free again. */
static void test_hand_over(Fixture *f, const void *machine)
{
    (void)machine;
    g_autoptr(SessionRecord) waiting = session_with_gpu(f->settings, "marie");
    g_autoptr(SessionRecord) record = session_with_gpu(f->settings, "marie");
    g_assert_true(gpu_check(f->settings, waiting->plan, NULL));
    g_assert_true(gpu_reserve(f->settings, f->sessions, waiting->plan, NULL));
    gpu_copy(record->plan, waiting->plan);
    g_assert_cmpstr(record->plan->gpu_devices, ==, "0000:3b:00.0");
    g_assert_cmpstr(record->plan->gpu_group, ==, "40");
    gpu_give_back(waiting->plan);
    g_assert_cmpstr(waiting->plan->gpu_devices, ==, "");
    g_ptr_array_add(f->sessions, g_steal_pointer(&waiting));
    g_assert_cmpstr(reserve(f, NULL), ==, "0000:3b:00.0");
}

static void test_no_wish(Fixture *f, const void *machine)
{
    (void)machine;
    g_autoptr(SessionRecord) session = test_session_new(f->settings, "marie");
    g_assert_true(gpu_reserve(f->settings, f->sessions, session->plan, NULL));
    g_assert_cmpstr(session->plan->gpu_devices, ==, "");
    g_assert_cmpstr(session->plan->gpu_name, ==, "");
}

static void test_offered(void)
{
    static const struct {
        const char *machine, *override;
        bool offered;
    } cases[] = {{"nvidia", "service_gpu=auto", true},   {"nvidia", "service_gpu=no", false},
                 {"intel", "service_gpu=auto", false},   {"nvidia", "gpu_blacklist=10de:1e84", false},
                 {"mediated", "service_gpu=auto", true}, {"nvidia", "gpu_blacklist=nonsense", false}};
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(TempFolder) root = sysfs_machine(cases[i].machine), folder = temp_folder();
        g_autoptr(Settings) settings = temp_settings(folder, cases[i].override, NULL);
        g_autoptr(GPtrArray) sessions = g_ptr_array_new();
        g_autoptr(SessionRecord) session = session_with_gpu(settings, "marie");
        g_setenv("QWD_SYSROOT", root, TRUE);
        g_assert_cmpint(gpu_is_offered(settings), ==, cases[i].offered);
        g_assert_cmpint(gpu_check(settings, session->plan, NULL), ==, cases[i].offered);
        g_assert_cmpint(gpu_reserve(settings, sessions, session->plan, &error), ==, cases[i].offered);
        g_assert_cmpint(error == NULL, ==, cases[i].offered);
        g_unsetenv("QWD_SYSROOT");
    }
}

/* --- what QEMU needs --- */

static char *make_vfio(const char *root, const char *group)
{
    g_autofree char *folder = g_build_filename(root, "dev/vfio", NULL);
    g_assert_cmpint(g_mkdir_with_parents(folder, 0755), ==, 0);
    g_free(temp_file(folder, "vfio", ""));
    return temp_file(folder, group, "");
}

static void test_devices(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(TempFolder) root = temp_folder();
    g_assert_false(gpu_check_devices(root, "14", &error));
    assert_error(error, QWD_ERROR_UNAVAILABLE, "/dev/vfio/vfio: No such file or directory.");
    g_autofree char *device = make_vfio(root, "14");
    g_assert_true(gpu_check_devices(root, "14", &error));
    g_assert_false(gpu_check_devices(root, "15", &error));
    assert_error(error, QWD_ERROR_UNAVAILABLE, "/dev/vfio/15: No such file or directory.");
}

/* In a process of its own, whose limits end with it: what a machine of this size says when `most` may be locked. */
static int memory_result(const char *root, rlim_t most, gint64 memory_mib)
{
    pid_t pid = fork();
    if (pid == 0) {
        g_autoptr(GError) error = NULL;
        struct rlimit limit = {.rlim_cur = 65536, .rlim_max = most}, now;
        if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0 || (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0)))
            _exit(3);
        bool good = gpu_check_access(root, "14", memory_mib, &error);
        getrlimit(RLIMIT_MEMLOCK, &now);
        if (good)
            _exit(now.rlim_cur > limit.rlim_cur && now.rlim_max == most ? 0 : 2);
        _exit(strstr(error->message, "locks 1.5 GB of memory, and the service may lock 5 MB.") ? 1 : 4);
    }
    int status;
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* Hosts let an ordinary process lock a few MB only, so the first machine has less than no memory: with the 1 GB that is
 * locked beside it, that makes 4 MB. */
static void test_memory(void)
{
    g_autoptr(TempFolder) root = temp_folder();
    g_autofree char *device = make_vfio(root, "14"), *folder = g_path_get_dirname(device);
    g_autofree char *container = g_build_filename(folder, "vfio", NULL);
    g_assert_cmpint(chmod(root, 0755) | chmod(device, 0666) | chmod(container, 0666), ==, 0);
    g_assert_cmpint(memory_result(root, 5 << 20, 4 - 1024), ==, 0); /* raised as far as it may be */
    g_assert_cmpint(memory_result(root, 5 << 20, 512), ==, 1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(machines); i++) {
        g_autofree char *path = g_strdup_printf("/gpu/machine/%zu-%s", i, machines[i].machine);
        g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_machine);
    }
    g_test_add_func("/gpu/drivers", test_drivers);
    g_test_add_func("/gpu/order", test_order);
    g_test_add_func("/gpu/names", test_names);
    g_test_add_func("/gpu/profiles", test_profiles);
    g_test_add_func("/gpu/addresses", test_addresses);
    g_test_add_func("/gpu/hostile", test_hostile);
    g_test_add_func("/gpu/hostile-groups", test_hostile_groups);
    g_test_add_func("/gpu/hostile-names", test_hostile_names);
    g_test_add_func("/gpu/bad-blacklist", test_bad_blacklist);
    g_test_add("/gpu/each-its-own", Fixture, "twins", set_up, test_each_its_own, tear_down);
    g_test_add("/gpu/parts", Fixture, "nvidia", set_up, test_parts, tear_down);
    g_test_add("/gpu/hand-over", Fixture, "twins", set_up, test_hand_over, tear_down);
    g_test_add("/gpu/no-wish", Fixture, "nvidia", set_up, test_no_wish, tear_down);
    g_test_add_func("/gpu/offered", test_offered);
    g_test_add_func("/gpu/devices", test_devices);
    g_test_add_func("/gpu/memory", test_memory);
    return g_test_run();
}
