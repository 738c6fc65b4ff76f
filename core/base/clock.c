/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/clock.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/random.h"

/* 2046-01-01: the default dates of modems (70/01/01, 80/01/06) read with two digits of the year lie behind it. */
#define NEWEST_OFFERED_MS 2398377600000
#define DRIFT_PPM         100

/* What was offered, as wall minus monotonic time: 0 = nothing. */
static _Atomic int64_t offered_offset_ms;
/* What the system said when it last had a time, likewise. */
static _Atomic int64_t held_offset_ms;
/* The rest is read and written under the lock. */
static pthread_mutex_t offer_lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t offered_at_ms, offered_uncertainty_ms;

int64_t tg_clock_mono_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t tg_clock_mono_ms(void)
{
    return tg_clock_mono_us() / 1000;
}

int64_t tg_clock_system_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t tg_clock_wall_ms(void)
{
    int64_t system_ms = tg_clock_system_ms(), offset_ms;
    if (tg_clock_plausible(system_ms))
        return system_ms;
    offset_ms = atomic_load_explicit(&held_offset_ms, memory_order_relaxed);
    if (!offset_ms)
        offset_ms = atomic_load_explicit(&offered_offset_ms, memory_order_relaxed);
    return offset_ms ? tg_clock_mono_ms() + offset_ms : system_ms;
}

bool tg_clock_offer(int64_t wall_ms, int64_t at_ms, uint32_t uncertainty_ms)
{
    int64_t present_ms;
    bool better;
    if (!tg_clock_plausible(wall_ms) || wall_ms >= NEWEST_OFFERED_MS)
        return false;
    pthread_mutex_lock(&offer_lock);
    present_ms = offered_uncertainty_ms + (at_ms - offered_at_ms) * DRIFT_PPM / 1000000;
    better = atomic_load(&offered_offset_ms) == 0 || (int64_t)uncertainty_ms <= present_ms;
    if (better) {
        offered_at_ms = at_ms;
        offered_uncertainty_ms = uncertainty_ms;
        atomic_store(&offered_offset_ms, wall_ms - at_ms);
    }
    pthread_mutex_unlock(&offer_lock);
    return better;
}

bool tg_clock_offered(int64_t *ret_wall_ms, int64_t *ret_at_ms, uint32_t *ret_uncertainty_ms)
{
    int64_t offset_ms;
    pthread_mutex_lock(&offer_lock);
    offset_ms = atomic_load(&offered_offset_ms);
    *ret_at_ms = offered_at_ms;
    *ret_wall_ms = offered_at_ms + offset_ms;
    *ret_uncertainty_ms = (uint32_t)offered_uncertainty_ms;
    pthread_mutex_unlock(&offer_lock);
    return offset_ms != 0;
}

enum tg_clock_source tg_clock_source(void)
{
    if (tg_clock_plausible(tg_clock_system_ms()))
        return TG_CLOCK_SYSTEM;
    if (atomic_load_explicit(&held_offset_ms, memory_order_relaxed))
        return TG_CLOCK_HELD;
    return atomic_load_explicit(&offered_offset_ms, memory_order_relaxed) ? TG_CLOCK_OFFERED : TG_CLOCK_NONE;
}

const char *tg_clock_source_name(enum tg_clock_source source)
{
    static const char *const names[] = {"system", "offered", "none", "held"};
    return names[source];
}

bool tg_clock_plausible(int64_t wall_ms)
{
    return wall_ms >= TG_CLOCK_OLDEST_MS;
}

bool tg_clock_hold(int64_t *ret_offset_ms)
{
    int64_t system_ms = tg_clock_system_ms(), mono_ms = tg_clock_mono_ms(), wall_ms;
    if (tg_clock_plausible(system_ms)) {
        *ret_offset_ms = system_ms - mono_ms;
        atomic_store_explicit(&held_offset_ms, *ret_offset_ms, memory_order_relaxed);
        return true;
    }
    wall_ms = tg_clock_wall_ms();
    *ret_offset_ms = wall_ms - mono_ms;
    return tg_clock_plausible(wall_ms);
}

int64_t tg_clock_stamp(void)
{
    int64_t wall_ms = tg_clock_wall_ms();
    return tg_clock_plausible(wall_ms) ? wall_ms : tg_stamp_of_boot(tg_clock_mono_ms());
}

/* --- the boot ------------------------------------------------------------------------------------- */

#define BOOT_DIGITS 14

static uint64_t boot_number;

static void read_boot(void)
{
    static const char hex[] = "0123456789abcdef";
    char text[40];
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC), digits = 0;
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text) : -1;
    uint64_t number = 0;
    if (fd >= 0)
        close(fd);
    for (ssize_t i = 0; i < n && digits < BOOT_DIGITS; i++) {
        const char *at = memchr(hex, text[i], 16);
        if (text[i] == '-')
            continue;
        if (!at)
            break;
        number = number << 4 | (uint64_t)(at - hex);
        digits++;
    }
    if (digits < BOOT_DIGITS || number == 0)
        number = (uint64_t)tg_random_u32() << 20 | 1;
    boot_number = number;
}

uint64_t tg_clock_boot(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, read_boot);
    return boot_number;
}

static void digits(char *at, unsigned value, int count)
{
    while (count-- > 0) {
        at[count] = (char)('0' + value % 10);
        value /= 10;
    }
}

void tg_clock_iso8601(int64_t wall_ms, char ret_text[TG_CLOCK_ISO8601_BYTES])
{
    const int64_t least = -62135596800000, most = 253402300799999; /* 0001-01-01 … 9999-12-31 */
    int64_t ms = wall_ms < least ? least : wall_ms > most ? most : wall_ms;
    int64_t days = ms / 86400000, rest = ms % 86400000;
    if (rest < 0)
        rest += 86400000, days--;
    /* Civil date from a day number, proleptic Gregorian: shift to years that begin in March. */
    int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
    unsigned doe = (unsigned)(z - era * 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    unsigned day = doy - (153 * mp + 2) / 5 + 1, month = mp < 10 ? mp + 3 : mp - 9;
    unsigned year = (unsigned)((int64_t)yoe + era * 400 + (month <= 2));
    unsigned r = (unsigned)rest;
    memcpy(ret_text, "0000-00-00T00:00:00.000Z", TG_CLOCK_ISO8601_BYTES);
    digits(ret_text, year, 4);
    digits(ret_text + 5, month, 2);
    digits(ret_text + 8, day, 2);
    digits(ret_text + 11, r / 3600000, 2);
    digits(ret_text + 14, r / 60000 % 60, 2);
    digits(ret_text + 17, r / 1000 % 60, 2);
    digits(ret_text + 20, r % 1000, 3);
}
