/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/config_fixture.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* --- plugins --- */

static const char *const transports[] = {"tcp", "rtu", NULL};
static const char *const types[] = {"uint16", "int16", "float32", "bool", NULL};
static const char *const scripts[] = {"cellular", "generic", NULL};

static const struct tg_option modbus_source[] = {
    {.name = "transport",
     .type = TG_OPTION_ENUM,
     .choices = transports,
     .flags = TG_OPTION_REQUIRED,
     .doc = "How."},
    {.name = "host", .type = TG_OPTION_TEXT, .min = 1, .max = 255, .doc = "Where."},
    {.name = "port",
     .type = TG_OPTION_INT,
     .min = 1,
     .max = 65535,
     .default_text = "502",
     .doc = "Which \"port\"."},
    {.name = "timeout",
     .type = TG_OPTION_DURATION,
     .min = 10,
     .max = 10000,
     .default_text = "500ms",
     .doc = "How long."},
    {.name = "token_file", .type = TG_OPTION_SECRET_FILE, .doc = "A secret."},
    {.name = NULL}};
static const struct tg_option modbus_device[] = {{.name = "unit",
                                                  .type = TG_OPTION_INT,
                                                  .min = 1,
                                                  .max = 247,
                                                  .flags = TG_OPTION_REQUIRED,
                                                  .doc = "Which unit."},
                                                 {.name = "gap",
                                                  .type = TG_OPTION_INT,
                                                  .min = 0,
                                                  .max = 100,
                                                  .default_text = "10",
                                                  .doc = "Registers bridged."},
                                                 {.name = NULL}};
static const struct tg_option modbus_point[] = {{.name = "address",
                                                 .type = TG_OPTION_TEXT,
                                                 .min = 1,
                                                 .max = 64,
                                                 .flags = TG_OPTION_REQUIRED,
                                                 .doc = "Where it is."},
                                                {.name = "type",
                                                 .type = TG_OPTION_ENUM,
                                                 .choices = types,
                                                 .default_text = "uint16",
                                                 .doc = "What it is."},
                                                {.name = NULL}};

static const struct tg_profile modbus_profiles[] = {
    {"eastron-sdm630", "a meter",
     "settings: {gap: 4}\n"
     "points:\n"
     "  - {name: voltage_l1, address: \"input:0\", type: float32, unit: V, every: 5s, deadband: 0.5}\n"
     "  - {name: current_l1, address: \"input:6\", type: float32, unit: A, every: 5s}\n"},
    {"broken", "not YAML", "points: [\n"},
    {"list", "not a mapping", "- a\n"},
    {"wrong", "with an unknown key", "points:\n  - {name: a, adress: \"input:0\"}\n"},
    {NULL, NULL, NULL}};

static int modbus_check_point(const struct tg_host *host, const struct tg_settings *device,
                              const struct tg_point *point, const char **ret_option, char *error,
                              size_t error_size)
{
    const char *address = host->get_text(point->settings, "address");
    if (host->get_int(device, "unit") < 1 || !point->name)
        abort(); /* only whole settings are shown to a plugin */
    if (point->writable && strncmp(address, "input:", 6) == 0) {
        *ret_option = NULL;
        snprintf(error, error_size, "an input register cannot be written");
        return TG_PLUGIN_EINVAL;
    }
    if (strncmp(address, "input:", 6) == 0 || strncmp(address, "coil:", 5) == 0 ||
        strncmp(address, "holding:", 8) == 0)
        return 0;
    *ret_option = "address";
    snprintf(error, error_size, "begins with input:, holding: or coil:");
    return TG_PLUGIN_EINVAL;
}

static int modbus_check_device(const struct tg_host *host, const char *id, const struct tg_settings *device,
                               const char **ret_option, char *error, size_t error_size)
{
    if (host->get_int(device, "unit") < 1)
        abort(); /* only whole settings are shown to a plugin */
    if (strncmp(id, "odd", 3) != 0)
        return 0;
    *ret_option = id[3] ? "unit" : NULL;
    snprintf(error, error_size, "an odd device");
    return TG_PLUGIN_EINVAL;
}

static const struct tg_plugin modbus = {TG_PLUGIN_INIT(TG_THREAD_OWN),
                                        .name = "modbus",
                                        .version = "1",
                                        .summary = "reads",
                                        .source_options = modbus_source,
                                        .device_options = modbus_device,
                                        .point_options = modbus_point,
                                        .profiles = modbus_profiles,
                                        .check_point = modbus_check_point,
                                        .check_device = modbus_check_device};

static const struct tg_option at_source[] = {
    {.name = "port", .type = TG_OPTION_PATH, .flags = TG_OPTION_REQUIRED, .doc = "The tty."},
    {.name = "baud",
     .type = TG_OPTION_INT,
     .min = 300,
     .max = 4000000,
     .default_text = "115200",
     .doc = "Bits a second."},
    {.name = "script",
     .type = TG_OPTION_ENUM,
     .choices = scripts,
     .default_text = "generic",
     .doc = "What is said."},
    {.name = NULL}};
static const struct tg_option at_point[] = {{.name = "command",
                                             .type = TG_OPTION_TEXT,
                                             .min = 1,
                                             .max = 100,
                                             .flags = TG_OPTION_REQUIRED,
                                             .doc = "What to send."},
                                            {.name = "pattern",
                                             .type = TG_OPTION_TEXT,
                                             .min = 1,
                                             .max = 200,
                                             .flags = TG_OPTION_REQUIRED,
                                             .doc = "What to find."},
                                            {.name = NULL}};
static const struct tg_plugin at = {TG_PLUGIN_INIT(TG_THREAD_LOOP),
                                    .name = "at",
                                    .version = "1",
                                    .summary = "asks",
                                    .source_options = at_source,
                                    .point_options = at_point};

static const struct tg_option ble_source[] = {
    {.name = "adapter", .type = TG_OPTION_TEXT, .default_text = "hci0", .doc = "Which."},
    {.name = "accept", .type = TG_OPTION_TEXT_LIST, .default_text = "[bthome]", .doc = "Formats."},
    {.name = NULL}};
static const struct tg_profile ble_profiles[] = {
    {"thermo", "a sensor", "points: [{name: temperature, every: 5s}, {name: battery}]\n"},
    {"twice", "with a name given twice", "points: [{name: a}, {name: a}]\n"},
    {NULL, NULL, NULL}};
static const struct tg_plugin ble = {TG_PLUGIN_INIT(TG_THREAD_LOOP), .name = "ble", .version = "1",
                                     .source_options = ble_source, .profiles = ble_profiles};
static const struct tg_plugin simulator = {TG_PLUGIN_INIT(TG_THREAD_LOOP), .name = "simulator",
                                           .version = "1"};

const struct tg_plugin *const tg_fixture_plugins[] = {&modbus, &at, &ble, &simulator};
const size_t tg_fixture_plugin_count = COUNT(tg_fixture_plugins);

/* --- clouds --- */

static int hub_check_device(const struct tg_settings *settings, const char *id, struct tg_error *err)
{
    (void)settings;
    return strchr(id, '/') ? tg_error_set(err, TG_EINVAL, "device id \"%s\" has a '/'", id) : TG_OK;
}

static int hub_check_cloud(const struct tg_config_cloud *cloud, struct tg_error *err)
{
    const char *host = tg_settings_text(cloud->common, "host");
    return !host || strchr(host, '.') ? TG_OK : tg_error_set(err, TG_EINVAL, "a hub's host has a domain");
}

static const struct tg_option hub_options[] = {{.name = "sas_lifetime",
                                                .type = TG_OPTION_DURATION,
                                                .min = 10000,
                                                .max = 86400000,
                                                .default_text = "1h",
                                                .doc = "How long."},
                                               {.name = NULL}};
static const struct tg_config_cloud_type hub = {.type = "azure-iot-hub",
                                                .options = hub_options,
                                                .identities =
                                                    1u << TG_IDENTITY_SAS_KEY | 1u << TG_IDENTITY_X509,
                                                .identities_text = "sas_key_file, or certificate and key",
                                                .host_required = true,
                                                .default_port = 8883,
                                                .check_device = hub_check_device,
                                                .check_cloud = hub_check_cloud};

static const struct tg_option mqtt_options[] = {{.name = "topic",
                                                 .type = TG_OPTION_TEXT,
                                                 .min = 1,
                                                 .max = 256,
                                                 .default_text = "tidegate/{device}/data",
                                                 .doc = "Where."},
                                                {.name = NULL}};
static const struct tg_config_cloud_type mqtt = {
    .type = "mqtt",
    .options = mqtt_options,
    .identities = 1u << TG_IDENTITY_NONE | 1u << TG_IDENTITY_PASSWORD | 1u << TG_IDENTITY_X509,
    .identities_text = "username and password_file, certificate and key, or none",
    .host_required = true,
    .default_port = 8883};

static const struct tg_option gcp_options[] = {
    {.name = "project", .type = TG_OPTION_TEXT, .flags = TG_OPTION_REQUIRED, .doc = "The project."},
    {.name = "region", .type = TG_OPTION_TEXT, .flags = TG_OPTION_REQUIRED, .doc = "The region."},
    {.name = "registry", .type = TG_OPTION_TEXT, .flags = TG_OPTION_REQUIRED, .doc = "The registry."},
    {.name = NULL}};
static const struct tg_config_cloud_type gcp = {.type = "gcp-iot-core",
                                                .options = gcp_options,
                                                .identities = 1u << TG_IDENTITY_JWT_KEY,
                                                .identities_text = "jwt_key",
                                                .default_port = 8883};

const struct tg_config_cloud_type *const tg_fixture_types[] = {&hub, &mqtt, &gcp};
const size_t tg_fixture_type_count = COUNT(tg_fixture_types);

/* --- lookups --- */

static const struct tg_plugin *find_plugin(void *user, const char *name, struct tg_error *err)
{
    (void)user;
    for (size_t i = 0; i < COUNT(tg_fixture_plugins); i++)
        if (strcmp(tg_fixture_plugins[i]->name, name) == 0)
            return tg_fixture_plugins[i];
    tg_error_set(err, TG_ENOTFOUND, "no plugin of this name");
    return NULL;
}

static const struct tg_config_cloud_type *find_type(void *user, const char *type, struct tg_error *err)
{
    (void)user;
    for (size_t i = 0; i < COUNT(tg_fixture_types); i++)
        if (strcmp(tg_fixture_types[i]->type, type) == 0)
            return tg_fixture_types[i];
    tg_error_set(err, TG_ENOTFOUND, "no cloud type of this name");
    return NULL;
}

static const struct tg_host check_host = {.struct_size = sizeof(struct tg_host),
                                          .api_version = TG_PLUGIN_API_VERSION,
                                          .has = tg_settings_has,
                                          .get_int = tg_settings_int,
                                          .get_real = tg_settings_real,
                                          .get_text = tg_settings_text,
                                          .get_list = tg_settings_list};

const struct tg_config_lookups tg_fixture_lookups = {
    .plugin = find_plugin, .cloud_type = find_type, .check_host = &check_host};

/* --- what was said --- */

void tg_fixture_say(void *user, const char *line)
{
    struct tg_said *s = user;
    int n = snprintf(s->text + s->len, sizeof s->text - s->len, "%s\n", line);
    if (n < 0 || (size_t)n >= sizeof s->text - s->len)
        abort();
    s->len += (size_t)n;
    s->lines++;
}

/* --- files --- */

static void fail(const char *what, const char *name)
{
    fprintf(stderr, "config_fixture: %s %s: ", what, name);
    perror(NULL);
    abort();
}

void tg_fixture_dir(char ret_dir[256])
{
    const char *tmp = getenv("TMPDIR");
    snprintf(ret_dir, 256, "%s/tidegate config XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(ret_dir))
        fail("mkdtemp", ret_dir);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void tg_fixture_remove(const char *dir)
{
    if (nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS) != 0)
        fail("remove", dir);
}

void tg_fixture_write(const char *dir, const char *name, const char *text, unsigned mode)
{
    char path[512];
    FILE *f;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    for (char *slash = strchr(path + strlen(dir) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0755) != 0 && access(path, F_OK) != 0)
            fail("mkdir", path);
        *slash = '/';
    }
    (void)unlink(path); /* it may be there without the right to write to it */
    f = fopen(path, "w");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0 || chmod(path, mode) != 0)
        fail("write", path);
}
