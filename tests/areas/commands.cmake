# Commands: every way to everything that can be written.
if(TG_TESTS)
  tg_scenario(scenario_commands_matrix b0881_commands_matrix.py TIMEOUT 180)
endif()
