/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The one viewer of vnc-probe, and what its options do. */
#pragma once

#include <glib.h>
#include <rfb/rfbclient.h>
#include <stdbool.h>

#include "base/json.h"

enum { EXIT_SEEN = 0, EXIT_NOT_SEEN = 1, EXIT_USAGE = 2, EXIT_NO_CONNECTION = 3 };

typedef struct {
    rfbClient *client;
    gint64 start_us;   /* of the connection */
    gint64 full_us;    /* of the first full picture; 0: not yet */
    gint64 changed_us; /* of the last update that changed the picture */
    guint64 area;      /* of the updates so far, until the first full picture */
    guint64 picture;   /* hash of the picture */
    guint64 updates, pixels;
    char *cut_text; /* the server's last one */
    bool closed;
    int deadline_ms; /* of the action at work */
} Probe;

extern Probe probe;

/* Milliseconds since a monotonic time in microseconds. */
gint64 since_ms(gint64 start_us);

/* Handles messages until there is none, waiting at most `ms` for the first; notes when the server has closed. */
void serve(gint64 ms);

typedef bool (*Seen)(const void *what);

/* Until it is seen, the server closes, or the deadline of the action. */
bool wait_for(Seen seen, const void *what);

/* Prints a line of JSON with `more` (taken, or NULL) in it; returns ok. */
bool say(const char *action, bool ok, json_t *more);

/* The actions: each returns whether it saw what it should. `value` is the option's. */
bool do_wait_frame(const char *value);
bool do_name(const char *value);
bool do_hash(const char *value);
bool do_png(const char *path);
bool do_type(const char *value);
bool do_key(const char *value);
bool do_click(const char *value);
bool do_cut_text(const char *value);
bool do_wait_cut_text(const char *value);
bool do_resize(const char *value);
bool do_wait_size(const char *value);
bool do_wait_change(const char *value);
bool do_wait_still(const char *value);
bool do_wait_color(const char *value);
bool do_expect_close(const char *value);
bool do_hold(const char *value);
