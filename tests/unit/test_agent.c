/* SPDX-License-Identifier: AGPL-3.0-or-later
 * With an agent that is a thread of this program: it says what a script says, whatever sense that makes. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/wait.h"
#include "temp.h"
#include "vm/agent.h"

#define DEADLINE_MS 60000
#define SHORT_MS 200

/* What it says after each line that it gets. %s in the first one stands for the number in that line. */
typedef struct {
    const char *answers[4];
    bool closes; /* after the last answer; otherwise it waits for us to close */
} Script;

typedef struct {
    const Script *script;
    char *folder, *path;
    int listener;
    GThread *thread;
    Agent *agent;
} Fake;

static char *hear(int fd)
{
    GString *line = g_string_new(NULL);
    char c;
    while (read(fd, &c, 1) == 1) {
        g_string_append_c(line, c);
        if (c == '\n')
            return g_string_free(line, FALSE);
    }
    g_string_free(line, TRUE);
    return NULL;
}

static void say(int fd, const char *format, const char *greeting)
{
    const char *id = strstr(greeting, "\"id\":");
    g_autofree char *number = id ? g_strndup(id + 5, strspn(id + 5, "0123456789")) : g_strdup("");
    g_auto(GStrv) parts = g_strsplit(format, "%s", -1);
    g_autofree char *text = g_strjoinv(number, parts);
    send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static gpointer be_agent(gpointer data)
{
    Fake *fake = data;
    autofd int fd = accept(fake->listener, NULL, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(fake->script->answers) && fake->script->answers[i]; i++) {
        g_autofree char *line = hear(fd);
        if (!line)
            return NULL;
        say(fd, fake->script->answers[i], line);
    }
    char *rest;
    while (!fake->script->closes && (rest = hear(fd)))
        g_free(rest);
    return NULL;
}

static void fake_start(Fake *fake, const Script *script)
{
    g_autoptr(GError) error = NULL;
    *fake = (Fake){.script = script, .folder = temp_folder()};
    fake->path = g_build_filename(fake->folder, "agent", NULL);
    fake->listener = unix_listen(fake->path, &error);
    g_assert_no_error(error);
    fake->thread = g_thread_new("agent", be_agent, fake);
    fake->agent = agent_new(fake->path, &error);
    g_assert_no_error(error);
}

static void fake_end(Fake *fake)
{
    agent_free(fake->agent);
    g_thread_join(fake->thread);
    fd_close_pointed(&fake->listener);
    g_free(fake->path);
    temp_folder_remove(fake->folder);
}

static bool is_ready(void *data)
{
    return agent_is_ready(data);
}

/* --- its sign of life --- */

static void test_ready(void)
{
    static const Script good[] = {
        {.answers = {"\xff{\"return\": %s}\n"}},
        {.answers = {"{\"return\": 1}\n{\"return\": {}}\nhalf a li\xff{\"return\": %s}\n"}},
        {.answers = {"{\"error\": {\"class\": \"GenericError\", \"desc\": \"x\"}}\n\xff{\"return\": %s}\r\n"}},
        {.answers = {"\xff\xff\n\n\xff{\"return\": %s}\n"}},
    };
    static const Script bad[] = {
        {.answers = {"\xff{\"return\": 0}\n"}},
        {.answers = {"\xff{\"return\": \"%s\"}\n"}},
        {.answers = {"\xff[%s]\n"}},
        {.answers = {""}},
        {.answers = {"\xff{\"return\": %s}\nnonsense\n"}},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        Fake fake;
        fake_start(&fake, &good[i]);
        g_assert_true(wait_until(is_ready, fake.agent, DEADLINE_MS, NULL));
        fake_end(&fake);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(bad) - 1; i++) {
        Fake fake;
        fake_start(&fake, &bad[i]);
        g_assert_false(wait_until(is_ready, fake.agent, SHORT_MS, NULL));
        fake_end(&fake);
    }
}

/* --- commands --- */

static void test_execute(void)
{
    static const Script script = {
        .answers = {"\xff{\"return\": %s}\n", "{\"return\": {\"pid\": 7}}\n",
                    "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"it is disabled\"}}\n"}};
    Fake fake;
    GError *error = NULL;
    fake_start(&fake, &script);
    g_assert_true(wait_until(is_ready, fake.agent, DEADLINE_MS, NULL));
    g_autoptr(JsonValue) answer =
        agent_execute(fake.agent, "guest-exec", json_pack("{s:s}", "path", "x"), DEADLINE_MS, &error);
    g_assert_no_error(error);
    g_assert_cmpint(json_get_integer(answer, "pid", 0), ==, 7);
    g_assert_null(agent_execute(fake.agent, "guest-exec", NULL, DEADLINE_MS, &error));
    assert_error(error, QWD_ERROR_DENIED, "it is disabled");
    g_assert_null(agent_execute(fake.agent, "guest-ping", NULL, SHORT_MS, &error));
    assert_error(error, QWD_ERROR_TIMEOUT, "guest-ping");
    fake_end(&fake);
}

static void test_breaks(void)
{
    static const Script scripts[] = {
        {.answers = {"\xff{\"return\": %s}\n", "nonsense\n"}},
        {.answers = {"\xff{\"return\": %s}\n", "{\"ret"}, .closes = true},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(scripts); i++) {
        Fake fake;
        GError *error = NULL;
        fake_start(&fake, &scripts[i]);
        g_assert_true(wait_until(is_ready, fake.agent, DEADLINE_MS, NULL));
        g_assert_null(agent_execute(fake.agent, "guest-exec", NULL, DEADLINE_MS, &error));
        assert_error(error, QWD_ERROR_UNAVAILABLE, "does not talk to us");
        g_assert_false(agent_is_ready(fake.agent));
        fake_end(&fake);
    }
}

static void test_absent(void)
{
    g_autoptr(GError) error = NULL;
    g_assert_null(agent_new("/nonexistent/agent", &error));
    g_assert_nonnull(error);
    agent_free(NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/agent/ready", test_ready);
    g_test_add_func("/agent/execute", test_execute);
    g_test_add_func("/agent/breaks", test_breaks);
    g_test_add_func("/agent/absent", test_absent);
    return g_test_run();
}
