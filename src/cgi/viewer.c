/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "cgi/viewer.h"

#include "app/app.h"
#include "base/error.h"
#include "base/json.h"
#include "core/link.h"
#include "core/store.h"
#include "web/qr.h"
#include "web/viewer.h"

/* It connects to the display, and may be in a frame of nobody's page. */
static Response *page_for(const Call *call, const SessionRecord *session, GError **error)
{
    const Settings *settings = call->page.settings;
    g_autoptr(JsonValue) values = page_viewer(&call->page, session);
    Response *response = response_page(settings, "viewer.html", values, error);
    g_autofree char *sources = link_connect_policy(settings, call->page.base);
    if (response)
        response_allow_connections(response, sources);
    return response;
}

Response *viewer_page(Call *call, GError **error)
{
    g_autoptr(SessionRecord) session = app_see(call->page.settings, &call->who, call->form.session, error);
    return session ? page_for(call, session, error) : NULL;
}

Response *viewer_shared_page(Call *call, GError **error)
{
    return page_for(call, NULL, error);
}

Response *viewer_link_state(Call *call, GError **error)
{
    const SessionLink *link;
    if (request_method(call->page.request) != METHOD_POST) {
        qwd_error_fail(error, QWD_ERROR_METHOD, "A token is sent with POST, so that it is in no address.");
        return NULL;
    }
    g_autoptr(SessionRecord) session = app_see_link(call->page.settings, call->form.token, &link, error);
    if (!session)
        return NULL;
    g_autoptr(JsonValue) object = json_pack("{s:o}", "link", page_link_state(session, link));
    return response_json(200, object);
}

Response *viewer_qr(const Call *call, const SessionRecord *session, GError **error)
{
    const Settings *settings = call->page.settings;
    const SessionLink *link = session_find_link(session, call->form.qr);
    g_autofree char *token = link ? store_find_token(settings, link) : NULL;
    g_autofree char *url = token ? link_viewer_url(settings, call->page.base, token) : NULL;
    json_t *code = url ? qr_values(url, error) : NULL;
    if (code) {
        g_autoptr(JsonValue) object = json_pack("{s:o}", "qr", code);
        return response_json(200, object);
    }
    if (!url)
        qwd_error_fail(error, QWD_ERROR_NOT_FOUND, "There is no such link: it was revoked, or its time is over.");
    return NULL;
}
