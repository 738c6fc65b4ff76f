/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/gateway/cmd_identity.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/pkcs11_uri.h"
#include "core/base/plural.h"

#undef tg_identity_fail /* what the analyser has in its place */

static const char help[] =
    "usage: tidegate identity create DEVICE [-c FILE] [--cloud C] [--rsa 2048|3072] [--days N] [--force] "
    "[--json]\n"
    "       tidegate identity csr    DEVICE [-c FILE] [--cloud C] [--rsa 2048|3072] [--out FILE]\n"
    "       tidegate identity csr    --proof CODE --key CA_KEY --certificate CA_CERTIFICATE [--out FILE]\n"
    "       tidegate identity import DEVICE [-c FILE] [--cloud C] --certificate FILE\n"
    "       tidegate identity import DEVICE [-c FILE] [--cloud C] --pkcs12 FILE --password-file FILE "
    "[--force]\n"
    "       tidegate identity show   DEVICE [-c FILE] [--cloud C] [--json]\n"
    "       tidegate identity token  DEVICE [-c FILE] [--cloud C] [--ttl 1h] [--json]\n\n"
    "create  makes the private key and a self-signed certificate in the files that the configuration names, "
    "and prints\n"
    "        what a hub registers: thumbprints, public key. For a JWT key: the key alone. Nothing is "
    "overwritten without\n"
    "        --force. A key in a token (--key pkcs11:…, or in the configuration) is used, not made.\n"
    "csr     a certificate signing request for the device's key, which is made when it is not there. With "
    "--proof: the\n"
    "        certificate that proves to a hub that the CA's key is yours; its common name is the hub's "
    "code.\n"
    "import  puts a certificate that a CA has issued, or a PKCS#12 file, where the configuration wants it, "
    "after a check\n"
    "        that it belongs to the device's key.\n"
    "show    kind, subject, thumbprints, days left, public key; never a secret.\n"
    "token   a SAS token or JWT as the device would present it: a secret, for tests with other clients.\n\n"
    "Options: --key FILE|URI and --certificate FILE stand for the configuration's; with both, create and csr "
    "need no\n"
    "configuration. --cloud where a device has several. -c FILE (default " TG_DEFAULT_CONFIG ").\n";

int tg_identity_fail(const struct tg_identity_args *a, const char *fmt, ...)
{
    va_list ap;
    fprintf(stderr, "tidegate %s %s: ", a->command ? a->command : "identity", a->verb);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    return TG_EXIT_NO;
}

void tg_identity_print_json(json_t *given)
{
    char *text = json_dumps(given, JSON_INDENT(2));
    printf("%s\n", text ? text : "{}");
    free(text);
    json_decref(given);
}

/* --- certificates --------------------------------------------------------------------------------------- */

static int64_t days_left(const struct tg_tls_credential_info *c)
{
    return tg_identity_days_left(c->not_after_s, tg_clock_wall_ms() / 1000);
}

void tg_identity_print_certificate(const struct tg_tls_credential_info *c)
{
    char date[TG_CLOCK_ISO8601_BYTES];
    int64_t left = days_left(c);
    tg_clock_iso8601(c->not_after_s * 1000, date);
    printf("subject      CN=%s\nvalid until  %.10s ", c->common_name, date);
    if (left < 0)
        printf("(ended %lld %s ago)\n", (long long)-left, tg_plural((uint64_t)-left, "day", "days"));
    else
        printf("(%lld %s left)\n", (long long)left, tg_plural((uint64_t)left, "day", "days"));
    printf("SHA-1        %s\nSHA-256      %s\n", c->sha1, c->sha256);
}

void tg_identity_json_certificate(json_t *object, const struct tg_tls_credential_info *c)
{
    char date[TG_CLOCK_ISO8601_BYTES];
    tg_clock_iso8601(c->not_after_s * 1000, date);
    json_object_set_new(object, "certificate",
                        json_pack("{s:s,s:s,s:I,s:s,s:s}", "subject", c->common_name, "not_after", date,
                                  "days_left", (json_int_t)days_left(c), "sha1", c->sha1, "sha256",
                                  c->sha256));
}

/* --- the device ------------------------------------------------------------------------------------------- */

static const struct tg_config_device *find_device(const struct tg_identity_args *a, const struct tg_config *c)
{
    const char *names[512], *near;
    size_t n = 0;
    for (uint32_t s = 0; s < c->source_count; s++)
        for (uint32_t d = 0; d < c->sources[s].device_count; d++) {
            const struct tg_config_device *device = &c->sources[s].devices[d];
            if (strcmp(device->id, a->device) == 0)
                return device;
            if (n < sizeof names / sizeof names[0])
                names[n++] = device->id;
        }
    near = tg_nearest_word(a->device, names, n);
    tg_identity_fail(a, "there is no device \"%s\" in %s%s%s%s", a->device, c->file,
                     near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
    return NULL;
}

static const struct tg_config_route *find_route(const struct tg_identity_args *a,
                                                const struct tg_config_device *d)
{
    char clouds[256];
    struct tg_writer w = tg_writer_init(clouds, sizeof clouds);
    for (uint32_t i = 0; i < d->route_count; i++) {
        if (!a->cloud ? d->route_count == 1 : strcmp(d->routes[i].cloud->name, a->cloud) == 0)
            return &d->routes[i];
        tg_write_fmt(&w, "%s%s", i ? ", " : "", d->routes[i].cloud->name);
    }
    if (tg_writer_cstr(&w) < 0)
        clouds[0] = '\0';
    if (d->route_count == 0)
        tg_identity_fail(a, "device %s has no cloud", d->id);
    else if (a->cloud)
        tg_identity_fail(a, "device %s does not go to cloud \"%s\"; its clouds are %s", d->id, a->cloud,
                         clouds);
    else
        tg_identity_fail(a, "device %s has several clouds: choose one with --cloud (%s)", d->id, clouds);
    return NULL;
}

/* What the command line names takes the place of what the file names. */
static void override(const struct tg_identity_args *a, struct tg_config_identity *i)
{
    if (a->key && i->kind == TG_IDENTITY_JWT_KEY)
        i->jwt_key = a->key;
    else if (a->key)
        i->key = a->key;
    if (a->certificate)
        i->certificate = a->certificate;
}

int tg_identity_find(const struct tg_identity_args *a, bool with_files, struct tg_identity_target *ret)
{
    struct tg_identity_target t = {.name = a->device};
    const char *path = a->common.config ? a->common.config : TG_DEFAULT_CONFIG;
    int rc;
    if (!a->common.config && a->key && (a->certificate || strcmp(a->verb, "csr") == 0)) {
        t.identity.kind = TG_IDENTITY_X509;
        override(a, &t.identity);
        *ret = t;
        return TG_EXIT_OK;
    }
    if (tg_command_plugins(&a->common, &t.plugins) < 0)
        return TG_EXIT_NO;
    rc = with_files ? tg_command_load(path, t.plugins, &t.config)
                    : tg_command_load_without_files(path, t.plugins, &t.config);
    if (rc == TG_OK && (t.device = find_device(a, t.config)) && (t.route = find_route(a, t.device))) {
        t.name = t.route->cloud_device_id;
        t.identity = t.route->identity;
        override(a, &t.identity);
        *ret = t;
        return TG_EXIT_OK;
    }
    tg_identity_target_free(&t);
    return TG_EXIT_NO;
}

const struct tg_cloud_type *tg_identity_cloud(const struct tg_identity_target *t,
                                              struct tg_cloud_target *ret_target, struct tg_error *err)
{
    const struct tg_config_cloud *cloud = t->route->cloud;
    const struct tg_cloud_type *type = tg_cloud_type_of(cloud, err);
    struct tg_cloud_target target = {.host = tg_settings_text(cloud->common, "host"),
                                     .device_id = t->name,
                                     .gateway = tg_settings_text(t->config->gateway, "name"),
                                     .settings = cloud->settings,
                                     .common = cloud->common,
                                     .provisioning = cloud->provisioning,
                                     .device = t->device};
    if (!target.host && type)
        target.host = type->default_host;
    *ret_target = target;
    return type;
}

void tg_identity_target_free(struct tg_identity_target *t)
{
    if (t->config)
        tg_config_free(t->config);
    if (t->plugins)
        tg_plugin_set_free(t->plugins);
    *t = (struct tg_identity_target){0};
}

/* --- command line ----------------------------------------------------------------------------------------- */

static const char *const valued[] = {"--cloud",  "--key",           "--pkcs11", "--certificate",
                                     "--pkcs12", "--password-file", "--out",    "--proof",
                                     "--rsa",    "--days",          "--ttl",    NULL};

/* 0, or an exit code. */
static int parse(int argc, char **argv, struct tg_identity_args *a)
{
    const char **const values[] = {&a->cloud,  &a->key,           &a->key, &a->certificate,
                                   &a->pkcs12, &a->password_file, &a->out, &a->proof,
                                   &a->rsa,    &a->days,          &a->ttl};
    char *rest[64];
    int n = 0;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--force") == 0)
            a->force = true;
        else if (n < 63)
            rest[n++] = argv[i];
    }
    rest[n] = NULL;
    int rc = tg_args_parse(n, rest, valued, &a->common);
    for (uint32_t i = 0; rc == 0 && i < a->common.count; i++) {
        const char *arg = a->common.args[i];
        size_t k = 0;
        while (valued[k] && strcmp(arg, valued[k]) != 0)
            k++;
        if (valued[k])
            *values[k] = a->common.args[++i];
        else if (!a->verb)
            a->verb = arg;
        else if (!a->device)
            a->device = arg;
        else {
            fprintf(stderr, "tidegate identity %s: \"%s\" is one argument too many\n", a->verb, arg);
            rc = TG_EXIT_USAGE;
        }
    }
    return rc;
}

int tg_cmd_identity(int argc, char **argv)
{
    static const struct {
        const char *verb;
        int (*run)(const struct tg_identity_args *a);
    } verbs[] = {{"create", tg_identity_create},
                 {"csr", tg_identity_csr},
                 {"import", tg_identity_import},
                 {"show", tg_identity_show},
                 {"token", tg_identity_token}};
    struct tg_identity_args a = {.verb = NULL};
    struct tg_error err = {0};
    int rc = parse(argc, argv, &a);
    if (rc)
        return rc;
    size_t k = 0;
    while (a.verb && k < sizeof verbs / sizeof verbs[0] && strcmp(a.verb, verbs[k].verb) != 0)
        k++;
    if (a.common.help || !a.verb || k == sizeof verbs / sizeof verbs[0] || (!a.device && !a.proof)) {
        fputs(help, a.common.help ? stdout : stderr);
        return a.common.help ? TG_EXIT_OK : TG_EXIT_USAGE;
    }
    if (tg_tls_global_init(&err) < 0)
        return tg_identity_fail(&a, "%s", err.text);
    rc = verbs[k].run(&a);
    tg_tls_global_fini();
    return rc;
}
