/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * options - the gateway's own option tables: the one place that says which keys the file takes, with type,
 * range, default and a sentence for people. Parser, checks, schema and docs/configuration.md follow from
 * them.
 */
#include "config/config.h"

#include "config/config_private.h"

#define KIB       INT64_C(1024)
#define MIB       (1024 * KIB)
#define TIB       (1024 * 1024 * MIB)
#define SECOND_MS INT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS   (60 * MINUTE_MS)
#define DAY_MS    (24 * HOUR_MS)

static const char *const levels[] = {"error", "warn", "info", "debug", NULL};    /* enum tg_log_level */
static const char *const log_formats[] = {"text", "json", NULL};                 /* enum tg_log_format */
static const char *const durabilities[] = {"full", "normal", "lazy", NULL};      /* enum tg_durability */
static const char *const full_policies[] = {"drop-oldest", "drop-newest", NULL}; /* enum tg_when_full */
static const char *const drains[] = {"in-order", "fair", "newest-first", NULL};  /* enum tg_drain */
static const char *const priorities[] = {"normal", "high", NULL};
static const char *const switches[] = {"off", "on", NULL}; /* the index is the truth value */
static const char *const formats[] = {"json", "senml", "senml-cbor", "template", "sparkplug-b", NULL};
static const char *const compressions[] = {"off", "deflate", NULL};
static const char *const transports[] = {"tcp", "websocket", NULL};
static const char *const isolations[] = {"in-process", "process", NULL};

const struct tg_option tg_config_gateway_options[] = {
    {.name = "name",
     .type = TG_OPTION_TEXT,
     .min = 1,
     .max = 128,
     .default_text = "tidegate",
     .doc = "The gateway's name, for topics with {gateway}, logs and status."},
    {.name = "state_dir",
     .type = TG_OPTION_PATH,
     .default_text = "/var/lib/tidegate",
     .doc = "The folder of the outbox; the gateway must be able to write there."},
    {.name = "control_socket",
     .type = TG_OPTION_PATH,
     .default_text = "/run/tidegate/control.sock",
     .doc = "The Unix socket that `tidegate status`, `tail` and `send` use; at most 107 bytes."},
    {.name = "http",
     .type = TG_OPTION_TEXT,
     .min = 1,
     .max = 64,
     .default_text = "off",
     .doc = "ADDRESS:PORT for /metrics, /healthz and the status page, or `off`. It has no password and only "
            "reads."},
    {.name = "http_remote",
     .type = TG_OPTION_BOOL,
     .default_text = "false",
     .doc = "Let `http` be an address that other machines reach; else it must be a loopback one."},
    {.name = "plugin_dirs",
     .type = TG_OPTION_TEXT_LIST,
     .doc = "Folders searched for plugins before the installed one."},
    {.name = "profile_dirs",
     .type = TG_OPTION_TEXT_LIST,
     .doc = "Folders searched for device profiles, PLUGIN/NAME.yaml, before `profiles` beside the file and "
            "the plugin's own."},
    {.name = NULL},
};

const struct tg_option tg_config_log_options[] = {
    {.name = "level",
     .type = TG_OPTION_ENUM,
     .choices = levels,
     .default_text = "info",
     .doc = "The least important lines that are logged."},
    {.name = "format",
     .type = TG_OPTION_ENUM,
     .choices = log_formats,
     .default_text = "text",
     .doc = "Lines for people, or one JSON object a line."},
    {.name = NULL},
};

const struct tg_option tg_config_outbox_options[] = {
    {.name = "durability",
     .type = TG_OPTION_ENUM,
     .choices = durabilities,
     .default_text = "full",
     .doc = "What survives: `full` loses nothing in a power cut, `normal` nothing in a crash of the gateway; "
            "`lazy` "
            "writes only what the clouds have not acknowledged in time."},
    {.name = "lazy_window",
     .type = TG_OPTION_DURATION,
     .min = 100,
     .max = 30 * SECOND_MS,
     .default_text = "5s",
     .doc =
         "With `durability: lazy`: how long a sample may wait in memory for its acknowledgement before it is "
         "written; what a crash may lose."},
    {.name = "commit_interval",
     .type = TG_OPTION_DURATION,
     .min = 0,
     .max = 10 * SECOND_MS,
     .default_text = "50ms",
     .doc = "How long a commit waits for more samples; longer spares the flash card, shorter is sooner in "
            "the cloud."},
    {.name = "limit",
     .type = TG_OPTION_SIZE,
     .min = 256 * KIB,
     .max = TIB,
     .default_text = "512MiB",
     .doc = "The largest size of the outbox on disk."},
    {.name = "max_age",
     .type = TG_OPTION_DURATION,
     .min = MINUTE_MS,
     .max = 3660 * DAY_MS,
     .default_text = "30d",
     .doc = "Samples stored longer ago than this are dropped, counted and reported as a gap; a clock that is "
            "set changes nothing."},
    {.name = "when_full",
     .type = TG_OPTION_ENUM,
     .choices = full_policies,
     .default_text = "drop-oldest",
     .doc = "Which samples go when the limit is reached; they are counted and reported as a gap."},
    {.name = "drain",
     .type = TG_OPTION_ENUM,
     .choices = drains,
     .default_text = "in-order",
     .doc = "In which order a device's samples go while it has a backlog: `in-order` strictly oldest first, "
            "`fair` "
            "backlog and new samples by turns, `newest-first` new samples first and the backlog with what is "
            "left."},
    {.name = "keep_removed",
     .type = TG_OPTION_DURATION,
     .min = 0,
     .max = 366 * DAY_MS,
     .default_text = "1h",
     .doc = "How long what waits for a device or cloud is kept after a reload without it, in case it was a "
            "mistake; a restart "
            "gives it up at once."},
    {.name = NULL},
};

const struct tg_option tg_config_quota_options[] = {
    {.name = "max_pending",
     .type = TG_OPTION_INT,
     .min = 1,
     .max = 1000000000,
     .doc = "How many samples may wait: of a device, for each of its clouds; of a cloud, over all its "
            "devices. The oldest "
            "beyond are dropped for that cloud, counted and reported as a gap."},
    {.name = "max_age",
     .type = TG_OPTION_DURATION,
     .min = MINUTE_MS,
     .max = 3660 * DAY_MS,
     .doc = "Samples older than this are dropped for this device or cloud, where that is sooner than "
            "`outbox.max_age`."},
    {.name = NULL},
};

const struct tg_option tg_config_cloud_options[] = {
    {.name = "host",
     .type = TG_OPTION_TEXT,
     .min = 1,
     .max = 255,
     .doc = "The name or address to connect to."},
    {.name = "port",
     .type = TG_OPTION_INT,
     .min = 1,
     .max = 65535,
     .doc = "The TCP port; default: the cloud type's own (8883)."},
    {.name = "ca_file",
     .type = TG_OPTION_PATH,
     .doc = "PEM file with the roots that may sign the server's certificate; default: the system's."},
    {.name = "tls",
     .type = TG_OPTION_ENUM,
     .choices = switches,
     .default_text = "on",
     .doc = "`off` sends credentials in the clear and is taken only for a loopback host."},
    {.name = "keepalive",
     .type = TG_OPTION_DURATION,
     .min = 30 * SECOND_MS,
     .max = 1177 * SECOND_MS,
     .default_text = "240s",
     .doc = "How long a session may be silent before it sends a ping; sooner where the path forgets silent "
            "connections."},
    {.name = "max_in_flight",
     .type = TG_OPTION_INT,
     .min = 1,
     .max = 1000,
     .default_text = "20",
     .doc = "Messages of one session that may wait for their acknowledgement."},
    {.name = "max_connects_per_second",
     .type = TG_OPTION_INT,
     .min = 1,
     .max = 1000,
     .default_text = "20",
     .doc = "How many sessions may begin to connect in one second."},
    {.name = "connect_timeout",
     .type = TG_OPTION_DURATION,
     .min = SECOND_MS,
     .max = 5 * MINUTE_MS,
     .default_text = "10s",
     .doc = "How long a TCP connection, and then the answer to CONNECT, may take."},
    {.name = "handshake_timeout",
     .type = TG_OPTION_DURATION,
     .min = SECOND_MS,
     .max = 5 * MINUTE_MS,
     .default_text = "20s",
     .doc = "How long a TLS handshake may take."},
    {.name = "ack_timeout",
     .type = TG_OPTION_DURATION,
     .min = SECOND_MS,
     .max = 10 * MINUTE_MS,
     .default_text = "30s",
     .doc = "How long an acknowledgement may take before the session connects anew."},
    {.name = "min_backoff",
     .type = TG_OPTION_DURATION,
     .min = 10,
     .max = HOUR_MS,
     .default_text = "1s",
     .doc = "The first wait after a failed connection; it doubles up to max_backoff, with jitter."},
    {.name = "max_backoff",
     .type = TG_OPTION_DURATION,
     .min = 10,
     .max = DAY_MS,
     .default_text = "60s",
     .doc = "The longest wait between two attempts."},
    {.name = "format",
     .type = TG_OPTION_ENUM,
     .choices = formats,
     .default_text = "json",
     .doc = "How samples are written into messages; `sparkplug-b` for clouds of type mqtt."},
    {.name = "template",
     .type = TG_OPTION_TEXT,
     .min = 1,
     .max = 4096,
     .doc = "The text of a message for `format: template`; see docs/formats.md for its placeholders."},
    {.name = "compress",
     .type = TG_OPTION_ENUM,
     .choices = compressions,
     .default_text = "off",
     .doc =
         "`deflate` compresses message bodies that become smaller by it, and says so in the content encoding "
         "where the cloud has a place for it."},
    {.name = "transport",
     .type = TG_OPTION_ENUM,
     .choices = transports,
     .default_text = "tcp",
     .doc =
         "`websocket` carries MQTT in WebSocket frames, mostly on port 443, where a firewall allows nothing "
         "else."},
    {.name = "websocket_path",
     .type = TG_OPTION_TEXT,
     .min = 1,
     .max = 255,
     .doc = "The path to ask for with `transport: websocket`; default: the cloud type's own."},
    {.name = "proxy",
     .type = TG_OPTION_TEXT,
     .min = 8,
     .max = 300,
     .doc = "http://HOST:PORT of a proxy that connections go through (HTTP CONNECT)."},
    {.name = "proxy_user",
     .type = TG_OPTION_TEXT,
     .min = 1,
     .max = 255,
     .doc = "The user name for the proxy."},
    {.name = "proxy_password_file",
     .type = TG_OPTION_SECRET_FILE,
     .doc = "A file with the password for the proxy."},
    {.name = "drain",
     .type = TG_OPTION_ENUM,
     .choices = drains,
     .doc = "In which order a backlog goes to this cloud; default: the outbox's `drain`."},
    {.name = NULL},
};

const struct tg_option tg_config_batch_options[] = {
    {.name = "max_samples",
     .type = TG_OPTION_INT,
     .min = 1,
     .max = 1000,
     .default_text = "1",
     .doc = "Samples in one message; above 1 the body is an array."},
    /* A count of bytes, not a SIZE: hubs state their metering blocks as plain numbers (4096), and so does the
       file. */
    {.name = "max_bytes",
     .type = TG_OPTION_INT,
     .min = 64,
     .max = 262144,
     .default_text = "3900",
     .doc = "The largest message body in bytes, a plain number; a single larger sample still goes alone."},
    {.name = "max_delay",
     .type = TG_OPTION_DURATION,
     .min = 0,
     .max = HOUR_MS,
     .default_text = "2s",
     .doc = "How long a message waits for more samples."},
    {.name = NULL},
};

const struct tg_option tg_config_source_options[] = {
    {.name = "isolation",
     .type = TG_OPTION_ENUM,
     .choices = isolations,
     .default_text = "in-process",
     .doc = "Where the plugin runs; with `process` in a process of its own, whose end costs nobody else "
            "anything."},
    {.name = "hang_timeout",
     .type = TG_OPTION_DURATION,
     .min = 200,
     .max = HOUR_MS,
     .default_text = "30s",
     .doc = "With `isolation: process`: a plugin whose function has not come back for so long is killed and "
            "started again."},
    {.name = "memory_limit",
     .type = TG_OPTION_SIZE,
     .min = 16 * MIB,
     .max = 4096 * MIB,
     .default_text = "256MiB",
     .doc = "With `isolation: process`: more resident memory than this, and the plugin is killed and started "
            "again."},
    {.name = NULL},
};

const struct tg_option tg_config_point_options[] = {
    {.name = "every",
     .type = TG_OPTION_DURATION,
     .min = 1,
     .max = 366 * DAY_MS,
     .doc = "How often the point is read; default: the plugin's own, or as it comes."},
    {.name = "deadband",
     .type = TG_OPTION_TEXT,
     .min = 1,
     .max = 32,
     .doc = "Changes up to this are not sent: a number in the point's unit, or a percentage such as 2%."},
    {.name = "min_interval",
     .type = TG_OPTION_DURATION,
     .min = 0,
     .max = 366 * DAY_MS,
     .default_text = "0s",
     .doc = "Sends the point at most this often; 0s means no limit."},
    {.name = "max_interval",
     .type = TG_OPTION_DURATION,
     .min = 0,
     .max = 366 * DAY_MS,
     .default_text = "0s",
     .doc = "Sends the point at least this often, changed or not; 0s means only on change."},
    {.name = "scale",
     .type = TG_OPTION_REAL,
     .default_text = "1",
     .doc = "The value sent is the value read × scale + offset."},
    {.name = "offset", .type = TG_OPTION_REAL, .default_text = "0", .doc = "Is added after scaling."},
    {.name = "min",
     .type = TG_OPTION_REAL,
     .doc = "A scaled value below this has quality `range`; a write below it is refused."},
    {.name = "max",
     .type = TG_OPTION_REAL,
     .doc = "A scaled value above this has quality `range`; a write above it is refused."},
    {.name = "enum",
     .type = TG_OPTION_TEXT_LIST,
     .flags = TG_OPTION_PAIRS,
     .doc = "Texts in place of numbers, such as {0: stopped, 1: running}; a number without one has quality "
            "`range`."},
    {.name = "writable",
     .type = TG_OPTION_BOOL,
     .default_text = "false",
     .doc = "Lets commands set the point."},
    {.name = "priority",
     .type = TG_OPTION_ENUM,
     .choices = priorities,
     .default_text = "normal",
     .doc = "`high`: a sample with this point in it goes ahead of the backlog, also one that was taken "
            "during an outage."},
    {.name = "sum",
     .type = TG_OPTION_TEXT_LIST,
     .doc = "The point is not read: it is the sum of these points of the device."},
    {.name = "difference",
     .type = TG_OPTION_TEXT_LIST,
     .doc = "The point is not read: it is the first of these points less the others."},
    {.name = "rate",
     .type = TG_OPTION_TEXT,
     .min = 1,
     .max = 128,
     .doc = "The point is not read: it is the change of this point of the device, per unit of time."},
    {.name = "per",
     .type = TG_OPTION_DURATION,
     .min = 1,
     .max = 366 * DAY_MS,
     .default_text = "1s",
     .doc = "The unit of time of `rate`: a counter of Wh gives W with 1h."},
    {.name = "counter",
     .type = TG_OPTION_BOOL,
     .default_text = "false",
     .doc = "The point of `rate` only grows: a fall is a restart and gives no value."},
    {.name = NULL},
};

const struct tg_option tg_config_discover_options[] = {
    {.name = "allow",
     .type = TG_OPTION_TEXT_LIST,
     .flags = TG_OPTION_REQUIRED,
     .doc = "Patterns of the ids that may come in: `*` stands for any characters, `?` for one."},
    {.name = "max",
     .type = TG_OPTION_INT,
     .min = 1,
     .max = TG_CONFIG_MAX_DISCOVERED,
     .default_text = "100",
     .doc = "How many discovered devices the source may have."},
    {.name = "id_prefix",
     .type = TG_OPTION_TEXT,
     .min = 1,
     .max = 64,
     .doc = "Stands before the id in the clouds, such as site-7-; in the gateway the id stays as it is."},
    {.name = NULL},
};

const struct tg_option tg_config_identity_options[] = {
    {.name = "sas_key_file", .type = TG_OPTION_SECRET_FILE, .doc = "The device's shared access key, base64."},
    {.name = "certificate", .type = TG_OPTION_PATH, .doc = "The device's certificate with its chain, PEM."},
    {.name = "key",
     .type = TG_OPTION_SECRET_FILE,
     .doc = "The certificate's private key, PEM, or a PKCS#11 URI."},
    {.name = "pkcs12", .type = TG_OPTION_SECRET_FILE, .doc = "Certificate and key in one PKCS#12 file."},
    {.name = "password_file",
     .type = TG_OPTION_SECRET_FILE,
     .doc = "The password, of `pkcs12` or of `username`."},
    {.name = "derive_from_group",
     .type = TG_OPTION_SECRET_FILE,
     .doc = "The enrolment group's key, from which each device's key is derived."},
    {.name = "jwt_key",
     .type = TG_OPTION_SECRET_FILE,
     .doc = "The private key that signs the device's tokens, PEM, or a PKCS#11 URI."},
    {.name = "username", .type = TG_OPTION_TEXT, .min = 1, .max = 1024, .doc = "The user name."},
    {.name = NULL},
};
