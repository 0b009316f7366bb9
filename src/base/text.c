/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/text.h"

#include <glib.h>

bool text_has_controls(const char *text)
{
    while (*text && !g_ascii_iscntrl(*text))
        text++;
    return *text != '\0';
}

void text_flatten(char *text)
{
    for (; *text; text++) {
        if (g_ascii_iscntrl(*text))
            *text = ' ';
    }
}
