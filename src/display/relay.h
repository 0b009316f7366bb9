/* SPDX-License-Identifier: AGPL-3.0-or-later
 * One viewer's connection joined to the VNC server's, served by the default main context. Either side may be slow,
 * shut down its half, or vanish; what was said before is still delivered as far as there is somebody to take it. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "display/rfb.h"

typedef struct Relay Relay;

typedef struct {
    void (*greeted)(void *data); /* the VNC server has begun to speak, so it has accepted us */
    void (*input)(void *data);   /* somebody typed, pointed or offered a clipboard */
    void (*ended)(void *data);   /* nothing goes through any more; called once, and may free the relay */
} RelayEvents;

/* Takes the viewer's connection, which is read from as soon as relay_join has brought the other one. `events` is
 * borrowed. Never NULL. */
Relay *relay_new(int client_fd, RfbRole role, const RelayEvents *events, void *data);

/* Takes the connection to the VNC server. */
void relay_join(Relay *relay, int server_fd);

/* A sentence for the log: what was wrong with what the viewer sent; NULL: nothing. Static storage. */
const char *relay_fault(const Relay *relay);

/* Closes both connections at once. Accepts NULL. */
void relay_free(Relay *relay);
