/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/azure_topic.h"

#define STATUS_DIGITS 3

bool tg_azure_topic_reply(struct tg_bytes topic, const char *prefix, uint32_t *ret_status,
                          struct tg_bytes *ret_query)
{
    static const char mark[] = "/?";
    size_t at = strlen(prefix), query = at + STATUS_DIGITS + sizeof mark - 1;
    uint32_t status = 0;
    if (!tg_bytes_starts(topic, prefix) || topic.len < query)
        return false;
    for (size_t i = at; i < at + STATUS_DIGITS; i++) {
        if (topic.data[i] < '0' || topic.data[i] > '9')
            return false;
        status = status * 10 + (uint32_t)(topic.data[i] - '0');
    }
    if (memcmp(topic.data + at + STATUS_DIGITS, mark, sizeof mark - 1) != 0)
        return false;
    *ret_status = status;
    *ret_query = tg_bytes(topic.data + query, topic.len - query);
    return true;
}

struct tg_bytes tg_azure_query(struct tg_bytes query, const char *name)
{
    size_t name_len = strlen(name);
    while (query.len > 0) {
        const uint8_t *amp = memchr(query.data, '&', query.len);
        size_t len = amp ? (size_t)(amp - query.data) : query.len, skip = amp ? len + 1 : len;
        if (len > name_len && query.data[name_len] == '=' && memcmp(query.data, name, name_len) == 0)
            return tg_bytes(query.data + name_len + 1, len - name_len - 1);
        query = tg_bytes(query.data + skip, query.len - skip);
    }
    return (struct tg_bytes){0};
}

bool tg_azure_query_u64(struct tg_bytes query, const char *name, uint64_t *ret_value)
{
    struct tg_bytes text = tg_azure_query(query, name);
    uint64_t v = 0;
    if (text.len == 0 || text.len > 18) /* 10^18 is below 2^63 */
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(text.data[i] - '0');
    }
    *ret_value = v;
    return true;
}
