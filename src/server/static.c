/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "server/static.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "server/gzip.h"
#include "server/path.h"
#include "server/routes.h"

/* Our own pages have neither inline script nor inline style. */
#define OWN_POLICY                                                                                                     \
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "               \
    "frame-ancestors 'self'"

/* noVNC sets styles, draws cursors from data: addresses, and from 1.5 on begins with an inline script, so its scripts
 * cannot be restricted here. That it connects to this server only is what matters: a link could name another host. */
#define NOVNC_POLICY                                                                                                   \
    "connect-src 'self' ws://%s wss://%s; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors "    \
    "'self'"

/* Where Debian's packages keep files that noVNC's may link to. */
#define SHARED_FOLDER "/usr/share"

typedef struct {
    const char *folder;
    const char *relative;
    const char *also_below;
    const char *policy;
} File;

static int open_file(const File *file, struct stat *st, GError **error)
{
    g_autofree char *path = path_resolve(file->folder, file->relative, file->also_below, error);
    if (!path)
        return -1;
    autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd >= 0 && fstat(fd, st) == 0 && S_ISREG(st->st_mode) && path_media_type(file->relative))
        return fd_steal(&fd);
    qwd_error_fail(error, QWD_ERROR_NOT_FOUND, "There is no such page.");
    return -1;
}

/* How a file is sent to this client. */
typedef struct {
    const char *type;
    bool compressed;
    char etag[64]; /* the compressed form is another one (RFC 9110, 8.8.3.3) */
} Form;

static Form form_of(const Request *request, const File *file, const struct stat *st)
{
    Form form = {.type = path_media_type(file->relative)};
    form.compressed =
        gzip_is_worthwhile(form.type, st->st_size) && gzip_is_accepted(request_header(request, "Accept-Encoding"));
    g_snprintf(form.etag, sizeof form.etag, "\"%llx-%llx-%lx%s\"", (unsigned long long)st->st_size,
               (unsigned long long)st->st_mtim.tv_sec, (unsigned long)st->st_mtim.tv_nsec,
               form.compressed ? "-gzip" : "");
    return form;
}

/* RFC 9110, 13.1.2: a list of tags or "*", compared weakly. */
static bool client_has(const Request *request, const char *etag)
{
    const char *tags = request_header(request, "If-None-Match");
    g_autofree char *weak = g_strconcat("W/", etag, NULL);
    return request_header_has(request, "If-None-Match", etag) || request_header_has(request, "If-None-Match", weak) ||
           (tags && g_str_equal(tags, "*"));
}

/* Pages are asked for again each time, so that a link never shows yesterday's; what they load, every five minutes. */
static void add_file_headers(struct MHD_Response *response, const Form *form)
{
    bool page = g_str_has_prefix(form->type, "text/html");
    MHD_add_response_header(response, "Content-Type", form->type);
    MHD_add_response_header(response, "ETag", form->etag);
    MHD_add_response_header(response, "Vary", "Accept-Encoding");
    MHD_add_response_header(response, "Cache-Control", page ? "no-cache" : "max-age=300");
}

static struct MHD_Response *respond_compressed(int fd, const struct stat *st)
{
    g_autoptr(GByteArray) bytes = gzip_file(fd, st->st_size);
    if (!bytes)
        return NULL;
    struct MHD_Response *response = MHD_create_response_from_buffer(bytes->len, bytes->data, MHD_RESPMEM_MUST_COPY);
    if (response)
        MHD_add_response_header(response, "Content-Encoding", "gzip");
    return response;
}

static struct MHD_Response *respond_whole(int fd, const struct stat *st)
{
    return MHD_create_response_from_fd((uint64_t)st->st_size, fd);
}

static struct MHD_Response *respond(const Request *request, int fd, const struct stat *st, const Form *form,
                                    unsigned *status)
{
    autofd int owned = fd;
    if (client_has(request, form->etag)) {
        *status = MHD_HTTP_NOT_MODIFIED;
        return MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
    }
    *status = MHD_HTTP_OK;
    return form->compressed ? respond_compressed(owned, st) : respond_whole(fd_steal(&owned), st);
}

static enum MHD_Result serve(Request *request, const File *file)
{
    g_autoptr(GError) error = NULL;
    struct stat st;
    autofd int fd = open_file(file, &st, &error);
    if (fd < 0)
        return request_reply_error(request, error);
    unsigned status;
    Form form = form_of(request, file, &st);
    struct MHD_Response *response = respond(request, fd_steal(&fd), &st, &form, &status);
    if (!response)
        return MHD_NO;
    add_file_headers(response, &form);
    MHD_add_response_header(response, "Content-Security-Policy", file->policy);
    return request_reply(request, status, response);
}

/* The form as a file, where there is one; the program makes the same page with each request. */
enum MHD_Result static_page(Request *request)
{
    const char *page = server_options(request->server)->settings->file_page;
    if (access(page, R_OK) < 0)
        return request_redirect(request, server_base(request->server, BASE_SCRIPT));
    g_autofree char *folder = g_path_get_dirname(page);
    g_autofree char *name = g_path_get_basename(page);
    File file = {folder, name, NULL, OWN_POLICY};
    return serve(request, &file);
}

static bool is_offered(const Request *request, const char *language)
{
    char *const *offered = server_options(request->server)->settings->languages;
    return g_strv_contains((const char *const *)offered, language);
}

/* index.LANG.html beside it; the program knows the language as well. */
enum MHD_Result static_translated_page(Request *request)
{
    const Settings *settings = server_options(request->server)->settings;
    g_autofree char *folder = g_path_get_dirname(settings->file_page);
    g_autofree char *name = g_strconcat("index.", routes_rest(request), NULL);
    g_autofree char *language = g_strndup(routes_rest(request), strcspn(routes_rest(request), "."));
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autofree char *program = g_strconcat(server_base(request->server, BASE_SCRIPT), "?lang=", language, NULL);
    if (is_offered(request, language) && g_str_has_suffix(name, ".html") && access(path, R_OK) < 0)
        return request_redirect(request, program);
    File file = {folder, is_offered(request, language) ? name : "none", NULL, OWN_POLICY};
    return serve(request, &file);
}

/* The administrator's, for machines and as a logo. */
enum MHD_Result static_picture(Request *request)
{
    g_autofree char *folder = g_build_filename(server_options(request->server)->settings->dir_layout, "pictures", NULL);
    File file = {folder, routes_rest(request), NULL, OWN_POLICY};
    return serve(request, &file);
}

/* The catalogues of the pages' texts are beside the folder, for scripts they seem to be in it. */
enum MHD_Result static_asset(Request *request)
{
    bool is_catalogue = g_str_has_prefix(routes_rest(request), "i18n/");
    g_autofree char *folder =
        g_build_filename(server_options(request->server)->settings->dir_html, is_catalogue ? "." : "static", NULL);
    File file = {folder, routes_rest(request), NULL, OWN_POLICY};
    return serve(request, &file);
}

enum MHD_Result static_module(Request *request)
{
    g_autofree char *relative = g_strconcat(request->route->path + strlen(STATIC_MODULES), routes_rest(request), NULL);
    File file = {server_options(request->server)->settings->dir_novnc, relative, SHARED_FOLDER, OWN_POLICY};
    return serve(request, &file);
}

enum MHD_Result static_novnc(Request *request)
{
    /* A known name: dispatch has checked it. */
    const char *host = request_header(request, "Host");
    g_autofree char *policy = g_strdup_printf(NOVNC_POLICY, host, host);
    File file = {server_options(request->server)->settings->dir_novnc, routes_rest(request), SHARED_FOLDER, policy};
    return serve(request, &file);
}
