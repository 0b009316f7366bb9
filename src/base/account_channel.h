/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Messages and output of the child that works as the service account for root (base/account.h). Root trusts neither: a
 * message is bounded, and a terminal gets no control characters. */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct AccountChannel AccountChannel;

typedef enum { ACCOUNT_QUESTION = 'Q', ACCOUNT_PROGRESS = 'P', ACCOUNT_RESULT = 'R', ACCOUNT_ERROR = 'E' } AccountKind;

typedef struct {
    AccountKind kind;
    int number;       /* the default of a question, a percentage, the kind of an error */
    const char *text; /* borrowed from the channel until the next message */
} AccountMessage;

/* The descriptor stays the caller's. */
AccountChannel *account_channel_new(int fd);
void account_channel_free(AccountChannel *channel);
int account_channel_fd(const AccountChannel *channel);

/* The child's side. A channel that is closed answers "no". */
bool account_channel_ask(AccountChannel *channel, const char *question, bool otherwise);
void account_channel_report(AccountChannel *channel, int percent);

/* The last message: the result, or the error when it is NULL. */
void account_channel_end(AccountChannel *channel, const char *result, const GError *error);

/* Root's side. False when the channel is closed, or broken. */
bool account_channel_receive(AccountChannel *channel, AccountMessage *message);
void account_channel_answer(AccountChannel *channel, bool answer);

/* Whether the last message was a result or an error. */
bool account_channel_has_result(const AccountChannel *channel);

/* The result (g_free); NULL with the error; NULL without one when neither has come. */
char *account_channel_result(AccountChannel *channel, GError **error);

/* Writes output of the child to standard output (1) or standard error (2), byte for byte unless that is a terminal:
 * there whole lines without control characters, but for colours. Errors are those of the stream. */
bool account_output_write(int fd, const char *bytes, size_t length, GError **error);

/* Writes lines that have no end yet. */
void account_output_end(void);
