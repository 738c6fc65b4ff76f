/* SPDX-License-Identifier: MIT
 *
 * tidegate plugin SDK, API version 1: the one header a source plugin includes.
 *
 * WHAT A PLUGIN IS
 *   A shared object that reads field devices. It exports one symbol, made by TG_PLUGIN_EXPORT, which
 *   describes it: who it is, which options a source, a device and a point take (tables, from which the
 *   host derives validation with line and column, `tidegate plugin describe`, the JSON Schema and the
 *   manual), and its functions. The host lends it services through `struct tg_host`. Plain C11; no type
 *   of libuv, wolfSSL or SQLite appears here. The header can be included from C++ as well; the
 *   description itself (TG_PLUGIN_INIT) is written in C, or in C++20.
 *
 * LIFECYCLE (one instance per entry of `sources:` in the configuration)
 *
 *     check_source() check_point() … any thread, before open, also from `tidegate check`: pure
 *     check_device() …               likewise, but it may read the files that the device names
 *     check_value() …                any thread, at any time, before write(): pure
 *     open() ──► poll() ⇄ poll() … ──► close()
 *                  ▲    write(), command(), fd_ready()
 *
 *   open() builds the instance and must not block for long; a device that is not there is no error:
 *   report it with host->device_state and try again from poll(). A negative return from open() means
 *   the configuration cannot work; its text is shown and the source is opened again with back-off.
 *   poll() does what is due and returns in how many milliseconds it wants to be called again (0 = as
 *   soon as possible, after pending writes and commands; TG_POLL_IDLE = only on events). It is also
 *   called after every fd_ready(), write() and command(), so that what is due next is worked out in one place.
 *   close() releases everything. It is called once after every successful open(). The same process may
 *   open the instance again: when a point gets another interval, when a device is discovered, after a
 *   reload. Nothing may be kept in static variables that a second instance would not share gladly.
 *
 * THREADS
 *   TG_THREAD_OWN: the instance has a thread of its own; its functions may block (a bus read with its
 *   timeout), but must look at host->stopping() between steps and return within about a second of it.
 *   TG_THREAD_LOOP: all functions run on the gateway's loop and never block, not even for a
 *   millisecond: they use watch_fd() and the return value of poll().
 *   A plugin that needs a thread for some of its sources only says which with thread_model_of().
 *   Either way no two functions of one instance run at the same time, and host services are called
 *   only from inside them (exceptions are marked "any thread"). Two instances run at the same time.
 *   Signals, the locale, the working folder and the standard streams are the gateway's: leave them alone.
 *
 * MEMORY
 *   Everything passed in is borrowed until the call returns, except `struct tg_host` and `struct tg_source`
 *   with what they point to, which live until close() returns. What is passed to a service is copied
 *   before it returns. The tables and texts of `struct tg_plugin` live as long as the plugin is loaded:
 *   they are static.
 *
 * ERRORS
 *   Functions return 0 or a negative number from enum tg_plugin_error, with a text where a buffer is
 *   lent. A point that cannot be read is no error: it is emitted with a quality. Texts are for the person
 *   at the site: what, where, and what to do ("no answer from unit 3 in 500 ms: is it powered?"). Never
 *   end the process; an assertion that fails takes every device of the gateway with it.
 *
 * DEVICES
 *   Tell host->device_state when it changes: OK once the device has answered, SUSPECT after a first miss,
 *   DOWN when it is given up for now, with a text that says why. Telling the same again is cheap. A device
 *   that is down is asked less often, and must not hold up its neighbours on the same line. What it is
 *   (model, firmware, serial) goes to host->device_fact, what it measures to host->emit.
 *
 * VERSIONS
 *   `struct_size` and `api_version` are stamped by TG_PLUGIN_INIT. Fields are only ever appended; the
 *   host copies the smaller size and zeroes the rest, so an older .so loads in a newer host, and a newer
 *   .so in an older host as long as the API version is the same. A plugin must treat host services beyond
 *   host->struct_size as absent: TG_HOST_HAS(host, member) asks. Another api_version is refused with both
 *   numbers in the text.
 *
 * DISCOVERY
 *   A device that is heard and not configured (a beacon, a bus address) is told with host->discovered; the
 *   operator's `discover` section decides whether it comes in. For people at a new site there is
 *   tg_plugin.discover: `tidegate discover NAME` prints what is there as YAML to paste.
 *
 * NEEDS
 *   tg_plugin.needs states what an instance has to be able to do; with `isolation: process` everything else
 *   is taken away from it. Say TG_NEEDS_STATED and no more when the files and ports that the options name
 *   are all that is opened.
 *
 * CARRYING
 *   A plugin whose device has a connection of its own to the cloud (a Wi-Fi module with an MQTT client) can lend it: with carry_open,
 *   carry and carry_close, clouds of the type `module` send the samples of any device through it. A channel is one connection to one
 *   broker; its number is the host's and is never used again. The plugin promises to say of each message what it knows:
 *
 *       carry_open(7, "mqtt://…") ──► carrier(7, up) ──► carry(7, 0, …) carry(7, 1, …) ──► carried(7, 0, OK) …
 *              │ cannot be had                 │ ends, for whatever reason
 *              └──► carrier(7, not up, why) ◄──┘     what was not carried() is sent again on another channel
 *
 *   After carrier(not up) the host does not use the number any more; nor after carry_close(), which needs no answer. When the
 *   instance closes, all its channels are gone.
 *
 * FROM SOURCE TO RUNNING
 *     tidegate plugin new NAME            a folder with a plugin that works, to be changed
 *     cmake -B build && cmake --build build              find_package(tidegate-plugin 1), tidegate_add_plugin()
 *     cc $(pkg-config --cflags tidegate-plugin) -fPIC -shared -fvisibility=hidden -o NAME.so NAME.c     or without CMake
 *     tidegate plugin test build/NAME.so -c NAME.yaml    runs it alone and shows what it gives
 *     cmake --install build               into the folder that the gateway searches; or name the folder under plugin_dirs
 *   The file is called NAME.so, and neither it nor a folder on the way to it may be writable by others. More in
 *   docs/plugins/writing.md of the product.
 *
 * EXAMPLE (whole)
 *
 *     #include <tidegate/plugin.h>
 *     static int dice_open(const struct tg_host *h, const struct tg_source *s, void **ret, char *e, size_t n)
 *     { (void)s; (void)e; (void)n; *ret = (void *)h; return 0; }
 *     static int32_t dice_poll(void *self, int64_t now_ms)
 *     {
 *         const struct tg_host *h = self;
 *         struct tg_point_value v = {.point = 0, .value = tg_value_int(1 + now_ms % 6)};
 *         h->emit(h->source, 0, 0, &v, 1);
 *         return 1000;
 *     }
 *     static void dice_close(void *self) { (void)self; }
 *     static const struct tg_plugin dice = {
 *         TG_PLUGIN_INIT(TG_THREAD_LOOP), .name = "dice", .version = "1.0", .summary = "throws a die",
 *         .open = dice_open, .poll = dice_poll, .close = dice_close, .needs = TG_NEEDS_STATED};
 *     TG_PLUGIN_EXPORT(dice)
 */
#ifndef TIDEGATE_PLUGIN_H
#define TIDEGATE_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TG_PLUGIN_API_VERSION 1
#define TG_PLUGIN_SYMBOL      "tidegate_plugin"
#define TG_POLL_IDLE          (-1)

enum tg_thread_model { TG_THREAD_LOOP = 1, TG_THREAD_OWN = 2 };

enum tg_plugin_error {
    TG_PLUGIN_OK = 0,
    TG_PLUGIN_EINVAL = -1, /* an option, an address or a value is wrong; text says which */
    TG_PLUGIN_ENOMEM = -2,
    TG_PLUGIN_EFULL = -3, /* the host's queue is full: the sample was rejected and counted */
    TG_PLUGIN_EIO = -4,   /* port, socket or bus failed */
    TG_PLUGIN_ETIMEOUT = -5,
    TG_PLUGIN_EDEVICE = -6,      /* the device refused (a Modbus exception, an AT ERROR) */
    TG_PLUGIN_EUNSUPPORTED = -7, /* no such service in this host, or no such command */
    TG_PLUGIN_EUNKNOWN = -8,     /* a write was sent, its outcome is not known */
    TG_PLUGIN_EDENIED = -9       /* the configuration does not let this device in */
};

/* --- values ---------------------------------------------------------------------------------- */

enum tg_value_type {
    TG_VALUE_NONE = 0, /* no value: only with a quality other than good */
    TG_VALUE_BOOL = 1,
    TG_VALUE_INT = 2,
    TG_VALUE_UINT = 3,
    TG_VALUE_REAL = 4,
    TG_VALUE_TEXT = 5 /* UTF-8, at most TG_TEXT_MAX_BYTES */
};

#define TG_TEXT_MAX_BYTES 1024

struct tg_value {
    uint32_t type; /* enum tg_value_type */
    uint32_t text_len;
    union {
        bool boolean;
        int64_t integer;
        uint64_t uinteger;
        double real;
        const char *text; /* text_len bytes, no NUL needed */
    } as;
};

static inline struct tg_value tg_value_bool(bool v)
{
    struct tg_value x = {TG_VALUE_BOOL, 0, {false}};
    x.as.boolean = v;
    return x;
}
static inline struct tg_value tg_value_int(int64_t v)
{
    struct tg_value x = {TG_VALUE_INT, 0, {false}};
    x.as.integer = v;
    return x;
}
static inline struct tg_value tg_value_uint(uint64_t v)
{
    struct tg_value x = {TG_VALUE_UINT, 0, {false}};
    x.as.uinteger = v;
    return x;
}
static inline struct tg_value tg_value_real(double v)
{
    struct tg_value x = {TG_VALUE_REAL, 0, {false}};
    x.as.real = v;
    return x;
}
static inline struct tg_value tg_value_text(const char *text, size_t len)
{
    struct tg_value x = {TG_VALUE_TEXT, 0, {false}};
    x.text_len = (uint32_t)(len > TG_TEXT_MAX_BYTES ? TG_TEXT_MAX_BYTES : len);
    x.as.text = text;
    return x;
}

/* Why a point has no (trustworthy) value. The word after each is what the cloud sees in "quality". */
enum tg_quality {
    TG_QUALITY_GOOD = 0,
    TG_QUALITY_TIMEOUT = 1, /* "timeout": asked, no answer */
    TG_QUALITY_COMM = 2,    /* "comm": port or bus unusable, frame damaged */
    TG_QUALITY_DEVICE = 3,  /* "device": the device reports a failure (Modbus exception 4, AT ERROR) */
    TG_QUALITY_CONFIG = 4,  /* "config": the device has no such point (Modbus exception 2, 3) */
    TG_QUALITY_RANGE = 5,   /* "range": value outside its stated range, NaN, infinity */
    TG_QUALITY_SENSOR = 6,  /* "sensor": the device's own "no value" marker */
    TG_QUALITY_STALE = 7,   /* "stale": nothing heard for too long */
    TG_QUALITY_DOWN = 8     /* "down": device is considered down, not asked */
};

/* --- option tables --------------------------------------------------------------------------- */

/* What the tables say is checked before any of the plugin's functions sees it: unknown keys, types, ranges, missing ones. Options of
 * a point stand beside those that every point has (name, unit, every, writable, scale, offset, deadband, min, max …; all in
 * docs/configuration.md), so they need other names; a device's and a source's stand under `settings`, where `profile` and `discover`
 * are taken. A table has at most 256 options. */

enum tg_option_type {
    TG_OPTION_BOOL = 1,
    TG_OPTION_INT = 2, /* int64 within [min, max] */
    TG_OPTION_REAL = 3,
    TG_OPTION_TEXT = 4,
    TG_OPTION_ENUM = 5,        /* one of `choices`; read with get_int: its index */
    TG_OPTION_DURATION = 6,    /* "500ms", "2s", "1h": a unit is required; get_int gives milliseconds */
    TG_OPTION_SIZE = 7,        /* "64KiB", "512MiB"; get_int gives bytes */
    TG_OPTION_PATH = 8,        /* relative paths are resolved against the configuration file */
    TG_OPTION_SECRET_FILE = 9, /* a path whose mode is checked (no access for group or others) */
    TG_OPTION_TEXT_LIST = 10   /* a sequence of texts */
};

#define TG_OPTION_REQUIRED 1u
/* A source's option: what `needs` would say (TG_NEEDS_…), but only of a source that has the option, a BOOL being true. */
#define TG_OPTION_NEEDS(needs) ((uint32_t)(needs) << 8)
#define TG_OPTION_PAIRS        2u /* TEXT_LIST: may be written as a mapping too; its items are then "key=value" */
/* BOOL, INT or ENUM of a device, with or without a default: it says how the points beside it are written (from where their addresses
 * count), so that the points of a profile would mean something else with another value than the profile's. The file may give only
 * what the profile gives, or `min` (false, the first choice) where that gives none. */
#define TG_OPTION_AS_PROFILE 4u
/* PATH: the plugin only reads what it names. With `isolation: process` it may not write there; a SECRET_FILE is never written. */
#define TG_OPTION_READ_ONLY 8u

struct tg_option {
    const char *name;           /* NULL ends a table */
    uint32_t type;              /* enum tg_option_type */
    uint32_t flags;             /* TG_OPTION_REQUIRED, _PAIRS, _AS_PROFILE, _READ_ONLY, _NEEDS(…) */
    int64_t min, max;           /* INT, DURATION (ms), SIZE (bytes): both 0 = no limit; TEXT: length limits */
    const char *default_text;   /* as it would stand in the file; NULL = absent unless given */
    const char *const *choices; /* ENUM: NULL-terminated */
    const char *doc;            /* one sentence for people, in the present tense */
};

/* A ready-made set of points that a device names with `profile:`. `yaml` is text in the form of a
 * device entry: optional `settings:` and `points:`; entries in the file are added to or replace them. */
struct tg_profile {
    const char *name; /* NULL ends a table */
    const char *doc;
    const char *yaml;
};

/* Values of one options table after validation; opaque, read through the host's get_… services. */
struct tg_settings;

/* --- what the configuration says ------------------------------------------------------------- */

struct tg_point {
    const char *name;                   /* unique within the device */
    const struct tg_settings *settings; /* the plugin's point options */
    int64_t every_ms;                   /* how often to read; 0 = as it comes */
    bool writable;
};

struct tg_device {
    const char *id;
    const struct tg_settings *settings;
    const struct tg_point *points;
    uint32_t point_count;
};

struct tg_source {
    const char *name;
    const struct tg_settings *settings;
    const struct tg_device *devices;
    uint32_t device_count;
};

/* --- what the host lends --------------------------------------------------------------------- */

struct tg_point_value {
    uint32_t point;   /* index into the device's points */
    uint32_t quality; /* enum tg_quality */
    struct tg_value value;
};

enum tg_device_state { TG_DEVICE_UNKNOWN = 0, TG_DEVICE_OK = 1, TG_DEVICE_SUSPECT = 2, TG_DEVICE_DOWN = 3 };
enum tg_log_level { TG_LOG_ERROR = 0, TG_LOG_WARN = 1, TG_LOG_INFO = 2, TG_LOG_DEBUG = 3 };

#define TG_FD_READ   1u
#define TG_FD_WRITE  2u
#define TG_FD_HANGUP 4u /* only reported */

struct tg_host_source; /* the host's side of an instance; first argument of every service */

struct tg_host {
    uint32_t struct_size;
    uint32_t api_version;
    struct tg_host_source *source;

    /* Hands over one sample: values of one device read together. time_ms is wall time in Unix
     * milliseconds, 0 = now. The host applies scale, deadband and intervals, numbers it and stores it.
     * 0, or TG_PLUGIN_EFULL when the bounded queue to the loop is full: the sample is rejected and
     * counted against the device; a polling plugin goes on, one that can wait tries again from poll(). */
    int (*emit)(struct tg_host_source *, uint32_t device, int64_t time_ms,
                const struct tg_point_value *values, uint32_t count);

    /* Tells how a device is; text (may be NULL) is for people: "no answer from unit 3 in 500 ms". */
    void (*device_state)(struct tg_host_source *, uint32_t device, uint32_t state, const char *text);

    /* One line for people, printf style. Never log secrets. Rate-limited by the host. Any thread. */
    void (*log)(struct tg_host_source *, uint32_t level, const char *fmt, ...)
#if defined(__GNUC__)
        __attribute__((format(printf, 3, 4)))
#endif
        ;

    /* Answers a write() or command(), once each, at once or later: status 0 or a tg_plugin_error, and
     * a JSON text (may be NULL) for the caller. */
    void (*answer)(struct tg_host_source *, uint64_t request, int status, const char *json);

    /* Calls fd_ready() while one of `events` is pending; events 0 ends the watch. At most 16 at a time.
     * The plugin owns the descriptor and ends the watch before it closes it. */
    int (*watch_fd)(struct tg_host_source *, int fd, uint32_t events);

    int64_t (*now_ms)(struct tg_host_source *);  /* monotonic, counts through suspend. Any thread. */
    int64_t (*wall_ms)(struct tg_host_source *); /* Unix time. Any thread. */
    bool (*stopping)(struct tg_host_source *);   /* close() will follow: return soon. Any thread. */

    /* Typed reading of validated settings; a name that is not in the table is a defect and aborts.
     * has: given in the file or by default. get_int: BOOL, INT, ENUM (index), DURATION (ms), SIZE.
     * get_text: TEXT, ENUM, PATH, SECRET_FILE; NULL when absent. Lists: *ret_items of the returned count. */
    bool (*has)(const struct tg_settings *, const char *name);
    int64_t (*get_int)(const struct tg_settings *, const char *name);
    double (*get_real)(const struct tg_settings *, const char *name);
    const char *(*get_text)(const struct tg_settings *, const char *name);
    uint32_t (*get_list)(const struct tg_settings *, const char *name, const char *const **ret_items);

    /* Appended after 0.1: there when struct_size reaches beyond it. */

    /* Tells a lasting fact about a device, for the cloud's twin: "model", "firmware", "serial", "signal" … (name: 1 to 64 bytes;
     * at most 32 facts a device). The same value again is not told twice. Not for measurements. 0 or TG_PLUGIN_EINVAL,
     * _ENOMEM, _EFULL. */
    int (*device_fact)(struct tg_host_source *, uint32_t device, const char *name,
                       const struct tg_value *value);

    /* Says that a device is there which is not among source->devices. When the source's `discover` section lets it in, it gets
     * its identity and its sessions, and the instance is closed and opened again within seconds with the device in its list,
     * after every restart too; until then it has no index and gives no samples.
     *   id       what the device is known by for good, such as its hardware address: a4c138000001. 1 to 128 of letters, digits
     *            and - _ . : @, the first a letter, a digit or _. It becomes the device's id: a plugin that takes an address as
     *            a device option takes the id where the option is absent.
     *   profile  the plugin's own profile that brings the device's settings and points; NULL: none.
     * Cheap enough to be called for every advertisement; the same id again does nothing. Nothing needs to be done about a
     * refusal; a device that is told again is looked at again.
     *   0                       it is let in, or is a device of this source already
     *   TG_PLUGIN_EDENIED       no pattern of `allow` has it; the operator sees it in the status
     *   TG_PLUGIN_EFULL         the source has as many as it may (`max`), or the queue to the loop is full
     *   TG_PLUGIN_EUNSUPPORTED  the source has no `discover` section
     *   TG_PLUGIN_EINVAL        the id has other characters, or the plugin has no such profile
     *   TG_PLUGIN_ENOMEM */
    int (*discovered)(struct tg_host_source *, const char *id, const char *profile);

    /* Says that the site's way to the network has come up or has gone, as a modem knows before any time-out does: sessions that
     * wait for their next attempt try at once, sessions that are connected look after their connection. Told again, the same
     * changes nothing. text (may be NULL) is for people: "registered, home network, LTE". */
    void (*uplink)(struct tg_host_source *, bool up, const char *text);

    /* Offers the time that a device has from elsewhere (a modem's from its network): Unix milliseconds, right within
     * uncertainty_ms at the moment of the call. The host takes it while the system's own clock has no valid time. */
    void (*offer_time)(struct tg_host_source *, int64_t wall_ms, uint32_t uncertainty_ms);

    /* Remembers a small text of this source over restarts, such as that a PIN was refused. At most 16, `key` 1 to 64 bytes, the text 1
     * to 256; NULL or "" forgets it. It counts at once, and is on disk when notes_kept() says so, after which poll() is called. 0,
     * TG_PLUGIN_EINVAL, _EFULL (16 are remembered, or the queue to the loop is full), _ENOMEM. */
    int (*note_set)(struct tg_host_source *, const char *key, const char *text);
    /* The text, NUL-terminated, into ret_text[size]: its length; 0 = none; TG_PLUGIN_EINVAL: it does not fit. */
    int (*note_get)(struct tg_host_source *, const char *key, char *ret_text, size_t size);
    /* Whether all that was set so far is on disk. False too while the disk cannot be written. */
    bool (*notes_kept)(struct tg_host_source *);

    /* For plugins that carry (see CARRYING). The channel is up, or it is not any more, or could not be had: text is for people,
     * without the secrets of the address: "the module refused AT+UDCP=mqtt://…: ERROR". Told once each. */
    void (*carrier)(struct tg_host_source *, uint32_t channel, bool up, const char *text);

    /* The outcome of a message, once: TG_PLUGIN_OK = delivered, as far as `confirm` of the address asks; else why it was not
     * taken (TG_PLUGIN_EFULL: more than TG_CARRY_MESSAGES_MAX at a time; TG_PLUGIN_EINVAL: larger than carry_max_bytes). Messages of
     * a channel may be confirmed in any order. */
    void (*carried)(struct tg_host_source *, uint32_t channel, uint64_t message, int status);

    /* enum tg_thread_model: how this instance is run. Absent in a host that does not ask thread_model_of(): as the plugin's thread_model says. */
    uint32_t thread_model;
};

#define TG_HOST_HAS(host, member)                                                                            \
    ((host)->struct_size >= offsetof(struct tg_host, member) + sizeof((host)->member) && (host)->member)

/* --- discovery for people -------------------------------------------------------------------- */

/* One `tidegate discover <name> ARGS…`, lent to tg_plugin.discover until it returns. */
struct tg_discover {
    uint32_t struct_size;
    int argc; /* what follows the plugin's name, without --json */
    const char *const *argv;
    bool json;
    void (*out)(void *user, const char *text); /* what was found: YAML to paste, or one JSON document */
    void (*note)(void *user,
                 const char *text); /* progress and trouble, for people: a line each, without a line end */
    bool (*stopping)(void *user);   /* the user has had enough: finish what is written and return */
    void *user;
};

/* --- privileges ------------------------------------------------------------------------------ */

/* What an instance has to be able to do, for `isolation: process`: everything else is taken away from its process. Files and
 * ports that its PATH and SECRET_FILE options name may be opened without being asked for here. */
#define TG_NEEDS_NETWORK   1u /* TCP, UDP, name look-ups */
#define TG_NEEDS_BLUETOOTH 2u /* Bluetooth sockets, with CAP_NET_RAW and CAP_NET_ADMIN */
#define TG_NEEDS_PROGRAMS  4u /* starts programs (pppd) */
#define TG_NEEDS_SERIAL    8u /* opens serial ports beyond those that its options name */
#define TG_NEEDS_STATED                                                                                      \
    64u /* the field is filled in: 0 stands for a plugin older than it, which gets NETWORK and SERIAL */

/* --- carrying -------------------------------------------------------------------------------- */

#define TG_CARRY_MESSAGES_MAX 16 /* that one channel has under way at a time */

/* --- what a plugin is ------------------------------------------------------------------------ */

struct tg_plugin {
    uint32_t struct_size;
    uint32_t api_version;
    uint32_t thread_model;
    uint32_t reserved;
    const char *name; /* the file is <name>.so */
    const char *version;
    const char *summary;
    const struct tg_option *source_options; /* tables may be NULL: no options */
    const struct tg_option *device_options;
    const struct tg_option *point_options;
    const struct tg_profile *profiles;

    /* Pure check of what tables cannot say (address syntax, type against address). `host` lends only the
     * has/get_… services. 0, or a negative number with the reason in `error`; `ret_option` may name the
     * option at fault, for the column. May be NULL. */
    int (*check_point)(const struct tg_host *host, const struct tg_settings *device,
                       const struct tg_point *point, const char **ret_option, char *error, size_t error_size);

    int (*open)(const struct tg_host *host, const struct tg_source *source, void **ret_instance, char *error,
                size_t error_size);
    int32_t (*poll)(void *instance, int64_t now_ms);
    void (*close)(void *instance);

    /* Sets a writable point; answer with host->answer(request). May be NULL. */
    void (*write)(void *instance, uint64_t request, uint32_t device, uint32_t point,
                  const struct tg_value *value);
    /* A command of the plugin's own, arguments as a JSON text. May be NULL. */
    void (*command)(void *instance, uint64_t request, uint32_t device, const char *name, const char *json);
    /* A watched descriptor is ready. May be NULL when watch_fd is not used. */
    void (*fd_ready)(void *instance, int fd, uint32_t events);

    /* `tidegate decode <name> ARGS…`: turns bytes given as text into readings, without hardware. Writes
     * UTF-8 text or JSON through `out`. 0, 1 = "the answer is no", 2 = wrong usage (text through `out`).
     * May be NULL. */
    int (*decode)(int argc, const char *const *argv, bool json, void (*out)(void *user, const char *text),
                  void *user);

    /* Appended after 0.1. */

    uint32_t needs; /* TG_NEEDS_…, with TG_NEEDS_STATED */

    /* `tidegate discover <name> ARGS…`: what is on the bus, in the air, on the ports, without a configuration and without changing
     * anything there. Runs in a process of its own and may block, but looks at stopping() between steps. 0 = found something,
     * 1 = found nothing, 2 = wrong usage (text through `note`). May be NULL. */
    int (*discover)(const struct tg_discover *request);

    /* Lends a connection (see CARRYING); NULL: it has none to lend, and then the other two are NULL as well.
     * carry_open: `address` is a URL, mqtt://HOST:PORT/?client=…&user=…&passwd=…&pt=TOPIC&st=FILTER&keepAlive=SECONDS&ca=NAME&
     * cert=NAME&privKey=NAME&confirm=CONFIRM&settle=MS with percent-encoded values, those that are not wanted left out. pt: where
     * every message is published; ca, cert, privKey: names of what the device holds; without ca there is no TLS. It holds secrets:
     * wipe what is copied of it.
     *   confirm=settle  delivered means: the device has taken the message, and the connection has stayed up for `settle` after it
     *   confirm=echo    delivered means: it came back from the broker (st is the topic itself) */
    void (*carry_open)(void *instance, uint32_t channel, const char *address);
    void (*carry_close)(void *instance, uint32_t channel);
    /* One message, sent in the order of the calls; answered by host->carried(). */
    void (*carry)(void *instance, uint32_t channel, uint64_t message, const void *body, uint32_t size);
    uint32_t carry_max_bytes; /* of one body */

    /* Pure check of a value that is to be written to a point: its type, its range, its length; what only the device can know is for
     * write(). The host has checked `min`, `max` and `enum` and undone the scale. A command that sets several points writes none of
     * them unless all pass, so a plugin with write() should have it. `host` lends only the has/get_… services; no instance need be
     * open, and its functions may be running in another thread (or, isolated, process). `point` is as in check_point (every_ms 0). 0, or
     * TG_PLUGIN_EINVAL, _EUNSUPPORTED with the reason in `error`: "32768 does not fit int16: -32768 to 32767". May be NULL: everything
     * passes. */
    int (*check_value)(const struct tg_host *host, const struct tg_settings *device,
                       const struct tg_point *point, const struct tg_value *value, char *error,
                       size_t error_size);

    /* As check_point, of a source's settings: what only several of them together tell ("transport rtu needs port"), so that
     * `tidegate check` says it and not the first start. May be NULL. */
    int (*check_source)(const struct tg_host *host, const struct tg_settings *source, const char **ret_option,
                        char *error, size_t error_size);

    /* What a device's settings say together, and the content of the files that they name: asked by `tidegate check` and before each
     * start, once what the tables say is satisfied. May read those files and do nothing else; a secret is never in `error`.
     * Otherwise as check_point. May be NULL. */
    int (*check_device)(const struct tg_host *host, const char *id, const struct tg_settings *device,
                        const char **ret_option, char *error, size_t error_size);

    /* How an instance with these settings is run (enum tg_thread_model), for a plugin that blocks for some of its sources and not for others: a
     * serial line and a connection. Asked before each open; `host` lends only the has/get_… services. A host that does not know it runs
     * every instance as thread_model says, which therefore is what all of them can live with: an instance looks into host->thread_model.
     * May be NULL: thread_model holds for all. */
    uint32_t (*thread_model_of)(const struct tg_host *host, const struct tg_settings *source);
};

#define TG_PLUGIN_INIT(model)                                                                                \
    .struct_size = (uint32_t)sizeof(struct tg_plugin), .api_version = TG_PLUGIN_API_VERSION,                 \
    .thread_model = (model)

#define TG_PLUGIN_EXPORT(object)                                                                             \
    __attribute__((visibility("default"))) const struct tg_plugin *tidegate_plugin(void);                    \
    const struct tg_plugin *tidegate_plugin(void)                                                            \
    {                                                                                                        \
        return &(object);                                                                                    \
    }

#ifdef __cplusplus
}
#endif
#endif
