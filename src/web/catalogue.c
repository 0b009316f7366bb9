/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "web/catalogue.h"

#include <jansson.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/units.h"

#define FILE_MAX_BYTES (512 * 1024)
#define LANGUAGE_LETTERS "abcdefghijklmnopqrstuvwxyz-"
#define DEPTH_MAX 4  /* messages in each other */
#define VALUES_MAX 8 /* of one message */

static json_t *catalogue; /* NULL: English */
static char language[16] = "en";

/* --- which --- */

bool catalogue_use(const char *html, const char *wish, GError **error)
{
    json_decref(g_steal_pointer(&catalogue));
    g_strlcpy(language, "en", sizeof language);
    if (g_str_equal(wish, "en"))
        return true;
    if (strlen(wish) >= sizeof language || !*wish || wish[strspn(wish, LANGUAGE_LETTERS)])
        return qwd_error_fail(error, QWD_ERROR_USAGE, "\"%s\" is not the code of a language.", wish);
    g_autofree char *file = g_strconcat(wish, ".json", NULL);
    g_autofree char *path = g_build_filename(html, "i18n", file, NULL);
    catalogue = json_object_read(path, FILE_MAX_BYTES, error);
    if (catalogue)
        g_strlcpy(language, wish, sizeof language);
    return catalogue != NULL;
}

bool catalogue_add(const char *folder, GError **error)
{
    g_autofree char *file = g_strconcat(language, ".json", NULL);
    g_autofree char *path = g_build_filename(folder, "i18n", file, NULL);
    g_autoptr(GError) cause = NULL;
    g_autoptr(JsonValue) more = json_object_read(path, FILE_MAX_BYTES, &cause);
    if (!more && g_error_matches(cause, QWD_ERROR, QWD_ERROR_NOT_FOUND))
        return true;
    if (!more) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return false;
    }
    if (!catalogue)
        catalogue = json_object();
    json_object_update(catalogue, more);
    return true;
}

const char *catalogue_language(void)
{
    return language;
}

/* The q of a language in an Accept-Language header: "fr" covers fr-CH as well; 0 when it is not accepted. */
static double weight_of(const char *accept, const char *code)
{
    double best = 0;
    g_auto(GStrv) ranges = g_strsplit(accept, ",", 32);
    for (char **range = ranges; *range; range++) {
        double weight = 1;
        char *q = strstr(*range, ";q=");
        if (q) {
            *q = '\0';
            weight = units_parse_real(g_strstrip(q + 3), 0, 1, &weight) ? weight : 0;
        }
        size_t length = strlen(code);
        const char *name = g_strstrip(*range);
        bool matches = g_ascii_strncasecmp(name, code, length) == 0 && (!name[length] || name[length] == '-');
        best = matches ? MAX(best, weight) : best;
    }
    return best;
}

const char *catalogue_choose(char *const *offered, const char *wish, const char *accept_language)
{
    const char *best = offered[0] ? offered[0] : "en";
    double most = 0;
    for (char *const *code = offered; *code; code++) {
        double weight = weight_of(accept_language, *code);
        if (g_str_equal(*code, wish))
            return *code;
        if (weight > most)
            best = *code;
        most = MAX(most, weight);
    }
    return best;
}

const char *catalogue_language_name(const char *code)
{
    static const char *const names[][2] = {
        {"cs", "Čeština"},   {"da", "Dansk"},    {"de", "Deutsch"},    {"en", "English"},    {"es", "Español"},
        {"fr", "Français"},  {"it", "Italiano"}, {"ja", "日本語"},     {"nl", "Nederlands"}, {"pl", "Polski"},
        {"pt", "Português"}, {"sv", "Svenska"},  {"uk", "Українська"}, {"zh", "中文"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        if (g_str_equal(names[i][0], code))
            return names[i][1];
    }
    return code;
}

/* --- texts --- */

const char *tr(const char *english)
{
    const char *text = *english ? json_string_value(json_object_get(catalogue, english)) : NULL;
    return text ? text : english;
}

char *tr_count(const char *one, const char *many, gint64 count)
{
    const json_t *about = json_object_get(catalogue, "");
    bool is_one = count >= json_get_integer(about, "one_from", 1) && count <= json_get_integer(about, "one_until", 1);
    g_autofree char *number = g_strdup_printf("%" G_GINT64_FORMAT, count);
    g_auto(GStrv) parts = g_strsplit(tr(is_one ? one : many), "%d", 2);
    return g_strjoinv(number, parts);
}

static char *with_decimal_sign(const char *number)
{
    const char *sign = json_get_text(json_object_get(catalogue, ""), "decimal", ".");
    g_auto(GStrv) parts = g_strsplit(number, ".", 2);
    return g_strjoinv(sign, parts);
}

char *tr_number(double value)
{
    g_autofree char *english = g_strdup_printf("%.1f", value);
    return with_decimal_sign(english);
}

/* --- messages --- */

/* What stands for the conversions of a format in a text. */
typedef struct {
    const char *start[VALUES_MAX];
    size_t length[VALUES_MAX];
    size_t count;
} Values;

/* The length of the conversion at the beginning of `format` ("%s", "%.*s", "%d"), 0 when there is none. */
static size_t conversion_length(const char *format)
{
    if (*format != '%' || format[1] == '%')
        return 0;
    size_t flags = strspn(format + 1, ".*-0123456789lz");
    return format[1 + flags] ? flags + 2 : 0;
}

/* The end of the fixed part at the beginning of a format. */
static const char *fixed_end(const char *format)
{
    while (*format && !conversion_length(format))
        format += format[0] == '%' && format[1] == '%' ? 2 : 1;
    return format;
}

/* Whether `text` begins with the fixed part `from`..`to` of a format, in which "%%" is one sign. */
static const char *skip_fixed(const char *text, const char *from, const char *to)
{
    for (; from < to; from++, text++) {
        from += from[0] == '%' && from[1] == '%';
        if (*text != *from)
            return NULL;
    }
    return text;
}

/* The first place in `text` that has the fixed part, and nothing behind it when that is the last; NULL when none. */
static const char *find_fixed(const char *text, const char *from, const char *to)
{
    for (;; text++) {
        const char *rest = skip_fixed(text, from, to);
        if (rest && (*to || !*rest))
            return text;
        if (!*text)
            return NULL;
    }
}

static bool add_value(Values *values, const char *start, const char *end)
{
    if (values->count == VALUES_MAX)
        return false;
    values->start[values->count] = start;
    values->length[values->count++] = (size_t)(end - start);
    return true;
}

/* What a conversion can have made: a number is nothing but that. */
static bool can_be(char conversion, const char *start, const char *end)
{
    size_t length = (size_t)(end - start);
    return !strchr("duf", conversion) || strspn(start, "-.0123456789") >= length;
}

/* Matches a format from a conversion on. As with globs, the first place of each fixed part will do, but for the last
 * one, which stands at the end. */
static bool match_values(const char *format, const char *text, Values *values)
{
    while (*format) {
        const char *fixed = format + conversion_length(format), *end = fixed_end(fixed);
        const char *place = find_fixed(text, fixed, end);
        if (!place || !can_be(fixed[-1], text, place) || !add_value(values, text, place))
            return false;
        text = skip_fixed(place, fixed, end);
        format = end;
    }
    return !*text;
}

static bool match_format(const char *format, const char *text, Values *values)
{
    const char *end = fixed_end(format);
    const char *rest = *end && strlen(format) > conversion_length(format) ? skip_fixed(text, format, end) : NULL;
    values->count = 0;
    return rest && match_values(end, rest, values);
}

static char *translate(const char *english, int depth);

/* A value in the language; a fraction with the sign that it has there. */
static char *translate_value(const char *start, size_t length, char conversion, int depth)
{
    g_autofree char *value = g_strndup(start, length);
    return conversion == 'f' ? with_decimal_sign(value) : translate(value, depth);
}

static char *fill_in(const char *format, const Values *values, int depth)
{
    GString *out = g_string_new(NULL);
    size_t next = 0;
    while (*format) {
        const char *end = fixed_end(format);
        for (; format < end; format++) {
            format += format[0] == '%' && format[1] == '%';
            g_string_append_c(out, *format);
        }
        if (!*end || next == values->count)
            break;
        format += conversion_length(format);
        g_autofree char *value = translate_value(values->start[next], values->length[next], format[-1], depth + 1);
        g_string_append(out, value);
        next++;
    }
    return g_string_free(out, FALSE);
}

/* How much of a format is fixed: of several that match, the one that says most is meant. */
static size_t weight_of_format(const char *format)
{
    size_t weight = 0;
    while (*format) {
        const char *end = fixed_end(format);
        weight += (size_t)(end - format);
        format = end + conversion_length(end);
    }
    return weight;
}

/* Where the next sentence begins; NULL in the last one. */
static const char *next_sentence(const char *text)
{
    for (const char *stop = text; (stop = strstr(stop, ". ")); stop += 2) {
        if (g_ascii_isupper(stop[2]))
            return stop + 2;
    }
    return NULL;
}

/* A value with the end of a sentence in it has come from more than the format. */
static bool is_one_piece(const Values *values)
{
    for (size_t i = 0; i < values->count; i++) {
        g_autofree char *value = g_strndup(values->start[i], values->length[i]);
        if (next_sentence(value))
            return false;
    }
    return true;
}

/* A text as two that can both be translated; NULL when it has no such place. */
static char *translate_apart(const char *english, int depth)
{
    for (const char *rest = english; (rest = next_sentence(rest));) {
        g_autofree char *first = g_strndup(english, (size_t)(rest - english) - 1);
        g_autofree char *one = translate(first, depth + 1), *other = translate(rest, depth + 1);
        if (!g_str_equal(one, first) && !g_str_equal(other, rest))
            return g_strjoin(" ", one, other, NULL);
    }
    return NULL;
}

/* The translation of the format that fits best, with the values of `english`; NULL when none does. */
static const char *find_format(const char *english, Values *values)
{
    const char *best = NULL, *format;
    Values found;
    size_t most = 0;
    json_t *text;
    json_object_foreach(catalogue, format, text)
    {
        bool may_match = json_is_string(text) && (*format == '%' || *format == *english); /* most go here already */
        if (!may_match || weight_of_format(format) <= most || !match_format(format, english, &found))
            continue;
        best = json_string_value(text);
        *values = found;
        most = weight_of_format(format);
    }
    return best;
}

static char *translate(const char *english, int depth)
{
    const char *exact = tr(english);
    if (exact != english || !catalogue || depth == DEPTH_MAX)
        return g_strdup(exact);
    Values values = {0};
    const char *best = find_format(english, &values);
    char *apart = best && is_one_piece(&values) ? NULL : translate_apart(english, depth);
    if (apart)
        return apart;
    return best ? fill_in(best, &values, depth) : g_strdup(english);
}

char *tr_message(const char *english)
{
    return translate(english, 0);
}

char *tr_duration(gint64 seconds)
{
    g_autofree char *english = units_format_duration(seconds);
    return tr_message(english);
}

char *tr_size(gint64 mebibytes)
{
    g_autofree char *english = units_format_size(mebibytes);
    return tr_message(english);
}

char *tr_format(const char *english, ...)
{
    va_list args;
    va_start(args, english);
    char *text = g_strdup_vprintf(english, args);
    va_end(args);
    const char *format = tr(english);
    Values values;
    if (format == english || !match_format(english, text, &values))
        return text;
    char *translated = fill_in(format, &values, 0);
    g_free(text);
    return translated;
}

char *tr_time(GDateTime *time, const char *format)
{
    static const char *const months[] = {N_("Jan"), N_("Feb"), N_("Mar"), N_("Apr"), N_("May"), N_("Jun"),
                                         N_("Jul"), N_("Aug"), N_("Sep"), N_("Oct"), N_("Nov"), N_("Dec")};
    g_auto(GStrv) parts = g_strsplit(format, "%b", 2);
    g_autofree char *whole = g_strjoinv(tr(months[g_date_time_get_month(time) - 1]), parts);
    return g_date_time_format(time, whole);
}
