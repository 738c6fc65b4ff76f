/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Xiaomi MiBeacon, versions 2 to 5: iot.mi.com, "MiBeacon protocol" and "BLE object definition". Service data FE95:
 *
 *     frame control u16   bit 3 encrypted, 4 address, 5 capability, 6 objects, 7 mesh, 12 to 15 version
 *     product u16, counter u8, [address, least significant byte first], [capability u8, [I/O when bit 5 of it is set]]
 *     objects: id u16, length u8, content     or, encrypted: ciphertext, extended counter of 3 bytes, tag of 4
 *
 * Versions 4 and 5: AES-CCM, additional data 11; the nonce is the address (least significant byte first), product, counter and
 * extended counter. The two counters are one number, the extended one above, and it must rise.
 * Versions 2 and 3: the same cipher with a key of 12 bytes, but what stands in the place of the tag is none that could be
 * checked (xiaomi-ble leaves it too). So only objects that are whole and known are believed, and `authentic` stays false.
 */
#include "southbound/ble/ble_private.h"
#include "southbound/real32.h"

#define UUID         0xFE95
#define HEAD_BYTES   5
#define EXT_BYTES    3
#define TAG_BYTES    4
#define PLAIN_BYTES  256
#define VERSION_OLD  2
#define VERSION_CCM  4
#define VERSION_LAST 5

#define ENCRYPTED  0x0008
#define ADDRESS    0x0010
#define CAPABILITY 0x0020
#define OBJECTS    0x0040
#define MESH       0x0080

#define CAPABILITY_IO 0x20

enum kind { UNSIGNED, SIGNED, BOOL, REAL32, DOOR, CLIMATE, HEX };

struct object {
    uint16_t id;
    uint8_t kind, bytes; /* 0 bytes: any number of them */
    int32_t divisor;
    const char *name, *unit;
};

static const struct object objects[] = {{0x0003, BOOL, 1, 1, "motion", ""},
                                        {0x1001, HEX, 3, 1, "button", ""},
                                        {0x1004, SIGNED, 2, 10, "temperature", "Cel"},
                                        {0x1006, UNSIGNED, 2, 10, "humidity", "%RH"},
                                        {0x1007, UNSIGNED, 3, 1, "illuminance", "lx"},
                                        {0x1008, UNSIGNED, 1, 1, "moisture", "%"},
                                        {0x1009, UNSIGNED, 2, 1, "conductivity", "uS/cm"},
                                        {0x100A, UNSIGNED, 1, 1, "battery", "%"},
                                        {0x100D, CLIMATE, 4, 10, "temperature", "Cel"},
                                        {0x1010, UNSIGNED, 2, 100, "formaldehyde", "mg/m3"},
                                        {0x1014, BOOL, 1, 1, "moisture_detected", ""},
                                        {0x1015, UNSIGNED, 1, 1, "smoke", ""},
                                        {0x1017, UNSIGNED, 4, 1, "idle_time", "s"},
                                        {0x1018, BOOL, 1, 1, "light", ""},
                                        {0x1019, DOOR, 1, 1, "door", ""},
                                        {0x4801, REAL32, 4, 1, "temperature", "Cel"},
                                        {0x4802, UNSIGNED, 1, 1, "humidity", "%RH"},
                                        {0x4803, UNSIGNED, 1, 1, "battery", "%"},
                                        {0x4808, REAL32, 4, 1, "humidity", "%RH"},
                                        {0x4C01, REAL32, 4, 1, "temperature", "Cel"},
                                        {0x4C02, UNSIGNED, 1, 1, "humidity", "%RH"},
                                        {0x4C03, UNSIGNED, 1, 1, "battery", "%"},
                                        {0x4C08, REAL32, 4, 1, "humidity", "%RH"}};

static const struct {
    uint16_t product;
    const char *model;
} models[] = {{0x0098, "HHCCJCY01"},   {0x015D, "HHCCPOT002"}, {0x01AA, "LYWSDCGQ"},   {0x02DF, "JQJCY01YM"},
              {0x0347, "CGG1"},        {0x0387, "MHO-C401"},   {0x03B6, "YLKG07YL"},   {0x03BC, "GCLS002"},
              {0x045B, "LYWSD02"},     {0x055B, "LYWSD03MMC"}, {0x0576, "CGD1"},       {0x066F, "CGDK2"},
              {0x06D3, "MHO-C303"},    {0x07F6, "MJYD02YL"},   {0x0863, "SJWS01LM"},   {0x098B, "MCCGQ02HL"},
              {0x0997, "JTYJGD03MI"},  {0x0A83, "CGPR1"},      {0x0A8D, "RTCGQ02LM"},  {0x0B48, "CGG1"},
              {0x1203, "XMWSDJ04MMC"}, {0x16E4, "LYWSD02MMC"}, {0x2542, "LYWSD02MMC"}, {0x2832, "MJWSD05MMC"},
              {0x4F59, "CGDK3"},       {0x55B5, "MJWSD06MMC"}};

static bool find(const struct tg_ble_advert *advert, struct tg_bytes *ret_content)
{
    struct tg_ble_ad_iter i = tg_ble_ad_begin(advert->data, advert->len);
    return tg_ble_ad_next_service(&i, UUID, ret_content);
}

static const struct object *object_of(uint16_t id)
{
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++)
        if (objects[i].id == id)
            return &objects[i];
    return NULL;
}

static void add_real32(struct tg_ble_readings *r, const struct object *o, const uint8_t *p)
{
    uint32_t bits = tg_ble_unsigned_le(p, 4);
    float f;
    if ((bits & 0x7F800000) == 0x7F800000) { /* infinity, not a number */
        tg_ble_add_none(r, o->name, o->unit, o->id);
        return;
    }
    memcpy(&f, &bits, sizeof f);
    tg_ble_add(r, o->name, o->unit, o->id, tg_value_real(tg_real32_shortest(f)));
}

static void add_door(struct tg_ble_readings *r, const struct object *o, uint8_t state)
{
    static const char *const words[] = {"open", "closed", "close_timeout", "reset"};
    if (state < sizeof words / sizeof *words)
        tg_ble_add_text(r, o->name, o->id, tg_bytes_str(words[state]));
    else
        tg_ble_add_none(r, o->name, o->unit, o->id);
}

static void add_object(struct tg_ble_readings *r, const struct object *o, struct tg_bytes value)
{
    const uint8_t *p = value.data;
    switch ((enum kind)o->kind) {
    case UNSIGNED:
        tg_ble_add_ratio(r, o->name, o->unit, o->id, tg_ble_unsigned_le(p, value.len), o->divisor);
        break;
    case SIGNED:
        tg_ble_add_ratio(r, o->name, o->unit, o->id, tg_ble_signed_le(p, value.len), o->divisor);
        break;
    case BOOL:
        tg_ble_add(r, o->name, o->unit, o->id, tg_value_bool(p[0] != 0));
        break;
    case REAL32:
        add_real32(r, o, p);
        break;
    case DOOR:
        add_door(r, o, p[0]);
        break;
    case CLIMATE:
        tg_ble_add_ratio(r, "temperature", "Cel", o->id, tg_ble_s16le(p), 10);
        tg_ble_add_ratio(r, "humidity", "%RH", o->id, tg_ble_u16le(p + 2), 10);
        break;
    case HEX: /* a press: what the buttons are called depends on the product */
        r->event = true;
        tg_ble_add_hex(r, o->name, o->id, value);
        break;
    }
}

/* An object without a name is passed on as it is: object_4e0c with hexadecimal digits. */
static void add_unknown(struct tg_ble_readings *r, uint16_t id, struct tg_bytes value)
{
    static const char digits[] = "0123456789abcdef";
    char name[] = "object_0000";
    for (size_t i = 0; i < 4; i++)
        name[7 + i] = digits[id >> (12 - 4 * i) & 15];
    r->event = true; /* it may be a press, which must not come twice */
    tg_ble_add_hex(r, name, id, value);
}

/* All of them or none: what is left over or cut makes the frame malformed. */
static enum tg_ble_verdict take_objects(struct tg_bytes b, bool known_only, struct tg_ble_readings *r)
{
    struct tg_reader in = tg_reader_init(b.data, b.len);
    while (!r->stopped && tg_reader_left(&in) > 0) {
        struct tg_bytes head = tg_read_bytes(&in, 3);
        uint16_t id = in.failed ? 0 : tg_ble_u16le(head.data);
        struct tg_bytes value = tg_read_bytes(&in, in.failed ? 0 : head.data[2]);
        const struct object *o = object_of(id);
        if (in.failed)
            return TG_BLE_MALFORMED;
        if (o && value.len == o->bytes)
            add_object(r, o, value);
        else if (o || known_only)
            return TG_BLE_MALFORMED;
        else
            add_unknown(r, id, value);
    }
    return tg_ble_done(r) == TG_BLE_EMPTY ? TG_BLE_MALFORMED : tg_ble_done(r);
}

static enum tg_ble_verdict decrypt(struct tg_bytes c, size_t at, const uint8_t address[6],
                                   const struct tg_ble_key *key, struct tg_ble_readings *r)
{
    static const uint8_t additional[1] = {0x11};
    uint8_t plain[PLAIN_BYTES], nonce[12];
    if (c.len <= at + EXT_BYTES + TAG_BYTES || c.len > sizeof plain)
        return TG_BLE_MALFORMED;
    if (!tg_ble_has_key(key, TG_BLE_KEY_BYTES))
        return TG_BLE_NEEDS_KEY;
    size_t n = c.len - at - EXT_BYTES - TAG_BYTES;
    const uint8_t *ext = c.data + at + n;
    tg_ble_address_reverse(address, nonce);
    memcpy(nonce + 6, c.data + 2, 3);
    memcpy(nonce + 9, ext, EXT_BYTES);
    if (!key->crypto->ccm_decrypt(key->bytes, nonce, sizeof nonce, additional, sizeof additional, c.data + at,
                                  n, ext + EXT_BYTES, TAG_BYTES, plain))
        return TG_BLE_WRONG_KEY;
    r->authentic = true;
    r->counter |= tg_ble_unsigned_le(ext, EXT_BYTES) << 8;
    r->counter_bits = 32;
    return take_objects(tg_bytes(plain, n), false, r);
}

/* CCM's counter mode with a length field of two bytes (RFC 3610, section 2.3), from block 1 on. */
static bool counter_mode(const struct tg_ble_key *key, const uint8_t nonce[13], const uint8_t *in, size_t n,
                         uint8_t *out)
{
    uint8_t whole[TG_BLE_KEY_BYTES], block[16] = {1}, stream[16];
    bool good = true;
    memcpy(whole, key->bytes, 6);
    memcpy(whole + 6, "\x8D\x3D\x3C\x97", 4); /* fixed in these versions */
    memcpy(whole + 10, key->bytes + 6, 6);
    memcpy(block + 1, nonce, 13);
    for (size_t i = 0; good && i < n; i++) {
        if (i % 16 == 0) {
            block[15] = (uint8_t)(1 + i / 16);
            good = key->crypto->encrypt_block(whole, block, stream);
        }
        out[i] = good ? in[i] ^ stream[i % 16] : 0;
    }
    explicit_bzero(whole, sizeof whole);
    return good;
}

static enum tg_ble_verdict decrypt_old(struct tg_bytes c, size_t at, const uint8_t address[6],
                                       const struct tg_ble_key *key, struct tg_ble_readings *r)
{
    uint8_t plain[PLAIN_BYTES], nonce[13], reversed[6];
    if (c.len <= at + TAG_BYTES || c.len > sizeof plain)
        return TG_BLE_MALFORMED;
    if (!tg_ble_has_key(key, TG_BLE_LEGACY_BYTES))
        return TG_BLE_NEEDS_KEY;
    size_t n = c.len - at - TAG_BYTES;
    tg_ble_address_reverse(address, reversed);
    memcpy(nonce, c.data, HEAD_BYTES);
    memcpy(nonce + 5, c.data + c.len - 4, EXT_BYTES);
    memcpy(nonce + 8, reversed, 5);
    if (!counter_mode(key, nonce, c.data + at, n, plain) ||
        take_objects(tg_bytes(plain, n), true, r) != TG_BLE_OK)
        return TG_BLE_WRONG_KEY;
    return TG_BLE_OK;
}

/* Where the objects begin, behind what frame control says is there; 0 when the frame is too short or another's. */
static size_t body_at(const struct tg_ble_advert *advert, struct tg_bytes c, unsigned control,
                      struct tg_ble_readings *r)
{
    struct tg_reader in = tg_reader_init(c.data, c.len);
    uint8_t claimed[6];
    (void)tg_read_bytes(&in, HEAD_BYTES);
    if (control & ADDRESS) {
        struct tg_bytes address = tg_read_bytes(&in, 6);
        if (in.failed)
            return 0;
        tg_ble_address_reverse(address.data, claimed);
        if (!tg_ble_address_claim(advert, claimed, r))
            return 0;
    }
    if ((control & CAPABILITY) && (tg_read_u8(&in) & CAPABILITY_IO))
        (void)tg_read_u8(&in);
    return in.failed ? 0 : in.pos;
}

static void set_head(struct tg_bytes c, unsigned control, struct tg_ble_readings *r)
{
    r->version = control >> 12;
    r->product = tg_ble_u16le(c.data + 2);
    r->has_counter = true;
    r->counter = c.data[4];
    r->counter_bits = 8;
    r->encrypted = (control & ENCRYPTED) && (control & OBJECTS);
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        if (models[i].product == r->product)
            tg_ble_set_model(r, models[i].model);
}

static enum tg_ble_verdict decode(const struct tg_ble_advert *advert, struct tg_bytes content,
                                  const struct tg_ble_key *key, struct tg_ble_readings *r)
{
    if (content.len < HEAD_BYTES)
        return TG_BLE_MALFORMED;
    unsigned control = tg_ble_u16le(content.data);
    set_head(content, control, r);
    if (r->version < VERSION_OLD || r->version > VERSION_LAST || (control & MESH))
        return TG_BLE_UNSUPPORTED;
    size_t at = body_at(advert, content, control, r);
    if (at == 0)
        return TG_BLE_MALFORMED;
    if (!(control & OBJECTS))
        return TG_BLE_EMPTY;
    const uint8_t *address = r->has_address ? r->address : advert->address.bytes;
    if (r->encrypted && r->version >= VERSION_CCM)
        return decrypt(content, at, address, key, r);
    if (r->encrypted)
        return decrypt_old(content, at, address, key, r);
    if (key)
        return TG_BLE_PLAINTEXT;
    return take_objects(tg_bytes(content.data + at, content.len - at), false, r);
}

static const char *const names[] = {"temperature",
                                    "humidity",
                                    "battery",
                                    "illuminance",
                                    "moisture",
                                    "conductivity",
                                    "formaldehyde",
                                    "moisture_detected",
                                    "smoke",
                                    "idle_time",
                                    "light",
                                    "door",
                                    "motion",
                                    "button",
                                    NULL};

const struct tg_ble_decoder tg_ble_mibeacon_decoder = {
    .doc = "Xiaomi MiBeacon versions 2 to 5, plain and encrypted",
    .takes_key = true,
    .reading_names = names,
    .find = find,
    .decode = decode};
