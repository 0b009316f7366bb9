/* SPDX-License-Identifier: AGPL-3.0-or-later
 * How it works: a text is cut into lines that keep their ends. The depth of a line is the number of ';' it begins
 * with. A block is what belongs to one section header: at depth 0 the lines up to its last attribute and the comments
 * that follow without a gap; at depth n the lines that have n ';' at least, up to the next header of that depth.
 * Disabling adds a ';' to all blocks of a name, enabling takes one away: both find the same lines again. */
#include "core/machines_edit.h"

#include <string.h>

#include "core/machine.h"

/* --- lines --- */

/* The lines with their ends; the last one may have none. */
static GPtrArray *split_lines(const char *text)
{
    GPtrArray *lines = g_ptr_array_new_with_free_func(g_free);
    while (*text) {
        size_t length = strcspn(text, "\n");
        length += text[length] == '\n';
        g_ptr_array_add(lines, g_strndup(text, length));
        text += length;
    }
    return lines;
}

static char *join_lines(const GPtrArray *lines)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < lines->len; i++)
        g_string_append(text, lines->pdata[i]);
    return g_string_free(text, FALSE);
}

static size_t depth_of(const char *line)
{
    return strspn(line, ";");
}

static const char *skip_spaces(const char *text)
{
    while (g_ascii_isspace(*text))
        text++;
    return text;
}

/* The name in a header behind `depth` marks; NULL for any other line. Free with g_free. */
static char *header_at(const char *line, size_t depth)
{
    const char *begin = skip_spaces(line + depth), *end = strchr(begin, ']');
    if (depth_of(line) != depth || *begin != '[' || !end || *skip_spaces(end + 1))
        return NULL;
    return g_strndup(begin + 1, (gsize)(end - begin - 1));
}

static bool is_header(const char *line, size_t depth)
{
    g_autofree char *name = header_at(line, depth);
    return name != NULL;
}

/* Whether a line says something to the parser. */
static bool is_active(const char *line)
{
    const char *first = skip_spaces(line);
    return *first && *first != '#' && *first != ';';
}

/* The attribute that a line sets; NULL when it sets none. */
static const MachineAttribute *attribute_of(const char *line)
{
    const char *first = skip_spaces(line), *equals = strchr(first, '=');
    if (!equals)
        return NULL;
    g_autofree char *key = g_strchomp(g_strndup(first, (gsize)(equals - first)));
    for (const MachineAttribute *attribute = machine_attributes(); attribute->key; attribute++) {
        if (g_str_equal(attribute->key, key))
            return attribute;
    }
    return NULL;
}

/* --- blocks --- */

typedef struct {
    guint begin, end; /* lines [begin, end) */
    size_t depth;
} Block;

static guint end_of_enabled(const GPtrArray *lines, guint header)
{
    guint end = header + 1;
    for (guint i = end; i < lines->len && !is_header(lines->pdata[i], 0); i++) {
        if (is_active(lines->pdata[i]))
            end = i + 1;
    }
    while (end < lines->len && depth_of(lines->pdata[end]) > 0 && !is_header(lines->pdata[end], 1))
        end++;
    return end;
}

static guint end_of_disabled(const GPtrArray *lines, guint header, size_t depth)
{
    guint end = header + 1;
    while (end < lines->len && depth_of(lines->pdata[end]) >= depth && !is_header(lines->pdata[end], depth))
        end++;
    return end;
}

/* A disabled section in the middle of another one cannot be enabled: it would take the lines that follow. */
static bool stands_free(const GPtrArray *lines, guint end)
{
    while (end < lines->len && !is_active(lines->pdata[end]))
        end++;
    return end == lines->len || is_header(lines->pdata[end], 0);
}

/* The block that begins with a line; false when none of that name does. NULL is any name. */
static bool block_at(const GPtrArray *lines, guint at, const char *name, Block *block)
{
    size_t depth = depth_of(lines->pdata[at]);
    g_autofree char *header = header_at(lines->pdata[at], depth);
    if (!header || (name && !g_str_equal(header, name)))
        return false;
    guint end = depth ? end_of_disabled(lines, at, depth) : end_of_enabled(lines, at);
    *block = (Block){at, end, depth};
    return depth == 0 || stands_free(lines, end);
}

/* All blocks of a name, outermost ones; *depth is the least of theirs. */
static GArray *find_blocks(const GPtrArray *lines, const char *name, size_t *depth)
{
    GArray *blocks = g_array_new(FALSE, FALSE, sizeof(Block));
    *depth = G_MAXSIZE;
    for (guint i = 0; i < lines->len;) {
        Block block;
        if (!block_at(lines, i, name, &block)) {
            i++;
            continue;
        }
        g_array_append_val(blocks, block);
        *depth = MIN(*depth, block.depth);
        i = block.end;
    }
    return blocks;
}

SectionState machines_text_state(const char *text, const char *name)
{
    size_t depth;
    g_autoptr(GPtrArray) lines = split_lines(text);
    g_autoptr(GArray) blocks = find_blocks(lines, name, &depth);
    if (!blocks->len)
        return SECTION_ABSENT;
    return depth ? SECTION_DISABLED : SECTION_ENABLED;
}

/* --- changing --- */

static void set_line(GPtrArray *lines, guint at, char *line)
{
    g_free(lines->pdata[at]);
    lines->pdata[at] = line;
}

char *machines_text_disable(const char *text, const char *name)
{
    size_t depth;
    g_autoptr(GPtrArray) lines = split_lines(text);
    g_autoptr(GArray) blocks = find_blocks(lines, name, &depth);
    for (guint i = 0; i < blocks->len && depth == 0; i++) {
        Block block = g_array_index(blocks, Block, i);
        for (guint at = block.begin; at < block.end; at++)
            set_line(lines, at, g_strconcat(";", lines->pdata[at], NULL));
    }
    return join_lines(lines);
}

/* Whether a line behind its mark is one that a section can have. Sentences that somebody has written below a section
 * commented out by hand stay comments. */
static bool belongs_to_section(const char *line)
{
    return !is_active(line) || is_header(line, 0) || attribute_of(line);
}

static void uncover(GPtrArray *lines, Block block, size_t depth)
{
    for (guint at = block.begin; at < block.end; at++) {
        char *line = lines->pdata[at];
        if (block.depth > depth || belongs_to_section(line + depth))
            set_line(lines, at, g_strdup(line + depth));
    }
}

char *machines_text_enable(const char *text, const char *name)
{
    size_t depth;
    g_autoptr(GPtrArray) lines = split_lines(text);
    g_autoptr(GArray) blocks = find_blocks(lines, name, &depth);
    for (guint i = 0; i < blocks->len && depth > 0; i++)
        uncover(lines, g_array_index(blocks, Block, i), depth);
    return join_lines(lines);
}

char *machines_text_add(const char *text, const char *name)
{
    const char *gap = !*text ? "" : g_str_has_suffix(text, "\n") ? "\n" : "\n\n";
    return g_strdup_printf("%s%s[%s]\n", text, gap, name);
}

static bool sets(const char *line, const char *key)
{
    const MachineAttribute *attribute = is_active(line) ? attribute_of(line) : NULL;
    return attribute && g_str_equal(attribute->key, key);
}

/* Replaces the line that counts, which is the last one; a header without its line gets one. */
static void set_value(GPtrArray *lines, Block block, const char *key, const char *value)
{
    const char *header = lines->pdata[block.begin];
    const char *end = g_str_has_suffix(header, "\r\n") ? "\r\n" : "\n";
    char *line = g_strconcat(key, "=", value, end, NULL);
    for (guint at = block.end - 1; at > block.begin; at--) {
        if (sets(lines->pdata[at], key)) {
            set_line(lines, at, line);
            return;
        }
    }
    if (!g_str_has_suffix(header, "\n"))
        set_line(lines, block.begin, g_strconcat(header, "\n", NULL));
    g_ptr_array_insert(lines, (int)block.begin + 1, line);
}

char *machines_text_set(const char *text, const char *name, const char *key, const char *value)
{
    size_t depth;
    g_autoptr(GPtrArray) lines = split_lines(text);
    g_autoptr(GArray) blocks = find_blocks(lines, name, &depth);
    for (guint i = blocks->len; i-- > 0 && depth == 0;) {
        Block block = g_array_index(blocks, Block, i);
        if (block.depth > 0)
            continue;
        set_value(lines, block, key, value);
        break;
    }
    return join_lines(lines);
}

/* --- looking --- */

char **machines_text_disabled(const char *text)
{
    g_autoptr(GPtrArray) lines = split_lines(text);
    GPtrArray *names = g_ptr_array_new();
    for (guint i = 0; i < lines->len; i++) {
        Block block;
        g_autofree char *name = header_at(lines->pdata[i], depth_of(lines->pdata[i]));
        bool wanted = name && machine_name_is_valid(name) && block_at(lines, i, name, &block) &&
                      machines_text_state(text, name) == SECTION_DISABLED &&
                      !g_ptr_array_find_with_equal_func(names, name, g_str_equal, NULL);
        if (wanted)
            g_ptr_array_add(names, g_steal_pointer(&name));
    }
    g_ptr_array_add(names, NULL);
    return (char **)g_ptr_array_free(names, FALSE);
}

char *machines_text_value(const char *text, const char *name, const char *key)
{
    size_t depth;
    g_autofree char *value = NULL;
    g_autoptr(GPtrArray) lines = split_lines(text);
    g_autoptr(GArray) blocks = find_blocks(lines, name, &depth);
    for (guint i = 0; i < blocks->len; i++) {
        Block block = g_array_index(blocks, Block, i);
        for (guint at = block.begin + 1; at < block.end && block.depth == depth; at++) {
            const char *line = (const char *)lines->pdata[at] + depth;
            const MachineAttribute *attribute = depth_of(lines->pdata[at]) == depth ? attribute_of(line) : NULL;
            if (attribute && g_str_equal(attribute->key, key)) {
                g_free(value);
                value = g_strstrip(g_strdup(strchr(line, '=') + 1));
            }
        }
    }
    return g_steal_pointer(&value);
}
