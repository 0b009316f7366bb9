/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Values for attributes of machines (core/machine.h). */
#pragma once

#include <string.h>

#include "core/machine.h"

/* Values that the attribute accepts, without its default, which may be any of its words. Free with g_strfreev. */
static inline char **attribute_other_values(const MachineAttribute *attribute)
{
    const char *any = g_str_has_prefix(attribute->key, "network_") ? "private" : "something else";
    g_auto(GStrv) words = g_strsplit(*attribute->allowed ? attribute->allowed : any, " ", -1);
    g_autoptr(GStrvBuilder) others = g_strv_builder_new();
    for (char **word = words; *word; word++) {
        if (!g_str_equal(*word, attribute->default_text))
            g_strv_builder_add(others, *word);
    }
    char **values = g_strv_builder_end(others);
    if (!*values)
        g_error("core/machine.c: %s accepts nothing but its default \"%s\". Add a word, or remove the attribute.",
                attribute->key, attribute->default_text);
    return values;
}

/* One of them. Free with g_free. */
static inline char *attribute_other_value(const MachineAttribute *attribute)
{
    g_auto(GStrv) values = attribute_other_values(attribute);
    return g_strdup(values[0]);
}

static inline char **attribute_field(const Machine *machine, const MachineAttribute *attribute)
{
    return (char **)((const char *)machine + attribute->offset);
}
