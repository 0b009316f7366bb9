/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "ctl/commands.h"

const Command commands[] = {
    {"start", "VM [--gpu] [--key=value ...]",
     "Start a machine by hand: the name of an image in dir_machines, or a path. Prints the address of its display. "
     "Such a session ends when its first viewer leaves.",
     1, 1, command_start, true, "qwdctl start debian.qcow2\nqwdctl start ./new.iso --snapshot_alloc_mem=8G"},
    {"stop", "[ID|PID|TOKEN] [--all] [--yes]",
     "End a session, or all of them (--all), and wait until nothing of them is left. The first 8 digits of ID are "
     "enough. Before it ends all, it asks; --yes: does not ask.",
     0, 1, command_stop, true, "qwdctl stop 0a1b2c3d\nqwdctl stop --all"},
    {"extend", "ID [DURATION]",
     "Move the end of a session by a time such as 8h or 4d, beyond the limits that hold for its user. Without one: by "
     "session_extension. The first 8 digits of ID are enough.",
     1, 2, command_extend, true, "qwdctl extend 0a1b2c3d 8h"},
    {"save", "ID NAME [DESCRIPTION] [--standalone] [--image-only]",
     "Make a machine of a session's disk while it runs, or of one that was kept: an image NAME in dir_machines and its "
     "entry in config.d. The image stands on that of the session's machine, or alone. --image-only writes no entry. "
     "The first 8 digits of ID are enough.",
     2, 3, command_save, false, "qwdctl save 0a1b2c3d lab.qcow2 'Lab with its tools'"},
    {"status", "[--json]",
     "List the sessions, what they run with, and the machines: enabled, disabled, missing (an entry without its image) "
     "or "
     "orphan (an image without an entry).",
     0, 0, command_status, true, "qwdctl status --json"},
    {"enable", "VM|FILE|URL [DESCRIPTION] [--sha256=SUM|URL]",
     "Put a machine on offer: an image in dir_machines, a file that is copied there, or an address that it is "
     "downloaded "
     "from. The checksum, or a list of checksums at an address, is compared then and with every later download. An "
     "entry "
     "that was disabled is enabled again; a new one is written to config.d/VM.ini.",
     1, 2, command_enable, false,
     "qwdctl enable https://example.org/lab.qcow2 'The lab' --sha256=https://example.org/SHA256SUMS"},
    {"disable", "VM", "Take a machine off offer: its entry is commented out, its image stays.", 1, 1, command_disable,
     false, "qwdctl disable lab.qcow2"},
    {"download", "[VM...]",
     "Get images from the url of their entries, an address or a file that is copied: those that are named, else those "
     "of "
     "enabled machines that are not there. A download that broke off goes on where it stopped. One that others are "
     "based on or run on is not replaced. Also called update.",
     0, 1000, command_download, false, "qwdctl download lab.qcow2"},
    {"edit", "[machines|groups|config|web|VM]",
     "Edit the list of machines, what groups may choose, the settings, the page's template, or the file with a "
     "machine's entry, with $VISUAL "
     "or "
     "$EDITOR. What is not accepted is not put in place, and not lost.",
     0, 1, command_edit, false, "qwdctl edit config"},
    {"purge", "[VM] [--yes] [--json]",
     "Remove files that nobody needs: images without an entry, downloads that broke off, what is left of "
     "sessions; or the image of one disabled machine. Lists them and asks first.",
     0, 1, command_purge, true, "qwdctl purge\nqwdctl purge lab.qcow2 --yes"},
    {"config", "get KEY|list|check [--json]",
     "Show a setting, or all of them, or check them: whether they are accepted, and what is unwise.", 1, 2,
     command_config, false, "qwdctl config get dir_machines\nqwdctl config check"},
    {"doctor", "[--json]",
     "Look for what is missing or unwise on this server, and say how to mend it. Fails when something is broken.", 0, 0,
     command_doctor, false, "qwdctl doctor"},
    {"clean", "",
     "Sweep up what a killed supervisor, a reboot or a full disk has left. Says what it did; silent when there was "
     "nothing.",
     0, 0, command_clean, true, "qwdctl clean"},
    {"log", "[ID]",
     "Show the end of the service's log; or all that is known of a session: its lines there, and the logs of its "
     "supervisor, of QEMU, and of the guest's serial console. Also after its end, for as long as session_log_keep "
     "says. "
     "The first 8 digits of ID are enough.",
     0, 1, command_log, true, "qwdctl log\nqwdctl log 0a1b2c3d"},
    {"metrics", "",
     "Show figures of the service in Prometheus' text format. Programs read the same with ?metrics=1 and the token of "
     "metrics_token_file.",
     0, 0, command_metrics, true, "qwdctl metrics"},
    {"backoff", "[clear [NAME]] [--json]",
     "Show who is slowed down after failed logins, or forget an address, a user, or all.", 0, 2, command_backoff, true,
     "qwdctl backoff\nqwdctl backoff clear alice"},
    {"totp", "reset USER", "Forget a user's authenticator app; the next login sets one up.", 2, 2, command_totp, true,
     "qwdctl totp reset alice"},
    {"refresh", "", "Make the page with the form anew, from its template and the machines on offer.", 0, 0,
     command_refresh, false, "qwdctl refresh"},
    {"gpu", "[VENDOR:MODEL] [--json] [--yes] [--force]",
     "List the server's GPUs, and which sessions have them. With a model: prepare the server to give cards of it to "
     "sessions. Shows the changes and asks first (--yes: does not ask; --force: also over files that were changed by "
     "hand).",
     0, 1, command_gpu, false, "qwdctl gpu\nqwdctl gpu 10de:1e84"},
    {"gpu-unlock", "[--yes] [--force]",
     "Undo what `qwdctl gpu VENDOR:MODEL` has changed: every file is as it was before.", 0, 0, command_gpu_unlock,
     false, "qwdctl gpu-unlock"},
    {"docs", "sample|reference|attributes|man-qwdctl|man-settings|completion",
     "Write a document that is made from the program's own tables.", 1, 1, command_docs, false,
     "qwdctl docs man-qwdctl"},
    {"names", "machines|sessions", "Write all names, one on each line: for scripts and completion.", 1, 1,
     command_names, true, "qwdctl names machines"},
    {"help", "[COMMAND|settings]", "Show this help, that of one command, or all settings.", 0, 1, command_help, false,
     "qwdctl help stop"},
    {"version", "", "Show the version.", 0, 0, command_version, false, "qwdctl version"},
    {0},
};

const CommandOption command_options[] = {
    {"--json", "Standard output is one JSON value, also of an error."},
    {"--help, -h", "Show this help."},
    {"--all", "All sessions, of all users."},
    {"--yes", "Do not ask."},
    {"--standalone", "The image stands alone, whatever the session's machine stands on."},
    {"--image-only", "Write no entry."},
    {"--sha256", "The checksum of the image, or the address of a list of checksums."},
    {"--gpu", "With a GPU."},
    {"--force", "Also over files that were changed by hand."},
    {0},
};
