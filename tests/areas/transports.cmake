# Proxies, WebSocket, ALPN.
tg_purity_test(lint_purity_tunnel LIBRARY tg_tunnel
  ALLOW tg_http_.* tg_error_.* tg_write_.* tg_writer_.* tg_utf8_valid tg_quote wc_ShaHash Base64_Encode_NoNl
  _*explicit_bzero.* _*snprintf.* _*.*strtoul strchr strspn strcspn)
tg_test(test_websocket SOURCES unit/test_websocket.c LINK tg_tunnel LABELS unit net)
tg_test(test_proxy SOURCES unit/test_proxy.c LINK tg_tunnel LABELS unit net)
tg_test(test_stream_layers SOURCES unit/test_stream_layers.c support/net_client.c support/net_peer.c LINK tg_net LABELS net)
tg_test(test_transport SOURCES unit/test_transport.c LINK tg_session LABELS unit net)
tg_fuzz(fuzz_websocket SOURCES fuzz/fuzz_websocket.c LINK tg_tunnel SEEDS websocket)

if(TG_TESTS)
  tg_scenario(scenario_websocket b0501_websocket.py TIMEOUT 150)
  tg_scenario(scenario_proxy b0502_proxy.py TIMEOUT 150)
  tg_scenario(scenario_formats b0503_formats.py TIMEOUT 150)
endif()
