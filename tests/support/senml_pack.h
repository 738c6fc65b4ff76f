/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * senml_pack - reads SenML packs with other people's parsers (jansson, libcbor) and resolves them (RFC 8428 section 4.6): no
 * code of the product in it.
 *
 *     json_t *pack = senml_from_cbor(data, len);      // labels as their JSON names
 *     json_t *records = senml_resolve(pack);          // [{"n": full name, "t": absolute, "u", "v" | "vs" | "vb" | "vd", "seq"}]
 *
 * Each returns NULL and says why on standard error when the input is not valid; the caller owns what is returned.
 * An integer above 2^63-1 is a real in the JSON that senml_from_cbor makes.
 */
#ifndef TG_TESTS_SENML_PACK_H
#define TG_TESTS_SENML_PACK_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

json_t *senml_from_json(const void *text, size_t len);
json_t *senml_from_cbor(const uint8_t *data, size_t len);
json_t *senml_resolve(const json_t *pack);

#endif
