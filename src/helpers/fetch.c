/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwd-fetch: gets a small text from an address (http or https) that stands on standard input, and writes it to standard
 * output when all of it is there. Exit code 0: done; otherwise a line on standard error says why not. Ends within 30
 * seconds, or 64 KiB. Certificates are checked; redirections are followed to http and https only, from
 * https to https alone. */
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/sandbox.h"
#include "base/text.h"
#include "core/arguments.h"
#include "core/script.h"

#define URL_MAX_BYTES 4096
#define DEADLINE_S 30L
#define REDIRECTIONS_MAX 5L

static char *read_url(GError **error)
{
    char buffer[URL_MAX_BYTES + 1];
    size_t length = fread(buffer, 1, URL_MAX_BYTES, stdin);
    buffer[length] = '\0';
    g_strstrip(buffer);
    if (!text_has_controls(buffer) && (g_str_has_prefix(buffer, "https://") || g_str_has_prefix(buffer, "http://")))
        return g_strdup(buffer);
    qwd_error_fail(error, QWD_ERROR_USAGE, "write an address with https:// or http:// to standard input.");
    return NULL;
}

static size_t on_data(char *data, size_t size, size_t count, void *user)
{
    GString *text = user;
    if (text->len + size * count > SCRIPT_MAX_BYTES)
        return 0;
    g_string_append_len(text, data, (gssize)(size * count));
    return size * count;
}

static void set_options(CURL *curl, const char *url, const Settings *settings, GString *text)
{
    bool is_secure = g_str_has_prefix(url, "https:");
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, is_secure ? "https" : "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, REDIRECTIONS_MAX);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, DEADLINE_S);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "qemu-web-desktop/" QWD_VERSION);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, text);
    if (*settings->service_proxy)
        curl_easy_setopt(curl, CURLOPT_PROXY, settings->service_proxy);
    if (*settings->download_ca)
        curl_easy_setopt(curl, CURLOPT_CAINFO, settings->download_ca);
}

static bool get(const char *url, const Settings *settings, GString *text, GError **error)
{
    char words[CURL_ERROR_SIZE] = "";
    CURL *curl = curl_easy_init();
    if (!curl)
        return qwd_error_fail(error, QWD_ERROR_INTERNAL, "libcurl cannot be started.");
    set_options(curl, url, settings, text);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, words);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_cleanup(curl);
    if (code == CURLE_WRITE_ERROR)
        return qwd_error_fail(error, QWD_ERROR_TOO_LARGE, "%s is longer than %d bytes.", url, SCRIPT_MAX_BYTES);
    if (code != CURLE_OK)
        return qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "%s could not be fetched: %s", url,
                              *words ? words : curl_easy_strerror(code));
    return strlen(text->str) == text->len || qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "%s is no text.", url);
}

static bool run(int argc, char **argv, GError **error)
{
    g_auto(Arguments) arguments = {0};
    g_autoptr(GString) text = g_string_new(NULL);
    g_autofree char *url = NULL;
    if (!arguments_read(&arguments, argc, argv, error) || !(url = read_url(error)) ||
        !get(url, arguments.settings, text, error))
        return false;
    return fwrite(text->str, 1, text->len, stdout) == text->len && fflush(stdout) == 0;
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    sandbox_read_only();
    curl_global_init(CURL_GLOBAL_DEFAULT);
    bool good = run(argc, argv, &error);
    curl_global_cleanup();
    if (good)
        return 0;
    fprintf(stderr, "qwd-fetch: %s\n", error ? error->message : "cannot write");
    return qwd_error_traits(error)->exit_code;
}
