/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Built-in device profiles, as the text of a device entry. Register maps: Eastron SDM120 and SDM630 and
 * Schneider iEM3000 from volkszaehler/mbmd, Huawei SUN2000 from wlcrs/huawei-solar-lib, XY-MD02 from its
 * usual manual. Slowly changing points have long intervals; an entry of the same name in the configuration
 * replaces a point.
 */
#include "plugins/modbus/modbus_plugin.h"

static const char eastron_sdm120[] =
    "settings: {max_count: 80, max_gap: 40}\n"
    "points:\n"
    "  - {name: voltage, address: \"input:0\", type: float32, unit: \"V\", every: 5s}\n"
    "  - {name: current, address: \"input:6\", type: float32, unit: \"A\", every: 5s}\n"
    "  - {name: active_power, address: \"input:12\", type: float32, unit: \"W\", every: 5s}\n"
    "  - {name: apparent_power, address: \"input:18\", type: float32, unit: \"VA\", every: 5s}\n"
    "  - {name: reactive_power, address: \"input:24\", type: float32, unit: \"var\", every: 5s}\n"
    "  - {name: power_factor, address: \"input:30\", type: float32, every: 5s}\n"
    "  - {name: frequency, address: \"input:70\", type: float32, unit: \"Hz\", every: 5s}\n"
    "  - {name: import_energy, address: \"input:72\", type: float32, unit: \"kWh\", every: 60s}\n"
    "  - {name: export_energy, address: \"input:74\", type: float32, unit: \"kWh\", every: 60s}\n"
    "  - {name: import_reactive, address: \"input:76\", type: float32, unit: \"kvarh\", every: 60s}\n"
    "  - {name: export_reactive, address: \"input:78\", type: float32, unit: \"kvarh\", every: 60s}\n"
    "  - {name: total_energy, address: \"input:342\", type: float32, unit: \"kWh\", every: 60s}\n"
    "  - {name: total_reactive, address: \"input:344\", type: float32, unit: \"kvarh\", every: 60s}\n";

static const char eastron_sdm630[] =
    "settings: {max_count: 80, max_gap: 40}\n"
    "points:\n"
    "  - {name: voltage_l1, address: \"input:0\", type: float32, unit: \"V\", every: 5s}\n"
    "  - {name: voltage_l2, address: \"input:2\", type: float32, unit: \"V\", every: 5s}\n"
    "  - {name: voltage_l3, address: \"input:4\", type: float32, unit: \"V\", every: 5s}\n"
    "  - {name: current_l1, address: \"input:6\", type: float32, unit: \"A\", every: 5s}\n"
    "  - {name: current_l2, address: \"input:8\", type: float32, unit: \"A\", every: 5s}\n"
    "  - {name: current_l3, address: \"input:10\", type: float32, unit: \"A\", every: 5s}\n"
    "  - {name: power_l1, address: \"input:12\", type: float32, unit: \"W\", every: 5s}\n"
    "  - {name: power_l2, address: \"input:14\", type: float32, unit: \"W\", every: 5s}\n"
    "  - {name: power_l3, address: \"input:16\", type: float32, unit: \"W\", every: 5s}\n"
    "  - {name: power_total, address: \"input:52\", type: float32, unit: \"W\", every: 5s}\n"
    "  - {name: apparent_total, address: \"input:56\", type: float32, unit: \"VA\", every: 5s}\n"
    "  - {name: reactive_total, address: \"input:60\", type: float32, unit: \"var\", every: 5s}\n"
    "  - {name: pf_total, address: \"input:62\", type: float32, every: 5s}\n"
    "  - {name: frequency, address: \"input:70\", type: float32, unit: \"Hz\", every: 5s}\n"
    "  - {name: import_energy, address: \"input:72\", type: float32, unit: \"kWh\", every: 60s}\n"
    "  - {name: export_energy, address: \"input:74\", type: float32, unit: \"kWh\", every: 60s}\n"
    "  - {name: total_energy, address: \"input:342\", type: float32, unit: \"kWh\", every: 60s}\n";

static const char schneider_iem3000[] =
    "points:\n"
    "  - {name: current_l1, address: \"holding:2999\", type: float32, unit: \"A\", every: 5s}\n"
    "  - {name: current_l2, address: \"holding:3001\", type: float32, unit: \"A\", every: 5s}\n"
    "  - {name: current_l3, address: \"holding:3003\", type: float32, unit: \"A\", every: 5s}\n"
    "  - {name: voltage_l1_n, address: \"holding:3027\", type: float32, unit: \"V\", every: 5s}\n"
    "  - {name: voltage_l2_n, address: \"holding:3029\", type: float32, unit: \"V\", every: 5s}\n"
    "  - {name: voltage_l3_n, address: \"holding:3031\", type: float32, unit: \"V\", every: 5s}\n"
    "  - {name: power_l1, address: \"holding:3053\", type: float32, unit: \"kW\", every: 5s}\n"
    "  - {name: power_l2, address: \"holding:3055\", type: float32, unit: \"kW\", every: 5s}\n"
    "  - {name: power_l3, address: \"holding:3057\", type: float32, unit: \"kW\", every: 5s}\n"
    "  - {name: power_total, address: \"holding:3059\", type: float32, unit: \"kW\", every: 5s}\n"
    "  - {name: reactive_total, address: \"holding:3067\", type: float32, unit: \"kvar\", every: 5s}\n"
    "  - {name: apparent_total, address: \"holding:3075\", type: float32, unit: \"kVA\", every: 5s}\n"
    "  - {name: frequency, address: \"holding:3109\", type: float32, unit: \"Hz\", every: 5s}\n"
    "  - {name: import_energy, address: \"holding:3203\", type: int64, unit: \"Wh\", every: 60s}\n"
    "  - {name: export_energy, address: \"holding:3207\", type: int64, unit: \"Wh\", every: 60s}\n"
    "  - {name: import_reactive, address: \"holding:3219\", type: int64, unit: \"varh\", every: 60s}\n"
    "  - {name: export_reactive, address: \"holding:3223\", type: int64, unit: \"varh\", every: 60s}\n";

static const char huawei_sun2000[] =
    "settings: {max_count: 64, max_gap: 16, min_gap: 50ms, timeout: 10s}\n"
    "points:\n"
    "  - {name: model, address: \"holding:30000\", type: string, length: 30, every: 1h}\n"
    "  - {name: serial, address: \"holding:30015\", type: string, length: 20, every: 1h}\n"
    "  - {name: rated_power, address: \"holding:30073\", type: uint32, unit: \"W\", every: 1h}\n"
    "  - {name: state_1, address: \"holding:32000\", type: uint16, every: 10s}\n"
    "  - {name: input_power, address: \"holding:32064\", type: int32, unit: \"W\", every: 10s}\n"
    "  - {name: phase_a_voltage, address: \"holding:32069\", type: uint16, unit: \"V\", scale: 0.1, every: "
    "10s}\n"
    "  - {name: phase_a_current, address: \"holding:32072\", type: int32, unit: \"A\", scale: 0.001, every: "
    "10s}\n"
    "  - {name: active_power, address: \"holding:32080\", type: int32, unit: \"W\", every: 10s}\n"
    "  - {name: reactive_power, address: \"holding:32082\", type: int32, unit: \"var\", every: 10s}\n"
    "  - {name: power_factor, address: \"holding:32084\", type: int16, scale: 0.001, every: 10s}\n"
    "  - {name: frequency, address: \"holding:32085\", type: uint16, unit: \"Hz\", scale: 0.01, every: 10s}\n"
    "  - {name: efficiency, address: \"holding:32086\", type: uint16, unit: \"%\", scale: 0.01, every: 10s}\n"
    "  - {name: internal_temperature, address: \"holding:32087\", type: int16, unit: \"Cel\", scale: 0.1, "
    "every: 10s}\n"
    "  - {name: device_status, address: \"holding:32089\", type: uint16, every: 10s}\n"
    "  - {name: accumulated_yield, address: \"holding:32106\", type: uint32, unit: \"kWh\", scale: 0.01, "
    "every: 60s}\n"
    "  - {name: daily_yield, address: \"holding:32114\", type: uint32, unit: \"kWh\", scale: 0.01, every: "
    "60s}\n"
    "  - {name: meter_active_power, address: \"holding:37113\", type: int32, unit: \"W\", every: 10s}\n"
    "  - {name: storage_soc, address: \"holding:37760\", type: uint16, unit: \"%\", scale: 0.1, every: 10s}\n"
    "  - {name: storage_power, address: \"holding:37765\", type: int32, unit: \"W\", every: 10s}\n";

static const char xy_md02[] =
    "points:\n"
    "  - {name: temperature, address: \"input:1\", type: int16, unit: \"Cel\", scale: 0.1, every: 5s}\n"
    "  - {name: humidity, address: \"input:2\", type: uint16, unit: \"%RH\", scale: 0.1, every: 5s}\n"
    "  - {name: slave_address, address: \"holding:257\", type: uint16, every: 1h}\n"
    "  - {name: baud_rate, address: \"holding:258\", type: uint16, unit: \"bit/s\", every: 1h}\n"
    "  - {name: temperature_correction, address: \"holding:259\", type: int16, unit: \"Cel\", scale: 0.1, "
    "every: 1h, writable: true}\n"
    "  - {name: humidity_correction, address: \"holding:260\", type: int16, unit: \"%RH\", scale: 0.1, "
    "every: 1h, writable: true}\n";

const struct tg_profile tg_modbus_profiles[] = {
    {.name = "eastron-sdm120",
     .doc = "Eastron SDM120 single-phase energy meter: 2400 or 9600 baud 8N1.",
     .yaml = eastron_sdm120},
    {.name = "eastron-sdm630",
     .doc = "Eastron SDM630 three-phase energy meter; most firmware gives 80 registers in one read.",
     .yaml = eastron_sdm630},
    {.name = "schneider-iem3155",
     .doc = "Schneider iEM3155 energy meter (as iEM3000 series): 19200 baud 8E1.",
     .yaml = schneider_iem3000},
    {.name = "huawei-sun2000",
     .doc = "Huawei SUN2000 inverter: TCP with connect_delay: 1s, or 9600 baud 8N1.",
     .yaml = huawei_sun2000},
    {.name = "xy-md02", .doc = "XY-MD02 temperature and humidity sensor: 9600 baud 8N1.", .yaml = xy_md02},
    {.name = "schneider-iem3000",
     .doc = "Schneider iEM3000 series energy meters: 19200 baud 8E1.",
     .yaml = schneider_iem3000},
    {.name = NULL}};
