/* SPDX-License-Identifier: AGPL-3.0-or-later
 * QEMU Machine Protocol client (QEMU docs/interop/qmp-spec) over a connected socket, on the default main
 * context: events come as callbacks, commands wait for their answer with a deadline. */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

typedef struct Qmp Qmp;

/* An event of QEMU; `data` is borrowed and may be NULL. */
typedef void (*QmpEvent)(const char *name, const json_t *data, void *user);

/* Takes the descriptor. */
Qmp *qmp_new(int fd, QmpEvent on_event, void *user);
void qmp_free(Qmp *qmp);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qmp, qmp_free)

/* Waits for QEMU's greeting and enables commands. */
bool qmp_negotiate(Qmp *qmp, int deadline_ms, GError **error);

/* Sends a command (`arguments` is stolen, may be NULL) and waits for its answer: a new reference to what
 * it returned. NULL: QEMU refused (QWD_ERROR_INTERNAL with its words), did not answer (QWD_ERROR_TIMEOUT),
 * sent what is not QMP, or is gone (QWD_ERROR_UNAVAILABLE); or waits were given up (QWD_ERROR_CANCELLED). */
json_t *qmp_execute(Qmp *qmp, const char *command, json_t *arguments, int deadline_ms, GError **error);

/* Gives QEMU a copy of an open file, which it opens as /dev/fdset/SET then; its command remove-fd gives it back. */
bool qmp_add_fd(Qmp *qmp, int fd, int set, int deadline_ms, GError **error);

/* What a command returned (borrowed); NULL: QEMU refused it. */
typedef void (*QmpDone)(const json_t *result, void *user);

/* Sends a command (`arguments` is stolen, may be NULL) that nobody waits for; `done` is called from the main context
 * when QEMU has answered, which may be never. There is one such command at a time: false when QEMU has not answered the
 * last one, or is gone. */
bool qmp_call(Qmp *qmp, const char *command, json_t *arguments, QmpDone done, void *user);
