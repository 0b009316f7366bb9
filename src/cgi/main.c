/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qemu-web-desktop.cgi: the web face. A request is answered within milliseconds and nothing is supervised here;
 * called by hand, the program is a command. */
#include <glib.h>

#include "cgi/cgi.h"

int main(int argc, char **argv)
{
    return g_getenv("GATEWAY_INTERFACE") ? cgi_answer(argc, argv) : cgi_command(argc, argv);
}
