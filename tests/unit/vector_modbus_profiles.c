/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The plugin's built-in profiles against southbound/modbus_profiles.json: each tag is a point at that
 * address, of that type, unit and scale; the samples of the file decode to the values it expects; each
 * profile opens.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libfyaml.h>

#include "southbound/modbus_points.h"
#include "support/fake_host.h"
#include "support/vectors.h"

static char *text_at(struct fy_node *n, const char *key)
{
    struct fy_node *v = fy_node_mapping_lookup_by_string(n, key, (size_t)-1);
    size_t len = 0;
    const char *s = v ? fy_node_get_scalar(v, &len) : NULL;
    return s ? strndup(s, len) : NULL;
}

static struct fy_node *point_named(struct fy_document *doc, const char *name)
{
    struct fy_node *points = fy_node_by_path(fy_document_root(doc), "/points", (size_t)-1, FYNWF_DONT_FOLLOW),
                   *p;
    void *it = NULL;
    while ((p = fy_node_sequence_iterate(points, &it)) != NULL) {
        char *found = text_at(p, "name");
        bool same = found && strcmp(found, name) == 0;
        free(found);
        if (same)
            return p;
    }
    return NULL;
}

/* The point of the YAML text as the decoder wants it; *ret_scale is 1 when there is none. */
static struct tg_modbus_point decoder_of(struct fy_node *n, double *ret_scale)
{
    struct tg_modbus_point p;
    struct tg_error err = {0};
    char *address = text_at(n, "address"), *type = text_at(n, "type"), *scale = text_at(n, "scale"),
         *length = text_at(n, "length");
    tg_modbus_point_init(&p);
    assert_int_equal(tg_modbus_point_address(&p, address, -1, &err), 0);
    assert_true(tg_modbus_name_index(tg_modbus_type_names, type) >= 0);
    p.type = (uint8_t)tg_modbus_name_index(tg_modbus_type_names, type);
    p.length = (uint16_t)(length ? atoi(length) : 0);
    *ret_scale = scale ? strtod(scale, NULL) : 1;
    if (tg_modbus_point_finish(&p, NULL, &err) < 0)
        fail_msg("%s", err.text);
    free(address);
    free(type);
    free(scale);
    free(length);
    return p;
}

/* tag: [address, unit, (type), (registers), (scale)], in that order, the texts told from the numbers. */
static void check_tag(struct fy_document *doc, const char *profile, const char *name, const json_t *tag,
                      const char *table, const char *default_type)
{
    struct fy_node *n = point_named(doc, name);
    if (!n)
        fail_msg("%s has no point %s", profile, name);
    double scale, want_scale = 1;
    struct tg_modbus_point p = decoder_of(n, &scale);
    const char *type = default_type;
    char *unit = text_at(n, "unit");
    json_int_t words = 0;
    for (size_t i = 2; i < json_array_size(tag); i++) {
        const json_t *v = json_array_get(tag, i);
        if (json_is_string(v))
            type = json_string_value(v);
        else if (json_is_integer(v))
            words = json_integer_value(v);
        else
            want_scale = json_real_value(v);
    }
    if (p.address != json_integer_value(json_array_get(tag, 0)) ||
        strcmp(tg_modbus_table_names[p.table], table) != 0 ||
        strcmp(tg_modbus_type_names[p.type], type) != 0 || (words && p.count != words) ||
        fabs(scale - want_scale) > 1e-12 ||
        strcmp(unit ? unit : "", json_string_value(json_array_get(tag, 1))) != 0)
        fail_msg("%s, %s: %s:%u %s ×%g %s", profile, name, tg_modbus_table_names[p.table], p.address,
                 tg_modbus_type_names[p.type], scale, unit ? unit : "");
    free(unit);
}

/* Keys of four digits are hexadecimal addresses, others decimal. */
static const json_t *sample_words(const json_t *profile, unsigned address)
{
    static const char *const keys[] = {"sample", "sample_input"};
    for (size_t k = 0; k < 2; k++) {
        const char *key;
        json_t *words;
        json_object_foreach(json_object_get(profile, keys[k]), key, words)
        {
            if (strtoul(key, NULL, strlen(key) == 4 ? 16 : 10) == address)
                return words;
        }
    }
    return NULL;
}

static void check_samples(struct fy_document *doc, const char *id, const json_t *profile)
{
    const char *name;
    json_t *want;
    json_object_foreach(json_object_get(profile, "expect"), name, want)
    {
        double scale, got;
        uint16_t words[125];
        char text[TG_MODBUS_TEXT_BYTES];
        struct tg_value v;
        struct tg_modbus_point p = decoder_of(point_named(doc, name), &scale);
        const json_t *list = sample_words(profile, p.address), *w;
        size_t i;
        if (json_array_size(list) != p.count)
            fail_msg("%s: no sample for %s", id, name);
        json_array_foreach(list, i, w) words[i] = (uint16_t)strtoul(json_string_value(w), NULL, 16);
        assert_int_equal(tg_modbus_point_decode(&p, words, text, &v), TG_MODBUS_READING_GOOD);
        v = tg_modbus_scale(v, scale, 0);
        got = v.type == TG_VALUE_INT    ? (double)v.as.integer
              : v.type == TG_VALUE_UINT ? (double)v.as.uinteger
                                        : v.as.real;
        if (fabs(got - json_number_value(want)) > 1e-6 * fmax(1, fabs(got)))
            fail_msg("%s: %s is %g", id, name, got);
    }
}

static struct fy_document *find_profile(const struct tg_plugin *plugin, const char *id)
{
    char dashed[64];
    snprintf(dashed, sizeof dashed, "%s", id);
    for (char *c = dashed; *c; c++)
        if (*c == '_')
            *c = '-';
    for (const struct tg_profile *p = plugin->profiles; p->name; p++)
        if (strcmp(p->name, dashed) == 0)
            return fy_document_build_from_string(NULL, p->yaml, (size_t)-1);
    return NULL;
}

static void profiles(void **state)
{
    (void)state;
    json_t *root = tg_vectors_load("southbound/modbus_profiles.json"), *profile;
    struct fake_host *h = fake_host_new("modbus");
    const char *id, *name;
    size_t checked = 0;
    json_object_foreach(json_object_get(root, "profiles"), id, profile)
    {
        static const char *const lists[] = {"tags", "input", "holding"};
        bool has_map = false;
        json_t *tag;
        for (size_t k = 0; k < 3; k++)
            has_map = has_map || json_is_object(json_object_get(profile, lists[k]));
        if (!has_map) /* facts about a family of devices, not a register map */
            continue;
        struct fy_document *doc = find_profile(fake_plugin(h), id);
        if (!doc)
            fail_msg("no profile for %s", id);
        for (size_t k = 0; k < 3; k++) {
            const char *table = k == 0 ? json_string_value(json_object_get(profile, "table")) : lists[k];
            json_object_foreach(json_object_get(profile, lists[k]), name, tag)
                check_tag(doc, id, name, tag, table, json_string_value(json_object_get(profile, "type")));
        }
        check_samples(doc, id, profile);
        fy_document_destroy(doc);
        checked++;
    }
    assert_true(checked > 0);
    print_message("%zu profiles\n", checked);
    fake_host_free(h);
    json_decref(root);
}

/* Every option that a profile sets exists, and every point passes the plugin's own check. */
static void profiles_open(void **state)
{
    (void)state;
    struct fake_host *probe = fake_host_new("modbus");
    for (const struct tg_profile *profile = fake_plugin(probe)->profiles; profile->name; profile++) {
        struct fake_host *h = fake_host_new("modbus");
        struct fy_document *doc = fy_document_build_from_string(NULL, profile->yaml, (size_t)-1);
        struct fy_node *settings, *points, *n;
        struct fy_node_pair *pair;
        char error[FAKE_TEXT];
        void *it = NULL;
        assert_non_null(doc);
        fake_source_set(h, "host", "127.0.0.1");
        uint32_t d = fake_device(h, profile->name);
        settings = fy_node_by_path(fy_document_root(doc), "/settings", (size_t)-1, FYNWF_DONT_FOLLOW);
        while (settings && (pair = fy_node_mapping_iterate(settings, &it)) != NULL) {
            const char *key = fy_node_get_scalar0(fy_node_pair_key(pair));
            fake_device_set(h, d, key, fy_node_get_scalar0(fy_node_pair_value(pair)));
        }
        points = fy_node_by_path(fy_document_root(doc), "/points", (size_t)-1, FYNWF_DONT_FOLLOW);
        it = NULL;
        while ((n = fy_node_sequence_iterate(points, &it)) != NULL) {
            static const char *const options[] = {"address", "type", "length", NULL};
            char *name = text_at(n, "name"), *every = text_at(n, "every");
            uint32_t p = fake_point(h, d, name, 1000 * atoi(every));
            for (size_t i = 0; options[i]; i++) {
                char *text = text_at(n, options[i]);
                if (text)
                    fake_point_set(h, d, p, options[i], text);
                free(text);
            }
            free(name);
            free(every);
            if (fake_check(h, d, p, NULL, error) != 0)
                fail_msg("%s: %s", profile->name, error);
        }
        if (fake_open(h, error) != 0)
            fail_msg("%s: %s", profile->name, error);
        fy_document_destroy(doc);
        fake_host_free(h);
    }
    fake_host_free(probe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(profiles), cmocka_unit_test(profiles_open)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
