/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Machines of tests/fixtures/sysfs as folders, as the kernel shows them. */
#pragma once

#include <string.h>
#include <unistd.h>

#include "paths.h"
#include "temp.h"

static inline char *sysfs_folder(const char *root, const char *format, ...) G_GNUC_PRINTF(2, 3);
static inline char *sysfs_folder(const char *root, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *relative = g_strdup_vprintf(format, args);
    va_end(args);
    char *path = g_build_filename(root, "sys", relative, NULL);
    g_assert_cmpint(g_mkdir_with_parents(path, 0755), ==, 0);
    return path;
}

/* Folder/name becomes a link. */
static inline void sysfs_link(const char *folder, const char *name, const char *target)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_assert_cmpint(symlink(target, path), ==, 0);
}

static inline void sysfs_write(const char *folder, const char *name, const char *text)
{
    g_autofree char *line = g_strconcat(text, "\n", NULL);
    g_free(temp_file(folder, name, line));
}

static inline void sysfs_join_group(const char *root, const char *folder, const char *device, const char *group)
{
    g_autofree char *target = g_strconcat("../../../kernel/iommu_groups/", group, NULL);
    g_autofree char *members = sysfs_folder(root, "kernel/iommu_groups/%s/devices", group);
    sysfs_link(folder, "iommu_group", target);
    sysfs_link(members, device, folder);
}

static inline void sysfs_set(const char *root, const char *folder, const char *device, const char *word)
{
    g_auto(GStrv) parts = g_strsplit(word, "=", 2);
    g_autofree char *driver = g_strconcat("../../../bus/drivers/", parts[1], NULL);
    g_autofree char *above = g_strconcat("../", parts[1], NULL);
    g_assert_nonnull(parts[1]);
    if (g_str_equal(parts[0], "driver"))
        sysfs_link(folder, "driver", driver);
    else if (g_str_equal(parts[0], "group"))
        sysfs_join_group(root, folder, device, parts[1]);
    else if (g_str_equal(parts[0], "physfn"))
        sysfs_link(folder, "physfn", above);
    else
        sysfs_write(folder, parts[0], g_strdelimit(parts[1], ".", g_str_equal(parts[0], "name") ? ' ' : '.'));
}

static inline void sysfs_add_pci(const char *root, char *const *words)
{
    g_autofree char *folder = sysfs_folder(root, "devices/pci0000:00/%s", words[1]);
    g_autofree char *bus = sysfs_folder(root, "bus/pci/devices");
    g_autofree char *target = g_strconcat("../../../devices/pci0000:00/", words[1], NULL);
    g_autofree char *vendor = g_strdup_printf("0x%.4s", words[2]), *model = g_strdup_printf("0x%s", words[2] + 5);
    g_autofree char *class = g_strconcat("0x", words[3], NULL);
    sysfs_link(bus, words[1], target);
    sysfs_write(folder, "vendor", vendor);
    sysfs_write(folder, "device", model);
    sysfs_write(folder, "class", class);
    for (char *const *word = words + 4; *word; word++)
        sysfs_set(root, folder, words[1], *word);
}

static inline void sysfs_add_mediated(const char *root, char *const *words)
{
    g_autofree char *folder = sysfs_folder(root, "devices/pci0000:00/%s/%s", words[2], words[1]);
    g_autofree char *bus = sysfs_folder(root, "bus/mdev/devices");
    g_autofree char *target = g_strdup_printf("../../../devices/pci0000:00/%s/%s", words[2], words[1]);
    sysfs_link(bus, words[1], target);
    for (char *const *word = words + 3; *word; word++) {
        g_autofree char *type = g_strconcat("../mdev_supported_types/", *word + strlen("type="), NULL);
        if (g_str_has_prefix(*word, "type="))
            sysfs_link(folder, "mdev_type", type);
        else if (!g_str_has_prefix(*word, "name=")) /* it is the profile's */
            sysfs_set(root, folder, words[1], *word);
    }
}

static inline void sysfs_add_profile(const char *root, char *const *words)
{
    g_autofree char *folder = sysfs_folder(root, "devices/pci0000:00/%s/mdev_supported_types/%s", words[1], words[2]);
    sysfs_write(folder, "available_instances", words[3]);
    for (char *const *word = words + 4; *word; word++)
        sysfs_set(root, folder, words[2], *word);
}

static inline void sysfs_add(const char *root, const char *line)
{
    g_auto(GStrv) words = g_strsplit(line, " ", -1);
    if (!*line || *line == '#')
        return;
    if (g_str_equal(words[0], "pci"))
        sysfs_add_pci(root, words);
    else if (g_str_equal(words[0], "mdev"))
        sysfs_add_mediated(root, words);
    else if (g_str_equal(words[0], "profile"))
        sysfs_add_profile(root, words);
    else
        g_error("sysfs: no such thing: %s", line);
}

/* A folder that stands for / with the machine's /sys, and names of PCI devices. */
static inline TempFolder *sysfs_machine(const char *name)
{
    TempFolder *root = temp_folder();
    g_autofree char *relative = g_strdup_printf("tests/fixtures/sysfs/%s.txt", name), *path = source_path(relative);
    g_autofree char *ids = source_path("tests/fixtures/sysfs/pci.ids"), *text = NULL, *table = NULL;
    g_autofree char *misc = g_build_filename(root, "usr/share/misc", NULL);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL) && g_file_get_contents(ids, &table, NULL, NULL));
    g_assert_cmpint(g_mkdir_with_parents(misc, 0755), ==, 0);
    g_free(temp_file(misc, "pci.ids", table));
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++)
        sysfs_add(root, *line);
    return root;
}
