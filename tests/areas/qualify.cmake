# What clouds qualify a device for: AWS Device Advisor's cases by name, on the whole gateway.
if(NOT TG_TESTS)
  return()
endif()
foreach(scenario b0301_qualify_tls_connect b0302_qualify_cipher_suites b0303_qualify_large_certificate
    b0304_qualify_server_certificate b0305_qualify_connect_backoff b0306_qualify_reconnect_jitter b0307_qualify_publish_retry
    b0308_qualify_subscribe_retry b0309_qualify_keepalive b0310_qualify_persistent_session b0311_qualify_tls_fragments
    b0312_hub_limits)
  string(REGEX REPLACE "^b[0-9]+_" "" what ${scenario})
  tg_scenario(scenario_${what} ${scenario}.py TIMEOUT 150)
endforeach()
