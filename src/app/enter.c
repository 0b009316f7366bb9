/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "app/enter.h"

#include <string.h>

#include "app/mail.h"
#include "auth/backoff.h"
#include "auth/browser.h"
#include "auth/email.h"
#include "auth/seal.h"
#include "auth/totp.h"
#include "base/error.h"
#include "base/json.h"
#include "base/token.h"

#define PURPOSE "entrance"
#define STEP_LIFETIME_S 600
#define MAIL_LIFETIME_S 1800

void entrance_clear(Entrance *entrance)
{
    login_clear(&entrance->login);
    g_clear_pointer(&entrance->pending, g_free);
    g_clear_pointer(&entrance->user, g_free);
    g_clear_pointer(&entrance->claimed, g_free);
    g_clear_pointer(&entrance->secret, g_free);
    g_clear_pointer(&entrance->email, g_free);
    g_clear_pointer(&entrance->recovery, g_strfreev);
    g_clear_pointer(&entrance->carry, json_decref);
}

/* --- what travels --- */

/* The steps by their names in a seal. */
static const char *const step_names[] = {[ENTER_CODE] = "code", [ENTER_ENROL] = "enrol", [ENTER_LINK] = "link"};

static gint64 now_s(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

/* Whether the claim was a mail address alone: then the mailed link is the only proof. */
static bool is_mail_alone(const json_t *object)
{
    return json_get_bool(object, "mail_alone", false);
}

/* An unguessable id makes a seal one that can be used up. */
static json_t *step_object(const Entrance *entrance, const AuthIdentity *identity, EnterStage stage)
{
    g_autofree char *id = token_new();
    json_t *object = auth_identity_to_json(identity);
    json_object_set_new(object, "step", json_string(step_names[stage]));
    json_object_set_new(object, "id", json_string(id));
    json_object_set_new(object, "claimed", json_string(entrance->claimed ? entrance->claimed : ""));
    return object;
}

static bool wait_at(const EnterContext *context, const json_t *object, EnterStage stage, Entrance *entrance,
                    GError **error)
{
    entrance->stage = stage;
    g_free(entrance->user);
    entrance->user = g_strdup(json_get_text(object, "user", ""));
    g_free(entrance->pending);
    entrance->pending = seal_close(context->settings, PURPOSE, object, now_s() + STEP_LIFETIME_S, error);
    return entrance->pending != NULL;
}

/* --- steps --- */

static void finish(const EnterContext *context, AuthIdentity *identity, Entrance *entrance)
{
    entrance->stage = ENTER_LOGIN;
    login_begin(context->settings, identity, &entrance->login);
    entrance->login.is_by_mail = entrance->is_mail_alone;
}

static bool wants_code(const EnterContext *context, const AuthIdentity *identity)
{
    return g_str_equal(context->settings->check_user_mfa, "totp") &&
           login_needs_second_factor(context->settings, identity);
}

static bool ask_for_code(const EnterContext *context, const AuthIdentity *identity, Entrance *entrance, GError **error)
{
    bool enrolled = totp_is_enrolled(context->settings, identity->user);
    g_autoptr(JsonValue) object = step_object(entrance, identity, enrolled ? ENTER_CODE : ENTER_ENROL);
    json_object_set_new(object, "mail_alone", json_boolean(entrance->is_mail_alone));
    if (!enrolled) {
        entrance->secret = totp_new_secret();
        json_object_set_new(object, "secret", json_string(entrance->secret));
    }
    return wait_at(context, object, enrolled ? ENTER_CODE : ENTER_ENROL, entrance, error);
}

/* What html/mail/login-link.txt takes. New reference. */
static json_t *mail_values(const char *link, gint64 expires_at)
{
    g_autoptr(GUri) uri = g_uri_parse(link, G_URI_FLAGS_NONE, NULL);
    return json_pack("{s:s, s:s, s:I}", "service", uri ? g_uri_get_host(uri) : "", "link", link, "end_at",
                     (json_int_t)expires_at);
}

static bool send_link(const EnterContext *context, const AuthIdentity *identity, const json_t *carry,
                      Entrance *entrance, GError **error)
{
    g_autoptr(JsonValue) object = step_object(entrance, identity, ENTER_LINK);
    json_object_set(object, "carry", (json_t *)carry);
    json_object_set_new(object, "mail_alone", json_boolean(entrance->is_mail_alone));
    gint64 expires_at = now_s() + MAIL_LIFETIME_S;
    g_autofree char *seal = seal_close(context->settings, PURPOSE, object, expires_at, error);
    if (!seal)
        return false;
    g_autofree char *link = g_strconcat(context->link, seal, NULL);
    g_autoptr(JsonValue) values = mail_values(link, expires_at);
    entrance->stage = ENTER_MAILED;
    entrance->user = g_strdup(identity->user);
    entrance->email = g_strdup(identity->email);
    MailJob job = {
        .to = identity->email, .template_name = "login-link", .language = context->language, .values = values};
    return app_mail(context->settings, &job, error);
}

/* After the first proof: the second one, where it is asked for. */
static bool go_on(const EnterContext *context, AuthIdentity *identity, const json_t *carry, Entrance *entrance,
                  GError **error)
{
    if (!login_needs_second_factor(context->settings, identity)) {
        finish(context, identity, entrance);
        return true;
    }
    if (!context->is_page) {
        entrance->stage = ENTER_BROWSER;
        return true;
    }
    if (wants_code(context, identity))
        return ask_for_code(context, identity, entrance, error);
    if (!email_address_is_valid(identity->email))
        return qwd_error_fail(
            error, QWD_ERROR_DENIED,
            "A second factor goes to your mail address, and none is known. Please tell the administrator.");
    return send_link(context, identity, carry, entrance, error);
}

/* --- attempts --- */

typedef struct {
    LoginAttempt what;
    RunningAttempt running;
    char *browser;
} Attempt;

static void attempt_clear(Attempt *attempt)
{
    g_free(attempt->browser);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Attempt, attempt_clear)

/* `user` is whose cookie the browser has to have, `counted` what is counted. */
static Attempt attempt_of(const EnterContext *context, const char *user, const char *counted)
{
    char *browser = browser_known_id(context->settings, context->browser, user);
    return (Attempt){.what = {.address = context->address, .user = counted, .browser = browser}, .browser = browser};
}

static bool begin_attempt(const EnterContext *context, Attempt *attempt, GError **error)
{
    return backoff_begin(context->settings, &attempt->what, &attempt->running, error);
}

static AttemptResult result_of(bool good, bool is_answered)
{
    return good ? ATTEMPT_RIGHT : is_answered ? ATTEMPT_WRONG : ATTEMPT_UNANSWERED;
}

static void end_attempt(const EnterContext *context, Attempt *attempt, AttemptResult result)
{
    backoff_end(context->settings, &attempt->what, &attempt->running, result);
}

/* --- claims --- */

static bool enter_by_mail(const EnterContext *context, const char *address, const json_t *carry, Entrance *entrance,
                          GError **error)
{
    if (!email_address_is_valid(address) || !email_domain_is_allowed(context->settings->email_domains, address))
        return qwd_error_fail(
            error, QWD_ERROR_USAGE,
            "user: write your mail address, of a domain that may log in here, to get a link by mail.");
    g_auto(AuthIdentity) identity = {0};
    g_autofree char *user = g_ascii_strdown(address, -1);
    email_identity(user, &identity);
    entrance->is_mail_alone = true;
    return send_link(context, &identity, carry, entrance, error);
}

static bool enter_by_password(const EnterContext *context, const Claim *claim, const json_t *carry, Attempt *attempt,
                              Entrance *entrance, GError **error)
{
    g_auto(AuthIdentity) identity = {0};
    bool good = auth_check(context->settings, claim, &identity, context->troubles, error);
    end_attempt(context, attempt, result_of(good, !identity.is_unasked));
    entrance->is_unknown = !good && identity.is_unknown;
    if (!good)
        return false;
    login_trim_groups(context->settings, &identity);
    return go_on(context, &identity, carry, entrance, error);
}

bool enter_claim(const EnterContext *context, const Claim *claim, const json_t *carry, Entrance *entrance,
                 GError **error)
{
    g_auto(Attempt) attempt = attempt_of(context, claim->user, claim->user);
    if (!begin_attempt(context, &attempt, error))
        return false;
    entrance->claimed = g_strdup(claim->user);
    if (*claim->password || !context->settings->check_user_with_email)
        return enter_by_password(context, claim, carry, &attempt, entrance, error);
    bool is_sent = enter_by_mail(context, claim->user, carry, entrance, error);
    end_attempt(context, &attempt, is_sent ? ATTEMPT_WRONG : ATTEMPT_UNANSWERED); /* until the link is used */
    return is_sent;
}

bool enter_header(const EnterContext *context, const char *user, const json_t *carry, Entrance *entrance,
                  GError **error)
{
    g_auto(AuthIdentity) identity = {0};
    if (strlen(user) > CREDENTIAL_MAX_BYTES)
        return qwd_error_fail(error, QWD_ERROR_DENIED, "The name that the web server gives you is too long.");
    email_identity(user, &identity);
    return go_on(context, &identity, carry, entrance, error);
}

/* --- later steps --- */

static json_t *open_step(const EnterContext *context, const char *pending, GError **error)
{
    g_autoptr(JsonValue) object = seal_open(context->settings, PURPOSE, pending, error);
    if (!object)
        return NULL;
    if (seal_is_used_up(context->settings, json_get_text(object, "id", ""))) {
        qwd_error_fail(error, QWD_ERROR_LOGIN, "This link has been used already. Please log in again.");
        return NULL;
    }
    return g_steal_pointer(&object);
}

static bool is_step(const json_t *object, EnterStage stage)
{
    return g_str_equal(json_get_text(object, "step", ""), step_names[stage]);
}

static bool check_code(const EnterContext *context, const json_t *object, const char *code, Entrance *entrance,
                       GError **error)
{
    const char *user = json_get_text(object, "user", "");
    if (is_step(object, ENTER_CODE))
        return totp_verify(context->settings, user, code, error);
    entrance->recovery = totp_enrol(context->settings, user, entrance->secret, code, error);
    return entrance->recovery != NULL;
}

static bool resume_with_code(const EnterContext *context, const json_t *object, const char *code, Entrance *entrance,
                             GError **error)
{
    /* Counted apart from passwords: with the right one, nobody gets another try at the code. */
    const char *user = json_get_text(object, "user", "");
    g_autofree char *counted = g_strconcat(user, " (code)", NULL);
    EnterStage stage = is_step(object, ENTER_CODE) ? ENTER_CODE : ENTER_ENROL;
    g_auto(Attempt) attempt = attempt_of(context, user, counted);
    GError *cause = NULL;
    entrance->secret = stage == ENTER_ENROL ? g_strdup(json_get_text(object, "secret", "")) : NULL;
    bool may = begin_attempt(context, &attempt, &cause);
    bool good = may && check_code(context, object, code, entrance, &cause);
    if (may)
        end_attempt(context, &attempt, result_of(good, g_error_matches(cause, QWD_ERROR, QWD_ERROR_LOGIN)));
    if (good)
        return true;
    wait_at(context, object, stage, entrance, NULL); /* to be asked again */
    g_propagate_error(error, cause);
    return false;
}

static bool use_up(const EnterContext *context, const json_t *object, GError **error)
{
    return seal_use_up(context->settings, json_get_text(object, "id", ""), json_get_integer(object, "exp", 0), error);
}

bool enter_resume(const EnterContext *context, const char *pending, const char *code, Entrance *entrance,
                  GError **error)
{
    g_autoptr(JsonValue) object = open_step(context, pending, error);
    g_auto(AuthIdentity) identity = {0};
    if (!object || !auth_identity_from_json(object, &identity, error))
        return false;
    if (!is_step(object, ENTER_LINK) && !resume_with_code(context, object, code, entrance, error))
        return false;
    if (!use_up(context, object, error))
        return false;
    entrance->is_mail_alone = is_mail_alone(object);
    entrance->claimed = g_strdup(json_get_text(object, "claimed", ""));
    if (entrance->is_mail_alone && is_step(object, ENTER_LINK)) {
        g_auto(Attempt) attempt = attempt_of(context, identity.user, identity.user);
        backoff_take_back(context->settings, &attempt.what);
        if (wants_code(context, &identity))
            return ask_for_code(context, &identity, entrance, error);
    }
    finish(context, &identity, entrance);
    return true;
}

bool enter_look(const EnterContext *context, const char *pending, Entrance *entrance, GError **error)
{
    g_autoptr(JsonValue) object = open_step(context, pending, error);
    if (!object)
        return false;
    if (!is_step(object, ENTER_LINK))
        return qwd_error_fail(error, QWD_ERROR_LOGIN, "Please log in again.");
    entrance->stage = ENTER_LINK;
    entrance->pending = g_strdup(pending);
    entrance->user = g_strdup(json_get_text(object, "user", ""));
    entrance->carry = json_incref(json_object_get(object, "carry"));
    return true;
}
