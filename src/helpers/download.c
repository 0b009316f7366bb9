/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwd-download: puts one image into dir_machines. Standard input is a JSON object:
 *
 *   {"name": "debian.qcow2", "url": "https://...", "sha256": "..."}   downloads
 *   {"name": "debian.qcow2", "url": "/srv/debian.qcow2"}    copies that file; also file:///...
 *   {"name": "debian.qcow2", "copy": true}       copies the file that is descriptor 3
 *   {"name": "debian.qcow2", "inspect": true}    only looks at an image that is there
 *
 * Each may have "sha256" or "sha256_url", which is then compared.
 *
 * Standard output has a JSON object on each line: {"phase": "download", "done": BYTES, "total": BYTES or -1} as it
 * goes, and at the end {"error": TEXT} unless all is well. The exit code is that of the kind of error. Started by root
 * it becomes the service account before it does anything: what comes from the web, and what an image claims to be, is
 * looked at without rights. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/usage.h"
#include "base/account.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/sandbox.h"
#include "core/machine.h"
#include "core/store.h"
#include "fetch/checksum.h"
#include "fetch/copy.h"
#include "fetch/transfer.h"
#include "vm/image.h"

#define REQUEST_MAX_BYTES 65536
#define LIST_MAX_BYTES (1024 * 1024)
#define SOURCE_FD 3
#define REPORT_EVERY_US 200000
#define MIB (1024 * 1024)

typedef struct {
    const Settings *settings;
    const json_t *request;
    const char *name;
    char *target;
    WebOptions web;
} Job;

static void job_clear(Job *job)
{
    g_free(job->target);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Job, job_clear)

/* --- telling --- */

static void print_line(json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT);
    puts(text);
    fflush(stdout);
    free(text);
    json_decref(object);
}

static void tell(const char *phase, gint64 done, gint64 total)
{
    print_line(json_pack("{s:s, s:I, s:I}", "phase", phase, "done", (json_int_t)done, "total", (json_int_t)total));
}

static void tell_now_and_then(const char *phase, gint64 done, gint64 total)
{
    static gint64 last_us;
    gint64 now_us = g_get_monotonic_time();
    if (done == total || now_us - last_us >= REPORT_EVERY_US) {
        last_us = now_us;
        tell(phase, done, total);
    }
}

static void on_download(gint64 done, gint64 total, void *data)
{
    (void)data;
    tell_now_and_then("download", done, total);
}

static void on_copy(gint64 done, gint64 total, void *data)
{
    (void)data;
    tell_now_and_then("copy", done, total);
}

/* --- what it should be --- */

/* The name in a list of checksums: the last part of the address, without its query; "" when there is no address. Free
 * with g_free. */
static char *url_file_name(const char *url)
{
    g_autofree char *path = g_strndup(url, strcspn(url, "?#"));
    const char *slash = strrchr(path, '/');
    g_autofree char *decoded = slash ? g_uri_unescape_string(slash + 1, NULL) : NULL;
    return g_strdup(decoded ? decoded : "");
}

static char *listed_checksum(const Job *job, const char *list_url, GError **error)
{
    g_autofree char *file_name = url_file_name(json_get_text(job->request, "url", ""));
    g_autofree char *list = web_get_text(&job->web, list_url, LIST_MAX_BYTES, error);
    if (!list)
        return NULL;
    char *found = checksum_find(list, file_name);
    if (!found)
        found = checksum_find(list, job->name);
    if (!found)
        qwd_error_fail(error, QWD_ERROR_NOT_FOUND, "%s does not list %s.", list_url,
                       *file_name ? file_name : job->name);
    return found;
}

/* The checksum that the image must have; *expected is NULL when none is known. */
static bool find_expected(const Job *job, char **expected, GError **error)
{
    const char *given = json_get_text(job->request, "sha256", ""),
               *list = json_get_text(job->request, "sha256_url", "");
    if (*given && !checksum_is_well_formed(given))
        return qwd_error_fail(error, QWD_ERROR_CONFIG, "[%s] sha256 = %s is not a SHA-256 (64 hexadecimal digits).",
                              job->name, given);
    *expected = *given ? g_ascii_strdown(given, -1) : NULL;
    if (*given || !*list)
        return true;
    *expected = listed_checksum(job, list, error);
    return *expected != NULL;
}

static bool has_sum(const Job *job, int fd, const char *expected, GError **error)
{
    struct stat st = {0};
    if (!expected)
        return true;
    fstat(fd, &st);
    tell("check", st.st_size, st.st_size);
    g_autofree char *found = checksum_of_file(fd, error);
    return found &&
           (g_str_equal(found, expected) ||
            qwd_error_fail(error, QWD_ERROR_DENIED,
                           "%s does not have the checksum it should have, so it is not used. Expected %s, found %s.",
                           job->name, expected, found));
}

static bool check_sum(const Job *job, Part *part, const char *expected, GError **error)
{
    if (has_sum(job, part->fd, expected, error))
        return true;
    part_discard(part);
    return false;
}

static bool inspect(const Job *job, const char *path, GError **error)
{
    g_auto(ImageInfo) info = {0};
    return image_inspect(path, job->settings->dir_machines, &info, error);
}

/* --- taking the place of an image --- */

static bool refuse_replacing(const GError *cause, const char *more, GError **error)
{
    bool is_needed = g_error_matches(cause, QWD_ERROR, QWD_ERROR_CONFLICT);
    return qwd_error_fail(error, cause->code, "%s%s%s", cause->message,
                          is_needed ? " Or enable the new image under another name." : "", more);
}

/* Who stands on the old image cannot stand on another one. */
static bool may_replace(const Job *job, GError **error)
{
    g_autoptr(GError) cause = NULL;
    return !g_file_test(job->target, G_FILE_TEST_EXISTS) ||
           (usage_refuse_machines(job->settings, job->target, job->name, &cause) &&
            usage_refuse_sessions(job->settings, job->target, &cause)) ||
           refuse_replacing(cause, "", error);
}

/* No session begins on the old image while the new one takes its place: what takes long is done before the lock. */
static bool put_in_place(const Job *job, Part *part, GError **error)
{
    if (!g_file_test(job->target, G_FILE_TEST_EXISTS))
        return part_finish(part, error);
    if (!usage_refuse_machines(job->settings, job->target, job->name, error))
        return false;
    autofd int lock = store_lock(job->settings, error);
    return lock >= 0 && usage_refuse_sessions(job->settings, job->target, error) && part_finish(part, error);
}

static bool refuse_keeping(const Job *job, const Part *part, const GError *cause, GError **error)
{
    bool is_kept = part->validator && *part->validator;
    g_autofree char *name = g_shell_quote(job->name);
    g_autofree char *next = g_strdup_printf(" What was downloaded is kept; then: qwdctl download %s", name);
    return refuse_replacing(cause, is_kept ? next : "", error);
}

/* Before it gets its name: what is refused was never there. What only cannot take its place now stays a part. */
static bool offer(const Job *job, Part *part, GError **error)
{
    g_autoptr(GError) cause = NULL;
    if (!inspect(job, part->path, error)) {
        part_discard(part);
        return false;
    }
    return part_save(part, error) && (put_in_place(job, part, &cause) || refuse_keeping(job, part, cause, error));
}

/* --- the ways --- */

static bool download(const Job *job, GError **error)
{
    g_auto(Part) part = PART_INIT;
    g_autofree char *expected = NULL;
    const char *url = json_get_text(job->request, "url", "");
    TransferOptions options = {.web = &job->web,
                               .url = url,
                               .reserve_bytes = job->settings->service_min_free_disk * MIB,
                               .progress = on_download};
    return may_replace(job, error) && part_open(&part, job->target, url, error) &&
           find_expected(job, &expected, error) && transfer_run(&options, &part, error) &&
           check_sum(job, &part, expected, error) && offer(job, &part, error);
}

static bool check_room(const Job *job, int source, const Part *part, GError **error)
{
    struct stat st;
    gint64 needed = fstat(source, &st) == 0 ? (gint64)st.st_blocks * 512 : 0;
    return needed <= part_free_bytes(part) - job->settings->service_min_free_disk * MIB ||
           qwd_error_fail(error, QWD_ERROR_LIMIT, "The disk of %s has too little room for %s.",
                          job->settings->dir_machines, job->name);
}

static bool copy(const Job *job, int source, GError **error)
{
    g_auto(Part) part = PART_INIT;
    g_autofree char *expected = NULL;
    return part_open(&part, job->target, "", error) && find_expected(job, &expected, error) &&
           check_room(job, source, &part, error) && copy_file(source, part.fd, on_copy, NULL, error) &&
           check_sum(job, &part, expected, error) && offer(job, &part, error);
}

static bool copy_given(const Job *job, GError **error)
{
    if (g_file_test(job->target, G_FILE_TEST_EXISTS))
        return qwd_error_fail(error, QWD_ERROR_CONFLICT, "%s exists already.", job->target);
    return copy(job, SOURCE_FD, error);
}

/* The file that an address is, NULL when it is one of the web. Free with g_free. */
static char *local_path(const char *url)
{
    return *url == '/' ? g_strdup(url) : g_str_has_prefix(url, "file:") ? g_filename_from_uri(url, NULL, NULL) : NULL;
}

/* Opened with the rights of the service account, which can write some of the entries itself; a pipe is not waited for.
 */
static bool copy_local(const Job *job, const char *path, GError **error)
{
    if (!may_replace(job, error))
        return false;
    autofd int source = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (source < 0)
        return qwd_error_fail(error, errno == ENOENT ? QWD_ERROR_NOT_FOUND : QWD_ERROR_DENIED,
                              "%s cannot be read by the service account: %s.", path, g_strerror(errno));
    return copy(job, source, error);
}

static bool fetch(const Job *job, GError **error)
{
    g_autofree char *path = local_path(json_get_text(job->request, "url", ""));
    return path ? copy_local(job, path, error) : download(job, error);
}

static bool look(const Job *job, GError **error)
{
    g_autofree char *expected = NULL;
    if (!inspect(job, job->target, error) || !find_expected(job, &expected, error))
        return false;
    autofd int fd = open(job->target, O_RDONLY | O_CLOEXEC);
    return fd >= 0 ? has_sum(job, fd, expected, error) : qwd_error_errno(error, errno, "Cannot open %s", job->target);
}

static bool run(const Settings *settings, const json_t *request, GError **error)
{
    g_auto(Job) job = {
        .settings = settings,
        .request = request,
        .name = json_get_text(request, "name", ""),
        .web = {settings->service_proxy, settings->download_ca, (int)settings->download_patience},
    };
    if (!machine_name_is_valid(job.name))
        return qwd_error_fail(error, QWD_ERROR_USAGE, "\"%s\" cannot be the name of a machine.", job.name);
    job.target = g_build_filename(settings->dir_machines, job.name, NULL);
    if (json_get_bool(request, "inspect", false))
        return look(&job, error);
    return json_get_bool(request, "copy", false) ? copy_given(&job, error) : fetch(&job, error);
}

static json_t *read_request(GError **error)
{
    g_autofree char *text = g_malloc(REQUEST_MAX_BYTES);
    size_t length = fread(text, 1, REQUEST_MAX_BYTES, stdin);
    return json_object_parse(text, length, error);
}

/* A change of account takes the bond with qwdctl away, which is ended with Ctrl-C or otherwise. */
static bool become_service(const Settings *settings, GError **error)
{
    pid_t parent = getppid();
    if (!account_drop(settings->service_user, error))
        return false;
    return (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent) ||
           qwd_error_fail(error, QWD_ERROR_CANCELLED, "qwdctl has ended meanwhile.");
}

/* Before anything comes from the web. Where images go, and where the lock of the sessions is, can be written. */
static bool give_up_rights(const Settings *settings, GError **error)
{
    const char *folders[] = {settings->dir_machines, settings->dir_snapshots, NULL};
    if (!become_service(settings, error))
        return false;
    g_mkdir_with_parents(settings->dir_machines, 0755);
    sandbox_write_below(folders);
    return true;
}

int main(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Settings) settings = settings_load(settings_default_file(), false, NULL, &error);
    g_autoptr(JsonValue) request = settings ? read_request(&error) : NULL;
    if (request && give_up_rights(settings, &error) && run(settings, request, &error))
        return 0;
    print_line(json_pack("{s:s}", "error", error->message));
    return qwd_error_traits(error)->exit_code;
}
