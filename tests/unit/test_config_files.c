/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the loader says about the files around it: the file itself, conf.d, secrets and the folders above
 * them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/allocator.h"
#include "support/config_fixture.h"

static struct tg_said said;
static char dir[256];

static const char with_key[] = "clouds: [{name: hub, type: azure-iot-hub, host: a.b}]\n"
                               "sources:\n"
                               "  - name: s\n"
                               "    plugin: simulator\n"
                               "    devices:\n"
                               "      - id: d\n"
                               "        clouds: [hub]\n"
                               "        identity: {sas_key_file: keys/d.key}\n";

static int setup(void **state)
{
    (void)state;
    tg_fixture_dir(dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tg_fixture_remove(dir);
    return 0;
}

/* What is said, with the test's folder written as DIR. */
static const char *load(int expected)
{
    static char shown[4096];
    char path[512];
    struct tg_config *c = NULL;
    const char *at;
    size_t len = 0;
    int rc;
    said = (struct tg_said){.len = 0};
    snprintf(path, sizeof path, "%s/tidegate.yaml", dir);
    rc = tg_config_load(path, &tg_fixture_lookups, tg_fixture_say, &said, &c);
    if (rc == TG_OK)
        tg_config_free(c);
    if (rc != expected)
        print_error("%s", said.text);
    assert_int_equal(rc, expected);
    for (at = said.text; *at && len < sizeof shown - 4;) {
        if (strncmp(at, dir, strlen(dir)) == 0) {
            len += (size_t)snprintf(shown + len, 4, "DIR");
            at += strlen(dir);
        } else {
            shown[len++] = *at++;
        }
    }
    shown[len] = '\0';
    return shown;
}

static void the_file_itself(void **state)
{
    char path[512];
    FILE *f;
    (void)state;
    assert_string_equal(load(TG_EINVAL), "DIR/tidegate.yaml: cannot be read: No such file or directory\n");
    snprintf(path, sizeof path, "%s/tidegate.yaml", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_string_equal(load(TG_EINVAL), "DIR/tidegate.yaml: is not a regular file\n");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0); /* opening it must not wait for a writer */
    assert_string_equal(load(TG_EINVAL), "DIR/tidegate.yaml: is not a regular file\n");
    assert_int_equal(unlink(path), 0);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(ftruncate(fileno(f), 5 << 20), 0);
    fclose(f);
    assert_string_equal(load(TG_EINVAL), "DIR/tidegate.yaml: is larger than 4 MiB\n");
}

static void secrets_must_be_there_and_private(void **state)
{
    char path[512], other[512];
    (void)state;
    tg_fixture_write(dir, "tidegate.yaml", with_key, 0644);
    assert_string_equal(load(TG_EINVAL),
                        "DIR/tidegate.yaml:8:19: sas_key_file: DIR/keys/d.key does not exist\n");
    tg_fixture_write(dir, "keys/d.key", "k", 0600);
    assert_string_equal(load(TG_OK), "");
    tg_fixture_write(dir, "keys/d.key", "k", 0640);
    assert_string_equal(load(TG_EINVAL),
                        "DIR/tidegate.yaml:8:19: sas_key_file: DIR/keys/d.key can be read or written by "
                        "others (mode 0640); run: chmod 600 'DIR/keys/d.key'\n");
    tg_fixture_write(dir, "keys/d.key", "k", 0604);
    assert_non_null(strstr(load(TG_EINVAL), "(mode 0604)"));
    tg_fixture_write(dir, "keys/d.key", "k", 0400);
    assert_string_equal(load(TG_OK), "");

    snprintf(path, sizeof path, "%s/keys/d.key", dir);
    snprintf(other, sizeof other, "%s/keys/real.key", dir);
    assert_int_equal(rename(path, other), 0);
    assert_int_equal(symlink("real.key", path), 0);
    assert_string_equal(load(TG_EINVAL),
                        "DIR/tidegate.yaml:8:19: sas_key_file: DIR/keys/d.key is a symbolic link; name "
                        "the file itself\n");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_string_equal(load(TG_EINVAL),
                        "DIR/tidegate.yaml:8:19: sas_key_file: DIR/keys/d.key is not a regular file\n");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rename(other, path), 0);
    if (geteuid() == 0) { /* only root can give a file away */
        assert_int_equal(chown(path, 12345, 12345), 0);
        assert_string_equal(load(TG_EINVAL),
                            "DIR/tidegate.yaml:8:19: sas_key_file: DIR/keys/d.key belongs to user 12345; "
                            "it must belong to root or to the gateway's user (0)\n");
    }
}

static void the_plugin_judges_a_device(void **state)
{
    (void)state;
    tg_fixture_write(dir, "tidegate.yaml",
                     "clouds: [{name: b, type: mqtt, host: a.b, tls: off}]\n"
                     "sources:\n"
                     "  - name: s\n"
                     "    plugin: modbus\n"
                     "    settings: {port: /dev/ttyS0}\n"
                     "    devices:\n"
                     "      - {id: even, clouds: [b], settings: {unit: 1}}\n"
                     "      - {id: odd, clouds: [b], settings: {unit: 2}}\n"
                     "      - {id: odd-too, clouds: [b], settings: {unit: 3}}\n"
                     "      - {id: odd-half, clouds: [b], settings: {gap: 1}}\n",
                     0644);
    const char *text = load(TG_EINVAL);
    assert_non_null(strstr(text, "DIR/tidegate.yaml:8:9: an odd device\n"));
    assert_non_null(strstr(text, "DIR/tidegate.yaml:9:53: unit: an odd device\n"));
    assert_non_null(strstr(text, "missing \"unit\""));
    assert_null(strstr(text, ":10:9: an odd"));
}

static void folders_above_a_secret(void **state)
{
    char path[512];
    (void)state;
    tg_fixture_write(dir, "tidegate.yaml", with_key, 0644);
    tg_fixture_write(dir, "keys/d.key", "k", 0600);
    snprintf(path, sizeof path, "%s/keys", dir);
    assert_int_equal(chmod(path, 0777), 0);
    assert_string_equal(load(TG_EINVAL),
                        "DIR/tidegate.yaml:8:19: sas_key_file: anybody can write to the folder DIR/keys "
                        "(mode 0777); run: chmod o-w 'DIR/keys'\n");
    assert_int_equal(chmod(path, 01777), 0); /* as /tmp is: nobody can take another's file away */
    assert_string_equal(load(TG_OK), "");
}

static void a_systemd_credential_may_be_readable_for_its_group(void **state)
{
    static const char text[] = "clouds: [{name: hub, type: azure-iot-hub, host: a.b}]\n"
                               "sources:\n"
                               "  - {name: s, plugin: simulator, devices: [{id: d, clouds: [hub],\n"
                               "     identity: {sas_key_file: \"credential:hub key\"}}]}\n";
    char path[512];
    (void)state;
    tg_fixture_write(dir, "tidegate.yaml", text, 0644);
    /* systemd grants the service's user by an access list, which stat shows as the group's bit */
    tg_fixture_write(dir, "credentials/hub key", "k", 0440);
    snprintf(path, sizeof path, "%s/credentials", dir);
    setenv("CREDENTIALS_DIRECTORY", path, 1);
    assert_string_equal(load(TG_OK), "");
    tg_fixture_write(dir, "credentials/hub key", "k", 0444);
    assert_non_null(strstr(load(TG_EINVAL), "can be read or written by others (mode 0444)"));
    unsetenv("CREDENTIALS_DIRECTORY");
    assert_non_null(strstr(load(TG_EINVAL),
                           "tidegate.yaml:4:31: sas_key_file: a systemd credential needs LoadCredential="));
}

static void certificates_roots_and_plugin_secrets(void **state)
{
    static const char text[] = "clouds: [{name: hub, type: mqtt, host: h, ca_file: ca.pem}]\n"
                               "sources:\n"
                               "  - name: s\n"
                               "    plugin: modbus\n"
                               "    settings: {transport: tcp, token_file: token}\n"
                               "    devices: [{id: d, clouds: [hub], settings: {unit: 1}, identity: "
                               "{certificate: d.crt, key: d.key}}]\n";
    char path[512];
    (void)state;
    tg_fixture_write(dir, "tidegate.yaml", text, 0644);
    assert_string_equal(
        load(TG_EINVAL),
        "DIR/tidegate.yaml:1:52: ca_file: DIR/ca.pem cannot be read: No such file or directory\n"
        "DIR/tidegate.yaml:5:44: token_file: DIR/token does not exist\n"
        "DIR/tidegate.yaml:6:69: certificate: DIR/d.crt does not exist\n"
        "DIR/tidegate.yaml:6:69: key: DIR/d.key does not exist\n");
    tg_fixture_write(dir, "real-ca.pem", "c", 0644);
    snprintf(path, sizeof path, "%s/ca.pem", dir);
    assert_int_equal(symlink("real-ca.pem", path), 0); /* roots may be a link, as in /etc/ssl/certs */
    tg_fixture_write(dir, "token", "t", 0600);
    tg_fixture_write(dir, "d.crt", "c", 0666);
    tg_fixture_write(dir, "d.key", "k", 0600);
    assert_string_equal(load(TG_EINVAL),
                        "DIR/tidegate.yaml:6:69: certificate: DIR/d.crt can be written by others (mode "
                        "0666); run: chmod go-w 'DIR/d.crt'\n");
    tg_fixture_write(dir, "d.crt", "c", 0644);
    tg_fixture_write(dir, "token", "t", 0644);
    tg_fixture_write(dir, "real-ca.pem", "c", 0666);
    assert_string_equal(
        load(TG_EINVAL),
        "DIR/tidegate.yaml:1:52: ca_file: DIR/ca.pem can be written by anybody (mode 0666); run: chmod o-w "
        "'DIR/ca.pem'\n"
        "DIR/tidegate.yaml:5:44: token_file: DIR/token can be read or written by others (mode 0644); run: "
        "chmod 600 'DIR/token'\n");
}

static void fragments_have_their_own_places(void **state)
{
    (void)state;
    tg_fixture_write(dir, "tidegate.yaml", "clouds: [{name: hub, type: mqtt, host: h}]\noutbox: {limit: 1}\n",
                     0644);
    tg_fixture_write(dir, "conf.d/b.yaml",
                     "clouds: [{name: hub, type: mqtt, host: h}]\n"
                     "sources: [{name: s, plugin: simulator, devices: [{id: d, clouds: [hub]}]}]\n",
                     0644);
    tg_fixture_write(dir, "conf.d/a.yaml",
                     "gateway: {name: x}\nsource: []\n"
                     "sources: [{name: s, plugin: simulator, devices: [{id: d, clouds: [hub]}]}]\n",
                     0644);
    assert_string_equal(
        load(TG_EINVAL),
        "DIR/tidegate.yaml:2:17: limit: \"1\" has no unit: write a size such as 1MiB (units: B, KiB, MiB, "
        "GiB, kB, MB, GB)\n"
        "DIR/conf.d/a.yaml:1:1: gateway: belongs into the main file only\n"
        "DIR/conf.d/a.yaml:2:1: unknown key \"source\" in a file in conf.d: did you mean \"sources\"?\n"
        "DIR/conf.d/b.yaml:1:10: cloud name \"hub\" is given twice: the first is in DIR/tidegate.yaml, line "
        "1\n"
        "DIR/conf.d/b.yaml:2:11: source name \"s\" is given twice: the first is in DIR/conf.d/a.yaml, line "
        "3\n"
        "DIR/conf.d/b.yaml:2:50: device id \"d\" is given twice: the first is in DIR/conf.d/a.yaml, line 3; "
        "an id is "
        "unique in the whole gateway\n");
}

/* A cloud that stands in a file which cannot be taken apart is not missed as well. */
static void a_broken_fragment_hides_nothing_else(void **state)
{
    (void)state;
    tg_fixture_write(
        dir, "tidegate.yaml",
        "sources: [{name: s, plugin: simulator, devices: [{id: d, clouds: [hub]}]}]\noutbox: {limit: 1}\n",
        0644);
    tg_fixture_write(dir, "conf.d/a.yaml", "clouds: [{name: hub\n", 0644);
    assert_string_equal(load(TG_EINVAL),
                        "DIR/tidegate.yaml:2:17: limit: \"1\" has no unit: write a size such as 1MiB (units: "
                        "B, KiB, MiB, GiB, kB, MB, GB)\n"
                        "DIR/conf.d/a.yaml:2:1: not valid YAML: missing comma in flow mapping: a ',' or the "
                        "closing '}' or ']' is "
                        "missing before this\n");
}

static void the_gateway_section_alone(void **state)
{
    char path[512];
    struct tg_settings *s = NULL;
    struct tg_error err = {0};
    const char *const *dirs;
    int64_t live = tg_alloc_stats().live;
    (void)state;
    snprintf(path, sizeof path, "%s/tidegate.yaml", dir);
    assert_int_equal(tg_config_peek_gateway(path, &s, &err), TG_EINVAL);
    assert_non_null(strstr(err.text, "tidegate.yaml: cannot be read: No such file or directory"));
    tg_fixture_write(dir, "tidegate.yaml",
                     "clouds: wrong\ngateway: {state_dir: state, plugin_dirs: [p]}\noutbox: 3\n", 0644);
    assert_int_equal(tg_config_peek_gateway(path, &s, &err), TG_OK);
    snprintf(path, sizeof path, "%s/state", dir);
    assert_string_equal(tg_settings_text(s, "state_dir"), path);
    assert_string_equal(tg_settings_text(s, "control_socket"), "/run/tidegate/control.sock");
    assert_int_equal(tg_settings_list(s, "plugin_dirs", &dirs), 1);
    tg_settings_free(s);
    tg_fixture_write(dir, "tidegate.yaml", "gateway: {\n", 0644);
    snprintf(path, sizeof path, "%s/tidegate.yaml", dir);
    err = (struct tg_error){0};
    assert_int_equal(tg_config_peek_gateway(path, &s, &err), TG_EINVAL);
    assert_non_null(strstr(err.text, "tidegate.yaml:2:1: not valid YAML"));
    for (uint64_t nth = 1;; nth++) {
        int rc;
        tg_fixture_write(dir, "tidegate.yaml", "gateway: {name: x}\n", 0644);
        tg_alloc_fail_at(nth, 1);
        rc = tg_config_peek_gateway(path, &s, &err);
        tg_alloc_fail_at(0, 0);
        if (rc == TG_OK)
            break;
        assert_int_equal(rc, TG_ENOMEM);
        assert_int_equal(tg_alloc_stats().live, live);
    }
    tg_settings_free(s);
    assert_int_equal(tg_alloc_stats().live, live);
}

static void every_allocation_may_fail_with_files(void **state)
{
    char path[512];
    int64_t live = tg_alloc_stats().live;
    struct tg_config *c = NULL;
    uint64_t nth = 1;
    int rc;
    (void)state;
    tg_fixture_write(dir, "tidegate.yaml", with_key, 0644);
    tg_fixture_write(dir, "keys/d.key", "k", 0600);
    tg_fixture_write(dir, "conf.d/a.yaml", "clouds: [{name: other, type: mqtt, host: h}]\n", 0644);
    snprintf(path, sizeof path, "%s/tidegate.yaml", dir);
    do {
        said = (struct tg_said){.len = 0};
        tg_alloc_fail_at(nth++, 0);
        rc = tg_config_load(path, &tg_fixture_lookups, tg_fixture_say, &said, &c);
        tg_alloc_fail_at(0, 0);
        assert_true(rc == TG_OK || rc == TG_ENOMEM);
        assert_int_equal(said.lines, rc == TG_OK ? 0 : 1);
        if (rc == TG_OK)
            tg_config_free(c);
        assert_int_equal(tg_alloc_stats().live, live);
    } while (rc != TG_OK);
    assert_true(nth > 20);
}

/* --- profiles --- */

static const char with_profile[] = "gateway: {profile_dirs: [shared, /nowhere]}\n"
                                   "clouds: [{name: hub, type: mqtt, host: h}]\n"
                                   "sources:\n"
                                   "  - name: s\n"
                                   "    plugin: modbus\n"
                                   "    settings: {transport: tcp}\n"
                                   "    devices:\n"
                                   "      - {id: a, clouds: [hub], profile: %s, settings: {unit: 1}}\n"
                                   "      - {id: b, clouds: [hub], profile: %s, settings: {unit: 2}}\n";

static void name_profile(const char *a, const char *b)
{
    char text[1024];
    snprintf(text, sizeof text, with_profile, a, b);
    tg_fixture_write(dir, "tidegate.yaml", text, 0644);
}

static void profiles_in_files(void **state)
{
    (void)state;
    name_profile("own-meter", "own-meter");
    assert_non_null(strstr(load(TG_EINVAL),
                           "DIR/tidegate.yaml:8:41: profile: plugin modbus has no profile \"own-meter\""));
    tg_fixture_write(dir, "profiles/modbus/own-meter.yaml",
                     "about: a meter\npoints: [{name: p, address: 'input:1'}]\n", 0644);
    assert_string_equal(load(TG_OK), "");
    /* A folder that is named is searched first; what is wrong is said once, where it stands. */
    tg_fixture_write(dir, "shared/modbus/own-meter.yaml", "points: [{name: p, adress: 1}]\n", 0644);
    assert_string_equal(
        load(TG_EINVAL),
        "DIR/shared/modbus/own-meter.yaml:1:10: missing \"address\" in the point: Where it is.\n"
        "DIR/shared/modbus/own-meter.yaml:1:20: unknown key \"adress\" in a point: did you mean "
        "\"address\"?\n");
}

static void a_profile_file_takes_the_place_of_the_plugins(void **state)
{
    (void)state;
    name_profile("eastron-sdm630", "broken");
    tg_fixture_write(dir, "profiles/modbus/eastron-sdm630.yaml", "points: [{name: p, address: 'input:1'}]\n",
                     0644);
    tg_fixture_write(dir, "profiles/modbus/broken.yaml", "points: [\n", 0644);
    assert_string_equal(
        load(TG_EINVAL),
        "DIR/profiles/modbus/broken.yaml:2:1: not valid YAML: flow sequence without a closing bracket\n");
    tg_fixture_write(dir, "profiles/modbus/broken.yaml", "just words\n", 0644);
    assert_string_equal(load(TG_EINVAL), "DIR/profiles/modbus/broken.yaml:1:1: a profile is a mapping with "
                                         "settings and points, not one value\n");
    tg_fixture_write(dir, "profiles/modbus/broken.yaml", "sources: []\n", 0644);
    assert_non_null(strstr(load(TG_EINVAL), "broken.yaml:1:1: unknown key \"sources\" in a profile"));
    tg_fixture_write(dir, "profiles/modbus/broken.yaml", "# to be written\n", 0644);
    assert_string_equal(
        load(TG_EINVAL),
        "DIR/profiles/modbus/broken.yaml:1:1: the profile is empty: it has neither settings nor points\n");
    name_profile("borken", "eastron-sdm630"); /* files are among those that may be meant */
    assert_string_equal(
        load(TG_EINVAL),
        "DIR/tidegate.yaml:8:41: profile: plugin modbus has no profile \"borken\": did you mean "
        "\"broken\"?\n");
    name_profile("../../secret", "..");
    tg_fixture_write(dir, "secret.yaml", "points: []\n", 0644);
    assert_non_null(
        strstr(load(TG_EINVAL), "has no profile \"../../secret\"")); /* no name leads out of the folder */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(profiles_in_files, setup, teardown),
        cmocka_unit_test_setup_teardown(a_profile_file_takes_the_place_of_the_plugins, setup, teardown),
        cmocka_unit_test_setup_teardown(the_file_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(secrets_must_be_there_and_private, setup, teardown),
        cmocka_unit_test_setup_teardown(the_plugin_judges_a_device, setup, teardown),
        cmocka_unit_test_setup_teardown(folders_above_a_secret, setup, teardown),
        cmocka_unit_test_setup_teardown(a_systemd_credential_may_be_readable_for_its_group, setup, teardown),
        cmocka_unit_test_setup_teardown(certificates_roots_and_plugin_secrets, setup, teardown),
        cmocka_unit_test_setup_teardown(fragments_have_their_own_places, setup, teardown),
        cmocka_unit_test_setup_teardown(a_broken_fragment_hides_nothing_else, setup, teardown),
        cmocka_unit_test_setup_teardown(the_gateway_section_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(every_allocation_may_fail_with_files, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
