/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/account_channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/text.h"

#define MESSAGE_MAX_BYTES (16 * 1024 * 1024)
#define LINE_MAX_BYTES 65536

struct AccountChannel {
    int fd;
    GString *text; /* of the last message */
    AccountKind kind;
    int number;
};

typedef struct {
    gint32 kind, number;
    guint32 length;
} Head;

AccountChannel *account_channel_new(int fd)
{
    AccountChannel *channel = g_new0(AccountChannel, 1);
    channel->fd = fd;
    channel->text = g_string_new(NULL);
    return channel;
}

void account_channel_free(AccountChannel *channel)
{
    g_string_free(channel->text, TRUE);
    g_free(channel);
}

int account_channel_fd(const AccountChannel *channel)
{
    return channel->fd;
}

/* --- whole pieces --- */

static bool send_all(int fd, const void *bytes, size_t length)
{
    for (const char *at = bytes; length > 0;) {
        ssize_t n = send(fd, at, length, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        length -= (size_t)n;
    }
    return true;
}

static bool receive_all(int fd, void *bytes, size_t length)
{
    for (char *at = bytes; length > 0;) {
        ssize_t n = recv(fd, at, length, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        length -= (size_t)n;
    }
    return true;
}

static bool send_message(AccountChannel *channel, AccountKind kind, int number, const char *text)
{
    Head head = {.kind = (gint32)kind, .number = number, .length = (guint32)strlen(text)};
    return send_all(channel->fd, &head, sizeof head) && send_all(channel->fd, text, head.length);
}

/* --- the child's side --- */

bool account_channel_ask(AccountChannel *channel, const char *question, bool otherwise)
{
    char answer = 0;
    return send_message(channel, ACCOUNT_QUESTION, otherwise, question) && receive_all(channel->fd, &answer, 1) &&
           answer == 1;
}

void account_channel_report(AccountChannel *channel, int percent)
{
    send_message(channel, ACCOUNT_PROGRESS, percent, "");
}

void account_channel_end(AccountChannel *channel, const char *result, const GError *error)
{
    if (result) {
        send_message(channel, ACCOUNT_RESULT, 0, result);
        return;
    }
    int kind = error && error->domain == QWD_ERROR ? error->code : QWD_ERROR_INTERNAL;
    send_message(channel, ACCOUNT_ERROR, kind, error ? error->message : "");
}

/* --- root's side --- */

bool account_channel_receive(AccountChannel *channel, AccountMessage *message)
{
    Head head;
    if (!receive_all(channel->fd, &head, sizeof head) || head.length > MESSAGE_MAX_BYTES)
        return false;
    g_string_set_size(channel->text, head.length);
    if (!receive_all(channel->fd, channel->text->str, head.length) || strlen(channel->text->str) != head.length)
        return false;
    channel->kind = (AccountKind)head.kind;
    channel->number = head.number;
    *message = (AccountMessage){channel->kind, channel->number, channel->text->str};
    return true;
}

void account_channel_answer(AccountChannel *channel, bool answer)
{
    send_all(channel->fd, &(char){answer}, 1);
}

bool account_channel_has_result(const AccountChannel *channel)
{
    return channel->kind == ACCOUNT_RESULT || channel->kind == ACCOUNT_ERROR;
}

char *account_channel_result(AccountChannel *channel, GError **error)
{
    if (channel->kind == ACCOUNT_RESULT)
        return g_strdup(channel->text->str);
    if (channel->kind == ACCOUNT_ERROR) {
        int kind = CLAMP(channel->number, 0, QWD_ERROR_KINDS - 1);
        qwd_error_fail(error, (QwdErrorKind)kind, "%s", channel->text->str);
    }
    return NULL;
}

/* --- what is printed --- */

static GString *unfinished[3]; /* lines, by descriptor */

static bool write_output(int fd, const char *bytes, size_t length, GError **error)
{
    return fd_write_all(fd, bytes, length) || qwd_error_errno(error, errno, "Cannot write the output");
}

/* The length of the sequence that sets a colour (ECMA-48, SGR) at the beginning of a text; 0: there is none. */
static size_t colour_length(const char *text, size_t length)
{
    size_t at = 2;
    if (length < 3 || text[0] != '\033' || text[1] != '[')
        return 0;
    while (at < length && (g_ascii_isdigit(text[at]) || text[at] == ';'))
        at++;
    return at < length && text[at] == 'm' ? at + 1 : 0;
}

static char *text_with_colours(const char *text, size_t length)
{
    GString *shown = g_string_sized_new(length);
    for (size_t at = 0; at < length;) {
        size_t colour = colour_length(text + at, length - at), plain = colour ? 0 : 1;
        while (!colour && at + plain < length && text[at + plain] != '\033')
            plain++;
        g_autofree char *safe = plain ? text_for_terminal(text + at, plain) : g_strndup(text + at, colour);
        g_string_append(shown, safe);
        at += plain + colour;
    }
    return g_string_free(shown, FALSE);
}

static bool write_lines(int fd, size_t length, GError **error)
{
    g_autofree char *shown = text_with_colours(unfinished[fd]->str, length);
    g_string_erase(unfinished[fd], 0, (gssize)length);
    return write_output(fd, shown, strlen(shown), error);
}

bool account_output_write(int fd, const char *bytes, size_t length, GError **error)
{
    if (!isatty(fd))
        return write_output(fd, bytes, length, error);
    if (!unfinished[fd])
        unfinished[fd] = g_string_new(NULL);
    g_string_append_len(unfinished[fd], bytes, (gssize)length);
    const char *last = memrchr(unfinished[fd]->str, '\n', unfinished[fd]->len);
    if (last)
        return write_lines(fd, (size_t)(last - unfinished[fd]->str) + 1, error);
    return unfinished[fd]->len < LINE_MAX_BYTES || write_lines(fd, unfinished[fd]->len, error);
}

void account_output_end(void)
{
    for (int fd = 1; fd <= 2; fd++) {
        if (unfinished[fd] && unfinished[fd]->len)
            write_lines(fd, unfinished[fd]->len, NULL);
    }
}
