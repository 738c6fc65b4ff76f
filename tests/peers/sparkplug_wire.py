# SPDX-License-Identifier: GPL-2.0-or-later
"""sparkplug_wire - Sparkplug B payloads for test peers: protobuf by hand, from the specification's field table, so that it shares
nothing with the product or its generator.

    decode(bytes) → {"timestamp", "seq", "metrics": [{"name", "alias", "timestamp", "datatype", "historical", "null", "value",
                     "properties": {…}}]}; what is absent is not in the dict. ValueError for what is no payload.
    encode(payload) → bytes, from the same form.
"""
import struct

INTEGERS = {1: 8, 2: 16, 3: 32, 4: 64}  # signed datatypes and their width
INT, LONG, FLOAT, DOUBLE, BOOLEAN, STRING = 10, 11, 12, 13, 14, 15
FIELD_OF = {1: INT, 2: INT, 3: INT, 4: LONG, 5: INT, 6: INT, 7: LONG, 8: LONG, 9: FLOAT, 10: DOUBLE, 11: BOOLEAN, 12: STRING, 13: LONG,
            14: STRING, 15: STRING}


def read_varint(data, at):
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("a varint has no end")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, at


def fields(data):
    """(number, value) of each field; length-delimited ones as bytes."""
    at = 0
    while at < len(data):
        key, at = read_varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = read_varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            value, at = data[at:at + size], at + size
        elif wire == 2:
            size, at = read_varint(data, at)
            value, at = data[at:at + size], at + size
        else:
            raise ValueError(f"wire type {wire}")
        if at > len(data):
            raise ValueError("a field is longer than the message")
        yield number, value


def read_value(offset, number, raw, datatype):
    """The value in field `number`, where the integer's field is `offset`; PropertyValue and Metric have the same order."""
    kind = number - offset + INT
    if kind in (INT, LONG):
        width = INTEGERS.get(datatype)
        return raw if not width else ((raw & ((1 << width) - 1)) ^ (1 << (width - 1))) - (1 << (width - 1))
    if kind == FLOAT:
        return struct.unpack("<f", raw)[0]
    if kind == DOUBLE:
        return struct.unpack("<d", raw)[0]
    return bool(raw) if kind == BOOLEAN else raw.decode("utf-8")


def decode_properties(data):
    keys, values = [], []
    for number, raw in fields(data):
        if number == 1:
            keys.append(raw.decode("utf-8"))
        elif number == 2:
            inside = dict(fields(raw))
            values.append(next((read_value(3, field, value, inside.get(1)) for field, value in inside.items() if 3 <= field <= 8), None))
    if len(keys) != len(values):
        raise ValueError("a property set has keys without values")
    return dict(zip(keys, values))


def decode_metric(data):
    metric, value = {}, None
    names = {1: "name", 2: "alias", 3: "timestamp", 4: "datatype", 5: "historical", 6: "transient", 7: "null"}
    for number, raw in fields(data):
        if number in names:
            metric[names[number]] = raw.decode("utf-8") if number == 1 else bool(raw) if number in (5, 6, 7) else raw
        elif number == 9:
            metric["properties"] = decode_properties(raw)
        elif INT <= number <= STRING:
            value = (number, raw)
    if value:
        metric["value"] = read_value(INT, *value, metric.get("datatype"))
    return metric


def decode(data):
    payload = {"metrics": []}
    for number, raw in fields(data):
        if number == 2:
            payload["metrics"].append(decode_metric(raw))
        elif number in (1, 3):
            payload["timestamp" if number == 1 else "seq"] = raw
    return payload


def varint(value):
    out = bytearray()
    value &= (1 << 64) - 1
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def delimited(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def encode_metric(metric):
    out = b""
    for number, name in ((1, "name"), (2, "alias"), (3, "timestamp"), (4, "datatype"), (7, "null")):
        if name in metric:
            out += delimited(1, metric[name].encode()) if number == 1 else varint(number << 3) + varint(int(metric[name]))
    if "value" in metric:
        value, field = metric["value"], FIELD_OF[metric.get("datatype") or metric["as"]]
        if field == FLOAT:
            out += varint(field << 3 | 5) + struct.pack("<f", value)
        elif field == DOUBLE:
            out += varint(field << 3 | 1) + struct.pack("<d", value)
        elif field == STRING:
            out += delimited(field, value.encode())
        else:
            out += varint(field << 3) + varint(int(value) & ((1 << 32) - 1 if field == INT else (1 << 64) - 1))
    return out


def encode(payload):
    out = b""
    if "timestamp" in payload:
        out += varint(1 << 3) + varint(payload["timestamp"])
    for metric in payload["metrics"]:
        out += delimited(2, encode_metric(metric))
    if "seq" in payload:
        out += varint(3 << 3) + varint(payload["seq"])
    return out
