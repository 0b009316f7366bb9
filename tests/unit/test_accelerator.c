/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What is decided, with QEMUs that are scripts; and once with the real one, whatever this host has. */
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "base/process.h"
#include "base/wait.h"
#include "core/host.h"
#include "temp.h"
#include "vm/accelerator.h"
#include "vm/qemu.h"

/* A QEMU that notes how it was called. "kvm" in CASES is what it does for each processor model under KVM. */
#define FAKE_QEMU                                                                                                      \
    "#!/bin/sh\n"                                                                                                      \
    "cpu= accel=\n"                                                                                                    \
    "while [ $# -gt 0 ]; do case $1 in -cpu) cpu=$2;; -accel) accel=$2;; esac; shift; done\n"                          \
    "echo \"$accel $cpu\" >> \"$(dirname \"$0\")/calls\"\n"                                                            \
    "boots() { echo 'Booting from DVD/CD...' >&3; exec sleep 100; }\n"                                                 \
    "hangs() { exec sleep 100; }\n"                                                                                    \
    "aborts() { kill -ABRT $$; }\n"                                                                                    \
    "case \"$accel $cpu\" in\n"                                                                                        \
    "tcg*) boots;;\n"                                                                                                  \
    "%s\n"                                                                                                             \
    "*) exit 1;;\n"                                                                                                    \
    "esac\n"

typedef struct {
    char *folder, *qemu, *cache, *calls;
    AcceleratorQuery query;
} Fixture;

static void set_up(Fixture *f, gconstpointer unused)
{
    (void)unused;
    f->folder = temp_folder();
    f->qemu = g_build_filename(f->folder, "qemu", NULL);
    f->cache = g_build_filename(f->folder, "sub", "cache", NULL);
    f->calls = g_build_filename(f->folder, "calls", NULL);
    f->query = (AcceleratorQuery){"auto", "x86_64", "x86_64", f->qemu, f->cache};
}

static void tear_down(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_free(f->qemu);
    g_free(f->cache);
    g_free(f->calls);
    temp_folder_remove(f->folder);
}

static void write_qemu(const Fixture *f, const char *cases)
{
    g_autofree char *text = g_strdup_printf(FAKE_QEMU, cases);
    g_free(temp_script(f->folder, "qemu", text));
}

/* How it was called since the last time, separated by ';'. */
static char *take_calls(const Fixture *f)
{
    char *text = file_read(f->calls, 10000, NULL, NULL);
    g_remove(f->calls);
    return text ? g_strdelimit(g_strchomp(text), "\n", ';') : g_strdup("");
}

static void assert_calls(const Fixture *f, const char *expected)
{
    g_autofree char *calls = take_calls(f);
    g_assert_cmpstr(calls, ==, expected);
}

/* Without a device file that opens, nothing is tried: the tests of trials mean nothing then. */
static bool has_kvm_device(void)
{
    if (access("/dev/kvm", R_OK | W_OK) == 0)
        return true;
    g_test_skip("hardware: /dev/kvm does not open here");
    return false;
}

static void choose(const Fixture *f, const char *name, const char *cpu)
{
    g_autoptr(GError) error = NULL;
    g_auto(Accelerator) accelerator = {0};
    g_assert_true(accelerator_choose(&f->query, &accelerator, &error));
    g_assert_no_error(error);
    g_assert_cmpstr(accelerator.name, ==, name);
    g_assert_cmpstr(accelerator.cpu, ==, cpu);
    g_assert_cmpint(strlen(accelerator.note), >, 10);
}

/* --- without a trial --- */

static void test_tcg(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_auto(Accelerator) accelerator = {0};
    write_qemu(f, "");
    f->query.wish = "tcg";
    choose(f, "tcg", "max");
    f->query.wish = "auto";
    f->query.guest_arch = "aarch64";
    choose(f, "tcg", "max,pauth-impdef=on");
    g_assert_true(accelerator_recall(&f->query, &accelerator));
    g_assert_nonnull(strstr(accelerator.note, "another architecture"));
    f->query.wish = "kvm"; /* which another architecture cannot have */
    choose(f, "tcg", "max,pauth-impdef=on");
    assert_calls(f, "");
}

/* --- trials --- */

static void test_works(Fixture *f, gconstpointer unused)
{
    (void)unused;
    if (!has_kvm_device())
        return;
    write_qemu(f, "'kvm host') boots;;");
    choose(f, "kvm", "host");
    assert_calls(f, "tcg max;kvm host");
}

/* Processor models in turn: one aborts, one ends with an error, one boots. */
static void test_in_turn(Fixture *f, gconstpointer unused)
{
    (void)unused;
    if (!has_kvm_device())
        return;
    write_qemu(f, "'kvm host') aborts;; 'kvm max') boots;;");
    choose(f, "kvm", "max");
    assert_calls(f, "tcg max;kvm host;kvm host,-arch-capabilities;kvm max");
}

static void test_useless(Fixture *f, gconstpointer unused)
{
    (void)unused;
    if (!has_kvm_device())
        return;
    g_auto(Accelerator) accelerator = {0};
    gint64 begin = g_get_monotonic_time();
    write_qemu(f, "'kvm host') aborts;; kvm*) hangs;;");
    choose(f, "tcg", "max");
    g_assert_cmpint(g_get_monotonic_time() - begin, <, 60 * G_USEC_PER_SEC);
    g_assert_true(accelerator_recall(&f->query, &accelerator));
    g_assert_nonnull(strstr(accelerator.note, "with KVM the firmware did not get to its end"));
    g_assert_null(strstr(accelerator.note, "-1 ms"));
}

/* Not even emulation works with this program. The session will fail and say why; the note must make sense. */
static void test_nothing_works(Fixture *f, gconstpointer unused)
{
    (void)unused;
    if (!has_kvm_device())
        return;
    g_auto(Accelerator) accelerator = {0};
    g_free(temp_script(f->folder, "qemu", "#!/bin/sh\nexit 1\n"));
    choose(f, "tcg", "max");
    g_assert_false(accelerator_recall(&f->query, &accelerator)); /* it may be better next time */
}

static void test_forced(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_auto(Accelerator) accelerator = {0};
    f->query.wish = "kvm";
    write_qemu(f, "'kvm host,-arch-capabilities') boots;;");
    choose(f, "kvm", "host,-arch-capabilities");
    assert_calls(f, "kvm host;kvm host,-arch-capabilities");
    f->query.wish = "hvf";
    g_assert_false(accelerator_choose(&f->query, &accelerator, &error));
    assert_error(error, QWD_ERROR_UNAVAILABLE, "accel = hvf is set, but");
    g_assert_false(accelerator_recall(&f->query, &accelerator)); /* a refusal is not remembered */
}

/* --- memory --- */

static void test_cache(Fixture *f, gconstpointer unused)
{
    (void)unused;
    if (!has_kvm_device())
        return;
    g_auto(Accelerator) accelerator = {0};
    write_qemu(f, "'kvm host') boots;;");
    g_assert_false(accelerator_recall(&f->query, &accelerator));
    choose(f, "kvm", "host");
    g_free(take_calls(f));
    choose(f, "kvm", "host");
    assert_calls(f, "");
    write_qemu(f, "kvm*) exit 1;; # another program"); /* another size: QEMU has changed */
    g_assert_false(accelerator_recall(&f->query, &accelerator));
    choose(f, "tcg", "max");
    g_free(take_calls(f));
    choose(f, "tcg", "max");
    assert_calls(f, "");
}

/* A broken memory is none, and one that cannot be written costs a trial each time. */
static void test_broken_cache(Fixture *f, gconstpointer unused)
{
    (void)unused;
    if (!has_kvm_device())
        return;
    write_qemu(f, "'kvm host') boots;;");
    choose(f, "kvm", "host");
    g_autofree char *path = g_build_filename(f->cache, "accelerator-x86_64-auto.json", NULL);
    static const char *const broken[] = {"", "{", "{}", "{\"key\": 1}", "[]"};
    for (size_t i = 0; i < G_N_ELEMENTS(broken); i++) {
        g_assert_true(g_file_set_contents(path, broken[i], -1, NULL));
        g_free(take_calls(f));
        choose(f, "kvm", "host");
        assert_calls(f, "tcg max;kvm host");
    }
    f->query.cache_folder = "/dev/null/cache";
    choose(f, "kvm", "host");
    assert_calls(f, "tcg max;kvm host");
}

static gboolean cancel(gpointer unused)
{
    (void)unused;
    wait_cancel(true);
    return G_SOURCE_REMOVE;
}

/* Asked to end meanwhile: at once, and what was half found out is not remembered. */
static void test_cancelled(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_auto(Accelerator) accelerator = {0};
    static const char *const wishes[] = {"auto", "kvm"};
    for (size_t i = 0; i < G_N_ELEMENTS(wishes) && has_kvm_device(); i++) {
        f->query.wish = wishes[i];
        g_free(temp_script(f->folder, "qemu", "#!/bin/sh\nexec sleep 100\n"));
        g_timeout_add(100, cancel, NULL);
        gint64 begin = g_get_monotonic_time();
        g_assert_false(accelerator_choose(&f->query, &accelerator, &error));
        wait_cancel(false);
        g_assert_cmpint(g_get_monotonic_time() - begin, <, 60 * G_USEC_PER_SEC);
        g_assert_error(error, QWD_ERROR, QWD_ERROR_CANCELLED);
        g_clear_error(&error);
        g_assert_false(accelerator_recall(&f->query, &accelerator));
    }
}

/* --- the real one --- */

/* Whether KVM can be of use: the host's processor offers virtualisation. */
static bool host_virtualises(void)
{
    g_autofree char *cpuinfo = NULL;
    g_file_get_contents("/proc/cpuinfo", &cpuinfo, NULL, NULL);
    return cpuinfo && g_regex_match_simple("\\b(vmx|svm)\\b", cpuinfo, 0, 0);
}

static void test_real(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_auto(Accelerator) accelerator = {0}, again = {0};
    g_auto(Host) host = {0};
    host_read(&host);
    f->query = (AcceleratorQuery){"auto", host.arch, host.arch, qemu_program(host.arch), f->cache};
    g_assert_true(accelerator_choose(&f->query, &accelerator, &error));
    g_test_message("%s %s: %s", accelerator.name, accelerator.cpu, accelerator.note);
    if (!host_virtualises()) /* /dev/kvm may be there all the same */
        g_assert_cmpstr(accelerator.name, ==, "tcg");
    g_assert_true(accelerator_recall(&f->query, &again)); /* and is not tried out a second time */
    g_assert_cmpstr(again.name, ==, accelerator.name);
}

/* Somebody insists: a clear answer within two minutes, whatever it is. */
static void test_real_forced(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_auto(Accelerator) accelerator = {0};
    f->query = (AcceleratorQuery){"kvm", "x86_64", "x86_64", "qemu-system-x86_64", f->cache};
    gint64 begin = g_get_monotonic_time();
    if (accelerator_choose(&f->query, &accelerator, &error))
        g_assert_cmpstr(accelerator.name, ==, "kvm");
    else
        assert_error(error, QWD_ERROR_UNAVAILABLE, "accel = kvm is set, but qemu-system-x86_64 does not work here");
    g_assert_cmpint(g_get_monotonic_time() - begin, <, 120 * G_USEC_PER_SEC);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*test)(Fixture *, gconstpointer);
    } tests[] = {
        {"/accelerator/tcg", test_tcg},
        {"/accelerator/works", test_works},
        {"/accelerator/in-turn", test_in_turn},
        {"/accelerator/useless", test_useless},
        {"/accelerator/nothing-works", test_nothing_works},
        {"/accelerator/forced", test_forced},
        {"/accelerator/cache", test_cache},
        {"/accelerator/broken-cache", test_broken_cache},
        {"/accelerator/cancelled", test_cancelled},
        {"/accelerator/real", test_real},
        {"/accelerator/real-forced", test_real_forced},
    };
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].name, Fixture, NULL, set_up, tests[i].test, tear_down);
    return g_test_run();
}
