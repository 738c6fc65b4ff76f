/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ucx_stage - a provisioning run under a virtual clock: what it sends is collected, what the module says is fed to it. A bare "AT",
 * by which the link finds and greets the module, is answered by the stage.
 */
#ifndef TG_TESTS_SUPPORT_UCX_STAGE_H
#define TG_TESTS_SUPPORT_UCX_STAGE_H

#include "southbound/ucx_provision.h"

struct ucx_stage {
    struct tg_ucx_provision run;
    int64_t now_ms;
    bool extended; /* how the module speaks */
    bool mute;     /* the bare AT is not answered */
    uint8_t sent[16384];
    size_t sent_len;
    enum tg_ucx_provision_event_kind last; /* ASSIGNED, DONE or FAILED; 0 = none yet */
    char commands[32][200];
    size_t command_count;
    size_t chunk; /* bytes fed at a time; 0 = all */
};

void ucx_stage_start(struct ucx_stage *s, const struct tg_ucx_plan *plan);
/* Lets time pass until something is sent or the run has ended; false when it ended. */
bool ucx_stage_wait(struct ucx_stage *s);
/* Takes n bytes off the front of what was sent. */
void ucx_stage_take(struct ucx_stage *s, size_t n);
void ucx_stage_feed(struct ucx_stage *s, const void *bytes, size_t len);
/* "\r\ntext\r\n", framed as `type` in extended data mode. */
void ucx_stage_say(struct ucx_stage *s, uint16_t type, const char *text);
void ucx_stage_frame(struct ucx_stage *s, uint16_t type, const void *bytes, size_t len);
/* Waits for this command, in whichever mode, and takes it; false: another came, or the run ended. */
bool ucx_stage_expect(struct ucx_stage *s, const char *command);

#endif
