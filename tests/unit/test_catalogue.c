/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/error.h"
#include "base/json.h"
#include "base/units.h"
#include "paths.h"
#include "temp.h"
#include "web/catalogue.h"
#include "web/template.h"

static const char french[] =
    "{\"\": {\"one_from\": 0, \"one_until\": 1}, \"Stop\": \"Arrêter\", \"It failed.\": \"Échec.\", \"Cannot open %s: "
    "%s.\": \"Impossible d'ouvrir %s : %s.\", \"%zu left on %s\": \"%zu sur %s\", \"Nov\": \"nov.\", \"%d core\": \"%d "
    "cœur\", \"%d cores\": \"%d "
    "cœurs\","
    " \"Stopped by %s.\": \"Arrêtée par %s.\", \"Cannot open %s: %s\": \"Impossible d'ouvrir %s : %s\","
    " \"No space left on device\": \"Plus de place sur le disque\", \"%s: %s\": \"%s : %s\", \"100 %% of %d\": \"100 "
    "%% de %d\","
    " \"Connect to [machine]\": \"Se connecter à [machine]\", \"It ends [end].\": \"Fin : [end].\"}";

static void use(const char *folder, const char *text)
{
    g_autofree char *i18n = g_build_filename(folder, "i18n", NULL);
    g_autofree char *path = g_build_filename(i18n, "fr.json", NULL);
    g_mkdir_with_parents(i18n, 0700);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void test_texts(void)
{
    g_autoptr(TempFolder) folder = temp_folder();
    g_autoptr(GError) error = NULL;
    g_assert_cmpstr(tr("Stop"), ==, "Stop");
    use(folder, french);
    g_assert_true(catalogue_use(folder, "fr", &error));
    g_assert_cmpstr(catalogue_language(), ==, "fr");
    g_assert_cmpstr(tr("Stop"), ==, "Arrêter");
    g_assert_cmpstr(tr("Unknown"), ==, "Unknown");
    g_assert_cmpstr(tr(""), ==, "");
    for (int n = 0; n < 3; n++) {
        g_autofree char *text = tr_count("%d core", "%d cores", n),
                        *expected = g_strdup_printf(n < 2 ? "%d cœur" : "%d cœurs", n);
        g_assert_cmpstr(text, ==, expected);
    }
    g_assert_true(catalogue_use(folder, "en", NULL));
    g_autofree char *none = tr_count("%d core", "%d cores", 0);
    g_assert_cmpstr(none, ==, "0 cores");
}

static void test_messages(void)
{
    static const char *const cases[][2] = {
        {"Stop", "Arrêter"},
        {"Stopped by alice.", "Arrêtée par alice."},
        {"Stopped by .", "Arrêtée par ."},
        {"Stopped by alice", "Stopped by alice"},
        {"Stopped by a.b.", "Arrêtée par a.b."},
        {"Cannot open /x: No space left on device", "Impossible d'ouvrir /x : Plus de place sur le disque"},
        {"Cannot open /x: y: z", "Impossible d'ouvrir /x : y : z"},
        {"100 % of 3", "100 % de 3"},
        {"100 % of ", "100 % de "},
        {"", ""},
        {"%s %n", "%s %n"},
        {"Stopped by alice. Stop", "Arrêtée par alice. Arrêter"},
        {"The disk is full. Stopped by alice.", "The disk is full. Stopped by alice."},
        {"It failed. Cannot open /x: y. Stopped by bob.", "Échec. Impossible d'ouvrir /x : y. Arrêtée par bob."},
        {"Stopped by a. b.", "Arrêtée par a. b."},
    };
    g_autoptr(TempFolder) folder = temp_folder();
    use(folder, french);
    g_assert_true(catalogue_use(folder, "fr", NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = tr_message(cases[i][0]);
        g_assert_cmpstr(text, ==, cases[i][1]);
    }
    g_autofree char *hostile = g_strnfill(200000, '.');
    g_autofree char *long_text = g_strconcat("Cannot open ", hostile, NULL);
    g_autofree char *same = tr_message(long_text);
    g_assert_cmpstr(same, ==, long_text);
    catalogue_use(folder, "en", NULL);
}

/* Units of the pages, with the catalogue that is shipped. */
static void test_units(void)
{
    static const struct {
        gint64 seconds, mebibytes;
        const char *duration, *size, *message;
    } rows[] = {
        {93600, 512, "1 j 2 h", "512 Mo",
         "memory : ce serveur en a 512 Mo. Choisissez une taille entre 32 Mo et cela."},
        {172800, 4096, "2 j", "4 Go", "memory : ce serveur en a 4 Go. Choisissez une taille entre 32 Mo et cela."},
        {5400, 1536, "1 h 30 min", "1,5 Go",
         "memory : ce serveur en a 1,5 Go. Choisissez une taille entre 32 Mo et cela."}};
    g_autofree char *folder = source_path("html");
    g_assert_true(catalogue_use(folder, "fr", NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *duration = tr_duration(rows[i].seconds), *size = tr_size(rows[i].mebibytes),
                        *english = units_format_size(rows[i].mebibytes);
        g_autofree char *message =
            tr_format("memory: this server has %s. Choose a size from %d MB to that.", english, 32);
        g_assert_cmpstr(duration, ==, rows[i].duration);
        g_assert_cmpstr(size, ==, rows[i].size);
        g_assert_cmpstr(message, ==, rows[i].message);
    }
    g_autofree char *name = tr_message("Disk d"); /* no number before what looks like a unit */
    g_assert_cmpstr(name, ==, "Disk d");
    catalogue_use(folder, "en", NULL);
}

/* The catalogue that is shipped finds all sentences of a refusal, and the figures in them. */
static void test_refusals(void)
{
    static const char *const rows[][2] = {
        {"Memory for one user: 4.8 GB at once; you use 4 GB and ask for 1 GB. The next one is due to end at 2030-03-17 "
         "19:46, in 2 h. Ask for at most 819 MB, or stop a session of yours.",
         "Mémoire par utilisateur : 4,8 Go à la fois ; vous utilisez 4 Go et demandez 1 Go. La prochaine doit se "
         "terminer "
         "le 2030-03-17 19:46, dans 2 h. Demandez au plus 819 Mo, ou arrêtez une de vos sessions."},
        {"The server has 7 GB of memory for new sessions, and you ask for 8 GB. Ask for at most 7 GB, or try again "
         "later.",
         "Le serveur a 7 Go de mémoire pour de nouvelles sessions, et vous en demandez 8 Go. Demandez au plus 7 Go, ou "
         "réessayez plus tard."},
        {"The server's disk is nearly full: 1023 MB are free, and 1 GB must stay free. Try again later.",
         "Le disque du serveur est presque plein : 1023 Mo sont libres, et 1 Go doivent le rester. Réessayez plus "
         "tard."},
    };
    g_autofree char *folder = source_path("html");
    g_assert_true(catalogue_use(folder, "fr", NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *text = tr_message(rows[i][0]);
        g_assert_cmpstr(text, ==, rows[i][1]);
    }
    catalogue_use(folder, "en", NULL);
}

static void test_formats(void)
{
    g_autoptr(TempFolder) folder = temp_folder();
    g_autoptr(GDateTime) time = g_date_time_new_utc(2026, 11, 18, 9, 5, 0);
    g_autofree char *english = tr_format("%zu left on %s", (size_t)3, "a left on b");
    g_assert_cmpstr(english, ==, "3 left on a left on b");
    use(folder, french);
    g_assert_true(catalogue_use(folder, "fr", NULL));
    g_autofree char *text = tr_format("%zu left on %s", (size_t)3, "Stop"), *other = tr_format("%d unknown", 3);
    g_assert_cmpstr(text, ==, "3 sur Arrêter");
    g_assert_cmpstr(other, ==, "3 unknown");
    g_autofree char *day = tr_time(time, "%e %b %Y %H:%M");
    g_assert_cmpstr(day, ==, "18 nov. 2026 09:05");
    catalogue_use(folder, "en", NULL);
    g_autofree char *plain = tr_time(time, "%H:%M, %b");
    g_assert_cmpstr(plain, ==, "09:05, Nov");
}

static void test_templates(void)
{
    g_autoptr(TempFolder) folder = temp_folder();
    g_autoptr(GError) error = NULL;
    use(folder, french);
    g_assert_true(catalogue_use(folder, "fr", NULL));
    g_autoptr(JsonValue) values =
        json_pack("{s:s, s:{s:s, s:s}}", "machine", "<b>", "end", "iso", "2026-01-01T00:00:00Z", "text", "à 1 h");
    g_autofree char *page = template_render_text(
        folder, "t", "{{lang}} {{_Connect to [machine]}}|{{_ It ends [end]. }}|{{_ <i> }}", values, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(
        page, ==, "fr Se connecter à &lt;b&gt;|Fin : <time datetime=\"2026-01-01T00:00:00Z\">à 1 h</time>.|&lt;i&gt;");
    static const char *const bad[] = {"{{_}}", "{{_ [nobody] }}", "{{_ [open }}", "{{_ a\nb }}"};
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *none = template_render_text(folder, "t", bad[i], values, &error);
        g_assert_null(none);
        g_assert_error(error, QWD_ERROR, QWD_ERROR_INTERNAL);
        g_clear_error(&error);
    }
    catalogue_use(folder, "en", NULL);
}

static void test_broken(void)
{
    static const char *const names[] = {"de", "", "../fr", "FR", "a-very-long-language-name"};
    g_autoptr(TempFolder) folder = temp_folder();
    use(folder, "{");
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_false(catalogue_use(folder, names[i], &error));
        g_assert_nonnull(error);
        g_assert_cmpstr(catalogue_language(), ==, "en");
    }
    g_assert_false(catalogue_use(folder, "fr", NULL));
    g_assert_cmpstr(tr("Stop"), ==, "Stop");
}

static void test_choose(void)
{
    static const struct {
        const char *wish, *accept, *chosen;
    } cases[] = {
        {"", "", "en"},
        {"", "fr", "fr"},
        {"", "fr-CH, fr;q=0.9, en;q=0.8", "fr"},
        {"", "en-US,en;q=0.9,fr;q=0.1", "en"},
        {"", "en;q=0.2, fr;q=0.3", "fr"},
        {"", "de", "en"},
        {"", "fro", "en"},
        {"", "fr;q=x", "en"},
        {"", "fr;q=0", "en"},
        {"fr", "en", "fr"},
        {"de", "fr", "fr"},
    };
    char *offered[] = {(char *)"en", (char *)"fr", NULL}, *none[] = {NULL};
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        g_assert_cmpstr(catalogue_choose(offered, cases[i].wish, cases[i].accept), ==, cases[i].chosen);
    g_assert_cmpstr(catalogue_choose(none, "", "fr"), ==, "en");
    g_assert_cmpstr(catalogue_language_name("fr"), ==, "Français");
    g_assert_cmpstr(catalogue_language_name("xx"), ==, "xx");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/catalogue/texts", test_texts);
    g_test_add_func("/catalogue/messages", test_messages);
    g_test_add_func("/catalogue/units", test_units);
    g_test_add_func("/catalogue/refusals", test_refusals);
    g_test_add_func("/catalogue/formats", test_formats);
    g_test_add_func("/catalogue/templates", test_templates);
    g_test_add_func("/catalogue/broken", test_broken);
    g_test_add_func("/catalogue/choose", test_choose);
    return g_test_run();
}
