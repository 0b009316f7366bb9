/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "auth/backoff.h"

#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

#include "base/cidr.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/units.h"
#include "base/wait.h"

/* Of an IPv6 address: what one host may have, and what a customer or a company may have (RIPE-690). */
#define HOST_BYTES 8
#define SITE_BYTES 6

#define COUNTERS_MAX RUNNING_MARKS
#define RUNNING_MAX 16 /* checks at once for one counter, however many attempts are free */
#define WAITING_MAX 32 /* attempts from one address that wait until they can be checked */

static gint64 now_s(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

/* An address as it is counted: of IPv6 so many leading bytes. Free with g_free. */
static char *network_of(const char *address, int bytes)
{
    struct in6_addr six;
    char text[INET6_ADDRSTRLEN];
    if (inet_pton(AF_INET6, address, &six) != 1 || IN6_IS_ADDR_V4MAPPED(&six))
        return g_strdup(address);
    memset(six.s6_addr + bytes, 0, sizeof six.s6_addr - (size_t)bytes);
    return g_strdup_printf("%s/%d", inet_ntop(AF_INET6, &six, text, sizeof text), bytes * 8);
}

/* A user as it is counted: most servers take Alice for alice. Free with g_free. */
static char *counted_user(const char *user)
{
    return g_ascii_strdown(user, -1);
}

/* --- what is counted --- */

bool backoff_trusts(const Settings *settings, const char *address)
{
    struct in6_addr given;
    if (!address_parse(address, &given))
        return false;
    for (char **network = settings->login_trusted_networks; *network; network++) {
        Cidr cidr;
        if (cidr_parse(*network, &cidr) && cidr_contains(&cidr, &given))
            return true;
    }
    return false;
}

bool backoff_check_settings(const Settings *settings, GError **error)
{
    for (char **network = settings->login_trusted_networks; *network; network++) {
        Cidr cidr;
        if (!cidr_parse(*network, &cidr))
            return qwd_error_fail(error, QWD_ERROR_CONFIG,
                                  "login_trusted_networks: \"%s\" is no network. Write one as 192.0.2.0/24 or "
                                  "2001:db8::/32.",
                                  *network);
    }
    return true;
}

/* What an attempt is counted for, the user last. */
typedef struct {
    Counter list[COUNTERS_MAX];
    size_t count;
} Counters;

static void counters_clear(Counters *counters)
{
    for (size_t i = 0; i < counters->count; i++)
        counter_clear(&counters->list[i]);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Counters, counters_clear)

/* The user in a browser, or at an address that is trusted. An address and an id hold no space. */
static Counter counter_of_user_at(const char *kind, const char *where, const char *user, const char *address)
{
    g_autofree char *key = g_strjoin(" ", where, user, NULL);
    return counter_of(kind, key, g_strdup(user), g_strdup(address));
}

static Counters counters_of(const Settings *settings, const LoginAttempt *attempt)
{
    g_autofree char *place = network_of(attempt->address, HOST_BYTES), *user = counted_user(attempt->user);
    Counters counters = {.count = 1};
    if (attempt->browser) {
        counters.list[0] = counter_of_user_at(KIND_BROWSER, attempt->browser, user, place);
    } else if (backoff_trusts(settings, attempt->address)) {
        counters.list[0] = counter_of_user_at(KIND_USER_AT_ADDRESS, place, user, place);
    } else {
        counters.list[0] = counter_of(KIND_ADDRESS, place, g_strdup(place), g_strdup(place));
        counters.list[1] = counter_of(KIND_USER, user, g_strdup(user), g_strdup(""));
        counters.count = 2;
    }
    return counters;
}

/* The place of the attempt's network in the queue for its user. */
static Counter place_of(const LoginAttempt *attempt)
{
    g_autofree char *user = counted_user(attempt->user), *network = network_of(attempt->address, SITE_BYTES);
    return counter_of_user_at(KIND_PLACE, network, user, network);
}

/* --- who may be checked --- */

typedef enum {
    VERDICT_CHECK, /* now */
    VERDICT_BUSY,  /* when one that is being checked now has ended */
    VERDICT_PAUSE, /* when the time is over */
} Verdict;

/* What is being checked may turn out to be wrong: it takes up free attempts until that is known. */
static Verdict judge_free(gint64 free_count, int running)
{
    return running < MIN(free_count, RUNNING_MAX) ? VERDICT_CHECK : VERDICT_BUSY;
}

static Verdict judge(const Settings *settings, const Counter *counter, int running, gint64 *wait_s)
{
    g_autofree char *path = counter_path(settings, counter);
    g_autoptr(BackoffEntry) entry = backoff_entry_read(settings, path);
    *wait_s = entry ? entry->wait_s : 0;
    if (*wait_s)
        return VERDICT_PAUSE;
    gint64 free_count = counter_free_attempts(settings, counter->kind) - (entry ? entry->failures : 0);
    return judge_free(MAX(free_count, 1), running);
}

/* Others do not make the wait of a network longer once it has begun. When it is over, one attempt may be made. */
static Verdict judge_place(const Settings *settings, const Counter *counter, gint64 due_at, gint64 *wait_s)
{
    g_autofree char *path = counter_path(settings, counter);
    g_autoptr(BackoffEntry) place = backoff_entry_read(settings, path);
    if (place && place->due_at <= now_s()) {
        unlink(path);
        return VERDICT_CHECK;
    }
    if (!place) {
        place = backoff_entry_new(counter, path);
        place->last_at = place->due_at = due_at; /* it is kept for an hour from then on */
        backoff_entry_write(place, NULL);
    }
    *wait_s = place->due_at - now_s();
    return VERDICT_PAUSE;
}

static Verdict judge_user(const Settings *settings, const LoginAttempt *attempt, const Counter *user, int running,
                          gint64 *wait_s)
{
    g_autofree char *path = counter_path(settings, user);
    g_autoptr(BackoffEntry) entry = backoff_entry_read(settings, path);
    gint64 pause_s = entry ? backoff_entry_pause(settings, entry) : 0;
    if (!pause_s)
        return judge_free(counter_free_attempts(settings, user->kind) - (entry ? entry->failures : 0), running);
    g_auto(Counter) place = place_of(attempt);
    if (!entry->wait_s && !running) {
        counter_forget(settings, &place); /* it is for one attempt, whenever that is made */
        return VERDICT_CHECK;
    }
    gint64 rest_s = running ? pause_s : MIN(entry->wait_s, pause_s);
    return judge_place(settings, &place, now_s() + rest_s, wait_s);
}

/* --- attempts --- */

static json_t *counters_to_json(const Counters *counters)
{
    json_t *list = json_array();
    for (size_t i = 0; i < counters->count; i++) {
        const Counter *counter = &counters->list[i];
        g_autofree char *name = g_utf8_make_valid(counter->name, -1);
        g_autofree char *address = g_utf8_make_valid(counter->address, -1);
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "kind", counter->kind, "hash", counter->hash,
                                              "name", name, "address", address));
    }
    return json_pack("{s:o}", "counters", list);
}

/* Of one whose process was killed while it was checked nobody knows whether it was wrong. Who could end it so in time
 * would guess for nothing. */
static void count_abandoned(const Settings *settings)
{
    size_t i, k;
    const json_t *attempt, *object;
    g_autoptr(JsonValue) abandoned = running_take_abandoned(settings);
    json_array_foreach(abandoned, i, attempt)
    {
        json_array_foreach(json_object_get(attempt, "counters"), k, object)
        {
            Counter counter = {.kind = json_get_text(object, "kind", ""),
                               .hash = (char *)json_get_text(object, "hash", ""),
                               .name = (char *)json_get_text(object, "name", ""),
                               .address = (char *)json_get_text(object, "address", "")};
            counter_add(settings, &counter, NULL);
        }
    }
}

/* One that begins: what the wait for its turn needs. */
typedef struct {
    const Settings *settings;
    const LoginAttempt *attempt;
    Counters counters;
    char *marks[COUNTERS_MAX]; /* the hashes of the counters */
    RunningAttempt *running;
    bool is_decided;
    Verdict verdict;
    gint64 wait_s; /* VERDICT_PAUSE */
    GError *error;
} Turn;

static Verdict judge_all(Turn *turn, const RunningCounts *counts)
{
    const Counters *counters = &turn->counters;
    Verdict verdict = judge(turn->settings, &counters->list[0], counts->running[0], &turn->wait_s);
    if (verdict != VERDICT_CHECK || counters->count == 1)
        return verdict;
    return judge_user(turn->settings, turn->attempt, &counters->list[1], counts->running[1], &turn->wait_s);
}

static bool register_attempt(Turn *turn)
{
    g_autoptr(JsonValue) what = counters_to_json(&turn->counters);
    return running_register(turn->settings, turn->marks, what, turn->running, &turn->error);
}

static void decide(Turn *turn)
{
    count_abandoned(turn->settings);
    RunningCounts counts = running_count(turn->settings, turn->marks);
    turn->verdict = judge_all(turn, &counts);
    bool is_full = !turn->running->path && counts.waiting >= WAITING_MAX;
    turn->is_decided = turn->verdict != VERDICT_BUSY || is_full;
    if (turn->verdict == VERDICT_PAUSE || (turn->verdict == VERDICT_BUSY && is_full))
        return;
    if ((turn->running->path || register_attempt(turn)) && turn->verdict == VERDICT_CHECK)
        running_start(turn->running, &turn->error);
}

static bool is_decided(void *data)
{
    Turn *turn = data;
    autofd int fd = turn->is_decided ? -1 : wrong_attempts_lock(turn->settings, &turn->error);
    if (fd >= 0)
        decide(turn);
    turn->is_decided |= turn->error != NULL;
    return turn->is_decided;
}

static void on_change(void *data)
{
    (void)data; /* the wait looks again */
}

static void wait_for_turn(Turn *turn)
{
    guint watch = running_watch(turn->settings, on_change, NULL, &turn->error);
    if (watch)
        wait_until(is_decided, turn, (int)turn->settings->check_user_deadline * 1000, NULL);
    if (watch)
        g_source_remove(watch);
}

static bool refuse(Turn *turn, GError **error)
{
    if (turn->error) {
        g_propagate_error(error, turn->error);
        return false;
    }
    if (turn->verdict == VERDICT_PAUSE) {
        g_autofree char *wait = units_format_duration(turn->wait_s);
        return qwd_error_fail(error, QWD_ERROR_ATTEMPTS,
                              "There were too many attempts to log in. Wait %s, then try again.", wait);
    }
    return qwd_error_fail(error, QWD_ERROR_BUSY,
                          "Many people are logging in at this moment. Try again in a few seconds.");
}

bool backoff_begin(const Settings *settings, const LoginAttempt *attempt, RunningAttempt *running, GError **error)
{
    *running = (RunningAttempt){.fd = -1};
    g_auto(Counters) counters = counters_of(settings, attempt);
    Turn turn = {.settings = settings, .attempt = attempt, .counters = counters, .running = running};
    for (size_t i = 0; i < counters.count; i++)
        turn.marks[i] = counters.list[i].hash;
    if (!is_decided(&turn))
        wait_for_turn(&turn);
    wrong_attempts_prune(settings);
    if (!turn.error && turn.verdict == VERDICT_CHECK)
        return true;
    running_finish(running);
    return refuse(&turn, error);
}

/* One that cannot be counted stays behind as an abandoned one: it is counted when that is possible again. */
void backoff_end(const Settings *settings, const LoginAttempt *attempt, RunningAttempt *running, AttemptResult result)
{
    g_auto(Counters) counters = counters_of(settings, attempt);
    autofd int fd = wrong_attempts_lock(settings, NULL);
    bool good = fd >= 0;
    for (size_t i = 0; good && result == ATTEMPT_WRONG && i < counters.count; i++)
        good = counter_add(settings, &counters.list[i], NULL);
    for (size_t i = 0; result == ATTEMPT_RIGHT && i < counters.count; i++) {
        if (!g_str_equal(counters.list[i].kind, KIND_ADDRESS)) /* which counts others too */
            counter_forget(settings, &counters.list[i]);
    }
    if (good || result != ATTEMPT_WRONG)
        running_finish(running);
    else
        running_abandon(running);
}

void backoff_take_back(const Settings *settings, const LoginAttempt *attempt)
{
    g_auto(Counters) counters = counters_of(settings, attempt);
    autofd int fd = wrong_attempts_lock(settings, NULL);
    for (size_t i = 0; fd >= 0 && i < counters.count; i++)
        counter_take_back(settings, &counters.list[i]);
}

GPtrArray *backoff_list(const Settings *settings)
{
    return wrong_attempts_list(settings, false);
}

static int clear_of(const GPtrArray *entries, const char *name)
{
    int cleared = 0;
    for (guint i = 0; i < entries->len; i++) {
        const BackoffEntry *entry = entries->pdata[i];
        bool is_meant = !name || g_ascii_strcasecmp(name, entry->name) == 0 || g_str_equal(name, entry->address);
        cleared += is_meant && unlink(entry->path) == 0;
    }
    return cleared;
}

int backoff_clear(const Settings *settings, const char *name)
{
    autofd int fd = wrong_attempts_lock(settings, NULL);
    g_autoptr(GPtrArray) entries = wrong_attempts_list(settings, false), places = wrong_attempts_list(settings, true);
    if (fd < 0)
        return 0;
    clear_of(places, name);
    return clear_of(entries, name);
}
