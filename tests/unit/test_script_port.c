/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The port of boot scripts, with the test as the guest: who asks early waits, who asks late gets nothing. */
#include "base/json.h"
#include "session/script_port.c" /* a part of qwd-session, which no library holds */

bool supervisor_change(Supervisor *supervisor, SupervisorChange change, const void *data, GError **error)
{
    (void)error;
    change(supervisor->session, data);
    return true;
}

typedef struct {
    SessionRecord session;
    Supervisor supervisor;
    ScriptRun run;
} Port;

static void port_open(Port *port, gconstpointer data)
{
    (void)data;
    *port = (Port){.supervisor = {.session = &port->session, .script_fd = -1}, .run = {.fd = -1}};
    port->session.scripts = g_ptr_array_new_with_free_func((GDestroyNotify)script_free);
    port->run.supervisor = &port->supervisor;
    g_autoptr(JsonValue) script =
        json_pack("{s:s, s:s, s:s}", "name", "one", "source", "exec:true", "state", "waiting");
    g_ptr_array_add(port->session.scripts, script_from_json(script));
    g_assert_true(script_port_open(&port->run, NULL));
}

static void port_close(Port *port, gconstpointer data)
{
    (void)data;
    script_port_close(&port->run);
    fd_close_pointed(&port->supervisor.script_fd);
    g_ptr_array_unref(port->session.scripts);
}

static void say(const Port *port, const char *text)
{
    g_assert_cmpint(write(port->supervisor.script_fd, text, strlen(text)), ==, (ssize_t)strlen(text));
}

/* Serves events until there is nothing more to do. */
static void settle(void)
{
    while (g_main_context_iteration(NULL, FALSE)) {
    }
}

static void assert_hears(const Port *port, const char *expected)
{
    char text[64] = "";
    settle();
    ssize_t length = recv(port->supervisor.script_fd, text, sizeof text - 1, MSG_DONTWAIT);
    g_assert_cmpstr(length > 0 ? text : NULL, ==, expected);
}

static const BootScript *script_of(const Port *port)
{
    return port->session.scripts->pdata[0];
}

static void test_late(Port *port, gconstpointer data)
{
    (void)data;
    script_port_offer(&port->run, g_strdup("cnVubmVy\n"));
    assert_hears(port, NULL);
    say(port, "hello agent\n");
    assert_hears(port, "cnVubmVy\n");
    g_assert_true(port->run.is_taken);
    say(port, "hello cloud-init\n");
    assert_hears(port, "\n");
    g_assert_cmpstr(port->run.method, ==, "agent");
}

/* The texts are still on their way. */
static void test_early(Port *port, gconstpointer data)
{
    (void)data;
    say(port, "hello cloud-init\n");
    assert_hears(port, NULL);
    g_assert_false(port->run.is_taken);
    script_port_offer(&port->run, g_strdup("cnVubmVy\n"));
    assert_hears(port, "cnVubmVy\n");
    g_assert_true(port->run.is_taken);
    say(port, "start 0\nresult 0 3 aGk=\nend\n");
    settle();
    g_assert_true(port->run.is_over);
    g_assert_cmpstr(script_of(port)->output, ==, "hi");
    g_assert_cmpint(script_of(port)->exit_code, ==, 3);
    g_assert_cmpstr(script_of(port)->method, ==, "cloud-init");
}

/* It has started again meanwhile, and asks in another way. */
static void test_twice_early(Port *port, gconstpointer data)
{
    (void)data;
    say(port, "hello cloud-init\nhello nobody\nhello customize\n");
    settle();
    script_port_offer(&port->run, g_strdup("cnVubmVy\n"));
    assert_hears(port, "cnVubmVy\n");
    g_assert_cmpstr(port->run.method, ==, "customize");
}

/* Answers of a runner that nobody has got are none. */
static void test_answers_without_runner(Port *port, gconstpointer data)
{
    (void)data;
    say(port, "hello agent\nstart 0\nresult 0 0 aGk=\nend\n");
    settle();
    g_assert_false(port->run.is_over);
    g_assert_cmpint(script_of(port)->state, ==, SCRIPT_WAITING);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/script-port/late", Port, NULL, port_open, test_late, port_close);
    g_test_add("/script-port/early", Port, NULL, port_open, test_early, port_close);
    g_test_add("/script-port/twice-early", Port, NULL, port_open, test_twice_early, port_close);
    g_test_add("/script-port/answers-without-runner", Port, NULL, port_open, test_answers_without_runner, port_close);
    return g_test_run();
}
