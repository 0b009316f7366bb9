/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The values of landing.html: what runs and what is free, machines on offer, choices of size and life-time. */
#include <sys/stat.h>

#include "app/gpu.h"
#include "app/queue.h"
#include "auth/backends.h"
#include "base/json.h"
#include "core/choices.h"
#include "core/folder.h"
#include "core/limits.h"
#include "core/link.h"
#include "core/queue.h"
#include "web/catalogue.h"
#include "web/choice.h"
#include "web/layout.h"
#include "web/page_life.h"
#include "web/pages.h"
#include "web/response.h"

/* A machine that whoever asks may use, and what may be chosen for it. */
typedef struct {
    const Machine *machine;
    Choices choices;
} Offer;

/* Nobody is to choose what the limits for one user refuse whoever asks. */
static void keep_to_share(const Settings *settings, const Host *host, Choices *choices)
{
    choices->cpus_max = MIN(choices->cpus_max, limits_own_cpus_max(settings, host->cpus));
    choices->memory_max_mib = MIN(choices->memory_max_mib, limits_own_memory_max_mib(settings, host->memory_mib));
}

/* The page that is a file is made for nobody in particular: it has what is for everybody. A broken list in the settings
 * is told when somebody creates a session. */
static GArray *offers_of(const PageContext *context, const GPtrArray *machines)
{
    g_auto(Host) host = {0};
    GArray *offers = g_array_new(FALSE, TRUE, sizeof(Offer));
    host_read(&host);
    for (guint i = 0; i < machines->len; i++) {
        Offer offer = {.machine = machines->pdata[i]};
        if (!machine_is_present(offer.machine) || !choices_include(offer.machine, context->who))
            continue;
        if (!choices_read(context->settings, offer.machine, context->who, &offer.choices, NULL))
            offer.choices = (Choices){G_MAXINT64, G_MAXINT64, G_MAXINT64, 0};
        if (*context->base && !context->who->is_admin) /* the page that is a file is for everybody */
            keep_to_share(context->settings, &host, &offer.choices);
        g_array_append_val(offers, offer);
    }
    return offers;
}

/* The index of the one that is proposed: the settings', else the first. */
static guint proposed_of(const Settings *settings, const GArray *offers)
{
    for (guint i = 0; i < offers->len; i++) {
        if (g_str_equal(g_array_index(offers, Offer, i).machine->name, settings->machine))
            return i;
    }
    return 0;
}

/* --- cards --- */

static json_t *picture_value(const Settings *settings, const Machine *machine)
{
    char *path = layout_picture(settings, machine->picture);
    return path ? json_take_text(path) : json_null();
}

static json_t *disk_value(const Machine *machine)
{
    struct stat st;
    gint64 bytes = stat(machine->path, &st) == 0 ? st.st_size : 0;
    return json_take_text(tr_size(MAX(bytes / 1048576, 1)));
}

/* For the script of the page: "" when only the host is the limit. */
static json_t *amount_value(ChoiceKind kind, const Offer *offer)
{
    gint64 most = choice_most(kind, &offer->choices);
    return most == G_MAXINT64 ? json_string("") : json_integer(most);
}

static json_t *card_value(const Settings *settings, const Offer *offer, bool is_proposed)
{
    const Machine *machine = offer->machine;
    const char *title = *machine->description ? machine->description : machine->name;
    const Choices *choices = &offer->choices;
    json_t *card =
        json_pack("{s:s, s:s, s:s, s:b, s:b}", "file", machine->name, "title", title, "description", machine->name,
                  "checked", (int)is_proposed, "has_gpu", (int)!g_str_equal(machine->gpu, "no"));
    json_object_set_new(card, "picture", picture_value(settings, machine));
    json_object_set_new(card, "cost", json_text_or_null(machine->cost));
    json_object_set_new(card, "disk", disk_value(machine));
    json_object_set_new(card, "cpus_most", choice_most_text(CHOICE_CPUS, machine->cpu, choices));
    json_object_set_new(card, "memory_most", choice_most_text(CHOICE_MEMORY, machine->memory, choices));
    json_object_set_new(card, "lifetime_most", choice_most_text(CHOICE_LIFETIME, machine->lifetime, choices));
    json_object_set_new(card, "cpu_amount", amount_value(CHOICE_CPUS, offer));
    json_object_set_new(card, "memory_amount", amount_value(CHOICE_MEMORY, offer));
    json_object_set_new(card, "lifetime_amount", amount_value(CHOICE_LIFETIME, offer));
    return card;
}

static void add_machines(json_t *values, const Settings *settings, const GArray *offers)
{
    json_t *list = json_array();
    guint proposed = proposed_of(settings, offers);
    for (guint i = 0; i < offers->len; i++)
        json_array_append_new(list, card_value(settings, &g_array_index(offers, Offer, i), i == proposed));
    json_object_set_new(values, "has_machines", json_boolean(offers->len > 0));
    json_object_set_new(values, "is_only", json_boolean(offers->len == 1));
    json_object_set_new(values, "machines", list);
}

/* --- choices --- */

static void widen(gint64 *most, gint64 other)
{
    *most = MAX(*most, other);
}

/* What one machine or another allows: the server looks again when one is chosen. */
static void add_choices(json_t *values, const Settings *settings, const GArray *offers)
{
    Choices widest = {0};
    for (guint i = 0; i < offers->len; i++) {
        const Choices *choices = &g_array_index(offers, Offer, i).choices;
        widen(&widest.cpus_max, choices->cpus_max);
        widen(&widest.memory_max_mib, choices->memory_max_mib);
        widen(&widest.lifetime_max_s, choices->lifetime_max_s);
    }
    json_object_set_new(values, "cpus", choice_values(settings, CHOICE_CPUS, &widest));
    json_object_set_new(values, "memories", choice_values(settings, CHOICE_MEMORY, &widest));
    json_object_set_new(values, "lifetimes", choice_values(settings, CHOICE_LIFETIME, &widest));
}

/* Whether one machine or another may have a GPU. */
static bool may_have_gpu(const GArray *offers)
{
    for (guint i = 0; i < offers->len; i++) {
        if (!g_str_equal(g_array_index(offers, Offer, i).machine->gpu, "no"))
            return true;
    }
    return false;
}

static void add_options(json_t *values, const PageContext *context, const GArray *offers)
{
    const Settings *settings = context->settings;
    bool all = settings->layout_level >= 2;
    json_object_set_new(values, "takes_size", json_boolean(settings->layout_level >= 1));
    json_object_set_new(values, "gpu", json_boolean(all && may_have_gpu(offers) && gpu_is_offered(settings)));
    json_object_set_new(values, "oneshot", json_boolean(all && !context->who->is_guest_by_mail));
    json_object_set_new(values, "takes_script", json_boolean(all && !g_str_equal(settings->form_script, "no")));
    json_object_set_new(values, "terms", json_text_or_null(settings->layout_terms));
}

/* --- folders --- */

static bool has_folder(const json_t *list, const char *name)
{
    size_t i;
    json_t *folder;
    json_array_foreach(list, i, folder)
    {
        if (g_str_equal(json_get_text(folder, "name", ""), name))
            return true;
    }
    return false;
}

/* Adds those that are not there yet: one machine may get others than another. */
static void add_folders_of(json_t *list, const PageContext *context, const Offer *offer)
{
    const Identity *who = context->who;
    Subject subject = {.user = who->user, .groups = who->groups, .machine = offer->machine->name};
    g_autoptr(GPtrArray) folders = g_ptr_array_new_with_free_func(host_folder_free);
    if (!folders_choose(context->settings, &subject, true, folders, NULL))
        return; /* what is wrong is told when somebody creates a session */
    for (guint i = 0; i < folders->len; i++) {
        const HostFolder *folder = folders->pdata[i];
        if (!has_folder(list, folder->name))
            json_array_append_new(list, json_pack("{s:s, s:b, s:b}", "name", folder->name, "writable",
                                                  (int)folder->writable, "is_personal", (int)folder->is_personal));
    }
}

/* Only for who has logged in: a form that is made before would take from them what is theirs alone. */
static void add_folders(json_t *values, const PageContext *context, const GArray *offers)
{
    json_t *list = json_array();
    bool may_choose = context->who->is_authenticated && context->settings->layout_level >= 2;
    for (guint i = 0; may_choose && i < offers->len; i++)
        add_folders_of(list, context, &g_array_index(offers, Offer, i));
    json_object_set_new(values, "has_folders", json_boolean(json_array_size(list) > 0));
    json_object_set_new(values, "folders", list);
}

/* --- who one is --- */

static json_t *landing_notice(const Settings *settings)
{
    if (!policy_is_local_only(settings))
        return json_null();
    return json_pack("{s:s, s:s}", "kind", "info", "text",
                     tr("No way to log in is configured, so this service answers only browsers on its own machine."));
}

static void add_login(json_t *values, const PageContext *context)
{
    const Settings *settings = context->settings;
    bool takes_password = auth_takes_password(settings), takes_email = settings->check_user_with_email;
    json_object_set_new(values, "login", json_boolean(!context->csrf && (takes_password || takes_email)));
    json_object_set_new(values, "asks_name", json_boolean(!policy_login_is_configured(settings)));
    json_object_set_new(values, "takes_password", json_boolean(takes_password));
    json_object_set_new(values, "takes_email", json_boolean(takes_email));
    json_object_set_new(values, "optional", json_boolean(settings->check_user_with_header));
    json_object_set_new(values, "name", json_string(""));
}

/* --- what runs, and what is free --- */

/* Those without a name are one where the service is for one host; elsewhere they are many. */
static bool is_own(const PageContext *context, const SessionRecord *session)
{
    const Identity *who = context->who;
    bool is_known = who->is_authenticated || *who->user || policy_is_local_only(context->settings);
    return is_known && g_str_equal(session->owner, who->user);
}

static json_t *own_sessions(const PageContext *context, const GPtrArray *sessions)
{
    g_autoptr(GPtrArray) own = g_ptr_array_new();
    for (guint i = 0; i < sessions->len; i++) {
        if (is_own(context, sessions->pdata[i]))
            g_ptr_array_add(own, sessions->pdata[i]);
    }
    g_autoptr(JsonValue) rows = page_error_sessions(context, own);
    return json_incref(json_object_get(rows, "sessions"));
}

/* What whoever presses Create at once would ask for; NULL when that is not possible here. */
static SessionRecord *wanted_of(const PageContext *context, const Offer *offer)
{
    g_auto(Host) host = {0};
    host_read(&host);
    PlanRequest request = {.choices = &offer->choices, .by_admin = context->who->is_admin};
    Plan *plan = plan_make(context->settings, offer->machine, &request, &host, NULL);
    const char *address = context->request ? request_variable(context->request, REQUEST_REMOTE_ADDR) : "";
    return plan ? session_new(context->who->user, address, plan) : NULL;
}

/* Why that session would not start now: in the words in which it would be refused, or what it would wait for. */
static json_t *obstacle_value(const PageContext *context, const GPtrArray *sessions, SessionRecord *wanted)
{
    g_auto(QueueWait) wait = {0};
    g_autoptr(GError) refusal = NULL;
    if (!app_queue_preview(context->settings, sessions, wanted, &wait, &refusal))
        return json_pack("{s:o, s:b, s:n, s:b}", "text", json_take_text(response_error_message(refusal)), "would_wait",
                         0, "expected", "is_own", 0);
    if (wait.position == 0)
        return json_null();
    const char *reason = wait.reason ? wait.reason : N_("Other sessions wait for room already.");
    return json_pack("{s:o, s:b, s:o, s:b}", "text", json_take_text(tr_message(reason)), "would_wait", 1, "expected",
                     time_value(wait.expected_at), "is_own", (int)wait.is_own);
}

static json_t *capacity_value(const PageContext *context, const Offer *offer, const GPtrArray *sessions)
{
    const Settings *settings = context->settings;
    g_autoptr(SessionRecord) wanted = wanted_of(context, offer);
    if (!wanted)
        return json_null();
    Capacity capacity = limits_capacity(settings, sessions, wanted);
    g_autoptr(GPtrArray) queue = queue_order(sessions);
    return json_pack("{s:o, s:b, s:I, s:I, s:b, s:I, s:I, s:b, s:I}", "obstacle",
                     obstacle_value(context, sessions, wanted), "has_most", (int)(capacity.most > 0), "most",
                     (json_int_t)capacity.most, "free", (json_int_t)MAX(capacity.most - capacity.taken, 0), "has_own",
                     (int)(capacity.own_most > 0 && capacity.own_taken > 0), "own_most", (json_int_t)capacity.own_most,
                     "own", (json_int_t)capacity.own_taken, "may_wait", (int)settings->service_queue, "waiting",
                     (json_int_t)queue->len);
}

/* Null in the page that is a file. */
static json_t *visitor_value(const PageContext *context, const GArray *offers, const GPtrArray *sessions)
{
    if (!sessions)
        return json_null();
    const Offer *offer = offers->len ? &g_array_index(offers, Offer, proposed_of(context->settings, offers)) : NULL;
    json_t *own = own_sessions(context, sessions);
    return json_pack("{s:b, s:o, s:o}", "has_sessions", (int)(json_array_size(own) > 0), "sessions", own, "capacity",
                     offer ? capacity_value(context, offer, sessions) : json_null());
}

/* --- the page as a file --- */

char *page_landing_file(const Settings *settings, const char *language)
{
    g_autofree char *folder = g_path_get_dirname(settings->file_page);
    g_autofree char *name = g_strdup_printf("index.%s.html", language);
    bool is_first = !settings->languages[0] || g_str_equal(settings->languages[0], language);
    return is_first ? g_strdup(settings->file_page) : g_build_filename(folder, name, NULL);
}

/* The page as a file has a file beside it for each of the other languages. */
static json_t *language_files(const Settings *settings)
{
    json_t *list = json_array();
    for (char **code = settings->languages; *code; code++) {
        bool is_first = code == settings->languages;
        g_autofree char *name = is_first ? g_strdup("") : g_strdup_printf("index.%s.html", *code);
        g_autofree char *path = link_page(settings, name);
        if (!g_str_equal(*code, catalogue_language()))
            json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "code", *code, "name",
                                                  catalogue_language_name(*code), "path", path));
    }
    return list;
}

json_t *page_landing(const PageContext *context, const GPtrArray *machines, const GPtrArray *sessions)
{
    const Settings *settings = context->settings;
    g_autoptr(GArray) offers = offers_of(context, machines);
    json_t *values = page_common_values(context, tr("Create a session"));
    bool is_file = !*context->base;
    if (is_file)
        json_object_set_new(values, "languages", language_files(settings));
    json_object_set_new(values, "is_file", json_boolean(is_file));
    json_object_set_new(values, "notice", landing_notice(settings));
    json_object_set_new(values, "visitor", visitor_value(context, offers, sessions));
    add_login(values, context);
    add_machines(values, settings, offers);
    add_options(values, context, offers);
    add_choices(values, settings, offers);
    add_folders(values, context, offers);
    return values;
}
