/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * proof - how a test takes part in `./dev prove`: how often it is to do what it does, and what came out (tests/prove/README.md).
 *
 *     uint32_t cuts = tg_proof_count("TIDEGATE_CUTS", 250);       // 250 in the suite, 2500 in a proof
 *     …
 *     tg_proof("C2", "power_loss_full", cuts, lost, "note", "\"accepted\":%d,\"lost\":%d", accepted, lost);
 */
#ifndef TG_TESTS_PROOF_H
#define TG_TESTS_PROOF_H

#include <stdint.h>

/* The number in the environment variable `name`, or `usual`. A value that is none ends the program. */
uint32_t tg_proof_count(const char *name, uint32_t usual);

/* Appends one JSON line to the file that TIDEGATE_PROOF names; nothing without it. `clause`: C1 … C15; `note`: what was
 * done, in a sentence for docs/proof.md, without quotes and backslashes; `figures`: printf format of the members of a JSON
 * object. A line that cannot be written ends the program: no proof without its figures. */
void tg_proof(const char *clause, const char *test, uint64_t trials, uint64_t failures, const char *note,
              const char *figures, ...) __attribute__((format(printf, 6, 7)));

#endif
