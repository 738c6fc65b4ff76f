/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "plugins/at/at_options.h"
#include "plugins/ucx/ucx_instance.h"
#include "southbound/serial_port.h"

static const char *const flows[] = {"none", "rtscts", NULL};
static const char *const answers[] = {"no", "yes", NULL};
static const char *const ends[] = {"crlf", "lf", "cr", "none", NULL};
static const char *const types[] = {"auto", "int", "real", "text", "bool", "hex", NULL}; /* enum tg_at_type */
static const char *const decimals[] = {"point", "comma", NULL};

const struct tg_option ucx_source_options[] = {
    {"port", TG_OPTION_PATH, TG_OPTION_REQUIRED, 0, 0, NULL, NULL,
     "The serial port of the module; a name under /dev/serial/by-id survives replugging."},
    {"baud", TG_OPTION_INT, 0, 300, 4000000, "115200", NULL, "Its rate in bits per second (8N1)."},
    {"flow", TG_OPTION_ENUM, 0, 0, 0, "none", flows,
     "Hardware flow control: rtscts where the lines are wired; without it modules lose bytes under load."},
    {"init", TG_OPTION_TEXT_LIST, 0, 0, 0, NULL, NULL,
     "Commands sent before extended data mode is entered, whenever the module was opened or has restarted."},
    {"timeout", TG_OPTION_DURATION, 0, 50, 600000, "5s", NULL,
     "How long a command to the module waits for its answer."},
    {0},
};

const struct tg_option ucx_device_options[] = {
    {"peer", TG_OPTION_TEXT, 0, 1, 64, NULL, NULL,
     "The Bluetooth device, as the module's URL for it: sps://D4CA6E8A1B2C or spp://…, with p or r (public, "
     "random address) behind it "
     "where the module wants it. Left out, the device is the module itself."},
    {"connect", TG_OPTION_ENUM, 0, 0, 0, "yes", answers,
     "Whether the module connects to the peer, again and again; no: the peer connects by itself."},
    {"line_end", TG_OPTION_ENUM, 0, 0, 0, "crlf", ends,
     "What is put behind a text that is sent to the peer."},
    {"silence", TG_OPTION_DURATION, 0, 1000, 86400000, NULL, NULL,
     "After how long without a line from a connected peer its points are stale; left out: never."},
    {0},
};

const struct tg_option ucx_point_options[] = {
    {"match", TG_OPTION_TEXT, 0, 1, 1024, NULL, NULL,
     "A Perl-compatible pattern of the line that brings the value: one that the peer says, or that the "
     "module answers to `command` "
     "or says unasked."},
    {"command", TG_OPTION_TEXT, 0, 1, TG_AT_COMMAND_MAX_BYTES, NULL, NULL,
     "The module itself: the command whose answer holds the value; points with the same command share one "
     "exchange."},
    {"group", TG_OPTION_INT, 0, 0, 99, "1", NULL,
     "The group of the pattern that is the value; 0 is all of the match."},
    {"null", TG_OPTION_TEXT_LIST, 0, 0, 0, NULL, NULL,
     "Texts with which the device says that it has no value."},
    {"type", TG_OPTION_ENUM, 0, 0, 0, "auto", types,
     "How the text is read; auto gives an integer or a real number, by its look."},
    {"decimal", TG_OPTION_ENUM, 0, 0, 0, "point", decimals, "What the device puts before the decimals."},
    {"timeout", TG_OPTION_DURATION, 0, 50, 600000, NULL, NULL,
     "How long this command waits; the source's timeout if absent."},
    {"write", TG_OPTION_TEXT, 0, 1, TG_AT_COMMAND_MAX_BYTES, NULL, NULL,
     "What is sent to set the point, with {value} where the value goes: to the peer, or as a command to the "
     "module."},
    {"allow", TG_OPTION_TEXT_LIST, 0, 0, 0, NULL, NULL, "The only values that may be written, as sent."},
    {0},
};

const char *ucx_peer_fault(const char *url, char ret_address[UCX_ADDRESS_BYTES])
{
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *p = url + 6;
    if (strncmp(url, "sps://", 6) != 0 && strncmp(url, "spp://", 6) != 0)
        return "peer begins with sps:// or spp://";
    if (strspn(p, digits) != 12)
        return "peer has an address of twelve hexadecimal digits behind its scheme, as in sps://D4CA6E8A1B2C";
    for (size_t i = 0; i < 12; i++)
        ret_address[i] = (char)(p[i] >= 'A' && p[i] <= 'F' ? p[i] + ('a' - 'A') : p[i]);
    ret_address[12] = '\0';
    p += 12;
    if (*p == 'p' || *p == 'r')
        p++;
    return strcmp(p, "") == 0 || strcmp(p, "/") == 0
               ? NULL
               : "behind the address of a peer only p or r (public, random) may stand";
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

static int check_match(const struct tg_host *host, const struct tg_settings *s, const struct fault *f)
{
    struct tg_at_pattern p;
    int64_t group = host->get_int(s, "group");
    int rc = tg_at_pattern_compile(&p, host->get_text(s, "match"), f->error, f->size);
    uint32_t groups = p.groups;
    tg_at_pattern_fini(&p);
    *f->option = rc < 0 ? "match" : "group";
    if (rc == TG_PLUGIN_OK && group > (int64_t)groups) {
        snprintf(f->error, f->size, "group %lld does not exist: the pattern has %u", (long long)group,
                 groups);
        rc = TG_PLUGIN_EINVAL;
    }
    return rc;
}

int ucx_check_source(const struct tg_host *host, const struct tg_settings *source, const char **ret_option,
                     char *error, size_t error_size)
{
    const char *const *init = NULL, *fault;
    const uint32_t count = host->get_list(source, "init", &init);
    const int64_t baud = host->get_int(source, "baud");
    if (!tg_serial_baud_known(baud)) {
        *ret_option = "baud";
        snprintf(error, error_size, "%lld is no rate of serial ports; 115200 is these modules' default",
                 (long long)baud);
        return TG_PLUGIN_EINVAL;
    }
    for (uint32_t i = 0; i < count; i++) {
        if ((fault = tg_at_command_fault(init[i])) == NULL)
            continue;
        *ret_option = "init";
        snprintf(error, error_size, "command %u %s", i + 1, fault);
        return TG_PLUGIN_EINVAL;
    }
    return TG_PLUGIN_OK;
}

int ucx_check_device(const struct tg_host *host, const char *id, const struct tg_settings *device,
                     const char **ret_option, char *error, size_t error_size)
{
    char address[UCX_ADDRESS_BYTES];
    const char *fault =
        host->has(device, "peer") ? ucx_peer_fault(host->get_text(device, "peer"), address) : NULL;
    (void)id;
    if (!fault)
        return TG_PLUGIN_OK;
    *ret_option = "peer";
    snprintf(error, error_size, "%s", fault);
    return TG_PLUGIN_EINVAL;
}

int ucx_check_point(const struct tg_host *host, const struct tg_settings *device,
                    const struct tg_point *point, const char **ret_option, char *error, size_t error_size)
{
    const struct tg_settings *s = point->settings;
    const char *unused = NULL, *fault, *at_fault;
    struct tg_at_write write = {0};
    struct fault f = {ret_option ? ret_option : &unused, error, error_size};
    bool peer = device && host->has(device, "peer");
    if (!host->has(s, "match") && !host->has(s, "write"))
        return wrong(&f, "match", "a point needs `match` (the line with its value) or `write`");
    if (point->writable && !host->has(s, "write"))
        return wrong(&f, "write", "a writable point needs `write`: what is sent, with {value}");
    write.text = host->get_text(s, "write");
    if (write.text && (fault = tg_at_write_fault(&write, &at_fault)) != NULL)
        return wrong(&f, "write", fault);
    if (host->has(s, "command")) {
        if (peer)
            return wrong(&f, "command",
                         "`command` asks the module; a peer is only listened to and written to");
        if ((fault = tg_at_command_fault(host->get_text(s, "command"))) != NULL) {
            *f.option = "command";
            snprintf(error, error_size, "the command %s", fault);
            return TG_PLUGIN_EINVAL;
        }
        if (!host->has(s, "match"))
            return wrong(&f, "command",
                         "`command` needs `match`: the pattern of the line that holds the value");
        if (point->every_ms <= 0)
            return wrong(&f, "command", "`command` needs `every`: how often it is sent");
    }
    return host->has(s, "match") ? check_match(host, s, &f) : TG_PLUGIN_OK;
}

void ucx_options_write(const struct tg_host *host, const struct tg_settings *s, struct tg_at_write *ret)
{
    *ret = (struct tg_at_write){.text = host->get_text(s, "write"), .type = host->get_int(s, "type")};
    ret->allow_count = host->get_list(s, "allow", &ret->allow);
}

int ucx_check_value(const struct tg_host *host, const struct tg_settings *device,
                    const struct tg_point *point, const struct tg_value *value, char *error,
                    size_t error_size)
{
    struct tg_at_write w;
    struct tg_at_written out;
    int rc;
    if (!host->has(point->settings, "write")) {
        snprintf(error, error_size, "the point has no `write`");
        return TG_PLUGIN_EUNSUPPORTED;
    }
    ucx_options_write(host, point->settings, &w);
    rc = tg_at_write_format(&w, value, &out, error, error_size);
    if (rc < 0 || !host->has(device, "peer") ||
        strlen(out.text) + UCX_LINE_END_MAX_BYTES <= UCX_SEND_MAX_BYTES)
        return rc;
    snprintf(error, error_size, "the text is too long");
    return TG_PLUGIN_EINVAL;
}
