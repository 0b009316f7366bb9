/* SPDX-License-Identifier: AGPL-3.0-or-later
 * With a QEMU that is a thread of this program: it says what a script says, whatever sense that makes. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/wait.h"
#include "temp.h"
#include "vm/qmp.h"

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n"
#define OK(id) "{\"return\": {}, \"id\": " #id "}\r\n"
#define DEADLINE_MS 60000
#define SHORT_MS 200

/* Each step waits for a command first, unless it is the first one; then says its text. After the last one it waits for
 * the other side to close, unless `closes`. */
typedef struct {
    const char *steps[6];
    bool closes;
} Script;

typedef struct {
    const Script *script;
    int fd;
    GThread *thread;
    Qmp *qmp;
    GString *events;
} Fake;

static void say(int fd, const char *text)
{
    size_t length = strlen(text);
    while (length > 0) {
        ssize_t n = send(fd, text, length, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* the other side has had enough */
        text += n;
        length -= (size_t)n;
    }
}

/* Reads up to the end of a command; false when the other side has closed. */
static bool hear(int fd)
{
    char c = 0;
    while (c != '\n') {
        if (read(fd, &c, 1) != 1)
            return false;
    }
    return true;
}

static gpointer be_qemu(gpointer data)
{
    Fake *fake = data;
    for (size_t i = 0; i < G_N_ELEMENTS(fake->script->steps) && fake->script->steps[i]; i++) {
        if (i > 0 && !hear(fake->fd))
            break;
        say(fake->fd, fake->script->steps[i]);
    }
    while (!fake->script->closes && hear(fake->fd)) {
    }
    fd_close_pointed(&fake->fd);
    return NULL;
}

static void on_event(const char *name, const json_t *data, void *user)
{
    Fake *fake = user;
    g_string_append_printf(fake->events, "%s:%s ", name, json_get_text(data, "x", "-"));
}

static void fake_start(Fake *fake, const Script *script)
{
    int ours;
    fake->script = script;
    fake->events = g_string_new(NULL);
    g_assert_true(unix_pair(&ours, &fake->fd, NULL));
    fake->qmp = qmp_new(ours, on_event, fake);
    fake->thread = g_thread_new("qemu", be_qemu, fake);
}

static void fake_stop(Fake *fake)
{
    qmp_free(fake->qmp);
    g_thread_join(fake->thread);
    g_string_free(fake->events, TRUE);
    *fake = (Fake){0};
}

/* --- a well-behaved one --- */

static void test_good(void)
{
    static const Script script = {
        .steps = {GREETING, OK(1), "{\"return\": {\"status\": \"running\"}, \"id\": 2}\r\n",
                  "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no such thing\"}, \"id\": 3}\r\n"}};
    g_autoptr(GError) error = NULL;
    Fake fake;
    fake_start(&fake, &script);
    g_assert_true(qmp_negotiate(fake.qmp, DEADLINE_MS, &error));
    g_autoptr(JsonValue) answer = qmp_execute(fake.qmp, "query-status", NULL, DEADLINE_MS, &error);
    g_assert_cmpstr(json_get_text(answer, "status", ""), ==, "running");
    g_assert_null(qmp_execute(fake.qmp, "device_del", json_pack("{s:s}", "id", "x"), DEADLINE_MS, &error));
    assert_error(error, QWD_ERROR_INTERNAL, "QEMU refused device_del: no such thing");
    fake_stop(&fake);
    qmp_free(NULL);
}

/* Text in pieces, several messages in one piece, empty lines, and answers to questions that nobody asked. */
static void test_pieces(void)
{
    static const Script script = {.steps = {"\r\n\n  {\"QMP\":", "never said"}};
    static const Script whole = {
        .steps = {GREETING "{\"event\": \"A\", \"data\": {\"x\": \"1\"}}\n{\"event\": \"B\"}\n",
                  "{\"return\": {}, \"id\": 77}\n{\"return\": {}}\n{\"event\": \"C\", \"data\": []}\n" OK(1),
                  "{\"error\": {}, \"id\": 2}\n"}};
    g_autoptr(GError) error = NULL;
    Fake fake;
    fake_start(&fake, &script);
    g_assert_false(qmp_negotiate(fake.qmp, SHORT_MS, &error));
    assert_error(error, QWD_ERROR_TIMEOUT, "No answer within");
    fake_stop(&fake);
    fake_start(&fake, &whole);
    g_assert_true(qmp_negotiate(fake.qmp, DEADLINE_MS, &error));
    g_assert_cmpstr(fake.events->str, ==, "A:1 B:- C:- ");
    g_assert_null(qmp_execute(fake.qmp, "stop", NULL, DEADLINE_MS, &error));
    assert_error(error, QWD_ERROR_INTERNAL, "QEMU refused stop: no reason");
    fake_stop(&fake);
}

/* --- others --- */

static char long_line[3 * 1024 * 1024];

static void test_bad_greetings(void)
{
    static const struct {
        Script script;
        int kind;
    } cases[] = {
        {{{"SSH-2.0-OpenSSH\r\n"}, false}, QWD_ERROR_UNAVAILABLE},
        {{{"[1, 2]\n"}, false}, QWD_ERROR_UNAVAILABLE},
        {{{"{\"a\": \xff}\n"}, false}, QWD_ERROR_UNAVAILABLE},
        {{{"{\"a\":1,\"a\":2}\n"}, false}, QWD_ERROR_UNAVAILABLE},
        {{{""}, true}, QWD_ERROR_UNAVAILABLE},
        {{{"{\"QMP\""}, true}, QWD_ERROR_UNAVAILABLE},
        {{{long_line}, false}, QWD_ERROR_UNAVAILABLE},
        {{{GREETING}, true}, QWD_ERROR_UNAVAILABLE},
        {{{GREETING, "garbage\n"}, false}, QWD_ERROR_UNAVAILABLE},
        {{{GREETING, "{\"error\": {\"desc\": \"no\"}, \"id\": 1}\n"}, false}, QWD_ERROR_INTERNAL},
        {{{""}, false}, QWD_ERROR_TIMEOUT},
        {{{"{}\n{}\n"}, false}, QWD_ERROR_TIMEOUT},
        {{{GREETING, ""}, false}, QWD_ERROR_TIMEOUT},
        {{{GREETING, OK(2)}, false}, QWD_ERROR_TIMEOUT},
    };
    memset(long_line, 'x', sizeof long_line - 1);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        Fake fake;
        fake_start(&fake, &cases[i].script);
        bool fast = cases[i].kind != QWD_ERROR_TIMEOUT;
        g_assert_false(qmp_negotiate(fake.qmp, fast ? DEADLINE_MS : SHORT_MS, &error));
        g_assert_error(error, QWD_ERROR, cases[i].kind);
        g_clear_error(&error);
        if (cases[i].kind == QWD_ERROR_UNAVAILABLE) { /* and stays so */
            g_assert_null(qmp_execute(fake.qmp, "quit", NULL, DEADLINE_MS, &error));
            g_assert_error(error, QWD_ERROR, QWD_ERROR_UNAVAILABLE);
        }
        fake_stop(&fake);
    }
}

/* An answer that comes too late is not taken for the answer to the next command. */
static void test_late(void)
{
    static const Script script = {
        .steps = {GREETING, OK(1), "",
                  "{\"return\": {\"of\": \"2\"}, \"id\": 2}\n{\"return\": {\"of\": \"3\"}, \"id\": 3}\n"}};
    g_autoptr(GError) error = NULL;
    Fake fake;
    fake_start(&fake, &script);
    g_assert_true(qmp_negotiate(fake.qmp, DEADLINE_MS, &error));
    g_assert_null(qmp_execute(fake.qmp, "slow", NULL, SHORT_MS, &error));
    assert_error(error, QWD_ERROR_TIMEOUT, "QEMU does not answer to slow.");
    g_autoptr(JsonValue) answer = qmp_execute(fake.qmp, "fast", NULL, DEADLINE_MS, &error);
    g_assert_cmpstr(json_get_text(answer, "of", ""), ==, "3");
    fake_stop(&fake);
}

/* Events without end do not keep a command from its deadline, and memory stays bounded. */
static void test_flood(void)
{
    GString *flood = g_string_new(NULL);
    for (int i = 0; i < 20000; i++)
        g_string_append(flood, "{\"event\": \"BLOCK_IO_ERROR\", \"data\": {}}\r\n");
    Script unanswered = {{GREETING, OK(1), flood->str}, false};
    g_autoptr(GError) error = NULL;
    Fake fake;
    fake_start(&fake, &unanswered);
    g_assert_true(qmp_negotiate(fake.qmp, DEADLINE_MS, &error));
    gint64 begin = g_get_monotonic_time();
    g_assert_null(qmp_execute(fake.qmp, "query-status", NULL, SHORT_MS, &error));
    assert_error(error, QWD_ERROR_TIMEOUT, "QEMU does not answer");
    g_assert_cmpint(g_get_monotonic_time() - begin, <, 60 * G_USEC_PER_SEC);
    fake_stop(&fake);
    g_string_append(flood, OK(2));
    Script answered = {{GREETING, OK(1), flood->str}, false};
    fake_start(&fake, &answered);
    g_assert_true(qmp_negotiate(fake.qmp, DEADLINE_MS, &error));
    g_autoptr(JsonValue) answer = qmp_execute(fake.qmp, "query-status", NULL, DEADLINE_MS, &error);
    g_assert_nonnull(answer);
    g_assert_cmpint(fake.events->len, ==, 20000 * strlen("BLOCK_IO_ERROR:- "));
    fake_stop(&fake);
    g_string_free(flood, TRUE);
}

static gboolean cancel(gpointer unused)
{
    (void)unused;
    wait_cancel(true);
    return G_SOURCE_REMOVE;
}

static void test_cancelled(void)
{
    static const Script script = {.steps = {""}};
    g_autoptr(GError) error = NULL;
    Fake fake;
    fake_start(&fake, &script);
    g_timeout_add(50, cancel, NULL);
    g_assert_false(qmp_negotiate(fake.qmp, 600000, &error));
    wait_cancel(false);
    g_assert_error(error, QWD_ERROR, QWD_ERROR_CANCELLED);
    fake_stop(&fake);
}

static void on_done(const json_t *result, void *user)
{
    g_string_append_printf(user, "%s ", result ? json_get_text(result, "of", "-") : "refused");
}

/* Nobody waits for a call: its answer comes while others are waited for, or never. */
static void test_call(void)
{
    static const Script script = {.steps = {GREETING, OK(1), "",
                                            "{\"return\": {\"of\": \"2\"}, \"id\": 2}\n{\"return\": {\"of\": \"3\"}, "
                                            "\"id\": 3}\n",
                                            "{\"error\": {}, \"id\": 4}\n", OK(5)}};
    g_autoptr(GString) said = g_string_new(NULL);
    Fake fake;
    fake_start(&fake, &script);
    g_assert_true(qmp_negotiate(fake.qmp, DEADLINE_MS, NULL));
    g_assert_true(qmp_call(fake.qmp, "screendump", json_pack("{s:s}", "a", "b"), on_done, said));
    g_assert_false(qmp_call(fake.qmp, "screendump", json_object(), on_done, said)); /* one at a time */
    g_autoptr(JsonValue) answer = qmp_execute(fake.qmp, "query-status", NULL, DEADLINE_MS, NULL);
    g_assert_cmpstr(json_get_text(answer, "of", ""), ==, "3");
    g_assert_cmpstr(said->str, ==, "2 ");
    g_assert_true(qmp_call(fake.qmp, "screendump", NULL, on_done, said));
    g_autoptr(JsonValue) other = qmp_execute(fake.qmp, "query-status", NULL, DEADLINE_MS, NULL);
    g_assert_nonnull(other);
    g_assert_cmpstr(said->str, ==, "2 refused ");
    g_assert_true(qmp_call(fake.qmp, "screendump", NULL, on_done, said)); /* never answered */
    fake_stop(&fake);
    g_assert_cmpstr(said->str, ==, "2 refused ");
}

/* One that takes nothing: the socket's buffer fills, and that is an error instead of a hang. */
static void test_deaf(void)
{
    g_autoptr(GError) error = NULL;
    int ours, theirs;
    g_assert_true(unix_pair(&ours, &theirs, NULL));
    g_autoptr(Qmp) qmp = qmp_new(ours, NULL, NULL);
    g_autofree char *big = g_strnfill(8 * 1024 * 1024, 'x');
    g_assert_null(qmp_execute(qmp, "x", json_pack("{s:s}", "a", big), DEADLINE_MS, &error));
    assert_error(error, QWD_ERROR_UNAVAILABLE, "QEMU does not take commands.");
    close(theirs);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qmp/good", test_good);
    g_test_add_func("/qmp/pieces", test_pieces);
    g_test_add_func("/qmp/bad-greetings", test_bad_greetings);
    g_test_add_func("/qmp/late", test_late);
    g_test_add_func("/qmp/flood", test_flood);
    g_test_add_func("/qmp/cancelled", test_cancelled);
    g_test_add_func("/qmp/call", test_call);
    g_test_add_func("/qmp/deaf", test_deaf);
    return g_test_run();
}
