/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The download of one image into its part. A connection that breaks is taken up again where it broke, as long as the
 * server says that it is still the same file and its last bytes agree with what is there. */
#pragma once

#include "fetch/part.h"
#include "fetch/web.h"

typedef struct {
    const WebOptions *web;
    const char *url;
    gint64 reserve_bytes;                                    /* room on the disk that must stay free */
    void (*progress)(gint64 done, gint64 total, void *data); /* total -1: unknown */
    void *data;
} TransferOptions;

/* Until all of it is in the part. QWD_ERROR_LIMIT when the disk has too little room; otherwise as web_get. */
bool transfer_run(const TransferOptions *options, Part *part, GError **error);
