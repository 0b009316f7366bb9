/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "ctl/page_check.h"

#include <stdbool.h>

#include "core/link.h"
#include "core/policy.h"

/* Parts that the original switches stand in comments. */
static char *without_comments(const char *page)
{
    g_autoptr(GRegex) comments = g_regex_new("<!--.*?-->", G_REGEX_DOTALL | G_REGEX_RAW, 0, NULL);
    return g_regex_replace_literal(comments, page, -1, 0, "", 0, NULL);
}

static bool has(const char *page, const char *pattern)
{
    return g_regex_match_simple(pattern, page, G_REGEX_CASELESS | G_REGEX_RAW, 0);
}

static bool has_field(const char *page, const char *name)
{
    g_autofree char *pattern = g_strdup_printf("<[^>]*\\sname\\s*=\\s*[\"']?%s[\"'\\s/>]", name);
    return has(page, pattern);
}

static void check_fields(const Settings *settings, const char *page, GPtrArray *lacks)
{
    const struct {
        const char *name;
        bool is_needed;
        const char *advice;
    } fields[] = {
        {"machine", true, "a <select name=\"machine\"> around {{layout_machines_list}}"},
        {"create", true, "<input type=\"hidden\" name=\"create\" value=\"Create\">"},
        {"user", policy_login_is_configured(settings), "a field \"user\", such as {{> credentials.html}} has"},
        {"terms", *settings->layout_terms != '\0',
         "<input type=\"checkbox\" name=\"terms\" value=\"yes\">, for layout_terms"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
        if (fields[i].is_needed && !has_field(page, fields[i].name))
            g_ptr_array_add(
                lacks, g_strdup_printf("its form lacks the field \"%s\": write %s", fields[i].name, fields[i].advice));
    }
}

/* The program has the original's name as well. */
static void check_address(const Settings *settings, const char *page, GPtrArray *lacks)
{
    g_autofree char *script = link_script(settings), *old = link_of_path(settings, "/cgi-bin/qemu-web-desktop.pl");
    g_autofree char *names = g_strdup_printf("\\Q%s\\E|\\Q%s\\E", script, old);
    g_autofree char *pattern = g_strdup_printf("<form[^>]*\\saction\\s*=\\s*[\"']?(%s)[\"'\\s?>]", names);
    if (!has(page, pattern))
        g_ptr_array_add(lacks, g_strdup_printf("its form does not lead to %s: write action=\"{{script}}\"", script));
    if (!has(page, "<form[^>]*\\smethod\\s*=\\s*[\"']?post"))
        g_ptr_array_add(lacks, g_strdup("its form is not sent with POST: write method=\"post\""));
}

/* What its Content-Security-Policy keeps browsers from. */
static void check_policy(const char *page, GPtrArray *lacks)
{
    static const struct {
        const char *pattern, *text;
    } rows[] = {
        {"<script(?![^>]*\\ssrc\\s*=)|\\son[a-z]+\\s*=\\s*[\"']",
         "it has scripts within it, which browsers do not run: move them into a file"},
        {"<style|\\sstyle\\s*=\\s*[\"']", "it has styles within it, which browsers do not use: move them into a file"},
        {"<(script|img|iframe|link)[^>]*\\s(src|href)\\s*=\\s*[\"']?(https?:)?//",
         "it loads files from other servers, which browsers refuse: keep them on this one"},
        {"<input[^>]*\\stype\\s*=\\s*[\"']?file", "its form sends files, which are not accepted: remove the field"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (has(page, rows[i].pattern))
            g_ptr_array_add(lacks, g_strdup(rows[i].text));
    }
}

GPtrArray *page_check(const Settings *settings, const char *page, const char *page_of_user)
{
    GPtrArray *lacks = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *seen = without_comments(page), *seen_by_user = without_comments(page_of_user);
    check_address(settings, seen, lacks);
    check_fields(settings, seen, lacks);
    if (!has_field(seen_by_user, "csrf"))
        g_ptr_array_add(lacks, g_strdup("its form does not work for those who have logged in: write {{> csrf.html}} "
                                        "into it"));
    check_policy(seen, lacks);
    return lacks;
}
