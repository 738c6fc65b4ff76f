# SPDX-License-Identifier: GPL-2.0-or-later
"""peers_table - what peers.py found, as the manual has it: a column for each contender, ratios to the gateway, and where it is beaten."""

TITLES = {"tidegate": "tidegate", "sqlite_bridge": "SQLite + libmosquitto", "mosquitto_bridge": "mosquitto as bridge", "paho_bridge": "Paho C",
          "azure_sdk": "Azure SDK (Node)", "paho_python": "paho-mqtt (Python)"}
CLEAR = 0.10  # less apart than that is no difference


def cell(row, key):
    value, own = row["values"].get(key), row["values"].get("tidegate")
    if value is None:
        return "–"
    text = row["form"].format(value)
    if row["less"] is not None and best(row) == value:
        text = f"**{text}**"
    if key != "tidegate" and own and row["less"] is not None and value / own >= 0.01:
        text += f" (×{value / own:.2g})" if value / own < 100 else f" (×{value / own:,.0f})"
    return text


def best(row):
    return (min if row["less"] else max)(row["values"].values())


def better(rows):
    """What somebody does clearly better than the gateway: (title, text) each."""
    found = []
    for row in rows:
        own = row["values"].get("tidegate")
        for key, value in row["values"].items():
            if key == "tidegate" or own is None or row["less"] is None:
                continue
            ahead = value < own * (1 - CLEAR) if row["less"] else value > own * (1 + CLEAR)
            if ahead:
                found.append((TITLES[key], f"{row['what']}: {row['form'].format(value)} against {row['form'].format(own)}"))
    return found


def peers_table(peers):
    rows = peers["rows"]
    keys = [key for key in TITLES if any(key in row["values"] for row in rows)]
    text = ["| what | " + " | ".join(TITLES[key] for key in keys) + " |", "|---" * (len(keys) + 1) + "|"]
    text += [f"| {row['what']} | " + " | ".join(cell(row, key) for key in keys) + " |" for row in rows]
    ahead = better(rows)
    text += ["", "Better than tidegate, by more than a tenth:" if ahead else "Nobody was better than tidegate by more than a tenth in this run.", ""]
    return text + [f"- {title}: {what}" for title, what in ahead]
