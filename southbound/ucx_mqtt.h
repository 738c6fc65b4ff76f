/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ucx_mqtt - the commands by which a u-connectXpress module connects to an MQTT broker: AT+UDCP with a URL, and AT+UDUV for the
 * values that cannot stand in it (application note UBX-19010078, sections 1.2.1, 2.2, 3.2.5, 3.3.2, 3.4.3). Pure.
 *
 *     AT+UDUV=0,"SharedAccessSignature sr=…&sig=…&se=…"
 *     AT+UDCP=mqtt://HOST:PORT/?client=…&user=…&passwd=%%0&pt=…&st=…&encr=3&keepAlive=60&ca=…&cert=…&privKey=…
 *
 * A value with a character that means something in the URL or the command (& % " , ; and blanks) becomes the variable %%n. So does,
 * the longest first, what makes the command longer than the module takes: NINA-W13 and NINA-W15 before version 3.0 take less than
 * later ones. Quotes stand around a variable where it holds a blank, a comma or a semicolon; " and \ are escaped in them.
 *
 * encr=3 is TLS 1.2 only; without it the module offers TLS 1.0 and 1.1. Without `ca` there is no TLS.
 */
#ifndef TG_SOUTHBOUND_UCX_MQTT_H
#define TG_SOUTHBOUND_UCX_MQTT_H

#include "southbound/at_chat.h"

#define TG_UCX_VARIABLES_MAX   4
#define TG_UCX_COMMANDS_MAX    (TG_UCX_VARIABLES_MAX + 1)
#define TG_UCX_NAME_MAX_BYTES  32 /* of a certificate on the module */
#define TG_UCX_TOPIC_MAX_BYTES 384

/* All borrowed; NULL = left out. */
struct tg_ucx_mqtt {
    const char *host;
    uint16_t port;
    const char *client, *user, *password, *publish, *subscribe;
    uint32_t keepalive_s;               /* 0 = left out */
    const char *ca, *certificate, *key; /* names on the module */
};

struct tg_ucx_command {
    char text[TG_AT_COMMAND_MAX_BYTES + 1];
    bool secret; /* holds the password */
};

/* In the order they are sent. `limit_bytes`: the longest command, at most TG_AT_COMMAND_MAX_BYTES. TG_EINVAL: a control character;
 * TG_ETOOBIG: more variables than there are, or a value longer than a command. `ret_what` names the value at fault. The array
 * holds the password: wipe it. */
int tg_ucx_mqtt_commands(const struct tg_ucx_mqtt *m, size_t limit_bytes,
                         struct tg_ucx_command ret_commands[TG_UCX_COMMANDS_MAX], size_t *ret_count,
                         const char **ret_what) TG_CHECKED;

/* What a person may see of a command: its text, or with `secret` what is behind the name of the command (and its index) as ***. */
void tg_ucx_redact(const char *command, bool secret, char *ret_text, size_t size);

/* Appends `value` as a parameter of an AT command: as it is when it has letters, digits and -_.:/$?={}#@+()!*&% only, else in
 * quotes with \ before " and \. False: a control character, or no room. */
bool tg_ucx_write_parameter(struct tg_writer *w, const char *value);

#endif
