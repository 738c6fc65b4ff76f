/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/at/at_options.h"

#include <stdio.h>
#include <string.h>

#include "plugins/at/at_points.h"
#include "plugins/at/at_scripts.h"
#include "plugins/at/at_write.h"
#include "southbound/at_chat.h"

static const char *const flows[] = {"none", "rtscts", NULL};
static const char *const types[] = {"auto", "int", "real", "text", "bool", "hex", NULL}; /* enum tg_at_type */
static const char *const pdp_types[] = {"IP", "IPV6", "IPV4V6", NULL};
static const char *const auths[] = {"none", "pap", "chap", NULL}; /* enum tg_cell_auth */
static const char *const times[] = {"off", "local", "utc", NULL};
static const char *const decimals[] = {"point", "comma", NULL};

const struct tg_option tg_at_source_options[] = {
    {"port", TG_OPTION_PATH, TG_OPTION_REQUIRED, 0, 0, NULL, NULL,
     "The serial port; a name under /dev/serial/by-id survives replugging."},
    {"baud", TG_OPTION_INT, 0, 300, 4000000, "115200", NULL, "Its rate in bits per second (8N1)."},
    {"flow", TG_OPTION_ENUM, 0, 0, 0, "none", flows,
     "Hardware flow control: rtscts where the cable has the lines."},
    {"script", TG_OPTION_ENUM, 0, 0, 0, "none", tg_at_script_names,
     "A built-in set of initial commands and unsolicited lines for a kind of device."},
    {"init", TG_OPTION_TEXT_LIST, 0, 0, 0, NULL, NULL,
     "Commands sent after those of the script whenever the device was opened or has restarted."},
    {"timeout", TG_OPTION_DURATION, 0, 50, 600000, "2s", NULL,
     "How long a command waits for its final result, unless its point says otherwise."},
    {"pause", TG_OPTION_DURATION, 0, 1, 10000, "25ms", NULL,
     "Silence between a result and the next command."},
    {"urc_prefixes", TG_OPTION_TEXT_LIST, 0, 0, 0, NULL, NULL,
     "How lines begin that the device sends unasked, beside those of the script."},
    {"urc_two_line", TG_OPTION_TEXT_LIST, 0, 0, 0, NULL, NULL,
     "How unasked lines begin to which the next line belongs, as +CMT: does."},
    {"urc_reboot", TG_OPTION_TEXT_LIST, 0, 0, 0, NULL, NULL,
     "How lines begin that say that the device has restarted; it is then initialised again."},
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
    {"ppp", TG_OPTION_BOOL, 0, 0, 0, "false", NULL,
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
     "The command that sets the point, with {value} where the value goes."},
    {"allow", TG_OPTION_TEXT_LIST, 0, 0, 0, NULL, NULL,
     "The only values that may be written, as sent to the device."},
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

static int check_pattern(const struct tg_host *host, const struct tg_point *point, const char *option,
                         const struct fault *f)
{
    struct tg_at_pattern p;
    int64_t group = host->get_int(point->settings, "group");
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
        rc = check_pattern(host, point, "match", f);
    }
    if (rc == TG_PLUGIN_OK && host->has(s, "urc"))
        rc = check_pattern(host, point, "urc", f);
    return rc;
}

int tg_at_check_point(const struct tg_host *host, const struct tg_settings *device,
                      const struct tg_point *point, const char **ret_option, char *error, size_t error_size)
{
    const struct tg_settings *s = point->settings;
    const char *unused = NULL;
    struct fault f = {ret_option ? ret_option : &unused, error, error_size};
    const char *fault;
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
        fault = tg_at_write_fault(host->get_text(s, "write"));
        if (fault)
            return wrong(&f, "write", fault);
    }
    return check_reading(host, point, &f);
}
