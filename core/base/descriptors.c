/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/descriptors.h"

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"

#define QUIET_MS 5000 /* none was missed for so long: it is over */

static atomic_uint_least64_t missed;
static atomic_bool told;
static atomic_int_least64_t missed_at_ms;

bool tg_descriptors_missed(int error)
{
    if (error != EMFILE && error != ENFILE)
        return false;
    atomic_fetch_add(&missed, 1);
    atomic_store(&missed_at_ms, tg_clock_mono_ms());
    if (atomic_exchange(&told, true))
        return true;
    tg_log(TG_LOG_ERROR, "gateway",
           "no file descriptor is left (%s): new connections, lookups and files have to wait; samples are "
           "taken and kept, what is open "
           "goes on, and everything is tried again by itself. Raise the limit: %s",
           error == EMFILE ? "the limit of this process" : "the limit of the system",
           error == EMFILE ? "LimitNOFILE= of the service, ulimit -n" : "fs.file-max");
    return true;
}

bool tg_descriptors_are_left(void)
{
    int fd = dup(STDERR_FILENO);
    if (fd < 0)
        return !tg_descriptors_missed(errno);
    close(fd);
    return true;
}

uint64_t tg_descriptors_missed_count(void)
{
    return atomic_load(&missed);
}

void tg_descriptors_look(void)
{
    if (!atomic_load(&told) || tg_clock_mono_ms() - atomic_load(&missed_at_ms) < QUIET_MS ||
        !tg_descriptors_are_left())
        return;
    atomic_store(&told, false);
    tg_log(TG_LOG_INFO, "gateway", "there are file descriptors again");
}
