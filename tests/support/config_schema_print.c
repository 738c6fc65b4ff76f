/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * config_schema_print - the JSON Schema with the fixture's plugins and cloud types, on standard output.
 */
#include "support/config_fixture.h"

int main(void)
{
    return tg_config_schema(stdout, tg_fixture_plugins, tg_fixture_plugin_count, tg_fixture_types,
                            tg_fixture_type_count) == TG_OK &&
                   fflush(stdout) == 0
               ? 0
               : 1;
}
