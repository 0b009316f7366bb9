/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What QEMU's messages mean for the person whose machine did not start. */
#include <string.h>

#include "base/process.h"
#include "vm/qemu.h"

static const struct {
    const char *words;
    const char *meaning;
} meanings[] = {
    {"Cannot allocate memory", "The server has not enough free memory for it. Choose less memory, or try again later."},
    {"cannot set up guest memory",
     "The server has not enough free memory for it. Choose less memory, or try again later."},
    {"No space left on device", "The server's disk is full. Please tell its administrator."},
    {"Failed to get \"write\" lock", "Its image is in use by another program. Please tell the administrator."},
    {"Failed to get shared \"write\" lock", "Its image is in use by another program. Please tell the administrator."},
    {"Could not access KVM kernel module",
     "The server's accelerator cannot be used. Please tell its administrator: accel."},
    {"failed to set MSR",
     "The server's accelerator does not work with this processor model. Please tell its administrator: accel."},
    {"Permission denied", "The server may not read one of its files. Please tell its administrator."},
    {"Image is corrupt", "Its image is damaged. Please tell the administrator."},
};

char *qemu_explain(const char *stderr_text)
{
    g_autofree char *last = text_last_line(stderr_text);
    const char *meaning = "";
    for (size_t i = 0; i < G_N_ELEMENTS(meanings); i++) {
        if (strstr(stderr_text, meanings[i].words)) {
            meaning = meanings[i].meaning;
            break;
        }
    }
    if (!*last)
        return g_strdup("It ended without a word.");
    return g_strdup_printf("%s%sIts last words: %s", meaning, *meaning ? " " : "", last);
}
