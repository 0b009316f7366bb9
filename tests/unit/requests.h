/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Requests for tests, without a web server. */
#pragma once

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "core/settings.h"
#include "web/request.h"

/* Settings as they are without a file. */
static inline Settings *test_settings(void)
{
    g_autoptr(GError) error = NULL;
    Settings *settings = settings_load("/nonexistent/qwd.conf", false, NULL, &error);
    g_assert_no_error(error);
    return settings;
}

/* A request with these variables and this body, headers read only. All such requests share one descriptor: load one
 * before the next is made. */
static inline Request *test_request_new(const char *const *environment, const char *body, size_t length)
{
    static int fd = -1;
    if (fd < 0)
        fd = memfd_create("body", MFD_CLOEXEC);
    g_assert_cmpint(ftruncate(fd, 0), ==, 0);
    g_assert_cmpint(pwrite(fd, body, length, 0), ==, (ssize_t)length);
    lseek(fd, 0, SEEK_SET);
    RequestSource source = {environment, fd};
    return request_new(&source);
}

/* A loaded POST with this body, or a loaded GET with this query. NULL with the error
 * of request_load. */
static inline Request *test_request(const char *method, const char *text, GError **error)
{
    bool is_post = g_str_equal(method, "POST");
    g_autofree char *length = g_strdup_printf("CONTENT_LENGTH=%zu", is_post ? strlen(text) : 0);
    g_autofree char *verb = g_strdup_printf("REQUEST_METHOD=%s", method);
    g_autofree char *query = g_strdup_printf("QUERY_STRING=%s", is_post ? "" : text);
    const char *environment[] = {verb,
                                 query,
                                 length,
                                 "CONTENT_TYPE=application/x-www-form-urlencoded",
                                 "SCRIPT_NAME=/cgi-bin/qemu-web-desktop.cgi",
                                 NULL};
    g_autoptr(Settings) settings = test_settings();
    g_autoptr(Request) request = test_request_new(environment, text, is_post ? strlen(text) : 0);
    return request_load(request, settings, error) ? g_steal_pointer(&request) : NULL;
}
