/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/token.h"
#include "records.h"
#include "temp.h"

static SessionRecord *new_session(void)
{
    g_autoptr(Settings) settings = temp_settings("/nonexistent", "snapshot_lifetime=2h", NULL);
    return test_session_new(settings, "alice");
}

static void test_new(void)
{
    gint64 before = session_now();
    g_autoptr(SessionRecord) session = new_session();
    g_assert_true(token_is_well_formed(session->id));
    g_assert_cmpint(session->state, ==, SESSION_QUEUED);
    g_assert_cmpstr(session->owner, ==, "alice");
    g_assert_cmpint(session->created_at, >=, before);
    g_assert_cmpint(session->ends_at, ==, session->created_at + 7200);
    session_free(NULL);
}

static void test_names(void)
{
    static const char *const states[] = {"queued", "starting", "running", "stopping", "ended", "failed"};
    for (int i = 0; i < SESSION_STATES; i++) {
        g_assert_cmpstr(session_state_name((SessionState)i), ==, states[i]);
        g_assert_true(session_state_is_alive((SessionState)i) == (i < SESSION_ENDED));
    }
    g_assert_cmpstr(session_role_name(ROLE_CONTROL), ==, "control");
    g_assert_cmpstr(session_role_name(ROLE_VIEW), ==, "view");
}

static void test_round_trip(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SessionRecord) session = new_session();
    session->state = SESSION_RUNNING;
    session->extensions = 2;
    session_set_text(&session->reason, "because \"\n\xc3\xa9");
    session_set_text(&session->note, NULL);
    SessionLink *link = session_add_link(session, ROLE_VIEW, "for \"Jo\"", 17);
    g_autofree char *hash = token_hash("0123456789abcdef0123456789abcdef");
    session_set_text(&link->hash, hash);
    session_add_viewer(session,
                       &(SessionViewer){.serial = 3, .link_id = link->id, .address = (char *)"::1", .since = 5});
    g_assert_null(session_find_viewer(session, 2));
    session_find_viewer(session, 3)->disconnect_requested = true;
    g_assert_true(session_find_link(session, link->id) == link);
    g_assert_null(session_find_link(session, "0123"));
    session_set_process(session, "qemu", (ProcessId){1, 2});
    session_set_process(session, "qemu", (ProcessId){3, 4}); /* replaces */
    session_add_step(session, "disk", 12);
    g_autoptr(JsonValue) object = session_to_json(session);
    g_autoptr(SessionRecord) again = session_from_json(object, &error);
    g_assert_no_error(error);
    g_autoptr(JsonValue) second = session_to_json(again);
    g_assert_true(json_equal(object, second));
    g_assert_cmpint(again->processes->len, ==, 1);
    g_assert_cmpint(session_process(again, "qemu").start_ticks, ==, 4);
    g_assert_cmpint(session_process(again, "passt").pid, ==, 0);
    g_assert_cmpint(again->plan->memory_mib, ==, 512);
    g_autofree char *text = json_dumps(object, 0);
    g_assert_null(strstr(text, "0123456789abcdef0123456789abcdef")); /* its hash only */
}

static SessionRecord *unpacked(const guint8 *bytes, gsize length)
{
    g_autofree guint8 *copy = g_memdup2(bytes, length); /* a byte too many is one that is not ours */
    Unpacker in = {.at = copy, .end = copy ? copy + length : NULL};
    return session_unpack(&in);
}

static void test_packed(void)
{
    g_autoptr(SessionRecord) session = new_session();
    session->state = SESSION_FAILED;
    session_set_text(&session->reason, "because \"\n\xc3\xa9");
    SessionLink *link = session_add_link(session, ROLE_CONTROL, "Jo", 17);
    session_add_viewer(session,
                       &(SessionViewer){.serial = 3, .link_id = link->id, .address = (char *)"::1", .role = ROLE_VIEW});
    session_set_process(session, "qemu", (ProcessId){3, 4});
    session_add_step(session, "disk", 12);
    g_ptr_array_add(session->scripts, script_from_json(NULL));
    g_ptr_array_add(session->folders, host_folder_from_json(NULL));
    g_autoptr(GByteArray) packed = g_byte_array_new();
    session_pack(session, packed);
    g_autoptr(SessionRecord) again = unpacked(packed->data, packed->len);
    g_autoptr(JsonValue) object = session_to_json(session), second = session_to_json(again);
    g_assert_true(json_equal(object, second));
    for (guint length = 0; length < packed->len; length++)
        g_assert_null(unpacked(packed->data, length));
    g_byte_array_append(packed, (const guint8 *)"", 1);
    g_assert_null(unpacked(packed->data, packed->len)); /* more than one record */
    packed->data[0] = SESSION_STATES;
    g_assert_null(unpacked(packed->data, packed->len - 1));
}

/* "key": value in place of what a good record has; NULL takes it out. */
static void test_hostile(void)
{
    static const struct {
        const char *key, *value;
        bool accepted;
    } cases[] = {
        {"schema", "2", false},
        {"schema", "\"1\"", false},
        {"schema", NULL, false},
        {"state", "\"flying\"", false},
        {"state", "0", false},
        {"state", NULL, false},
        {"id", "\"../../../../etc/0000000000000000\"", false},
        {"id", "\"\"", false},
        {"id", NULL, false},
        {"plan", NULL, true},
        {"plan", "[]", true},
        {"owner", "7", true},
        {"links", "{\"a\":1}", true},
        {"links", "[1, null, {}, {\"role\":\"owner\"}, {\"role\":\"view\"}]", true},
        {"processes", "[[], {\"name\":7, \"pid\":\"x\"}, {\"name\":\"qemu\", \"pid\":-1, \"start_ticks\":-1}]", true},
        {"steps", "\"disk\"", true},
        {"ends_at", "1e9", true},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(SessionRecord) session = new_session();
        g_autoptr(JsonValue) object = session_to_json(session);
        if (cases[i].value)
            json_object_set_new(object, cases[i].key, json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
        else
            json_object_del(object, cases[i].key);
        g_autoptr(SessionRecord) read = session_from_json(object, &error);
        g_assert_true((read != NULL) == cases[i].accepted);
        if (!cases[i].accepted)
            assert_error(error, QWD_ERROR_CONFIG, "not the record of a session");
        if (read)
            g_assert_false(process_is_alive(session_process(read, "qemu")));
    }
}

/* A link that lets in for nothing that there is lets nobody in. */
static void test_unknown_role(void)
{
    g_autoptr(SessionRecord) session = new_session();
    session_add_link(session, ROLE_VIEW, "Jo", 0);
    session_add_link(session, ROLE_CONTROL, "Ann", 0);
    g_autoptr(JsonValue) object = session_to_json(session);
    json_t *first = json_array_get(json_object_get(object, "links"), 0);
    json_object_set_new(first, "role", json_string("owner"));
    g_autoptr(SessionRecord) read = session_from_json(object, NULL);
    g_assert_cmpint(read->links->len, ==, 1);
    const SessionLink *link = read->links->pdata[0];
    g_assert_cmpint(link->role, ==, ROLE_CONTROL);
    g_assert_cmpstr(link->label, ==, "Ann");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/session/new", test_new);
    g_test_add_func("/session/names", test_names);
    g_test_add_func("/session/round-trip", test_round_trip);
    g_test_add_func("/session/packed", test_packed);
    g_test_add_func("/session/hostile", test_hostile);
    g_test_add_func("/session/unknown-role", test_unknown_role);
    return g_test_run();
}
