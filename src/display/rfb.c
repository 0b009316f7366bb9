/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "display/rfb.h"

#include <string.h>

#define VERSION_BYTES 12
#define SECURITY_NONE 1

/* Of a clipboard. QEMU itself ends a connection at 1 MB. */
#define CUT_TEXT_MAX (4 * 1024 * 1024)

/* The first four bytes behind the head of an extended clipboard message. By these actions a person offers something;
 * the others are noVNC's own answers. */
#define ACTION_AT 8
#define ACTION_BYTES 4
#define CLIPBOARD_CAPS (1u << 24)
#define CLIPBOARD_NOTIFY (1u << 27)
#define CLIPBOARD_PROVIDE (1u << 28)

/* What a message does to the desktop. */
typedef enum {
    CLASS_WATCH,     /* asks for pixels or sound */
    CLASS_CHANGE,    /* changes the machine, without being a sign of life */
    CLASS_INPUT,     /* somebody is at the keyboard */
    CLASS_CLIPBOARD, /* as input, depending on the action */
} MessageClass;

/* How many bytes follow the head: count * item, the count being big-endian in the head. */
typedef struct {
    const char *name;
    uint8_t prefix[4]; /* by which the message is known */
    uint8_t prefix_bytes;
    uint8_t head_bytes;
    uint8_t count_at;
    uint8_t count_bytes; /* 0: nothing follows */
    uint8_t item_bytes;
    uint32_t count_max;
    MessageClass class;
} Message;

/* RFC 6143 section 7.5; rfbproto "EnableContinuousUpdates", "ClientFence", "xvp Client Message", "SetDesktopSize",
 * "QEMU Client Message". QEMU 7.2 itself ends connections that send 150 or 248; they pass for other servers. */
static const Message messages[] = {
    {"SetPixelFormat", {0}, 1, 20, 0, 0, 0, 0, CLASS_WATCH},
    {"SetEncodings", {2}, 1, 4, 2, 2, 4, UINT16_MAX, CLASS_WATCH},
    {"FramebufferUpdateRequest", {3}, 1, 10, 0, 0, 0, 0, CLASS_WATCH},
    {"KeyEvent", {4}, 1, 8, 0, 0, 0, 0, CLASS_INPUT},
    {"PointerEvent", {5}, 1, 6, 0, 0, 0, 0, CLASS_INPUT},
    {"ClientCutText", {6}, 1, 8, 4, 4, 1, CUT_TEXT_MAX, CLASS_CLIPBOARD},
    {"EnableContinuousUpdates", {150}, 1, 10, 0, 0, 0, 0, CLASS_WATCH},
    {"ClientFence", {248}, 1, 9, 8, 1, 1, 64, CLASS_WATCH},
    {"xvp", {250}, 1, 4, 0, 0, 0, 0, CLASS_CHANGE},
    {"SetDesktopSize", {251}, 1, 8, 6, 1, 16, UINT8_MAX, CLASS_CHANGE},
    {"QEMU extended key", {255, 0}, 2, 12, 0, 0, 0, 0, CLASS_INPUT},
    {"QEMU audio enable", {255, 1, 0, 0}, 4, 4, 0, 0, 0, 0, CLASS_WATCH},
    {"QEMU audio disable", {255, 1, 0, 1}, 4, 4, 0, 0, 0, 0, CLASS_WATCH},
    {"QEMU audio format", {255, 1, 0, 2}, 4, 10, 0, 0, 0, 0, CLASS_WATCH},
};

void rfb_filter_init(RfbFilter *filter, RfbRole role)
{
    *filter = (RfbFilter){.role = role, .state = RFB_STATE_VERSION};
}

bool rfb_filter_is_broken(const RfbFilter *filter)
{
    return filter->state == RFB_STATE_BROKEN;
}

const char *rfb_filter_fault(const RfbFilter *filter)
{
    if (filter->state != RFB_STATE_BROKEN)
        return NULL;
    return filter->is_too_long ? "It sent a clipboard of more than 4 MB." : "It sent a message that is none of RFB.";
}

bool rfb_filter_take_input(RfbFilter *filter)
{
    bool seen = filter->input_seen;
    filter->input_seen = false;
    return seen;
}

/* --- what the bytes mean --- */

static guint64 read_big_endian(const uint8_t *bytes, size_t length)
{
    guint64 value = 0;
    for (size_t i = 0; i < length; i++)
        value = value << 8 | bytes[i];
    return value;
}

/* The message that the head begins or is; NULL when there is none such. */
static const Message *message_find(const uint8_t *head, size_t length)
{
    for (size_t i = 0; i < G_N_ELEMENTS(messages); i++) {
        if (memcmp(messages[i].prefix, head, MIN(length, messages[i].prefix_bytes)) == 0)
            return &messages[i];
    }
    return NULL;
}

/* A clipboard message of negative length, rfbproto "Extended Clipboard Pseudo-Encoding". */
static bool is_extended_clipboard(const RfbFilter *filter, const Message *message)
{
    return message->class == CLASS_CLIPBOARD && filter->head_length >= message->head_bytes && filter->head[4] & 0x80;
}

static guint64 item_count(const RfbFilter *filter, const Message *message)
{
    guint64 count = read_big_endian(filter->head + message->count_at, message->count_bytes);
    return is_extended_clipboard(filter, message) ? (G_GUINT64_CONSTANT(1) << 32) - count : count;
}

/* Bytes to have before the message can be judged: what tells it from others, its head, the action of an
 * extended clipboard (where there is room for one). */
static size_t head_bytes_wanted(const RfbFilter *filter, const Message *message)
{
    if (filter->head_length < message->prefix_bytes)
        return message->prefix_bytes;
    if (is_extended_clipboard(filter, message) && item_count(filter, message) >= ACTION_BYTES)
        return message->head_bytes + ACTION_BYTES;
    return message->head_bytes;
}

/* Length of what follows the held bytes. False for a length that no such message can have. */
static bool body_length(const RfbFilter *filter, const Message *message, guint64 *length)
{
    guint64 count = item_count(filter, message);
    guint64 held = filter->head_length - message->head_bytes;
    *length = count * message->item_bytes - held;
    return count <= message->count_max && (!is_extended_clipboard(filter, message) || held == ACTION_BYTES);
}

static bool is_offer(const RfbFilter *filter)
{
    guint64 action = read_big_endian(filter->head + ACTION_AT, ACTION_BYTES);
    return !(action & CLIPBOARD_CAPS) && action & (CLIPBOARD_NOTIFY | CLIPBOARD_PROVIDE);
}

static bool is_input(const RfbFilter *filter, const Message *message)
{
    if (is_extended_clipboard(filter, message))
        return is_offer(filter);
    return message->class == CLASS_INPUT || message->class == CLASS_CLIPBOARD;
}

/* --- the machine: each step takes what it can use and says how much that was --- */

typedef struct {
    const uint8_t *bytes;
    size_t length;
} Input;

typedef struct {
    uint8_t *bytes;
    size_t length;
} Output;

static void emit(Output *output, const uint8_t *bytes, size_t length)
{
    memcpy(output->bytes + output->length, bytes, length);
    output->length += length;
}

static void emit_head(RfbFilter *filter, Output *output)
{
    emit(output, filter->head, filter->head_length);
    filter->head_length = 0;
}

/* Moves bytes to the head until it has `wanted`; true when it does. */
static bool fill_head(RfbFilter *filter, Input *input, size_t wanted)
{
    size_t n = MIN(wanted - filter->head_length, input->length);
    memcpy(filter->head + filter->head_length, input->bytes, n);
    filter->head_length += n;
    input->bytes += n;
    input->length -= n;
    return filter->head_length == wanted;
}

/* Exactly the spelling of the specification, because QEMU's sscanf() would accept others. Both 3.4 and 3.5 mean 3.3. */
static bool parse_version(const uint8_t *text, RfbState *next)
{
    if (memcmp(text, "RFB 003.00", 10) != 0 || text[11] != '\n' || !text[10] || !strchr("34578", text[10]))
        return false;
    *next = text[10] < '7' ? RFB_STATE_INIT : RFB_STATE_SECURITY;
    return true;
}

static void step_version(RfbFilter *filter, Input *input, Output *output)
{
    RfbState next;
    if (!fill_head(filter, input, VERSION_BYTES))
        return;
    if (!parse_version(filter->head, &next)) {
        filter->state = RFB_STATE_BROKEN;
        return;
    }
    filter->state = next;
    emit_head(filter, output);
}

static void step_security(RfbFilter *filter, Input *input, Output *output)
{
    fill_head(filter, input, 1);
    if (filter->head[0] != SECURITY_NONE) {
        filter->state = RFB_STATE_BROKEN;
        return;
    }
    filter->state = RFB_STATE_INIT;
    emit_head(filter, output);
}

static void step_init(RfbFilter *filter, Input *input, Output *output)
{
    fill_head(filter, input, 1);
    filter->head[0] = 1; /* shared */
    filter->state = RFB_STATE_HEAD;
    emit_head(filter, output);
}

static void begin_body(RfbFilter *filter, const Message *message, guint64 length, Output *output)
{
    filter->body_dropped = filter->role == RFB_ROLE_VIEW && message->class != CLASS_WATCH;
    filter->body_left = length;
    filter->state = length ? RFB_STATE_BODY : RFB_STATE_HEAD;
    if (!filter->body_dropped && is_input(filter, message))
        filter->input_seen = true;
    if (filter->body_dropped)
        filter->head_length = 0;
    else
        emit_head(filter, output);
}

/* Also of one in control: it would be passed on for as long as it likes. */
static bool is_too_long(const RfbFilter *filter, const Message *message)
{
    return message && message->class == CLASS_CLIPBOARD && item_count(filter, message) > message->count_max;
}

static void meet_unknown(RfbFilter *filter, Output *output)
{
    filter->state = filter->role == RFB_ROLE_CONTROL ? RFB_STATE_UNFILTERED : RFB_STATE_BROKEN;
    if (filter->state == RFB_STATE_UNFILTERED)
        emit_head(filter, output);
}

/* Collects byte by byte what decides, then the rest of the head. */
static void step_head(RfbFilter *filter, Input *input, Output *output)
{
    guint64 length;
    fill_head(filter, input, filter->head_length + 1);
    const Message *message = message_find(filter->head, filter->head_length);
    if (message && filter->head_length < head_bytes_wanted(filter, message))
        return;
    if (message && body_length(filter, message, &length))
        begin_body(filter, message, length, output);
    else if (is_too_long(filter, message)) {
        filter->is_too_long = true;
        filter->state = RFB_STATE_BROKEN;
    } else
        meet_unknown(filter, output);
}

static void step_body(RfbFilter *filter, Input *input, Output *output)
{
    size_t n = (size_t)MIN(filter->body_left, (guint64)input->length);
    if (!filter->body_dropped)
        emit(output, input->bytes, n);
    filter->body_left -= n;
    input->bytes += n;
    input->length -= n;
    if (!filter->body_left)
        filter->state = RFB_STATE_HEAD;
}

static void step_unfiltered(RfbFilter *filter, Input *input, Output *output)
{
    (void)filter;
    emit(output, input->bytes, input->length);
    input->length = 0;
}

static void step_broken(RfbFilter *filter, Input *input, Output *output)
{
    (void)filter;
    (void)output;
    input->length = 0;
}

size_t rfb_filter_run(RfbFilter *filter, const uint8_t *bytes, size_t length, uint8_t *room)
{
    static void (*const steps[])(RfbFilter *, Input *, Output *) = {
        [RFB_STATE_VERSION] = step_version, [RFB_STATE_SECURITY] = step_security,
        [RFB_STATE_INIT] = step_init,       [RFB_STATE_HEAD] = step_head,
        [RFB_STATE_BODY] = step_body,       [RFB_STATE_UNFILTERED] = step_unfiltered,
        [RFB_STATE_BROKEN] = step_broken,
    };
    Input input = {bytes, length};
    Output output = {room, 0};
    while (input.length)
        steps[filter->state](filter, &input, &output);
    return output.length;
}
