/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What guests are given to run, run by real shells: values stay values wherever a script has them. */
#include <string.h>

#include "base/process.h"
#include "core/runner.h"
#include "temp.h"

#define DEADLINE_MS 60000

static const char *const hostile[] = {
    "",
    "alice",
    "two words",
    " edges ",
    "'",
    "''",
    "\"",
    "it's \"quoted\"",
    "$(touch PWNED)",
    "`touch PWNED`",
    "'; touch PWNED; '",
    "\"; touch PWNED; \"",
    "'$(touch PWNED)'",
    "\\",
    "\\'",
    "a\\nb",
    "line\nline\n\nif(true) touch PWNED; fi",
    "\ttab\r",
    "*",
    "?[a-z]* ~ {a,b} $HOME ${HOME} $((1+1)) !! # & | < > ;",
    "-n",
    "-e \\c",
    "@USER@ @PW@ \"$QWD_PW\"",
    "%s%n",
    "\xc3\xa9\xe2\x82\xac",
};

/* What `shell` prints, run in `folder`; nothing else may come to be there. */
static char *run_shell(const char *shell, const char *folder, const char *text)
{
    g_autoptr(GError) error = NULL;
    g_auto(ProcessResult) result = {0};
    const char *argv[] = {shell, "-c", text, NULL};
    SpawnOptions options = {.argv = argv, SPAWN_OPTIONS_INIT, .folder = folder};
    process_run_options(options, DEADLINE_MS, &result, &error);
    g_assert_no_error(error);
    g_autofree char *trace = g_build_filename(folder, "PWNED", NULL);
    g_assert_false(g_file_test(trace, G_FILE_TEST_EXISTS));
    return g_steal_pointer(&result.output);
}

static void test_quote(const void *shell)
{
    g_autoptr(TempFolder) folder = temp_folder();
    for (size_t i = 0; i < G_N_ELEMENTS(hostile); i++) {
        g_autofree char *word = runner_quote(hostile[i]);
        g_autofree char *text = g_strdup_printf("printf '%%s|' %s end", word);
        g_autofree char *output = run_shell(shell, folder, text);
        g_autofree char *expected = g_strdup_printf("%s|end|", hostile[i]);
        g_assert_cmpstr(output, ==, expected);
    }
}

/* A word that stands alone is its value. */
static void test_values(const void *shell)
{
    g_autoptr(TempFolder) folder = temp_folder();
    for (size_t i = 0; i < G_N_ELEMENTS(hostile); i++) {
        RunnerValues values = {hostile[i], "0123", hostile[(i + 1) % G_N_ELEMENTS(hostile)], hostile[i]};
        g_autofree char *text = runner_expand("printf '%s|' @USER@ x@SESSION_NAME@ @VM@ @PW@ @OTHER@", &values);
        g_autofree char *output = run_shell(shell, folder, text);
        g_autofree char *expected =
            g_strdup_printf("%s|x0123|%s|%s|@OTHER@|", values.user, values.machine, values.user);
        g_assert_cmpstr(output, ==, expected);
    }
}

/* Wherever it stands, it is the value. Of a script, the words are to be "<>" in what it prints. */
typedef struct {
    const char *script, *printed;
} Context;

static const Context contexts[] = {
    {"printf '%s|' \"Hello @USER@.\" 'Hello @USER@.' a@USER@b\"@USER@\"'@USER@'", "Hello <>.|Hello <>.|a<>b<><>|"},
    {"printf '%s' \"@USER@:@PW@\" | cat", "<>:<>"},
    {"printf '%s|' \"$(printf '%s+' @USER@ \"@USER@\" '@USER@')\"", "<>+<>+<>+|"},
    {"printf '%s|' \"`printf '%s+' @USER@ '@USER@'`\" `printf x # it's`", "<>+<>+|x|"},
    {"cat << END\n@USER@ '@USER@' \"@USER@\" $(printf %s \"@USER@\")\nEND\nprintf %s '@USER@'",
     "<> '<>' \"<>\" <>\n<>"},
    {"cat <<- 'END'\n\t@USER@\n\tEND\nprintf %s \"@USER@\"", "@USER@\n<>"},
    {"cat << A # it's one\n\\@USER@ \\\\@USER@\nA\ncat << \\B\nB\nprintf %s \"@USER@\"", "\\<> \\<>\n<>"},
    {"cat << A; cat << \"B C\"\n@USER@\nA\n@USER@\nB C\nprintf %s '@USER@'", "<>\n@USER@\n<>"},
    {"x=@USER@; printf '%s|' \"$x\" \"${y:-@USER@}\" ${y:-@USER@} ${y:-\"@USER@\"} ${y:-'@USER@'}", "<>|<>|<>|<>|<>|"},
    {"case @USER@ in \"@USER@\") printf same;; esac", "same"},
    {"f() { case $1 in (a) (printf '%s|' \"@USER@\");; b) printf x;; esac; }; f a; f b; f a", "<>|x<>|"},
    {"[ @USER@ = \"@USER@\" ] && printf same # it's @USER@\nprintf '%s|' '@USER@'", "same<>|"},
    {"# don't\nprintf '%s|' \"@USER@\" it\\'s x#'@USER@'", "<>|it's|x#<>|"},
    {"printf '%s|' \\@USER@ \"a\\@USER@\" a\\\\@USER@ \"\\\"@USER@\\\"\" \\'@USER@\\' '\\@USER@'",
     "<>|a\\<>|a\\<>|\"<>\"|'<>'|\\<>|"},
    {"set -- x y; printf '%s|' $# \"$#\" \"$$\" | cut -d '|' -f -2; printf '%s|' \"@USER@\"", "2|2\n<>|"},
    {"printf '%s|' $((1 << (2))) \"$((1<<2)) @USER@\" '@USER@'", "4|4 <>|<>|"},
    {"printf '%s|' \\\n'@USER@' \"\n@USER@\"", "<>|\n<>|"},
};

static const Context contexts_of_bash[] = {
    {"printf '%s|' $'it\\'s @USER@ \\@USER@' \"$'@USER@'\"", "it's <> \\<>|$'<>'|"},
    {"((1 << 2)); cat <<< \"@USER@\"; cat < <(printf '%s|' '@USER@')", "<>\n<>|"},
    {"[[ @USER@ == @USER@ && \"@USER@\" == '@USER@' ]] && printf same", "same"},
};

static void check_context(const char *shell, const char *folder, const Context *context)
{
    for (size_t i = 0; i < G_N_ELEMENTS(hostile); i++) {
        RunnerValues values = {.user = hostile[i], .password = hostile[i]};
        g_autofree char *text = runner_expand(context->script, &values), *output = run_shell(shell, folder, text);
        g_auto(GStrv) parts = g_strsplit(context->printed, "<>", -1);
        g_autofree char *expected = g_strjoinv(hostile[i], parts);
        if (!g_str_equal(output, expected))
            g_test_message("%s", text);
        g_assert_cmpstr(output, ==, expected);
    }
}

static void test_contexts(const void *shell)
{
    g_autoptr(TempFolder) folder = temp_folder();
    for (size_t i = 0; i < G_N_ELEMENTS(contexts); i++)
        check_context(shell, folder, &contexts[i]);
    for (size_t i = 0; g_str_equal(shell, "bash") && i < G_N_ELEMENTS(contexts_of_bash); i++)
        check_context(shell, folder, &contexts_of_bash[i]);
}

/* Scripts that are no more than quotes in disorder, whatever they are taken for: nothing of a value is run. */
static void test_disorder(const void *shell)
{
    static const char *const pieces[] = {"@USER@", "@USER@", "'",  "\"",   "\\", "`echo ",    "`",   "$(echo ", ")",
                                         "${x:-",  "}",      "\n", "\n: ", " #", " << E\n: ", "E\n", "$",       "$'"};
    g_autoptr(TempFolder) folder = temp_folder();
    for (int i = 0; i < 100; i++) {
        GString *script = g_string_new("echo ");
        for (int j = g_test_rand_int_range(1, 20); j > 0; j--)
            g_string_append(script, pieces[g_test_rand_int_range(0, G_N_ELEMENTS(pieces))]);
        RunnerValues values = {.user = hostile[g_test_rand_int_range(0, G_N_ELEMENTS(hostile))]};
        g_autofree char *text = runner_expand(script->str, &values);
        g_test_message("%s", text);
        g_free(run_shell(shell, folder, text));
        g_string_free(script, TRUE);
    }
}

static void test_first_lines(void)
{
    static const struct {
        const char *script, *expanded;
    } cases[] = {
        {"echo @USER@", "QWD_USER='jo'\necho \"$QWD_USER\""},
        {"#!/bin/sh -e\necho @USER@\n", "#!/bin/sh -e\nQWD_USER='jo'\necho \"$QWD_USER\"\n"},
        {"#! /usr/bin/env bash\n@PW@", "#! /usr/bin/env bash\nQWD_PW=''\n\"$QWD_PW\""},
        {"#!/usr/bin/python3\nprint('@USER@')\n", "#!/usr/bin/python3\nprint('@USER@')\n"},
        {"#!/usr/bin/env python3\n@USER@", "#!/usr/bin/env python3\n@USER@"},
        {"#!/bin/bash", "#!/bin/bash\n"},
        {"#!\n@USER@", "#!\n@USER@"},
        {"\n@USER", "\n@USER"},
        {"", ""},
    };
    RunnerValues values = {.user = "jo"};
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = runner_expand(cases[i].script, &values);
        g_assert_cmpstr(text, ==, cases[i].expanded);
    }
}

static char *decode(const char *line)
{
    gsize length;
    g_assert_cmpint(strcspn(line, "\n"), ==, strlen(line) - 1);
    guchar *bytes = g_base64_decode(line, &length);
    g_assert_cmpint(strlen((char *)bytes), ==, length);
    return (char *)bytes;
}

/* The runner itself, with a file in place of the port. */
static void test_line(void)
{
    static const RunnerScript scripts[] = {
        {"sh", "echo 'one'; echo two >&2; exit 7"},
        {"", "#!/bin/sh\nbasename $0"},
        {"", "cat; echo no first line"},
        {"true", ""},
        {"bash", "echo ${BASH##*/}"},
        {"sh", "head -c 5000 /dev/zero"},
        {"", "#!/nonexistent\n"},
    };
    g_autoptr(TempFolder) folder = temp_folder();
    g_autofree char *line = runner_line(scripts, G_N_ELEMENTS(scripts)), *runner = decode(line);
    g_autofree char *text = g_strconcat("exec 3>&1\n", runner, NULL), *output = run_shell("sh", folder, text);
    g_auto(GStrv) lines = g_strsplit(output, "\n", -1);
    static const char *const expected[] = {"result 0 7 b25lCnR3bwo=", "result 1 0 c2NyaXB0Cg==",
                                           "result 2 0 bm8gZmlyc3QgbGluZQo=", "result 3 0 ", "result 4 0 YmFzaAo="};
    for (size_t i = 0; i < G_N_ELEMENTS(expected); i++)
        g_assert_cmpstr(lines[2 * i + 1], ==, expected[i]);
    g_assert_cmpstr(lines[0], ==, "start 0");
    g_assert_cmpint(strlen(lines[11]), ==, strlen("result 5 0 ") + (RUNNER_OUTPUT_MAX_BYTES + 2) / 3 * 4);
    g_assert_true(g_str_has_prefix(lines[13], "result 6 12")); /* 126 or 127 */
    g_assert_cmpstr(lines[14], ==, "end");
}

static void test_bootstrap(void)
{
    g_autofree char *text = runner_bootstrap("agent");
    g_assert_true(g_str_has_prefix(text, "#!/bin/sh\n"));
    g_assert_nonnull(strstr(text, "hello agent"));
    g_autofree char *checked = g_strdup_printf("sh -n << 'END'\n%sEND\necho $?", text);
    g_autofree char *output = run_shell("sh", "/", checked);
    g_assert_cmpstr(output, ==, "0\n");
}

/* The bootstrap as `guest` sees it: its folders of ports and of devices in place of the real ones. */
static char *bootstrap_in(const char *guest, const char *method)
{
    g_autofree char *text = runner_bootstrap(method), *ports = g_build_filename(guest, "ports", NULL);
    g_autofree char *devices = g_strdup_printf("%s/dev/$", guest);
    GString *moved = g_string_new(text);
    g_assert_cmpuint(g_string_replace(moved, "/sys/class/virtio-ports", ports, 0), ==, 1);
    g_assert_cmpuint(g_string_replace(moved, "/dev/$", devices, 0), ==, 1);
    return g_string_free(moved, FALSE);
}

/* A guest whose only ports are others', or that has none, is left as it is. */
static void test_bootstrap_finds_port(void)
{
    static const char *const names[] = {NULL, "org.qemu.guest_agent.0\n", RUNNER_PORT "\n"};
    g_autoptr(TempFolder) guest = temp_folder();
    g_autofree char *text = bootstrap_in(guest, "agent");
    g_autofree char *devices = g_build_filename(guest, "dev", NULL);
    g_assert_cmpint(mkdir(devices, 0700), ==, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *node = g_strdup_printf("vport0p%zu", i), *port = g_build_filename(guest, "ports", node, NULL);
        g_assert_cmpint(g_mkdir_with_parents(names[i] ? port : guest, 0700), ==, 0);
        if (names[i])
            g_free(temp_file(port, "name", names[i]));
        if (names[i])
            g_free(temp_file(devices, node, ""));
        g_free(run_shell("sh", guest, text));
        g_autofree char *odd = g_build_filename(devices, "*", NULL), *device = g_build_filename(devices, node, NULL);
        g_autofree char *said = NULL;
        g_assert_false(g_file_test(odd, G_FILE_TEST_EXISTS));
        if (names[i])
            g_assert_true(g_file_get_contents(device, &said, NULL, NULL));
        g_assert_cmpstr(said, ==, i == 2 ? "hello agent\n" : names[i] ? "" : NULL);
    }
}

int main(int argc, char **argv)
{
    static const char *const shells[] = {"sh", "bash"};
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(shells); i++) {
        g_autofree char *quote = g_strdup_printf("/runner/quote/%s", shells[i]);
        g_autofree char *values = g_strdup_printf("/runner/values/%s", shells[i]);
        g_autofree char *contexts_path = g_strdup_printf("/runner/contexts/%s", shells[i]);
        g_autofree char *disorder = g_strdup_printf("/runner/disorder/%s", shells[i]);
        g_test_add_data_func(quote, shells[i], test_quote);
        g_test_add_data_func(values, shells[i], test_values);
        g_test_add_data_func(contexts_path, shells[i], test_contexts);
        g_test_add_data_func(disorder, shells[i], test_disorder);
    }
    g_test_add_func("/runner/first-lines", test_first_lines);
    g_test_add_func("/runner/line", test_line);
    g_test_add_func("/runner/bootstrap", test_bootstrap);
    g_test_add_func("/runner/bootstrap/port", test_bootstrap_finds_port);
    return g_test_run();
}
