/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/ucx_mqtt.h"

#include <string.h>

enum { CLIENT, USER, PASSWORD, PUBLISH, SUBSCRIBE, VALUES };

struct value {
    const char *key, *text;
    bool variable;
};

static bool has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7F)
            return true;
    return false;
}

bool tg_ucx_write_parameter(struct tg_writer *w, const char *value)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/$?={}#@+()!*&%";
    bool quoted = *value == '\0' || strspn(value, plain) != strlen(value);
    if (has_control(value))
        return false;
    if (quoted)
        tg_write_u8(w, '"');
    for (const char *p = value; *p; p++) {
        if (*p == '"' || *p == '\\')
            tg_write_u8(w, '\\');
        tg_write_u8(w, (uint8_t)*p);
    }
    if (quoted)
        tg_write_u8(w, '"');
    return !w->failed;
}

static void put(struct tg_writer *w, const char *key, const char *text)
{
    tg_write_str(w, key);
    tg_write_str(w, text);
}

static int write_connect(const struct tg_ucx_mqtt *m, const struct value *values, size_t limit,
                         struct tg_ucx_command *ret)
{
    struct tg_writer w = tg_writer_init(ret->text, limit + 1);
    uint8_t next = 0;
    char separator[2] = "";
    ret->secret = false;
    put(&w, "AT+UDCP=mqtt://", m->host);
    tg_write_str(&w, ":");
    tg_write_u64_dec(&w, m->port);
    tg_write_str(&w, "/?");
    for (size_t i = 0; i < VALUES; i++) {
        if (!values[i].text)
            continue;
        tg_write_str(&w, separator);
        separator[0] = '&';
        tg_write_str(&w, values[i].key);
        if (values[i].variable) {
            tg_write_str(&w, "%%");
            tg_write_u64_dec(&w, next++);
        } else {
            tg_write_str(&w, values[i].text);
            ret->secret |= i == PASSWORD;
        }
    }
    if (m->ca)
        tg_write_str(&w, "&encr=3");
    if (m->keepalive_s) {
        tg_write_str(&w, "&keepAlive=");
        tg_write_u64_dec(&w, m->keepalive_s);
    }
    if (m->ca)
        put(&w, "&ca=", m->ca);
    if (m->certificate)
        put(&w, "&cert=", m->certificate);
    if (m->key)
        put(&w, "&privKey=", m->key);
    return tg_writer_cstr(&w);
}

static int write_variable(const char *text, unsigned index, bool secret, struct tg_ucx_command *ret)
{
    struct tg_writer w = tg_writer_init(ret->text, sizeof ret->text);
    tg_write_str(&w, "AT+UDUV=");
    tg_write_u64_dec(&w, index);
    tg_write_str(&w, ",");
    ret->secret = secret;
    if (!tg_ucx_write_parameter(&w, text))
        return TG_ETOOBIG;
    return tg_writer_cstr(&w);
}

/* The longest value that is still in the URL; NULL: none that would get shorter. */
static struct value *longest(struct value *values)
{
    struct value *found = NULL;
    for (size_t i = 0; i < VALUES; i++)
        if (values[i].text && !values[i].variable && strlen(values[i].text) > 3 &&
            (!found || strlen(values[i].text) > strlen(found->text)))
            found = &values[i];
    return found;
}

static int check(const struct tg_ucx_mqtt *m, const struct value *values, const char **ret_what)
{
    static const char *const names[VALUES] = {"the client id", "the user name", "the password",
                                              "the topic to publish to", "the topic to subscribe to"};
    for (size_t i = 0; i < VALUES; i++) {
        *ret_what = names[i];
        if (values[i].text && has_control(values[i].text))
            return TG_EINVAL;
    }
    *ret_what = "the host name";
    return has_control(m->host) || strpbrk(m->host, "&%\"/?, ;") ? TG_EINVAL : TG_OK;
}

int tg_ucx_mqtt_commands(const struct tg_ucx_mqtt *m, size_t limit_bytes,
                         struct tg_ucx_command ret_commands[TG_UCX_COMMANDS_MAX], size_t *ret_count,
                         const char **ret_what)
{
    struct value values[VALUES] = {[CLIENT] = {"client=", m->client, false},
                                   [USER] = {"user=", m->user, false},
                                   [PASSWORD] = {"passwd=", m->password, false},
                                   [PUBLISH] = {"pt=", m->publish, false},
                                   [SUBSCRIBE] = {"st=", m->subscribe, false}};
    size_t limit = limit_bytes < TG_AT_COMMAND_MAX_BYTES ? limit_bytes : TG_AT_COMMAND_MAX_BYTES;
    struct tg_ucx_command connect;
    size_t n = 0;
    int rc = check(m, values, ret_what);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < VALUES; i++)
        values[i].variable = values[i].text && strpbrk(values[i].text, "&%\"\\,; ");
    while (write_connect(m, values, limit, &connect) < 0) {
        struct value *v = longest(values);
        *ret_what = "AT+UDCP";
        if (!v)
            return TG_ETOOBIG;
        v->variable = true;
    }
    for (size_t i = 0; i < VALUES; i++) {
        if (!values[i].variable)
            continue;
        *ret_what = values[i].key;
        if (n == TG_UCX_VARIABLES_MAX ||
            write_variable(values[i].text, (unsigned)n, i == PASSWORD, &ret_commands[n]) < 0)
            return TG_ETOOBIG;
        n++;
    }
    ret_commands[n++] = connect;
    *ret_count = n;
    explicit_bzero(&connect, sizeof connect);
    return TG_OK;
}

/* Where the secret of a command begins: behind &passwd=, behind the index of a variable, behind AT+UWSC=0,8, */
static const char *secret_part(const char *command)
{
    const char *at = strstr(command, "&passwd=");
    int commas = strncmp(command, "AT+UDUV=", 8) == 0 ? 1 : 2;
    if (at)
        return at + sizeof "&passwd=" - 1;
    for (at = command; *at && commas > 0; at++)
        commas -= *at == ',';
    return commas > 0 ? command + strcspn(command, "=") : at;
}

void tg_ucx_redact(const char *command, bool secret, char *ret_text, size_t size)
{
    struct tg_writer w = tg_writer_init(ret_text, size - 1);
    const char *from = secret ? secret_part(command) : command + strlen(command), *rest = strchr(from, '&');
    size_t n = (size_t)(from - command), stars = secret ? 3 : 0;
    n = n + stars > w.cap ? w.cap - stars : n;
    tg_write_bytes(&w, tg_bytes(command, n));
    tg_write_bytes(&w, tg_bytes("***", stars));
    /* What follows a password in a URL is no secret; a variable is one to its end. */
    if (secret && rest && strstr(command, "&passwd=")) {
        n = strlen(rest);
        tg_write_bytes(&w, tg_bytes(rest, n > w.cap - w.len ? w.cap - w.len : n));
    }
    ret_text[w.len] = '\0';
}
