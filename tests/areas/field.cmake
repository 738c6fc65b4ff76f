# What an integrator meets at a site: profiles, commands and texts that belong to no single part.
if(TG_TESTS)
  tg_scenario(scenario_own_profiles b0891_own_profiles.py)
  tg_scenario(scenario_serial_port_texts b0892_serial_port_texts.py)
  tg_scenario(scenario_plugin_defects b0893_plugin_defects.py)
  tg_scenario(scenario_schema_examples b0894_schema_examples.py)
  tg_scenario(scenario_check_sources b0895_check_sources.py)
  tg_scenario(scenario_vectors_folder b0896_vectors_folder.py)
endif()
