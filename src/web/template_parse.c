/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "web/template_parse.h"

#include <string.h>

#include "base/error.h"

#define NESTING_MAX 16
#define BLANKS " \t\r"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"

typedef struct {
    const char *file;
    const char *begin, *position;
    int line;
    GArray *tokens;           /* of Token */
    size_t open[NESTING_MAX]; /* indexes of the sections that wait for their end */
    size_t depth;
} Parser;

bool template_fail(GError **error, const char *file, int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    return qwd_error_fail(error, QWD_ERROR_INTERNAL, "%s:%d: %s", file, line, text);
}

static void count_lines(Parser *parser, const char *to)
{
    for (; parser->position < to; parser->position++)
        parser->line += *parser->position == '\n';
}

static void add_text(Parser *parser, const char *end)
{
    Token token = {TOKEN_TEXT, parser->line, parser->position, (size_t)(end - parser->position), 0};
    if (token.length)
        g_array_append_val(parser->tokens, token);
    count_lines(parser, end);
}

/* --- lines with a tag alone --- */

static bool only_blanks_before(const Parser *parser, const char *tag)
{
    while (tag > parser->begin && strchr(BLANKS, tag[-1]))
        tag--;
    return tag == parser->begin || tag[-1] == '\n';
}

/* Where the next line begins when only blanks are left in this one, else NULL. */
static const char *next_line(const char *text)
{
    text += strspn(text, BLANKS);
    if (*text == '\n')
        return text + 1;
    return *text ? NULL : text;
}

static void trim_last_text(Parser *parser)
{
    if (parser->tokens->len == 0)
        return;
    Token *last = &g_array_index(parser->tokens, Token, parser->tokens->len - 1);
    while (last->kind == TOKEN_TEXT && last->length && strchr(BLANKS, last->start[last->length - 1]))
        last->length--;
}

/* --- tags --- */

static bool name_is_good(const Token *token)
{
    const char *more = token->kind == TOKEN_PARTIAL ? LETTERS ".-" : LETTERS ".";
    if (token->length == 1 && *token->start == '.')
        return token->kind != TOKEN_PARTIAL;
    if (token->length == 0 || *token->start == '.' || token->start[token->length - 1] == '.')
        return false;
    return strspn(token->start, more) >= token->length && !g_strstr_len(token->start, (gssize)token->length, "..");
}

static bool open_section(Parser *parser, const Token *token, GError **error)
{
    if (parser->depth == NESTING_MAX)
        return template_fail(error, parser->file, token->line, "more than %d sections in each other", NESTING_MAX);
    parser->open[parser->depth++] = parser->tokens->len;
    return true;
}

static bool close_section(Parser *parser, const Token *token, GError **error)
{
    if (parser->depth == 0)
        return template_fail(error, parser->file, token->line, "{{/%.*s}} ends nothing", (int)token->length,
                             token->start);
    Token *opener = &g_array_index(parser->tokens, Token, parser->open[--parser->depth]);
    if (opener->length != token->length || memcmp(opener->start, token->start, token->length) != 0)
        return template_fail(error, parser->file, token->line, "{{/%.*s}} ends {{%c%.*s}} of line %d",
                             (int)token->length, token->start, opener->kind == TOKEN_SECTION ? '#' : '^',
                             (int)opener->length, opener->start, opener->line);
    opener->partner = parser->tokens->len;
    return true;
}

static bool add_tag(Parser *parser, Token *token, GError **error)
{
    bool is_opener = token->kind == TOKEN_SECTION || token->kind == TOKEN_INVERTED;
    if (token->kind == TOKEN_COMMENT)
        return true;
    if (token->kind == TOKEN_WORDS ? token->length == 0 || memchr(token->start, '\n', token->length) != NULL
                                   : !name_is_good(token))
        return template_fail(error, parser->file, token->line, "\"%.*s\" is not a name", (int)MIN(token->length, 40),
                             token->start);
    if (is_opener && !open_section(parser, token, error))
        return false;
    if (token->kind == TOKEN_END && !close_section(parser, token, error))
        return false;
    g_array_append_val(parser->tokens, *token);
    return true;
}

/* The kind of a tag by its first character; -1 for those that we do not have. */
static int kind_of_tag(char sign)
{
    static const struct {
        char sign;
        int kind;
    } signs[] = {
        {'#', TOKEN_SECTION},
        {'^', TOKEN_INVERTED},
        {'/', TOKEN_END},
        {'>', TOKEN_PARTIAL},
        {'!', TOKEN_COMMENT},
        {'_', TOKEN_WORDS},
        {'{', -1},
        {'&', -1},
        {'=', -1},
        {'<', -1},
        {'$', -1},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(signs); i++) {
        if (signs[i].sign == sign)
            return signs[i].kind;
    }
    return TOKEN_VALUE;
}

/* The original's placeholders stand for options of a select, which are templates here. */
static void replace_placeholder(Token *token)
{
    static const char *const placeholders[][2] = {
        {"layout_machines_list", "options-machines.html"},
        {"layout_cpu", "options-cpu.html"},
        {"layout_memory", "options-memory.html"},
        {"layout_lifetime", "options-lifetime.html"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(placeholders); i++) {
        const char *name = placeholders[i][0], *file = placeholders[i][1];
        if (token->kind == TOKEN_VALUE && token->length == strlen(name) && g_str_has_prefix(token->start, name))
            *token = (Token){TOKEN_PARTIAL, token->line, file, strlen(file), 0};
    }
}

static bool read_tag(Parser *parser, const char **end, Token *token, GError **error)
{
    const char *inside = parser->position + 2;
    const char *close = strstr(inside, "}}");
    int kind = kind_of_tag(*inside);
    if (kind < 0)
        return template_fail(error, parser->file, parser->line,
                             "a tag cannot begin with {{%c: values are always escaped, there is no other form",
                             *inside);
    if (!close)
        return template_fail(error, parser->file, parser->line, "{{ without }}");
    *end = close + 2;
    inside += kind != TOKEN_VALUE;
    while (inside < close && g_ascii_isspace(*inside))
        inside++;
    while (close > inside && g_ascii_isspace(close[-1]))
        close--;
    *token = (Token){(TokenKind)kind, parser->line, inside, (size_t)(close - inside), 0};
    replace_placeholder(token);
    return true;
}

static bool parse_tag(Parser *parser, GError **error)
{
    Token token;
    const char *tag = parser->position, *end = tag;
    if (!read_tag(parser, &end, &token, error))
        return false;
    const char *after = next_line(end);
    if (token.kind != TOKEN_VALUE && token.kind != TOKEN_WORDS && after && only_blanks_before(parser, tag)) {
        trim_last_text(parser);
        end = after;
    }
    if (!add_tag(parser, &token, error))
        return false;
    count_lines(parser, end);
    return true;
}

GArray *template_parse(const char *file, const char *text, GError **error)
{
    g_autoptr(GArray) tokens = g_array_new(FALSE, FALSE, sizeof(Token));
    Parser parser = {.file = file, .begin = text, .position = text, .line = 1, .tokens = tokens};
    for (const char *tag; (tag = strstr(parser.position, "{{"));) {
        add_text(&parser, tag);
        if (!parse_tag(&parser, error))
            return NULL;
    }
    add_text(&parser, parser.position + strlen(parser.position));
    if (parser.depth) {
        const Token *opener = &g_array_index(tokens, Token, parser.open[parser.depth - 1]);
        template_fail(error, file, opener->line, "the section \"%.*s\" is never ended", (int)opener->length,
                      opener->start);
        return NULL;
    }
    return g_steal_pointer(&tokens);
}
