/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "ctl/commands.h"

const Command commands[] = {
    {"start", "VM [--gpu] [--key=value ...]",
     "Start a machine by hand: the name of an image in dir_machines, or a path. Prints the address of its display. "
     "Such a session ends when its first viewer leaves.",
     1, 1, command_start},
    {"stop", "[ID|PID|TOKEN]", "End a session, or all of them, and wait until nothing of them is left.", 0, 1,
     command_stop},
    {"extend", "ID [DURATION]",
     "Move the end of a session by a time such as 8h or 4d, beyond the limits that hold for its user. Without one: by "
     "session_extension.",
     1, 2, command_extend},
    {"status", "[--json]", "List the sessions, and what they run with.", 0, 0, command_status},
    {"clean", "",
     "Sweep up what a killed supervisor, a reboot or a full disk has left. Says what it did; silent when there was "
     "nothing.",
     0, 0, command_clean},
    {"log", "[ID]",
     "Show the end of the service's log; or all that is known of a session: its lines there, and the logs of its "
     "supervisor, of QEMU, and of the guest's serial console. Also after its end, for as long as session_log_keep "
     "says. "
     "The first 8 digits of ID are enough.",
     0, 1, command_log},
    {"metrics", "", "Show figures of the service in Prometheus' text format.", 0, 0, command_metrics},
    {"backoff", "[clear [NAME]]", "Show who is slowed down after failed logins, or forget an address, a user, or all.",
     0, 2, command_backoff},
    {"totp", "reset USER", "Forget a user's authenticator app; the next login sets one up.", 2, 2, command_totp},
    {"refresh", "", "Make the page with the form anew, from its template and the machines on offer.", 0, 0,
     command_refresh},
    {"gpu", "[VENDOR:MODEL] [--json] [--yes] [--force]",
     "List the server's GPUs, and which sessions have them. With a model: prepare the server to give cards of it to "
     "sessions. Shows the changes and asks first (--yes: does not ask; --force: also over files that were changed by "
     "hand).",
     0, 1, command_gpu},
    {"gpu-unlock", "[--yes] [--force]",
     "Undo what `qwdctl gpu VENDOR:MODEL` has changed: every file is as it was before.", 0, 0, command_gpu_unlock},
    {"docs", "sample|reference|attributes|man-qwdctl|man-settings|completion",
     "Write a document that is made from the program's own tables.", 1, 1, command_docs},
    {"help", "[settings]", "Show this help, or all settings.", 0, 1, command_help},
    {"version", "", "Show the version.", 0, 0, command_version},
    {0},
};
