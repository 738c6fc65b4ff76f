/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * cmd_module - what the parts of `tidegate module` share: their options, the plan for one device, and the port.
 *
 * A plan is made of the device's identity and cloud in the configuration with the code that the gateway itself connects with
 * (user name, SAS token, topics), and of the command line (Wi-Fi, names on the module). It holds secrets until tg_module_plan_free().
 */
#ifndef TG_GATEWAY_CMD_MODULE_H
#define TG_GATEWAY_CMD_MODULE_H

#include "core/gateway/cmd_identity.h"
#include "southbound/ucx_provision.h"

#define TG_MODULE_TEXT_BYTES 16384

struct tg_module_args {
    struct tg_identity_args identity; /* common, verb, device, cloud; command = "module" */
    const char *port, *baud_text, *flow, *ssid, *wifi_password_file, *ca_file, *names, *publish, *subscribe,
        *hello, *limit_text;
    bool no_reset, store_wifi, register_only, restart, show, dry_run;
    int64_t baud;
    size_t limit_bytes;
};

struct tg_module_plan {
    struct tg_ucx_plan ucx;
    struct tg_ucx_file files[TG_UCX_FILES_MAX];
    struct tg_ucx_mqtt registration, cloud;
    char names[TG_UCX_FILES_MAX][TG_UCX_NAME_MAX_BYTES + 1];
    struct tg_identity_target target;
    const struct tg_cloud_type *type;
    struct tg_cloud_target cloud_target;
    struct tg_identity identity;
    struct tg_secret ca, certificate, key, wifi_password;
    char text[TG_MODULE_TEXT_BYTES]; /* what the plan's texts are in */
    struct tg_writer texts;
    char hub[TG_CLOUD_HOST_BYTES], device_id[TG_CLOUD_HOST_BYTES]; /* assigned */
    int64_t expires_s;                                             /* of the cloud's password; 0 = never */
    char verdict[300];                                             /* why a registration was refused */
};

/* 0, or an exit code: said already. */
int tg_module_plan_make(const struct tg_module_args *a, struct tg_module_plan *ret);
void tg_module_plan_free(struct tg_module_plan *p);
/* The connection to the hub in p->hub, as p->device_id; at ASSIGNED. */
int tg_module_plan_cloud(const struct tg_module_args *a, struct tg_module_plan *p,
                         struct tg_error *err) TG_CHECKED;
/* What a provisioning service said: the verdict, the operation id (into the buffer), hub and device id or p->verdict. */
enum tg_ucx_verdict tg_module_read_reply(struct tg_module_plan *p, struct tg_bytes reply,
                                         char ret_operation[TG_UCX_OPERATION_BYTES]);

/* cmd_module_run.c: opens the port, or says why not; the descriptor or -1. */
int tg_module_open(const struct tg_module_args *a);
/* Writes what is to be written and reads what came, waiting at most until the deadline. The bytes read; -1: said already. */
ssize_t tg_module_turn(const struct tg_module_args *a, int fd, struct tg_bytes out, size_t *ret_written,
                       int64_t deadline_ms, uint8_t *buf, size_t size);
int tg_module_provision(const struct tg_module_args *a);
/* Text for people about what went wrong, to standard error; the exit code. */
int tg_module_explain(const struct tg_module_args *a, const struct tg_module_plan *plan,
                      const struct tg_ucx_provision *p);
/* Takes one event of a run or rehearsal; TG_EXIT_… when it ends it, -1 else. */
int tg_module_event(const struct tg_module_args *a, struct tg_module_plan *plan, struct tg_ucx_provision *p,
                    const struct tg_ucx_provision_event *e, bool rehearsal, int64_t now_ms);

/* cmd_module_rehearse.c: `--dry-run`: the run against a module that says yes to everything. */
int tg_module_rehearse(const struct tg_module_args *a, struct tg_module_plan *plan);

/* cmd_module_info.c */
int tg_module_info(const struct tg_module_args *a);
int tg_module_list(const struct tg_module_args *a);

#endif
