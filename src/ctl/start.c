/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwdctl start. */
#include <stdio.h>
#include <string.h>

#include "app/local.h"
#include "ctl/commands.h"
#include "ctl/json_mode.h"
#include "ctl/output.h"

bool command_start(Arguments *arguments, GError **error)
{
    g_auto(GStrv) words = command_words(arguments);
    g_autofree char *machine = strchr(words[0], '/') || g_file_test(words[0], G_FILE_TEST_IS_REGULAR)
                                   ? g_canonicalize_filename(words[0], NULL)
                                   : g_strdup(words[0]);
    g_autofree char *id = local_start(arguments, machine, error);
    g_autofree char *note = NULL;
    g_autofree char *url = id ? local_wait_address(arguments->settings, id, &note, error) : NULL;
    if (!url)
        return false;
    if (json_mode_is_on())
        json_mode_take(json_pack("{s:s, s:s}", "id", id, "url", url));
    printf("%s\n", url);
    if (*note)
        output_note("Note: %s", note);
    return true;
}
