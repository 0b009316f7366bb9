/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/queue.h"

/* Rows in any order; each text is OWNER:STATE:SECOND, where the state is w (waits), r (runs) or e (has ended). */
static GPtrArray *sessions_of(const char *const *rows)
{
    GPtrArray *sessions = g_ptr_array_new_with_free_func((GDestroyNotify)session_free);
    for (; *rows; rows++) {
        g_auto(GStrv) parts = g_strsplit(*rows, ":", -1);
        SessionRecord *session = session_new(parts[0], "", g_new0(Plan, 1));
        session->state = *parts[1] == 'w' ? SESSION_QUEUED : *parts[1] == 'r' ? SESSION_RUNNING : SESSION_ENDED;
        session->created_at = g_ascii_strtoll(parts[2], NULL, 10);
        session->admitted_ms = session->created_at * 1000;
        session->ends_at = session->created_at + 1000;
        g_ptr_array_add(sessions, session);
    }
    return sessions;
}

static char *order_text(const GPtrArray *sessions)
{
    g_autoptr(GPtrArray) order = queue_order(sessions);
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < order->len; i++) {
        const SessionRecord *session = order->pdata[i];
        g_string_append_printf(text, "%s%s@%d", i ? " " : "", session->owner, (int)session->created_at);
    }
    return g_string_free(text, FALSE);
}

static const struct {
    const char *rows[10], *order;
} cases[] = {
    {{NULL}, ""},
    {{"a:w:3", "b:w:1", "c:w:2"}, "b@1 c@2 a@3"},                            /* who came first */
    {{"a:w:1", "a:w:2", "a:w:3", "b:w:4"}, "a@1 b@4 a@2 a@3"},               /* nobody's second before a first */
    {{"a:r:0", "a:w:1", "b:w:2"}, "b@2 a@1"},                                /* nor before somebody without any */
    {{"a:e:0", "a:w:1", "b:w:2"}, "a@1 b@2"},                                /* what has ended does not count */
    {{"a:r:0", "b:r:0", "b:r:0", "a:w:9", "b:w:1", "c:w:8"}, "c@8 a@9 b@1"}, /* by how much each has */
};

static void test_order(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GPtrArray) sessions = sessions_of(cases[i].rows);
        g_autofree char *order = order_text(sessions);
        g_assert_cmpstr(order, ==, cases[i].order);
    }
}

static void test_position(void)
{
    g_autoptr(GPtrArray) sessions = sessions_of((const char *const[]){"a:w:1", "a:w:2", "b:w:3", "c:r:0", NULL});
    static const guint positions[] = {1, 3, 2, 0};
    for (guint i = 0; i < sessions->len; i++)
        g_assert_cmpuint(queue_position(sessions, ((SessionRecord *)sessions->pdata[i])->id), ==, positions[i]);
    g_assert_cmpuint(queue_position(sessions, "0123"), ==, 0);
}

/* Those without a name are told apart by the computer they sit at. */
static void test_nameless(void)
{
    g_autoptr(GPtrArray) sessions = sessions_of((const char *const[]){":w:1", ":w:2", ":w:3", NULL});
    session_set_text(&((SessionRecord *)sessions->pdata[2])->remote_host, "192.0.2.1");
    g_autofree char *order = order_text(sessions);
    g_assert_cmpstr(order, ==, "@1 @3 @2");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/queue/order", test_order);
    g_test_add_func("/queue/position", test_position);
    g_test_add_func("/queue/nameless", test_nameless);
    return g_test_run();
}
