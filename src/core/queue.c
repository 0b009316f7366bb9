/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/queue.h"

#include <string.h>

/* One who waits, and how many sessions of the same user go before. */
typedef struct {
    SessionRecord *session;
    guint before;
} Waiter;

static gint compare_arrival(const SessionRecord *a, const SessionRecord *b)
{
    if (a->admitted_ms != b->admitted_ms)
        return a->admitted_ms < b->admitted_ms ? -1 : 1;
    return strcmp(a->id, b->id);
}

static bool goes_before(const SessionRecord *other, const SessionRecord *session)
{
    if (other == session || !session_state_is_alive(other->state) || !session_is_same_user(other, session))
        return false;
    return other->state != SESSION_QUEUED || compare_arrival(other, session) < 0;
}

static gint compare_waiters(gconstpointer a, gconstpointer b)
{
    const Waiter *first = a, *second = b;
    if (first->before != second->before)
        return first->before < second->before ? -1 : 1;
    return compare_arrival(first->session, second->session);
}

static GArray *waiters_of(const GPtrArray *sessions)
{
    GArray *waiters = g_array_new(FALSE, FALSE, sizeof(Waiter));
    for (guint i = 0; i < sessions->len; i++) {
        Waiter waiter = {.session = sessions->pdata[i]};
        if (waiter.session->state != SESSION_QUEUED)
            continue;
        for (guint j = 0; j < sessions->len; j++)
            waiter.before += goes_before(sessions->pdata[j], waiter.session);
        g_array_append_val(waiters, waiter);
    }
    return waiters;
}

GPtrArray *queue_order(const GPtrArray *sessions)
{
    GPtrArray *order = g_ptr_array_new();
    g_autoptr(GArray) waiters = waiters_of(sessions);
    g_array_sort(waiters, compare_waiters);
    for (guint i = 0; i < waiters->len; i++)
        g_ptr_array_add(order, g_array_index(waiters, Waiter, i).session);
    return order;
}

guint queue_position(const GPtrArray *sessions, const char *id)
{
    g_autoptr(GPtrArray) order = queue_order(sessions);
    for (guint i = 0; i < order->len; i++) {
        if (g_str_equal(((const SessionRecord *)order->pdata[i])->id, id))
            return i + 1;
    }
    return 0;
}
