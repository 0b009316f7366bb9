/* SPDX-License-Identifier: AGPL-3.0-or-later
 * An image in the making: NAME.part beside the place it will have, with a note NAME.part.json that says of what it is
 * a part. It takes its name when it is whole and on the disk, so nothing unfinished ever looks like a machine. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define PART_SUFFIX ".part"
#define PART_NOTE_SUFFIX ".part.json"

typedef struct {
    int fd;          /* locked: one process at a time */
    char *path;      /* NAME.part */
    char *note_path; /* NAME.part.json */
    char *target;    /* NAME */
    char *url;
    char *validator; /* ETag or date of what is there; "" it cannot be gone on with */
    gint64 size;     /* bytes that are there */
} Part;

#define PART_INIT                                                                                                      \
    {                                                                                                                  \
        .fd = -1                                                                                                       \
    }

/* Opens or makes the part of `target`. What is there of another address is dropped. QWD_ERROR_CONFLICT when another
 * process is at it. */
bool part_open(Part *part, const char *target, const char *url, GError **error);

/* Drops what is there. */
bool part_restart(Part *part, GError **error);

/* Notes of what it is a part, for the next attempt. */
bool part_set_validator(Part *part, const char *validator, GError **error);

/* Adds to the end. */
bool part_append(Part *part, const char *bytes, size_t length, GError **error);

/* Whether these bytes are the ones that are there from `offset` on. */
bool part_has(const Part *part, gint64 offset, const char *bytes, size_t length);

/* Free room on its disk, in bytes. */
gint64 part_free_bytes(const Part *part);

/* Makes the whole image readable for all, and waits until it is safely on the disk. */
bool part_save(Part *part, GError **error);

/* Puts the image, which has been saved, in its place. */
bool part_finish(Part *part, GError **error);

/* Removes part and note. */
void part_discard(Part *part);

/* Closes; part and note stay for the next attempt, unless nothing is there. */
void part_clear(Part *part);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Part, part_clear)
