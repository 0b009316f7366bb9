/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The supervisor of one session: parent of its processes, keeper of its display, writer of its record.
 * It runs the start steps, then serves events until something ends the session, then undoes the steps. */
#pragma once

#include "base/bounded_log.h"
#include "core/session.h"
#include "core/settings.h"
#include "display/gate.h"
#include "session/times.h"
#include "vm/accelerator.h"
#include "vm/image.h"
#include "vm/network.h"
#include "vm/qemu.h"
#include "vm/qmp.h"

/* A child process and what became of it. */
typedef struct {
    ProcessId id;
    guint watch;
    bool running;
    int status; /* waitpid(2), once it is not running any more */
} Child;

typedef struct Supervisor {
    const Settings *settings;
    char *id;
    SessionRecord *session; /* as last read or written */
    char *folder, *run_folder, *display_folder;

    /* How it ends; decided once. */
    bool ending;
    SessionState end_state;
    char *end_reason;

    /* What the start steps made. */
    ImageInfo image;
    char *disk_path, *cdrom_path, *firmware_vars;
    const char *firmware_code;
    Accelerator accelerator;
    Network network;
    char *folder_note;   /* what the user should know of the personal folder; NULL: nothing */
    GArray *folder_fds;  /* int, of session->folders, until QEMU has them */
    int script_fd;       /* QEMU's end of the port for boot scripts, until QEMU has it; -1: none */
    char *seed_path;     /* of cloud-init */
    char **qemu_options; /* further ones */
    struct ScriptRun *script_run;
    bool is_saving;
    guint save_timer, save_end;
    GError *save_error;
    char *save_note;    /* what whoever asked should know; NULL: nothing */
    bool save_is_based; /* on the machine's image, not standing alone */
    Child qemu;
    BoundedLog *qemu_log, *serial_log;
    Qmp *qmp;
    bool machine_is_up; /* from now on its end is the session's */
    bool guest_powered_off;
    Gate *gate;
    GPtrArray *tokens; /* char *, those of the gate */
    guint websockify_watch, record_watch;
    Times times;
    bool websockify_failing; /* told in the log already */

    /* picture.c */
    guint picture_watch, picture_timer;
    gint64 picture_us; /* monotonic: when QEMU was last asked; 0 never */

    /* trouble.c */
    bool stands_still; /* QEMU has stopped the machine, whose disk could not be written */
    guint disk_retry;
} Supervisor;

/* Decides that the session ends: the first caller's word holds. Takes nothing. */
void supervisor_end(Supervisor *supervisor, SessionState state, const char *reason);

/* Changes the record on disk and takes the new one over. */
typedef void (*SupervisorChange)(SessionRecord *session, const void *data);
bool supervisor_change(Supervisor *supervisor, SupervisorChange change, const void *data, GError **error);

/* Takes over `session` (stolen), as it is on disk now; but its plan, which never changes: a step that serves events
 * meanwhile goes on with the one it has begun with. */
void supervisor_take_record(Supervisor *supervisor, SessionRecord *session);

/* Frees what it is known by; what runs has been undone before. */
void supervisor_clear(Supervisor *supervisor);

/* run.c: runs the session `id` to its end. False only when there is no such session. */
bool supervisor_run(const Settings *settings, const char *id, GError **error);

/* A start step: what it is called on the page, how it is done, how it is undone. A step that failed half-way
 * is undone as well, so `undo` must accept what `start` left. */
typedef struct {
    const char *name;
    bool (*start)(Supervisor *supervisor, GError **error);
    void (*undo)(Supervisor *supervisor); /* may be NULL */
} Step;

extern const Step supervisor_steps[];
extern const size_t supervisor_step_count;

/* The QEMU program for the session's machine. Borrowed. */
const char *supervisor_program(const Supervisor *supervisor);

/* confine.c: the command line that starts QEMU so that whoever takes it over has this session alone. Free with
 * g_strfreev. */
char **supervisor_confine(const Supervisor *supervisor, const QemuSpec *spec, char **qemu_argv);

/* steps of machine.c and display.c */
bool machine_start(Supervisor *supervisor, GError **error);
void machine_stop(Supervisor *supervisor);
bool display_start(Supervisor *supervisor, GError **error);
void display_stop(Supervisor *supervisor);

/* trouble.c: an event of QEMU that tells of trouble; others are none of its business. */
void trouble_on_event(Supervisor *supervisor, const char *name, const json_t *data);
void trouble_clear(Supervisor *supervisor);

/* The network has ended by itself. `data` is the supervisor. */
void trouble_on_network_end(void *data, const char *reason);

/* What the session's note is when nothing is wrong at the moment. Borrowed; "" when there is nothing to say. */
const char *trouble_lasting_note(const Supervisor *supervisor);

/* step of folder.c */
bool host_folders_open(Supervisor *supervisor, GError **error);
void host_folders_close(Supervisor *supervisor);

/* step of script.c */
bool script_start(Supervisor *supervisor, GError **error);
void script_stop(Supervisor *supervisor);

/* customize.c: puts into the session's disk what asks for its boot scripts, where its machine wants them that way. */
bool script_customize(Supervisor *supervisor, GError **error);

/* Has the boot scripts run inside the machine while everything else goes on; returns when they have ended, their time
 * is over, or the session ends. */
void script_run(Supervisor *supervisor);

/* Begins to make a machine of the session when the record asks for it; goes on with QEMU's events; gives it up. */
void save_follow_record(Supervisor *supervisor);
void save_on_event(Supervisor *supervisor, const char *name, const json_t *data);
void save_stop(Supervisor *supervisor);

/* picture.c: pictures of the screen for those who ask (core/picture.h), from when the machine is up until it stops. */
void picture_start(Supervisor *supervisor);
void picture_stop(Supervisor *supervisor);

/* Opens the links that others have added to the record, closes those they have removed and those whose time is over. */
void display_follow_record(Supervisor *supervisor);
