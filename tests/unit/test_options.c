/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What administrators may add to QEMU's options. */
#include <string.h>

#include "base/error.h"
#include "temp.h"
#include "vm/options.h"

static void test_split(void)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"", ""},
        {"   ", ""},
        {"-device virtio-sound-pci", "-device|virtio-sound-pci"},
        {"-smbios \"type=1,product=my desk\"  -boot 'menu=on'", "-smbios|type=1,product=my desk|-boot|menu=on"},
        {"-device x,y=$(reboot);`id`", "-device|x,y=$(reboot);`id`"}, /* no shell looks at it */
        {"-cpu host,-vnc", "-cpu|host,-vnc"},
        {"-device monitor", "-device|monitor"}, /* a value is no option */
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_auto(GStrv) words = qemu_options_parse(cases[i].text, &error);
        g_assert_no_error(error);
        g_autofree char *joined = g_strjoinv("|", words);
        g_assert_cmpstr(joined, ==, cases[i].words);
    }
}

static void test_refused(void)
{
    static const char *const texts[] = {
        "-sandbox off",
        "--sandbox off",
        "-vnc :1",
        "-monitor stdio",
        "-device x -qmp tcp:0:1,server=on",
        "-netdev user,id=x",
        "-nic user",
        "-virtfs local,path=/,mount_tag=x",
        "'-gdb' tcp::1234",
        "-readconfig /x",
        "-s",
        "-daemonize",
        "-enable-kvm",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(qemu_options_parse(texts[i], &error));
        assert_error(error, QWD_ERROR_CONFIG, "is refused. ");
    }
    g_autoptr(GError) error = NULL;
    g_assert_null(qemu_options_parse("-device \"x", &error));
    assert_error(error, QWD_ERROR_CONFIG, "qemu_exec_options: ");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/options/split", test_split);
    g_test_add_func("/options/refused", test_refused);
    return g_test_run();
}
