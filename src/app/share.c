/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Links into a session. A face changes the record; the session's supervisor opens and closes the sockets. */
#include <string.h>

#include "app/app.h"
#include "base/error.h"
#include "base/event.h"
#include "base/token.h"
#include "base/wait.h"
#include "core/store.h"

#define LINKS_MAX 32
#define OPEN_DEADLINE_MS 3000

/* The session of an owner who may share it, running. */
static SessionRecord *sharable(const Settings *settings, const Identity *who, const char *id, GError **error)
{
    g_autoptr(SessionRecord) session = app_see(settings, who, id, error);
    if (!session || !policy_allows(settings, who, ACTION_SHARE, session, error))
        return NULL;
    if (session->state == SESSION_RUNNING)
        return g_steal_pointer(&session);
    qwd_error_fail(error, QWD_ERROR_CONFLICT, "This session is not running, so it cannot be shared.");
    return NULL;
}

typedef struct {
    const Settings *settings;
    const char *session_id, *link_id;
    bool is_open;
} OpenWait;

static void look(void *data)
{
    OpenWait *wait = data;
    g_autoptr(SessionRecord) session = store_load(wait->settings, wait->session_id, NULL);
    const SessionLink *link = session ? session_find_link(session, wait->link_id) : NULL;
    wait->is_open = !link || *link->hash; /* one that has gone is not waited for */
}

static bool is_open(void *data)
{
    return ((const OpenWait *)data)->is_open;
}

/* The supervisor opens it within milliseconds; a page that is shown before tells that it is being made. */
static void wait_until_open(const Settings *settings, const char *session_id, const char *link_id)
{
    OpenWait wait = {.settings = settings, .session_id = session_id, .link_id = link_id};
    g_autofree char *folder = store_folder(settings, session_id);
    guint watch = watch_folder(folder, look, &wait, NULL);
    look(&wait);
    wait_until(is_open, &wait, OPEN_DEADLINE_MS, NULL);
    if (watch)
        g_source_remove(watch);
}

typedef struct {
    const ShareRequest *request;
    char *link_id; /* out */
} Addition;

static bool add_link(SessionRecord *session, void *data, GError **error)
{
    Addition *addition = data;
    const ShareRequest *request = addition->request;
    if (session->links->len >= LINKS_MAX)
        return qwd_error_fail(error, QWD_ERROR_LIMIT, "This session has %d links already. Revoke one first.",
                              LINKS_MAX);
    gint64 expires_at = request->lifetime_s ? session_now() + request->lifetime_s : 0;
    addition->link_id = g_strdup(session_add_link(session, request->role, request->label, expires_at)->id);
    return true;
}

SessionRecord *app_share(const Settings *settings, const Identity *who, const ShareRequest *request, GError **error)
{
    g_autoptr(SessionRecord) session = sharable(settings, who, request->session_id, error);
    if (!session)
        return NULL;
    Addition addition = {.request = request};
    g_autoptr(SessionRecord) changed = store_change(settings, session->id, add_link, &addition, error);
    g_autofree char *link_id = addition.link_id;
    if (!changed)
        return NULL;
    wait_until_open(settings, session->id, link_id);
    return store_load(settings, session->id, error);
}

typedef struct {
    const char *link_id;
    char *renewed_id; /* out: the link in place of the owner's own; NULL none */
} Removal;

static bool remove_link(SessionRecord *session, void *data, GError **error)
{
    Removal *removal = data;
    SessionLink *link = session_find_link(session, removal->link_id);
    if (!link)
        return qwd_error_fail(error, QWD_ERROR_NOT_FOUND,
                              "There is no such link: it was revoked, or its time is over.");
    bool is_own = link->is_own;
    session_remove_link(session, link);
    if (is_own) {
        SessionLink *renewed = session_add_link(session, ROLE_CONTROL, "", 0);
        renewed->is_own = true;
        removal->renewed_id = g_strdup(renewed->id);
    }
    return true;
}

SessionRecord *app_revoke(const Settings *settings, const Identity *who, const char *id, const char *link_id,
                          GError **error)
{
    g_autoptr(SessionRecord) session = sharable(settings, who, id, error);
    if (!session)
        return NULL;
    Removal removal = {.link_id = link_id};
    g_autoptr(SessionRecord) changed = store_change(settings, id, remove_link, &removal, error);
    g_autofree char *renewed_id = removal.renewed_id;
    if (!changed)
        return NULL;
    if (renewed_id)
        wait_until_open(settings, id, renewed_id);
    return store_load(settings, id, error);
}

/* The record of a session that ended just now may have no links any more: the history has. */
static SessionRecord *find_linked(const Settings *settings, const char *hash)
{
    SessionRecord *session = store_find_linked(settings, hash);
    if (session)
        app_note_state(settings, &session);
    if (session && session_find_link_by_hash(session, hash))
        return session;
    session_free(session);
    return store_find_linked(settings, hash);
}

SessionRecord *app_see_link(const Settings *settings, const char *token, const SessionLink **link, GError **error)
{
    g_autofree char *hash = token_hash(token);
    g_autoptr(SessionRecord) session = find_linked(settings, hash);
    *link = session ? session_find_link_by_hash(session, hash) : NULL;
    if (*link && session_state_is_alive(session->state) && (*link)->expires_at && (*link)->expires_at <= session_now())
        *link = NULL;
    if (*link)
        return g_steal_pointer(&session);
    qwd_error_fail(error, QWD_ERROR_NOT_FOUND,
                   "This link does not lead to a machine: it was revoked, or its time is over.");
    return NULL;
}

static bool request_disconnect(SessionRecord *session, void *data, GError **error)
{
    SessionViewer *viewer = session_find_viewer(session, *(const gint64 *)data);
    if (!viewer)
        return qwd_error_fail(error, QWD_ERROR_NOT_FOUND, "This viewer has left already.");
    viewer->disconnect_requested = true;
    return true;
}

SessionRecord *app_disconnect(const Settings *settings, const Identity *who, const char *id, gint64 serial,
                              GError **error)
{
    g_autoptr(SessionRecord) session = sharable(settings, who, id, error);
    return session ? store_change(settings, id, request_disconnect, &serial, error) : NULL;
}
