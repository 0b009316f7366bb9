/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/quoting.h"

#include <stdbool.h>
#include <string.h>

typedef enum {
    FRAME_SCRIPT,
    FRAME_COMMAND,  /* (...) and $(...) */
    FRAME_BACKTICK, /* `...` */
    FRAME_COMMENT,
    FRAME_PARAMETER,        /* ${...} */
    FRAME_PARAMETER_QUOTED, /* the same within double quotes */
    FRAME_ARITHMETIC,       /* each parenthesis of ((...)) and $((...)), and those within */
    FRAME_DOUBLE,
    FRAME_SINGLE,
    FRAME_ANSI,
    FRAME_DOCUMENT,
    FRAME_DOCUMENT_LITERAL,
    FRAMES
} Frame;

typedef struct {
    char *delimiter;
    bool strips_tabs, is_literal;
} Document;

static void document_free(void *document)
{
    g_free(((Document *)document)->delimiter);
    g_free(document);
}

static Frame top(const QuotingReader *reader)
{
    return g_array_index(reader->frames, Frame, reader->frames->len - 1);
}

static size_t push(QuotingReader *reader, Frame frame, size_t bytes)
{
    g_array_append_val(reader->frames, frame);
    return bytes;
}

static size_t pop(QuotingReader *reader, size_t bytes)
{
    g_array_set_size(reader->frames, reader->frames->len - 1);
    return bytes;
}

/* --- here-documents --- */

/* Reads a delimiter: what is quoted of it makes the document literal. */
static Document *read_delimiter(const char *at)
{
    g_autoptr(GString) word = g_string_new(NULL);
    Document *document = g_new0(Document, 1);
    document->strips_tabs = *at == '-';
    at += *at == '-';
    at += strspn(at, " \t");
    for (char quote = '\0'; *at && (quote || !strchr(" \t\n;&|<>()", *at)); at++) {
        bool is_mark = quote ? *at == quote : *at == '\'' || *at == '"' || *at == '\\';
        document->is_literal |= is_mark;
        if (is_mark && *at != '\\')
            quote = quote ? '\0' : *at;
        else if (!is_mark || *++at)
            g_string_append_c(word, *at);
        if (!*at)
            break;
    }
    document->delimiter = g_strdup(word->str);
    return document;
}

static size_t await_document(QuotingReader *reader, const char *at)
{
    Document *document = read_delimiter(at + 2);
    if (*document->delimiter)
        g_ptr_array_add(reader->awaited, document);
    else
        document_free(document);
    return 2;
}

/* At the beginning of a line of a document: ends it where its delimiter stands. Returns the bytes of that line. */
static size_t end_document(QuotingReader *reader, const char *line)
{
    const Document *document = reader->begun->pdata[reader->begun->len - 1];
    size_t length = strcspn(line, "\n"), tabs = document->strips_tabs ? strspn(line, "\t") : 0;
    if (length != tabs + strlen(document->delimiter) || !g_str_has_prefix(line + tabs, document->delimiter))
        return 0;
    g_ptr_array_set_size(reader->begun, (int)reader->begun->len - 1);
    return pop(reader, length);
}

/* The end of a line of commands: the documents that it has named follow. */
static size_t end_line(QuotingReader *reader, const char *at)
{
    if (!reader->awaited->len)
        return 1;
    Document *document = g_ptr_array_steal_index(reader->awaited, 0);
    g_ptr_array_add(reader->begun, document);
    push(reader, document->is_literal ? FRAME_DOCUMENT_LITERAL : FRAME_DOCUMENT, 0);
    return 1 + end_document(reader, at + 1);
}

/* --- steps, one for each frame --- */

/* What means the same in most frames; 0: it is nothing of that. */
static size_t step_common(QuotingReader *reader, const char *at)
{
    if (*at == '\\')
        return at[1] ? 2 : 1;
    if (*at == '`')
        return top(reader) == FRAME_BACKTICK ? pop(reader, 1) : push(reader, FRAME_BACKTICK, 1);
    if (g_str_has_prefix(at, "$$"))
        return 2;
    if (g_str_has_prefix(at, "$(("))
        return push(reader, FRAME_ARITHMETIC, push(reader, FRAME_ARITHMETIC, 3));
    if (g_str_has_prefix(at, "$("))
        return push(reader, FRAME_COMMAND, 2);
    if (!g_str_has_prefix(at, "${"))
        return 0;
    bool is_quoted = quoting_reader_state(reader) == QUOTING_DOUBLE;
    return push(reader, is_quoted ? FRAME_PARAMETER_QUOTED : FRAME_PARAMETER, 2);
}

static size_t step_quotes(QuotingReader *reader, const char *at)
{
    if (*at == '"')
        return push(reader, FRAME_DOUBLE, 1);
    if (*at == '\'')
        return push(reader, FRAME_SINGLE, 1);
    return g_str_has_prefix(at, "$'") ? push(reader, FRAME_ANSI, 2) : 0;
}

static size_t step_operator(QuotingReader *reader, const char *at)
{
    if (g_str_has_prefix(at, "(("))
        return push(reader, FRAME_ARITHMETIC, push(reader, FRAME_ARITHMETIC, 2));
    if (*at == '(')
        return push(reader, FRAME_COMMAND, 1);
    if (*at == ')' && top(reader) == FRAME_COMMAND)
        return pop(reader, 1);
    if (*at == '#' && (at == reader->start || strchr(" \t\n;&|()`", at[-1])))
        return push(reader, FRAME_COMMENT, 1);
    if (g_str_has_prefix(at, "<<<"))
        return 3;
    if (g_str_has_prefix(at, "<<"))
        return await_document(reader, at);
    return *at == '\n' ? end_line(reader, at) : 1;
}

static size_t step_code(QuotingReader *reader, const char *at)
{
    size_t bytes = step_common(reader, at);
    if (!bytes)
        bytes = step_quotes(reader, at);
    return bytes ? bytes : step_operator(reader, at);
}

static size_t step_comment(QuotingReader *reader, const char *at)
{
    bool is_in_backticks = g_array_index(reader->frames, Frame, reader->frames->len - 2) == FRAME_BACKTICK;
    if (*at != '\n' && (*at != '`' || !is_in_backticks))
        return 1;
    pop(reader, 0);
    return quoting_reader_step(reader, at);
}

static size_t step_parameter(QuotingReader *reader, const char *at)
{
    size_t bytes = *at == '}' ? pop(reader, 1) : step_common(reader, at);
    if (!bytes)
        bytes = step_quotes(reader, at);
    return bytes ? bytes : 1;
}

static size_t step_parameter_quoted(QuotingReader *reader, const char *at)
{
    size_t bytes = *at == '}' ? pop(reader, 1) : *at == '"' ? push(reader, FRAME_DOUBLE, 1) : step_common(reader, at);
    return bytes ? bytes : 1;
}

static size_t step_arithmetic(QuotingReader *reader, const char *at)
{
    size_t bytes = *at == ')'   ? pop(reader, 1)
                   : *at == '(' ? push(reader, FRAME_ARITHMETIC, 1)
                                : step_common(reader, at);
    if (!bytes)
        bytes = step_quotes(reader, at);
    return bytes ? bytes : 1;
}

static size_t step_double(QuotingReader *reader, const char *at)
{
    size_t bytes = *at == '"' ? pop(reader, 1) : step_common(reader, at);
    return bytes ? bytes : 1;
}

static size_t step_single(QuotingReader *reader, const char *at)
{
    return *at == '\'' ? pop(reader, 1) : 1;
}

static size_t step_ansi(QuotingReader *reader, const char *at)
{
    return *at == '\\' && at[1] ? 2 : step_single(reader, at);
}

static size_t step_document(QuotingReader *reader, const char *at)
{
    size_t bytes = *at == '\n' ? 1 + end_document(reader, at + 1) : step_common(reader, at);
    return bytes ? bytes : 1;
}

static size_t step_document_literal(QuotingReader *reader, const char *at)
{
    return *at == '\n' ? 1 + end_document(reader, at + 1) : 1;
}

static const struct {
    size_t (*step)(QuotingReader *reader, const char *at);
    Quoting state;
} frames[FRAMES] = {
    [FRAME_SCRIPT] = {step_code, QUOTING_NONE},
    [FRAME_COMMAND] = {step_code, QUOTING_NONE},
    [FRAME_BACKTICK] = {step_code, QUOTING_NONE},
    [FRAME_COMMENT] = {step_comment, QUOTING_NONE},
    [FRAME_PARAMETER] = {step_parameter, QUOTING_NONE},
    [FRAME_PARAMETER_QUOTED] = {step_parameter_quoted, QUOTING_DOUBLE},
    [FRAME_ARITHMETIC] = {step_arithmetic, QUOTING_DOUBLE},
    [FRAME_DOUBLE] = {step_double, QUOTING_DOUBLE},
    [FRAME_SINGLE] = {step_single, QUOTING_SINGLE},
    [FRAME_ANSI] = {step_ansi, QUOTING_ANSI},
    [FRAME_DOCUMENT] = {step_document, QUOTING_DOUBLE},
    [FRAME_DOCUMENT_LITERAL] = {step_document_literal, QUOTING_LITERAL},
};

/* --- the reader --- */

void quoting_reader_init(QuotingReader *reader, const char *script)
{
    *reader = (QuotingReader){.start = script,
                              .frames = g_array_new(FALSE, FALSE, sizeof(Frame)),
                              .awaited = g_ptr_array_new_with_free_func(document_free),
                              .begun = g_ptr_array_new_with_free_func(document_free)};
    push(reader, FRAME_SCRIPT, 0);
}

Quoting quoting_reader_state(const QuotingReader *reader)
{
    return frames[top(reader)].state;
}

size_t quoting_reader_step(QuotingReader *reader, const char *at)
{
    return frames[top(reader)].step(reader, at);
}

void quoting_reader_clear(QuotingReader *reader)
{
    g_clear_pointer(&reader->frames, g_array_unref);
    g_clear_pointer(&reader->awaited, g_ptr_array_unref);
    g_clear_pointer(&reader->begun, g_ptr_array_unref);
}
