/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <string.h>

#include "base/error.h"
#include "base/wait.h"
#include "temp.h"

typedef struct {
    bool done;
    int looks;
} Thing;

static bool is_done(void *data)
{
    Thing *thing = data;
    thing->looks++;
    return thing->done;
}

static gboolean finish(gpointer data)
{
    ((Thing *)data)->done = true;
    return G_SOURCE_REMOVE;
}

static gboolean cancel(gpointer unused)
{
    (void)unused;
    wait_cancel(true);
    return G_SOURCE_REMOVE;
}

static void test_true_at_once(void)
{
    g_autoptr(GError) error = NULL;
    Thing thing = {.done = true};
    g_assert_true(wait_until(is_done, &thing, 0, &error));
    g_assert_no_error(error);
}

static void test_event(void)
{
    g_autoptr(GError) error = NULL;
    Thing thing = {0};
    g_idle_add(finish, &thing);
    g_assert_true(wait_until(is_done, &thing, 60000, &error));
    g_assert_cmpint(thing.looks, <, 10);          /* looks after events only */
    g_assert_false(g_main_context_pending(NULL)); /* its timer is gone */
}

static void test_deadline(void)
{
    g_autoptr(GError) error = NULL;
    Thing thing = {0};
    gint64 begin = g_get_monotonic_time();
    g_assert_false(wait_until(is_done, &thing, 50, &error));
    g_assert_cmpint(g_get_monotonic_time() - begin, >=, 49000);
    assert_error(error, QWD_ERROR_TIMEOUT, "No answer within 0.1 s.");
    g_assert_false(wait_until(is_done, &thing, 0, NULL));
}

static void test_cancel(void)
{
    g_autoptr(GError) error = NULL;
    Thing thing = {0};
    g_idle_add(cancel, NULL);
    g_assert_false(wait_unless_cancelled(is_done, &thing, 60000, &error));
    assert_error(error, QWD_ERROR_CANCELLED, "asked for the end");
    g_assert_true(wait_is_cancelled());
    g_assert_false(wait_unless_cancelled(is_done, &thing, 60000, NULL)); /* and all that follow */
    g_idle_add(finish, &thing);
    g_assert_true(wait_until(is_done, &thing, 60000, &error)); /* what must be waited for is */
    g_assert_true(wait_unless_cancelled(is_done, &thing, 60000, &error));
    g_assert_no_error(error);
    wait_cancel(false);
    thing.done = false;
    g_idle_add(finish, &thing);
    g_assert_true(wait_unless_cancelled(is_done, &thing, 60000, &error));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/wait/true-at-once", test_true_at_once);
    g_test_add_func("/wait/event", test_event);
    g_test_add_func("/wait/deadline", test_deadline);
    g_test_add_func("/wait/cancel", test_cancel);
    return g_test_run();
}
