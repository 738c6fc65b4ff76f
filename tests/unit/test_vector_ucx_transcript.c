/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The transcript of the application note: given the same parameters, the run sends exactly what u-blox' script sent, byte by byte
 * and frame by frame, when it is answered as that was, in reads of any size. Only the bare AT, by which the module is found and
 * greeted after its restart, is our own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "support/ucx_stage.h"
#include "support/vectors.h"

struct player {
    struct ucx_stage stage;
    uint8_t files[3][2048];
    struct tg_ucx_file file[3];
};

static const char *text_of(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

/* The transcript lies beside the tests only: it is no golden value of other implementations that a directory could replace. */
static json_t *load(void)
{
    char path[1024];
    const char *source = getenv("TIDEGATE_SOURCE");
    json_error_t e;
    snprintf(path, sizeof path, "%s/tests/vectors/southbound/ucx_dps_transcript.json", source ? source : ".");
    json_t *root = json_load_file(path, 0, &e);
    if (!root)
        fail_msg("%s: %s", path, e.text);
    return root;
}

/* Contents of the sizes that the log shows; the MD5s are the log's. */
static void make_files(struct player *p, const json_t *steps)
{
    static const enum tg_ucx_file_kind kinds[] = {TG_UCX_CA, TG_UCX_CERTIFICATE, TG_UCX_KEY};
    const json_t *step;
    size_t i, n = 0, d = 0;
    json_array_foreach(steps, i, step)
    {
        if (json_object_get(step, "upload")) {
            size_t size = (size_t)json_integer_value(json_object_get(step, "size"));
            assert_true(n < 3 && size <= sizeof p->files[0]);
            memset(p->files[n], 'x', size);
            p->files[n][size - 1] = '\n';
            p->file[n] = (struct tg_ucx_file){
                .kind = kinds[n], .name = text_of(step, "upload"), .content = tg_bytes(p->files[n], size)};
            n++;
        }
        if (json_object_get(step, "md5"))
            snprintf(p->file[d++].md5, TG_UCX_MD5_TEXT, "%s", text_of(step, "md5"));
    }
    assert_int_equal(n, 3);
    assert_int_equal(d, 3);
}

static void expect_bytes(struct player *p, const void *want, size_t len, const char *what)
{
    struct ucx_stage *s = &p->stage;
    if (!ucx_stage_wait(s))
        fail_msg("the run ended (fault %d at step %d, \"%s\") instead of sending %s", (int)s->run.fault.kind,
                 (int)s->run.step, s->run.fault.answer, what);
    if (s->sent_len < len || memcmp(s->sent, want, len) != 0)
        fail_msg("sent \"%.*s\" instead of \"%s\"", (int)s->sent_len, (const char *)s->sent, what);
    ucx_stage_take(s, len);
}

static void expect_frame(struct player *p, const json_t *step)
{
    const char *text = text_of(step, "text");
    uint8_t frame[700], head[5];
    const json_t *channel = json_object_get(step, "channel");
    struct tg_writer w = tg_writer_init(frame, sizeof frame);
    struct tg_bytes bytes = tg_bytes_str(text);
    assert_int_equal(channel ? tg_edm_write_data(&w, (uint8_t)json_integer_value(channel), bytes)
                             : tg_edm_write_at_request(&w, bytes),
                     0);
    assert_int_equal(tg_vectors_hex(text_of(step, "frame"), head, sizeof head), 5);
    if (!json_is_true(json_object_get(step, "replaced")))
        assert_memory_equal(frame, head, sizeof head);
    expect_bytes(p, frame, w.len, text);
}

static void join(const json_t *lines, char *text, size_t size)
{
    const json_t *line;
    size_t i, n = 0;
    json_array_foreach(lines, i, line)
    {
        n += (size_t)snprintf(text + n, size - n, "%s%s", i ? "\r\n" : "", json_string_value(line));
    }
}

/* The echo comes without a line ahead of it; the prompt without one behind it. */
static void receive(struct player *p, const json_t *lines)
{
    const json_t *line;
    size_t i;
    json_array_foreach(lines, i, line)
    {
        const char *text = json_string_value(line);
        char echo[700];
        if (strncmp(text, "AT", 2) == 0)
            ucx_stage_feed(&p->stage, echo, (size_t)snprintf(echo, sizeof echo, "%s\r", text));
        else if (strcmp(text, ">") == 0)
            ucx_stage_feed(&p->stage, "\r\n>", 3);
        else
            ucx_stage_say(&p->stage, 0, text);
    }
}

static void play_step(struct player *p, const json_t *step, size_t *file)
{
    struct ucx_stage *s = &p->stage;
    char text[1200];
    if (json_object_get(step, "tx")) {
        snprintf(text, sizeof text, "%s\r", text_of(step, "tx"));
        expect_bytes(p, text, strlen(text), text);
    } else if (json_object_get(step, "upload")) {
        expect_bytes(p, p->file[*file].content.data, p->file[*file].content.len, text_of(step, "upload"));
        (*file)++;
    } else if (json_object_get(step, "rx")) {
        receive(p, json_object_get(step, "rx"));
    } else if (json_object_get(step, "frame")) {
        if (!s->extended) { /* the log's script discards what comes within two seconds of ATO2 */
            s->extended = true;
            ucx_stage_frame(s, TG_EDM_START, "", 0);
        }
        expect_frame(p, step);
    } else if (json_object_get(step, "response")) {
        join(json_object_get(step, "response"), text, sizeof text);
        ucx_stage_say(s, TG_EDM_AT_RESPONSE, text);
    } else if (json_object_get(step, "event")) {
        ucx_stage_say(s, TG_EDM_AT_EVENT, text_of(step, "event"));
    } else if (json_object_get(step, "connect")) {
        uint8_t event[] = {(uint8_t)json_integer_value(json_object_get(step, "connect")),
                           2,
                           2,
                           20,
                           43,
                           44,
                           164,
                           0x22,
                           0xB3,
                           0,
                           0,
                           0,
                           0,
                           0,
                           0};
        ucx_stage_frame(s, TG_EDM_CONNECT, event, sizeof event);
    } else if (json_object_get(step, "data")) {
        int n = snprintf(text, sizeof text, "%c%s", (int)json_integer_value(json_object_get(step, "data")),
                         text_of(step, "text"));
        text[0] = (char)json_integer_value(json_object_get(step, "data"));
        ucx_stage_frame(s, TG_EDM_DATA_EVENT, text, (size_t)n);
    } else {
        fail_msg("a step of unknown kind");
    }
}

static void play(size_t chunk)
{
    static struct player p;
    json_t *root = load(), *steps = json_object_get(root, "steps"), *step;
    const struct tg_ucx_mqtt dps = {.host = "global.azure-devices-provisioning.net",
                                    .port = 8883,
                                    .client = "ninadps",
                                    .user = "0ne0067E45C/registrations/ninadps/api-version=2019-03-31",
                                    .publish = "$dps/registrations/PUT/iotdps-register/?$rid={request_id}",
                                    .subscribe = "$dps/registrations/res/#",
                                    .keepalive_s = 60,
                                    .ca = "ca.pem",
                                    .certificate = "cert.pem",
                                    .key = "key.pem"};
    const struct tg_ucx_plan plan = {
        .files = p.file,
        .file_count = 3,
        .ssid = "SSID",
        .wifi_password = "PASSWORD",
        .registration = &dps,
        .register_body = "{\"payload\":\"\",\"registrationId\":\"ninadps\"}",
        .poll_topic = "$dps/registrations/GET/iotdps-get-operationstatus/?$rid={request_id}&operationId=",
        .register_only = true,
        .restart = true,
        .command_limit_bytes = 512};
    size_t i, file = 0;
    memset(&p, 0, sizeof p);
    make_files(&p, steps);
    p.stage.chunk = chunk;
    ucx_stage_start(&p.stage, &plan);
    json_array_foreach(steps, i, step)
    {
        play_step(&p, step, &file);
    }
    p.stage.extended = false;
    ucx_stage_say(&p.stage, 0, "+STARTUP");
    assert_false(ucx_stage_wait(&p.stage));
    assert_int_equal(p.stage.run.fault.kind, TG_UCX_FAULT_NONE);
    assert_int_equal(p.stage.last, TG_UCX_TELL_DONE);
    assert_int_equal(p.stage.sent_len, 0);
    for (size_t k = 0; k < p.stage.command_count; k++)
        assert_null(strstr(p.stage.commands[k], "PASSWORD"));
    json_decref(root);
}

static void the_script_of_the_application_note(void **state)
{
    static const size_t chunks[] = {0, 1, 2, 3, 5, 7};
    (void)state;
    for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++)
        play(chunks[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_script_of_the_application_note)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
