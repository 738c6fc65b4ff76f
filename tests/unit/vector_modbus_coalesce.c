/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every vector of southbound/modbus_coalesce.json: points to the fewest requests, whatever their order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "southbound/modbus_plan.h"
#include "southbound/modbus_points.h"
#include "support/vectors.h"

static unsigned number(const json_t *o, const char *key)
{
    return (unsigned)json_integer_value(json_object_get(o, key));
}

static void run(const json_t *v, bool reversed)
{
    const char *id = json_string_value(json_object_get(v, "id"));
    const json_t *tags = json_object_get(v, "tags"), *expect = json_object_get(v, "expect"), *t;
    const json_t *no_read = json_object_get(v, "no_read");
    size_t n = json_array_size(tags), i, pos = 0, made = 0;
    struct tg_modbus_item *items = calloc(n ? n : 1, sizeof *items);
    struct tg_modbus_range ranges[32];
    struct tg_modbus_span span;
    struct tg_modbus_limits limits = {.max_registers = (uint16_t)number(v, "max_count"),
                                      .max_bits = (uint16_t)number(v, "max_count"),
                                      .max_gap = (uint16_t)number(v, "max_gap"),
                                      .no_read = ranges,
                                      .no_read_count = json_array_size(no_read)};
    assert_non_null(items);
    assert_true(limits.no_read_count <= 32);
    json_array_foreach(no_read, i, t) ranges[i] =
        (struct tg_modbus_range){-1, (uint16_t)number(t, "from"), (uint16_t)number(t, "to")};
    json_array_foreach(tags, i, t)
    {
        int table =
            tg_modbus_name_index(tg_modbus_table_names, json_string_value(json_object_get(t, "table")));
        assert_true(table >= 0);
        items[reversed ? n - 1 - i : i] = (struct tg_modbus_item){.unit = (uint8_t)number(t, "slave"),
                                                                  .table = (uint8_t)table,
                                                                  .wanted = true,
                                                                  .address = (uint16_t)number(t, "address"),
                                                                  .count = (uint16_t)number(t, "count")};
    }
    tg_modbus_plan_sort(items, n);
    while (tg_modbus_plan_next(items, n, &limits, &pos, &span)) {
        const json_t *e = json_array_get(expect, made++);
        if (!e)
            fail_msg("%s: more requests than expected", id);
        if (span.unit != number(e, "slave") || span.address != number(e, "address") ||
            span.count != number(e, "count") ||
            strcmp(tg_modbus_table_names[span.table], json_string_value(json_object_get(e, "table"))) != 0)
            fail_msg("%s: request %zu is unit %u %s:%u+%u", id, made, span.unit,
                     tg_modbus_table_names[span.table], span.address, span.count);
    }
    if (made != json_array_size(expect))
        fail_msg("%s: %zu requests instead of %zu", id, made, json_array_size(expect));
    free(items);
}

static void coalesce(void **state)
{
    (void)state;
    json_t *root = tg_vectors_load("southbound/modbus_coalesce.json"), *v;
    json_t *vectors = json_object_get(root, "vectors");
    size_t i;
    assert_true(json_array_size(vectors) > 0);
    json_array_foreach(vectors, i, v)
    {
        run(v, false);
        run(v, true);
    }
    print_message("%zu vectors\n", json_array_size(vectors));
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(coalesce)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
