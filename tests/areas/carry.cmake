# Samples that travel through a module: the pure machine, the services of the host, the link, and the whole of it.
tg_test(test_ucx_carry SOURCES unit/test_ucx_carry.c LINK tg_ucx LABELS unit)
tg_test(test_plugin_carry SOURCES unit/test_plugin_carry.c support/host_rig.c LINK tg_test_parts tg_plugins LABELS unit threads)
tg_test(test_module_link SOURCES unit/test_module_link.c LINK tg_session_help LABELS unit)
tg_fuzz(fuzz_ucx_carry SOURCES fuzz/fuzz_ucx_carry.c LINK tg_ucx SEEDS ucx_carry)

tg_scenario(scenario_carry b0871_carry.py TIMEOUT 180)
tg_scenario(scenario_carry_broker_outage b0872_carry_broker_outage.py TIMEOUT 240)
tg_scenario(scenario_carry_module b0873_carry_module.py TIMEOUT 240)
tg_scenario(scenario_carry_gateway b0874_carry_gateway.py TIMEOUT 240)
tg_scenario(scenario_carry_renewal b0875_carry_renewal.py TIMEOUT 180)
