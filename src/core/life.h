/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The times of a session's life, as pure functions: what is due now, and when to look again.
 *
 * Two clocks. The end of the life-time is a time of day that its user has been told: it is kept by the wall clock, so a
 * clock that is set moves it along, in both directions, and a host that slept past it ends the session when it wakes.
 * How long nobody has used a session is a length of time: it is measured by the monotonic clock, which is never set
 * and stands still while the host sleeps, so that nobody's session is idle because of a clock. */
#pragma once

#include "core/session.h"
#include "core/settings.h"

typedef enum {
    LIFE_NOTHING,
    LIFE_WARN_END,  /* its user is to be told that the life-time is over soon */
    LIFE_WARN_IDLE, /* nobody uses it: the grace begins, and its user is to be told */
    LIFE_USED,      /* somebody does again: the grace is over */
    LIFE_END_UNUSED,
    LIFE_END_LEFT, /* a one-shot session, whose viewer has not come back */
    LIFE_END_IDLE,
    LIFE_END_TIME,
} LifeEvent;

/* Seconds; 0 switches a rule off (a grace of 0: the end comes without a warning; of left_stop_s: at once). */
typedef struct {
    gint64 warning_s, unused_stop_s, idle_stop_s, idle_grace_s, left_stop_s;
} LifeRules;

LifeRules life_rules(const Settings *settings, const SessionRecord *session);

/* A moment on both clocks. */
typedef struct {
    gint64 wall_s, monotonic_ms;
} LifeMoment;

/* What is known of a running session. */
typedef struct {
    gint64 ends_at;      /* UTC seconds */
    gint64 warned_for;   /* the ends_at that its user has been warned of; 0 none */
    gint64 active_ms;    /* monotonic: when it became usable, or was last used; 0 not usable yet */
    gint64 grace_ms;     /* monotonic: when the grace of an idle session began; 0 it is not idle */
    gint64 left_ms;      /* monotonic: when the last viewer of a one-shot session left; 0 somebody is or may be there */
    bool has_had_viewer; /* in this life */
} LifeState;

typedef struct {
    LifeEvent due;       /* act on it, note it in the state, and ask again; an end is final */
    gint64 wall_s;       /* with LIFE_NOTHING, when to look again: on the one clock or the other, */
    gint64 monotonic_ms; /* whichever comes first; 0: not because of this clock */
} LifeNext;

LifeNext life_next(const LifeRules *rules, const LifeState *state, LifeMoment now);

/* When an idle or unused session ends unless somebody uses it, monotonic; 0 when it does not (as it looks now). */
gint64 life_idle_end_ms(const LifeRules *rules, const LifeState *state);
gint64 life_unused_end_ms(const LifeRules *rules, const LifeState *state);

/* When this life of the session began, or was let begin: not when it was put into the queue. */
gint64 life_begun_at(const SessionRecord *session);

/* From when on its user is warned of the end, UTC seconds; 0 never. A short life has a short warning: a quarter. */
gint64 life_warns_at(const Settings *settings, const SessionRecord *session);

/* What somebody asks for who extends a session. */
typedef struct {
    gint64 seconds; /* 0: as much as the settings say */
    bool by_admin;  /* no limit holds */
    gint64 now;     /* UTC seconds */
} LifeExtension;

/* Whether users may extend this session at all, as far as settings and its past go. The error says why not. */
bool life_may_extend(const Settings *settings, const SessionRecord *session, GError **error);

/* How much a press of Extend adds, at most; by an administrator where users may not extend. */
gint64 life_extension_s(const Settings *settings);

/* How much a press of Extend adds now, `extension` saying by whom and when: less where the longest life-time is near; 0
 * when nothing is to be gained. Whether they may at all, life_may_extend says. */
gint64 life_extension_gain_s(const Settings *settings, const SessionRecord *session, const LifeExtension *extension);

/* Moves the end. QWD_ERROR_DENIED, QWD_ERROR_USAGE or QWD_ERROR_CONFLICT say why not, and what to do. */
bool life_extend(const Settings *settings, SessionRecord *session, const LifeExtension *extension, GError **error);
