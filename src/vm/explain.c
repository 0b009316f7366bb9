/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What QEMU's messages mean for the person whose machine did not start. */
#include <string.h>

#include "base/process.h"
#include "base/text.h"
#include "vm/qemu.h"

#define LAST_WORDS_MAX_CHARS 300

static const struct {
    const char *words;
    const char *meaning;
} meanings[] = {
    {"VFIO_MAP_DMA failed",
     N_("The server's limit of locked memory is too small for a machine with a GPU of this size. "
        "Please tell its administrator: the limit memlock, in GPU.md.")},
    {"is not viable",
     N_("The GPU shares its IOMMU group with a device that the server uses. Please tell its administrator: "
        "`qwdctl gpu`.")},
    {"vfio", N_("The GPU cannot be used. Please tell the server's administrator: `qwdctl gpu`, and GPU.md.")},
    {"Cannot allocate memory",
     N_("The server has not enough free memory for it. Choose less memory, or try again later.")},
    {"cannot set up guest memory",
     "The server has not enough free memory for it. Choose less memory, or try again later."},
    {"No space left on device", N_("The server's disk is full. Please tell its administrator.")},
    {"Failed to get \"write\" lock", N_("Its image is in use by another program. Please tell the administrator.")},
    {"Failed to get shared \"write\" lock", "Its image is in use by another program. Please tell the administrator."},
    {"Could not access KVM kernel module",
     N_("The server's accelerator cannot be used. Please tell its administrator: accel.")},
    {"failed to set MSR",
     N_("The server's accelerator does not work with this processor model. Please tell its administrator: accel.")},
    {"Permission denied", N_("The server may not read one of its files. Please tell its administrator.")},
    {"Image is corrupt", N_("Its image is damaged. Please tell the administrator.")},
};

static const char *meaning_of(const char *stderr_text)
{
    for (size_t i = 0; i < G_N_ELEMENTS(meanings); i++) {
        if (strstr(stderr_text, meanings[i].words))
            return meanings[i].meaning;
    }
    return "";
}

/* The last line as text that a page and a record can hold: its beginning, without control characters. */
static char *last_words(const char *stderr_text)
{
    g_autofree char *last = text_last_line(stderr_text);
    g_autofree char *valid = g_utf8_make_valid(last, -1);
    for (char *c = valid; *c; c++) {
        if (g_ascii_iscntrl(*c))
            *c = ' ';
    }
    bool is_long = g_utf8_strlen(valid, -1) > LAST_WORDS_MAX_CHARS;
    g_autofree char *beginning = g_utf8_substring(valid, 0, is_long ? LAST_WORDS_MAX_CHARS : -1);
    return g_strconcat(beginning, is_long ? " ..." : "", NULL);
}

char *qemu_explain(const char *stderr_text)
{
    const char *meaning = meaning_of(stderr_text);
    g_autofree char *last = last_words(stderr_text);
    if (!*last)
        return g_strdup(N_("It ended without a word."));
    return g_strdup_printf("%s%s" N_("Its last words: %s"), meaning, *meaning ? " " : "", last);
}
