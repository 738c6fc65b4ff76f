/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/peers/hub_topics.h"

#include "tests/peers/hub_sas.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define PATH_MAX_BYTES 512

static bool one_id_valid(const char *id, size_t len)
{
    if (len == 0 || len > HUB_DEVICE_ID_MAX) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)id[i];
        if (c >= 0x80 || (!isalnum(c) && !strchr("-.%_*?!(),:=@$'", c))) {
            return false;
        }
    }
    return true;
}

bool hub_name_valid(const char *name)
{
    const char *slash = strchr(name, '/');
    if (!slash) {
        return one_id_valid(name, strlen(name));
    }
    return one_id_valid(name, (size_t)(slash - name)) && one_id_valid(slash + 1, strlen(slash + 1));
}

/* devices/{d} or devices/{d}/modules/{m}, with a prefix in front. */
static bool path_of(const char *prefix, const char *name, char *dst, size_t size)
{
    const char *slash = strchr(name, '/');
    int n =
        slash ? snprintf(dst, size, "%sdevices/%.*s/modules/%s", prefix, (int)(slash - name), name, slash + 1)
              : snprintf(dst, size, "%sdevices/%s", prefix, name);
    return n >= 0 && (size_t)n < size;
}

bool hub_resource(const char *host, const char *name, char *dst, size_t size)
{
    char prefix[PATH_MAX_BYTES];
    int n = snprintf(prefix, sizeof prefix, "%s/", host);
    return n >= 0 && (size_t)n < sizeof prefix && path_of(prefix, name, dst, size);
}

static const char *after(const char *text, const char *prefix)
{
    size_t len = strlen(prefix);
    return strncmp(text, prefix, len) == 0 ? text + len : NULL;
}

static bool host_listed(const char *hosts, const char *host, size_t len)
{
    for (const char *p = hosts; *p;) {
        size_t n = strcspn(p, ",");
        if (n == len && strncasecmp(p, host, n) == 0) {
            return true;
        }
        p += n + (p[n] == ',');
    }
    return false;
}

const char *hub_username_check(const char *username, const char *name, const char *hosts)
{
    size_t host_len = strcspn(username, "/");
    if (!host_listed(hosts, username, host_len)) {
        return "username: another hub's host";
    }
    const char *p = username + host_len;
    size_t name_len = strlen(name);
    if (*p != '/' || strncmp(p + 1, name, name_len) != 0) {
        return "username: not for this client id";
    }
    p = after(p + 1 + name_len, "/?");
    if (!p) {
        return "username: /? must follow the client id";
    }
    bool version = false;
    for (;;) {
        size_t len = strcspn(p, "&");
        char decoded[PATH_MAX_BYTES];
        if (after(p, "api-version=") && !version) {
            version = len >= strlen("api-version=2016-11-14");
        } else if ((!after(p, "model-id=dtmi:") && !after(p, "DeviceClientType=")) ||
                   !hub_percent_decode(p, len, decoded, sizeof decoded)) {
            return "username: a query field is unknown or cannot be decoded";
        }
        if (p[len] == '\0') {
            return version ? NULL : "username: api-version is missing";
        }
        p += len + 1;
    }
}

/* k=v&k&k=v, system properties ($.x or %24.x) first or not; returns false when it cannot be read. */
static bool bag_size(const char *bag, size_t len, size_t *ret_bytes)
{
    size_t total = 0;
    for (size_t i = 0; i < len;) {
        char key[PATH_MAX_BYTES], value[2048];
        const char *end = memchr(bag + i, '&', len - i);
        size_t n = end ? (size_t)(end - bag) - i : len - i;
        const char *equals = memchr(bag + i, '=', n);
        size_t key_len = equals ? (size_t)(equals - bag) - i : n;
        size_t value_len = equals ? n - key_len - 1 : 0;
        if (key_len == 0 || memchr(bag + i, '/', n) ||
            !hub_percent_decode(bag + i, key_len, key, sizeof key) ||
            !hub_percent_decode(bag + i + n - value_len, value_len, value, sizeof value)) {
            return false;
        }
        total += strlen(value) + (strncmp(key, "$.", 2) == 0 ? 0 : strlen(key));
        i += n + 1;
        if (end && i == len) {
            return false; /* nothing follows the last & */
        }
    }
    *ret_bytes = total;
    return true;
}

static bool rid_follows(const char *query)
{
    const char *rid = query ? after(query, "?$rid=") : NULL;
    return rid && *rid && *rid != '&';
}

static bool method_reply(const char *rest)
{
    size_t digits = rest ? strspn(rest, "0123456789") : 0;
    return digits > 0 && rest[digits] == '/' && rid_follows(rest + digits + 1);
}

const char *hub_publish_check(const char *name, const char *topic, size_t *ret_property_bytes,
                              bool *ret_telemetry)
{
    char base[PATH_MAX_BYTES];
    *ret_property_bytes = 0;
    *ret_telemetry = false;
    if (rid_follows(after(topic, "$iothub/twin/GET/")) ||
        rid_follows(after(topic, "$iothub/twin/PATCH/properties/reported/")) ||
        rid_follows(after(topic, "$iothub/credentials/POST/issueCertificate/")) ||
        method_reply(after(topic, "$iothub/methods/res/"))) {
        return NULL;
    }
    if (!path_of("", name, base, sizeof base)) {
        return "publish: the name is too long";
    }
    const char *bag = after(topic, base);
    bag = bag ? after(bag, "/messages/events/") : NULL;
    if (!bag) {
        return "publish: not a documented topic of this identity";
    }
    size_t len = strlen(bag);
    if (len > 0 && bag[len - 1] == '/') {
        len--; /* module outputs are sent with a slash behind the bag */
    }
    if (!bag_size(bag, len, ret_property_bytes)) {
        return "publish: the property bag cannot be read";
    }
    *ret_telemetry = true;
    return NULL;
}

static bool filter_text(const char *name, int index, char *dst, size_t size)
{
    static const char *const fixed[] = {"$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#",
                                        "$iothub/methods/POST/#", "$iothub/credentials/res/#"};
    enum { FIXED = sizeof fixed / sizeof fixed[0] };
    char base[PATH_MAX_BYTES];
    int n = -1;
    if (index < FIXED) {
        n = snprintf(dst, size, "%s", fixed[index]);
    } else if (path_of("", name, base, sizeof base) && index == FIXED) {
        n = snprintf(dst, size, "%s/messages/devicebound/#", base);
    } else if (index == FIXED + 1 && strchr(name, '/')) {
        n = snprintf(dst, size, "%s/inputs/#", base);
    }
    return n >= 0 && (size_t)n < size;
}

bool hub_filter_documented(const char *name, const char *filter)
{
    char text[PATH_MAX_BYTES];
    for (int i = 0; filter_text(name, i, text, sizeof text); i++) {
        if (strcmp(text, filter) == 0) {
            return true;
        }
    }
    return false;
}

bool hub_devicebound(const char *topic, char *dst, size_t size)
{
    const char *id = after(topic, "devices/");
    const char *end = id ? strstr(id, "/messages/devicebound/") : NULL;
    if (!end || (size_t)(end - id) >= size) {
        return false;
    }
    snprintf(dst, size, "%.*s", (int)(end - id), id);
    return true;
}

/* --- the provisioning service ------------------------------------------------------------------- */

bool dps_name_valid(const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)name[i];
        if (c >= 0x80 || (!isalnum(c) && !strchr("-._:", c))) {
            return false;
        }
    }
    return len > 0 && len <= HUB_DEVICE_ID_MAX &&
           (isalnum((unsigned char)name[len - 1]) || name[len - 1] == '-');
}

const char *dps_username_check(const char *username, const char *name, const char *id_scope)
{
    const char *p = after(username, id_scope);
    p = p ? after(p, "/registrations/") : NULL;
    if (!p) {
        return "username: another id scope";
    }
    p = after(p, name);
    p = p ? after(p, "/api-version=") : NULL;
    if (!p) {
        return "username: not for this registration id, or no api-version behind it";
    }
    char decoded[PATH_MAX_BYTES];
    size_t dated = strlen("2019-03-31"), len = strspn(p, "0123456789-");
    if (len < dated) {
        return "username: api-version";
    }
    const char *rest = p + dated, *preview = after(rest, "-preview");
    rest = preview ? preview : rest;
    const char *client = after(rest, "&ClientVersion=");
    if (*rest && !client) {
        return "username: api-version, or a field behind it";
    }
    return !client || hub_percent_decode(client, strlen(client), decoded, sizeof decoded)
               ? NULL
               : "username: ClientVersion cannot be decoded";
}

const char *dps_publish_check(const char *topic)
{
    const char *poll = after(topic, "$dps/registrations/GET/iotdps-get-operationstatus/");
    if (rid_follows(after(topic, "$dps/registrations/PUT/iotdps-register/")) ||
        (rid_follows(poll) && strstr(poll, "&operationId="))) {
        return NULL;
    }
    return "publish: neither a registration nor a question for its state";
}
