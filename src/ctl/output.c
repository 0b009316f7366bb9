/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "ctl/output.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/account.h"
#include "base/text.h"
#include "base/units.h"
#include "ctl/json_mode.h"

#define MIB (1024 * 1024)

static const char *const colour_codes[] = {
    [COLOUR_NONE] = "", [COLOUR_HEADING] = "1", [COLOUR_GOOD] = "32", [COLOUR_WARNING] = "33", [COLOUR_BAD] = "31"};

static bool is_coloured(FILE *stream)
{
    const char *no_colour = g_getenv("NO_COLOR");
    return account_has_terminal(fileno(stream)) && !(no_colour && *no_colour);
}

void output_coloured(FILE *stream, Colour colour, const char *text)
{
    if (colour != COLOUR_NONE && is_coloured(stream))
        fprintf(stream, "\033[%sm%s\033[0m", colour_codes[colour], text);
    else
        fputs(text, stream);
}

void output_note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    g_autofree char *shown = text_for_terminal(text, strlen(text));
    fprintf(stderr, "%s\n", shown);
}

void output_heading(const char *text)
{
    fflush(stdout); /* both may be the same terminal */
    output_coloured(stderr, COLOUR_HEADING, text);
    fputc('\n', stderr);
}

void output_json(json_t *object)
{
    if (json_mode_is_on()) {
        json_mode_take(object);
        return;
    }
    char *text = json_dumps(object, JSON_INDENT(2));
    puts(text);
    free(text);
    json_decref(object);
}

/* --- tables --- */

typedef struct {
    Colour colour;
    char **cells;
} Row;

struct Table {
    char **titles;
    guint count;
    GPtrArray *rows;
};

static void row_free(Row *row)
{
    g_strfreev(row->cells);
    g_free(row);
}

Table *table_new(const char *first_title, ...)
{
    Table *table = g_new0(Table, 1);
    g_autoptr(GStrvBuilder) titles = g_strv_builder_new();
    va_list args;
    va_start(args, first_title);
    for (const char *title = first_title; title; title = va_arg(args, const char *))
        g_strv_builder_add(titles, title);
    va_end(args);
    table->titles = g_strv_builder_end(titles);
    table->count = g_strv_length(table->titles);
    table->rows = g_ptr_array_new_with_free_func((GDestroyNotify)row_free);
    return table;
}

void table_free(Table *table)
{
    if (!table)
        return;
    g_strfreev(table->titles);
    g_ptr_array_unref(table->rows);
    g_free(table);
}

void table_add(Table *table, Colour colour, ...)
{
    Row *row = g_new0(Row, 1);
    row->colour = colour;
    row->cells = g_new0(char *, table->count + 1);
    va_list args;
    va_start(args, colour);
    for (guint i = 0; i < table->count; i++)
        row->cells[i] = text_for_line(va_arg(args, const char *));
    va_end(args);
    g_ptr_array_add(table->rows, row);
}

static int column_width(const Table *table, guint column)
{
    glong width = g_utf8_strlen(table->titles[column], -1);
    for (guint i = 0; i < table->rows->len; i++)
        width = MAX(width, g_utf8_strlen(((const Row *)table->rows->pdata[i])->cells[column], -1));
    return (int)width;
}

static void print_cells(const Table *table, FILE *stream, char *const *cells, Colour colour)
{
    for (guint i = 0; i < table->count; i++) {
        bool is_last = i + 1 == table->count;
        int padding = is_last ? 0 : column_width(table, i) - (int)g_utf8_strlen(cells[i], -1);
        output_coloured(stream, i == 0 ? colour : COLOUR_NONE, cells[i]);
        bool ends_empty = i + 2 == table->count && !*cells[i + 1];
        fprintf(stream, "%*s%s", padding, "", is_last ? "\n" : ends_empty ? " |" : " | ");
    }
}

void table_print(const Table *table)
{
    if (!table->rows->len)
        return;
    fflush(stdout);
    print_cells(table, stderr, table->titles, COLOUR_HEADING);
    for (guint i = 0; i < table->rows->len; i++) {
        const Row *row = table->rows->pdata[i];
        print_cells(table, stdout, row->cells, row->colour);
    }
    fflush(stdout);
}

char *output_size(gint64 bytes)
{
    if (bytes > 0 && bytes < MIB)
        return g_strdup_printf("%d KB", (int)((bytes + 1023) / 1024));
    return units_format_size(bytes / MIB);
}

/* --- asking --- */

bool output_is_terminal(void)
{
    return account_has_terminal(STDIN_FILENO) && account_has_terminal(STDERR_FILENO);
}

bool output_confirm(const char *question, bool otherwise)
{
    char line[32];
    if (!output_is_terminal())
        return false;
    if (account_is_child())
        return account_confirm(question, otherwise);
    fflush(stdout);
    g_autofree char *shown = text_for_terminal(question, strlen(question));
    fprintf(stderr, "%s [%s] ", shown, otherwise ? "Y/n" : "y/N");
    if (!fgets(line, sizeof line, stdin))
        return false;
    g_strstrip(line);
    return *line ? *line == 'y' || *line == 'Y' : otherwise;
}
