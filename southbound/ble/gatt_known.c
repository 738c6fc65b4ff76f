/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/ble/gatt_known.h"

const struct tg_gatt_known tg_gatt_known[] = {
    {0x2A19, "battery_level", "u8", "%", NULL},
    {0x2A6E, "temperature", "s16*0.01?8000", "Cel", NULL},
    {0x2A6F, "humidity", "u16*0.01?ffff", "%RH", NULL},
    {0x2A6D, "pressure", "u32*0.1?ffffffff", "Pa", NULL},
    {0x2A1C, "temperature_measurement", "temperature_measurement", "Cel", NULL},
    {0x2A1E, "intermediate_temperature", "temperature_measurement", "Cel", NULL},
    {0x2A37, "heart_rate_measurement", "heart_rate", "beat/min", NULL},
    {0x2A1F, "temperature_celsius", "s16*0.1?8000", "Cel", NULL},
    {0x2A6C, "elevation", "s24*0.01?800000", "m", NULL},
    {0x2A70, "true_wind_speed", "u16*0.01?ffff", "m/s", NULL},
    {0x2A71, "true_wind_direction", "u16*0.01?ffff", "deg", NULL},
    {0x2A72, "apparent_wind_speed", "u16*0.01?ffff", "m/s", NULL},
    {0x2A73, "apparent_wind_direction", "u16*0.01?ffff", "deg", NULL},
    {0x2A74, "gust_factor", "u8*0.1?ff", NULL, NULL},
    {0x2A75, "pollen_concentration", "u24?ffffff", "1/m3", NULL},
    {0x2A76, "uv_index", "u8?ff", NULL, NULL},
    {0x2A77, "irradiance", "u16*0.1?ffff", "W/m2", NULL},
    {0x2A78, "rainfall", "u16?ffff", "mm", NULL},
    {0x2A79, "wind_chill", "s8?80", "Cel", NULL},
    {0x2A7A, "heat_index", "s8?80", "Cel", NULL},
    {0x2A7B, "dew_point", "s8?80", "Cel", NULL},
    {0x2AA3, "barometric_pressure_trend", "u8?ff", NULL, NULL},
    {0x2AEE, "electric_current", "u16*0.01?ffff", "A", NULL},
    {0x2B18, "voltage", "u16/64?ffff", "V", NULL},
    {0x2AFB, "illuminance", "u24*0.01?ffffff", "lx", NULL},
    {0x2B05, "power", "u24*0.1?ffffff", "W", NULL},
    {0x2BE4, "noise", "u8?ff", "dB", NULL},
    {0x2B8C, "co2_concentration", "u16?ffff", "ppm", NULL},
    {0x2BCF, "ammonia_concentration", "sfloat", "kg/m3", NULL},
    {0x2BD0, "carbon_monoxide_concentration", "sfloat", "kg/m3", NULL},
    {0x2BD1, "methane_concentration", "sfloat", "kg/m3", NULL},
    {0x2BD2, "nitrogen_dioxide_concentration", "sfloat", "kg/m3", NULL},
    {0x2BE7, "voc_concentration", "u16?ffff", "ppb", NULL},
    {0x2BD4, "ozone_concentration", "sfloat", "kg/m3", NULL},
    {0x2BD5, "pm1_concentration", "sfloat", "kg/m3", NULL},
    {0x2BD6, "pm2_5_concentration", "sfloat", "kg/m3", NULL},
    {0x2BD7, "pm10_concentration", "sfloat", "kg/m3", NULL},
    {0x2A07, "tx_power_level", "s8", "dBm", NULL},
    {0x2A00, "device_name", "utf8", NULL, NULL},
    {0x2A24, "model_number", "utf8", NULL, "model"},
    {0x2A25, "serial_number", "utf8", NULL, "serial"},
    {0x2A26, "firmware_revision", "utf8", NULL, "firmware"},
    {0x2A27, "hardware_revision", "utf8", NULL, "hardware"},
    {0x2A28, "software_revision", "utf8", NULL, "software"},
    {0x2A29, "manufacturer_name", "utf8", NULL, "manufacturer"},
    {0, NULL, NULL, NULL, NULL},
};

const struct tg_gatt_known *tg_gatt_known_uuid(const struct tg_att_uuid *uuid)
{
    uint16_t v = tg_att_uuid_short(uuid);
    for (const struct tg_gatt_known *k = tg_gatt_known; v && k->name; k++) {
        if (k->uuid == v)
            return k;
    }
    return NULL;
}

const struct tg_gatt_known *tg_gatt_known_name(struct tg_bytes name)
{
    for (const struct tg_gatt_known *k = tg_gatt_known; k->name; k++) {
        if (tg_bytes_eq_str(name, k->name))
            return k;
    }
    return NULL;
}
