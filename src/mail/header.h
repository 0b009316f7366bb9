/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The header fields of a mail (RFC 5322). Whatever text goes in, exactly one field comes out. */
#pragma once

#include <glib.h>

/* "Subject: text". What is not short and plain becomes encoded words (RFC 2047), folded into lines of at most 76
 * characters; control characters become spaces before. Free with g_free. */
char *mail_header_text(const char *name, const char *text);

/* "From: Display Name <address>", the name encoded as above when needed, absent when it is "". The address must be
 * valid (auth/email.h). Free with g_free. */
char *mail_header_mailbox(const char *name, const char *display_name, const char *address);

/* "Date: Sat, 21 Nov 2026 21:13:34 +0000", in the time zone of `time`. Free with g_free. */
char *mail_header_date(GDateTime *time);

/* "Message-ID: <32 random digits@domain of the address>". Free with g_free. */
char *mail_header_id(const char *address);

/* Text with the line ends of mail: each LF, CR LF or CR becomes CR LF. Free with g_free. */
char *mail_body_lines(const char *text);
