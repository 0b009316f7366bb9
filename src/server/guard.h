/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Clients that send a byte now and then, and never a whole request. libmicrohttpd closes a connection that is silent;
 * this closes one whose request takes too long. */
#pragma once

#include <glib.h>

typedef struct Guard Guard;

/* What is known of one connection. */
typedef struct GuardEntry GuardEntry;

/* Has a thread of its own, until guard_free(), which needs all entries gone. */
Guard *guard_new(int deadline_ms);
void guard_free(Guard *guard);

/* A new connection; its time begins. The socket must stay open until guard_remove(). */
GuardEntry *guard_add(Guard *guard, int fd);
void guard_remove(Guard *guard, GuardEntry *entry);

/* The time begins anew; the request is complete, and there is no more hurry. */
void guard_arm(Guard *guard, GuardEntry *entry);
void guard_disarm(Guard *guard, GuardEntry *entry);
