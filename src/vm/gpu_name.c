/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Names of PCI devices, from the table of the package pci.ids: lines "VENDOR  NAME", below each "\tMODEL  NAME". */
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "vm/gpu.h"

#define TABLE_MAX_BYTES (16 * 1024 * 1024)

/* The name behind a four-digit number and two spaces; NULL when the line has another form. */
static const char *name_in(const char *line, const char *number)
{
    return g_ascii_strncasecmp(line, number, 4) == 0 && line[4] == ' ' ? line + 5 + strspn(line + 5, " ") : NULL;
}

static void take_name(PciFunction *function, const char *vendor, const char *model)
{
    g_autofree char *text = g_strconcat(vendor, model ? " " : "", model ? model : "", NULL);
    char *name = g_utf8_make_valid(text, -1);
    text_flatten(name);
    g_free(function->name);
    function->name = name;
}

static void find_name(PciFunction *function, char *const *lines)
{
    const char *vendor = NULL;
    for (char *const *line = lines; *line; line++) {
        if (!vendor) {
            vendor = name_in(*line, function->model);
            continue;
        }
        const char *model = **line == '\t' ? name_in(*line + 1, function->model + 5) : NULL;
        if (model || g_ascii_isxdigit(**line)) {
            take_name(function, vendor, model);
            return;
        }
    }
    take_name(function, vendor ? vendor : function->model, NULL);
}

void pci_names_find(const char *root, const GPtrArray *functions)
{
    g_autofree char *path = g_strconcat(root, "/usr/share/misc/pci.ids", NULL);
    g_autofree char *table = functions->len ? file_read(path, TABLE_MAX_BYTES, NULL, NULL) : NULL;
    g_auto(GStrv) lines = g_strsplit(table ? table : "", "\n", -1);
    for (guint i = 0; i < functions->len; i++)
        find_name(functions->pdata[i], lines);
}

static void add_type(Gpu *gpu)
{
    if (!*gpu->type)
        return;
    char *name = g_strdup_printf("%s, %s", gpu->self.name, gpu->type);
    g_free(gpu->self.name);
    gpu->self.name = name;
}

void gpus_find_names(const GPtrArray *gpus, const char *root)
{
    g_autoptr(GPtrArray) functions = g_ptr_array_new();
    for (guint i = 0; i < gpus->len; i++) {
        Gpu *gpu = gpus->pdata[i];
        g_ptr_array_add(functions, &gpu->self);
        for (guint j = 0; j < gpu->members->len; j++)
            g_ptr_array_add(functions, gpu->members->pdata[j]);
    }
    pci_names_find(root, functions);
    for (guint i = 0; i < gpus->len; i++)
        add_type(gpus->pdata[i]);
}
