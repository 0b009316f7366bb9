/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once

/* Answers the one request of this CGI process on standard output. Returns the exit code. */
int cgi_answer(int argc, char **argv);

/* The same program as a command: --machine=..., --session_stop=ID, --service_purge=1, --service_monitor=1, --KEY. */
int cgi_command(int argc, char **argv);
