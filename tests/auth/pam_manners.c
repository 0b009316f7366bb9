/* SPDX-License-Identifier: AGPL-3.0-or-later
 * A PAM module for local.test.mjs, with manners that no shipped module has. Its argument says which:
 *   messages         tells things, asks for the password, says yes when it is "told"
 *   twice, echo      asks a second time, or a question whose answer is shown; says yes if it gets an answer
 *   rename=ACCOUNT   says yes, for another account
 *   hang             never says anything */
#include <security/pam_modules.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whether the application answers, and with this text if one is expected. */
static bool gets(pam_handle_t *pam, int style, const char *expected)
{
    const struct pam_conv *conversation;
    const struct pam_message message = {style, "Say: "}, *list = &message;
    struct pam_response *response = NULL;
    if (pam_get_item(pam, PAM_CONV, (const void **)&conversation) != PAM_SUCCESS ||
        conversation->conv(1, &list, &response, conversation->appdata_ptr) != PAM_SUCCESS || !response)
        return false;
    bool good = expected ? response->resp && strcmp(response->resp, expected) == 0 : true;
    free(response->resp);
    free(response);
    return good;
}

static bool decide(pam_handle_t *pam, const char *manner)
{
    if (strcmp(manner, "messages") == 0)
        return gets(pam, PAM_TEXT_INFO, NULL) && gets(pam, PAM_ERROR_MSG, NULL) &&
               gets(pam, PAM_PROMPT_ECHO_OFF, "told") && gets(pam, PAM_TEXT_INFO, NULL);
    if (strcmp(manner, "twice") == 0)
        return gets(pam, PAM_PROMPT_ECHO_OFF, NULL) && gets(pam, PAM_PROMPT_ECHO_OFF, NULL);
    if (strcmp(manner, "echo") == 0)
        return gets(pam, PAM_PROMPT_ECHO_ON, NULL);
    if (strncmp(manner, "rename=", 7) == 0)
        return pam_set_item(pam, PAM_USER, manner + 7) == PAM_SUCCESS;
    while (strcmp(manner, "hang") == 0)
        pause();
    return false;
}

int pam_sm_authenticate(pam_handle_t *pam, int flags, int argc, const char **argv)
{
    (void)flags;
    return argc == 1 && decide(pam, argv[0]) ? PAM_SUCCESS : PAM_AUTH_ERR;
}

int pam_sm_setcred(pam_handle_t *pam, int flags, int argc, const char **argv)
{
    (void)pam, (void)flags, (void)argc, (void)argv;
    return PAM_SUCCESS;
}
