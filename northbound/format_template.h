/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * format_template - messages of the user's own making: `format: template` with `template: TEXT`. Pure.
 *
 *     {device} {gateway}   the device's id in the cloud, the gateway's name
 *     {point}              the point that the message is of, where a cloud has one topic a point; else empty
 *     {seq} {ts} {ts_ms}   4711; 2026-11-20T13:00:00.123Z; 1795179600123
 *     {value}              the value of {point}; where there is none, of the sample's only point
 *     {point:NAME}         the value of that point
 *     {values} {quality}   JSON objects of the good values, and of the qualities of the others ("{}" when there is none)
 *     {gap}                the object that JSON has for a gap record; null in any other sample
 *     {{ }}                a brace
 *
 * Numbers and bools are as in JSON. A text is escaped as in JSON but has no quotation marks: the template has them where it wants
 * them, and no value can end a line or a string. What is not there or not good is null. A message of several
 * samples is a line for each, "\n" between them.
 *
 * Gap records (core/base/gap.h) are left out unless the template has a place for them: {gap}, {values}, which has them as
 * "$gap_first" …, or {point:$gap_first} ….
 */
#ifndef TG_NORTHBOUND_FORMAT_TEMPLATE_H
#define TG_NORTHBOUND_FORMAT_TEMPLATE_H

#include "northbound/format.h"

extern const struct tg_format tg_format_template;

#endif
