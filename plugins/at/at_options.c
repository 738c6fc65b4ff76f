/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/at/at_options.h"

#include <stdio.h>
#include <string.h>

#include "plugins/at/at_points.h"
#include "plugins/at/at_scripts.h"
#include "plugins/at/at_write.h"
#include "southbound/at_chat.h"

static const char *const flows[] = {"none", "rtscts", NULL};
static const char *const types[] = {"auto", "int", "real",  "text",
                                    "bool", "hex", "bytes", NULL}; /* enum tg_at_type */
static const char *const pdp_types[] = {"IP", "IPV6", "IPV4V6", NULL};
static const char *const auths[] = {"none", "pap", "chap", NULL}; /* enum tg_cell_auth */
static const char *const times[] = {"off", "local", "utc", NULL};
static const char *const decimals[] = {"point", "comma", NULL};

static const char *const spans[] = {"line", "answer", NULL};
static const char *const payloads[] = {"none", "line", "quoted", "block", NULL}; /* enum tg_at_payload */
static const char *const ends[] = {"ctrl-z", "cr", "crlf", "none", NULL};        /* enum tg_at_data_end */
static const char *const data_formats[] = {"text", "hex", NULL};

/* What makes a script. A source takes it, and a device too, so that a profile can hold all of a kind of device. */
#define SCRIPT_OPTIONS                                                                                       \
    {"init", TG_OPTION_TEXT_LIST,                                                                            \
     0,      0,                                                                                              \
     0,      NULL,                                                                                           \
     NULL,   "Commands sent after those of the script whenever the device was opened or has restarted."},    \
        {"init_timeouts",                                                                                    \
         TG_OPTION_TEXT_LIST,                                                                                \
         TG_OPTION_PAIRS,                                                                                    \
         0,                                                                                                  \
         0,                                                                                                  \
         NULL,                                                                                               \
         NULL,                                                                                               \
         "Commands of `init` that take longer than `timeout`, each with its own: {AT+COPS=0: 3m}."},         \
        {"urc_prefixes",                                                                                     \
         TG_OPTION_TEXT_LIST,                                                                                \
         0,                                                                                                  \
         0,                                                                                                  \
         0,                                                                                                  \
         NULL,                                                                                               \
         NULL,                                                                                               \
         "How lines begin that the device sends unasked, beside those of the script."},                      \
        {"urc_two_line",                                                                                     \
         TG_OPTION_TEXT_LIST,                                                                                \
         0,                                                                                                  \
         0,                                                                                                  \
         0,                                                                                                  \
         NULL,                                                                                               \
         NULL,                                                                                               \
         "How unasked lines begin to which the next line belongs, as +CMT: does."},                          \
        {"urc_reboot",                                                                                       \
         TG_OPTION_TEXT_LIST,                                                                                \
         0,                                                                                                  \
         0,                                                                                                  \
         0,                                                                                                  \
         NULL,                                                                                               \
         NULL,                                                                                               \
         "How lines begin that say that the device has restarted; it is then initialised again."},           \
        {"final_ok", TG_OPTION_TEXT_LIST,                                                                    \
         0,          0,                                                                                      \
         0,          NULL,                                                                                   \
         NULL,       "Perl-compatible patterns of lines that end a command well, beside OK."},               \
    {                                                                                                        \
        "final_error", TG_OPTION_TEXT_LIST, 0, 0, 0, NULL, NULL,                                             \
            "Perl-compatible patterns of lines that end a command with an error; a group that is a number "  \
            "is "                                                                                            \
            "its code."                                                                                      \
    }

const struct tg_option tg_at_device_options[] = {SCRIPT_OPTIONS, {0}};

const struct tg_option tg_at_source_options[] = {
    {"port", TG_OPTION_PATH, TG_OPTION_REQUIRED, 0, 0, NULL, NULL,
     "The serial port; a name under /dev/serial/by-id survives replugging."},
    {"baud", TG_OPTION_TEXT, 0, 3, 7, "115200", NULL,
     "Its rate in bits per second (8N1); auto: the one at which the device answers AT."},
    {"baud_candidates", TG_OPTION_TEXT_LIST, 0, 0, 0, NULL, NULL,
     "The rates that `baud: auto` tries, in this order; if absent 115200, 9600, 921600, 57600, 38400, 19200, "
     "230400, 460800."},
    {"flow", TG_OPTION_ENUM, 0, 0, 0, "none", flows,
     "Hardware flow control: rtscts where the cable has the lines."},
    {"script", TG_OPTION_ENUM, 0, 0, 0, "none", tg_at_script_names,
     "A built-in set of initial commands and unsolicited lines for a kind of device."},
    SCRIPT_OPTIONS,
    {"timeout", TG_OPTION_DURATION, 0, 50, 600000, "2s", NULL,
     "How long a command waits for its final result, unless its point says otherwise."},
    {"pause", TG_OPTION_DURATION, 0, 1, 10000, "25ms", NULL,
     "Silence between a result and the next command."},
    {"init_limit", TG_OPTION_DURATION, 0, 1000, 3600000, "5m", NULL,
     "How long all initial commands together may take; then the port is opened anew."},
    {"urc_limit", TG_OPTION_INT, 0, 1, 100000, "100", NULL,
     "How many unasked lines a second are taken; further ones are dropped and counted."},
    {"dtr_reset", TG_OPTION_BOOL, 0, 0, 0, "true", NULL,
     "Whether the line DTR is dropped before the port of a device that does not answer is opened anew; it "
     "brings most modems back to commands."},
    {"numeric_results", TG_OPTION_BOOL, 0, 0, 0, "false", NULL,
     "Whether the device answers 0 for OK and 4 for ERROR (ATV0)."},
    {"pin_file", TG_OPTION_SECRET_FILE, 0, 0, 0, NULL, NULL,
     "cellular: the file with the SIM's PIN (4 to 8 digits); a refused one is never tried again."},
    {"apn", TG_OPTION_TEXT, 0, 0, 63, NULL, NULL,
     "cellular: the access point; what the modem has stays as it is if absent."},
    {"pdp_type", TG_OPTION_ENUM, 0, 0, 0, "IP", pdp_types, "cellular: the addresses that the context has."},
    {"cid", TG_OPTION_INT, 0, 1, 16, "1", NULL, "cellular: the number of the context."},
    {"apn_auth", TG_OPTION_ENUM, 0, 0, 0, "none", auths, "cellular: how the access point is logged in to."},
    {"apn_user", TG_OPTION_TEXT, 0, 1, 127, NULL, NULL, "cellular: the access point's user."},
    {"apn_password_file", TG_OPTION_SECRET_FILE, 0, 0, 0, NULL, NULL,
     "cellular: the file with the access point's password."},
    {"attach", TG_OPTION_BOOL, 0, 0, 0, "true", NULL,
     "cellular: whether the modem is told to attach when it is registered and has not attached by itself."},
    {"show_identifiers", TG_OPTION_BOOL, 0, 0, 0, "false", NULL,
     "cellular: whether IMEI, IMSI and ICCID are told as they are; else as a keyed hash."},
    {"uplink", TG_OPTION_BOOL, 0, 0, 0, "true", NULL,
     "cellular: whether this modem is the site's way to the network, so that sessions follow its coming and "
     "going."},
    {"time", TG_OPTION_ENUM, 0, 0, 0, "local", times,
     "cellular: whether the modem's clock is offered to the gateway, and what it shows: local time with its "
     "zone, or UTC."},
    {"ppp", TG_OPTION_BOOL, TG_OPTION_NEEDS(TG_NEEDS_PROGRAMS | TG_NEEDS_NETWORK), 0, 0, "false", NULL,
     "cellular: whether the data link is brought up with pppd."},
    {"data_port", TG_OPTION_PATH, 0, 0, 0, NULL, NULL,
     "cellular: the modem's second port, for the data link; `port` stays free for commands."},
    {"ppp_dial", TG_OPTION_TEXT, 0, 1, TG_AT_COMMAND_MAX_BYTES, "ATD*99***1#", NULL,
     "cellular: the command that goes online."},
    {"ppp_program", TG_OPTION_PATH, 0, 0, 0, "/usr/sbin/pppd", NULL, "cellular: pppd."},
    {"ppp_options", TG_OPTION_TEXT_LIST, 0, 0, 0, NULL, NULL,
     "cellular: further arguments of pppd, one each, behind the fixed ones."},
    {"ppp_user", TG_OPTION_TEXT, 0, 1, 127, NULL, NULL, "cellular: the user for PAP or CHAP."},
    {"ppp_password_file", TG_OPTION_SECRET_FILE, 0, 0, 0, NULL, NULL,
     "cellular: the file with that user's password; pppd gets it through a pipe."},
    {"ppp_default_route", TG_OPTION_BOOL, 0, 0, 0, "true", NULL,
     "cellular: whether the data link becomes the default route."},
    {0},
};

const struct tg_option tg_at_point_options[] = {
    {"command", TG_OPTION_TEXT, 0, 1, TG_AT_COMMAND_MAX_BYTES, NULL, NULL,
     "The command whose answer holds the value; points with the same command share one exchange."},
    {"match", TG_OPTION_TEXT, 0, 1, 1024, NULL, NULL,
     "A Perl-compatible pattern that the line with the value matches."},
    {"urc", TG_OPTION_TEXT, 0, 1, 1024, NULL, NULL,
     "A Perl-compatible pattern of an unasked line that brings the value, instead of `command` or beside "
     "it."},
    {"cellular", TG_OPTION_ENUM, 0, 0, 0, NULL, tg_at_cellular_values,
     "What `script: cellular` knows: told when it has changed, and every `every`."},
    {"span", TG_OPTION_ENUM, 0, 0, 0, "line", spans,
     "What `match` sees: each line of the answer by itself, or the answer with a line feed between its "
     "lines."},
    {"payload", TG_OPTION_ENUM, 0, 0, 0, "none", payloads,
     "Whether raw bytes of an announced number are the value: behind the line that `match` fits, in its "
     "quotes, "
     "or in a block of u-connectXpress."},
    {"payload_prefix", TG_OPTION_TEXT, 0, 1, 64, NULL, NULL,
     "How the line begins that announces them; the command's name if absent: +QIRD: of AT+QIRD=0."},
    {"payload_field", TG_OPTION_INT, 0, 0, 15, "0", NULL,
     "Which of its fields, divided by commas, is the number of bytes; 0 is the first."},
    {"payload_match", TG_OPTION_TEXT, 0, 1, 1024, NULL, NULL,
     "A Perl-compatible pattern of the raw bytes, whose `group` is the value; all of them if absent."},
    {"group", TG_OPTION_INT, 0, 0, 99, "1", NULL,
     "The group of the pattern that is the value; 0 is all of the match."},
    {"null", TG_OPTION_TEXT_LIST, 0, 0, 0, NULL, NULL,
     "Texts with which the device says that it has no value."},
    {"map", TG_OPTION_TEXT_LIST, TG_OPTION_PAIRS, 0, 0, NULL, NULL,
     "What texts of the device stand for, such as {OPEN: 1, SHUT: 0}; a text without an entry is no value."},
    {"type", TG_OPTION_ENUM, 0, 0, 0, "auto", types,
     "How the text is read; auto gives an integer or a real number, by its look, bytes hexadecimal digits."},
    {"decimal", TG_OPTION_ENUM, 0, 0, 0, "point", decimals, "What the device puts before the decimals."},
    {"timeout", TG_OPTION_DURATION, 0, 50, 600000, NULL, NULL,
     "How long this command waits; the source's timeout if absent."},
    {"write", TG_OPTION_TEXT, 0, 1, TG_AT_COMMAND_MAX_BYTES, NULL, NULL,
     "The command that sets the point, with {value} where the value goes."},
    {"allow", TG_OPTION_TEXT_LIST, 0, 0, 0, NULL, NULL,
     "The only values that may be written, as sent to the device."},
    {"prompt", TG_OPTION_TEXT, 0, 1, 16, NULL, NULL,
     "What the device says when it waits for the data of `write`, such as '> '; the value is then in the "
     "data."},
    {"data", TG_OPTION_TEXT, 0, 1, 1024, NULL, NULL,
     "The data, with {value} where the value goes; {value} alone if absent."},
    {"data_end", TG_OPTION_ENUM, 0, 0, 0, "ctrl-z", ends,
     "What ends the data; none where `write` announces their number with {length}."},
    {"data_format", TG_OPTION_ENUM, 0, 0, 0, "text", data_formats,
     "hex: the value is hexadecimal digits, whose bytes are sent."},
    {"data_delay", TG_OPTION_DURATION, 0, 0, 10000, "50ms", NULL, "How long after the prompt they are sent."},
    {"write_block", TG_OPTION_BOOL, 0, 0, 0, "false", NULL,
     "Whether the value follows `write` directly as a block of u-connectXpress: 01, its length, its bytes."},
    {0},
};

const char *tg_at_command_fault(const char *command)
{
    size_t n = strlen(command);
    if (n == 0)
        return "is empty";
    if (n > TG_AT_COMMAND_MAX_BYTES)
        return "is too long";
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)command[i] < 0x20 || command[i] == 0x7F)
            return "holds a control character, which would end it early";
    }
    return NULL;
}

struct fault {
    const char **option;
    char *error;
    size_t size;
};

static int wrong(const struct fault *f, const char *option, const char *why)
{
    *f->option = option;
    snprintf(f->error, f->size, "%s", why);
    return TG_PLUGIN_EINVAL;
}

/* grouped: the value is a group of this pattern. */
static int check_pattern(const struct tg_host *host, const struct tg_point *point, const char *option,
                         bool grouped, const struct fault *f)
{
    struct tg_at_pattern p;
    int64_t group = grouped ? host->get_int(point->settings, "group") : 0;
    int rc = tg_at_pattern_compile(&p, host->get_text(point->settings, option), f->error, f->size);
    uint32_t groups = p.groups;
    tg_at_pattern_fini(&p);
    if (rc < 0) {
        *f->option = option;
        return rc;
    }
    if (group > (int64_t)groups) {
        *f->option = "group";
        snprintf(f->error, f->size, "group %lld does not exist: the pattern in `%s` has %u", (long long)group,
                 option, groups);
        return TG_PLUGIN_EINVAL;
    }
    return TG_PLUGIN_OK;
}

/* `match` and the payload that its line announces. */
static int check_match(const struct tg_host *host, const struct tg_point *point, const struct fault *f)
{
    const struct tg_settings *s = point->settings;
    int64_t payload = host->get_int(s, "payload");
    int rc;
    if (payload == TG_AT_PAYLOAD_NO) {
        if (host->has(s, "payload_match"))
            return wrong(f, "payload_match", "`payload_match` needs `payload`: how the raw bytes come");
        return check_pattern(host, point, "match", true, f);
    }
    if (host->get_int(s, "span") != 0)
        return wrong(f, "span", "`span: answer` and `payload` exclude each other");
    if (payload != TG_AT_PAYLOAD_BLOCK && !host->has(s, "payload_prefix") &&
        strncmp(host->get_text(s, "command"), "AT+", 3) != 0)
        return wrong(f, "payload",
                     "the command's name does not show how the line begins that announces the bytes: give "
                     "`payload_prefix`");
    rc = check_pattern(host, point, "match", false, f);
    if (rc == TG_PLUGIN_OK && host->has(s, "payload_match"))
        rc = check_pattern(host, point, "payload_match", true, f);
    return rc;
}

static int check_map(const struct tg_host *host, const struct tg_point *point, const struct fault *f)
{
    const char *const *entries = NULL;
    uint32_t count = host->get_list(point->settings, "map", &entries);
    for (uint32_t i = 0; i < count; i++) {
        if (tg_at_map_fault(entries[i]))
            return wrong(f, "map", tg_at_map_fault(entries[i]));
    }
    return TG_PLUGIN_OK;
}

static int check_reading(const struct tg_host *host, const struct tg_point *point, const struct fault *f)
{
    const struct tg_settings *s = point->settings;
    bool command = host->has(s, "command");
    int rc = TG_PLUGIN_OK;
    if (command) {
        const char *fault = tg_at_command_fault(host->get_text(s, "command"));
        if (fault) {
            *f->option = "command";
            snprintf(f->error, f->size, "the command %s", fault);
            return TG_PLUGIN_EINVAL;
        }
        if (!host->has(s, "match"))
            return wrong(f, "command",
                         "`command` needs `match`: the pattern of the line that holds the value");
        if (point->every_ms <= 0)
            return wrong(f, "command", "`command` needs `every`: how often it is sent");
    }
    if (host->has(s, "match")) {
        if (!command)
            return wrong(f, "match", "`match` belongs to `command`; an unasked line is matched by `urc`");
        rc = check_match(host, point, f);
    }
    if (rc == TG_PLUGIN_OK && host->has(s, "urc"))
        rc = check_pattern(host, point, "urc", true, f);
    return rc == TG_PLUGIN_OK ? check_map(host, point, f) : rc;
}

void tg_at_options_write(const struct tg_host *host, const struct tg_settings *s, struct tg_at_write *ret)
{
    *ret = (struct tg_at_write){.text = host->get_text(s, "write"),
                                .prompt = host->get_text(s, "prompt"),
                                .data = host->get_text(s, "data"),
                                .end = (enum tg_at_data_end)host->get_int(s, "data_end"),
                                .hex = host->get_int(s, "data_format") == 1,
                                .block = host->get_int(s, "write_block") != 0,
                                .delay_ms = host->get_int(s, "data_delay"),
                                .type = host->get_int(s, "type")};
    ret->allow_count = host->get_list(s, "allow", &ret->allow);
}

int tg_at_check_point(const struct tg_host *host, const struct tg_settings *device,
                      const struct tg_point *point, const char **ret_option, char *error, size_t error_size)
{
    const struct tg_settings *s = point->settings;
    const char *unused = NULL;
    struct fault f = {ret_option ? ret_option : &unused, error, error_size};
    const char *fault, *option;
    struct tg_at_write w;
    (void)device;
    if (host->has(s, "cellular") && (host->has(s, "command") || host->has(s, "urc") || host->has(s, "write")))
        return wrong(&f, "cellular", "a point with `cellular` takes neither `command` nor `urc` nor `write`");
    if (!host->has(s, "command") && !host->has(s, "urc") && !host->has(s, "write") &&
        !host->has(s, "cellular"))
        return wrong(&f, "command",
                     "a point needs `command` (asked for), `urc` (told unasked), `cellular` or `write`");
    if (point->writable && !host->has(s, "write"))
        return wrong(&f, "write", "a writable point needs `write`: the command with {value}");
    if (host->has(s, "write")) {
        tg_at_options_write(host, s, &w);
        fault = tg_at_write_fault(&w, &option);
        if (fault)
            return wrong(&f, option, fault);
    }
    return check_reading(host, point, &f);
}

int tg_at_check_value(const struct tg_host *host, const struct tg_settings *device,
                      const struct tg_point *point, const struct tg_value *value, char *error,
                      size_t error_size)
{
    struct tg_at_write w;
    struct tg_at_written out;
    (void)device;
    if (!host->has(point->settings, "write")) {
        snprintf(error, error_size, "the point has no `write` command");
        return TG_PLUGIN_EUNSUPPORTED;
    }
    tg_at_options_write(host, point->settings, &w);
    return tg_at_write_format(&w, value, &out, error, error_size);
}
