/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "fetch/transfer.h"

#include <string.h>

#include "base/error.h"
#include "base/units.h"

/* So much of what is there is asked for once more, and compared. */
#define OVERLAP_BYTES 65536
#define FRUITLESS_MAX 3 /* attempts in a row that brought nothing */
#define MIB (1024 * 1024)

typedef struct {
    const TransferOptions *options;
    Part *part;
    gint64 at;    /* where the next bytes belong */
    gint64 total; /* -1 unknown */
    bool differs; /* what came is not what is there: begin anew */
} Transfer;

static bool check_room(const Transfer *transfer, GError **error)
{
    gint64 free_bytes = part_free_bytes(transfer->part) - transfer->options->reserve_bytes;
    gint64 missing = transfer->total < 0 ? MIB : transfer->total - transfer->at;
    g_autofree char *missing_text = units_format_size(MAX(missing / MIB, 1));
    g_autofree char *free_text = units_format_size(MAX(free_bytes, 0) / MIB);
    return missing <= free_bytes ||
           qwd_error_fail(error, QWD_ERROR_LIMIT, "The disk has too little room: %s are missing, %s may be used.",
                          missing_text, free_text);
}

/* A strong ETag names the very bytes; a date is the next best. */
static const char *validator_of(const WebResponse *response)
{
    return *response->etag ? response->etag : response->modified_at;
}

static bool transfer_begin(const WebResponse *response, void *data, GError **error)
{
    Transfer *transfer = data;
    bool goes_on = response->is_partial && response->begin == transfer->at;
    if (response->is_partial && !goes_on)
        return qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "The server sends another part than it was asked for.");
    if (!goes_on && !part_restart(transfer->part, error))
        return false;
    transfer->at = goes_on ? transfer->at : 0;
    transfer->total = response->total;
    return check_room(transfer, error) && part_set_validator(transfer->part, validator_of(response), error);
}

/* Of what is there already, nothing is written again: it only has to agree. */
static size_t compare(Transfer *transfer, const char *bytes, size_t length)
{
    gint64 known = transfer->part->size - transfer->at;
    size_t overlap = known > 0 ? MIN((size_t)known, length) : 0;
    transfer->differs = overlap && !part_has(transfer->part, transfer->at, bytes, overlap);
    return overlap;
}

static bool transfer_take(const char *bytes, size_t length, void *data, GError **error)
{
    Transfer *transfer = data;
    size_t overlap = compare(transfer, bytes, length);
    if (transfer->differs)
        return qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "The file on the server is another one now.");
    bool crosses_mib = transfer->at / MIB != (transfer->at + (gint64)length) / MIB;
    if ((crosses_mib && transfer->total < 0 && !check_room(transfer, error)) ||
        !part_append(transfer->part, bytes + overlap, length - overlap, error))
        return false;
    transfer->at += (gint64)length;
    if (transfer->options->progress)
        transfer->options->progress(transfer->part->size, transfer->total, transfer->options->data);
    return true;
}

static bool is_whole(const Transfer *transfer, GError **error)
{
    return transfer->total < 0 || transfer->part->size == transfer->total ||
           qwd_error_fail(error, QWD_ERROR_UNAVAILABLE,
                          "%s: the server has sent %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT " bytes.",
                          transfer->options->url, transfer->part->size, transfer->total);
}

static bool attempt(Transfer *transfer, GError **error)
{
    bool can_go_on = *transfer->part->validator && transfer->part->size > 0;
    transfer->at = can_go_on ? MAX(transfer->part->size - OVERLAP_BYTES, 0) : 0;
    transfer->total = -1;
    transfer->differs = false;
    if (transfer->at == 0 && !part_restart(transfer->part, error))
        return false;
    WebRequest request = {transfer->options->url, transfer->at, transfer->part->validator};
    WebSink sink = {transfer_begin, transfer_take, transfer};
    g_autoptr(GError) cause = NULL;
    if (web_get(transfer->options->web, &request, &sink, &cause))
        return is_whole(transfer, error);
    transfer->differs = transfer->differs || g_error_matches(cause, QWD_ERROR, QWD_ERROR_CONFLICT);
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

/* Whether it is worth trying once more: as often as the last attempt has brought something, else a few times. */
static bool may_try_again(const Transfer *transfer, const GError *cause, gint64 *best, int *fruitless)
{
    bool has_gained = transfer->part->size > *best && !transfer->differs;
    bool is_broken = transfer->differs || g_error_matches(cause, QWD_ERROR, QWD_ERROR_UNAVAILABLE);
    *best = transfer->differs ? 0 : MAX(transfer->part->size, *best);
    *fruitless = has_gained ? 0 : *fruitless + 1;
    return is_broken && *best + transfer->differs > 0 && *fruitless < FRUITLESS_MAX;
}

bool transfer_run(const TransferOptions *options, Part *part, GError **error)
{
    Transfer transfer = {.options = options, .part = part};
    gint64 best = part->size;
    int fruitless = 0;
    for (;;) {
        g_autoptr(GError) cause = NULL;
        if (attempt(&transfer, &cause))
            return true;
        if (!may_try_again(&transfer, cause, &best, &fruitless)) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return false;
        }
        if (transfer.differs && !part_restart(part, error))
            return false;
    }
}
