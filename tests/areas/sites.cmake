# Sites whose network allows only port 443, or only a proxy, with the whole gateway.
if(NOT TG_TESTS)
  return()
endif()
foreach(scenario b0510_aws_443 b0511_dps_websocket b0512_pubsub_proxy b0513_proxy_fleet)
  string(REGEX REPLACE "^b[0-9]+_" "" what ${scenario})
  tg_scenario(scenario_${what} ${scenario}.py TIMEOUT 180)
endforeach()
# They need a network of their own (unshare).
set_tests_properties(scenario_aws_443 scenario_dps_websocket PROPERTIES SKIP_RETURN_CODE 77)
