/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/gcp_token.h"

#include "northbound/format_json.h"

#define BACKDATED_S 60    /* the cloud allows clocks to differ by ten minutes */
#define LONGEST_S   86400 /* exp - iat */

int tg_gcp_token_write(struct tg_writer *out, const struct tg_signer *signer, const char *project,
                       int64_t wall_s, int64_t lifetime_s, int64_t *ret_expires_s, struct tg_error *err)
{
    uint8_t memory[256];
    struct tg_writer claims = tg_writer_init(memory, sizeof memory);
    int64_t issued_s = wall_s - BACKDATED_S, expires_s = wall_s + lifetime_s;
    int rc;
    if (expires_s > issued_s + LONGEST_S)
        expires_s = issued_s + LONGEST_S;
    tg_write_str(&claims, "{\"iat\":");
    tg_write_i64_dec(&claims, issued_s);
    tg_write_str(&claims, ",\"exp\":");
    tg_write_i64_dec(&claims, expires_s);
    tg_write_str(&claims, ",\"aud\":");
    tg_format_json_string(&claims, tg_bytes_str(project));
    tg_write_str(&claims, "}");
    if (claims.failed)
        return tg_error_set(err, TG_ETOOBIG, "the project's name is too long for a token");
    rc = tg_jwt_write(out, signer, NULL, tg_bytes(claims.data, claims.len), err);
    if (rc == TG_OK)
        *ret_expires_s = expires_s;
    return rc;
}
