/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Client of QEMU's guest agent (QEMU docs/interop/qemu-ga) over the session's socket. The agent runs inside the guest
 * and what it says is the guest's word. It answers nothing before it runs, so a client waits for agent_is_ready(). */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

typedef struct Agent Agent;

/* Connects and asks for a sign of life (guest-sync-delimited), which comes whenever the guest has booted so far. Only
 * one client is served at a time. QWD_ERROR_INTERNAL when there is no socket. */
Agent *agent_new(const char *path, GError **error);

/* Free it only when every command has been answered: Debian's agent is kept busy by an answer that nobody reads. */
void agent_free(Agent *agent);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Agent, agent_free)

/* Whether the agent has answered to us. */
bool agent_is_ready(const Agent *agent);

/* Sends a command (`arguments` is stolen, may be NULL) and waits for its answer: a new reference to what it returned.
 * NULL: the agent refused (QWD_ERROR_DENIED with its words), did not answer (QWD_ERROR_TIMEOUT), talks nonsense
 * (QWD_ERROR_UNAVAILABLE), or waits were given up (QWD_ERROR_CANCELLED). */
json_t *agent_execute(Agent *agent, const char *command, json_t *arguments, int deadline_ms, GError **error);
