/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The counts of wrong attempts to log in, each in a file of its own below dir_login. What is counted, and what follows
 * from it: auth/backoff.h. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "core/settings.h"

#define KIND_ADDRESS "address"
#define KIND_USER "user"
#define KIND_USER_AT_ADDRESS "user at address"
#define KIND_BROWSER "browser"
#define KIND_PLACE "place" /* of a network in the queue for a user: not counted, but kept as the others are */

/* What an attempt is counted for. */
typedef struct {
    const char *kind;
    char *hash; /* tells it from all others */
    char *name, *address;
} Counter;

/* `key` tells it from others of its kind, and may hold anything. Takes `name` and `address` over. */
Counter counter_of(const char *kind, const char *key, char *name, char *address);

void counter_clear(Counter *counter);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Counter, counter_clear)

/* Where its entry is. Free with g_free. */
char *counter_path(const Settings *settings, const Counter *counter);

/* How many wrong attempts are free. */
gint64 counter_free_attempts(const Settings *settings, const char *kind);

/* One more wrong attempt. */
bool counter_add(const Settings *settings, const Counter *counter, GError **error);

void counter_forget(const Settings *settings, const Counter *counter);

/* Nothing is left of the attempt: not its time either, or logging in would slow down all behind one address. What is
 * counted for a user alone is forgotten. */
void counter_take_back(const Settings *settings, const Counter *counter);

/* --- entries --- */

typedef struct {
    char *kind;    /* "address", "user", "user at address" or "browser" (a user in a browser) */
    char *name;    /* of the user, or the address */
    char *address; /* "" for a user from everywhere */
    char *path;
    gint64 failures;
    gint64 last_at, before_at; /* UTC seconds: the last attempt, and the one before */
    gint64 due_at;             /* of a place in a queue: when it may be used; 0 of others */
    gint64 wait_s;             /* what is left to wait */
} BackoffEntry;

void backoff_entry_free(BackoffEntry *entry);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BackoffEntry, backoff_entry_free)

BackoffEntry *backoff_entry_new(const Counter *counter, const char *path);

/* NULL when there is none, or it is so old that it is forgotten. */
BackoffEntry *backoff_entry_read(const Settings *settings, const char *path);

bool backoff_entry_write(const BackoffEntry *entry, GError **error);

/* The pause after the last wrong attempt, in seconds. */
gint64 backoff_entry_pause(const Settings *settings, const BackoffEntry *entry);

/* --- all of them --- */

/* The lock of all entries, to be held around all functions of this file but the next one. Returns a descriptor to
 * close, -1 on error. */
int wrong_attempts_lock(const Settings *settings, GError **error);

/* Removes, once in a while, the entries that are forgotten. */
void wrong_attempts_prune(const Settings *settings);

/* Entries of type BackoffEntry, the one with the most attempts first: the counts, or the places. */
GPtrArray *wrong_attempts_list(const Settings *settings, bool want_places);
