# The whole gateway against real peers.
if(NOT TG_TESTS)
  return()
endif()
foreach(scenario b0101_outage b0102_kill b0103_sas_renewal b0104_commands b0105_reload b0106_broker_faults
    b0110_full_disk b0111_corrupt_store b0112_clock b0113_check_messages b0114_field_faults b0115_fleet_1000
    b0116_mqtt_broker b0401_reload_devices b0405_command_restart b0117_service b0118_store_faults b0119_start_stop)
  string(REGEX REPLACE "^b[0-9]+_" "" what ${scenario})
  tg_scenario(scenario_${what} ${scenario}.py TIMEOUT 150)
endforeach()
