/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/mqtt_template.h"

static const char device_mark[] = "{device}", gateway_mark[] = "{gateway}", point_mark[] = "{point}";

/* The placeholder that begins at `p`, or NULL. */
static const char *mark_at(const char *p)
{
    static const char *const marks[] = {device_mark, gateway_mark, point_mark};
    for (size_t i = 0; *p == '{' && i < sizeof marks / sizeof marks[0]; i++)
        if (strncmp(p, marks[i], strlen(marks[i])) == 0)
            return marks[i];
    return NULL;
}

void tg_mqtt_template_expand(struct tg_writer *w, const char *text, const struct tg_mqtt_names *names)
{
    while (*text) {
        size_t plain = strcspn(text, "{");
        tg_write_bytes(w, tg_bytes(text, plain));
        text += plain;
        if (!*text)
            return;
        const char *mark = mark_at(text);
        if (mark == device_mark)
            tg_write_str(w, names->device);
        else if (mark == gateway_mark)
            tg_write_str(w, names->gateway);
        else if (mark && names->point)
            tg_write_str(w, names->point);
        else
            mark = NULL;
        if (!mark)
            tg_write_u8(w, (uint8_t)*text);
        text += mark ? strlen(mark) : 1;
    }
}

/* "{word}": what looks like a placeholder in a message. */
static bool is_word_in_braces(const char *p)
{
    size_t n = strspn(p + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_");
    return n > 0 && p[1 + n] == '}';
}

static int check_filter(const char *option, const char *text, struct tg_error *err)
{
    for (const char *p = text; (p = strpbrk(p, "+#")) != NULL; p++)
        if ((p > text && p[-1] != '/') || (p[1] != '\0' && (*p == '#' || p[1] != '/')))
            return tg_error_set(err, TG_EINVAL, "%s: in \"%s\" a '%c' is not a whole level%s", option, text,
                                *p, *p == '#' ? " at the end" : "");
    return TG_OK;
}

int tg_mqtt_template_check(const char *option, const char *text, enum tg_mqtt_template_kind kind, bool point,
                           struct tg_error *err)
{
    for (const char *p = strchr(text, '{'); p; p = strchr(p + 1, '{')) {
        const char *mark = mark_at(p);
        if ((mark && (mark != point_mark || point)) ||
            (kind == TG_MQTT_TEMPLATE_MESSAGE && !is_word_in_braces(p)))
            continue;
        return tg_error_set(err, TG_EINVAL, "%s: unknown placeholder at \"%.20s\"; known are %s", option, p,
                            point ? "{device}, {gateway} and {point}" : "{device} and {gateway}");
    }
    if (kind == TG_MQTT_TEMPLATE_TOPIC && strpbrk(text, "+#"))
        return tg_error_set(err, TG_EINVAL,
                            "%s: \"%s\" has a wildcard (+ or #); a topic to publish to has none", option,
                            text);
    return kind == TG_MQTT_TEMPLATE_FILTER ? check_filter(option, text, err) : TG_OK;
}

unsigned tg_mqtt_template_count(const char *text, const char *placeholder)
{
    unsigned n = 0;
    for (const char *p = text; (p = strstr(p, placeholder)) != NULL; p += strlen(placeholder))
        n++;
    return n;
}

size_t tg_mqtt_template_bytes(const char *text, size_t device_bytes, size_t gateway_bytes, size_t point_bytes)
{
    size_t n = strlen(text);
    n -= tg_mqtt_template_count(text, device_mark) * strlen(device_mark);
    n += tg_mqtt_template_count(text, device_mark) * device_bytes;
    n -= tg_mqtt_template_count(text, gateway_mark) * strlen(gateway_mark);
    n += tg_mqtt_template_count(text, gateway_mark) * gateway_bytes;
    n -= tg_mqtt_template_count(text, point_mark) * strlen(point_mark);
    return n + tg_mqtt_template_count(text, point_mark) * point_bytes;
}

/* Matches text[0 … text_len-1], in which + is a whole level and # the rest, with the topic from `at` on; the place after it, or
 * SIZE_MAX. */
static size_t match(const char *text, size_t text_len, const char *gateway, struct tg_bytes topic, size_t at)
{
    for (size_t i = 0; i < text_len;) {
        if (text_len - i >= strlen(gateway_mark) && mark_at(text + i) == gateway_mark) {
            size_t n = strlen(gateway);
            if (topic.len - at < n || memcmp(topic.data + at, gateway, n) != 0)
                return SIZE_MAX;
            at += n;
            i += strlen(gateway_mark);
        } else if (text[i] == '#') {
            return topic.len;
        } else if (text[i] == '+') {
            while (at < topic.len && topic.data[at] != '/')
                at++;
            i++;
        } else if (text[i] == '/' && text[i + 1] == '#' && at == topic.len) {
            return topic.len; /* "a/#" is "a" as well */
        } else {
            if (at == topic.len || topic.data[at] != (uint8_t)text[i])
                return SIZE_MAX;
            at++;
            i++;
        }
    }
    return at;
}

struct tg_bytes tg_mqtt_template_device(const char *text, const char *gateway, struct tg_bytes topic)
{
    const struct tg_bytes none = {0};
    const char *mark = strstr(text, device_mark), *after, *next_level;
    size_t begin, end, tail;
    if (!mark || (begin = match(text, (size_t)(mark - text), gateway, topic, 0)) == SIZE_MAX)
        return none;
    after = mark + strlen(device_mark);
    next_level = strchr(after, '/');
    if (!next_level)
        next_level = after + strlen(after);
    for (end = begin; end < topic.len && topic.data[end] != '/';)
        end++;
    /* What follows {device} within its level is fixed text, so its length says where the id ends. */
    tail = tg_mqtt_template_bytes(after, 0, strlen(gateway), 0) -
           tg_mqtt_template_bytes(next_level, 0, strlen(gateway), 0);
    if (end - begin <= tail || match(after, strlen(after), gateway, topic, end - tail) != topic.len)
        return none;
    return tg_bytes(topic.data + begin, end - tail - begin);
}

bool tg_mqtt_filter_matches(struct tg_bytes filter, struct tg_bytes topic)
{
    size_t f = 0, t = 0;
    if (topic.len && topic.data[0] == '$' && filter.len && (filter.data[0] == '+' || filter.data[0] == '#'))
        return false;
    while (f < filter.len) {
        if (filter.data[f] == '#')
            return true;
        if (filter.data[f] == '+') {
            while (t < topic.len && topic.data[t] != '/')
                t++;
            f++;
        } else if (t < topic.len && filter.data[f] == topic.data[t]) {
            f++;
            t++;
        } else {
            return t == topic.len && filter.len - f == 2 && filter.data[f] == '/' &&
                   filter.data[f + 1] == '#';
        }
    }
    return t == topic.len;
}
