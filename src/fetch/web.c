/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "fetch/web.h"

#include <curl/curl.h>
#include <string.h>

#include "base/error.h"
#include "base/units.h"

#define REDIRECTS_MAX 10
#define CONNECT_DEADLINE_S 30
#define BYTES_MAX G_GINT64_CONSTANT(9000000000000000)

typedef struct {
    const WebSink *sink;
    CURL *curl;
    struct curl_slist *headers;
    char trouble[CURL_ERROR_SIZE];
    char *etag, *modified_at, *range, *type, *encoding;
    bool has_begun;
    GError *error; /* of the sink, or of begin_answer */
} Call;

static void call_clear(Call *call)
{
    curl_slist_free_all(call->headers);
    g_clear_pointer(&call->curl, curl_easy_cleanup);
    g_free(call->etag);
    g_free(call->modified_at);
    g_free(call->range);
    g_free(call->type);
    g_free(call->encoding);
    g_clear_error(&call->error);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Call, call_clear)

/* --- the answer's head --- */

/* CURLOPT_HEADERFUNCTION: one line with its end. */
static size_t on_header(char *line, size_t size, size_t count, void *data)
{
    Call *call = data;
    const struct {
        const char *name;
        char **place;
    } wanted[] = {{"etag:", &call->etag},
                  {"last-modified:", &call->modified_at},
                  {"content-range:", &call->range},
                  {"content-type:", &call->type},
                  {"content-encoding:", &call->encoding}};
    g_autofree char *text = g_strndup(line, size * count);
    for (size_t i = 0; i < G_N_ELEMENTS(wanted); i++) {
        if (g_ascii_strncasecmp(text, wanted[i].name, strlen(wanted[i].name)) != 0)
            continue;
        g_free(*wanted[i].place);
        *wanted[i].place = g_strstrip(g_strdup(text + strlen(wanted[i].name)));
    }
    return size * count;
}

static long status_of(const Call *call)
{
    long status = 0;
    curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

/* "bytes 100-199/1000" (RFC 9110, 14.4); the total may be "*". */
static bool parse_range(const char *text, gint64 *begin, gint64 *total)
{
    const char *slash = strchr(text, '/'), *dash = strchr(text, '-');
    if (!g_str_has_prefix(text, "bytes ") || !slash || !dash || dash > slash)
        return false;
    g_autofree char *first = g_strndup(text + strlen("bytes "), (gsize)(dash - text) - strlen("bytes "));
    *total = -1;
    return units_parse_integer(first, 0, BYTES_MAX, begin) &&
           (g_str_equal(slash, "/*") || units_parse_integer(slash + 1, 0, BYTES_MAX, total));
}

static const char *text_or_empty(const char *text)
{
    return text ? text : "";
}

/* Sign-in pages of networks answer every address with a page of theirs. */
static bool check_content(const Call *call, GError **error)
{
    if (g_str_has_prefix(text_or_empty(call->type), "text/html"))
        return qwd_error_fail(error, QWD_ERROR_DENIED, "The server sends a web page, not a file.");
    bool plain = !call->encoding || g_str_equal(call->encoding, "identity");
    return plain ||
           qwd_error_fail(error, QWD_ERROR_DENIED, "The server sends the file in the encoding %s.", call->encoding);
}

static bool begin_answer(Call *call, GError **error)
{
    curl_off_t length = -1;
    curl_easy_getinfo(call->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    bool is_weak = g_str_has_prefix(text_or_empty(call->etag), "W/");
    WebResponse response = {.is_partial = status_of(call) == 206,
                            .total = length,
                            .etag = is_weak ? "" : text_or_empty(call->etag),
                            .modified_at = text_or_empty(call->modified_at)};
    if (response.is_partial && !parse_range(text_or_empty(call->range), &response.begin, &response.total))
        return qwd_error_fail(error, QWD_ERROR_DENIED, "The server does not say which part of the file it sends.");
    return check_content(call, error) && call->sink->begin(&response, call->sink->data, error);
}

static bool is_wanted(const Call *call)
{
    long status = status_of(call);
    return status == 200 || status == 206;
}

static bool begin_once(Call *call)
{
    if (!call->has_begun && !call->error)
        call->has_begun = begin_answer(call, &call->error);
    return call->has_begun && !call->error;
}

/* CURLOPT_WRITEFUNCTION. What comes with redirects and errors is not looked at. */
static size_t on_data(char *bytes, size_t size, size_t count, void *data)
{
    Call *call = data;
    if (!is_wanted(call))
        return size * count;
    bool good = begin_once(call) && call->sink->take(bytes, size * count, call->sink->data, &call->error);
    return good ? size * count : CURL_WRITEFUNC_ERROR;
}

/* --- asking --- */

static CURLcode set_numbers(CURL *curl, const WebOptions *options)
{
    const struct {
        CURLoption option;
        long value;
    } numbers[] = {
        {CURLOPT_SSL_VERIFYPEER, 1},
        {CURLOPT_SSL_VERIFYHOST, 2},
        {CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2},
        {CURLOPT_NETRC, CURL_NETRC_IGNORED},
        {CURLOPT_FOLLOWLOCATION, 0}, /* web_get does it, and looks where they lead */
        {CURLOPT_SUPPRESS_CONNECT_HEADERS, 1},
        {CURLOPT_NOSIGNAL, 1},
        {CURLOPT_NOPROGRESS, 1},
        {CURLOPT_CONNECTTIMEOUT, MIN(CONNECT_DEADLINE_S, options->patience_s)},
        {CURLOPT_LOW_SPEED_LIMIT, 1},
        {CURLOPT_LOW_SPEED_TIME, options->patience_s},
    };
    CURLcode result = CURLE_OK;
    for (size_t i = 0; i < G_N_ELEMENTS(numbers) && result == CURLE_OK; i++)
        result = curl_easy_setopt(curl, numbers[i].option, numbers[i].value);
    return result;
}

/* A proxy that is set holds for all but what no_proxy names; libcurl looks at no_proxy by itself for those of the
 * environment alone. */
static CURLcode set_proxy(CURL *curl, const char *proxy)
{
    const char *without = g_getenv("no_proxy") ? g_getenv("no_proxy") : g_getenv("NO_PROXY");
    if (!*proxy)
        return CURLE_OK;
    CURLcode result = curl_easy_setopt(curl, CURLOPT_PROXY, proxy);
    return result == CURLE_OK && without ? curl_easy_setopt(curl, CURLOPT_NOPROXY, without) : result;
}

static CURLcode set_texts(Call *call, const WebOptions *options, const char *url)
{
    const struct {
        CURLoption option;
        const char *value;
    } texts[] = {{CURLOPT_URL, url},
                 {CURLOPT_PROTOCOLS_STR, "http,https"},
                 {CURLOPT_USERAGENT, "qemu-web-desktop"},
                 {CURLOPT_CAINFO, options->authorities}};
    CURLcode result = set_proxy(call->curl, options->proxy);
    for (size_t i = 0; i < G_N_ELEMENTS(texts) && result == CURLE_OK; i++) {
        if (*texts[i].value)
            result = curl_easy_setopt(call->curl, texts[i].option, texts[i].value);
    }
    return result == CURLE_OK && *options->authorities ? curl_easy_setopt(call->curl, CURLOPT_CAPATH, NULL) : result;
}

static CURLcode set_range(Call *call, const WebRequest *request)
{
    if (request->begin <= 0)
        return CURLE_OK;
    g_autofree char *range = g_strdup_printf("%" G_GINT64_FORMAT "-", request->begin);
    g_autofree char *condition = g_strconcat("If-Range: ", request->validator, NULL);
    call->headers = curl_slist_append(NULL, condition);
    CURLcode result = curl_easy_setopt(call->curl, CURLOPT_RANGE, range);
    return result == CURLE_OK ? curl_easy_setopt(call->curl, CURLOPT_HTTPHEADER, call->headers) : result;
}

static CURLcode set_receivers(Call *call)
{
    CURLcode result = curl_easy_setopt(call->curl, CURLOPT_ERRORBUFFER, call->trouble);
    if (result == CURLE_OK)
        result = curl_easy_setopt(call->curl, CURLOPT_HEADERFUNCTION, on_header);
    if (result == CURLE_OK)
        result = curl_easy_setopt(call->curl, CURLOPT_HEADERDATA, call);
    if (result == CURLE_OK)
        result = curl_easy_setopt(call->curl, CURLOPT_WRITEFUNCTION, on_data);
    return result == CURLE_OK ? curl_easy_setopt(call->curl, CURLOPT_WRITEDATA, call) : result;
}

static CURLcode perform(Call *call, const WebOptions *options, const WebRequest *request, const char *url)
{
    call->curl = curl_easy_init();
    CURLcode result = call->curl ? set_receivers(call) : CURLE_FAILED_INIT;
    if (result == CURLE_OK)
        result = set_numbers(call->curl, options);
    if (result == CURLE_OK)
        result = set_texts(call, options, url);
    if (result == CURLE_OK)
        result = set_range(call, request);
    return result == CURLE_OK ? curl_easy_perform(call->curl) : result;
}

/* --- what came of it --- */

static bool fail_transport(const Call *call, const char *url, CURLcode result, GError **error)
{
    static const struct {
        CURLcode result;
        QwdErrorKind kind;
        const char *words;
    } table[] = {
        {CURLE_UNSUPPORTED_PROTOCOL, QWD_ERROR_USAGE, "only http:// and https:// are read"},
        {CURLE_URL_MALFORMAT, QWD_ERROR_USAGE, "this is no address"},
        {CURLE_COULDNT_RESOLVE_HOST, QWD_ERROR_UNAVAILABLE, "there is no host of that name"},
        {CURLE_COULDNT_RESOLVE_PROXY, QWD_ERROR_UNAVAILABLE, "there is no proxy of that name"},
        {CURLE_COULDNT_CONNECT, QWD_ERROR_UNAVAILABLE, "nobody answers there"},
        {CURLE_OPERATION_TIMEDOUT, QWD_ERROR_TIMEOUT, "nothing has come for too long (download_patience)"},
        {CURLE_PEER_FAILED_VERIFICATION, QWD_ERROR_DENIED, "the server's certificate is not to be trusted"},
        {CURLE_SSL_CACERT_BADFILE, QWD_ERROR_CONFIG, "the file download_ca cannot be read or holds no certificates"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
        if (table[i].result == result)
            return qwd_error_fail(error, table[i].kind, "%s: %s", url, table[i].words);
    }
    const char *words = *call->trouble ? call->trouble : curl_easy_strerror(result);
    return qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "%s: %s", url, words);
}

static bool fail_status(long status, const char *url, GError **error)
{
    if (status == 416) /* range not satisfiable */
        return qwd_error_fail(error, QWD_ERROR_CONFLICT, "%s: the server has less than is there already", url);
    QwdErrorKind kind = status == 404 || status == 410                    ? QWD_ERROR_NOT_FOUND
                        : status == 401 || status == 403 || status == 407 ? QWD_ERROR_DENIED
                                                                          : QWD_ERROR_UNAVAILABLE;
    return qwd_error_fail(error, kind, "%s: the server answers with status %ld", url, status);
}

/* Where a redirect leads; NULL with an error when that is not gone after. */
static char *next_url(const Call *call, const char *url, GError **error)
{
    char *next = NULL;
    curl_easy_getinfo(call->curl, CURLINFO_REDIRECT_URL, &next);
    bool is_safe = next && (g_ascii_strncasecmp(url, "https:", 6) != 0 || g_ascii_strncasecmp(next, "https:", 6) == 0);
    if (is_safe)
        return g_strdup(next);
    if (next)
        qwd_error_fail(error, QWD_ERROR_DENIED, "%s: leads to %s, which is not protected", url, next);
    else
        fail_status(status_of(call), url, error);
    return NULL;
}

/* One request. *redirect is where to ask next, NULL when this was the answer. */
static bool ask(const WebOptions *options, const WebRequest *request, const WebSink *sink, char **redirect,
                GError **error)
{
    g_auto(Call) call = {.sink = sink};
    CURLcode result = perform(&call, options, request, request->url);
    if (call.error) {
        g_propagate_prefixed_error(error, g_steal_pointer(&call.error), "%s: ", request->url);
        return false;
    }
    if (result != CURLE_OK)
        return fail_transport(&call, request->url, result, error);
    long status = status_of(&call);
    if (status >= 300 && status < 400)
        return (*redirect = next_url(&call, request->url, error)) != NULL;
    if (!is_wanted(&call))
        return fail_status(status, request->url, error);
    if (begin_once(&call))
        return true;
    g_propagate_prefixed_error(error, g_steal_pointer(&call.error), "%s: ", request->url);
    return false;
}

bool web_get(const WebOptions *options, const WebRequest *request, const WebSink *sink, GError **error)
{
    g_autofree char *url = g_strdup(request->url);
    for (int i = 0; i < REDIRECTS_MAX; i++) {
        g_autofree char *redirect = NULL;
        WebRequest step = {url, request->begin, request->validator};
        if (!ask(options, &step, sink, &redirect, error))
            return false;
        if (!redirect)
            return true;
        g_free(url);
        url = g_steal_pointer(&redirect);
    }
    return qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "%s: it leads in circles", request->url);
}

/* --- small texts --- */

typedef struct {
    GString *text;
    size_t max_bytes;
} TextSink;

static bool text_begin(const WebResponse *response, void *data, GError **error)
{
    (void)data;
    return !response->is_partial ||
           qwd_error_fail(error, QWD_ERROR_DENIED, "The server sends a part of the file only.");
}

static bool text_take(const char *bytes, size_t length, void *data, GError **error)
{
    TextSink *sink = data;
    g_string_append_len(sink->text, bytes, (gssize)length);
    return sink->text->len <= sink->max_bytes ||
           qwd_error_fail(error, QWD_ERROR_TOO_LARGE, "The file is larger than %zu bytes.", sink->max_bytes);
}

char *web_get_text(const WebOptions *options, const char *url, size_t max_bytes, GError **error)
{
    TextSink text = {g_string_new(NULL), max_bytes};
    WebSink sink = {text_begin, text_take, &text};
    WebRequest request = {.url = url};
    bool good = web_get(options, &request, &sink, error);
    char *result = g_string_free(text.text, FALSE);
    if (!good)
        g_clear_pointer(&result, g_free);
    return result;
}
