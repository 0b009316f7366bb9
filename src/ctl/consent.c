/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "ctl/consent.h"

#include "base/error.h"
#include "ctl/output.h"

bool consent_ask(const Consent *consent, GError **error)
{
    if (consent->given)
        return true;
    if (!output_is_terminal())
        return qwd_error_fail(error, QWD_ERROR_DENIED, "%s", consent->refusal);
    return output_confirm(consent->question, false) ||
           qwd_error_fail(error, QWD_ERROR_CANCELLED, "Nothing was changed.");
}
