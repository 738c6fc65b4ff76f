/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * modbus_sunspec - SunSpec points of a device: the chain of models is walked before they are read, because only then it is known
 * where they are (southbound/sunspec.h).
 *
 *   opened ──► hidden, behind the device's items ──walk──► items, sorted among the others │ still hidden: the device has no such point
 *
 * A walk takes a request of two registers a turn, in the device's own turns, so that it holds nobody else up. It begins anew when
 * the link was opened anew or the unit was down; a device in which no chain was found is asked again after RETRY_MS. Points that the
 * device lacks have quality `config`, `optional: true` ones are left out, and so is an optional one that has never had a value.
 */
#ifndef TG_PLUGINS_MODBUS_SUNSPEC_H
#define TG_PLUGINS_MODBUS_SUNSPEC_H

#include "southbound/sunspec.h"

struct tg_modbus_instance;
struct tg_modbus_device;

struct tg_modbus_sunspec {
    struct tg_sunspec_ref *refs; /* of each point; instance 0: an ordinary one */
    int32_t *factors;            /* of each point: the register of its scale factor, or -1 */
    bool *optional, *seen;       /* of each point */
    struct tg_sunspec_walk walk;
    bool walked;
    int64_t link_opened_ms; /* of the link that the walk was made on */
    int64_t again_ms;       /* nothing was found: when to look again */
};

/* An address that begins with "sunspec:"? Then *ret is a point of its type with no place yet, checked against what such points
 * cannot have. */
bool tg_modbus_is_sunspec(const struct tg_host *host, const struct tg_settings *point);
int tg_modbus_sunspec_from_settings(const struct tg_host *host, const struct tg_settings *point,
                                    struct tg_modbus_point *ret, const char **ret_option,
                                    struct tg_error *err) TG_CHECKED;

/* Makes the device's d->sunspec when one of its points needs it. */
int tg_modbus_sunspec_open(const struct tg_host *host, struct tg_modbus_device *d,
                           struct tg_error *err) TG_CHECKED;
void tg_modbus_sunspec_close(struct tg_modbus_device *d);

/* At the beginning of a turn of the device: a new walk is due. */
void tg_modbus_sunspec_begin_turn(struct tg_modbus_instance *m, uint32_t device);
/* True: the turn was used for a request of the walk. */
bool tg_modbus_sunspec_step(struct tg_modbus_instance *m);
/* After a good reading: applies the scale factor that was read along, from words that begin at register `first`. */
void tg_modbus_sunspec_scale(const struct tg_modbus_device *d, uint32_t point, const uint16_t *words,
                             uint16_t first, struct tg_point_value *v);
/* False: an optional point without a value, which is left out. */
bool tg_modbus_sunspec_shown(struct tg_modbus_device *d, const struct tg_point_value *v);

#endif
