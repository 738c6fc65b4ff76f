# What the operator sees: metrics, the HTTP endpoint, the status.
tg_test(test_metrics SOURCES unit/test_metrics.c "${CMAKE_SOURCE_DIR}/core/gateway/metrics.c" LINK tg_base LABELS unit)
tg_test(test_day_meter SOURCES unit/test_day_meter.c "${CMAKE_SOURCE_DIR}/northbound/day_meter.c" LABELS unit)
tg_test(test_http_endpoint SOURCES unit/test_http_endpoint.c "${CMAKE_SOURCE_DIR}/core/gateway/http.c"
  "${CMAKE_SOURCE_DIR}/core/gateway/http_library.c" LINK tg_config tg_net tg_base ${CMAKE_DL_LIBS} LABELS unit)
if(NOT TG_TESTS)
  return()
endif()
tg_scenario(scenario_http b0501_http.py TIMEOUT 120)
tg_scenario(scenario_http_trouble b0502_http_trouble.py TIMEOUT 120)
tg_scenario(scenario_certificate_expiry b0503_certificate_expiry.py TIMEOUT 90)
