/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `tidegate decode modbus`: register words or whole frames into values, without hardware.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/bytes.h"
#include "plugins/modbus/modbus_plugin.h"

#define OUTPUT_BYTES 32768
#define MAX_BYTES    600

static const char usage[] =
    "usage: tidegate decode modbus --type TYPE [options] WORD…       words are hexadecimal, like 42F6 E979\n"
    "       tidegate decode modbus --type TYPE [options] --write VALUE\n"
    "       tidegate decode modbus --frame rtu|tcp [--request HEX] HEX\n"
    "types: bool bit int8 uint8 int16 uint16 int32 uint32 int64 uint64 float32 float64 bcd16 bcd32 int16+sf\n"
    "       uint16+sf string\n"
    "options: --order ABCD|CDAB|BADC|DCBA  --scale S  --offset F  --range LOW..HIGH  --null HEX  --bit N\n"
    "         --half low|high  --length CHARACTERS  --packing high-first|low-first|one-low|one-high\n"
    "         --encoding utf-8|latin1\n";

struct decoder {
    struct tg_modbus_point point;
    double scale, offset, low, high;
    bool has_range, has_type, bit_type;
    const char *frame, *request, *write;
    uint16_t words[125];
    size_t word_count;
    char hex[2 * MAX_BYTES + 1]; /* the arguments of --frame, joined */
    struct tg_error err;
    bool json;
    struct tg_writer out;
    char text[OUTPUT_BYTES];
};

static bool take_real(const char *text, double *ret)
{
    char *end;
    *ret = strtod(text, &end);
    return end != text && *end == 0;
}

/* One option with its value. False with the reason in d->err. */
static bool take_choice(struct decoder *d, const char *option, const char *value, const char *const *names,
                        uint8_t *ret)
{
    char dashed[24];
    size_t n = strlen(value);
    for (size_t i = 0; i <= n && i < sizeof dashed; i++)
        dashed[i] = value[i] == '_' ? '-' : value[i];
    int k = n < sizeof dashed ? tg_modbus_name_index(names, dashed) : -1;
    if (k < 0) {
        (void)tg_error_set(&d->err, TG_EINVAL, "%s %.40s is not known", option, value);
        return false;
    }
    *ret = (uint8_t)k;
    return true;
}

static bool take_number(struct decoder *d, const char *option, const char *value, long max, long *ret)
{
    char *end;
    long v = strtol(value, &end, 10);
    if (end == value || *end || v < 0 || v > max) {
        (void)tg_error_set(&d->err, TG_EINVAL, "%s %.40s is not a number from 0 to %ld", option, value, max);
        return false;
    }
    *ret = v;
    return true;
}

static bool take_range(struct decoder *d, const char *value)
{
    const char *dots = strstr(value, "..");
    char low[32];
    size_t n = dots ? (size_t)(dots - value) : 0;
    if (n == 0 || n >= sizeof low)
        goto bad;
    memcpy(low, value, n);
    low[n] = 0;
    if (!take_real(low, &d->low) || !take_real(dots + 2, &d->high))
        goto bad;
    d->has_range = true;
    return true;
bad:
    (void)tg_error_set(&d->err, TG_EINVAL, "--range %.40s is not LOW..HIGH", value);
    return false;
}

static bool take_type(struct decoder *d, const char *value)
{
    d->has_type = true;
    d->bit_type = strcmp(value, "bit") == 0;
    return take_choice(d, "--type", d->bit_type ? "bool" : value, tg_modbus_type_names, &d->point.type);
}

static bool take_option(struct decoder *d, const char *o, const char *v)
{
    struct tg_modbus_point *p = &d->point;
    long n = 0;
    double *real = strcmp(o, "--scale") == 0 ? &d->scale : strcmp(o, "--offset") == 0 ? &d->offset : NULL;
    if (real) {
        if (take_real(v, real) && !(real == &d->scale && d->scale >= 0 && d->scale <= 0))
            return true;
        (void)tg_error_set(&d->err, TG_EINVAL, "%s %.40s is not usable", o, v);
        return false;
    }
    if (strcmp(o, "--type") == 0)
        return take_type(d, v);
    if (strcmp(o, "--order") == 0)
        return take_choice(d, o, v, tg_modbus_order_names, &p->order);
    if (strcmp(o, "--half") == 0)
        return take_choice(d, o, v, tg_modbus_half_names, &p->half);
    if (strcmp(o, "--packing") == 0)
        return take_choice(d, o, v, tg_modbus_packing_names, &p->packing);
    if (strcmp(o, "--encoding") == 0)
        return take_choice(d, o, v, tg_modbus_encoding_names, &p->encoding);
    if (strcmp(o, "--null") == 0 || strcmp(o, "--sentinel") == 0)
        return tg_modbus_point_sentinel(p, v, &d->err) == 0;
    if (strcmp(o, "--range") == 0)
        return take_range(d, v);
    if (strcmp(o, "--length") == 0 && take_number(d, o, v, TG_MODBUS_MAX_CHARACTERS, &n)) {
        p->length = (uint16_t)n;
        return true;
    }
    if (strcmp(o, "--bit") == 0 && take_number(d, o, v, 15, &n)) {
        p->bit = (int8_t)n;
        return true;
    }
    const char **text = strcmp(o, "--frame") == 0     ? &d->frame
                        : strcmp(o, "--request") == 0 ? &d->request
                        : strcmp(o, "--write") == 0   ? &d->write
                                                      : NULL;
    if (text)
        *text = v;
    else if (!d->err.code)
        (void)tg_error_set(&d->err, TG_EINVAL, "unknown option %.40s", o);
    return text != NULL;
}

static bool take_word(struct decoder *d, const char *text)
{
    char *end;
    unsigned long v = strtoul(text, &end, 16);
    if (end == text || *end || v > 0xFFFF || strlen(text) > 6) {
        (void)tg_error_set(&d->err, TG_EINVAL, "%.40s is not a register word: 1 to 4 hexadecimal digits",
                           text);
        return false;
    }
    if (d->word_count == sizeof d->words / sizeof *d->words) {
        (void)tg_error_set(&d->err, TG_EINVAL, "more than 125 words");
        return false;
    }
    d->words[d->word_count++] = (uint16_t)v;
    return true;
}

/* Everything into *d; false with the reason in d->err. */
static bool parse_arguments(struct decoder *d, int argc, const char *const *argv)
{
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) == 0) {
            if (i + 1 == argc) {
                (void)tg_error_set(&d->err, TG_EINVAL, "%.40s needs a value", argv[i]);
                return false;
            }
            if (!take_option(d, argv[i], argv[i + 1]))
                return false;
            i++;
        } else if (d->frame) {
            if (strlen(d->hex) + strlen(argv[i]) >= sizeof d->hex) {
                (void)tg_error_set(&d->err, TG_EINVAL, "more than %d bytes", MAX_BYTES);
                return false;
            }
            strcat(d->hex, argv[i]);
        } else if (!take_word(d, argv[i])) {
            return false;
        }
    }
    return true;
}

/* --- words ------------------------------------------------------------------------------------- */

static bool out_of_range(const struct decoder *d, const struct tg_value *v)
{
    double x = v->type == TG_VALUE_INT    ? (double)v->as.integer
               : v->type == TG_VALUE_UINT ? (double)v->as.uinteger
                                          : v->as.real;
    bool number = v->type == TG_VALUE_INT || v->type == TG_VALUE_UINT || v->type == TG_VALUE_REAL;
    return d->has_range && number && (x < d->low || x > d->high);
}

static void write_words(struct decoder *d, const uint16_t *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        tg_write_fmt(&d->out, d->json ? "%s\"%04X\"" : "%s%04X", i == 0 ? "" : d->json ? "," : " ", words[i]);
}

static int decode_words(struct decoder *d)
{
    char text[TG_MODBUS_TEXT_BYTES];
    struct tg_value raw;
    enum tg_modbus_reading r = tg_modbus_point_decode(&d->point, d->words, text, &raw);
    bool scaled_type = d->point.type == TG_MODBUS_INT16_SF || d->point.type == TG_MODBUS_UINT16_SF;
    struct tg_value value = tg_modbus_scale(raw, d->scale, d->offset);
    const char *quality = r != TG_MODBUS_READING_GOOD ? "bad"
                          : out_of_range(d, &value)   ? "uncertain"
                                                      : "good";
    if (scaled_type) /* raw is the mantissa; the exponent is applied in the value */
        raw = d->point.type == TG_MODBUS_INT16_SF ? tg_value_int((int16_t)d->words[0])
                                                  : tg_value_uint(d->words[0]);
    if (d->json) {
        tg_write_fmt(&d->out, "{\"type\":\"%s\",\"order\":\"%s\",\"words\":[",
                     tg_modbus_type_names[d->point.type], tg_modbus_order_names[d->point.order]);
        write_words(d, d->words, d->word_count);
        tg_write_str(&d->out, "],\"raw\":");
        tg_modbus_json_value(&d->out, &raw);
        tg_write_str(&d->out, ",\"value\":");
        tg_modbus_json_value(&d->out, &value);
        tg_write_fmt(&d->out, ",\"quality\":\"%s\"", quality);
        if (r != TG_MODBUS_READING_GOOD)
            tg_write_fmt(&d->out, ",\"error\":\"%s\"", tg_modbus_reading_name(r));
        tg_write_str(&d->out, "}\n");
    } else if (r != TG_MODBUS_READING_GOOD) {
        tg_write_fmt(&d->out, "no value: %s\n", tg_modbus_reading_name(r));
    } else {
        tg_modbus_json_value(&d->out, &value);
        tg_write_fmt(&d->out, "%s\n", strcmp(quality, "good") == 0 ? "" : "  (outside its range)");
    }
    return r == TG_MODBUS_READING_GOOD ? 0 : 1;
}

static struct tg_value value_of(const char *text)
{
    char *end;
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        return tg_value_bool(text[0] == 't');
    long long i = strtoll(text, &end, 10);
    if (*text && !*end && strlen(text) < 19)
        return tg_value_int(i);
    double real;
    if (take_real(text, &real))
        return tg_value_real(real);
    return tg_value_text(text, strlen(text));
}

static int encode_value(struct decoder *d)
{
    struct tg_modbus_write w;
    struct tg_value v = d->point.type == TG_MODBUS_STRING
                            ? tg_value_text(d->write, strlen(d->write))
                            : tg_modbus_unscale(value_of(d->write), d->scale, d->offset);
    int rc = tg_modbus_point_encode(&d->point, &v, &w, &d->err);
    if (rc < 0) {
        tg_write_str(&d->out, d->json ? "{\"error\":\"" : "no: ");
        tg_write_str(&d->out, d->json ? (rc == TG_ERANGE ? "out_of_range\",\"text\":" : "invalid\",\"text\":")
                                      : d->err.text);
        if (d->json) {
            tg_modbus_json_text(&d->out, d->err.text, strlen(d->err.text));
            tg_write_str(&d->out, "}");
        }
        tg_write_str(&d->out, "\n");
        return 1;
    }
    if (w.kind == TG_MODBUS_WRITE_COIL) {
        tg_write_fmt(&d->out, d->json ? "{\"fc\":5,\"coil\":\"%s\"}\n" : "FC5 %s\n",
                     w.words[0] ? "FF00" : "0000");
    } else if (w.kind == TG_MODBUS_WRITE_MASK) {
        tg_write_fmt(&d->out,
                     d->json ? "{\"fc\":22,\"and\":\"%04X\",\"or\":\"%04X\"}\n" : "FC22 and %04X or %04X\n",
                     w.and_mask, w.or_mask);
    } else {
        tg_write_fmt(&d->out, d->json ? "{\"fc\":%d,\"words\":[" : "FC%d ", w.count == 1 ? 6 : 16);
        write_words(d, w.words, w.count);
        tg_write_str(&d->out, d->json ? "]}\n" : "\n");
    }
    return 0;
}

static int run_point(struct decoder *d)
{
    struct tg_modbus_point *p = &d->point;
    p->table = p->type == TG_MODBUS_BOOL && p->bit < 0 && !d->bit_type ? TG_MODBUS_COIL : TG_MODBUS_HOLDING;
    if (d->bit_type && p->bit < 0)
        p->bit = 0;
    if (p->type == TG_MODBUS_STRING && p->length == 0 && !d->write)
        p->length = (uint16_t)(d->word_count * (p->packing >= TG_MODBUS_ONE_LOW ? 1 : 2));
    if (tg_modbus_point_finish(p, NULL, &d->err) < 0)
        return 2;
    if (d->write)
        return encode_value(d);
    if (d->word_count != p->count) {
        (void)tg_error_set(&d->err, TG_EINVAL, "%s has %u word(s), given are %zu",
                           tg_modbus_type_names[p->type], p->count, d->word_count);
        return 2;
    }
    return decode_words(d);
}

/* --- frames -------------------------------------------------------------------------------------- */

static long from_hex(const char *hex, uint8_t *ret, size_t cap)
{
    size_t n = 0;
    int high = -1;
    for (; *hex; hex++) {
        int v = *hex >= '0' && *hex <= '9'   ? *hex - '0'
                : *hex >= 'a' && *hex <= 'f' ? *hex - 'a' + 10
                : *hex >= 'A' && *hex <= 'F' ? *hex - 'A' + 10
                                             : -1;
        if (v < 0 && (*hex == ' ' || *hex == ':') && high < 0)
            continue;
        if (v < 0 || n == cap)
            return -1;
        if (high < 0) {
            high = v;
        } else {
            ret[n++] = (uint8_t)(high << 4 | v);
            high = -1;
        }
    }
    return high < 0 ? (long)n : -1;
}

static int verdict_out(struct decoder *d, enum tg_modbus_verdict v)
{
    tg_write_fmt(&d->out, d->json ? "{\"frame\":\"%s\",\"error\":\"%s\"}\n" : "%s frame refused: %s\n",
                 d->frame, tg_modbus_verdict_name(v));
    return 1;
}

static void list_out(struct decoder *d, const struct tg_modbus_request *r, const uint16_t *words)
{
    bool bits = r->function == TG_MODBUS_READ_COILS || r->function == TG_MODBUS_READ_DISCRETE ||
                r->function == TG_MODBUS_WRITE_COILS || r->function == TG_MODBUS_WRITE_ONE_COIL;
    tg_write_str(&d->out, d->json ? (bits ? ",\"bits\":[" : ",\"values\":[") : ":");
    for (unsigned i = 0; i < r->count; i++) {
        const char *comma = !d->json ? " " : i ? "," : "";
        if (bits)
            tg_write_fmt(&d->out, "%s%u", comma, words[i]);
        else
            tg_write_fmt(&d->out, d->json ? "%s\"%04X\"" : "%s%04X", comma, words[i]);
    }
    if (d->json)
        tg_write_str(&d->out, "]");
}

static void head_out(struct decoder *d, const char *kind, const struct tg_modbus_request *r, bool address)
{
    tg_write_fmt(&d->out,
                 d->json ? "{\"frame\":\"%s\",\"kind\":\"%s\",\"unit\":%u,\"function\":%u"
                         : "%s %s, unit %u, FC%u",
                 d->frame, kind, r->unit, r->function);
    if (address)
        tg_write_fmt(&d->out, d->json ? ",\"address\":%u,\"count\":%u" : ", address %u, count %u", r->address,
                     r->count);
}

static int request_out(struct decoder *d, const struct tg_modbus_request *r)
{
    head_out(d, "request", r, true);
    if (r->function == TG_MODBUS_MASK_WRITE)
        tg_write_fmt(&d->out, d->json ? ",\"and\":\"%04X\",\"or\":\"%04X\"" : ", and %04X or %04X",
                     r->and_mask, r->or_mask);
    else if (r->function > TG_MODBUS_READ_INPUT)
        list_out(d, r, r->words);
    tg_write_str(&d->out, d->json ? "}\n" : "\n");
    return 0;
}

static int response_out(struct decoder *d, const struct tg_modbus_request *r, enum tg_modbus_verdict v,
                        const struct tg_modbus_answer *a)
{
    static uint16_t words[TG_MODBUS_MAX_READ_BITS];
    if (v != TG_MODBUS_ANSWER && v != TG_MODBUS_EXCEPTION)
        return verdict_out(d, v);
    head_out(d, "response", r, false);
    if (v == TG_MODBUS_EXCEPTION) {
        tg_write_fmt(&d->out, d->json ? ",\"exception\":%u,\"name\":\"%s\"" : ": exception %u %s",
                     a->exception, tg_modbus_exception_name(a->exception));
    } else if (a->data) {
        tg_modbus_answer_words(r, a, words);
        list_out(d, r, words);
    } else {
        tg_write_str(&d->out, d->json ? ",\"ok\":true" : ": ok");
    }
    tg_write_str(&d->out, d->json ? "}\n" : "\n");
    return 0;
}

/* Makes up the request that an answer seen alone would fit, from its own unit, function and count. */
static struct tg_modbus_request imagine_request(const uint8_t *body, size_t len, uint16_t *word)
{
    struct tg_modbus_request r = {.count = 1, .words = word};
    if (len < 3)
        return r;
    r.unit = body[0];
    r.function = body[1] & 0x7F;
    if (r.function >= TG_MODBUS_READ_COILS && r.function <= TG_MODBUS_READ_DISCRETE)
        r.count = (uint16_t)(8 * body[2]);
    else if (r.function >= TG_MODBUS_READ_HOLDING && r.function <= TG_MODBUS_READ_INPUT)
        r.count = body[2] / 2;
    else if (len >= 6) {
        r.address = (uint16_t)(body[2] << 8 | body[3]);
        *word = (uint16_t)(body[4] << 8 | body[5]);
        if (r.function == TG_MODBUS_WRITE_COILS || r.function == TG_MODBUS_WRITE_REGISTERS)
            r.count = *word;
        r.and_mask = *word;
        if (len >= 8)
            r.or_mask = (uint16_t)(body[6] << 8 | body[7]);
    }
    return r;
}

static int run_frame(struct decoder *d)
{
    static uint16_t words[TG_MODBUS_MAX_READ_BITS];
    uint8_t frame[MAX_BYTES], question[MAX_BYTES];
    struct tg_modbus_request r;
    struct tg_modbus_answer a;
    uint16_t tid = 0, word = 0;
    bool tcp = strcmp(d->frame, "tcp") == 0;
    long n = from_hex(d->hex, frame, sizeof frame),
         qn = d->request ? from_hex(d->request, question, sizeof question) : 0;
    if ((!tcp && strcmp(d->frame, "rtu") != 0) || n <= 0 || qn < 0) {
        (void)tg_error_set(&d->err, TG_EINVAL,
                           !tcp && strcmp(d->frame, "rtu") != 0 ? "--frame is rtu or tcp"
                                                                : "the frame is not hexadecimal bytes");
        return 2;
    }
    size_t len = (size_t)n;
    if (d->request) {
        enum tg_modbus_verdict q = tcp ? tg_modbus_tcp_parse_request(question, (size_t)qn, &r, words, &tid)
                                       : tg_modbus_rtu_parse_request(question, (size_t)qn, &r, words);
        if (q != TG_MODBUS_ANSWER)
            return verdict_out(d, q);
    } else {
        /* Alone: an answer if it can be one, else a request. */
        size_t head = tcp ? 6 : 0, tail = tcp ? 0 : 2;
        r = imagine_request(frame + head, len > head + tail ? len - head - tail : 0, &word);
        tid = (uint16_t)(frame[0] << 8 | (len > 1 ? frame[1] : 0));
    }
    enum tg_modbus_verdict v =
        tcp ? tg_modbus_tcp_check(&r, tid, frame, len, &a) : tg_modbus_rtu_check(&r, frame, len, &a);
    /* FC5, FC6 and FC22: request and answer are the same bytes. */
    if (!d->request && v != TG_MODBUS_ANSWER && v != TG_MODBUS_EXCEPTION) {
        enum tg_modbus_verdict q = tcp ? tg_modbus_tcp_parse_request(frame, len, &r, words, &tid)
                                       : tg_modbus_rtu_parse_request(frame, len, &r, words);
        if (q == TG_MODBUS_ANSWER)
            return request_out(d, &r);
    }
    return response_out(d, &r, v, &a);
}

int tg_modbus_decode(int argc, const char *const *argv, bool json, void (*out)(void *user, const char *text),
                     void *user)
{
    struct decoder *d;
    int rc = 2;
    if (argc == 1 && strcmp(argv[0], "--help") == 0) {
        out(user, usage);
        return 0;
    }
    d = calloc(1, sizeof *d);
    if (!d) {
        out(user, "out of memory\n");
        return 1;
    }
    d->json = json;
    d->scale = 1;
    d->out = tg_writer_init(d->text, sizeof d->text);
    tg_modbus_point_init(&d->point);
    if (parse_arguments(d, argc, argv)) {
        if (d->frame)
            rc = run_frame(d);
        else if (d->has_type)
            rc = run_point(d);
    }
    if (rc == 2) {
        if (d->err.code)
            tg_write_fmt(&d->out, "%s\n", d->err.text);
        tg_write_str(&d->out, usage);
    }
    if (tg_writer_cstr(&d->out) == 0)
        out(user, d->text);
    else
        rc = 1;
    free(d);
    return rc;
}
