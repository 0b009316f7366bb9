/* SPDX-License-Identifier: AGPL-3.0-or-later
 * QEMU's command line against golden files, tests/fixtures/argv/NAME.txt with an argument on each line. */
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/process.h"
#include "golden.h"
#include "temp.h"
#include "vm/qemu.h"
#include "vm/qmp.h"

#define DEADLINE_MS 60000

static const Accelerator tcg = {.name = (char *)"tcg", .cpu = (char *)"max"};
static const Accelerator arm_tcg = {.name = (char *)"tcg", .cpu = (char *)"max,pauth-impdef=on"};
static const Accelerator kvm = {.name = (char *)"kvm", .cpu = (char *)"host"};

static const char *const extra[] = {"-smbios", "type=1,product=my desk", "-boot", "menu=on", NULL};

/* An overlay of a BIOS machine; each case says what is different. */
#define SPEC_DEFAULTS                                                                                                  \
    .id = "0123456789abcdef0123456789abcdef", .program = "qemu-system-x86_64", .arch = "x86_64", .disk = "virtio",     \
    .display = "virtio-vga", .os = "linux", .cpus = 2, .memory_mib = 1024, .clipboard = true, .accelerator = &tcg,     \
    .network = NETWORK_PASST, .disk_path = "/snap/ID/disk.qcow2", .disk_format = "qcow2", .run_folder = "/run/qwd/ID"

#define ARM                                                                                                            \
    .program = "qemu-system-aarch64", .arch = "aarch64", .accelerator = &arm_tcg, .display = "virtio-gpu-pci",         \
    .firmware_code = "/fw/AAVMF_CODE.fd", .firmware_vars = "/snap/ID/vars.fd"

#define MEDIATED "11111111-2222-4333-8444-555555555501"
#define DEVICES(...)                                                                                                   \
    .gpu_devices = (const char *const[])                                                                               \
    {                                                                                                                  \
        __VA_ARGS__, NULL                                                                                              \
    }

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init" /* a case overrides the defaults: that is what they are for */
static const struct {
    const char *name;
    QemuSpec spec;
} cases[] = {
    {"iso-tcg", {SPEC_DEFAULTS, .cdrom_path = "/machines/tiny.iso"}},
    {"overlay-kvm", {SPEC_DEFAULTS, .accelerator = &kvm}},
    {"disk-sata", {SPEC_DEFAULTS, .disk = "sata"}},
    {"disk-ide", {SPEC_DEFAULTS, .disk = "ide", .cdrom_path = "/machines/old.iso"}},
    {"disk-scsi", {SPEC_DEFAULTS, .disk = "scsi"}},
    {"disk-nvme", {SPEC_DEFAULTS, .disk = "nvme"}},
    {"uefi", {SPEC_DEFAULTS, .firmware_code = "/fw/OVMF_CODE.fd", .firmware_vars = "/snap/ID/vars.fd"}},
    {"aarch64", {SPEC_DEFAULTS, ARM, .disk = "ide"}},
    {"aarch64-iso", {SPEC_DEFAULTS, ARM, .cdrom_path = "/machines/arm.iso", .disk = "scsi"}},
    {"network-restricted", {SPEC_DEFAULTS, .network = NETWORK_RESTRICTED}},
    {"network-none", {SPEC_DEFAULTS, .network = NETWORK_NONE}},
    {"windows-kvm", {SPEC_DEFAULTS, .os = "windows", .accelerator = &kvm, .disk = "sata", .display = "VGA"}},
    {"windows-tcg", {SPEC_DEFAULTS, .os = "windows"}},
    {"clipboard-off", {SPEC_DEFAULTS, .clipboard = false}},
    {"commas",
     {SPEC_DEFAULTS, .run_folder = "/run/a,b,,c=d", .disk_path = "/snap/a,file=\"/etc/passwd\"\\/disk.qcow2",
      .cdrom_path = "/machines/x,y.iso"}},
    {"gpu", {SPEC_DEFAULTS, DEVICES("0000:01:00.0"), .accelerator = &kvm}},
    {"gpu-functions", {SPEC_DEFAULTS, DEVICES("0000:01:00.0", "0000:01:00.1", "0000:01:00.3", "0000:02:00.0")}},
    {"gpu-mediated", {SPEC_DEFAULTS, DEVICES(MEDIATED)}},
    {"gpu-aarch64", {SPEC_DEFAULTS, ARM, DEVICES("0000:01:00.0", "0000:01:00.1")}},
    {"script", {SPEC_DEFAULTS, .script_port = "org.qemu-web-desktop.script.0", .seed_path = "/snap/I,D/seed.iso"}},
    {"script-sata", {SPEC_DEFAULTS, .disk = "sata", .seed_path = "/snap/ID/seed.iso", .cdrom_path = "/machines/x.iso"}},
    {"script-ide", {SPEC_DEFAULTS, .disk = "ide", .seed_path = "/snap/ID/seed.iso", .cdrom_path = "/machines/x.iso"}},
    {"more-options", {SPEC_DEFAULTS, .more_options = (const char *const[]){"-smbios", "type=1,serial=x", NULL}}},
    {"folders",
     {SPEC_DEFAULTS,
      .folders = (const QemuFolder[]){{"course", false, false}, {"personal", true, true}, {"full", false, true}},
      .folder_count = 3}},
    {"use-master", {SPEC_DEFAULTS, .disk_path = "/machines/data.raw", .disk_format = "raw", .disk_is_master = true}},
    {"extra-options", {SPEC_DEFAULTS, .extra = extra}},
};
#pragma GCC diagnostic pop

static const QemuSpec *spec_of(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        if (g_str_equal(cases[i].name, name))
            return &cases[i].spec;
    }
    g_assert_not_reached();
}

static void test_golden(const void *name)
{
    g_auto(GStrv) argv = qemu_argv(spec_of(name));
    g_autofree char *joined = g_strjoinv("\n", argv), *lines = g_strconcat(joined, "\n", NULL);
    g_autofree char *golden = g_strdup_printf("tests/fixtures/argv/%s.txt", (const char *)name);
    golden_compare(golden, lines);
}

/* What must hold in all of them, however the golden files change. */
static void test_always(const void *name)
{
    g_auto(GStrv) argv = qemu_argv(spec_of(name));
    static const char *const required[] = {"-nodefaults", "-no-user-config", "-sandbox"};
    for (size_t i = 0; i < G_N_ELEMENTS(required); i++)
        g_assert_true(g_strv_contains((const char *const *)argv, required[i]));
    g_autofree char *all = g_strjoinv(" ", argv);
    static const char *const forbidden[] = {"hostfwd", "-vnc :", "websocket", "tcp:", "0.0.0.0", "telnet", "-monitor"};
    for (size_t i = 0; i < G_N_ELEMENTS(forbidden); i++)
        g_assert_null(strstr(all, forbidden[i]));
    for (char **arg = argv; *arg; arg++) { /* JSON where an option takes it */
        bool takes_json =
            g_str_equal(*arg, "-blockdev") || g_str_equal(*arg, "-device") || g_str_equal(*arg, "-object");
        json_t *object = takes_json ? json_loads(arg[1], JSON_REJECT_DUPLICATES, NULL) : NULL;
        g_assert_true(!takes_json || json_is_object(object));
        json_decref(object);
    }
}

static void test_no_orphans(void)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *file = g_strdup_printf("%s.txt", cases[i].name);
        g_strv_builder_add(builder, file);
    }
    g_auto(GStrv) files = g_strv_builder_end(builder);
    golden_check_orphans("tests/fixtures/argv", (const char *const *)files);
}

/* --- the real QEMU --- */

/* The case with files that exist, emulated, in `folder`. */
static QemuSpec real_spec(const char *name, const char *folder)
{
    QemuSpec spec = *spec_of(name);
    spec.run_folder = folder;
    spec.accelerator = spec.accelerator == &kvm ? &tcg : spec.accelerator;
    spec.cpus = 1;
    spec.memory_mib = 64;
    return spec;
}

static char *empty_disk(const char *folder, const char *format)
{
    g_autoptr(GError) error = NULL;
    char *path = g_build_filename(folder, "disk", NULL);
    const char *argv[] = {"qemu-img", "create", "-q", "-f", format, path, "16M", NULL};
    g_auto(ProcessResult) result = {0};
    g_assert_true(process_run_checked(argv, DEADLINE_MS, &result, &error));
    return path;
}

static char *copy_vars(const char *folder, const char *vars)
{
    size_t length;
    g_autofree char *content = file_read(vars, G_MAXINT32, &length, NULL);
    char *path = g_build_filename(folder, "vars.fd", NULL);
    g_assert_true(g_file_set_contents(path, content, (gssize)length, NULL));
    return path;
}

/* QEMU takes all that comes before the GPU, and the GPU's options; then it says that this host has no such device. */
static void start_without_gpu(const QemuSpec *spec)
{
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) argv = qemu_argv(spec);
    int ours[3], theirs[3], serial[2];
    g_assert_true(unix_pair(&ours[0], &theirs[0], NULL) && unix_pair(&ours[1], &theirs[1], NULL));
    g_assert_cmpint(pipe2(serial, O_CLOEXEC), ==, 0);
    ours[2] = serial[0], theirs[2] = serial[1];
    SpawnOptions options = {.argv = (const char *const *)argv, SPAWN_OPTIONS_INIT, .die_with_parent = true};
    options.pass_fds = theirs;
    options.as_fds = (const int[]){QEMU_FD_QMP, QEMU_FD_NETWORK, QEMU_FD_SERIAL_LOG};
    options.pass_count = 3;
    g_auto(ProcessResult) result = {0};
    g_assert_true(process_run_options(options, DEADLINE_MS, &result, &error));
    g_test_message("%s", result.errors);
    g_assert_cmpint(result.exit_code, ==, 1);
    g_assert_nonnull(strstr(result.errors, "vfio"));
    g_assert_nonnull(strstr(result.errors, "No such file or directory"));
    g_autofree char *words = qemu_explain(result.errors);
    g_assert_true(g_str_has_prefix(words, "The GPU cannot be used. "));
    for (size_t i = 0; i < G_N_ELEMENTS(ours); i++)
        close(ours[i]), close(theirs[i]);
}

/* Starts it, stopped before its first instruction, and asks it to end. */
static void start_and_quit(const QemuSpec *spec, const char *folder)
{
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) argv = qemu_argv(spec);
    g_autoptr(GPtrArray) words = g_ptr_array_new();
    for (char **word = argv; *word; word++)
        g_ptr_array_add(words, *word);
    g_ptr_array_add(words, (char *)"-S");
    g_ptr_array_add(words, NULL);
    int qmp_ours, network_ours, script_ours, serial[2], theirs[7];
    g_assert_true(unix_pair(&qmp_ours, &theirs[0], NULL) && unix_pair(&network_ours, &theirs[1], NULL) &&
                  unix_pair(&script_ours, &theirs[2], NULL));
    theirs[3] = theirs[4] = theirs[6] = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    g_assert_cmpint(pipe2(serial, O_CLOEXEC), ==, 0);
    theirs[5] = serial[1];
    SpawnOptions options = {.argv = (const char *const *)words->pdata, SPAWN_OPTIONS_INIT, .die_with_parent = true};
    autofd int words_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3); /* its last words are the test's */
    options.stderr_fd = words_fd;
    options.pass_fds = theirs;
    options.as_fds = (const int[]){QEMU_FD_QMP,         QEMU_FD_NETWORK,    QEMU_FD_SCRIPT,     QEMU_FD_FOLDERS,
                                   QEMU_FD_FOLDERS + 1, QEMU_FD_SERIAL_LOG, QEMU_FD_FOLDERS + 2};
    options.pass_count = G_N_ELEMENTS(theirs);
    pid_t pid;
    int status;
    g_assert_true(process_spawn(&options, &pid, &error));
    close(theirs[0]);
    close(theirs[1]);
    close(theirs[2]);
    close(theirs[3]);
    close(theirs[5]);
    g_autoptr(Qmp) qmp = qmp_new(qmp_ours, NULL, NULL);
    bool up = qmp_negotiate(qmp, DEADLINE_MS, &error);
    g_assert_no_error(error);
    g_assert_true(up);
    g_autoptr(JsonValue) answer = qmp_execute(qmp, "quit", NULL, DEADLINE_MS, &error);
    g_assert_no_error(error);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_cmpint(status, ==, 0);
    close(network_ours);
    close(serial[0]);
    close(script_ours);
}

/* QEMU takes every option of every case: devices, buses, sandbox and all. */
static void test_accepted(const void *name)
{
    g_autoptr(TempFolder) folder = temp_folder();
    QemuSpec spec = real_spec(name, folder);
    g_autofree char *program = g_find_program_in_path(spec.program), *disk = NULL, *vars = NULL, *cdrom = NULL,
                    *seed = NULL;
    const char *vars_template;
    if (!program || (spec.firmware_code && !qemu_find_uefi(spec.arch, &spec.firmware_code, &vars_template, NULL))) {
        g_test_skip("its QEMU or firmware is not installed");
        return;
    }
    spec.disk_path = disk = empty_disk(folder, spec.disk_format);
    if (spec.cdrom_path)
        spec.cdrom_path = cdrom = temp_file(folder, "x,y.iso", "0123456789");
    if (spec.firmware_code)
        spec.firmware_vars = vars = copy_vars(folder, vars_template);
    if (spec.seed_path)
        spec.seed_path = seed = temp_file(folder, "seed", "0123456789");
    if (spec.gpu_devices)
        start_without_gpu(&spec);
    else
        start_and_quit(&spec, folder);
}

/* --- the small pieces --- */

static void test_option_value(void)
{
    static const char *const pairs[][2] = {{"", ""},       {"/a/b", "/a/b"},         {",", ",,"},       {"a,b", "a,,b"},
                                           {",,", ",,,,"}, {"x,id=y,", "x,,id=y,,"}, {"a=b c", "a=b c"}};
    for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++) {
        g_autofree char *value = qemu_option_value(pairs[i][0]);
        g_assert_cmpstr(value, ==, pairs[i][1]);
    }
}

static void test_programs(void)
{
    g_autoptr(GError) error = NULL;
    const char *code, *vars;
    g_assert_cmpstr(qemu_program("x86_64"), ==, "qemu-system-x86_64");
    g_assert_cmpstr(qemu_program("aarch64"), ==, "qemu-system-aarch64");
    g_assert_null(qemu_program("z80"));
    g_assert_null(qemu_program(""));
    g_assert_false(qemu_find_uefi("z80", &code, &vars, &error));
    assert_error(error, QWD_ERROR_UNAVAILABLE, "UEFI firmware");
}

/* --- last words --- */

static void test_explain(void)
{
    static const struct {
        const char *said;
        const char *expected; /* what the explanation begins with */
    } rows[] = {
        {"", "It ended without a word."},
        {"\n \n", "It ended without a word."},
        {"qemu: strange\n", "Its last words: qemu: strange"},
        {"Could not access KVM kernel module: Permission denied\nqemu-system-x86_64: failed to initialize kvm\n",
         "The server's accelerator cannot be used. Please tell its administrator: accel. Its last words: qemu-system"},
        {"error: failed to set MSR 0x10a to 0x0\n",
         "The server's accelerator does not work with this processor model."},
        {"qemu: cannot set up guest memory 'pc.ram': Cannot allocate memory\n",
         "The server has not enough free memory"},
        {"Failed to get \"write\" lock\nIs another process using the image?\n",
         "Its image is in use by another program."},
        {"qemu: -device vfio-pci: VFIO_MAP_DMA failed: Cannot allocate memory\nqemu: failed to setup container\n",
         "The server's limit of locked memory is too small"},
        {"vfio 0000:01:00.0: group 14 is not viable\n", "The GPU shares its IOMMU group"},
        {"vfio 0000:01:00.0: failed to open /dev/vfio/14: Permission denied\n", "The GPU cannot be used."},
        {"Could not open '/x': Permission denied\n", "The server may not read one of its files."},
        {"write failed: No space left on device", "The server's disk is full."},
        {"one\xff\x1b[31m\ttwo\n", "Its last words: one\xef\xbf\xbd [31m two"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *text = qemu_explain(rows[i].said);
        g_assert_true(g_str_has_prefix(text, rows[i].expected));
        g_assert_true(g_utf8_validate(text, -1, NULL));
    }
    g_autofree char *flood = g_strnfill(1000000, 'x'), *text = qemu_explain(flood);
    g_assert_cmpint(strlen(text), <, 400);
    g_assert_true(g_str_has_suffix(text, "x ..."));
}

int main(int argc, char **argv)
{
    golden_test_init(&argc, &argv);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *golden = g_strdup_printf("/argv/golden/%s", cases[i].name);
        g_autofree char *always = g_strdup_printf("/argv/always/%s", cases[i].name);
        g_autofree char *accepted = g_strdup_printf("/argv/accepted/%s", cases[i].name);
        g_test_add_data_func(golden, cases[i].name, test_golden);
        g_test_add_data_func(always, cases[i].name, test_always);
        g_test_add_data_func(accepted, cases[i].name, test_accepted);
    }
    g_test_add_func("/argv/no-orphans", test_no_orphans);
    g_test_add_func("/argv/option-value", test_option_value);
    g_test_add_func("/argv/programs", test_programs);
    g_test_add_func("/explain", test_explain);
    return g_test_run();
}
