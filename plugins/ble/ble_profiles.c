/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A profile for each format: its points are all that the format may give, under the readings' own names; what a sensor does not have never
 * comes. tests/unit/test_ble_profiles.c compares them with the decoders.
 */
#include <stddef.h>

#include "plugins/ble/ble_options.h"

#define P(name)       "  - {name: " name "}\n"
#define U(name, unit) "  - {name: " name ", unit: \"" unit "\"}\n"

static const struct {
    enum tg_ble_format format;
    const char *profile;
} of_format[] = {{TG_BLE_BTHOME, "bthome"},       {TG_BLE_RUUVI, "ruuvitag"},
                 {TG_BLE_MIBEACON, "mibeacon"},   {TG_BLE_ATC, "atc"},
                 {TG_BLE_PVVX, "pvvx"},           {TG_BLE_GOVEE, "govee"},
                 {TG_BLE_EDDYSTONE, "eddystone"}, {TG_BLE_IBEACON, "ibeacon"}};

const char *ble_profile_of(enum tg_ble_format format)
{
    for (size_t i = 0; i < sizeof of_format / sizeof *of_format; i++) {
        if (of_format[i].format == format)
            return of_format[i].profile;
    }
    return NULL;
}

static const char bthome[] =
    "settings: {format: bthome}\n"
    "points:\n" U("temperature", "Cel") U("temperature_2", "Cel") U("humidity", "%RH") U("humidity_2", "%RH")
        U("battery", "%") U("voltage", "V") U("voltage_2", "V") U("pressure", "hPa") U("illuminance", "lx") U(
            "dew_point", "Cel") U("co2", "ppm") U("tvoc", "ug/m3") U("pm25", "ug/m3") U("pm10", "ug/m3")
            U("moisture", "%") U("conductivity", "uS/cm") P("uv_index") P("light_level") U("power", "W") U(
                "power_2", "W") U("power_3", "W") U("energy", "kWh") U("energy_2", "kWh") U("energy_3", "kWh")
                U("current", "A") U("current_2", "A") U("current_3", "A") U("mass_kg", "kg")
                    U("mass_lb",
                      "lb") P("count") P("count_2") P("count_3") P("button") P("button_2") P("button_3")
                        P("button_4") P("dimmer") U("rotation", "deg") P("distance") P("distance_2")
                            U("duration", "s") U("speed", "m/s") P("volume") U("volume_flow_rate", "m3/h")
                                U("volume_storage", "l") U("water", "l") U("gas", "m3") U("timestamp", "s")
                                    U("acceleration", "m/s2") U("gyroscope", "deg/s") U("direction", "deg")
                                        U("precipitation", "mm") P("channel") U("rotational_speed", "rpm")
                                            P("text") P("raw") P("generic")
                                                P("power_on") P("opening") P("battery_low") P("charging") P(
                                                    "carbon_monoxide") P("cold") P("connected") P("door_open")
                                                    P("garage_open") P("gas_detected") P("heat") P("light")
                                                        P("unlocked") P("wet") P("motion") P("moving")
                                                            P("occupied") P("plugged") P("present")
                                                                P("problem") P("running") P("safe") P("smoke")
                                                                    P("sound") P("tamper") P("vibration")
                                                                        P("window_open") P("packet_id")
                                                                            P("device_type_id")
                                                                                P("firmware_version")
                                                                                    U("rssi", "dBm");

const struct tg_profile ble_profiles[] = {
    {"bthome", "Any sensor that speaks BTHome version 2: all its objects, of which a sensor has some.",
     bthome},
    {"ruuvitag", "RuuviTag, data formats 3 and 5.",
     "settings: {format: ruuvi}\n"
     "points:\n" U("temperature", "Cel") U("humidity", "%RH") U("pressure", "Pa") U("acceleration_x", "g")
         U("acceleration_y", "g") U("acceleration_z", "g") U("voltage", "V") U("tx_power", "dBm")
             P("movement_counter") P("sequence") U("rssi", "dBm")},
    {"mibeacon", "Xiaomi sensors (MiBeacon); most need `bind_key_file`.",
     "settings: {format: mibeacon}\n"
     "points:\n" U("temperature", "Cel") U("humidity", "%RH") U("battery", "%") U("illuminance", "lx")
         U("moisture", "%") U("conductivity", "uS/cm") U("formaldehyde", "mg/m3") P("moisture_detected")
             P("smoke") U("idle_time", "s") P("light") P("door") P("motion") P("button") U("rssi", "dBm")},
    {"atc", "Xiaomi thermometers with ATC1441 firmware.",
     "settings: {format: atc}\n"
     "points:\n" U("temperature", "Cel") U("humidity", "%RH") U("voltage", "V") U("battery", "%") P("trigger")
         U("rssi", "dBm")},
    {"pvvx", "Xiaomi thermometers with pvvx firmware, custom format.",
     "settings: {format: pvvx}\n"
     "points:\n" U("temperature", "Cel") U("humidity", "%RH") U("voltage", "V") U("battery", "%") P("flags")
         U("rssi", "dBm")},
    {"govee", "Govee thermometers.",
     "settings: {format: govee}\n"
     "points:\n" U("temperature", "Cel") U("humidity", "%RH") U("battery", "%") U("rssi", "dBm")},
    {"eddystone", "Eddystone beacons: telemetry, identity, URL.",
     "settings: {format: eddystone}\n"
     "points:\n" U("voltage", "V") U("temperature", "Cel") P("adv_count") U("uptime", "s") P("namespace")
         P("instance") P("url") U("tx_power_0m", "dBm") U("rssi", "dBm")},
    {"ibeacon", "iBeacons: who is near.",
     "settings: {format: ibeacon}\n"
     "points:\n" P("uuid") P("major") P("minor") U("tx_power_1m", "dBm") U("rssi", "dBm")},
    {0}};
