/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "vm/options.h"

#include <stdbool.h>

#include "base/error.h"

static const struct {
    const char *options; /* without their dashes */
    const char *why;
} refused[] = {
    {"sandbox runas run-with chroot daemonize pidfile", "The service itself sets up the process."},
    {"monitor mon qmp qmp-pretty gdb s S incoming loadvm readconfig writeconfig",
     "Whoever reaches it would control the machine."},
    {"vnc spice display nographic curses sdl", "The display goes through the service alone."},
    {"net nic netdev", "The network is chosen by the setting network."},
    {"virtfs fsdev", "Guests would see folders of the server."},
    {"name nodefaults user-config accel enable-kvm no-kvm", "The service itself sets it; see the setting accel."},
};

/* QEMU takes an option with one dash or two. */
static const char *reason_against(const char *word)
{
    const char *name = word + (word[0] == '-') + (word[0] == '-' && word[1] == '-');
    for (size_t i = 0; name != word && i < G_N_ELEMENTS(refused); i++) {
        g_auto(GStrv) options = g_strsplit(refused[i].options, " ", -1);
        if (g_strv_contains((const char *const *)options, name))
            return refused[i].why;
    }
    return NULL;
}

char **qemu_options_parse(const char *text, GError **error)
{
    g_auto(GStrv) words = NULL;
    g_autoptr(GError) cause = NULL;
    if (!g_shell_parse_argv(text, NULL, &words, &cause)) {
        if (g_error_matches(cause, G_SHELL_ERROR, G_SHELL_ERROR_EMPTY_STRING))
            return g_new0(char *, 1);
        qwd_error_fail(error, QWD_ERROR_CONFIG, "qemu_exec_options: %s", cause->message);
        return NULL;
    }
    for (char **word = words; *word; word++) {
        const char *why = reason_against(*word);
        if (why) {
            qwd_error_fail(error, QWD_ERROR_CONFIG, "qemu_exec_options: %s is refused. %s", *word, why);
            return NULL;
        }
    }
    return g_steal_pointer(&words);
}
