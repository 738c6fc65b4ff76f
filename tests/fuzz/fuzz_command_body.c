/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A command from a cloud, through the router to a source that answers at once: the first byte is the length
 * of the name, then the name, then the body. Every command ends exactly once, with a JSON text.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/base/sample.h"
#include "core/gateway/router.h"
#include "support/fake_source.h"
#include "support/fake_store.h"
#include "support/host_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tg_router *router;
static struct tg_source_host source;
static int ends;

static void answer(const struct tg_fake_request *q)
{
    TG_ASSERT(q->is_write ? q->point < 2 : q->text[0] != '\0'); /* p2 is not writable */
    if (q->is_write && q->point == 0)
        TG_ASSERT(q->value.type == TG_VALUE_REAL && q->value.as.real >= 0 &&
                  q->value.as.real <= 1000); /* 0 … 100, scaled by 0.1 */
    tg_router_answer(router, q->request, TG_PLUGIN_OK, "{\"done\":true}");
}

static void on_done(void *user, const char *status, const char *json)
{
    json_t *j = json_loads(json, 0, NULL);
    (void)user;
    TG_ASSERT(j && json_is_object(j));
    TG_ASSERT(strcmp(status, "ok") == 0 || strcmp(status, "invalid") == 0);
    json_decref(j);
    ends++;
}

static void begin(void)
{
    static struct tg_loop loop;
    static struct tg_store store;
    static struct tg_test_model model;
    struct tg_router_device *d;
    if (tg_loop_init(&loop, NULL) < 0 || tg_router_new(&loop, &store, &router) < 0)
        abort();
    tg_log_configure(TG_LOG_ERROR, TG_LOG_TEXT);
    tg_test_model_init(&model, NULL, 1, 3);
    tg_test_model_point(&model, 0, 0, "writable", "true");
    tg_test_model_point(&model, 0, 0, "scale", "0.1");
    tg_test_model_point(&model, 0, 0, "min", "0");
    tg_test_model_point(&model, 0, 0, "max", "100");
    tg_test_model_point(&model, 0, 1, "writable", "true");
    if (tg_router_add_device(router, &model.devices[0], 0, &d, NULL) < 0)
        abort();
    d->source = &source;
    source.at_once = answer;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t name;
    if (!router)
        begin();
    if (size < 1)
        return 0;
    name = data[0] < size ? data[0] : size - 1;
    ends = 0;
    source.count = 0;
    tg_router_command_body(router, "d0", tg_bytes(data + 1, name), tg_bytes(data + 1 + name, size - 1 - name),
                           on_done, NULL);
    TG_ASSERT(ends == 1);
    return 0;
}
