/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "vm/accelerator.h"

#include <fcntl.h>
#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/process.h"
#include "base/text.h"
#include "base/wait.h"
#include "core/host.h"
#include "vm/qemu.h"

#define EMULATION_DEADLINE_MS 20000
#define HARDWARE_DEADLINE_MS 1000 /* on an idle host; more where emulation is slow as well */
#define HARDWARE_SLOWDOWN_MAX 4   /* against emulation measured at the same moment */
#define FORCED_DEADLINE_MS 20000  /* somebody asked for it: only a hang counts */
#define KILL_DEADLINE_MS 5000
#define OUTPUT_MAX_BYTES 65536

/* How a machine's firmware tells that it got to its end. */
typedef struct {
    const char *arch;
    const char *machine;
    const char *const *arguments; /* %s stands for the chardev */
    const char *const *signs;
} Trial;

static const char *const x86_arguments[] = {"-device", "isa-debugcon,iobase=0x402,chardev=d", NULL};
static const char *const x86_signs[] = {"Booting from", "No bootable device", NULL};
static const char *const arm_arguments[] = {"-serial", "chardev:d", "-bios", "/usr/share/AAVMF/AAVMF_CODE.fd", NULL};
static const char *const arm_signs[] = {"UEFI firmware", NULL};

static const Trial trials[] = {
    {"x86_64", "q35", x86_arguments, x86_signs},
    {"aarch64", "virt", arm_arguments, arm_signs},
};

/* Processor models, in the order they are tried. Some hosts offer a feature that they then refuse to set. */
static const char *const hardware_cpus[] = {"host", "host,-arch-capabilities", "max", NULL};

void accelerator_clear(Accelerator *accelerator)
{
    g_clear_pointer(&accelerator->name, g_free);
    g_clear_pointer(&accelerator->cpu, g_free);
    g_clear_pointer(&accelerator->note, g_free);
}

static void set(Accelerator *accelerator, const char *name, const char *cpu, char *note)
{
    accelerator_clear(accelerator);
    *accelerator = (Accelerator){.name = g_strdup(name), .cpu = g_strdup(cpu), .note = note};
}

/* pauth-impdef: QEMU's fast form of arm64 pointer authentication; the architected one halves the speed. */
static const char *emulated_cpu(const char *arch)
{
    return g_str_equal(arch, "aarch64") ? "max,pauth-impdef=on" : "max";
}

/* --- one trial --- */

typedef struct {
    GString *output;
    const char *const *signs;
    bool seen, closed, exited;
    guint source;
} TrialRun;

static gboolean on_output(int fd, GIOCondition condition, gpointer data)
{
    (void)condition;
    TrialRun *run = data;
    char buffer[4096];
    ssize_t n = read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR)
        return G_SOURCE_CONTINUE;
    if (n <= 0 || run->output->len > OUTPUT_MAX_BYTES) {
        run->closed = true;
        run->source = 0;
        return G_SOURCE_REMOVE;
    }
    g_string_append_len(run->output, buffer, n);
    for (const char *const *sign = run->signs; *sign; sign++)
        run->seen = run->seen || strstr(run->output->str, *sign);
    return G_SOURCE_CONTINUE;
}

static void on_trial_exit(pid_t pid, int status, gpointer data)
{
    (void)pid;
    (void)status;
    ((TrialRun *)data)->exited = true;
}

static bool is_decided(void *data)
{
    const TrialRun *run = data;
    return run->seen || run->closed;
}

static bool has_exited(void *data)
{
    return ((const TrialRun *)data)->exited;
}

static char **trial_argv(const AcceleratorQuery *query, const Trial *trial, const char *accel, const char *cpu)
{
    g_autoptr(GStrvBuilder) argv = g_strv_builder_new();
    g_strv_builder_add_many(argv, query->qemu, "-nodefaults", "-no-user-config", "-display", "none", "-machine",
                            trial->machine, "-accel", accel, "-cpu", cpu, "-m", "128", "-chardev", "socket,id=d,fd=3",
                            NULL);
    g_strv_builder_addv(argv, (const char **)trial->arguments);
    return g_strv_builder_end(argv);
}

/* Milliseconds until the firmware's last words; -1 when they did not come in time or QEMU gave up. */
static int try_firmware(const AcceleratorQuery *query, const Trial *trial, const char *accel, const char *cpu,
                        int deadline_ms)
{
    g_auto(GStrv) argv = trial_argv(query, trial, accel, cpu);
    autofd int ours = -1, theirs = -1;
    if (!unix_pair(&ours, &theirs, NULL))
        return -1;
    SpawnOptions options = {.argv = (const char *const *)argv, SPAWN_OPTIONS_INIT, .die_with_parent = true};
    options.pass_fds = &theirs;
    options.as_fds = (const int[]){3};
    options.pass_count = 1;
    pid_t pid;
    gint64 begin = g_get_monotonic_time();
    if (!process_spawn(&options, &pid, NULL))
        return -1;
    fd_close_pointed(&theirs);
    TrialRun run = {.output = g_string_new(NULL), .signs = trial->signs};
    run.source = g_unix_fd_add(ours, G_IO_IN | G_IO_HUP, on_output, &run);
    guint watch = g_child_watch_add(pid, on_trial_exit, &run);
    wait_unless_cancelled(is_decided, &run, deadline_ms, NULL);
    int elapsed_ms = (int)((g_get_monotonic_time() - begin) / 1000);
    kill(pid, SIGKILL);
    if (!wait_until(has_exited, &run, KILL_DEADLINE_MS, NULL))
        g_source_remove(watch);
    if (run.source)
        g_source_remove(run.source);
    g_string_free(run.output, TRUE);
    return run.seen ? elapsed_ms : -1;
}

/* --- deciding --- */

static const Trial *trial_for(const char *arch)
{
    for (size_t i = 0; i < G_N_ELEMENTS(trials); i++) {
        if (g_str_equal(trials[i].arch, arch))
            return &trials[i];
    }
    return NULL;
}

static const char *hardware_name(const AcceleratorQuery *query)
{
    return g_str_equal(query->wish, "hvf") ? "hvf" : "kvm";
}

/* Tries the processor models in turn; true when one gets there in time. */
static bool try_hardware(const AcceleratorQuery *query, const Trial *trial, int deadline_ms, Accelerator *accelerator)
{
    for (const char *const *cpu = hardware_cpus; *cpu && !wait_is_cancelled(); cpu++) {
        int elapsed_ms = try_firmware(query, trial, hardware_name(query), *cpu, deadline_ms);
        if (elapsed_ms >= 0) {
            set(accelerator, hardware_name(query), *cpu,
                g_strdup_printf(N_("%s: the firmware ran in %d ms."), hardware_name(query), elapsed_ms));
            return true;
        }
    }
    return false;
}

static bool try_forced(const AcceleratorQuery *query, Accelerator *accelerator)
{
    const Trial *trial = trial_for(query->guest_arch);
    return trial && try_hardware(query, trial, FORCED_DEADLINE_MS, accelerator);
}

/* Whether the answer is worth remembering. */
static bool try_all(const AcceleratorQuery *query, Accelerator *accelerator)
{
    const Trial *trial = trial_for(query->guest_arch);
    const char *cpu = emulated_cpu(query->guest_arch);
    if (!trial || access("/dev/kvm", R_OK | W_OK) < 0) {
        const char *why =
            access("/dev/kvm", F_OK) < 0 ? N_("this host has no /dev/kvm") : N_("this account may not open /dev/kvm");
        set(accelerator, "tcg", cpu, g_strdup_printf(N_("Machines are emulated: %s."), why));
        return true;
    }
    int emulated_ms = try_firmware(query, trial, "tcg", cpu, EMULATION_DEADLINE_MS);
    int deadline_ms = MAX(HARDWARE_DEADLINE_MS, HARDWARE_SLOWDOWN_MAX * emulated_ms);
    if (try_hardware(query, trial, deadline_ms, accelerator))
        return true;
    char *note =
        emulated_ms < 0
            ? g_strdup(N_("Machines are emulated, and not even so the firmware gets to its end."))
            : g_strdup_printf(N_("Machines are emulated: with KVM the firmware did not get to its end in %d ms, "
                                 "emulated in %d ms."),
                              deadline_ms, emulated_ms);
    set(accelerator, "tcg", cpu, note);
    return emulated_ms >= 0;
}

/* --- remembering --- */

static char *processor_identity(void)
{
    g_autofree char *text = NULL;
    if (!g_file_get_contents("/proc/cpuinfo", &text, NULL, NULL))
        return g_strdup("");
    GString *identity = g_string_new(NULL);
    g_auto(GStrv) lines = g_strsplit(text, "\n", 60);
    for (char **line = lines; *line && **line; line++) {
        if (g_str_has_prefix(*line, "model name") || g_str_has_prefix(*line, "flags") ||
            g_str_has_prefix(*line, "Features"))
            g_string_append(identity, *line);
    }
    return g_string_free(identity, FALSE);
}

/* Changes whenever the answer might. */
static char *cache_key(const AcceleratorQuery *query)
{
    struct utsname names;
    struct stat st = {0};
    uname(&names);
    g_autofree char *program = g_find_program_in_path(query->qemu);
    if (program)
        stat(program, &st);
    g_autofree char *cpu = processor_identity();
    g_autofree char *text =
        g_strdup_printf("%s|%s|%s|%ld|%ld|%s|%s|%d", query->wish, query->guest_arch, program ? program : "",
                        (long)st.st_mtime, (long)st.st_size, names.release, cpu, access("/dev/kvm", R_OK | W_OK));
    return g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
}

static char *cache_path(const AcceleratorQuery *query)
{
    g_autofree char *name = g_strdup_printf("accelerator-%s-%s.json", query->guest_arch, query->wish);
    return g_build_filename(query->cache_folder, name, NULL);
}

static bool needs_no_trial(const AcceleratorQuery *query)
{
    return g_str_equal(query->wish, "tcg") || !g_str_equal(query->guest_arch, query->host_arch);
}

static bool recall(const AcceleratorQuery *query, Accelerator *accelerator)
{
    g_autofree char *path = cache_path(query);
    g_autofree char *key = cache_key(query);
    g_autoptr(JsonValue) object = json_object_read(path, OUTPUT_MAX_BYTES, NULL);
    if (!object || !g_str_equal(json_get_text(object, "key", ""), key))
        return false;
    set(accelerator, json_get_text(object, "name", "tcg"), json_get_text(object, "cpu", "max"),
        g_strdup(json_get_text(object, "note", "")));
    return true;
}

static void remember(const AcceleratorQuery *query, const Accelerator *accelerator)
{
    g_autofree char *path = cache_path(query);
    g_autofree char *key = cache_key(query);
    g_autoptr(JsonValue) object = json_pack("{s:s, s:s, s:s, s:s}", "key", key, "name", accelerator->name, "cpu",
                                            accelerator->cpu, "note", accelerator->note);
    /* A cache that cannot be written costs time at the next start, and nothing else. */
    if (g_mkdir_with_parents(query->cache_folder, 0755) == 0)
        json_object_write(path, object, FILE_WRITE_FAST, NULL);
}

bool accelerator_recall(const AcceleratorQuery *query, Accelerator *accelerator)
{
    if (!needs_no_trial(query))
        return recall(query, accelerator);
    set(accelerator, "tcg", emulated_cpu(query->guest_arch),
        g_strdup(g_str_equal(query->wish, "tcg") ? N_("Machines are emulated: accel = tcg is set.")
                                                 : N_("Machines of another architecture are emulated.")));
    return true;
}

bool accelerator_choose(const AcceleratorQuery *query, Accelerator *accelerator, GError **error)
{
    if (accelerator_recall(query, accelerator))
        return true;
    bool is_forced = !g_str_equal(query->wish, "auto");
    bool good = is_forced ? try_forced(query, accelerator) : try_all(query, accelerator);
    if (wait_is_cancelled())
        return qwd_error_fail(error, QWD_ERROR_CANCELLED, "Somebody asked for the end meanwhile.");
    if (is_forced && !good)
        return qwd_error_fail(error, QWD_ERROR_UNAVAILABLE,
                              "accel = %s is set, but %s does not work here. Set accel = auto, or make %s usable "
                              "for this account.",
                              query->wish, query->qemu, hardware_name(query));
    if (good)
        remember(query, accelerator);
    return true;
}

bool accelerator_recall_own(const Settings *settings, Accelerator *accelerator)
{
    g_auto(Host) host = {0};
    host_read(&host);
    const char *found = qemu_program(host.arch);
    AcceleratorQuery query = {.wish = settings->accel,
                              .guest_arch = host.arch,
                              .host_arch = host.arch,
                              .qemu = *settings->qemu_exec ? settings->qemu_exec
                                      : found              ? found
                                                           : "qemu-system-x86_64",
                              .cache_folder = settings->dir_cache};
    if (accelerator_recall(&query, accelerator))
        return true;
    accelerator->note = g_strdup(N_("Not known yet: the first session finds out."));
    return false;
}
