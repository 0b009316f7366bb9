/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "vm/agent.h"

#include <errno.h>
#include <glib-unix.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/text.h"
#include "base/wait.h"

#define LINE_MAX_BYTES (1024 * 1024)
#define DELIMITER '\xff' /* in no JSON text: what is before it is somebody else's */

struct Agent {
    int fd;
    guint source;
    GString *input; /* bytes that are not a whole line yet */
    json_int_t greeting;
    bool ready;
    bool broken;
    json_t *answer;
};

static void take_line(Agent *agent, const char *line)
{
    g_autoptr(JsonValue) message = json_object_parse(line, strlen(line), NULL);
    if (!message) /* of a conversation before ours, cut off by QEMU */
        agent->broken = agent->ready;
    else if (agent->ready && !agent->answer)
        agent->answer = json_incref(message);
    else if (json_get_integer(message, "return", -1) == agent->greeting)
        agent->ready = true;
}

static void forget_before_delimiter(GString *input)
{
    const char *last = memrchr(input->str, DELIMITER, input->len);
    if (last)
        g_string_erase(input, 0, last - input->str + 1);
}

static void take_lines(Agent *agent)
{
    char *newline;
    if (!agent->ready)
        forget_before_delimiter(agent->input);
    while (!agent->broken && (newline = memchr(agent->input->str, '\n', agent->input->len))) {
        size_t length = (size_t)(newline - agent->input->str);
        g_autofree char *line = g_strndup(agent->input->str, length);
        g_string_erase(agent->input, 0, (gssize)length + 1);
        if (*g_strstrip(line))
            take_line(agent, line);
    }
    if (agent->input->len > LINE_MAX_BYTES)
        agent->broken = true;
}

static gboolean on_readable(int fd, GIOCondition condition, gpointer data)
{
    (void)condition;
    Agent *agent = data;
    char buffer[4096];
    ssize_t n = read(fd, buffer, sizeof buffer);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return G_SOURCE_CONTINUE;
    if (n > 0) {
        g_string_append_len(agent->input, buffer, n);
        take_lines(agent);
    } else {
        agent->broken = true;
    }
    if (!agent->broken)
        return G_SOURCE_CONTINUE;
    agent->source = 0;
    return G_SOURCE_REMOVE;
}

static bool send_message(Agent *agent, const char *prefix, const char *command, json_t *arguments, GError **error)
{
    g_autoptr(JsonValue) message = json_pack("{s:s}", "execute", command);
    if (arguments)
        json_object_set_new(message, "arguments", arguments);
    char *text = json_dumps(message, JSON_COMPACT);
    g_autofree char *line = g_strconcat(prefix, text, "\n", NULL);
    free(text);
    if (send(agent->fd, line, strlen(line), MSG_NOSIGNAL) == (ssize_t)strlen(line))
        return true;
    return qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "The guest's agent does not take commands.");
}

Agent *agent_new(const char *path, GError **error)
{
    autofd int fd = unix_connect(path, error);
    if (fd < 0 || !fd_set_nonblocking(fd, error))
        return NULL;
    g_autoptr(Agent) agent = g_new0(Agent, 1);
    *agent = (Agent){.fd = fd_steal(&fd), .input = g_string_new(NULL), .greeting = g_random_int_range(1, G_MAXINT32)};
    agent->source = g_unix_fd_add(agent->fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable, agent);
    const char delimiter[] = {DELIMITER, '\0'};
    json_t *arguments = json_pack("{s:I}", "id", agent->greeting);
    return send_message(agent, delimiter, "guest-sync-delimited", arguments, error) ? g_steal_pointer(&agent) : NULL;
}

void agent_free(Agent *agent)
{
    if (!agent)
        return;
    if (agent->source)
        g_source_remove(agent->source);
    fd_close_pointed(&agent->fd);
    g_string_free(agent->input, TRUE);
    json_decref(agent->answer);
    g_free(agent);
}

bool agent_is_ready(const Agent *agent)
{
    return agent->ready && !agent->broken;
}

static bool is_answered(void *data)
{
    const Agent *agent = data;
    return agent->answer || agent->broken;
}

static json_t *result_of(const json_t *answer, const char *command, GError **error)
{
    json_t *result = json_object_get(answer, "return");
    if (result)
        return json_incref(result);
    qwd_error_fail(error, QWD_ERROR_DENIED, "The guest's agent refuses %s: %s", command,
                   json_get_text(json_object_get(answer, "error"), "desc", "no reason"));
    return NULL;
}

json_t *agent_execute(Agent *agent, const char *command, json_t *arguments, int deadline_ms, GError **error)
{
    g_clear_pointer(&agent->answer, json_decref);
    if (!send_message(agent, "", command, arguments, error))
        return NULL;
    if (!wait_unless_cancelled(is_answered, agent, deadline_ms, error)) {
        g_prefix_error(error, N_("The guest's agent does not answer to %s. "), command);
        return NULL;
    }
    if (agent->answer)
        return result_of(agent->answer, command, error);
    qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "The guest's agent does not talk to us any more.");
    return NULL;
}
