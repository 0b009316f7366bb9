/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "vm/qmp.h"

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

/* Longer than any answer to the commands used here; what exceeds it is not QEMU talking sense. */
#define LINE_MAX_BYTES (1024 * 1024)

struct Qmp {
    int fd;
    int passed_fd; /* goes with the next command; -1: none */
    guint source;
    GString *input; /* bytes that are not a whole line yet */
    QmpEvent on_event;
    void *user;
    bool greeted;
    bool broken; /* closed, or not talking QMP */
    json_int_t last_id;
    json_int_t awaited_id; /* the command that somebody waits for */
    json_t *answer;        /* to it */
    json_int_t call_id;    /* the one that nobody waits for; 0 none */
    QmpDone call_done;
    void *call_user;
};

static void end_call(Qmp *qmp, const json_t *result)
{
    qmp->call_id = 0;
    qmp->call_done(result, qmp->call_user);
}

static void take_message(Qmp *qmp, json_t *message)
{
    const char *event = json_get_text(message, "event", NULL);
    if (event) {
        if (qmp->on_event)
            qmp->on_event(event, json_object_get(message, "data"), qmp->user);
    } else if (json_object_get(message, "QMP")) {
        qmp->greeted = true;
    } else if (qmp->call_id && json_get_integer(message, "id", -1) == qmp->call_id) {
        end_call(qmp, json_object_get(message, "return"));
    } else if (json_get_integer(message, "id", -1) == qmp->awaited_id && !qmp->answer) {
        qmp->answer = json_incref(message);
    }
}

static void take_line(Qmp *qmp, const char *line, size_t length)
{
    g_autoptr(JsonValue) message = json_object_parse(line, length, NULL);
    if (message)
        take_message(qmp, message);
    else
        qmp->broken = true;
}

static void take_lines(Qmp *qmp)
{
    char *newline;
    while (!qmp->broken && (newline = memchr(qmp->input->str, '\n', qmp->input->len))) {
        size_t length = (size_t)(newline - qmp->input->str) + 1;
        g_autofree char *line = g_strndup(qmp->input->str, length);
        g_string_erase(qmp->input, 0, (gssize)length);
        if (*g_strstrip(line))
            take_line(qmp, line, strlen(line));
    }
    if (qmp->input->len > LINE_MAX_BYTES)
        qmp->broken = true;
}

static gboolean on_readable(int fd, GIOCondition condition, gpointer data)
{
    (void)condition;
    Qmp *qmp = data;
    char buffer[4096];
    ssize_t n = read(fd, buffer, sizeof buffer);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return G_SOURCE_CONTINUE;
    if (n > 0) {
        g_string_append_len(qmp->input, buffer, n);
        take_lines(qmp);
    } else {
        qmp->broken = true;
    }
    if (!qmp->broken)
        return G_SOURCE_CONTINUE;
    qmp->source = 0;
    return G_SOURCE_REMOVE;
}

Qmp *qmp_new(int fd, QmpEvent on_event, void *user)
{
    Qmp *qmp = g_new0(Qmp, 1);
    *qmp = (Qmp){.fd = fd, .passed_fd = -1, .input = g_string_new(NULL), .on_event = on_event, .user = user};
    g_unix_set_fd_nonblocking(fd, TRUE, NULL);
    qmp->source = g_unix_fd_add(fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable, qmp);
    return qmp;
}

void qmp_free(Qmp *qmp)
{
    if (!qmp)
        return;
    if (qmp->source)
        g_source_remove(qmp->source);
    fd_close_pointed(&qmp->fd);
    g_string_free(qmp->input, TRUE);
    json_decref(qmp->answer);
    g_free(qmp);
}

static bool is_greeted(void *data)
{
    const Qmp *qmp = data;
    return qmp->greeted || qmp->broken;
}

static bool is_answered(void *data)
{
    const Qmp *qmp = data;
    return qmp->answer || qmp->broken;
}

static bool check_not_broken(const Qmp *qmp, GError **error)
{
    return !qmp->broken || qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "QEMU does not talk to us any more.");
}

bool qmp_negotiate(Qmp *qmp, int deadline_ms, GError **error)
{
    if (!wait_unless_cancelled(is_greeted, qmp, deadline_ms, error) || !check_not_broken(qmp, error))
        return false;
    g_autoptr(JsonValue) answer = qmp_execute(qmp, "qmp_capabilities", NULL, deadline_ms, error);
    return answer != NULL;
}

/* QEMU reads its monitor at once, so a command always fits the socket's buffer; if not, it hangs. */
static bool send_line(Qmp *qmp, char *line)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {.bytes = {0}};
    struct iovec part = {.iov_base = line, .iov_len = strlen(line)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    int fd = qmp->passed_fd;
    qmp->passed_fd = -1;
    if (fd >= 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        *header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)};
        memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    return sendmsg(qmp->fd, &message, MSG_NOSIGNAL) == (ssize_t)part.iov_len;
}

static bool send_message(Qmp *qmp, json_t *message, GError **error)
{
    char *text = json_dumps(message, JSON_COMPACT);
    g_autofree char *line = g_strconcat(text, "\r\n", NULL);
    free(text);
    return send_line(qmp, line) || qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "QEMU does not take commands.");
}

static bool send_command(Qmp *qmp, const char *command, json_t *arguments, GError **error)
{
    g_autoptr(JsonValue) message = json_pack("{s:s, s:I}", "execute", command, "id", ++qmp->last_id);
    if (arguments)
        json_object_set_new(message, "arguments", arguments);
    return check_not_broken(qmp, error) && send_message(qmp, message, error);
}

bool qmp_call(Qmp *qmp, const char *command, json_t *arguments, QmpDone done, void *user)
{
    if (qmp->call_id) {
        json_decref(arguments);
        return false;
    }
    if (!send_command(qmp, command, arguments, NULL))
        return false;
    qmp->call_id = qmp->last_id;
    qmp->call_done = done;
    qmp->call_user = user;
    return true;
}

static json_t *result_of(json_t *answer, const char *command, GError **error)
{
    json_t *result = json_object_get(answer, "return");
    if (result)
        return json_incref(result);
    const json_t *trouble = json_object_get(answer, "error");
    qwd_error_fail(error, QWD_ERROR_INTERNAL, "QEMU refused %s: %s", command,
                   json_get_text(trouble, "desc", "no reason"));
    return NULL;
}

json_t *qmp_execute(Qmp *qmp, const char *command, json_t *arguments, int deadline_ms, GError **error)
{
    g_clear_pointer(&qmp->answer, json_decref);
    if (!send_command(qmp, command, arguments, error))
        return NULL;
    qmp->awaited_id = qmp->last_id;
    if (!wait_unless_cancelled(is_answered, qmp, deadline_ms, error)) {
        g_prefix_error(error, N_("QEMU does not answer to %s. "), command);
        return NULL;
    }
    if (!qmp->answer) {
        check_not_broken(qmp, error);
        return NULL;
    }
    return result_of(qmp->answer, command, error);
}

bool qmp_add_fd(Qmp *qmp, int fd, int set, int deadline_ms, GError **error)
{
    qmp->passed_fd = fd;
    g_autoptr(JsonValue) answer = qmp_execute(qmp, "add-fd", json_pack("{s:i}", "fdset-id", set), deadline_ms, error);
    return answer != NULL;
}
