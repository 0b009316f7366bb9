/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "ctl/commands.h"

const Command commands[] = {
    {"start", "VM [--key=value ...]",
     "Start a machine by hand: the name of an image in dir_machines, or a path. Prints the address of its display. "
     "Such a session ends when its first viewer leaves.",
     1, 1, command_start},
    {"stop", "[ID|PID|TOKEN]", "End a session, or all of them, and wait until nothing of them is left.", 0, 1,
     command_stop},
    {"save", "ID NAME [DESCRIPTION] [--standalone] [--image-only]",
     "Make a machine of a session's disk while it runs, or of one that was kept: an image NAME in dir_machines and its "
     "entry in config.d. The image stands on that of the session's machine, or alone. --image-only writes no entry.",
     2, 3, command_save},
    {"status", "[--json]", "List the sessions, and what they run with.", 0, 0, command_status},
    {"clean", "",
     "Sweep up what a killed supervisor, a reboot or a full disk has left. Says what it did; silent when there was "
     "nothing.",
     0, 0, command_clean},
    {"backoff", "[clear [NAME]]", "Show who is slowed down after failed logins, or forget an address, a user, or all.",
     0, 2, command_backoff},
    {"totp", "reset USER", "Forget a user's authenticator app; the next login sets one up.", 2, 2, command_totp},
    {"refresh", "", "Make the page with the form anew, from its template and the machines on offer.", 0, 0,
     command_refresh},
    {"docs", "sample|reference|attributes|man-qwdctl|man-settings|completion",
     "Write a document that is made from the program's own tables.", 1, 1, command_docs},
    {"help", "[settings]", "Show this help, or all settings.", 0, 1, command_help},
    {"version", "", "Show the version.", 0, 0, command_version},
    {0},
};
