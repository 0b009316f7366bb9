/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The values of landing.html: machines on offer, and choices of size and life-time. */
#include "app/gpu.h"
#include "auth/backends.h"
#include "base/units.h"
#include "core/choices.h"
#include "web/catalogue.h"
#include "web/pages.h"

static json_t *text_value(char *text)
{
    json_t *value = json_string(text);
    g_free(text);
    return value;
}

static const char *machine_title(const Machine *machine)
{
    return *machine->description ? machine->description : machine->name;
}

/* The page that is a file is made for nobody in particular: it has what is for everybody. */
static json_t *machines_value(const PageContext *context, const GPtrArray *machines)
{
    const Settings *settings = context->settings;
    json_t *list = json_array();
    for (guint i = 0; i < machines->len; i++) {
        const Machine *machine = machines->pdata[i];
        bool proposed = g_str_equal(machine->name, settings->machine);
        if (machine_is_present(machine) && choices_include(machine, context->who))
            json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:b}", "file", machine->name, "title",
                                                  machine_title(machine), "description", machine->name, "checked",
                                                  (int)proposed));
    }
    json_t *first = json_array_get(list, 0);
    size_t i;
    json_t *machine;
    bool any = false;
    json_array_foreach(list, i, machine) any = any || json_is_true(json_object_get(machine, "checked"));
    if (first && !any)
        json_object_set_new(first, "checked", json_true());
    return list;
}

typedef gint64 (*ChoiceValue)(const char *text);
typedef char *(*ChoiceText)(gint64 value);

static gint64 cores_of(const char *text)
{
    gint64 value;
    return units_parse_integer(text, 1, 256, &value) ? value : 0;
}

static gint64 size_of(const char *text)
{
    gint64 value;
    return units_parse_size(text, &value) ? value : 0;
}

static gint64 duration_of(const char *text)
{
    gint64 value;
    return units_parse_duration(text, &value) ? value : 0;
}

static char *cores_text(gint64 value)
{
    return g_strdup_printf("%d core%s", (int)value, value == 1 ? "" : "s");
}

/* "2 hours", "1 day": the largest unit that leaves nothing over. */
static char *lifetime_text(gint64 seconds)
{
    static const struct {
        gint64 seconds;
        const char *name;
    } units[] = {{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};
    size_t i = 0;
    while (seconds % units[i].seconds != 0)
        i++;
    gint64 count = seconds / units[i].seconds;
    return g_strdup_printf("%" G_GINT64_FORMAT " %s%s", count, units[i].name, count == 1 ? "" : "s");
}

/* A kind of choice on the form: what the settings offer, at most what there is, with the default selected. */
typedef struct {
    char **offered;
    gint64 most, selected;
    ChoiceValue value;
    ChoiceText text;
} Choice;

/* The largest offered value that does not exceed the default is selected. */
static gint64 selected_of(const Choice *choice)
{
    gint64 best = 0;
    for (char **word = choice->offered; *word; word++) {
        gint64 value = choice->value(*word);
        if (value <= choice->most && (best == 0 || (value <= choice->selected && value > best)))
            best = value;
    }
    return best;
}

static json_t *choice_value(const Choice *choice)
{
    json_t *list = json_array();
    gint64 selected = selected_of(choice);
    for (char **word = choice->offered; *word; word++) {
        gint64 value = choice->value(*word);
        if (value > 0 && value <= choice->most)
            json_array_append_new(list,
                                  json_pack("{s:s, s:o, s:b}", "value", *word, "text", text_value(choice->text(value)),
                                            "selected", (int)(value == selected)));
    }
    return list;
}

static void add_choices(json_t *values, const Settings *settings)
{
    g_auto(Host) host = {0};
    host_read(&host);
    Choice cpus = {settings->form_cpu, host.cpus, settings->snapshot_alloc_cpu, cores_of, cores_text};
    Choice memories = {settings->form_memory, host.memory_mib, settings->snapshot_alloc_mem, size_of,
                       units_format_size};
    Choice lifetimes = {settings->form_lifetime, settings->snapshot_lifetime, 86400, duration_of, lifetime_text};
    json_object_set_new(values, "cpus", choice_value(&cpus));
    json_object_set_new(values, "memories", choice_value(&memories));
    json_object_set_new(values, "lifetimes", choice_value(&lifetimes));
}

static json_t *landing_notice(const Settings *settings)
{
    if (!policy_is_local_only(settings))
        return json_null();
    return json_pack("{s:s, s:s}", "kind", "info", "text",
                     "No way to log in is configured, so this service answers only browsers on its own machine.");
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
    bool has_slash = g_str_has_suffix(settings->service_page, "/");
    for (char **code = settings->languages; *code; code++) {
        g_autofree char *file = page_landing_file(settings, *code);
        g_autofree char *name = g_path_get_basename(file);
        g_autofree char *path = g_strconcat(settings->service_page, has_slash ? "" : "/", name, NULL);
        if (!g_str_equal(*code, catalogue_language()))
            json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "code", *code, "name",
                                                  catalogue_language_name(*code), "path", path));
    }
    return list;
}

json_t *page_landing(const PageContext *context, const GPtrArray *machines)
{
    json_t *values = page_common_values(context, "Create a session");
    if (!*context->base)
        json_object_set_new(values, "languages", language_files(context->settings));
    const Settings *settings = context->settings;
    json_t *list = machines_value(context, machines);
    json_object_set_new(values, "notice", landing_notice(settings));
    add_login(values, context);
    json_object_set_new(values, "has_machines", json_boolean(json_array_size(list) > 0));
    json_object_set_new(values, "machines", list);
    json_object_set_new(values, "gpu", json_boolean(gpu_is_offered(settings)));
    json_object_set_new(values, "oneshot", json_true());
    json_object_set_new(values, "takes_script", json_boolean(!g_str_equal(settings->form_script, "no")));
    add_choices(values, settings);
    return values;
}
